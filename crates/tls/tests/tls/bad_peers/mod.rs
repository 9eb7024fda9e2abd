//! Every kind of peer against every setting: side × mode × client authentication × protocol.
//!
//! The peer is plain rustls that accepts anything; the side under test is a context. Each pair has an
//! expected verdict and an expected line.

mod bytes;
mod certificates;
mod listeners;

use std::net::SocketAddr;
use std::sync::Arc;

use ringwall_pki::{PrivateKey, pem};
use ringwall_tls::{
    ClientAuthentication, ConfiguredPath, FailureReason, HandshakeFailure, KeySource, SslConfig,
    SslContext, TrustSource, VerificationMode,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use rustls::{SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::certificates::{Certificates, Shown};
use crate::support::{WITHIN, check, shake, sockets};

const MODES: [VerificationMode; 3] = [
    VerificationMode::Full,
    VerificationMode::Certificate,
    VerificationMode::None,
];
const AUTHENTICATIONS: [ClientAuthentication; 3] = [
    ClientAuthentication::Required,
    ClientAuthentication::Optional,
    ClientAuthentication::None,
];
const PROTOCOLS: [(&str, &SupportedProtocolVersion); 2] =
    [("TLSv1.3", &version::TLS13), ("TLSv1.2", &version::TLS12)];

#[tokio::test]
async fn an_accepting_side_lets_in_whom_it_should() {
    let bench = Bench::new();
    for (protocol, version) in PROTOCOLS {
        for mode in MODES {
            for authentication in AUTHENTICATIONS {
                let context = bench.context(protocol, mode, authentication);
                for shown in &bench.certificates.shown {
                    let verdict = accept(&context, shown, version).await;
                    let what = format!("{protocol} {mode:?} {authentication:?}: {}", shown.name);
                    expect(
                        &what,
                        &verdict,
                        expected_of_client(shown, mode, authentication),
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_dialling_side_trusts_whom_it_should() {
    let bench = Bench::new();
    for (protocol, version) in PROTOCOLS {
        for mode in MODES {
            let context = bench.context(protocol, mode, ClientAuthentication::Required);
            // A server always shows a certificate.
            for shown in bench
                .certificates
                .shown
                .iter()
                .filter(|shown| !shown.chain.is_empty())
            {
                let verdict = dial(&context, shown, version).await;
                let what = format!("{protocol} {mode:?}: {}", shown.name);
                expect(&what, &verdict, expected_of_server(shown, mode));
            }
        }
    }
}

/// A node of ours that shows a bad certificate is told why it is refused, and its own log says so.
#[tokio::test]
async fn a_refused_node_says_what_it_was_refused_for() {
    let bench = Bench::new();
    for (protocol, _) in PROTOCOLS {
        let judge = bench.context(
            protocol,
            VerificationMode::Full,
            ClientAuthentication::Required,
        );
        for shown in &bench.certificates.shown {
            // A key that is another's makes no context.
            if shown.chain.is_empty() || shown.refused_always.is_some() {
                continue;
            }
            let peer = bench.context_of(shown, protocol);
            let what = format!("{protocol}: {}", shown.name);
            let as_client = shake(&judge, &peer, "127.0.0.1").await;
            let refused = shown.refused_client.is_some();
            let told = if refused { shown.told } else { "" };
            check(&format!("{what}, dialling"), &as_client.client, told);
            if refused {
                check(
                    &format!("{what}, dialling"),
                    &as_client.client,
                    "rejected this node with the TLS alert|this side has the certificate with subject name [",
                );
            }
            let as_server = shake(&peer, &judge, "127.0.0.1").await;
            if shown.refused_server.is_some() || shown.refused_name.is_some() {
                let told =
                    "client did not trust this server's certificate|this side has the certificate";
                check(&format!("{what}, accepting"), &as_server.server, told);
            } else {
                check(&format!("{what}, accepting"), &as_server.server, "");
            }
        }
    }
}

/// Returns what the line of the refusal says; `None` to be let in.
fn expected_of_client(
    shown: &Shown,
    mode: VerificationMode,
    authentication: ClientAuthentication,
) -> Option<&'static str> {
    if authentication == ClientAuthentication::None {
        return None;
    }
    if shown.chain.is_empty() {
        let required = authentication == ClientAuthentication::Required;
        return required.then_some("the client did not provide a certificate");
    }
    match mode {
        VerificationMode::None => shown.refused_always,
        _ => shown.refused_client.or(shown.refused_always),
    }
}

fn expected_of_server(shown: &Shown, mode: VerificationMode) -> Option<&'static str> {
    let always = shown.refused_always;
    match mode {
        VerificationMode::None => always,
        VerificationMode::Certificate => shown.refused_server.or(always),
        VerificationMode::Full => shown.refused_server.or(shown.refused_name).or(always),
    }
}

#[track_caller]
fn expect(what: &str, verdict: &Result<(), HandshakeFailure>, expected: Option<&str>) {
    assert_ne!(expected, Some(""), "{what}: any line would do");
    check(what, verdict, expected.unwrap_or_default());
    if let Err(failure) = verdict {
        let timed_out = matches!(failure.reason(), FailureReason::Timeout { .. });
        assert!(!timed_out, "{what}: {failure}");
        assert!(
            failure.to_string().contains("127.0.0.1:"),
            "{what}: {failure}"
        );
    }
}

/// The side under test accepts a peer that shows the certificate.
async fn accept(
    context: &Arc<SslContext>,
    shown: &Shown,
    version: &'static SupportedProtocolVersion,
) -> Result<(), HandshakeFailure> {
    let (dialled, (accepted, peer)) = sockets().await;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let config = match shown.chain.is_empty() {
        true => builder.with_no_client_auth(),
        false => builder.with_client_cert_resolver(Arc::new(identity(shown))),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, dialled);
    let (verdict, ()) = tokio::join!(
        async { context.accept(accepted, peer, WITHIN).await.map(drop) },
        async {
            if let Ok(stream) = connecting.await {
                linger(stream).await;
            }
        }
    );
    verdict
}

/// The side under test dials a peer that shows the certificate.
async fn dial(
    context: &Arc<SslContext>,
    shown: &Shown,
    version: &'static SupportedProtocolVersion,
) -> Result<(), HandshakeFailure> {
    let (dialled, (accepted, _)) = sockets().await;
    let address: SocketAddr = dialled.peer_addr().unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(identity(shown)));
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(accepted);
    let (verdict, ()) = tokio::join!(
        async {
            context
                .connect(dialled, "127.0.0.1", address, WITHIN)
                .await
                .map(drop)
        },
        async {
            if let Ok(stream) = accepting.await {
                linger(stream).await;
            }
        }
    );
    verdict
}

/// Waits until the side under test has made up its mind and closed.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    // How it ends is the other side's matter.
    let _ = stream.read(&mut [0; 1]).await;
    let _ = stream.shutdown().await;
}

struct Bench {
    directory: TempDir,
    certificates: Certificates,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            directory: TempDir::new().unwrap(),
            certificates: certificates::make(),
        };
        let write = |name: &str, text: &str| {
            std::fs::write(bench.directory.path().join(name), text).unwrap();
        };
        let made = &bench.certificates;
        write("ca.crt", &made.trusted);
        write("ca.crl", &made.revoked);
        write("node.key", &made.own.0);
        write("node.crt", &made.own.1);
        bench
    }

    fn context(
        &self,
        protocol: &str,
        mode: VerificationMode,
        authentication: ClientAuthentication,
    ) -> Arc<SslContext> {
        let path = |name: &str| ConfiguredPath::new(name, self.directory.path());
        let key = KeySource::Pem {
            key: path("node.key"),
            passphrase: None,
            certificate: path("node.crt"),
        };
        let trust = TrustSource::Pem(vec![path("ca.crt")]);
        let mut config = SslConfig::new("xpack.security.transport.ssl", key, trust);
        config.revocation_lists = vec![path("ca.crl")];
        config.protocols = vec![protocol.to_owned()];
        config.verification_mode = mode;
        config.client_authentication = authentication;
        // All come from one address.
        config.handshakes.free_failures = 1_000_000;
        SslContext::load(config, &[]).unwrap()
    }
}

impl Bench {
    /// Returns a node of ours that shows the certificate and believes everybody.
    fn context_of(&self, shown: &Shown, protocol: &str) -> Arc<SslContext> {
        let write = |name: &str, text: String| {
            std::fs::write(self.directory.path().join(name), text).unwrap();
            ConfiguredPath::new(name, self.directory.path())
        };
        let key = ringwall_base::SecretBytes::new(shown.key.secret_der().to_vec());
        let key = PrivateKey::from_pkcs8(key).unwrap();
        let key = pem::encode_private_key(&key, None).unwrap();
        let key = KeySource::Pem {
            key: write("shown.key", key.expose().to_owned()),
            passphrase: None,
            certificate: write("shown.crt", pem::encode_certificates(&shown.chain)),
        };
        let mut config =
            SslConfig::new("xpack.security.transport.ssl", key, TrustSource::default());
        config.protocols = vec![protocol.to_owned()];
        config.verification_mode = VerificationMode::None;
        SslContext::load(config, &[]).unwrap()
    }
}

/// Returns the peer's certificate and key, without a look at whether they belong together.
fn identity(shown: &Shown) -> SingleCertAndKey {
    let key = aws_lc_rs::sign::any_supported_type(&shown.key).unwrap();
    SingleCertAndKey::from(CertifiedKey::new(shown.chain.clone(), key))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Believes everything.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A connected pair: the side under test, with the peer's address, and the peer.
async fn raw() -> ((TcpStream, SocketAddr), TcpStream) {
    let (dialled, (accepted, peer)) = sockets().await;
    ((accepted, peer), dialled)
}
