//! Finds the issuers of a certificate among unordered certificates.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use crate::signature::{Verdict, signed_by};

/// Returns the chain that starts with `leaf`: each next certificate is one of `pool` that verifiably signed
/// the one before. Ends at a self-signed certificate, at an issuer that is not in the pool, or after 10 links.
///
/// Of several certificates with the same signing key the one valid longest is taken.
pub(crate) fn build(
    leaf: &CertificateDer<'static>,
    pool: &[CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![leaf.clone()];
    while chain.len() < MAX_CHAIN {
        let Some(issuer) = chain.last().and_then(|last| issuer_of(last, pool)) else {
            break;
        };
        if chain.contains(&issuer) {
            break;
        }
        chain.push(issuer);
    }
    chain
}

fn issuer_of(
    certificate: &CertificateDer<'static>,
    pool: &[CertificateDer<'static>],
) -> Option<CertificateDer<'static>> {
    let (_, subject) = x509_parser::parse_x509_certificate(certificate).ok()?;
    if is_self_signed(&subject) {
        return None;
    }
    pool.iter()
        .filter_map(|candidate| {
            let (_, issuer) = x509_parser::parse_x509_certificate(candidate).ok()?;
            issued(&subject, &issuer).then(|| (issuer.validity().not_after.timestamp(), candidate))
        })
        .max_by_key(|(not_after, _)| *not_after)
        .map(|(_, candidate)| candidate.clone())
}

/// Returns whether `issuer` issued `subject`: name, key identifiers and signature agree. Where the signature
/// algorithm is unknown to us, agreeing key identifiers must be present.
pub(crate) fn issued(subject: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    if subject.issuer().as_raw() != issuer.subject().as_raw() {
        return false;
    }
    let identified = match (authority_key_id(subject), subject_key_id(issuer)) {
        (Some(wanted), Some(offered)) => {
            if wanted != offered {
                return false;
            }
            true
        }
        _ => false,
    };
    match signed_by(subject, issuer) {
        Verdict::Signed => true,
        Verdict::NotSigned => false,
        Verdict::Unknown => identified,
    }
}

fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
        && signed_by(certificate, certificate) != Verdict::NotSigned
}

/// Returns the content of the authority key identifier's key id.
pub(crate) fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                id.key_identifier.as_ref().map(|id| id.0)
            }
            _ => None,
        })
}

/// Returns the content of the subject key identifier.
pub(crate) fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
            _ => None,
        })
}

const MAX_CHAIN: usize = 10;

#[cfg(test)]
mod tests {
    use crate::{CaParams, CertificateAuthority, KeySpec, NodeCertParams};

    use super::*;

    fn ca() -> CertificateAuthority {
        CertificateAuthority::generate(&CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        })
        .unwrap()
    }

    #[test]
    fn two_authorities_of_one_name_are_told_apart_by_signature() {
        let (first, second) = (ca(), ca());
        let params = NodeCertParams {
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        };
        let leaf = second.issue(&params).unwrap();
        for pool in [
            [first.certificate().clone(), second.certificate().clone()],
            [second.certificate().clone(), first.certificate().clone()],
        ] {
            let chain = build(&leaf.certificate, &pool);
            assert_eq!(
                chain,
                [leaf.certificate.clone(), second.certificate().clone()]
            );
        }
        assert_eq!(
            build(&leaf.certificate, &[first.certificate().clone()]).len(),
            1
        );
    }

    #[test]
    fn chains_run_through_intermediates() {
        let root = ca();
        let dn = crate::DistinguishedName::parse("CN=Intermediate").unwrap();
        let params = CaParams {
            dn,
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        let intermediate = root.issue_intermediate(&params).unwrap();
        let leaf = intermediate
            .issue(&NodeCertParams {
                key: KeySpec::EcP256,
                ..NodeCertParams::default()
            })
            .unwrap();
        let pool = [
            root.certificate().clone(),
            intermediate.certificate().clone(),
        ];
        assert_eq!(build(&leaf.certificate, &pool).len(), 3);
        assert_eq!(build(&leaf.certificate, &pool), leaf.chain);
    }
}
