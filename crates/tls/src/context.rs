//! A TLS context: the live, reloadable counterpart of a settings prefix.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use ringwall_pki::CertificateInfo;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::SslConfig;
use crate::error::SslError;
use crate::failure::{FailureReason, HandshakeFailure, PeerRole, Subject, classify};
use crate::load::CertificateEntry;
use crate::material::Material;
use crate::provider::Offer;
use crate::reload::ReloadState;
use crate::sniff::{FirstBytes, first_bytes};
use crate::stream::{ClientStream, ServerStream, TlsStream};
use crate::verifier::{ConnectionVerifier, ObservedSlot};

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
}

impl SslContext {
    /// Reads the files of a configuration and builds the context. Blocking: files and key stretching.
    ///
    /// `alpn` lists the application protocols, most preferred first; empty for node-to-node links.
    /// Errors: [`SslError`] naming the file and the remedy, among others when the key does not belong to
    /// the certificate.
    pub fn load(config: SslConfig, alpn: &[&str]) -> Result<Arc<Self>, SslError> {
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Before the load: a change during it is then seen by the next reload.
        let reload = ReloadState::new(&config);
        let offer = Offer::new(&config)?;
        let material = Material::load(&config, &offer)?;
        material.log_doubts(&config);
        Ok(Arc::new(Self {
            name: config.name.clone(),
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
    /// A peer that does not speak TLS is recognised, and closed without an answer.
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
        let first = match timeout_at(deadline, first_bytes(&tcp)).await {
            Ok(first) => first.map_err(|error| subject.failure(classify(&error)))?,
            Err(elapsed) => return late(elapsed),
        };
        match first {
            FirstBytes::Tls => {}
            FirstBytes::Closed => return Err(subject.failure(FailureReason::Closed)),
            FirstBytes::Plaintext(kind) => {
                close_gently(tcp).await;
                return Err(subject.failure(FailureReason::Plaintext(kind)));
            }
        }
        no_delay(&tcp, &subject)?;
        let authentication = self.config.load().client_authentication;
        let (verifier, observed) =
            ConnectionVerifier::new(Arc::clone(&material.trust), authentication);
        let config = material
            .server_config(verifier, &self.alpn)
            .map_err(|reason| subject.failure(reason))?;
        let handshake = TlsAcceptor::from(config).accept(tcp).into_fallible();
        match timeout_at(deadline, handshake).await {
            Ok(Ok(stream)) => Ok(TlsStream::new(stream.into(), subject)),
            Ok(Err((error, tcp))) => {
                close_gently(tcp).await;
                Err(explain(&error, &subject, &observed))
            }
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
        // A text that no certificate can hold: what is verified is the address it resolved to.
        let name = server_name(host).unwrap_or_else(|| ServerName::IpAddress(peer.ip().into()));
        let (verifier, observed) = ConnectionVerifier::new(
            Arc::clone(&material.trust),
            self.config.load().client_authentication,
        );
        let config = material
            .client_config(verifier, &self.alpn)
            .map_err(|reason| subject.failure(reason))?;
        no_delay(&tcp, &subject)?;
        let handshake = TlsConnector::from(config)
            .connect(name, tcp)
            .into_fallible();
        match timeout(within, handshake).await {
            Ok(Ok(stream)) => Ok(TlsStream::new(stream.into(), subject)),
            Ok(Err((error, tcp))) => {
                close_gently(tcp).await;
                Err(explain(&error, &subject, &observed))
            }
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
        let name = match dialled {
            None => None,
            Some(host) => Some(
                server_name(host).ok_or_else(|| FailureReason::NameMismatch {
                    dialled: host.to_owned(),
                    sans: Vec::new(),
                })?,
            ),
        };
        material
            .trust
            .verify(chain, peer, name.as_ref(), UnixTime::now())
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

    /// Returns the certificate this context shows, if it has one.
    pub fn own_certificate(&self) -> Option<CertificateInfo> {
        self.material.load().facts.own.clone()
    }
}

/// Returns the name or address to verify, or `None` when the text is neither.
pub(crate) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    // An IPv6 zone is local to this host and never in a certificate.
    let unzoned = bare.split_once('%').map_or(bare, |(address, _)| address);
    if let Ok(address) = unzoned.parse::<IpAddr>() {
        return Some(ServerName::IpAddress(address.into()));
    }
    ServerName::try_from(bare.to_owned()).ok()
}

/// Returns the failure for a handshake error: what our own verifier said, else what rustls said.
fn explain(error: &io::Error, subject: &Subject, observed: &ObservedSlot) -> HandshakeFailure {
    let observed = observed.get();
    let chain: Vec<CertificateInfo> = observed
        .map(|observed| observed.chain.as_slice())
        .unwrap_or_default()
        .iter()
        .map_while(|certificate| CertificateInfo::from_der(certificate).ok())
        .collect();
    let refusal = observed.and_then(|observed| observed.refusal.clone());
    subject.failure_with_chain(refusal.unwrap_or_else(|| classify(error)), chain)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_become_names_or_addresses() {
        for (host, expected) in [
            ("es01.example.com", Some("es01.example.com")),
            ("node_1", Some("node_1")),
            ("10.0.0.5", Some("10.0.0.5")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("two words", None),
            ("", None),
        ] {
            let name = server_name(host).map(|name| name.to_str().into_owned());
            assert_eq!(name.as_deref(), expected, "{host}");
        }
    }
}
