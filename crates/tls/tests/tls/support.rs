//! Certificates on disk, and one handshake between two contexts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, date_time_ymd,
};
use ringwall_pki::{
    CaParams, CertificateAuthority, DistinguishedName, ExtendedKeyUsage, IssuedCertificate,
    KeySpec, NodeCertParams, pem, self_signed,
};
use ringwall_tls::{
    ClientStream, ConfiguredPath, HandshakeFailure, KeySource, ServerStream, SslConfig, SslContext,
    TrustSource, explain_io_error,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Nothing takes so long, on however busy a machine.
pub const WITHIN: Duration = Duration::from_secs(120);
pub const CA_NAME: &str = "Test CA";

/// The certificates that tests show to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cert {
    Good,
    OtherCa,
    SameNameOtherCa,
    Expired,
    NotYetValid,
    WrongName,
    SelfSigned,
    SelfSignedCa,
    ServerAuthOnly,
    ClientAuthOnly,
    None,
}

/// A directory with three authorities: `ca`, `other` and `same` (which has the name of `ca`).
pub struct Fixture {
    pub dir: TempDir,
    pub ca: CertificateAuthority,
    pub other: CertificateAuthority,
    pub same: CertificateAuthority,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let fixture = Self {
            dir,
            ca: authority(CA_NAME),
            other: authority("Other CA"),
            same: authority(CA_NAME),
        };
        fixture.write("ca.crt", fixture.ca.certificate_pem());
        fixture.write("other.crt", fixture.other.certificate_pem());
        fixture.write("same.crt", fixture.same.certificate_pem());
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Returns a configuration that shows the certificate and trusts `ca`.
    pub fn config(&self, cert: Cert) -> SslConfig {
        let trust = TrustSource::Pem(vec![self.configured("ca.crt")]);
        SslConfig::new("xpack.security.transport.ssl", self.key(cert), trust)
    }

    pub fn context(&self, config: SslConfig) -> Arc<SslContext> {
        SslContext::load(config, &[]).unwrap()
    }

    pub fn configured(&self, name: &str) -> ConfiguredPath {
        ConfiguredPath::new(name, self.dir.path())
    }

    /// Writes the key and certificate and returns them as a source.
    pub fn key(&self, cert: Cert) -> KeySource {
        if cert == Cert::None {
            return KeySource::None;
        }
        let name = format!("{cert:?}");
        match cert {
            Cert::SelfSignedCa => {
                let lone = authority("lone.example");
                self.write(&format!("{name}.crt"), lone.certificate_pem());
                let key = pem::encode_private_key(lone.private_key(), None).unwrap();
                self.write(&format!("{name}.key"), key.expose());
            }
            _ => write_pem(self.dir.path(), &name, &self.issue(cert)),
        }
        self.pem_key(&name)
    }

    pub fn pem_key(&self, name: &str) -> KeySource {
        KeySource::Pem {
            key: self.configured(&format!("{name}.key")),
            passphrase: None,
            certificate: self.configured(&format!("{name}.crt")),
        }
    }

    pub fn issue(&self, cert: Cert) -> IssuedCertificate {
        let mut params = node_params("node-1");
        match cert {
            Cert::Expired => params.not_before = Some(days_from_now(-40)),
            Cert::NotYetValid => params.not_before = Some(days_from_now(40)),
            Cert::WrongName => {
                params.dns = vec!["elsewhere.example".to_owned()];
                params.ips = vec!["192.0.2.7".parse().unwrap()];
            }
            Cert::ServerAuthOnly => params.extended_key_usage = vec![ExtendedKeyUsage::ServerAuth],
            Cert::ClientAuthOnly => params.extended_key_usage = vec![ExtendedKeyUsage::ClientAuth],
            _ => {}
        }
        match cert {
            Cert::OtherCa => self.other.issue(&params).unwrap(),
            Cert::SameNameOtherCa => self.same.issue(&params).unwrap(),
            Cert::SelfSigned => self_signed(&params).unwrap(),
            _ => self.ca.issue(&params).unwrap(),
        }
    }

    /// Returns a revocation list of `ca` that names these serial numbers (hex), as PEM.
    pub fn revocation_list(&self, serials: &[&str]) -> String {
        revocation_list(&self.ca, 1, serials, 2124)
    }
}

/// Returns a revocation list of an authority with a number, as PEM; its successor is due in the given year.
pub fn revocation_list(
    authority: &CertificateAuthority,
    number: u64,
    serials: &[&str],
    next_year: i32,
) -> String {
    let key = authority.private_key().pkcs8().expose().to_vec();
    let key = KeyPair::try_from(key).unwrap();
    let issuer = Issuer::from_ca_cert_der(authority.certificate(), key).unwrap();
    let revoked = serials.iter().map(|serial| {
        let even = format!(
            "{serial:0>width$}",
            width = serial.len().next_multiple_of(2)
        );
        RevokedCertParams {
            serial_number: hex::decode(even).unwrap().into(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(next_year, 1, 1),
        crl_number: number.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}

pub fn authority(name: &str) -> CertificateAuthority {
    CertificateAuthority::generate(&CaParams {
        dn: DistinguishedName::common_name(name),
        key: KeySpec::EcP256,
        ..CaParams::default()
    })
    .unwrap()
}

pub fn node_params(name: &str) -> NodeCertParams {
    NodeCertParams {
        name: DistinguishedName::common_name(name),
        dns: vec!["localhost".to_owned()],
        ips: vec!["127.0.0.1".parse().unwrap()],
        days: 30,
        key: KeySpec::EcP256,
        ..NodeCertParams::default()
    }
}

/// Writes `<name>.key` and `<name>.crt` (with the chain).
pub fn write_pem(dir: &Path, name: &str, issued: &IssuedCertificate) {
    let key = pem::encode_private_key(&issued.key, None).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), key.expose()).unwrap();
    let chain = pem::encode_certificates(&issued.chain);
    std::fs::write(dir.join(format!("{name}.crt")), chain).unwrap();
}

fn days_from_now(days: i64) -> Timestamp {
    Timestamp::now() + (days * 24).hours()
}

/// The two ends after a handshake and one exchange of data.
pub struct Outcome {
    pub server: Result<ServerStream, HandshakeFailure>,
    pub client: Result<ClientStream, HandshakeFailure>,
}

/// Lets two contexts shake hands and exchange four bytes, which is when TLS 1.3 diallers hear of a refusal.
pub async fn shake(server: &Arc<SslContext>, client: &Arc<SslContext>, host: &str) -> Outcome {
    let (dialled, (accepted, peer)) = sockets().await;
    let address = dialled.peer_addr().unwrap();
    let (server, client) = tokio::join!(
        async {
            let mut stream = server.accept(accepted, peer, WITHIN).await?;
            let mut ping = [0; 4];
            stream.read_exact(&mut ping).await.ok();
            stream.write_all(&ping).await.ok();
            stream.flush().await.ok();
            Ok(stream)
        },
        async {
            let mut stream = client.connect(dialled, host, address, WITHIN).await?;
            let exchanged = async {
                stream.write_all(b"ping").await?;
                stream.flush().await?;
                stream.read_exact(&mut [0; 4]).await
            };
            match exchanged.await {
                Ok(_) => Ok(stream),
                Err(error) => Err(explain_io_error(&error)
                    .unwrap_or_else(|| panic!("not explained: {error:?}"))
                    .clone()),
            }
        }
    );
    Outcome { server, client }
}

pub async fn sockets() -> (TcpStream, (TcpStream, SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (dialled.unwrap(), accepted.unwrap())
}

/// Checks one end: `""` expects success, anything else `|`-separated parts of its one line.
#[track_caller]
pub fn check<T>(what: &str, result: &Result<T, HandshakeFailure>, expected: &str) {
    match result {
        Ok(_) => assert!(
            expected.is_empty(),
            "{what}: succeeded, expected [{expected}]"
        ),
        Err(failure) => {
            let line = failure.to_string();
            assert!(!expected.is_empty(), "{what}: {line}");
            assert!(!line.contains('\n'), "{what}: more than one line: {line}");
            for part in expected.split('|') {
                assert!(line.contains(part), "{what}: [{part}] is not in: {line}");
            }
        }
    }
}
