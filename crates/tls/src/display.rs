//! The words of a [`HandshakeFailure`](crate::HandshakeFailure).
//!
//! The first clauses follow Elasticsearch's `DiagnosticTrustManager`, whose phrases operators search
//! for (source: Elasticsearch reference, "SSLHandshakeException causes connections to fail"); the last clause says
//! what to do.

use std::fmt::{Display, Formatter, Result, Write};

use ringwall_pki::CertificateInfo;

use crate::expiry::since;
use crate::failure::{
    ContextFacts, Details, FailureReason, PeerRole, TrustedIssuer, is_no_authority,
};
use crate::remedy::write_remedy;
use crate::sniff::PlaintextKind;

/// Writes the whole explanation as one line, whatever the peer put into its certificate.
pub(crate) fn write_failure(f: &mut dyn Write, failure: &Details) -> Result {
    let remedy = one_line(|f| write_remedy(f, failure));
    f.write_str(&one_line(|f| write_what(f, failure)))?;
    match remedy.as_str() {
        "" => Ok(()),
        remedy => write!(f, "; {remedy}"),
    }
}

/// Returns what was written, without line breaks and within bounds.
pub(crate) fn one_line(write: impl FnOnce(&mut dyn Write) -> Result) -> String {
    let mut line = String::new();
    let mut bounded = OneLine {
        f: &mut line,
        left: LINE_CHARS,
    };
    // Writing to a text does not fail.
    let _ = write(&mut bounded);
    line
}

/// Writes who failed and why, without what to do.
pub(crate) fn write_what(f: &mut dyn Write, failure: &Details) -> Result {
    let role = failure.subject.role;
    let peer = failure.subject.peer;
    if failure.reason.is_distrust() {
        write!(f, "failed to establish trust with {role} at [{peer}]; ")?;
        write_certificate(f, failure)?;
        return write_distrust(f, failure);
    }
    match &failure.reason {
        FailureReason::Plaintext(kind) => write_plaintext(f, failure, *kind),
        FailureReason::PeerRejectedUs { alert } => write_rejection(f, failure, alert),
        FailureReason::Incompatible(detail) => write!(
            f,
            "the {role} at [{peer}] has no TLS version or cipher suite in common with this ssl context ([{}]): {detail}",
            failure.subject.context.name
        ),
        FailureReason::Timeout { after } => write!(
            f,
            "the TLS handshake with the {role} at [{peer}] did not finish within {after:?}; it may be \
             overloaded, unreachable, or not speak TLS"
        ),
        FailureReason::Closed if role == PeerRole::Server => write!(
            f,
            "the server at [{peer}] closed the connection during the TLS handshake"
        ),
        FailureReason::Closed => write!(f, "connection [{peer}] closed during handshake"),
        FailureReason::Io(error) => {
            write!(
                f,
                "connection to the {role} at [{peer}] failed during the TLS handshake: {error}"
            )
        }
        FailureReason::NoKey => write!(
            f,
            "cannot accept TLS from [{peer}]: the ssl context ([{}]) has no private key",
            failure.subject.context.name
        ),
        FailureReason::TooManyFailures => write!(
            f,
            "closing the connection of [{peer}] before its TLS handshake: the handshakes of this address keep failing, \
             and too many of them are waiting"
        ),
        reason => write!(
            f,
            "the {role} at [{peer}] broke the TLS protocol: {}",
            match reason {
                FailureReason::Protocol(detail) => detail.as_str(),
                other => other.kind(),
            }
        ),
    }
}

/// Writes what the peer showed: name, fingerprint, serial, dates, names, signers.
fn write_certificate(f: &mut dyn Write, failure: &Details) -> Result {
    let role = failure.subject.role;
    let Some(leaf) = failure.chain.first() else {
        return match failure.reason {
            FailureReason::NoCertificate => write!(f, "the {role} did not provide a certificate"),
            _ => write!(
                f,
                "the {role} provided a certificate that cannot be decoded"
            ),
        };
    };
    write!(
        f,
        "the {role} provided a certificate with subject name [{}], fingerprint [{}], {}, serial number [{}]; \
         the certificate is valid between [{}] and [{}] (current time is [{}], {})",
        leaf.subject,
        leaf.fingerprint_sha1,
        Usages(leaf),
        leaf.serial,
        leaf.not_before,
        leaf.not_after,
        failure.at.round(jiff::Unit::Second).unwrap_or(failure.at),
        date_remark(leaf, failure)
    )?;
    write_names(f, leaf)?;
    write_signers(f, failure, leaf)
}

fn date_remark(leaf: &CertificateInfo, failure: &Details) -> &'static str {
    if failure.at > leaf.not_after {
        "the certificate has expired"
    } else if failure.at < leaf.not_before {
        "the certificate is not yet valid"
    } else {
        "certificate dates are valid"
    }
}

fn write_names(f: &mut dyn Write, leaf: &CertificateInfo) -> Result {
    if leaf.subject_alternative_names.is_empty() {
        return f.write_str("; the certificate does not have any subject alternative names");
    }
    f.write_str("; the certificate has subject alternative names [")?;
    write_list(f, leaf.subject_alternative_names.iter())?;
    f.write_char(']')
}

fn write_signers(f: &mut dyn Write, failure: &Details, leaf: &CertificateInfo) -> Result {
    if leaf.subject == leaf.issuer {
        return f.write_str("; the certificate is self-issued");
    }
    let [_, signers @ ..] = failure.chain.as_slice() else {
        return Ok(());
    };
    if signers.is_empty() {
        return write!(
            f,
            "; the certificate is issued by [{}] but the {} did not provide a copy of the issuing certificate \
             in the certificate chain",
            leaf.issuer, failure.subject.role
        );
    }
    f.write_str("; the certificate is")?;
    for signer in signers.iter().take(SHOWN_SIGNERS) {
        write!(
            f,
            " signed by (subject [{}] fingerprint [{}])",
            signer.subject, signer.fingerprint_sha1
        )?;
    }
    match signers.last() {
        Some(top) if top.subject == top.issuer => f.write_str(" which is self-issued"),
        Some(top) => write!(
            f,
            " which is issued by [{}] (but that issuer certificate was not provided in the chain)",
            top.issuer
        ),
        None => Ok(()),
    }
}

/// Writes why the certificate is refused, and whom this side trusts.
fn write_distrust(f: &mut dyn Write, failure: &Details) -> Result {
    write_rule(f, failure)?;
    match failure.reason {
        // The rule itself is about the trust, and tells.
        FailureReason::NoCertificate | FailureReason::UntrustedIssuer { .. } => Ok(()),
        _ => write_trusted_here(f, failure),
    }
}

/// Writes whether the issuer is trusted here, and by which files.
fn write_trusted_here(f: &mut dyn Write, failure: &Details) -> Result {
    let context = &failure.subject.context;
    let named = |issuer: &TrustedIssuer| {
        let subject = |certificate: &CertificateInfo| certificate.issuer.to_string();
        failure
            .chain
            .iter()
            .map(subject)
            .any(|s| s == issuer.subject)
    };
    match context.issuers.iter().find(|issuer| named(issuer)) {
        Some(issuer) => write!(
            f,
            "; the issuing certificate with fingerprint [{}] is trusted in this ssl context ([{}])",
            issuer.fingerprint,
            Context(context)
        ),
        None => write!(
            f,
            "; this ssl context ([{}]) trusts {}",
            Context(context),
            Issuers(&context.issuers)
        ),
    }
}

/// Writes the rule that the certificate breaks.
fn write_rule(f: &mut dyn Write, failure: &Details) -> Result {
    let context = &failure.subject.context;
    let role = failure.subject.role;
    match &failure.reason {
        FailureReason::NoCertificate => {
            write!(
                f,
                ", which this ssl context ([{}]) requires",
                Context(context)
            )
        }
        FailureReason::UntrustedIssuer {
            issuer,
            self_issued,
            trusted,
            same_subject_different_key,
        } => {
            if *same_subject_different_key {
                write_same_name(f, context, issuer, trusted)?;
                write_both(f, failure, issuer)
            } else {
                write_unknown_issuer(f, context, issuer, *self_issued, trusted)
            }
        }
        FailureReason::Expired { subject, not_after } => {
            write!(
                f,
                "; certificate [{subject}] expired on [{not_after}], {}",
                since(*not_after, failure.at)
            )
        }
        FailureReason::NotYetValid {
            subject,
            not_before,
        } => write!(
            f,
            "; certificate [{subject}] is not valid before [{not_before}]"
        ),
        FailureReason::IssuerIsNoAuthority { issuer } => {
            write!(f, "; {}", is_no_authority(issuer))
        }
        FailureReason::Revoked { subject, serial } => write!(
            f,
            "; certificate [{subject}] with serial number [{serial}] is revoked: a file of \
             [{}.certificate_revocation_lists] names it",
            context.name
        ),
        FailureReason::Restricted {
            names,
            trusted,
            file,
            fields,
        } => {
            let trusted = trusted
                .iter()
                .map(|(name, line)| format!("{name} (line {line})"));
            let trusted: Vec<String> = trusted.collect();
            write!(
                f,
                "; certificate with common-names [{}] does not match the trusted names [{}] of the file [{}]; \
                 [{}.trust_restrictions.x509_fields] is [{}]",
                names.join(", "),
                trusted.join(", "),
                file.display(),
                context.name,
                fields.join(", ")
            )
        }
        FailureReason::UnverifiableName { dialled } => write!(
            f,
            "; the host name dialled, [{dialled}], has an underscore, and no certificate can vouch for such a \
             name (RFC 5280 4.2.1.6)"
        ),
        FailureReason::NameMismatch { dialled, .. } => write!(
            f,
            "; the issuer is trusted by this ssl context ([{}]), but the certificate is not valid for \
             [{dialled}], the address dialled",
            context.name
        ),
        FailureReason::WrongUsage { detail } => write!(
            f,
            "; the certificate cannot be used for a TLS {role}: {detail}"
        ),
        FailureReason::BadCertificate(detail) => {
            write!(f, "; the certificate is not acceptable: {detail}")
        }
        _ => Ok(()),
    }
}

fn write_same_name(
    f: &mut dyn Write,
    context: &ContextFacts,
    issuer: &str,
    trusted: &[TrustedIssuer],
) -> Result {
    let same: Vec<&TrustedIssuer> = trusted.iter().filter(|t| t.subject == issuer).collect();
    write!(
        f,
        "; this ssl context ([{}]) trusts [{}] certificate{} with subject name [{issuer}] and fingerprint [",
        Context(context),
        same.len(),
        if same.len() == 1 { "" } else { "s" },
    )?;
    write_list(f, same.iter().map(|t| &t.fingerprint))?;
    write!(
        f,
        "] but the signatures do not match: the CA was created again under the same name"
    )
}

/// Writes which side has which of two authorities of one name.
fn write_both(f: &mut dyn Write, failure: &Details, issuer: &str) -> Result {
    let context = &failure.subject.context;
    let own: Vec<&str> = context
        .issuers
        .iter()
        .filter(|trusted| trusted.subject == issuer)
        .map(|trusted| trusted.fingerprint.as_str())
        .collect();
    let (role, peer) = (failure.subject.role, failure.subject.peer);
    write!(
        f,
        "; this node has the one with fingerprint [{}]{}, the {role} at [{peer}] ",
        own.join(", "),
        match &context.files.trust {
            Some(file) => format!(" in [{}]", file.display()),
            None => String::new(),
        }
    )?;
    let shown = failure.chain.iter().skip(1);
    let shown = shown
        .rev()
        .find(|signer| signer.subject.to_string() == issuer);
    let key_id = failure
        .chain
        .last()
        .and_then(|top| top.authority_key_id.as_ref());
    match (shown, key_id) {
        (Some(shown), _) => write!(
            f,
            "shows the one with fingerprint [{}]",
            shown.fingerprint_sha1
        ),
        (None, Some(key_id)) => write!(
            f,
            "has a certificate of the one with subject key identifier [{key_id}], which it does not show"
        ),
        (None, None) => f.write_str("has a certificate of the other, which it does not show"),
    }
}

fn write_unknown_issuer(
    f: &mut dyn Write,
    context: &ContextFacts,
    issuer: &str,
    self_issued: bool,
    trusted: &[TrustedIssuer],
) -> Result {
    if self_issued {
        write!(
            f,
            "; the [{issuer}] certificate is not trusted in this ssl context ([{}]), which trusts {}",
            Context(context),
            Issuers(trusted)
        )
    } else {
        write!(
            f,
            "; this ssl context ([{}]) is not configured to trust that issuer [{issuer}]",
            Context(context)
        )?;
        match trusted {
            [] => f.write_str(" or any other issuer"),
            [only] => write!(
                f,
                ", it only trusts the issuer [{}] with fingerprint [{}]",
                only.subject, only.fingerprint
            ),
            many => write!(
                f,
                " but trusts [{}] other issuers ({})",
                many.len(),
                Issuers(many)
            ),
        }
    }
}

/// The sentences for peers that do not speak TLS. Source: Elasticsearch reference, "Common SSL/TLS exceptions".
fn write_plaintext(f: &mut dyn Write, failure: &Details, kind: PlaintextKind) -> Result {
    let peer = failure.subject.peer;
    let name = &failure.subject.context.name;
    if failure.subject.role == PeerRole::Server {
        return write!(
            f,
            "the server at [{peer}] answered the TLS handshake with {}",
            match kind {
                PlaintextKind::Http | PlaintextKind::Http2 => "HTTP without TLS",
                PlaintextKind::ElasticsearchTransport =>
                    "Elasticsearch's transport protocol without TLS",
                PlaintextKind::ProxyProtocol => "the PROXY protocol",
                PlaintextKind::Other => "something that is not TLS",
            }
        );
    }
    let what = match kind {
        PlaintextKind::Http => "an HTTP request",
        PlaintextKind::Http2 => "an HTTP/2 request",
        PlaintextKind::ElasticsearchTransport => "a message of Elasticsearch's transport protocol",
        PlaintextKind::ProxyProtocol => "the header of the PROXY protocol",
        PlaintextKind::Other => "bytes that are not TLS",
    };
    let remedy = match kind {
        PlaintextKind::ElasticsearchTransport => Some(
            "an Elasticsearch node or an old transport client dials without TLS; this node speaks another \
             transport protocol, point it elsewhere",
        ),
        PlaintextKind::ProxyProtocol => Some(
            "turn it off in the proxy or load balancer in front of this port, which must forward TCP unchanged",
        ),
        _ => None,
    };
    if let Some(remedy) = remedy {
        let channel = match failure.subject.context.is_http {
            true => "https",
            false => "encrypted",
        };
        return write!(
            f,
            "received plaintext traffic on an {channel} channel, closing connection [{peer}]; it sent {what}: {remedy}"
        );
    }
    if failure.subject.context.is_http {
        let protocol = if kind == PlaintextKind::Other {
            ""
        } else {
            " http"
        };
        write!(
            f,
            "received plaintext{protocol} traffic on an https channel, closing connection [{peer}]; it sent {what}: \
             the client must use https://"
        )
    } else {
        write!(
            f,
            "received plaintext traffic on an encrypted channel, closing connection [{peer}]; it sent {what}: \
             enable TLS on that node as on this one ([{name}.enabled: true]), or point HTTP clients at the HTTP port"
        )
    }
}

fn write_rejection(f: &mut dyn Write, failure: &Details, alert: &str) -> Result {
    let context = &failure.subject.context;
    let peer = failure.subject.peer;
    let own = Own(context);
    let offer = Offer(context, alert);
    if failure.subject.role == PeerRole::Client {
        let who = if context.is_http {
            "http client"
        } else {
            "client"
        };
        return if is_about_certificates(alert) {
            write!(
                f,
                "{who} did not trust this server's certificate, closing connection [{peer}]; it sent the TLS alert \
                 [{alert}] ({}); {own}",
                meaning(alert, context.own.is_some())
            )
        } else {
            write!(
                f,
                "{who} at [{peer}] ended the TLS handshake with the alert [{alert}] ({}){offer}",
                meaning(alert, context.own.is_some())
            )
        };
    }
    write!(
        f,
        "the server at [{peer}] rejected this node with the TLS alert [{alert}] ({}){offer}; {own}",
        meaning(alert, context.own.is_some())
    )
}

/// What this side offers, where the alert is about that.
struct Offer<'a>(&'a ContextFacts, &'a str);

impl Display for Offer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(context, alert) = self;
        let name = &context.name;
        let (protocols, suites) = (
            context.protocols.join(", "),
            context.cipher_suites.join(", "),
        );
        match *alert {
            "protocol_version" => write!(
                f,
                "; this side offers [{protocols}] by [{name}.supported_protocols]"
            ),
            "handshake_failure" | "insufficient_security" => write!(
                f,
                "; this side offers [{suites}] by [{name}.cipher_suites], with [{protocols}]"
            ),
            _ => Ok(()),
        }
    }
}

pub(crate) fn is_about_certificates(alert: &str) -> bool {
    matches!(
        alert,
        "bad_certificate"
            | "unsupported_certificate"
            | "certificate_revoked"
            | "certificate_expired"
            | "certificate_unknown"
            | "unknown_ca"
            | "decrypt_error"
            | "access_denied"
    )
}

/// Returns what an alert says about us.
fn meaning(alert: &str, have_certificate: bool) -> &'static str {
    match alert {
        "certificate_required" | "no_certificate" => "it requires a certificate and was given none",
        "bad_certificate" | "handshake_failure" if !have_certificate => {
            "it may require a certificate, and this side has none"
        }
        "unknown_ca" => "it does not trust the CA that issued the certificate shown by this side",
        "certificate_unknown" => "it does not trust the certificate shown by this side",
        "bad_certificate" => {
            "it does not accept the certificate shown by this side, for example because of the name dialled"
        }
        "certificate_expired" => {
            "by its clock the certificate shown by this side has expired or is not yet valid"
        }
        "certificate_revoked" => "the certificate shown by this side was revoked",
        "unsupported_certificate" => {
            "the extendedKeyUsage of the certificate shown by this side does not permit this use"
        }
        "decrypt_error" => {
            "a signature did not verify: it may trust another CA of the same name as the issuer"
        }
        "access_denied" => "the certificate shown by this side is valid but not allowed",
        "protocol_version" => "no TLS version in common",
        "handshake_failure" | "insufficient_security" => "no cipher suite or key type in common",
        "no_application_protocol" => "no application protocol in common",
        _ => "no further detail",
    }
}

/// Keeps names chosen by a stranger from breaking the log line or flooding the log.
struct OneLine<'a> {
    f: &'a mut dyn Write,
    left: usize,
}

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> Result {
        for c in text.chars() {
            if self.left == 0 {
                return Ok(());
            }
            self.left -= 1;
            if c.is_control() {
                write!(self.f, "{}", c.escape_default())?;
            } else {
                self.f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// The context as Elasticsearch names it in messages.
struct Context<'a>(&'a ContextFacts);

impl Display for Context<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "{} (with trust configuration: {})",
            self.0.name, self.0.trust
        )
    }
}

/// The usages of a certificate, in Elasticsearch's words.
struct Usages<'a>(&'a CertificateInfo);

impl Display for Usages<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.0.key_usage {
            None => f.write_str("no keyUsage")?,
            Some(usages) => write!(f, "keyUsage [{}]", usages.join(", "))?,
        }
        match &self.0.extended_key_usage {
            None => f.write_str(" and no extendedKeyUsage"),
            Some(usages) => write!(f, " and extendedKeyUsage [{}]", usages.join(", ")),
        }
    }
}

/// The certificate shown by this side, and the file it is from.
struct Own<'a>(&'a ContextFacts);

impl Display for Own<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Some(own) = &self.0.own else {
            return f.write_str("this side has no certificate");
        };
        write!(
            f,
            "this side has the certificate with subject name [{}], fingerprint [{}], serial number [{}], subject \
             alternative names [",
            own.subject, own.fingerprint_sha1, own.serial
        )?;
        write_list(f, own.subject_alternative_names.iter())?;
        write!(
            f,
            "], issued by [{}], valid until [{}] (with key configuration: {})",
            own.issuer, own.not_after, self.0.key
        )
    }
}

/// A bounded list of trusted issuers.
pub(crate) struct Issuers<'a>(pub(crate) &'a [TrustedIssuer]);

impl Display for Issuers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0.is_empty() {
            return f.write_str("no issuers");
        }
        f.write_char('[')?;
        write_list(
            f,
            self.0
                .iter()
                .take(SHOWN_ISSUERS)
                .map(|issuer| &issuer.subject),
        )?;
        if self.0.len() > SHOWN_ISSUERS {
            write!(f, " and {} more", self.0.len() - SHOWN_ISSUERS)?;
        }
        f.write_char(']')
    }
}

fn write_list(f: &mut dyn Write, items: impl Iterator<Item = impl Display>) -> Result {
    for (position, item) in items.enumerate() {
        if position > 0 {
            f.write_char(',')?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

const LINE_CHARS: usize = 8192;
const SHOWN_ISSUERS: usize = 9;
const SHOWN_SIGNERS: usize = 5;
