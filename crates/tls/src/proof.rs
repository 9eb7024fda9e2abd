//! The peer's proof that it holds the key of its certificate: the signature over the handshake.
//!
//! A certificate that the path validation library does not read (X.509 version 1, unknown critical extensions)
//! gets here only when it has been accepted: in `verification_mode: none`, or because it is trusted as it is.
//! Then the signature is verified with the public key that is in it.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::{EndEntityCert, RawPublicKeyEntity};

use crate::provider;

pub(crate) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = provider::signature_algorithms();
    if EndEntityCert::try_from(certificate).is_ok() {
        return verify_tls13_signature(message, certificate, signature, &algorithms);
    }
    let key = public_key(certificate)?;
    verify_tls13_signature_with_raw_key(message, &key, signature, &algorithms)
}

pub(crate) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = provider::signature_algorithms();
    if EndEntityCert::try_from(certificate).is_ok() {
        return verify_tls12_signature(message, certificate, signature, &algorithms);
    }
    let key = public_key(certificate)?;
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| bad_encoding())?;
    let scheme = signature.scheme;
    let mut offered = algorithms.mapping.iter();
    let (_, candidates) = offered
        .find(|(known, _)| *known == scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    // TLS 1.2 names the hash and not the curve, so one scheme stands for several algorithms.
    let is_signed = candidates.iter().any(|algorithm| {
        key.verify_signature(*algorithm, message, signature.signature())
            .is_ok()
    });
    match is_signed {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

/// Returns the SubjectPublicKeyInfo. Source: RFC 5280 section 4.1.
fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok(([], parsed)) => Ok(parsed.public_key().raw.to_vec().into()),
        _ => Err(bad_encoding()),
    }
}

fn bad_encoding() -> Error {
    CertificateError::BadEncoding.into()
}
