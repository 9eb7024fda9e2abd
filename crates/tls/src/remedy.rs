//! What to do about a failed handshake: the last clause of its line.

use std::fmt::{Result, Write};

use crate::display::{Issuers, is_about_certificates};
use crate::failure::{Details, FailureReason, PeerRole};
use crate::sniff::PlaintextKind;

/// Writes the advice; nothing where there is none to give.
pub(crate) fn write_remedy(f: &mut dyn Write, failure: &Details) -> Result {
    let context = &failure.subject.context;
    let (name, trust) = (&context.name, &context.trust);
    let role = failure.subject.role;
    match &failure.reason {
        FailureReason::NoCertificate => write!(
            f,
            "configure a key and certificate on the {role}, issued by one of {}",
            Issuers(&context.issuers)
        ),
        FailureReason::UntrustedIssuer {
            same_subject_different_key: true,
            ..
        } => write!(
            f,
            "add the CA that issued this certificate to {trust}, or reissue the certificate with the trusted CA"
        ),
        FailureReason::UntrustedIssuer { .. } => write!(
            f,
            "add the missing CA to {trust}, or issue the certificate with a trusted CA"
        ),
        FailureReason::Expired { .. } => write!(
            f,
            "replace it on the {role}, or correct the clock of this host if it is wrong"
        ),
        FailureReason::NotYetValid { .. } => {
            f.write_str("compare the clocks of this host and of the one that issued it")
        }
        FailureReason::Revoked { .. } => write!(f, "issue a new certificate for the {role}"),
        FailureReason::Restricted { .. } => write!(
            f,
            "add a name there, or issue the {role} a certificate that has one"
        ),
        FailureReason::UnverifiableName { .. } => write!(
            f,
            "dial another name or the address, or set [{name}.verification_mode: certificate]"
        ),
        FailureReason::NameMismatch { .. } => write!(
            f,
            "issue a certificate that has it as a subject alternative name, or set \
             [{name}.verification_mode: certificate]"
        ),
        FailureReason::WrongUsage { .. } => write!(
            f,
            "issue one for {role} authentication (node certificates need both serverAuth and clientAuth, or no \
             extendedKeyUsage)"
        ),
        FailureReason::BadCertificate(_) => f.write_str("issue a new one"),
        FailureReason::Plaintext(kind) => write_plaintext(f, failure, *kind),
        FailureReason::PeerRejectedUs { alert } => write_rejected(f, failure, alert),
        FailureReason::Incompatible(_) => write!(
            f,
            "compare [{name}.supported_protocols] and [{name}.cipher_suites] on both sides"
        ),
        FailureReason::Closed if role == PeerRole::Server => {
            f.write_str("check its log, and that TLS is enabled there")
        }
        FailureReason::NoKey => write!(
            f,
            "set [{name}.keystore.path], or [{name}.key] and [{name}.certificate]"
        ),
        FailureReason::TooManyFailures => f.write_str(
            "the lines before this one say why they fail; mend or stop that peer, for which a healthy one at the same \
             address may have to wait",
        ),
        _ => Ok(()),
    }
}

/// An acceptor's sentence tells all in one.
fn write_plaintext(f: &mut dyn Write, failure: &Details, kind: PlaintextKind) -> Result {
    if failure.subject.role == PeerRole::Client {
        return Ok(());
    }
    let name = &failure.subject.context.name;
    match kind {
        PlaintextKind::Http | PlaintextKind::Http2 => write!(
            f,
            "it is an HTTP port: dial the transport port of that node if this is a node's link, or enable TLS there as \
             it is here ([{name}.enabled])"
        ),
        PlaintextKind::ElasticsearchTransport => f.write_str(
            "it is a node of Elasticsearch, which this node cannot join: take its address out of discovery",
        ),
        PlaintextKind::ProxyProtocol => {
            f.write_str("turn it off in the proxy in between, which must forward TCP unchanged")
        }
        PlaintextKind::Other => write!(
            f,
            "check the port, and that TLS is enabled there as it is here ([{name}.enabled])"
        ),
    }
}

fn write_rejected(f: &mut dyn Write, failure: &Details, alert: &str) -> Result {
    let context = &failure.subject.context;
    match failure.subject.role {
        PeerRole::Server => write!(
            f,
            "the log of the server has the reason; this side is configured by [{}]",
            context.name
        ),
        PeerRole::Client if !is_about_certificates(alert) => Ok(()),
        PeerRole::Client if context.is_http => f.write_str("give the client the CA that issued it"),
        PeerRole::Client => f.write_str("compare the trust configuration of both nodes"),
    }
}
