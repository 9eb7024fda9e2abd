//! Binding, accepting, and shutting down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ringwall_api::Client;
use ringwall_base::breaker::Breakers;
use ringwall_base::{Decision, Denied, SharedIpFilter};
use ringwall_security::Authenticator;
use ringwall_tls::listen;
use ringwall_tls::{RefusalLog, SslContext};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{ConnectionCounts, Waiting};
use super::body::BodyLimits;
use super::connection::{Connections, serve};
use super::discard::Discard;
use crate::cors::Cors;
use crate::request::NameMath;
use crate::service::{HeadLimits, Service};

/// Where and how to serve.
#[derive(Clone)]
pub struct RestConfig {
    /// Every address is bound. Setting `http.host`.
    pub addresses: Vec<IpAddr>,
    /// The first free port of the range is taken; `0..=0` lets the system pick. Setting `http.port`.
    pub ports: RangeInclusive<u16>,
    /// Who may connect at all. Settings `xpack.security.http.filter.*`.
    pub filter: SharedIpFilter,
    /// `None` serves plain HTTP. For HTTP/2, load the context with ALPN `["h2", "http/1.1"]`.
    pub tls: Option<Arc<SslContext>>,
    /// Setting `http.max_content_length`, bytes; also the bound after decompression.
    pub max_content_length: u64,
    /// Values in one JSON body. Setting `http.max_content_values`.
    pub max_content_values: u64,
    /// Where bodies, what is read of them, and answers are charged.
    pub breakers: Breakers,
    /// All headers of a request together, bytes. Setting `http.max_header_size`.
    pub max_header_bytes: usize,
    /// The request line, bytes. Setting `http.max_initial_line_length`.
    pub max_line_bytes: usize,
    /// Connections open at once. For one more, the one that has waited longest for its client is closed.
    pub max_connections: usize,
    /// Who but pages of the node itself may use it from a browser; `None` leaves it to the browser.
    pub cors: Option<Cors>,
    /// How date math in names of indices is read.
    pub name_math: NameMath,
    /// How long browsers are told to come back over HTTPS only.
    pub hsts: Option<Duration>,
    /// Whether every answer warns that nobody is asked who he is: `xpack.security.enabled` is off.
    pub warn_of_no_security: bool,
    /// Setting `http.compression`: answer with gzip when asked.
    pub compression: bool,
    /// How long a TLS handshake, or the first byte of a plain connection, may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take from its first byte. Setting `http.header_timeout`.
    pub header_timeout: Duration,
    /// How long a connection may be without a request. Setting `http.idle_timeout`.
    pub idle_timeout: Duration,
    /// How long a client may pause within a body that it sends or reads. Setting `http.body_timeout`.
    pub body_timeout: Duration,
    /// The rest of a request that is refused is read up to so many bytes, so that its connection lives on.
    /// Setting `http.discard_limit`.
    pub max_discarded: u64,
    /// How long a client may take for that. Setting `http.discard_timeout`.
    pub discard_timeout: Duration,
    /// How long requests of a client whose certificate is no longer trusted may go on.
    /// Setting `http.distrust_grace`.
    pub distrust_grace: Duration,
    /// How often a line about the same refused client is repeated.
    pub refusal_interval: Duration,
}

impl RestConfig {
    /// Returns the bytes that a request may have before its body.
    pub(super) fn max_head_bytes(&self) -> usize {
        self.max_header_bytes.saturating_add(self.max_line_bytes)
    }
}

impl Default for RestConfig {
    fn default() -> Self {
        Self {
            addresses: vec![IpAddr::from([127, 0, 0, 1])],
            ports: 9200..=9300,
            filter: SharedIpFilter::default(),
            tls: None,
            max_content_length: 100 << 20,
            max_content_values: 1_000_000,
            breakers: Breakers::unlimited(),
            max_header_bytes: 16 << 10,
            max_line_bytes: 4 << 10,
            max_connections: 10_000,
            cors: None,
            name_math: |name, _| Ok(name.to_owned()),
            hsts: None,
            warn_of_no_security: false,
            compression: true,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(30),
            max_discarded: 1 << 20,
            discard_timeout: Duration::from_secs(5),
            distrust_grace: Duration::from_secs(5),
            refusal_interval: Duration::from_secs(30),
        }
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// No port of the range could be bound on all addresses.
    #[error("cannot listen for HTTP: {0}; choose another [http.port] or [http.host]")]
    Bind(#[from] listen::BindError),
    /// A bound socket could not be used.
    #[error("cannot listen for HTTP: {0}")]
    Socket(#[from] io::Error),
    /// There is nothing to listen on.
    #[error("no address to listen on for HTTP; set [http.host]")]
    NoAddress,
}

/// A server that is bound but not yet serving.
pub struct RestServer {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    config: RestConfig,
    counts: Arc<ConnectionCounts>,
    refusals: Arc<RefusalLog>,
}

impl RestServer {
    /// Binds every address, all to the same port, so that they are known before anything can be served.
    pub async fn bind(config: RestConfig) -> Result<Self, RestError> {
        if config.addresses.is_empty() {
            return Err(RestError::NoAddress);
        }
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for listener in listen::bind(&config.addresses, &config.ports).await? {
            addresses.push(listener.local_addr()?);
            listeners.push(listener);
        }
        Ok(Self {
            listeners,
            addresses,
            refusals: Arc::new(RefusalLog::new(config.refusal_interval)),
            config,
            counts: Arc::default(),
        })
    }

    /// Returns the addresses bound, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the number of clients, also of those to come.
    pub fn counts(&self) -> Arc<ConnectionCounts> {
        Arc::clone(&self.counts)
    }

    /// Returns the log of clients that are refused.
    pub fn refusals(&self) -> Arc<RefusalLog> {
        Arc::clone(&self.refusals)
    }

    /// Starts to serve. `client` is the one that authorizes
    /// ([`SecuredClient`](ringwall_security::SecuredClient)).
    pub fn serve(self, client: Arc<dyn Client>, authenticator: Arc<Authenticator>) -> ServerHandle {
        let config = self.config;
        let service = Service {
            client,
            authenticator,
            limits: BodyLimits {
                max_bytes: config.max_content_length,
                idle: config.body_timeout,
            },
            head: HeadLimits {
                line: config.max_line_bytes,
                headers: config.max_header_bytes,
            },
            max_content_values: config.max_content_values,
            breakers: config.breakers.clone(),
            name_math: config.name_math,
            discard: Discard {
                max_bytes: config.max_discarded,
                patience: config.discard_timeout,
            },
            compression: config.compression,
            cors: config.cors.clone(),
            hsts: config
                .hsts
                .filter(|_| config.tls.is_some())
                .and_then(|age| HeaderValue::try_from(format!("max-age={}", age.as_secs())).ok()),
            warning: config
                .warn_of_no_security
                .then(|| HeaderValue::try_from(no_security()).ok())
                .flatten(),
        };
        self.refusals.spawn_summaries();
        let connections = Arc::new(Connections {
            places: Arc::new(Semaphore::new(config.max_connections.max(1))),
            waiting: Arc::new(Waiting::new(self.counts)),
            refusals: self.refusals,
            config,
            service: Arc::new(service),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        for listener in self.listeners {
            let shared = Arc::clone(&connections);
            connections.tasks.spawn(accept_loop(listener, shared));
        }
        connections.tasks.close();
        ServerHandle {
            addresses: self.addresses,
            connections,
        }
    }
}

/// A running server. Dropping it leaves the server running; see [`ServerHandle::shutdown`].
pub struct ServerHandle {
    addresses: Vec<SocketAddr>,
    connections: Arc<Connections>,
}

impl ServerHandle {
    /// Returns the addresses bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, lets requests under way finish for at most `drain`, then closes the rest.
    /// Returns whether all finished by themselves.
    pub async fn shutdown(self, drain: Duration) -> bool {
        self.connections.drain.cancel();
        let finished = tokio::time::timeout(drain, self.connections.tasks.wait())
            .await
            .is_ok();
        if !finished {
            self.connections.abort.cancel();
            self.connections.tasks.wait().await;
        }
        finished
    }
}

async fn accept_loop(listener: TcpListener, connections: Arc<Connections>) {
    loop {
        let accepted = tokio::select! {
            () = connections.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: another must end first.
                tracing::warn!(%error, "cannot accept an http connection");
                connections.waiting.shed_longest();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let refusals = &connections.refusals;
        let decision = connections.config.filter.decide(peer.ip());
        if let Decision::Denied(denied) = &decision {
            refuse_denied(refusals, peer, denied);
            continue;
        }
        let by_name = decision == Decision::ByName;
        match place(&connections).await {
            Some(place) => spawn_connection(&connections, tcp, peer, place, by_name),
            None => {
                let line = format!(
                    "closing http connection from [{peer}]: all [{}] connections of [http.max_connections] carry \
                     requests",
                    connections.config.max_connections
                );
                refusals.inbound(peer, "too_many_connections", line);
            }
        }
    }
}

/// Returns a place for a connection. When there is none, who has waited longest for its client gives way.
async fn place(connections: &Connections) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(&connections.places).try_acquire_owned() {
        return Some(place);
    }
    if !connections.waiting.shed_longest() {
        return None;
    }
    let free = Arc::clone(&connections.places).acquire_owned();
    tokio::time::timeout(SHED_TIMEOUT, free).await.ok()?.ok()
}

fn spawn_connection(
    connections: &Arc<Connections>,
    tcp: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    by_name: bool,
) {
    let shared = Arc::clone(connections);
    let activity = shared.waiting.enter(peer.ip());
    connections.tasks.spawn(async move {
        let (abort, given_up) = (shared.abort.clone(), Arc::clone(&activity));
        tokio::select! {
            () = abort.cancelled() => {}
            () = given_up.shed() => {
                tracing::debug!(%peer, "http connection gave its place to a new one");
            }
            () = async {
                if !by_name || is_let_in(&shared, peer).await {
                    serve(shared, tcp, peer, activity).await;
                }
            } => {}
        }
        drop(place);
    });
}

/// Decides by the name of the peer, which takes time. Nothing is said to it meanwhile.
async fn is_let_in(connections: &Connections, peer: SocketAddr) -> bool {
    let decided = connections.config.filter.denied_by_name(peer.ip());
    match connections.drain.run_until_cancelled(decided).await {
        None => false,
        Some(None) => true,
        Some(Some(denied)) => {
            refuse_denied(&connections.refusals, peer, &denied);
            false
        }
    }
}

fn refuse_denied(refusals: &RefusalLog, peer: SocketAddr, denied: &Denied) {
    let line = format!("closing http connection from [{peer}]: {denied}");
    refusals.inbound(peer, "ip_filter", line);
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection that was told to end does so at once.
const SHED_TIMEOUT: Duration = Duration::from_secs(1);

/// The value of the header `Warning`. Source: RFC 7234 section 5.5, and what Elasticsearch 8 sends.
fn no_security() -> String {
    format!(
        "299 Elasticsearch-{} \"Elasticsearch built-in security features are not enabled. Who reaches this \
         address may read and change everything; see the setting [xpack.security.enabled].\"",
        ringwall_base::COMPATIBLE_VERSION
    )
}
