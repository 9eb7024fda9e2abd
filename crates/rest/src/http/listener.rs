//! Accepting connections, whatever answers on them, and shutting down.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use ringwall_base::{Decision, Denied, SharedIpFilter};
use ringwall_security::ClientCertificates;
use ringwall_tls::{HandshakeFailure, RefusalLog, SslContext, listen};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{ConnectionCounts, Waiting};
use super::connection::{Connections, serve};

/// What answers the requests of connections.
pub trait HttpService: Send + Sync + 'static {
    /// Answers a request on a connection from there, whose client showed these certificates, if any. Failures are
    /// answers too.
    fn handle(
        &self,
        request: Request<Incoming>,
        certificates: Option<&ClientCertificates>,
        peer: SocketAddr,
    ) -> impl Future<Output = Answered> + Send;

    /// Returns what a client is told that still asks when its certificate is no longer trusted.
    fn no_longer_trusted(&self) -> Response<Full<Bytes>>;

    /// Returns what a client is told that speaks plain HTTP to an HTTPS port: a whole answer, as it goes over the wire.
    fn plaintext(&self) -> String;

    /// Tells of a handshake that failed.
    fn refused(&self, failure: &HandshakeFailure, refusals: &RefusalLog) {
        refusals.handshake(failure, None);
    }
}

/// An answer to a request.
pub struct Answered {
    pub response: Response<Full<Bytes>>,
    /// The body of the request, if the client has yet to send some of it.
    pub unread: Option<Incoming>,
}

impl Answered {
    /// Answers a request that was not looked at.
    pub(super) fn unseen(request: Request<Incoming>, response: Response<Full<Bytes>>) -> Self {
        let body = request.into_body();
        Self {
            response,
            unread: (!body.is_end_stream()).then_some(body),
        }
    }
}

/// Where connections are taken, and within which bounds.
#[derive(Clone)]
pub struct HttpConfig {
    /// Every address is bound, all to the same port of the range.
    pub addresses: Vec<IpAddr>,
    pub ports: RangeInclusive<u16>,
    /// Who may connect at all.
    pub filter: SharedIpFilter,
    /// `None` serves plain HTTP. For HTTP/2, load the context with ALPN `["h2", "http/1.1"]`.
    pub tls: Option<Arc<SslContext>>,
    /// All headers of a request together, bytes.
    pub max_header_bytes: usize,
    /// Everything before the body, bytes.
    pub max_head_bytes: usize,
    /// Read of a request that is answered already, bytes.
    pub max_unread: u64,
    /// Connections open at once. For one more, the one that has waited longest for its client is closed.
    pub max_connections: usize,
    /// How long a TLS handshake, or the first byte of a plain connection, may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take from its first byte.
    pub header_timeout: Duration,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// How long a client may pause within a body that it sends or reads.
    pub body_timeout: Duration,
    /// How long a client may pause while what is unread is thrown away.
    pub discard_timeout: Duration,
    /// How long requests of a client whose certificate is no longer trusted may go on.
    pub distrust_grace: Duration,
    /// How often a line about the same refused client is repeated.
    pub refusal_interval: Duration,
    /// What the settings are called that messages name.
    pub names: SettingNames,
}

/// Names of settings, for messages.
#[derive(Debug, Clone, Copy)]
pub struct SettingNames {
    pub tls: &'static str,
    pub max_connections: &'static str,
    pub handshake_timeout: &'static str,
}

/// A server that is bound but not yet serving.
pub struct HttpServer {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    config: HttpConfig,
    counts: Arc<ConnectionCounts>,
    refusals: Arc<RefusalLog>,
}

impl HttpServer {
    /// Binds every address, so that they are known before anything can be served.
    ///
    /// # Errors
    /// No port of the range is free on all of them.
    pub async fn bind(config: HttpConfig) -> Result<Self, listen::BindError> {
        let listeners = listen::bind(&config.addresses, &config.ports).await?;
        let addresses = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok());
        Ok(Self {
            addresses: addresses.collect(),
            listeners,
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

    /// Starts to serve.
    pub fn serve<S: HttpService>(self, service: Arc<S>) -> ServerHandle {
        self.refusals.spawn_summaries();
        let config = self.config;
        let (drain, abort, tasks) = Default::default();
        let connections = Arc::new(Connections {
            places: Arc::new(Semaphore::new(config.max_connections.max(1))),
            waiting: Arc::new(Waiting::new(self.counts)),
            refusals: self.refusals,
            config,
            service,
            drain,
            abort,
            tasks,
        });
        for listener in self.listeners {
            let shared = Arc::clone(&connections);
            connections.tasks.spawn(accept_loop(listener, shared));
        }
        connections.tasks.close();
        ServerHandle {
            addresses: self.addresses,
            drain: connections.drain.clone(),
            abort: connections.abort.clone(),
            tasks: connections.tasks.clone(),
        }
    }
}

/// A running server. Dropping it leaves the server running; see [`ServerHandle::shutdown`].
pub struct ServerHandle {
    addresses: Vec<SocketAddr>,
    drain: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl ServerHandle {
    /// Returns the addresses bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops accepting, lets requests under way finish for at most `drain`, then closes the rest.
    /// Returns whether all finished by themselves.
    pub async fn shutdown(self, drain: Duration) -> bool {
        self.drain.cancel();
        let finished = tokio::time::timeout(drain, self.tasks.wait()).await.is_ok();
        if !finished {
            self.abort.cancel();
            self.tasks.wait().await;
        }
        finished
    }
}

async fn accept_loop<S: HttpService>(listener: TcpListener, connections: Arc<Connections<S>>) {
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
        let decision = connections.config.filter.decide(peer);
        if let Decision::Denied(denied) = &decision {
            refuse_denied(refusals, peer, denied);
            continue;
        }
        let by_name = decision == Decision::ByName;
        match place(&connections).await {
            Some(place) => spawn_connection(&connections, tcp, peer, place, by_name),
            None => {
                let line = format!(
                    "closing http connection from [{peer}]: all [{}] connections of [{}] carry requests",
                    connections.config.max_connections, connections.config.names.max_connections,
                );
                refusals.inbound(peer, "too_many_connections", line);
            }
        }
    }
}

/// Returns a place for a connection. When there is none, who has waited longest for its client gives way.
async fn place<S>(connections: &Connections<S>) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(&connections.places).try_acquire_owned() {
        return Some(place);
    }
    if !connections.waiting.shed_longest() {
        return None;
    }
    let free = Arc::clone(&connections.places).acquire_owned();
    tokio::time::timeout(SHED_TIMEOUT, free).await.ok()?.ok()
}

fn spawn_connection<S: HttpService>(
    connections: &Arc<Connections<S>>,
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
async fn is_let_in<S>(connections: &Connections<S>, peer: SocketAddr) -> bool {
    let decided = connections.config.filter.denied_by_name(peer);
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
