//! rustls's view of a [`Trust`]: one verifier per connection, which also remembers what it saw.

use std::sync::{Arc, OnceLock};

use ringwall_settings::ClientAuthentication;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::dialled::Dialled;
use crate::failure::{FailureReason, PeerRole};
use crate::path::MAX_CERTIFICATES;
use crate::proof;
use crate::provider;
use crate::trust::Trust;

/// What a peer showed during one handshake, and why it was refused if it was.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) refusal: Option<FailureReason>,
}

/// The slot through which one connection's verifier reports. Never shared between connections.
pub(crate) type ObservedSlot = Arc<OnceLock<Observed>>;

/// Verifies the peer of one connection, in either direction, for TLS 1.2 and 1.3.
#[derive(Debug)]
pub(crate) struct ConnectionVerifier {
    trust: Arc<Trust>,
    client_authentication: ClientAuthentication,
    /// The host as it was dialled; `None` on the accepting side. What rustls passes is what the ClientHello says.
    dialled: Option<Dialled>,
    observed: ObservedSlot,
}

impl ConnectionVerifier {
    /// Returns a verifier and the slot it reports to.
    pub(crate) fn new(
        trust: Arc<Trust>,
        client_authentication: ClientAuthentication,
        dialled: Option<Dialled>,
    ) -> (Arc<Self>, ObservedSlot) {
        let observed = ObservedSlot::default();
        let verifier = Self {
            trust,
            client_authentication,
            dialled,
            observed: Arc::clone(&observed),
        };
        (Arc::new(verifier), observed)
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        peer: PeerRole,
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut chain: Vec<CertificateDer<'static>> = std::iter::once(leaf)
            .chain(intermediates)
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        let dialled = self.dialled.as_ref();
        let refusal = self.trust.verify(&chain, peer, dialled, now).err();
        let verdict = refusal
            .as_ref()
            .map_or(Ok(()), |reason| Err(to_rustls(reason)));
        // What nobody looks at, nobody tells of.
        chain.truncate(MAX_CERTIFICATES);
        // A second report cannot happen: there is no renegotiation and no post-handshake authentication.
        let _ = self.observed.set(Observed { chain, refusal });
        verdict
    }
}

impl ServerCertVerifier for ConnectionVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, PeerRole::Server, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof::verify_tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof::verify_tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider::signature_algorithms().supported_schemes()
    }
}

impl ClientCertVerifier for ConnectionVerifier {
    fn offer_client_auth(&self) -> bool {
        self.client_authentication != ClientAuthentication::None
    }

    fn client_auth_mandatory(&self) -> bool {
        self.client_authentication == ClientAuthentication::Required
    }

    /// No hints: a dialler given the list of our authorities may keep back a certificate of another one,
    /// and then neither side can say which authority was missing.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, PeerRole::Client, now)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof::verify_tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proof::verify_tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider::signature_algorithms().supported_schemes()
    }
}

/// Returns the error that makes rustls send the alert closest to the reason.
fn to_rustls(reason: &FailureReason) -> Error {
    let error = match reason {
        FailureReason::UntrustedIssuer { .. } => CertificateError::UnknownIssuer,
        FailureReason::Expired { .. } => CertificateError::Expired,
        FailureReason::NotYetValid { .. } => CertificateError::NotValidYet,
        FailureReason::Revoked { .. } => CertificateError::Revoked,
        FailureReason::Restricted { .. } => CertificateError::ApplicationVerificationFailure,
        FailureReason::NameMismatch { .. } => CertificateError::NotValidForName,
        FailureReason::UnverifiableName { .. } => CertificateError::NotValidForName,
        FailureReason::WrongUsage { .. } => CertificateError::InvalidPurpose,
        _ => CertificateError::BadEncoding,
    };
    Error::InvalidCertificate(error)
}
