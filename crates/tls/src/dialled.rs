//! Whom a dialling side asked for, as far as certificates can say it.

use std::net::IpAddr;

use ringwall_pki::CertificateInfo;
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use crate::failure::FailureReason;

/// The host that was dialled. One for handshakes and for later looks at the same link, so that both agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dialled {
    /// A DNS name or an address.
    Name(ServerName<'static>),
    /// A text that no certificate can hold, such as a name with a space. Where names are verified it is
    /// refused: the address that it happened to lead to is not what was asked for.
    Unnameable(String),
}

impl Dialled {
    pub(crate) fn new(host: &str) -> Self {
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        // An IPv6 zone is local to this host and never in a certificate.
        let unzoned = bare.split_once('%').map_or(bare, |(address, _)| address);
        if let Ok(address) = unzoned.parse::<IpAddr>() {
            return Self::Name(ServerName::IpAddress(address.into()));
        }
        match ServerName::try_from(bare.to_owned()) {
            Ok(name) => Self::Name(name),
            Err(_) => Self::Unnameable(host.to_owned()),
        }
    }

    /// Returns what the ClientHello may say of it: an address is never sent.
    pub(crate) fn for_hello(&self, address: IpAddr) -> ServerName<'static> {
        match self {
            Self::Name(name) => name.clone(),
            Self::Unnameable(_) => ServerName::IpAddress(address.into()),
        }
    }

    /// Compares it with the subject alternative names of a certificate.
    pub(crate) fn check(&self, leaf: &CertificateDer<'_>) -> Result<(), FailureReason> {
        let name = match self {
            Self::Name(name) => name,
            Self::Unnameable(host) => return Err(mismatch(host, leaf)),
        };
        if let ServerName::DnsName(dialled) = name
            && dialled.as_ref().contains('_')
        {
            return Err(FailureReason::UnverifiableName {
                dialled: dialled.as_ref().to_owned(),
            });
        }
        let checked = EndEntityCert::try_from(leaf)
            .and_then(|parsed| parsed.verify_is_valid_for_subject_name(name));
        checked.map_err(|error| match error {
            // Without extensions there are no names.
            webpki::Error::CertNotValidForName(_) | webpki::Error::UnsupportedCertVersion => {
                mismatch(&name.to_str(), leaf)
            }
            other => FailureReason::BadCertificate(format!("{other:?}")),
        })
    }
}

fn mismatch(dialled: &str, leaf: &CertificateDer<'_>) -> FailureReason {
    let sans = CertificateInfo::from_der(leaf).map(|info| {
        let names = info.subject_alternative_names.iter();
        names.map(ToString::to_string).collect()
    });
    FailureReason::NameMismatch {
        dialled: dialled.to_owned(),
        sans: sans.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_become_names_or_addresses() {
        for (host, expected) in [
            ("es01.example.com", Some("es01.example.com")),
            ("node_1", Some("node_1")),
            ("10.0.0.5", Some("10.0.0.5")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("two words", None),
            ("", None),
        ] {
            let name = match Dialled::new(host) {
                Dialled::Name(name) => Some(name.to_str().into_owned()),
                Dialled::Unnameable(text) => {
                    assert_eq!(text, host);
                    None
                }
            };
            assert_eq!(name.as_deref(), expected, "{host}");
        }
    }
}
