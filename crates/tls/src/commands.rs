//! Commands that messages tell the operator to run, in backticks. Each is run by a test in the situation that prints it.
//!
//! `ca.crt`, `ca.key` and `elastic-stack-ca.p12` stand for the files of the CA, which no node has.

use std::net::IpAddr;
use std::path::Path;

use ringwall_pki::{CertificateInfo, SubjectAlternativeName};

use crate::config::{KeySource, SslConfig};

/// Returns the command that makes the next certificate of a node.
pub(crate) fn renew(config: &SslConfig) -> String {
    match &config.key {
        KeySource::Pem {
            key, certificate, ..
        } => {
            // The tool looks for the key there by itself.
            let key = match certificate.resolved.with_extension("key") == key.resolved {
                true => String::new(),
                false => format!(" --key {}", quoted(&key.resolved)),
            };
            format!(
                "`elasticsearch-certutil renew --ca-cert ca.crt --ca-key ca.key{key} {}`",
                quoted(&certificate.resolved)
            )
        }
        KeySource::Keystore { path, .. } => format!(
            "`elasticsearch-certutil renew --ca elastic-stack-ca.p12 {}`",
            quoted(&path.resolved)
        ),
        KeySource::None => "`elasticsearch-certutil cert --ca elastic-stack-ca.p12`".to_owned(),
    }
}

/// Returns the command that makes a certificate with the names of another, and one more.
pub(crate) fn issue(config: &SslConfig, own: &CertificateInfo, name: &str) -> String {
    let mut names = String::new();
    for known in &own.subject_alternative_names {
        match known {
            SubjectAlternativeName::Dns(name) => names.push_str(&format!(" --dns {name}")),
            SubjectAlternativeName::Ip(ip) => names.push_str(&format!(" --ip {ip}")),
            SubjectAlternativeName::CommonName(_) | SubjectAlternativeName::Other(_) => {}
        }
    }
    let kind = match name.parse::<IpAddr>() {
        Ok(_) => "ip",
        Err(_) => "dns",
    };
    let (ca, out) = match &config.key {
        KeySource::Pem { .. } => ("--pem --ca-cert ca.crt --ca-key ca.key", "node.zip"),
        _ => ("--ca elastic-stack-ca.p12", "node.p12"),
    };
    // What a stranger wrote into a certificate goes into no command.
    let names = match names.chars().all(is_plain) {
        true => names,
        false => String::new(),
    };
    format!("`elasticsearch-certutil cert {ca}{names} --{kind} {name} --out {out}`")
}

/// Returns a path as a word of a shell's command.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    match text.chars().all(is_plain) && !text.contains(' ') {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || " ._-/:+,@*".contains(c)
}
