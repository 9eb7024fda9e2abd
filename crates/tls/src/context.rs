//! A TLS context: the live, reloadable counterpart of a settings prefix.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use ringwall_pki::{CertificateInfo, fingerprint_sha256, key_defect};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{SslConfig, TrustSource};
use crate::dialled::Dialled;
use crate::digest::Digests;
use crate::error::SslError;
use crate::failure::{
    FailureReason, HandshakeFailure, PeerRole, Subject, alert_name, classify, is_bad_signature,
};
use crate::hello::Offered;
use crate::load::CertificateEntry;
use crate::material::Material;
use crate::noting::Noting;
use crate::penalty::{Admission, DELAY, Penalties};
use crate::provider::Offer;
use crate::reload::ReloadState;
use crate::revocation::RevocationListEntry;
use crate::sniff::{FirstBytes, answer, first_bytes};
use crate::stream::{ClientStream, ServerStream, TlsStream};
use crate::verifier::{ConnectionVerifier, ObservedSlot};
use crate::workers::Workers;

/// One TLS context. Shared by everything that accepts or dials under one settings prefix.
///
/// Every handshake uses the material current when it starts; established connections keep theirs.
#[derive(Debug)]
pub struct SslContext {
    pub(crate) name: String,
    pub(crate) config: ArcSwap<SslConfig>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) material: ArcSwap<Material>,
    pub(crate) offer: Offer,
    /// Held while reloading, so that two reloads do not overtake one another.
    pub(crate) reload: Mutex<ReloadState>,
    pub(crate) reload_failure: ArcSwapOption<String>,
    pub(crate) generation: watch::Sender<u64>,
    /// Handshakes with peers that dialled, and with those that are dialled: a crowd before the port does not keep this
    /// node from dialling.
    accepting: Workers,
    dialling: Workers,
    penalties: Arc<Penalties>,
}

impl SslContext {
    /// Reads the files of a configuration and builds the context. Blocking: files and key stretching.
    ///
    /// `alpn` lists the application protocols, most preferred first; empty for node-to-node links.
    /// Errors: [`SslError`] naming the file and the remedy, among others when the key does not belong to
    /// the certificate.
    pub fn load(config: SslConfig, alpn: &[&str]) -> Result<Arc<Self>, SslError> {
        Self::load_trusting(config, alpn, &[])
    }

    /// As [`load`](Self::load), and trusts some certificates beside those of the files, until a reload: for tools that
    /// talk with a node whose CA is being replaced.
    pub fn load_trusting(
        config: SslConfig,
        alpn: &[&str],
        also: &[CertificateDer<'static>],
    ) -> Result<Arc<Self>, SslError> {
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Before and after the load: a change during it is then seen by the next look.
        let before = Digests::of(&config);
        let offer = Offer::new(&config)?;
        let mut material = Material::load(&config, &offer)?;
        if !also.is_empty() {
            material.trust_too(&config, also)?;
        }
        let reload = ReloadState::loaded(before, &Digests::of(&config));
        let files = config.absolute_files();
        // Contexts of clients may have none.
        if !files.is_empty() {
            tracing::info!(ssl.context = config.name, files, "loaded ssl configuration");
        }
        material.log_doubts(&config);
        Ok(Arc::new(Self {
            name: config.name.clone(),
            accepting: Workers::new(config.handshakes.threads),
            dialling: Workers::new(config.handshakes.threads),
            penalties: Penalties::new(config.handshakes.free_failures),
            config: ArcSwap::from_pointee(config),
            alpn,
            offer,
            material: ArcSwap::from_pointee(material),
            reload: Mutex::new(reload),
            reload_failure: ArcSwapOption::empty(),
            generation: watch::Sender::new(0),
        }))
    }

    /// Returns the settings prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the configuration in use.
    pub fn config(&self) -> Arc<SslConfig> {
        self.config.load_full()
    }

    /// Performs the accepting side of a handshake, within `within`.
    ///
    /// A peer that does not speak TLS is recognised, and closed without an answer. One of an address whose handshakes
    /// fail again and again waits first.
    pub async fn accept(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        within: Duration,
    ) -> Result<ServerStream, HandshakeFailure> {
        let material = self.material.load_full();
        let subject = material.subject(peer, PeerRole::Client);
        let deadline = Instant::now() + within;
        let late = |_| Err(subject.failure(FailureReason::Timeout { after: within }));

        if !material.can_accept() {
            close_gently(tcp).await;
            return Err(subject.failure(FailureReason::NoKey));
        }
        match self.penalties.admit(peer.ip()) {
            Admission::Now => {}
            Admission::Later(_place) => tokio::time::sleep(DELAY.min(within / 4)).await,
            Admission::Never => return Err(subject.failure(FailureReason::TooManyFailures)),
        }
        let first = match timeout_at(deadline, first_bytes(&tcp)).await {
            Ok(first) => first.map_err(|error| subject.failure(classify(&error)))?,
            Err(elapsed) => return late(elapsed),
        };
        match first {
            FirstBytes::Tls => {}
            FirstBytes::Alert(description) => {
                close_gently(tcp).await;
                return Err(subject.failure(FailureReason::Protocol(alert_first(description))));
            }
            FirstBytes::Closed => return Err(subject.failure(FailureReason::Closed)),
            FirstBytes::Plaintext(kind) => {
                close_gently(tcp).await;
                return Err(subject.failure(FailureReason::Plaintext(kind)));
            }
        }
        no_delay(&tcp, &subject)?;
        let authentication = self.config.load().client_authentication;
        let (verifier, observed) =
            ConnectionVerifier::new(Arc::clone(&material.trust), authentication, None);
        let config = material
            .server_config(verifier, &self.alpn)
            .map_err(|reason| subject.failure(reason))?;
        let shaken = {
            let subject = subject.clone();
            async move {
                let shaken = TlsAcceptor::from(config)
                    .accept(Noting::of_client(tcp))
                    .into_fallible();
                match shaken.await {
                    Ok(stream) => Ok(TlsStream::new(stream.into(), subject)),
                    Err((error, connection)) => {
                        let (tcp, first) = connection.into_parts();
                        let offered = Offered::read(&first);
                        let failure = explain(&error, &subject, &observed, offered);
                        Err((failure, tcp))
                    }
                }
            }
        };
        match timeout_at(deadline, self.accepting.run(peer.ip(), shaken)).await {
            Ok(Some(Ok(stream))) => {
                self.penalties.succeeded(peer.ip());
                Ok(stream)
            }
            Ok(Some(Err((failure, tcp)))) => {
                self.penalties.failed(peer.ip());
                close_gently(tcp).await;
                Err(failure)
            }
            Ok(None) => Err(subject.failure(broken())),
            Err(elapsed) => late(elapsed),
        }
    }

    /// Performs the dialling side of a handshake, within `within`.
    ///
    /// `host` is the name or IP address that was dialled, which `verification_mode: full` checks
    /// against the certificate. In TLS 1.3 success does not yet mean that the acceptor accepted our
    /// certificate: a refusal comes with the first read (see [`explain_io_error`](crate::explain_io_error)).
    pub async fn connect(
        &self,
        tcp: TcpStream,
        host: &str,
        peer: SocketAddr,
        within: Duration,
    ) -> Result<ClientStream, HandshakeFailure> {
        let material = self.material.load_full();
        let subject = material.subject(peer, PeerRole::Server);
        let dialled = Dialled::new(host);
        let name = dialled.for_hello(peer.ip());
        let (verifier, observed) = ConnectionVerifier::new(
            Arc::clone(&material.trust),
            self.config.load().client_authentication,
            Some(dialled),
        );
        let config = material
            .client_config(verifier, &self.alpn)
            .map_err(|reason| subject.failure(reason))?;
        no_delay(&tcp, &subject)?;
        let shaken = {
            let subject = subject.clone();
            async move {
                let shaken = TlsConnector::from(config)
                    .connect(name, Noting::new(tcp))
                    .into_fallible();
                match shaken.await {
                    Ok(stream) => Ok(TlsStream::new(stream.into(), subject)),
                    Err((error, connection)) => {
                        let (tcp, first) = connection.into_parts();
                        let failure = match answer(&first) {
                            Some(kind) => subject.failure(FailureReason::Plaintext(kind)),
                            None => explain(&error, &subject, &observed, None),
                        };
                        Err((failure, tcp))
                    }
                }
            }
        };
        match timeout(within, self.dialling.run(peer.ip(), shaken)).await {
            Ok(Some(Ok(stream))) => Ok(stream),
            Ok(Some(Err((failure, tcp)))) => {
                close_gently(tcp).await;
                Err(failure)
            }
            Ok(None) => Err(subject.failure(broken())),
            Err(_) => Err(subject.failure(FailureReason::Timeout { after: within })),
        }
    }

    /// Returns whether a chain (leaf first) would be accepted by a handshake now.
    ///
    /// For re-checking live links after a trust change or when a certificate expires. `dialled` is the
    /// host as given to [`connect`](Self::connect), or `None` for an accepted link.
    pub fn would_trust(
        &self,
        chain: &[CertificateDer<'_>],
        peer: PeerRole,
        dialled: Option<&str>,
    ) -> Result<(), FailureReason> {
        let material = self.material.load();
        let dialled = dialled.map(Dialled::new);
        material
            .trust
            .verify(chain, peer, dialled.as_ref(), UnixTime::now())
    }

    /// Returns a receiver of the generation: 0 at start, one more with each successful reload.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Returns the generation of now.
    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Returns every certificate in use, for `GET /_ssl/certificates`.
    pub fn certificates(&self) -> Vec<CertificateEntry> {
        self.material.load().certificates.clone()
    }

    /// Returns the SHA-256 fingerprints (lower-case hex) of the certificates it trusts, sorted; those that the peer
    /// must send are among them.
    pub fn trusted_fingerprints(&self) -> Vec<String> {
        let material = self.material.load();
        let mut trusted: Vec<String> = match &self.config().trust {
            TrustSource::Fingerprints(pins) => pins.iter().map(hex::encode).collect(),
            _ => {
                let certificates = material.trust.certificates().iter();
                certificates.map(|der| fingerprint_sha256(der)).collect()
            }
        };
        trusted.sort_unstable();
        trusted
    }

    /// Returns the certificate revocation lists in use, newest first.
    pub fn revocation_lists(&self) -> Vec<RevocationListEntry> {
        self.material.load().trust.revocation_lists()
    }

    /// Returns the certificate this context shows, if it has one.
    pub fn own_certificate(&self) -> Option<CertificateInfo> {
        self.material.load().facts.own.clone()
    }
}

/// Returns the failure for a handshake error: what our own verifier said, else what rustls said.
/// `offered` is what a client offered, where that is known.
fn explain(
    error: &io::Error,
    subject: &Subject,
    observed: &ObservedSlot,
    offered: Option<Offered>,
) -> HandshakeFailure {
    let observed = observed.get();
    let chain: Vec<CertificateInfo> = observed
        .map(|observed| observed.chain.as_slice())
        .unwrap_or_default()
        .iter()
        .map_while(|certificate| CertificateInfo::from_der(certificate).ok())
        .collect();
    let refusal = observed.and_then(|observed| observed.refusal.clone());
    // The cryptography library does not verify with a key that is too weak, and calls the signature bad.
    let weak = || {
        let leaf = observed?.chain.first()?;
        let defect = key_defect(leaf).filter(|_| is_bad_signature(error))?;
        Some(FailureReason::BadCertificate(defect))
    };
    let reason = refusal.or_else(weak);
    let reason = reason.unwrap_or_else(|| match (classify(error), offered) {
        (FailureReason::Incompatible(detail), Some(offered)) => {
            FailureReason::Incompatible(offered.compared(&subject.context).unwrap_or(detail))
        }
        (reason, _) => reason,
    });
    subject.failure_with_chain(reason, chain)
}

/// The panic itself is in the log.
fn broken() -> FailureReason {
    FailureReason::Io("the handshake ended with an internal error".to_owned())
}

/// Returns what is wrong with a connection that begins with an alert, and what it comes from.
fn alert_first(description: u8) -> String {
    format!(
        "it began with the TLS alert [{}] instead of a ClientHello; an alert like this ends an earlier handshake, so \
         a proxy or load balancer in between mixes up connections: let it forward TCP unchanged",
        alert_name(description.into())
    )
}

fn no_delay(tcp: &TcpStream, subject: &Subject) -> Result<(), HandshakeFailure> {
    tcp.set_nodelay(true)
        .map_err(|error| subject.failure(FailureReason::Io(error.to_string())))
}

/// Closes so that the peer can read our alert.
///
/// Closing a socket with unread bytes resets the connection, and the reset overtakes the alert that
/// tells the peer why. So: say we are done, then discard what the peer still sends, for a short while.
async fn close_gently(mut tcp: TcpStream) {
    let discard = async {
        tcp.shutdown().await?;
        let mut buffer = [0; 1024];
        for _ in 0..LINGER_READS {
            if tcp.read(&mut buffer).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // The failure being reported is the news; one more error of a connection given up is not.
    let _ = timeout(LINGER, discard).await;
}

const LINGER: Duration = Duration::from_millis(500);
const LINGER_READS: usize = 64;
