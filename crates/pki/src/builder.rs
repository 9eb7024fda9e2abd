//! Encodes and signs X.509 v3 certificates with the extensions that certutil emits.
//!
//! Own DER, because an issuer name must be copied byte for byte and a name may repeat an attribute
//! (`DC=example,DC=com`). Source: RFC 5280; Elasticsearch reference, "elasticsearch-certutil".

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use sha1::{Digest, Sha1};

use crate::der;
use crate::key::PrivateKey;
use crate::{DistinguishedName, NodeCertParams, PkiError};

/// A bit of the key usage extension. Source: RFC 5280 section 4.2.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUsage {
    DigitalSignature = 0,
    NonRepudiation = 1,
    KeyEncipherment = 2,
    DataEncipherment = 3,
    KeyAgreement = 4,
    KeyCertSign = 5,
    CrlSign = 6,
    EncipherOnly = 7,
    DecipherOnly = 8,
}

impl KeyUsage {
    /// Every usage with its name, in bit order.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("digitalSignature", Self::DigitalSignature),
        ("nonRepudiation", Self::NonRepudiation),
        ("keyEncipherment", Self::KeyEncipherment),
        ("dataEncipherment", Self::DataEncipherment),
        ("keyAgreement", Self::KeyAgreement),
        ("keyCertSign", Self::KeyCertSign),
        ("cRLSign", Self::CrlSign),
        ("encipherOnly", Self::EncipherOnly),
        ("decipherOnly", Self::DecipherOnly),
    ];

    /// Returns the usage of that name (case-sensitive, blanks trimmed).
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name.trim())
            .map(|(_, usage)| *usage)
    }
}

/// A purpose of the extended key usage extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedKeyUsage {
    ServerAuth,
    ClientAuth,
}

/// What a certificate is to say, apart from key and issuer.
pub(crate) struct Template<'a> {
    pub(crate) subject: &'a DistinguishedName,
    pub(crate) not_before: Timestamp,
    pub(crate) days: u32,
    pub(crate) is_ca: bool,
    pub(crate) dns: &'a [String],
    pub(crate) ips: &'a [IpAddr],
    pub(crate) common_names: &'a [String],
    pub(crate) key_usage: &'a [KeyUsage],
    pub(crate) extended_key_usage: &'a [ExtendedKeyUsage],
    /// Further extensions, already encoded one after the other.
    pub(crate) encoded: &'a [u8],
}

/// Who signs.
pub(crate) struct Signer<'a> {
    pub(crate) name: &'a DistinguishedName,
    pub(crate) key: &'a PrivateKey,
    /// The issuer certificate's subject key identifier, where it has one.
    pub(crate) key_id: Vec<u8>,
}

/// Returns the signed certificate for `subject_key`.
///
/// Errors: [`PkiError::Validity`], [`PkiError::InvalidDnsName`], [`PkiError::Crypto`].
pub(crate) fn sign(
    template: &Template<'_>,
    subject_key: &PrivateKey,
    signer: &Signer<'_>,
) -> Result<CertificateDer<'static>, PkiError> {
    let algorithm = signer.key.signature_algorithm();
    let tbs = der::sequence(&[
        &der::explicit(0, &der::unsigned_integer(&[2])),
        &der::unsigned_integer(&random_serial()?),
        &algorithm,
        signer.name.as_der(),
        &validity(template)?,
        template.subject.as_der(),
        subject_key.spki(),
        &der::explicit(
            3,
            &der::value(
                der::SEQUENCE,
                &extensions(template, subject_key, &signer.key_id)?,
            ),
        ),
    ]);
    let signed = signer.key.sign(&tbs)?;
    Ok(CertificateDer::from(der::sequence(&[
        &tbs,
        &algorithm,
        &der::bit_string(&signed),
    ])))
}

/// Returns the SHA-1 of the public key bits, the identifier of RFC 5280 section 4.2.1.2 method 1.
pub(crate) fn key_identifier(key: &PrivateKey) -> Vec<u8> {
    Sha1::digest(key.public_bits()).to_vec()
}

/// 160 random bits with the top bit clear, so that the DER has at most the 20 octets of RFC 5280.
fn random_serial() -> Result<[u8; 20], PkiError> {
    let mut serial = [0u8; 20];
    getrandom::fill(&mut serial).map_err(|_| PkiError::Crypto("obtain random bytes"))?;
    serial[0] &= 0x7f;
    Ok(serial)
}

fn validity(template: &Template<'_>) -> Result<Vec<u8>, PkiError> {
    if template.days < 1 {
        return Err(PkiError::Validity(
            "the certificate must be valid for at least one day",
        ));
    }
    let too_long =
        PkiError::Validity("the certificate would be valid beyond the year 9999; use fewer days");
    let span = SignedDuration::from_hours(24 * i64::from(template.days));
    let not_after = template
        .not_before
        .checked_add(span)
        .map_err(|_| too_long)?;
    Ok(der::sequence(&[
        &time(template.not_before),
        &time(not_after),
    ]))
}

/// UTCTime up to 2049, GeneralizedTime after. RFC 5280 section 4.1.2.5.
fn time(at: Timestamp) -> Vec<u8> {
    let year: i16 = at.to_zoned_datetime(jiff::tz::TimeZone::UTC).year();
    if (1950..2050).contains(&year) {
        der::value(
            der::UTC_TIME,
            at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes(),
        )
    } else {
        der::value(
            der::GENERALIZED_TIME,
            at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes(),
        )
    }
}

/// The extensions in certutil's order. Source: what `elasticsearch-certutil` of Elasticsearch 8 does.
fn extensions(
    template: &Template<'_>,
    subject_key: &PrivateKey,
    issuer_key_id: &[u8],
) -> Result<Vec<u8>, PkiError> {
    let subject_key_id = der::value(der::OCTET_STRING, &key_identifier(subject_key));
    let authority_key_id = der::sequence(&[&der::value(0x80, issuer_key_id)]);
    let mut all = extension(SUBJECT_KEY_IDENTIFIER, false, &subject_key_id);
    all.extend(extension(
        AUTHORITY_KEY_IDENTIFIER,
        false,
        &authority_key_id,
    ));
    all.extend(alternative_name_extension(
        template.dns,
        template.ips,
        template.common_names,
    )?);
    let constraints: &[u8] = if template.is_ca { der::TRUE } else { &[] };
    all.extend(extension(
        BASIC_CONSTRAINTS,
        template.is_ca,
        &der::sequence(&[constraints]),
    ));
    all.extend(usage_extensions(
        template.key_usage,
        template.extended_key_usage,
    ));
    all.extend_from_slice(template.encoded);
    Ok(all)
}

/// The extensions that a signing request asks for, in certutil's order.
pub(crate) fn request_extensions(params: &NodeCertParams) -> Result<Vec<u8>, PkiError> {
    let mut all = alternative_name_extension(&params.dns, &params.ips, &params.common_names)?;
    all.extend(usage_extensions(
        &params.key_usage,
        &params.extended_key_usage,
    ));
    Ok(all)
}

fn alternative_name_extension(
    dns: &[String],
    ips: &[IpAddr],
    common_names: &[String],
) -> Result<Vec<u8>, PkiError> {
    let names = alternative_names(dns, ips, common_names)?;
    if names.is_empty() {
        return Ok(names);
    }
    Ok(extension(
        SUBJECT_ALT_NAME,
        false,
        &der::value(der::SEQUENCE, &names),
    ))
}

fn usage_extensions(key_usage: &[KeyUsage], extended_key_usage: &[ExtendedKeyUsage]) -> Vec<u8> {
    let mut all = Vec::new();
    if !key_usage.is_empty() {
        all.extend(extension(KEY_USAGE, true, &key_usage_bits(key_usage)));
    }
    if !extended_key_usage.is_empty() {
        let purposes: Vec<Vec<u8>> = extended_key_usage
            .iter()
            .map(|purpose| match purpose {
                ExtendedKeyUsage::ServerAuth => der::oid(SERVER_AUTH),
                ExtendedKeyUsage::ClientAuth => der::oid(CLIENT_AUTH),
            })
            .collect();
        all.extend(extension(
            EXTENDED_KEY_USAGE,
            false,
            &der::value(der::SEQUENCE, &purposes.concat()),
        ));
    }
    all
}

fn extension(oid: &[u64], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { der::TRUE } else { &[] };
    der::sequence(&[
        &der::oid(oid),
        critical,
        &der::value(der::OCTET_STRING, content),
    ])
}

/// Source: RFC 5280 section 4.2.1.6.
fn alternative_names(
    dns: &[String],
    ips: &[IpAddr],
    common_names: &[String],
) -> Result<Vec<u8>, PkiError> {
    let mut names = Vec::new();
    for dns in dns {
        if dns.is_empty() || !dns.is_ascii() {
            return Err(PkiError::InvalidDnsName(dns.clone()));
        }
        names.extend(der::value(0x82, dns.as_bytes()));
    }
    for ip in ips {
        match ip {
            IpAddr::V4(ip) => names.extend(der::value(0x87, &ip.octets())),
            IpAddr::V6(ip) => names.extend(der::value(0x87, &ip.octets())),
        }
    }
    for common_name in common_names {
        let text = der::value(der::UTF8_STRING, common_name.as_bytes());
        let other_name = [der::oid(COMMON_NAME), der::explicit(0, &text)].concat();
        names.extend(der::value(0xa0, &other_name));
    }
    Ok(names)
}

/// A named-bit BIT STRING without trailing zero bits.
fn key_usage_bits(usages: &[KeyUsage]) -> Vec<u8> {
    let bits = usages
        .iter()
        .fold(0u16, |bits, usage| bits | 0x8000 >> (*usage as u16));
    let octets = bits.to_be_bytes();
    let used = if octets[1] == 0 {
        &octets[..1]
    } else {
        &octets[..]
    };
    let unused = used.last().map_or(0, |last| last.trailing_zeros().min(7)) as u8;
    der::value(der::BIT_STRING, &[&[unused], used].concat())
}

const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const SERVER_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];
const COMMON_NAME: &[u64] = &[2, 5, 4, 3];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_has_no_trailing_zero_bits() {
        assert_eq!(
            key_usage_bits(&[KeyUsage::KeyCertSign, KeyUsage::CrlSign]),
            [3, 2, 1, 0x06]
        );
        assert_eq!(
            key_usage_bits(&[KeyUsage::DigitalSignature]),
            [3, 2, 7, 0x80]
        );
        assert_eq!(
            key_usage_bits(&[KeyUsage::DecipherOnly]),
            [3, 3, 7, 0x00, 0x80]
        );
    }

    #[test]
    fn times_change_type_in_2050() {
        let before: Timestamp = "2049-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(time(before), [&[0x17, 13][..], b"491231235959Z"].concat());
        let after: Timestamp = "2050-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time(after), [&[0x18, 15][..], b"20500101000000Z"].concat());
    }

    #[test]
    fn serials_are_never_negative() {
        for _ in 0..64 {
            assert!(random_serial().unwrap()[0] < 0x80);
        }
    }
}
