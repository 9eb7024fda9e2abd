//! Certificates that end, files that do not load, links that are not encrypted.

use std::sync::Arc;

use jiff::Timestamp;
use ringwall_api::cluster::HealthStatus;
use ringwall_api::nodes::{NodeTls, TlsCertificate, TlsRevocationList};
use ringwall_base::{TimeValue, TransportTls};
use ringwall_security::system;
use ringwall_settings::registry::{security, ssl};
use serde_json::{Value, json};

use super::indicator::{Diagnosis, Impact, Indicator, Severity};
use crate::actions::nodes::tls::{TIMEOUT, of_nodes};
use crate::cluster_service::now_ms;
use crate::services::Services;

/// When a certificate that ends soon is complained of, in seconds before its end.
struct Thresholds {
    yellow: i64,
    red: i64,
}

/// Whether certificates in use end soon, on any node.
pub async fn certificates(services: &Arc<Services>) -> Indicator {
    let seconds = |time: TimeValue| {
        let duration = time.duration().unwrap_or_default();
        i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
    };
    let thresholds = Thresholds {
        yellow: seconds(services.settings.get(&security::CERTIFICATE_EXPIRY_YELLOW)),
        red: seconds(services.settings.get(&security::CERTIFICATE_EXPIRY_RED)),
    };
    // Who may see the report may see what it is made of.
    let answer = of_nodes(services, &system::identity(), &[], TIMEOUT).await;
    let nodes: Vec<NodeTls> = answer.nodes.into_values().collect();
    let mut indicator = of_certificates(&nodes, &thresholds, now_ms() as i64 / 1000);
    if !answer.failures.is_empty() {
        indicator.complain(
            HealthStatus::Yellow,
            format!(
                "{} node(s) do not tell their certificates.",
                answer.failures.len()
            ),
            Impact {
                id: "unknown",
                severity: Severity::Someday,
                description: "Certificates that end soon may go unnoticed".to_owned(),
                areas: &["deployment_management"],
            },
            Diagnosis {
                id: "no_answer",
                cause: "The nodes did not answer in time".to_owned(),
                action: "Ask again; look at their logs if it goes on".to_owned(),
                resources: ("nodes", answer.failures.into_keys().collect()),
            },
        );
    }
    indicator
}

fn of_certificates(nodes: &[NodeTls], thresholds: &Thresholds, now: i64) -> Indicator {
    let mut ending: Vec<(&NodeTls, &str, &TlsCertificate)> = Vec::new();
    let mut first: Option<i64> = None;
    for node in nodes {
        for context in &node.contexts {
            for certificate in &context.certificates {
                first =
                    Some(first.map_or(certificate.not_after, |at| at.min(certificate.not_after)));
                if certificate.not_after - now < thresholds.yellow {
                    ending.push((node, &context.name, certificate));
                }
            }
        }
    }
    ending.sort_by_key(|(_, _, certificate)| certificate.not_after);
    let rows: Vec<Value> = ending
        .iter()
        .map(|(node, context, certificate)| {
            json!({
                "node": node.name, "context": context, "path": certificate.path,
                "subject": certificate.subject, "serial_number": certificate.serial,
                "expiry": at(certificate.not_after), "has_private_key": certificate.has_private_key,
            })
        })
        .collect();
    let details = json!({"next_expiry": first.map(at), "expiring_certificates": rows});
    let mut indicator = Indicator::green(
        "All TLS certificates in use are valid for long enough.",
        details,
    );
    for (node, context, certificate) in ending {
        complain_of_end(&mut indicator, node, context, certificate, thresholds, now);
    }
    for node in nodes {
        for context in &node.contexts {
            if let Some(error) = &context.reload_error {
                complain_of_reload(&mut indicator, node, &context.name, error);
            }
            for list in &context.revocation_lists {
                if list.next_update <= now && !list.is_superseded {
                    complain_of_list(&mut indicator, node, &context.name, list);
                }
            }
        }
    }
    indicator
}

fn complain_of_end(
    indicator: &mut Indicator,
    node: &NodeTls,
    context: &str,
    certificate: &TlsCertificate,
    thresholds: &Thresholds,
    now: i64,
) {
    let left = certificate.not_after - now;
    let (status, severity) = match left {
        left if left < thresholds.red => (HealthStatus::Red, Severity::Now),
        _ => (HealthStatus::Yellow, Severity::Soon),
    };
    let subject = &certificate.subject;
    let when = match left {
        ..0 => format!("expired on {}", at(certificate.not_after)),
        left => format!(
            "expires in {} days, on {}",
            left / 86_400,
            at(certificate.not_after)
        ),
    };
    let action = match certificate.has_private_key {
        true => {
            "Make a new certificate with the same names (`ringwall certutil renew`) and put it in the place \
                 of the old file: running nodes take it up by themselves"
        }
        false => {
            "Replace this authority before its end: `ringwall certutil rotate` does it without downtime"
        }
    };
    indicator.complain(
        status,
        format!("The certificate [{subject}] of node [{}] {when}.", node.name),
        Impact {
            id: "links_break",
            severity,
            description: "From then on nodes and clients refuse new connections that depend on it; a node that \
                          restarts does not come back"
                .to_owned(),
            areas: &["ingest", "search", "deployment_management"],
        },
        Diagnosis {
            id: "renew",
            cause: format!(
                "The certificate [{subject}] with serial number [{}] in [{}] of [{context}] {when}",
                certificate.serial, certificate.path
            ),
            action: action.to_owned(),
            resources: ("nodes", vec![node.name.clone()]),
        },
    );
}

fn complain_of_reload(indicator: &mut Indicator, node: &NodeTls, context: &str, error: &str) {
    indicator.complain(
        HealthStatus::Yellow,
        format!("Changed TLS files of node [{}] are not in use.", node.name),
        Impact {
            id: "old_files",
            severity: Severity::Soon,
            description: "The node goes on with the files it read before, and would not start with the new ones"
                .to_owned(),
            areas: &["deployment_management"],
        },
        Diagnosis {
            id: "reload_failed",
            cause: format!("The files of [{context}] do not load: {error}"),
            action: "Mend the files; they are looked at again every few seconds. If they have another password now, \
                     store it with `elasticsearch-keystore add` on that node, then POST /_nodes/reload_secure_settings"
                .to_owned(),
            resources: ("nodes", vec![node.name.clone()]),
        },
    );
}

fn complain_of_list(
    indicator: &mut Indicator,
    node: &NodeTls,
    context: &str,
    list: &TlsRevocationList,
) {
    let (issuer, due) = (&list.issuer, at(list.next_update));
    indicator.complain(
        HealthStatus::Yellow,
        format!(
            "The certificate revocation list of [{issuer}] on node [{}] was to be replaced on {due}.",
            node.name
        ),
        Impact {
            id: "revoked_accepted",
            severity: Severity::Soon,
            description: "Certificates that were revoked since then are still accepted; the list goes on counting"
                .to_owned(),
            areas: &["deployment_management"],
        },
        Diagnosis {
            id: "list_overdue",
            cause: format!("The list number [{}] in [{}] of [{context}] was due on {due}", list.number, list.path),
            action: "Put the CA's current list in its place: running nodes take it up by themselves"
                .to_owned(),
            resources: ("nodes", vec![node.name.clone()]),
        },
    );
}

/// Whether every link between nodes is encrypted and authenticated.
pub async fn transport(services: &Arc<Services>) -> Indicator {
    let state = services.cluster.state();
    let of = |wanted: TransportTls| -> Vec<String> {
        let nodes = state.nodes.values();
        let nodes = nodes.filter(|node| state.transport_tls(node) == Some(wanted));
        nodes.map(|node| node.name.clone()).collect()
    };
    let (off, dual, required) = (
        of(TransportTls::Off),
        of(TransportTls::DualStack),
        of(TransportTls::Required),
    );
    let since = state.transport_tls_mixed_since_ms;
    let mixed_ms = since.map(|since| now_ms().saturating_sub(since));
    let details = json!({
        "off": off, "dual_stack": dual, "required": required,
        "mixed_since": since.map(|since| at(since as i64 / 1000)),
    });
    let mut indicator = Indicator::green("All links between nodes are encrypted.", details);
    let Some(mixed_ms) = mixed_ms else {
        if !off.is_empty() {
            complain_of_plaintext(&mut indicator, off);
        }
        return indicator;
    };
    let longest = services
        .settings
        .get(&ssl::DUAL_STACK_MAX_DURATION)
        .duration();
    let too_long = longest.is_some_and(|longest| u128::from(mixed_ms) > longest.as_millis());
    let action = match off.as_slice() {
        [] => format!(
            "Every node has TLS: end it with PUT /_cluster/settings {{\"persistent\": {{\"{}\": false}}}}",
            ssl::DUAL_STACK_ENABLED.key()
        ),
        off => format!(
            "Restart the nodes [{}] with [{}] and [{}] set to true",
            off.join(", "),
            ssl::TRANSPORT_SSL.enabled.key(),
            ssl::DUAL_STACK_ENABLED.key()
        ),
    };
    indicator.complain(
        if too_long { HealthStatus::Red } else { HealthStatus::Yellow },
        format!(
            "Since {} links between nodes may be unencrypted.",
            at(since.unwrap_or_default() as i64 / 1000)
        ),
        Impact {
            id: "not_authenticated",
            severity: if too_long { Severity::Now } else { Severity::Soon },
            description: "Whoever reaches a transport port can join the cluster and read its data without a certificate"
                .to_owned(),
            areas: &["deployment_management"],
        },
        Diagnosis {
            id: "dual_stack",
            cause: "TLS is being turned on node by node, and this has not been ended".to_owned(),
            action,
            resources: ("nodes", if off.is_empty() { dual } else { off }),
        },
    );
    indicator
}

/// Chosen by the operator, and allowed on loopback: said all the same.
fn complain_of_plaintext(indicator: &mut Indicator, off: Vec<String>) {
    indicator.complain(
        HealthStatus::Yellow,
        "Links between nodes are not encrypted.".to_owned(),
        Impact {
            id: "not_authenticated",
            severity: Severity::Soon,
            description: "Whoever reaches a transport port can join the cluster and read its data without a certificate"
                .to_owned(),
            areas: &["deployment_management"],
        },
        Diagnosis {
            id: "off",
            cause: format!("[{}] is off", ssl::TRANSPORT_SSL.enabled.key()),
            action: format!(
                "Turn it on node by node, without downtime: restart each with it and with [{}]",
                ssl::DUAL_STACK_ENABLED.key()
            ),
            resources: ("nodes", off),
        },
    );
}

fn at(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use ringwall_api::nodes::TlsContextInfo;

    use super::*;

    fn node(days_left: i64, reload_error: Option<&str>) -> NodeTls {
        NodeTls {
            name: "n".to_owned(),
            transport: "required".to_owned(),
            contexts: vec![TlsContextInfo {
                name: "xpack.security.http.ssl".to_owned(),
                reloads: 0,
                reload_error: reload_error.map(str::to_owned),
                certificates: vec![TlsCertificate {
                    path: "a.p12".to_owned(),
                    format: "PKCS12".to_owned(),
                    alias: None,
                    subject: "CN=n".to_owned(),
                    issuer: "CN=ca".to_owned(),
                    serial: "1".to_owned(),
                    sha256: String::new(),
                    issuer_sha256: None,
                    has_private_key: true,
                    is_ca: false,
                    not_before: 0,
                    not_after: days_left * 86_400,
                }],
                trusted: Vec::new(),
                revocation_lists: Vec::new(),
            }],
            links: Vec::new(),
            refusals: Vec::new(),
        }
    }

    #[test]
    fn the_sooner_a_certificate_ends_the_worse() {
        let thresholds = Thresholds {
            yellow: 30 * 86_400,
            red: 7 * 86_400,
        };
        for (days, error, status) in [
            (31, None, HealthStatus::Green),
            (29, None, HealthStatus::Yellow),
            (6, None, HealthStatus::Red),
            (-1, None, HealthStatus::Red),
            (31, Some("no such file"), HealthStatus::Yellow),
        ] {
            let indicator = of_certificates(&[node(days, error)], &thresholds, 0);
            assert_eq!(indicator.status, status, "{days} {error:?}");
            let body = indicator.to_json("tls_certificates", true, 10);
            assert_eq!(body["diagnosis"].is_array(), status != HealthStatus::Green);
            assert!(body["details"]["next_expiry"].is_string());
            // A password is not read again with the file.
            let told = body.to_string();
            let about_passwords = told.contains("POST /_nodes/reload_secure_settings");
            assert_eq!(about_passwords, error.is_some(), "{told}");
        }
    }

    #[test]
    fn an_overdue_revocation_list_is_complained_of_until_another_replaces_it() {
        let thresholds = Thresholds { yellow: 0, red: 0 };
        for (next_update, is_superseded, status) in [
            (101, false, HealthStatus::Green),
            (100, false, HealthStatus::Yellow),
            (100, true, HealthStatus::Green),
        ] {
            let mut node = node(1, None);
            node.contexts[0].revocation_lists = vec![TlsRevocationList {
                path: "ca.crl".to_owned(),
                issuer: "CN=ca".to_owned(),
                number: "1".to_owned(),
                this_update: 0,
                next_update,
                is_superseded,
            }];
            let indicator = of_certificates(&[node], &thresholds, 100);
            assert_eq!(indicator.status, status, "{next_update} {is_superseded}");
        }
    }
}
