//! The next certificate of a node: the same but for its dates, its key and who signs.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::X509Extension;

use crate::builder::Template;
use crate::{
    CertificateAuthority, CertificateInfo, DistinguishedName, IssuedCertificate, KeySpec, PkiError,
    PrivateKey, chain, der,
};

/// What a certificate hands on to its successor.
#[derive(Clone, Debug)]
pub struct Renewal {
    pub(crate) subject: DistinguishedName,
    /// The extensions to copy, encoded one after the other, byte for byte as they were.
    pub(crate) extensions: Vec<u8>,
    /// What is not handed on because it is the word of the old issuer: object identifiers.
    pub left_out: Vec<String>,
    /// How the key was made; `None` for a kind that cannot be made here.
    pub key: Option<KeySpec>,
    /// Validity in days, rounded up.
    pub days: u32,
}

impl Renewal {
    /// Reads what a certificate of a node hands on: its name, the alternative names, what it may be used
    /// for, the kind of its key and how long it was valid.
    ///
    /// Errors: [`PkiError::BadCertificate`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, PkiError> {
        let info = CertificateInfo::from_der(certificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| PkiError::BadCertificate(error.to_string()))?;
        let mut extensions = Vec::new();
        let mut left_out = Vec::new();
        for extension in parsed.extensions() {
            let oid = extension.oid.to_id_string();
            if OF_THE_ISSUER.contains(&oid.as_str()) {
                left_out.push(oid);
            } else if !MADE_ANEW.contains(&oid.as_str()) {
                extensions.extend(encode(extension));
            }
        }
        let seconds = info.not_after.duration_since(info.not_before).as_secs();
        let days = u64::try_from(seconds).unwrap_or_default().div_ceil(86_400);
        Ok(Self {
            subject: info.subject,
            extensions,
            left_out,
            key: key_like(&info.key_algorithm),
            days: u32::try_from(days).unwrap_or(u32::MAX).max(1),
        })
    }
}

impl CertificateAuthority {
    /// Issues the next certificate of a node, from now on, for a key that may be new or the old one.
    ///
    /// Errors: [`PkiError::Validity`], [`PkiError::Crypto`].
    pub fn renew(
        &self,
        renewal: &Renewal,
        days: u32,
        key: PrivateKey,
    ) -> Result<IssuedCertificate, PkiError> {
        let template = Template {
            subject: &renewal.subject,
            not_before: Timestamp::now(),
            days,
            is_ca: false,
            dns: &[],
            ips: &[],
            common_names: &[],
            key_usage: &[],
            extended_key_usage: &[],
            encoded: &renewal.extensions,
        };
        self.issue_for(key, &template)
    }

    /// Returns whether this CA's key signed a certificate.
    pub fn has_issued(&self, certificate: &CertificateDer<'_>) -> bool {
        is_issued_by(certificate, self.certificate())
    }
}

/// Returns whether the key of one certificate signed another.
pub fn is_issued_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let issuer = x509_parser::parse_x509_certificate(issuer);
    let subject = x509_parser::parse_x509_certificate(certificate);
    matches!((subject, issuer), (Ok((_, subject)), Ok((_, issuer))) if chain::issued(&subject, &issuer))
}

fn encode(extension: &X509Extension<'_>) -> Vec<u8> {
    let critical: &[u8] = if extension.critical { der::TRUE } else { &[] };
    der::sequence(&[
        &der::value(der::OBJECT_IDENTIFIER, extension.oid.as_bytes()),
        critical,
        &der::value(der::OCTET_STRING, extension.value),
    ])
}

/// Returns how to make a key of that kind. An RSA key of a size that is not made becomes the next larger.
fn key_like(algorithm: &str) -> Option<KeySpec> {
    match algorithm {
        "EC P-256" => Some(KeySpec::EcP256),
        "EC P-384" => Some(KeySpec::EcP384),
        "EC P-521" => Some(KeySpec::EcP521),
        "Ed25519" => Some(KeySpec::Ed25519),
        other => {
            let bits: u32 = other.strip_prefix("RSA ")?.parse().ok()?;
            let bits = bits.max(2048).next_multiple_of(8);
            (bits <= 8192).then_some(KeySpec::Rsa(bits))
        }
    }
}

/// Subject and authority key identifier, basic constraints; they belong to the new key and the new issuer.
const MADE_ANEW: &[&str] = &["2.5.29.14", "2.5.29.35", "2.5.29.19"];

/// Issuer alternative name, CRL distribution points, certificate policies, freshest CRL, authority information
/// access, and the receipts of transparency logs: only who signs can say them.
const OF_THE_ISSUER: &[&str] = &[
    "2.5.29.18",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.46",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.4.1.11129.2.4.2",
];

#[cfg(test)]
mod tests {
    use crate::{CaParams, ExtendedKeyUsage, KeyUsage, NodeCertParams, self_signed};

    use super::*;

    #[test]
    fn the_next_certificate_says_what_the_old_one_said() {
        let params = CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        let authority = CertificateAuthority::generate(&params).unwrap();
        let old = authority
            .issue(&NodeCertParams {
                name: DistinguishedName::parse("CN=n1,OU=a+OU=b,DC=example").unwrap(),
                dns: vec!["n1.example".to_owned()],
                ips: vec!["2001:db8::1".parse().unwrap()],
                common_names: vec!["n1.cluster".to_owned()],
                days: 400,
                key: KeySpec::EcP384,
                key_usage: vec![KeyUsage::DigitalSignature],
                extended_key_usage: vec![ExtendedKeyUsage::ServerAuth],
                not_before: Some("2020-01-01T00:00:00Z".parse().unwrap()),
            })
            .unwrap();
        let renewal = Renewal::of(&old.certificate).unwrap();
        assert_eq!((renewal.key, renewal.days), (Some(KeySpec::EcP384), 400));
        let key = PrivateKey::generate(KeySpec::EcP256).unwrap();
        let new = authority.renew(&renewal, 30, key).unwrap();
        let (before, after) = (old.info().unwrap(), new.info().unwrap());
        assert_eq!(before.subject, after.subject);
        assert_eq!(
            before.subject_alternative_names,
            after.subject_alternative_names
        );
        assert_eq!(before.key_usage, after.key_usage);
        assert_eq!(before.extended_key_usage, after.extended_key_usage);
        assert_ne!(before.subject_key_id, after.subject_key_id);
        assert_ne!(before.serial, after.serial);
        assert!(!after.is_ca && after.key_algorithm == "EC P-256");
        assert_eq!((after.not_after - after.not_before).as_secs(), 30 * 86_400);
        assert!(authority.has_issued(&old.certificate) && authority.has_issued(&new.certificate));
        let other = CertificateAuthority::generate(&params).unwrap();
        assert!(!other.has_issued(&old.certificate));
    }

    #[test]
    fn nothing_is_handed_on_where_nothing_was() {
        let params = NodeCertParams {
            key: KeySpec::Ed25519,
            ..NodeCertParams::default()
        };
        let renewal = Renewal::of(&self_signed(&params).unwrap().certificate).unwrap();
        assert!(renewal.extensions.is_empty() && renewal.left_out.is_empty());
    }

    #[test]
    fn keys_of_odd_sizes_become_the_next_larger() {
        assert_eq!(key_like("RSA 1024"), Some(KeySpec::Rsa(2048)));
        assert_eq!(key_like("RSA 2560"), Some(KeySpec::Rsa(2560)));
        assert_eq!(key_like("RSA 2559"), Some(KeySpec::Rsa(2560)));
        assert_eq!(key_like("EC P-521"), Some(KeySpec::EcP521));
        assert_eq!(key_like("RSA 16384"), None);
        assert_eq!(key_like("DSA"), None);
    }
}
