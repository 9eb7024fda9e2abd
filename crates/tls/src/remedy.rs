//! What to do about a failed handshake: the last clause of its line.

use std::fmt::{Result, Write};
use std::path::Path;

use ringwall_pki::CertificateInfo;

use crate::commands;
use crate::display::{Issuers, is_about_certificates};
use crate::failure::{ContextFacts, Details, FailureReason, FileKind, PeerRole};
use crate::sniff::PlaintextKind;

/// Writes the advice; nothing where there is none to give.
pub(crate) fn write_remedy(f: &mut dyn Write, failure: &Details) -> Result {
    let context = &failure.subject.context;
    let name = &context.name;
    let role = failure.subject.role;
    match &failure.reason {
        FailureReason::NoCertificate => write!(
            f,
            "configure a key and certificate on the {role}, issued by one of {}",
            Issuers(&context.issuers)
        ),
        FailureReason::UntrustedIssuer { .. } if write_borrowed(f, context)? => Ok(()),
        FailureReason::UntrustedIssuer {
            same_subject_different_key: true,
            ..
        } => write!(
            f,
            "decide which of the two is the CA of this cluster; give the nodes of the other its certificate to trust, \
             and certificates that it has issued"
        ),
        FailureReason::UntrustedIssuer { issuer, .. } => match failure.chain.last() {
            Some(top) if top.subject == top.issuer => write!(
                f,
                "issue the {role} a certificate of {}; or, if this node is to trust [{issuer}], {}",
                Issuers(&context.issuers),
                trust_it(context, issuer)
            ),
            _ => write!(
                f,
                "the {role} did not send the certificate of its issuer [{issuer}]: append it to the file of \
                 [{name}.certificate] there, or put it into the chain of its keystore; if [{issuer}] is no CA of this \
                 cluster, issue the {role} a certificate of {}",
                Issuers(&context.issuers)
            ),
        },
        FailureReason::IssuerIsNoAuthority { .. } => write_new_authority(f, context),
        FailureReason::Expired { .. } => write!(
            f,
            "replace it on the {role} (`ringwall doctor` there tells how), or correct the clock of this host if it is wrong"
        ),
        FailureReason::NotYetValid { .. } => {
            f.write_str("compare the clocks of this host and of the one that issued it")
        }
        FailureReason::Revoked { .. } => write!(f, "issue a new certificate for the {role}"),
        FailureReason::Restricted {
            names, fields, ..
        } => match names.as_slice() {
            [] => write!(
                f,
                "the certificate has no [{}]: look at the fields that it has, or issue the {role} a certificate with a \
                 trusted name",
                fields.join(", ")
            ),
            names => write!(
                f,
                "add [{}] there, or issue the {role} a certificate with a trusted name",
                names.join(", ")
            ),
        },
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
            "give both sides a common value of [{name}.supported_protocols] and [{name}.cipher_suites], or neither \
             setting"
        ),
        FailureReason::Closed | FailureReason::Io(_) if role == PeerRole::Server => write!(
            f,
            "it may not speak TLS: check that the port is its {} port, that TLS is enabled there, and its log",
            match context.is_http {
                true => "HTTP",
                false => "transport",
            }
        ),
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
        PeerRole::Client if context.is_http => match &context.own_issuer {
            Some(issuer) => write!(
                f,
                "let the client trust the CA [{}]: its certificate has the SHA-256 fingerprint [{}], which the CA file \
                 of the client must have, too",
                issuer.subject, issuer.fingerprint_sha256
            ),
            None => write!(
                f,
                "let the client trust the CA that issued it{}",
                match (&context.files.certificate, &context.own) {
                    (Some(file), Some(own)) => format!(
                        "; the certificate of that CA is not in [{}]: {}, so that clients that know its fingerprint can \
                         check it",
                        file.display(),
                        append_to_certificate(context, &own.issuer.to_string())
                    ),
                    _ => String::new(),
                }
            ),
        },
        PeerRole::Client => f.write_str(
            "the log of that node has the reason; `ringwall doctor` there tells what to do",
        ),
    }
}

/// Writes what to do about a certificate that its own node would refuse. `chain` is what the node shows.
pub(crate) fn write_own_remedy(
    f: &mut dyn Write,
    context: &ContextFacts,
    reason: &FailureReason,
    chain: &[CertificateInfo],
) -> Result {
    match reason {
        FailureReason::UntrustedIssuer { .. } if write_borrowed(f, context)? => Ok(()),
        FailureReason::UntrustedIssuer {
            issuer,
            same_subject_different_key: true,
            ..
        } => write!(
            f,
            "two CAs are named [{issuer}]: give this node the certificate of that which issued its own{}, or a \
             certificate of the one it trusts",
            match &context.files.trust {
                Some(file) => format!(", in [{}]", file.display()),
                None => String::new(),
            }
        ),
        FailureReason::UntrustedIssuer { issuer, .. } => match chain.last() {
            Some(top) if top.subject == top.issuer => write!(
                f,
                "issue this node a certificate of {}; or, if the nodes are to trust [{issuer}], {}, and so on every node",
                Issuers(&context.issuers),
                trust_it(context, issuer)
            ),
            _ => write!(
                f,
                "{}; if [{issuer}] is no CA of this cluster, issue this node a certificate of {}",
                append_to_certificate(context, issuer),
                Issuers(&context.issuers)
            ),
        },
        FailureReason::IssuerIsNoAuthority { .. } => write_new_authority(f, context),
        FailureReason::WrongUsage { .. } => f.write_str(
            "issue a certificate with both serverAuth and clientAuth, or without extendedKeyUsage: a node is server \
             and client",
        ),
        FailureReason::Restricted { names, .. } if !names.is_empty() => {
            write!(f, "add [{}] to the trusted names", names.join(", "))
        }
        _ => f.write_str("issue this node a new certificate, with elasticsearch-certutil for example"),
    }
}

/// Writes that the trust is a file of the other layer, and returns whether it is.
fn write_borrowed(
    f: &mut dyn Write,
    context: &ContextFacts,
) -> std::result::Result<bool, std::fmt::Error> {
    let Some((file, other)) = &context.files.borrowed else {
        return Ok(false);
    };
    let who = if context.is_http { "clients" } else { "nodes" };
    write!(
        f,
        "the trust of this layer, [{}], is what [{other}] uses: name the CA of the {who} in its place",
        file.display()
    )?;
    Ok(true)
}

/// Returns how to trust another authority.
fn trust_it(context: &ContextFacts, issuer: &str) -> String {
    let Some(file) = &context.files.trust else {
        return "trust its fingerprint".to_owned();
    };
    match context.files.trust_kind {
        FileKind::Pem => format!("append its certificate to [{}]", file.display()),
        FileKind::Der | FileKind::Pkcs7 => format!(
            "name a file of its certificate in [{}.certificate_authorities], beside [{}], to which nothing can be appended",
            context.name,
            file.display()
        ),
        FileKind::Store => format!("import its certificate: {}", import(issuer, file)),
    }
}

/// Returns how the certificate of the issuer gets behind the one that this side shows.
pub(crate) fn append_to_certificate(context: &ContextFacts, issuer: &str) -> String {
    let setting = format!("{}.certificate", context.name);
    let Some(file) = &context.files.certificate else {
        return format!(
            "append the certificate of [{issuer}] to [{setting}], after the one of this node"
        );
    };
    let pem = file.with_extension("pem");
    let (from, to) = (commands::quoted(file), commands::quoted(&pem));
    let as_pem = |command: String| {
        format!(
            "make a PEM file of [{}], which has no place for another: {command}; append the certificate of [{issuer}] to \
             [{}], and name that file in [{setting}]",
            file.display(),
            pem.display()
        )
    };
    match context.files.certificate_kind {
        FileKind::Pem => format!(
            "append the certificate of [{issuer}] to [{}], after the one of this node",
            file.display()
        ),
        FileKind::Der => as_pem(format!("`openssl x509 -inform der -in {from} -out {to}`")),
        FileKind::Pkcs7 => as_pem(format!(
            "`openssl pkcs7 -inform der -print_certs -in {from} -out {to}`"
        )),
        FileKind::Store => format!(
            "import the certificate of [{issuer}] into [{}]: {}",
            file.display(),
            import(issuer, file)
        ),
    }
}

fn import(issuer: &str, file: &Path) -> String {
    format!(
        "`keytool -importcert -noprompt -alias {} -file ca.crt -keystore {}`",
        alias(issuer),
        commands::quoted(file)
    )
}

/// Returns a name for an entry of a keystore that needs no quotes in a shell.
fn alias(subject: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    subject
        .trim_start_matches("CN=")
        .chars()
        .map(plain)
        .collect()
}

/// The name stays as it is, byte for byte, or what the CA has issued would not be of it.
fn write_new_authority(f: &mut dyn Write, context: &ContextFacts) -> Result {
    let files = &context.files;
    let file = match (&files.trust, files.trust_kind) {
        (Some(file), FileKind::Pem | FileKind::Der) => commands::quoted(file),
        _ => "ca.crt".to_owned(),
    };
    write!(
        f,
        "make the CA certificate again from its key, with CA:TRUE: `printf \
         'basicConstraints=critical,CA:TRUE\\nsubjectKeyIdentifier=hash\\n' > ca.ext; openssl x509 -in {file} -signkey \
         ca.key -clrext -days 3650 -extfile ca.ext -out new-ca.crt`; trust new-ca.crt on every node, what the CA has \
         issued stays good"
    )
}
