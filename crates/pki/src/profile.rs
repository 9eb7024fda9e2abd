//! The rules of RFC 5280 for single certificates which path validation leaves unchecked: a certificate
//! that breaks them was made by a broken or hostile tool.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{
    AuthorityKeyIdentifier, GeneralName, NameConstraints, ParsedExtension, X509Extension,
};
use x509_parser::public_key::PublicKey;

use crate::SubjectAlternativeName;
use crate::chain::{authority_key_id, subject_key_id};
use crate::info::alternative_name;
use crate::signature::{Verdict, signed_by};

/// Returns which rule the certificate of a node or client breaks; `None` when it breaks none.
/// Bytes that are no certificate break the first.
///
/// Source: RFC 5280 sections 4.1.2.2, 4.1.2.6, 4.2.1; NIST SP 800-131A for key sizes.
pub fn leaf_defect(certificate: &[u8]) -> Option<String> {
    defect(certificate, |parsed| {
        serial_number(parsed)?;
        if name_constraints(parsed).is_some() {
            return Err("it has name constraints, which are for CAs (RFC 5280 4.2.1.10)".into());
        }
        if key_usage_allows_signing(parsed) == Some(true) {
            return Err("its keyUsage has keyCertSign, which is for CAs (RFC 5280 4.2.1.3)".into());
        }
        let names = parsed.subject_alternative_name().ok().flatten();
        let nameless = parsed.subject().iter().next().is_none();
        if names.is_some_and(|names| names.critical != nameless) {
            return Err(
                "its subjectAltName must be critical if the subject is empty, and only then \
                        (RFC 5280 4.2.1.6)"
                    .into(),
            );
        }
        strong_key(parsed)
    })
}

/// Returns why the key of a certificate is unfit for TLS. Source: NIST SP 800-131A.
pub fn key_defect(certificate: &[u8]) -> Option<String> {
    strong_key(&parse(certificate).ok()?).err()
}

/// Returns which rule a certificate breaks that is trusted as it is, without a path: those that would make
/// its key or its number unfit for anything. What it may be used for is the operator's word.
///
/// Source: RFC 5280 section 4.1.2.2; NIST SP 800-131A for key sizes.
pub fn exact_defect(certificate: &[u8]) -> Option<String> {
    let parsed = match parse(certificate) {
        Ok(parsed) => parsed,
        Err(reason) => return Some(reason),
    };
    // Old tools number what signs itself with zero.
    let is_numbered = match parsed.subject() == parsed.issuer() {
        true => not_negative(&parsed),
        false => serial_number(&parsed),
    };
    is_numbered.and_then(|()| strong_key(&parsed)).err()
}

/// Returns which rule of the public web the certificate of a node or client breaks, beyond those of
/// [`leaf_defect`].
///
/// Source: RFC 5280 section 4.2.1.1; CA/Browser Forum baseline requirements 7.1.2.7 and 7.1.4.3.
pub fn public_web_leaf_defect(certificate: &[u8]) -> Option<String> {
    defect(certificate, |parsed| {
        if authority_key_id(parsed).is_none() {
            return Err(NO_AUTHORITY_KEY.into());
        }
        match parsed.extended_key_usage().ok().flatten() {
            None => return Err("it has no extendedKeyUsage".into()),
            Some(usage) if usage.critical => return Err("its extendedKeyUsage is critical".into()),
            Some(usage) if usage.value.any => {
                return Err("its extendedKeyUsage has anyExtendedKeyUsage".into());
            }
            Some(_) => {}
        }
        let names = parsed.subject_alternative_name().ok().flatten();
        let names: Vec<String> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match alternative_name(name) {
                SubjectAlternativeName::Dns(name) => Some(name),
                SubjectAlternativeName::Ip(address) => Some(address.to_string()),
                _ => None,
            })
            .collect();
        let mut common = parsed.subject().iter_common_name();
        let copied = common.all(|name| {
            name.as_str()
                .is_ok_and(|name| names.iter().any(|san| san == name))
        });
        match copied {
            true => Ok(()),
            false => Err("its common name is none of its subject alternative names".into()),
        }
    })
}

/// Returns which rule of the public web the certificate of a trusted authority breaks, beyond those of
/// [`authority_defect`].
///
/// Source: RFC 5280 section 4.2.1.1; CA/Browser Forum baseline requirements 7.1.2.1.
pub fn public_web_root_defect(certificate: &[u8]) -> Option<String> {
    defect(certificate, |parsed| {
        if parsed.extended_key_usage().ok().flatten().is_some() {
            return Err("it is a root with an extendedKeyUsage".into());
        }
        match authority_key(parsed) {
            None if parsed.subject() != parsed.issuer() => Err(NO_AUTHORITY_KEY.into()),
            Some(id)
                if id.authority_cert_issuer.is_some() || id.authority_cert_serial.is_some() =>
            {
                Err("its authorityKeyIdentifier names an issuer or a serial number".into())
            }
            _ => Ok(()),
        }
    })
}

/// Returns which rule the certificate of an authority breaks that a peer sends: those of [`authority_defect`],
/// and that it names the key of its issuer.
///
/// Source: RFC 5280 section 4.2.1.1.
pub fn intermediate_defect(certificate: &[u8]) -> Option<String> {
    authority_defect(certificate).or_else(|| {
        let parsed = parse(certificate).ok()?;
        let needs_key = parsed.subject() != parsed.issuer();
        (needs_key && authority_key_id(&parsed).is_none()).then(|| NO_AUTHORITY_KEY.to_owned())
    })
}

/// Returns which rule the certificate of an authority, trusted or sent, breaks.
///
/// Source: RFC 5280 sections 4.1.2.2, 4.1.2.6, 4.2 and 4.2.1.
pub fn authority_defect(certificate: &[u8]) -> Option<String> {
    defect(certificate, |parsed| {
        if parsed.subject().iter().next().is_none() {
            return Err("its subject is empty (RFC 5280 4.1.2.6)".into());
        }
        // Roots are in use whose serial number is zero.
        if parsed.subject() != parsed.issuer() {
            serial_number(parsed)?;
        }
        strong_key(parsed)?;
        match parsed.basic_constraints() {
            Ok(Some(constraints)) if constraints.value.ca && constraints.critical => {}
            Ok(Some(constraints)) if constraints.value.ca => {
                return Err("its basicConstraints are not critical (RFC 5280 4.2.1.9)".into());
            }
            _ => return Err("it is no CA certificate (RFC 5280 4.2.1.9)".into()),
        }
        if key_usage_allows_signing(parsed) == Some(false) {
            return Err("its keyUsage lacks keyCertSign (RFC 5280 4.2.1.3)".into());
        }
        let Some(subject_key) = subject_key_id(parsed) else {
            return Err("it has no subjectKeyIdentifier (RFC 5280 4.2.1.2)".into());
        };
        if authority_key(parsed).is_some() && authority_key_id(parsed).is_none() {
            return Err(NO_AUTHORITY_KEY.into());
        }
        let is_root = signed_by(parsed, parsed) == Verdict::Signed;
        if is_root && authority_key_id(parsed).is_some_and(|authority| authority != subject_key) {
            return Err("it names itself as issuer, and another key (RFC 5280 4.2.1.1)".into());
        }
        match name_constraints(parsed) {
            Some(constraints) => well_formed(constraints),
            None => Ok(()),
        }
    })
}

fn defect(
    certificate: &[u8],
    check: impl FnOnce(&X509Certificate<'_>) -> Result<(), String>,
) -> Option<String> {
    let parsed = match parse(certificate) {
        Ok(parsed) => parsed,
        Err(reason) => return Some(reason),
    };
    let extensions = parsed.extensions().iter().try_for_each(extension);
    extensions.and_then(|()| check(&parsed)).err()
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, String> {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err("bytes follow its end".to_owned()),
        Err(error) => Err(format!("it cannot be decoded: {error}")),
    }
}

fn not_negative(parsed: &X509Certificate<'_>) -> Result<(), String> {
    match parsed.raw_serial().first() {
        Some(first) if *first < 0x80 => Ok(()),
        _ => Err("its serial number is negative (RFC 5280 4.1.2.2)".into()),
    }
}

fn serial_number(parsed: &X509Certificate<'_>) -> Result<(), String> {
    let serial = parsed.raw_serial();
    // One octet more than RFC 5280 allows: 160 random bits with the highest one set, as Elasticsearch's tool makes.
    let is_positive =
        serial.first().is_some_and(|first| *first < 0x80) && serial.iter().any(|octet| *octet != 0);
    if !is_positive || serial.len() > SERIAL_MAX {
        return Err("its serial number is not positive or too long (RFC 5280 4.1.2.2)".into());
    }
    Ok(())
}

fn extension(extension: &X509Extension<'_>) -> Result<(), String> {
    let oid = extension.oid.to_id_string();
    match extension.parsed_extension() {
        ParsedExtension::ParseError { .. } => Err(format!("its extension {oid} is malformed")),
        ParsedExtension::AuthorityInfoAccess(access) if access.accessdescs.is_empty() => {
            Err("its authorityInfoAccess is empty (RFC 5280 4.2.2.1)".into())
        }
        ParsedExtension::SubjectKeyIdentifier(_) if extension.critical => {
            Err("its subjectKeyIdentifier is critical (RFC 5280 4.2.1.2)".into())
        }
        ParsedExtension::AuthorityKeyIdentifier(_) if extension.critical => {
            Err("its authorityKeyIdentifier is critical (RFC 5280 4.2.1.1)".into())
        }
        ParsedExtension::NameConstraints(_) if !extension.critical => {
            Err("its nameConstraints are not critical (RFC 5280 4.2.1.10)".into())
        }
        ParsedExtension::PolicyConstraints(_) if !extension.critical => {
            Err("its policyConstraints are not critical (RFC 5280 4.2.1.11)".into())
        }
        ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
            if extension.critical =>
        {
            Err(format!(
                "its critical extension {oid} is unknown here (RFC 5280 4.2)"
            ))
        }
        _ => Ok(()),
    }
}

fn well_formed(constraints: &NameConstraints<'_>) -> Result<(), String> {
    let permitted = constraints
        .permitted_subtrees
        .as_deref()
        .unwrap_or_default();
    let excluded = constraints.excluded_subtrees.as_deref().unwrap_or_default();
    if permitted.is_empty() && excluded.is_empty() {
        return Err("its nameConstraints are empty (RFC 5280 4.2.1.10)".into());
    }
    let leading_period = permitted.iter().chain(excluded).any(
        |subtree| matches!(&subtree.base, GeneralName::DNSName(name) if name.starts_with('.')),
    );
    if leading_period {
        return Err(
            "its nameConstraints have a DNS name that begins with a period (RFC 5280 4.2.1.10)"
                .into(),
        );
    }
    Ok(())
}

fn strong_key(parsed: &X509Certificate<'_>) -> Result<(), String> {
    match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            let bits = key.modulus.iter().skip_while(|octet| **octet == 0);
            let bits: Vec<u8> = bits.copied().collect();
            let unused = bits
                .first()
                .map_or(0, |first| first.leading_zeros() as usize);
            let size = bits.len() * 8 - unused;
            if size < RSA_MIN || !size.is_multiple_of(8) {
                return Err(format!(
                    "its RSA key has {size} bits; at least {RSA_MIN}, a multiple of 8, are wanted"
                ));
            }
            Ok(())
        }
        Ok(PublicKey::EC(point)) if point.key_size() < EC_MIN => Err(format!(
            "its elliptic curve has {} bits; at least {EC_MIN} are wanted",
            point.key_size()
        )),
        Ok(PublicKey::DSA(_)) => Err("its key is a DSA key, which TLS does not use".into()),
        _ => Ok(()),
    }
}

fn key_usage_allows_signing(parsed: &X509Certificate<'_>) -> Option<bool> {
    let usage = parsed.key_usage().ok().flatten()?;
    Some(usage.value.key_cert_sign())
}

fn authority_key<'a>(parsed: &'a X509Certificate<'a>) -> Option<&'a AuthorityKeyIdentifier<'a>> {
    parsed
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => Some(id),
            _ => None,
        })
}

fn name_constraints<'a>(parsed: &'a X509Certificate<'a>) -> Option<&'a NameConstraints<'a>> {
    parsed
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::NameConstraints(constraints) => Some(constraints),
            _ => None,
        })
}

const NO_AUTHORITY_KEY: &str =
    "its authorityKeyIdentifier does not name the key of its issuer (RFC 5280 4.2.1.1)";
const SERIAL_MAX: usize = 21;
const RSA_MIN: usize = 2048;
const EC_MIN: usize = 256;
