//! `GET /_prometheus/metrics`: numbers of this node in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;

use ringwall_api::cluster::{MetricsRequest, MetricsResponse};
use ringwall_api::nodes::{AuditStats, BreakerStats, NodeStats};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::nodes::stats::local_stats;
use crate::actions::nodes::tls;
use crate::services::Services;

/// What the audit log has written, and what not.
fn audit_log(page: &mut Page, audit: &AuditStats) {
    let values = [
        (
            "ringwall_audit_written_total",
            "Events in the audit log since the start.",
            audit.written,
        ),
        (
            "ringwall_audit_lost_total",
            "Events that the disk of the audit log did not take in time.",
            audit.lost,
        ),
        (
            "ringwall_audit_queued_bytes",
            "Events of the audit log that wait for the disk.",
            audit.queued_bytes,
        ),
    ];
    for (name, help, value) in values {
        page.gauge(name, help, &[], value as f64);
    }
}

/// What requests hold, and how often they were refused for it.
fn memory(page: &mut Page, stats: &NodeStats) {
    type Value = fn(&BreakerStats) -> u64;
    let gauges: [(&str, &str, Value); 3] = [
        (
            "ringwall_breaker_limit_bytes",
            "Limit of a circuit breaker.",
            |b| b.limit,
        ),
        (
            "ringwall_breaker_estimated_bytes",
            "Memory that a circuit breaker has charged.",
            |b| b.estimated,
        ),
        (
            "ringwall_breaker_tripped_total",
            "Refusals of a circuit breaker since the start.",
            |b| b.tripped,
        ),
    ];
    for (name, help, value) in gauges {
        for breaker in &stats.breakers {
            let labels = [("breaker", breaker.name.as_str())];
            page.gauge(name, help, &labels, value(breaker) as f64);
        }
    }
    if let Some(audit) = &stats.audit {
        audit_log(page, audit);
    }
    let pressure = &stats.indexing_pressure;
    page.gauge(
        "ringwall_indexing_pressure_limit_bytes",
        "Bound on documents being indexed.",
        &[],
        pressure.limit as f64,
    );
    let counts = [
        (
            "ringwall_indexing_pressure_bytes",
            "Documents being indexed.",
            pressure.current,
        ),
        (
            "ringwall_indexing_pressure_rejections_total",
            "Writes refused for it since the start.",
            pressure.rejections,
        ),
    ];
    for (name, help, stages) in counts {
        for (stage, value) in ["coordinating", "primary", "replica"]
            .into_iter()
            .zip(stages)
        {
            page.gauge(name, help, &[("stage", stage)], value as f64);
        }
    }
}

impl Handler<MetricsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<MetricsRequest>,
    ) -> ApiResult<MetricsResponse> {
        let stats = local_stats(&services, false).await?;
        let state = services.cluster.state();
        let tls = tls::local(&services);
        let mut page = Page::default();
        page.gauge(
            "ringwall_process_resident_bytes",
            "Resident memory.",
            &[],
            stats.resident_bytes as f64,
        );
        page.gauge(
            "ringwall_process_open_fds",
            "Open file descriptors.",
            &[],
            stats.open_file_descriptors as f64,
        );
        page.gauge(
            "ringwall_uptime_seconds",
            "Time since the start.",
            &[],
            stats.uptime_ms as f64 / 1000.0,
        );
        page.gauge(
            "ringwall_disk_free_bytes",
            "Room left on the disk of the data path.",
            &[],
            stats.disk_free_bytes as f64,
        );
        page.gauge(
            "ringwall_disk_total_bytes",
            "Size of the disk of the data path.",
            &[],
            stats.disk_total_bytes as f64,
        );
        for (name, help, value) in [
            (
                "ringwall_http_connections",
                "Open connections of clients.",
                stats.http.open,
            ),
            (
                "ringwall_transport_connections",
                "Open connections that other nodes dialled.",
                stats.transport.accepted,
            ),
            (
                "ringwall_transport_handshakes",
                "Connections of other nodes in their handshake.",
                stats.transport.handshaking,
            ),
        ] {
            page.gauge(name, help, &[], value as f64);
        }
        memory(&mut page, &stats);
        page.gauge(
            "ringwall_docs",
            "Documents in the shard copies of this node.",
            &[],
            stats.numbers.docs as f64,
        );
        page.gauge(
            "ringwall_store_bytes",
            "Bytes of the shard copies of this node.",
            &[],
            stats.numbers.store_bytes as f64,
        );
        page.gauge(
            "ringwall_cluster_nodes",
            "Nodes in the cluster.",
            &[],
            state.nodes.len() as f64,
        );
        page.gauge(
            "ringwall_cluster_status",
            "0 green, 1 yellow, 2 red.",
            &[],
            state.health(&[]).status as u8 as f64,
        );
        page.gauge(
            "ringwall_cluster_has_master",
            "Whether this node knows a living master.",
            &[],
            f64::from(services.cluster.master().is_some()),
        );
        for context in &tls.contexts {
            for certificate in &context.certificates {
                let labels = [
                    ("context", context.name.as_str()),
                    ("path", &certificate.path),
                    ("subject", &certificate.subject),
                    ("serial", &certificate.serial),
                    (
                        "own",
                        if certificate.has_private_key {
                            "true"
                        } else {
                            "false"
                        },
                    ),
                ];
                let help = "End of a TLS certificate in use, seconds since the epoch.";
                page.gauge(
                    "ringwall_tls_certificate_not_after_seconds",
                    help,
                    &labels,
                    certificate.not_after as f64,
                );
            }
        }
        for context in &tls.contexts {
            for list in &context.revocation_lists {
                let labels = [
                    ("context", context.name.as_str()),
                    ("path", &list.path),
                    ("issuer", &list.issuer),
                    ("number", &list.number),
                ];
                let help = "When the successor of a certificate revocation list in use is due, seconds since the epoch.";
                page.gauge(
                    "ringwall_tls_revocation_list_next_update_seconds",
                    help,
                    &labels,
                    list.next_update as f64,
                );
            }
        }
        for context in &tls.contexts {
            let failed = f64::from(context.reload_error.is_some());
            let help = "Whether changed TLS files could not be loaded.";
            page.gauge(
                "ringwall_tls_reload_failed",
                help,
                &[("context", &context.name)],
                failed,
            );
        }
        let plain = tls.links.iter().filter(|link| !link.encrypted).count();
        page.gauge(
            "ringwall_transport_unencrypted_links",
            "Links to other nodes without TLS.",
            &[],
            plain as f64,
        );
        Ok(MetricsResponse { text: page.text })
    }
}

#[derive(Default)]
struct Page {
    text: String,
    last: &'static str,
}

impl Page {
    fn gauge(&mut self, name: &'static str, help: &str, labels: &[(&str, &str)], value: f64) {
        // Writing to a text does not fail.
        if self.last != name {
            let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            self.last = name;
        }
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_help_is_said_once() {
        let mut page = Page::default();
        page.gauge("a", "A.", &[("x", "say \"hi\"\\")], 1.0);
        page.gauge("a", "A.", &[("x", "b")], 2.5);
        assert_eq!(
            page.text,
            "# HELP a A.\n# TYPE a gauge\na{x=\"say \\\"hi\\\"\\\\\"} 1\na{x=\"b\"} 2.5\n"
        );
    }
}
