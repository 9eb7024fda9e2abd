//! Whether one certificate's key made another certificate's signature.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// What is known about "this issuer signed that certificate".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Signed,
    NotSigned,
    /// The algorithm is one that we cannot verify.
    Unknown,
}

/// Verifies the signature of `certificate` with the public key of `issuer`. Names and dates are not looked at.
pub(crate) fn signed_by(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Verdict {
    signed(
        &certificate.signature_algorithm,
        certificate.tbs_certificate.as_ref(),
        certificate.signature_value.data.as_ref(),
        issuer.public_key(),
    )
}

/// Returns whether a key signed a certificate revocation list. `list` is DER, `key` a DER SubjectPublicKeyInfo with
/// its tag. `None` when the algorithm is one that we cannot verify. Names and dates are not looked at.
pub fn is_list_signed_by(list: &[u8], key: &[u8]) -> Option<bool> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    let (_, key) = SubjectPublicKeyInfo::from_der(key).ok()?;
    let verdict = signed(
        &list.signature_algorithm,
        list.tbs_cert_list.as_ref(),
        list.signature_value.data.as_ref(),
        &key,
    );
    match verdict {
        Verdict::Signed => Some(true),
        Verdict::NotSigned => Some(false),
        Verdict::Unknown => None,
    }
}

/// Verifies a signature over DER with a public key.
pub(crate) fn signed(
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
    key: &SubjectPublicKeyInfo<'_>,
) -> Verdict {
    let public = &key.subject_public_key.data;
    let algorithms = candidates(&algorithm.algorithm.to_id_string());
    if algorithms.is_empty() {
        return Verdict::Unknown;
    }
    let verified = algorithms.iter().any(|algorithm| {
        UnparsedPublicKey::new(*algorithm, public)
            .verify(message, signature)
            .is_ok()
    });
    if verified {
        Verdict::Signed
    } else {
        Verdict::NotSigned
    }
}

/// Returns the algorithms to try: the identifier names the hash but not the issuer's curve, and the
/// hash of a PSS signature stands in parameters that trying makes unnecessary.
fn candidates(oid: &str) -> &'static [&'static dyn VerificationAlgorithm] {
    match oid {
        "1.2.840.113549.1.1.5" => &[&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY],
        "1.2.840.113549.1.1.11" => &[&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY],
        "1.2.840.113549.1.1.12" => &[&signature::RSA_PKCS1_2048_8192_SHA384],
        "1.2.840.113549.1.1.13" => &[&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY],
        "1.2.840.113549.1.1.10" => &[
            &signature::RSA_PSS_2048_8192_SHA256,
            &signature::RSA_PSS_2048_8192_SHA384,
            &signature::RSA_PSS_2048_8192_SHA512,
        ],
        "1.2.840.10045.4.3.2" => &[
            &signature::ECDSA_P256_SHA256_ASN1,
            &signature::ECDSA_P384_SHA256_ASN1,
            &signature::ECDSA_P521_SHA256_ASN1,
        ],
        "1.2.840.10045.4.3.3" => &[
            &signature::ECDSA_P384_SHA384_ASN1,
            &signature::ECDSA_P256_SHA384_ASN1,
            &signature::ECDSA_P521_SHA384_ASN1,
        ],
        "1.2.840.10045.4.3.4" => &[
            &signature::ECDSA_P521_SHA512_ASN1,
            &signature::ECDSA_P384_SHA512_ASN1,
            &signature::ECDSA_P256_SHA512_ASN1,
        ],
        "1.3.101.112" => &[&signature::ED25519],
        _ => &[],
    }
}
