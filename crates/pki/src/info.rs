//! A certificate's facts, for diagnostics and `GET /_ssl/certificates`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::builder::KeyUsage;
use crate::chain::{authority_key_id, subject_key_id};
use crate::der;
use crate::signature::{Verdict, signed_by};
use crate::{DistinguishedName, PkiError};

/// What a certificate says. Decoded once, owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// `to_string()` gives RFC 2253 text, [`DistinguishedName::with_spaces`] the form of `_ssl/certificates`.
    pub subject: DistinguishedName,
    pub issuer: DistinguishedName,
    /// Lower-case hex without leading zeros. Source: Elasticsearch reference, "SSL certificate API".
    pub serial: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// In the order of the certificate.
    pub subject_alternative_names: Vec<SubjectAlternativeName>,
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint_sha256: String,
    /// SHA-1 of the DER, lower-case hex: what Elasticsearch's messages show.
    pub fingerprint_sha1: String,
    pub is_ca: bool,
    /// Lower-case hex of the subject key identifier, where present.
    pub subject_key_id: Option<String>,
    /// Lower-case hex of the authority key identifier's key id, where present.
    pub authority_key_id: Option<String>,
    /// Names of the key usages; `None` without the extension.
    pub key_usage: Option<Vec<&'static str>>,
    /// Names or OIDs of the extended key usages; `None` without the extension.
    pub extended_key_usage: Option<Vec<String>>,
    /// For example `RSA 2048` or `EC P-256`.
    pub key_algorithm: String,
    /// Whether the certificate's own key made its signature.
    pub self_signed: bool,
}

/// One subject alternative name of the kinds that matter to nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectAlternativeName {
    Dns(String),
    Ip(IpAddr),
    /// otherName of type commonName, as `cn` of the instances file makes it.
    CommonName(String),
    /// Any other kind, described for people.
    Other(String),
}

impl std::fmt::Display for SubjectAlternativeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Ip(ip) => write!(f, "IP:{ip}"),
            Self::CommonName(name) => write!(f, "CN:{name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl CertificateInfo {
    /// Decodes a certificate.
    ///
    /// Errors: [`PkiError::BadCertificate`] when the bytes are no certificate or something follows it.
    pub fn from_der(certificate: &[u8]) -> Result<Self, PkiError> {
        let (rest, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| PkiError::BadCertificate(error.to_string()))?;
        if !rest.is_empty() {
            return Err(PkiError::BadCertificate(format!(
                "{} bytes after its end",
                rest.len()
            )));
        }
        Ok(Self {
            subject: DistinguishedName::from_der(parsed.subject().as_raw()),
            issuer: DistinguishedName::from_der(parsed.issuer().as_raw()),
            serial: serial(parsed.raw_serial()),
            not_before: timestamp(parsed.validity().not_before),
            not_after: timestamp(parsed.validity().not_after),
            subject_alternative_names: alternative_names(&parsed),
            fingerprint_sha256: fingerprint_sha256(certificate),
            fingerprint_sha1: fingerprint_sha1(certificate),
            is_ca: is_ca(&parsed),
            subject_key_id: subject_key_id(&parsed).map(hex::encode),
            authority_key_id: authority_key_id(&parsed).map(hex::encode),
            key_usage: key_usage(&parsed),
            extended_key_usage: extended_key_usage(&parsed),
            key_algorithm: key_algorithm(parsed.public_key()),
            self_signed: parsed.subject().as_raw() == parsed.issuer().as_raw()
                && signed_by(&parsed, &parsed) == Verdict::Signed,
        })
    }

    /// Returns the DNS names among the subject alternative names.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.subject_alternative_names
            .iter()
            .filter_map(|name| match name {
                SubjectAlternativeName::Dns(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Returns the IP addresses among the subject alternative names.
    pub fn ip_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.subject_alternative_names
            .iter()
            .filter_map(|name| match name {
                SubjectAlternativeName::Ip(ip) => Some(*ip),
                _ => None,
            })
    }

    /// Returns whether the moment lies within the validity.
    pub fn is_valid_at(&self, moment: Timestamp) -> bool {
        self.not_before <= moment && moment <= self.not_after
    }
}

/// Returns the SHA-256 of a certificate's DER as lower-case hex.
pub fn fingerprint_sha256(certificate: &[u8]) -> String {
    hex::encode(Sha256::digest(certificate))
}

/// Returns the SHA-1 of a certificate's DER as lower-case hex.
pub fn fingerprint_sha1(certificate: &[u8]) -> String {
    hex::encode(Sha1::digest(certificate))
}

/// Returns whether basicConstraints says CA:TRUE.
pub(crate) fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca)
}

fn serial(content: &[u8]) -> String {
    let text = hex::encode(content);
    let trimmed = text.trim_start_matches('0');
    if trimmed.is_empty() {
        "0".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// `99991231235959Z` says that there is no end (RFC 5280 section 4.1.2.5), and lies past what a timestamp holds,
/// which leaves room for offsets: the last that it holds stands for it.
fn timestamp(time: x509_parser::time::ASN1Time) -> Timestamp {
    let limits = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    let seconds = time.timestamp().clamp(*limits.start(), *limits.end());
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<SubjectAlternativeName> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .map(alternative_name)
        .collect()
}

pub(crate) fn alternative_name(name: &GeneralName<'_>) -> SubjectAlternativeName {
    match name {
        GeneralName::DNSName(name) => SubjectAlternativeName::Dns((*name).to_owned()),
        GeneralName::IPAddress(octets) => match ip(octets) {
            Some(ip) => SubjectAlternativeName::Ip(ip),
            None => SubjectAlternativeName::Other(format!("IP:#{}", hex::encode(octets))),
        },
        GeneralName::RFC822Name(name) => SubjectAlternativeName::Other(format!("email:{name}")),
        GeneralName::URI(uri) => SubjectAlternativeName::Other(format!("URI:{uri}")),
        GeneralName::OtherName(oid, value) => match other_name_text(value) {
            Some(text) if oid.to_id_string() == "2.5.4.3" => {
                SubjectAlternativeName::CommonName(text)
            }
            Some(text) => {
                SubjectAlternativeName::Other(format!("otherName:{}={text}", oid.to_id_string()))
            }
            None => SubjectAlternativeName::Other(format!("otherName:{}", oid.to_id_string())),
        },
        GeneralName::DirectoryName(name) => SubjectAlternativeName::Other(format!(
            "directoryName:{}",
            DistinguishedName::from_der(name.as_raw())
        )),
        _ => SubjectAlternativeName::Other("unsupported name type".to_owned()),
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(octets)
        .ok()
        .map(|octets| Ipv6Addr::from(octets).into())
}

fn other_name_text(value: &[u8]) -> Option<String> {
    let outer = der::Reader::new(value).next()?;
    // The explicit tag [0] is still around the string.
    let inner = if outer.tag == 0xa0 {
        der::Reader::new(outer.content).next()?
    } else {
        outer
    };
    std::str::from_utf8(inner.content).ok().map(str::to_owned)
}

fn key_usage(certificate: &X509Certificate<'_>) -> Option<Vec<&'static str>> {
    let extension = certificate.key_usage().ok().flatten()?;
    let names = KeyUsage::NAMES
        .iter()
        .filter(|(_, usage)| extension.value.flags & (1 << *usage as u16) != 0)
        .map(|(name, _)| *name);
    Some(names.collect())
}

fn extended_key_usage(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let extension = certificate.extended_key_usage().ok().flatten()?;
    let usage: &ExtendedKeyUsage<'_> = extension.value;
    let known = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let named = known
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| (*name).to_owned());
    Some(
        named
            .chain(usage.other.iter().map(|oid| oid.to_id_string()))
            .collect(),
    )
}

/// Returns the algorithm and size of a public key in words.
pub(crate) fn key_algorithm(spki: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = spki.algorithm.algorithm.to_id_string();
    match (oid.as_str(), spki.parsed()) {
        (_, Ok(PublicKey::RSA(key))) => format!("RSA {}", key.key_size()),
        ("1.2.840.10045.2.1", _) => {
            let curve = spki
                .algorithm
                .parameters
                .as_ref()
                .and_then(|value| der::oid_text(value.data));
            match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => "EC P-256".to_owned(),
                Some("1.3.132.0.34") => "EC P-384".to_owned(),
                Some("1.3.132.0.35") => "EC P-521".to_owned(),
                Some(other) => format!("EC {other}"),
                None => "EC".to_owned(),
            }
        }
        ("1.3.101.112", _) => "Ed25519".to_owned(),
        ("1.2.840.10040.4.1", _) => "DSA".to_owned(),
        (other, _) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CaParams, CertificateAuthority, KeySpec};

    #[test]
    fn a_certificate_without_an_end_is_valid_as_long_as_there_are_timestamps() {
        let params = CaParams {
            dn: DistinguishedName::common_name("for ever"),
            key: KeySpec::EcP256,
            days: 36_500,
            ..CaParams::default()
        };
        let authority = CertificateAuthority::generate(&params).unwrap();
        let mut der = authority.certificate().to_vec();
        let end = CertificateInfo::from_der(&der).unwrap().not_after;
        let end = end.strftime("%Y%m%d%H%M%SZ").to_string();
        let at = der
            .windows(end.len())
            .position(|part| part == end.as_bytes())
            .unwrap();
        der[at..at + end.len()].copy_from_slice(b"99991231235959Z");
        let info = CertificateInfo::from_der(&der).unwrap();
        assert_eq!(info.not_after.as_second(), Timestamp::MAX.as_second());
        assert!(info.is_valid_at(Timestamp::now()));
    }
}
