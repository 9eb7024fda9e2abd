//! Binding, accepting, and shutting down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ringwall_api::Client;
use ringwall_base::{Decision, Denied, SharedIpFilter};
use ringwall_security::Authenticator;
use ringwall_tls::SslContext;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::{BodyBudget, BodyLimits};
use super::connection::{Connections, serve};
use crate::cors::Cors;
use crate::service::Service;

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
    /// Bytes that all request bodies together may hold at once.
    pub max_in_flight_bytes: u64,
    /// Request line and headers together, bytes.
    pub max_header_bytes: usize,
    /// Connections open at once; more wait in the system's backlog.
    pub max_connections: usize,
    /// Who but pages of the node itself may use it from a browser; `None` leaves it to the browser.
    pub cors: Option<Cors>,
    /// How long browsers are told to come back over HTTPS only.
    pub hsts: Option<Duration>,
    /// Setting `http.compression`: answer with gzip when asked.
    pub compression: bool,
    /// How long a TLS handshake, or the first byte of a plain connection, may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take from its first byte. Setting `http.header_timeout`.
    pub header_timeout: Duration,
    /// How long a connection may wait for the head of its next request.
    pub keep_alive: Duration,
    /// How long a client may pause within a body.
    pub body_idle: Duration,
}

impl Default for RestConfig {
    fn default() -> Self {
        Self {
            addresses: vec![IpAddr::from([127, 0, 0, 1])],
            ports: 9200..=9300,
            filter: SharedIpFilter::default(),
            tls: None,
            max_content_length: 100 << 20,
            max_in_flight_bytes: 1 << 30,
            max_header_bytes: 32 << 10,
            max_connections: 10_000,
            cors: None,
            hsts: None,
            compression: true,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(300),
            body_idle: Duration::from_secs(30),
        }
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// No port of the range could be bound.
    #[error(
        "cannot listen for HTTP on [{address}], ports [{first}-{last}]: {source}; choose another [http.port] or \
         [http.host]"
    )]
    Bind {
        address: IpAddr,
        first: u16,
        last: u16,
        source: io::Error,
    },
    /// There is nothing to listen on.
    #[error("no address to listen on for HTTP; set [http.host]")]
    NoAddress,
}

/// A server that is bound but not yet serving.
pub struct RestServer {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    config: RestConfig,
}

impl RestServer {
    /// Binds every address, so that they are known before anything can be served.
    pub async fn bind(config: RestConfig) -> Result<Self, RestError> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for address in &config.addresses {
            let (listener, bound) = bind_first(*address, &config.ports).await?;
            listeners.push(listener);
            addresses.push(bound);
        }
        if listeners.is_empty() {
            return Err(RestError::NoAddress);
        }
        Ok(Self {
            listeners,
            addresses,
            config,
        })
    }

    /// Returns the addresses bound, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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
                idle: config.body_idle,
            },
            budget: BodyBudget::new(config.max_in_flight_bytes),
            compression: config.compression,
            cors: config.cors.clone(),
            hsts: config
                .hsts
                .filter(|_| config.tls.is_some())
                .and_then(|age| HeaderValue::try_from(format!("max-age={}", age.as_secs())).ok()),
        };
        let connections = Arc::new(Connections {
            places: Arc::new(Semaphore::new(config.max_connections.max(1))),
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

async fn bind_first(
    address: IpAddr,
    ports: &RangeInclusive<u16>,
) -> Result<(TcpListener, SocketAddr), RestError> {
    let mut last_error = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports.clone() {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => match listener.local_addr() {
                Ok(bound) => return Ok((listener, bound)),
                Err(error) => last_error = error,
            },
            Err(error) => last_error = error,
        }
    }
    Err(RestError::Bind {
        address,
        first: *ports.start(),
        last: *ports.end(),
        source: last_error,
    })
}

async fn accept_loop(listener: TcpListener, connections: Arc<Connections>) {
    loop {
        let place = tokio::select! {
            () = connections.drain.cancelled() => return,
            place = Arc::clone(&connections.places).acquire_owned() => place,
        };
        // The semaphore is never closed; if it were, there would be no place for anyone.
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = connections.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => match connections.config.filter.decide(peer.ip()) {
                Decision::Denied(denied) => tell_denied(peer, &denied),
                decision => {
                    let by_name = decision == Decision::ByName;
                    spawn_connection(&connections, tcp, peer, place, by_name);
                }
            },
            Err(error) => {
                // Out of file descriptors, most likely: wait for some connection to end.
                tracing::warn!(%error, "cannot accept an http connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn spawn_connection(
    connections: &Arc<Connections>,
    tcp: TcpStream,
    peer: SocketAddr,
    place: tokio::sync::OwnedSemaphorePermit,
    by_name: bool,
) {
    let shared = Arc::clone(connections);
    connections.tasks.spawn(async move {
        let abort = shared.abort.clone();
        tokio::select! {
            () = abort.cancelled() => {}
            () = let_in(shared, tcp, peer, by_name) => {}
        }
        drop(place);
    });
}

/// Serves a peer, whose name may have to be asked for first.
async fn let_in(connections: Arc<Connections>, tcp: TcpStream, peer: SocketAddr, by_name: bool) {
    if by_name {
        let decided = connections.config.filter.denied_by_name(peer.ip());
        match connections.drain.run_until_cancelled(decided).await {
            None => return,
            Some(None) => {}
            Some(Some(denied)) => return tell_denied(peer, &denied),
        }
    }
    serve(connections, tcp, peer).await;
}

fn tell_denied(peer: SocketAddr, denied: &Denied) {
    tracing::debug!(%peer, "closing http connection, {denied}");
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
