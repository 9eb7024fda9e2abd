//! What a dialled peer's answer means, in words. Decisions only, no I/O.

use ringwall_base::{NodeId, VERSION};
use ringwall_node::preflight::{ConnectError, NodeIdentity, Seen};
use ringwall_settings::VerificationMode;
use ringwall_tls::{Doubt, FailureReason, HandshakeFailure, PeerRole, Speaks, SslContext};
use serde_json::{Value, json};

use super::contexts::{certificate_json, describe};
use super::finding::{Finding, Status};
use super::peer::{Answer, Outcome, Peer, PeerLayer};

/// Returns whether the failure may come of one side with TLS and one without.
pub(super) fn may_be_the_protocol(error: &ConnectError, seen: &Seen) -> bool {
    match error {
        ConnectError::Tls(failure) => matches!(
            failure.reason(),
            FailureReason::Plaintext(_)
                | FailureReason::Closed
                | FailureReason::Io(_)
                | FailureReason::Timeout { .. }
                | FailureReason::Protocol(_)
        ),
        ConnectError::Handshake { .. } => seen.protocol.is_none(),
        ConnectError::Timeout { stage, .. } => {
            !BEFORE_TLS.contains(stage) && seen.protocol.is_none()
        }
        _ => false,
    }
}

/// What is known of this node.
pub(super) struct Own<'a> {
    /// The id it keeps in its data path.
    pub(super) id: Option<NodeId>,
    /// `node.name`.
    pub(super) name: String,
    /// The context that was dialled with, and that of the other layer.
    pub(super) tls: Option<&'a SslContext>,
    pub(super) other_tls: Option<&'a SslContext>,
    /// Whether it talks without TLS, too, to those that have none.
    pub(super) dual_stack: bool,
}

/// Explains one address. `any_good` tells whether another address of the same peer answered.
pub(super) fn judge(peer: &Peer, outcome: &Outcome, any_good: bool, own: &Own<'_>) -> Vec<Finding> {
    let mut findings = match &outcome.result {
        Ok(answer) => {
            let mut findings = vec![good(peer, outcome, answer, own)];
            findings.extend(same_data(peer, answer, own));
            findings.extend(as_client(peer, outcome, answer, own));
            findings
        }
        Err(error) => vec![bad(peer, outcome, error, any_good, own)],
    };
    let expiry = outcome.seen.certificate.as_ref();
    if let Some(info) = expiry.and_then(|identity| identity.info.as_ref()) {
        let days = crate::commands::certutil::days_left(info, jiff::Timestamp::now());
        if days < WARN_DAYS {
            let message = format!(
                "the certificate of [{}] ends soon: {}",
                peer.address,
                describe(info)
            );
            let finding = Finding::warning("peer_certificate_ends", one_line(&message));
            findings
                .push(finding.action("renew it on that node; `ringwall doctor` there tells how"));
        }
    }
    if let Ok(Answer::Node(node)) = &outcome.result
        && node.version != VERSION
    {
        let message = format!(
            "[{}] runs version [{}], this program is version [{VERSION}]",
            peer.address, node.version
        );
        let finding = Finding::warning("peer_version", one_line(&message));
        findings.push(finding.action("upgrade the older node when you can"));
    }
    findings
}

/// The id of a node is kept in its data path.
fn same_data(peer: &Peer, answer: &Answer, own: &Own<'_>) -> Option<Finding> {
    let Answer::Node(node) = answer else {
        return None;
    };
    if own.id != Some(node.id) || node.name == own.name {
        return None;
    }
    let message = format!(
        "the data path of this node, [{}], is that of the node [{}] at [{}]",
        own.name, node.name, peer.address
    );
    let finding = Finding::error("data_path", one_line(&message)).setting("path.data");
    Some(finding.action(
        "give each node a [path.data] of its own, empty at its first start; copying a data path copies the identity of \
         the node",
    ))
}

/// A node is server and client: one that answers well may be refused where it dials.
fn as_client(peer: &Peer, outcome: &Outcome, answer: &Answer, own: &Own<'_>) -> Option<Finding> {
    let (Answer::Node(node), Some(tls)) = (answer, own.tls) else {
        return None;
    };
    let chain = &outcome.seen.certificate.as_ref()?.chain;
    let reason = tls.would_trust(chain, PeerRole::Client, None).err()?;
    if own.id == Some(node.id) {
        return None;
    }
    let message = format!(
        "the node [{}] at [{}] would be refused where it dials this node: {}",
        node.name,
        peer.address,
        reason.detail()
    );
    let finding = Finding::error("peer_as_client", one_line(&message)).setting(peer.layer.prefix());
    Some(finding.action(match reason {
        FailureReason::WrongUsage { .. } => {
            "issue that node a certificate with both serverAuth and clientAuth, or without extendedKeyUsage"
        }
        _ => "issue that node another certificate; `ringwall doctor` there tells what is wrong with it",
    }))
}

const DUAL_STACK: &str = "xpack.security.transport.ssl.dual_stack.enabled";

fn good(peer: &Peer, outcome: &Outcome, answer: &Answer, own: &Own<'_>) -> Finding {
    let place = place(peer, outcome);
    let who = match answer {
        Answer::Http(line) => format!("HTTP answers [{line}]"),
        Answer::Node(node) => format!(
            "the node [{}]{} of the cluster [{}]{} answers",
            node.name,
            if own.id == Some(node.id) {
                " (this node itself)"
            } else {
                ""
            },
            node.cluster_name,
            match &node.cluster_uuid {
                Some(uuid) => format!(" with UUID [{uuid}]"),
                None => String::new(),
            },
        ),
    };
    let Some(protocol) = outcome.seen.protocol else {
        let message = format!("{place}: {who}, without TLS");
        return match peer.layer {
            PeerLayer::Transport => Finding::warning("peer", one_line(&message))
                .action("turn on TLS between nodes: anybody on the network can read and forge what they say"),
            PeerLayer::Http => Finding::warning("peer", one_line(&message)).action("turn on HTTPS"),
        };
    };
    let cipher = outcome.seen.cipher_suite.as_deref().unwrap_or("unknown");
    let mut message = format!("{place}: TLS is fine ({protocol}, {cipher}); {who}");
    if let Some(info) = outcome
        .seen
        .certificate
        .as_ref()
        .and_then(|seen| seen.info.as_ref())
    {
        message.push_str(&format!("; it shows the certificate {}", describe(info)));
    }
    if let (Some(modes), Some(tls)) = (modes(outcome, own.tls), own.tls)
        && tls.config().verification_mode == VerificationMode::Certificate
    {
        let word = if modes.full { "would" } else { "would not" };
        message.push_str(&format!(
            "; verification_mode [full] {word} accept it as [{}]",
            outcome.host
        ));
    }
    Finding::ok("peer", one_line(&message))
}

fn bad(
    peer: &Peer,
    outcome: &Outcome,
    error: &ConnectError,
    any_good: bool,
    own: &Own<'_>,
) -> Finding {
    if own.dual_stack && outcome.speaks == Some(Speaks::Plaintext) {
        let message = format!(
            "{}: that side has no TLS yet, so the nodes talk without it while [{DUAL_STACK}] is [true]",
            place(peer, outcome)
        );
        let prefix = peer.layer.prefix();
        return Finding::warning("peer", one_line(&message))
            .setting(DUAL_STACK)
            .action(format!(
                "turn on TLS there: [{prefix}.enabled], with certificates of the same CA"
            ));
    }
    let is_absent = match error {
        ConnectError::Resolve { .. } | ConnectError::Tcp { .. } => true,
        ConnectError::Timeout { stage, .. } => BEFORE_TLS.contains(stage),
        _ => false,
    };
    let status = match (is_absent, any_good, peer.is_seed) {
        // Of a name with several addresses one is enough.
        (true, true, _) => Status::Ok,
        (true, false, true) => Status::Warning,
        _ => Status::Error,
    };
    let (message, action) = explain(peer, outcome, error, own);
    let message = format!("{}: {message}", place(peer, outcome));
    let finding = Finding::new(status, check(error), one_line(&message));
    let finding = match (is_absent, peer.is_seed) {
        (true, true) => finding.setting("discovery.seed_hosts"),
        (true, false) => finding,
        (false, _) => finding.setting(peer.layer.prefix()),
    };
    match status {
        Status::Ok => finding,
        _ => finding.action(action),
    }
}

/// Returns what happened and what to do.
fn explain(
    peer: &Peer,
    outcome: &Outcome,
    error: &ConnectError,
    own: &Own<'_>,
) -> (String, String) {
    let prefix = peer.layer.prefix();
    match (outcome.speaks, own.tls) {
        (Some(Speaks::Tls), None) => {
            return (
                "TLS is off here, and the other side speaks TLS".to_owned(),
                format!(
                    "set [{prefix}.enabled] to [true] on this node, with certificates of the same CA"
                ),
            );
        }
        (Some(Speaks::Plaintext), Some(_)) => {
            return (
                "TLS is on here, and the other side speaks plain text".to_owned(),
                format!("set [{prefix}.enabled] to [true] on that node, or correct the port"),
            );
        }
        _ => {}
    }
    let text = error.to_string();
    match error {
        ConnectError::Resolve { .. } => (
            text,
            "correct the name, add it to DNS or /etc/hosts, or dial the IP address".to_owned(),
        ),
        ConnectError::Tcp { .. } => (
            text,
            format!(
                "see that the node there runs, listens on this address ([{0}.host]) and this port ([{0}.port]), and \
                 that no firewall refuses",
                peer.layer.word()
            ),
        ),
        ConnectError::Timeout { stage, .. } if *stage == "connect" => (
            text,
            "the machine is down, or a firewall drops what is sent to this port".to_owned(),
        ),
        ConnectError::Timeout { .. } => (
            format!("{text}{}", tls_was_fine(&outcome.seen)),
            format!(
                "somebody listens there who is no node of this kind, or is overloaded: check that the port is its {} port",
                peer.layer.word()
            ),
        ),
        ConnectError::Tls(failure) => handshake(failure, own),
        ConnectError::Refused { refusal, .. } => (
            format!("{text}{}", tls_was_fine(&outcome.seen)),
            refusal.remedy().to_owned(),
        ),
        _ => (
            format!("{text}{}", tls_was_fine(&outcome.seen)),
            match peer.layer {
                PeerLayer::Transport => {
                    "check that the port is a transport port; `--layer http` dials HTTP ports"
                        .to_owned()
                }
                PeerLayer::Http => "check that the port is an HTTP port".to_owned(),
            },
        ),
    }
}

fn layer_of(failure: &HandshakeFailure) -> PeerLayer {
    match failure.context() == PeerLayer::Http.prefix() {
        true => PeerLayer::Http,
        false => PeerLayer::Transport,
    }
}

/// Returns whether this node itself would refuse its certificate.
fn own_is_bad(own: &Own<'_>) -> bool {
    let doubts = own.tls.map(|tls| tls.checkup(&[])).unwrap_or_default();
    doubts.iter().any(Doubt::is_fatal)
}

fn tls_was_fine(seen: &Seen) -> String {
    match (seen.protocol, &seen.cipher_suite) {
        (Some(protocol), Some(cipher)) => {
            format!("; the TLS handshake itself succeeded ({protocol}, {cipher})")
        }
        _ => String::new(),
    }
}

fn handshake(failure: &HandshakeFailure, own: &Own<'_>) -> (String, String) {
    let (mut message, mut action) = (failure.what(), failure.remedy());
    match failure.reason() {
        FailureReason::PeerRejectedUs { alert } => {
            if let Some(shown) = failure.own_certificate() {
                message.push_str(&format!(
                    "; the certificate of this node is {}",
                    describe(shown)
                ));
                if own_is_bad(own) {
                    action = "mend first what this report says of the certificate of this node"
                        .to_owned();
                } else if OWN_TRUST_ALERTS.contains(&alert.as_str()) {
                    action = format!(
                        "the certificate of this node is of the CA [{}]: compare with the CA that the certificate of \
                         that node is of, and that it trusts; {action}",
                        shown.issuer
                    );
                }
            }
            if alert == "no_application_protocol" {
                let layer = layer_of(failure).word();
                action = format!("check that the port is the {layer} port of a node");
            }
        }
        FailureReason::NameMismatch { .. } | FailureReason::UnverifiableName { .. } => {
            message.push_str(
                "; everything else is fine: verification_mode [certificate] would accept it",
            );
        }
        FailureReason::Closed => {
            let layer = layer_of(failure).word();
            action.push_str(&format!(
                "; an IP filter there ([xpack.security.{layer}.filter]) closes, too"
            ));
        }
        // Every CA of certutil has one name unless told otherwise.
        FailureReason::UntrustedIssuer {
            issuer,
            same_subject_different_key: false,
            ..
        } => {
            let others = own.other_tls.map(SslContext::trusted).unwrap_or_default();
            if others.iter().any(|known| known.subject == *issuer) {
                action = format!(
                    "check the port: that CA is the one of this node's other layer (transport and HTTP ports may \
                     be mixed up); else {action}"
                );
            }
        }
        _ => {}
    }
    if failure.peer_role() == PeerRole::Server
        && let Some(certificate) = failure.certificate()
    {
        message.push_str(&format!(
            "; SHA-256 fingerprint [{}]",
            certificate.fingerprint_sha256
        ));
        if let Some(tls) = own.tls {
            let config = tls.config();
            let files = config.files().into_iter();
            let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
            message.push_str(&format!(
                "; the files of this context are [{}]",
                files.join(", ")
            ));
        }
    }
    (message, action)
}

/// Which verification modes accept the peer.
struct Modes {
    certificate: bool,
    full: bool,
}

/// Returns which modes would accept, where that is known.
fn modes(outcome: &Outcome, tls: Option<&SslContext>) -> Option<Modes> {
    let tls = tls?;
    if let Err(ConnectError::Tls(failure)) = &outcome.result {
        return match failure.reason() {
            FailureReason::NameMismatch { .. } | FailureReason::UnverifiableName { .. } => {
                Some(Modes {
                    certificate: true,
                    full: false,
                })
            }
            _ if failure.certificate().is_some() => Some(Modes {
                certificate: false,
                full: false,
            }),
            _ => None,
        };
    }
    // With `none` nobody has looked at the chain.
    let verified = tls.config().verification_mode != VerificationMode::None;
    let certificate = outcome.seen.certificate.as_ref().filter(|_| verified)?;
    Some(Modes {
        certificate: true,
        full: certificate.names(&outcome.host),
    })
}

/// Returns what is known of the peer, for scripts.
pub(super) fn to_json(
    peer: &Peer,
    outcome: &Outcome,
    findings: &[Finding],
    tls: Option<&SslContext>,
) -> Value {
    let shown = outcome
        .seen
        .certificate
        .as_ref()
        .and_then(|seen| seen.info.as_ref());
    let refused = match &outcome.result {
        Err(ConnectError::Tls(failure)) => failure.certificate(),
        _ => None,
    };
    let status = findings.iter().map(|finding| finding.status).max();
    let node: Option<&NodeIdentity> = match &outcome.result {
        Ok(Answer::Node(node)) => Some(node),
        Err(ConnectError::Refused { node, .. }) => Some(node),
        _ => None,
    };
    json!({
        "peer": peer.address,
        "layer": peer.layer.word(),
        "is_seed_host": peer.is_seed,
        "address": outcome.address.map(|address| address.to_string()),
        "status": status.unwrap_or(Status::Ok).word(),
        "reason": outcome.result.as_ref().err().map(ConnectError::kind),
        "protocol": outcome.seen.protocol,
        "cipher_suite": outcome.seen.cipher_suite,
        "certificate": shown.or(refused).map(certificate_json),
        "accepted_by": modes(outcome, tls).map(|modes| json!({"certificate": modes.certificate, "full": modes.full})),
        "node": node.map(|node| json!({
            "name": node.name,
            "id": node.id.to_string(),
            "version": node.version,
            "cluster_name": node.cluster_name,
            "cluster_uuid": node.cluster_uuid,
            "publish_address": node.publish_address,
        })),
    })
}

fn check(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Resolve { .. } => "peer_resolve",
        ConnectError::Tcp { .. } => "peer_connect",
        ConnectError::Timeout { .. } => "peer_timeout",
        ConnectError::Tls(_) => "peer_tls",
        ConnectError::Refused { .. } => "peer_refused",
        _ => "peer_handshake",
    }
}

/// A peer's own words must not look like another finding.
fn one_line(message: &str) -> String {
    message.replace('\n', " ")
}

fn place(peer: &Peer, outcome: &Outcome) -> String {
    let layer = peer.layer.word();
    match outcome.address {
        Some(address) if address.to_string() != peer.address => {
            format!("{layer} of [{}] ({address})", peer.address)
        }
        _ => format!("{layer} of [{}]", peer.address),
    }
}

/// The steps of a dial that say nothing of the node.
const BEFORE_TLS: [&str; 2] = ["host resolution", "connect"];
/// Alerts that say that the peer does not trust who issued our certificate.
const OWN_TRUST_ALERTS: [&str; 4] = [
    "unknown_ca",
    "certificate_unknown",
    "bad_certificate",
    "decrypt_error",
];
const WARN_DAYS: i64 = 30;
