//! Connections of browsers: accepting, TLS, and reading requests, all within bounds.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ringwall_tls::{
    MaybeTlsStream, PlaintextKind, RefusalLog, SslContext, SslError, detect_plaintext, listen,
    spawn_expiry_warnings,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::config::{Config, ServerConfig};
use crate::context::{App, PageResponse};
use crate::failure::Failure;
use crate::request::Request;
use crate::sessions::Sessions;
use crate::throttle::Throttle;
use crate::{headers, routes, words};

/// Why the console does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("{0}")]
    Tls(String),
    #[error("cannot find the address of [server.host: {host}]: {source}")]
    Host { host: String, source: io::Error },
    #[error("cannot listen: {0}; choose another [server.port] or [server.host]")]
    Bind(#[from] listen::BindError),
}

impl From<SslError> for ConsoleError {
    fn from(error: SslError) -> Self {
        Self::Tls(words::of_console(&error.to_string()))
    }
}

/// A console that is bound and does not serve yet.
pub struct Console {
    listeners: Vec<TcpListener>,
    app: App,
}

impl Console {
    /// Loads what TLS needs, and binds.
    pub async fn bind(config: Config) -> Result<Self, ConsoleError> {
        let server_tls = load(config.server.tls.clone()).await?;
        let cluster_tls = load(config.cluster.tls.clone()).await?;
        let contexts: Vec<Arc<SslContext>> =
            server_tls.iter().chain(&cluster_tls).cloned().collect();
        for context in &contexts {
            // The task ends with the context.
            drop(context.spawn_watcher(RELOAD_EVERY));
        }
        spawn_expiry_warnings(&contexts);
        let addresses = resolve(&config.server).await?;
        let port = config.server.port;
        let listeners = listen::bind(&addresses, &(port..=port)).await?;
        let cluster = Cluster::new(config.cluster.clone(), cluster_tls);
        Ok(Self {
            listeners,
            app: App {
                cluster,
                sessions: Sessions::new(config.sessions),
                throttle: Throttle::new(config.login),
                server_tls,
                config,
            },
        })
    }

    /// Returns where browsers find it.
    pub fn url(&self) -> String {
        let server = &self.app.config.server;
        let origin = server.public_origin.clone().unwrap_or_else(|| {
            let bound = self.listeners.first().and_then(|l| l.local_addr().ok());
            let scheme = if server.tls.is_some() {
                "https"
            } else {
                "http"
            };
            let port = bound.map_or(server.port, |address| address.port());
            match server.host.contains(':') {
                true => format!("{scheme}://[{}]:{port}", server.host),
                false => format!("{scheme}://{}:{port}", server.host),
            }
        });
        format!("{origin}{}", server.base_path)
    }

    /// Starts to serve, and to look after the cluster.
    pub fn serve(self) -> ConsoleHandle {
        let shared = Arc::new(Shared {
            places: Arc::new(Semaphore::new(self.app.config.server.max_connections)),
            refusals: RefusalLog::new(REFUSALS_EVERY),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            app: self.app,
        });
        for listener in self.listeners {
            shared.tasks.spawn(accept(listener, Arc::clone(&shared)));
        }
        shared.tasks.spawn(look_after(Arc::clone(&shared)));
        shared.tasks.close();
        ConsoleHandle { shared }
    }
}

/// A console that serves. Dropping it leaves it running.
pub struct ConsoleHandle {
    shared: Arc<Shared>,
}

impl ConsoleHandle {
    /// Accepts nothing new, lets requests under way finish for at most `drain`, and ends.
    pub async fn shutdown(self, drain: Duration) {
        self.shared.stop.cancel();
        if timeout(drain, self.shared.tasks.wait()).await.is_err() {
            tracing::info!("requests were still under way after {drain:?}");
        }
    }
}

struct Shared {
    app: App,
    places: Arc<Semaphore>,
    refusals: RefusalLog,
    stop: CancellationToken,
    tasks: TaskTracker,
}

async fn load(
    config: Option<ringwall_tls::SslConfig>,
) -> Result<Option<Arc<SslContext>>, ConsoleError> {
    let Some(config) = config else {
        return Ok(None);
    };
    let loaded = tokio::task::spawn_blocking(move || SslContext::load(config, &["http/1.1"])).await;
    let loaded = loaded.map_err(|error| ConsoleError::Tls(error.to_string()))?;
    Ok(Some(loaded?))
}

async fn resolve(config: &ServerConfig) -> Result<Vec<IpAddr>, ConsoleError> {
    let host = config.host.clone();
    let failed = |source| ConsoleError::Host {
        host: config.host.clone(),
        source,
    };
    let found = tokio::net::lookup_host((host.as_str(), config.port)).await;
    let addresses: Vec<IpAddr> = found.map_err(failed)?.map(|found| found.ip()).collect();
    match addresses.is_empty() {
        true => Err(failed(io::Error::other("it has none"))),
        false => Ok(addresses),
    }
}

/// Asks at intervals whether the cluster can be used; the log then has why not, also while nobody looks.
async fn look_after(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = async {
                shared.app.cluster.probe().await;
                sleep(LOOK_EVERY).await;
            } => {}
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = async {
                let place = Arc::clone(&shared.places).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(place), Ok((tcp, peer))) => {
                let serving = Arc::clone(&shared);
                shared.tasks.spawn(async move {
                    serve(&serving, tcp, peer).await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                // Out of file descriptors, most likely.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
            (Err(_), _) => return,
        }
    }
}

async fn serve(shared: &Shared, tcp: TcpStream, peer: SocketAddr) {
    let limit = shared.app.config.server.socket_timeout;
    let opened = tokio::select! {
        () = shared.stop.cancelled() => return,
        opened = timeout(limit, open(shared, tcp, peer, limit)) => opened,
    };
    let Ok(Some(stream)) = opened else {
        return;
    };
    let service = service_fn(|request| handle(shared, request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A browser that reads no further holds its place no longer than this.
    let life = sleep(CONNECTION_LIFE);
    tokio::pin!(life);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = life => {
            connection.as_mut().graceful_shutdown();
            timeout(limit, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Completes the TLS handshake, if TLS is on.
async fn open(
    shared: &Shared,
    tcp: TcpStream,
    peer: SocketAddr,
    limit: Duration,
) -> Option<MaybeTlsStream> {
    // Only speed is lost.
    let _ = tcp.set_nodelay(true);
    let Some(tls) = &shared.app.server_tls else {
        return Some(tcp.into());
    };
    if let Ok(Some(PlaintextKind::Http | PlaintextKind::Http2)) = detect_plaintext(&tcp).await {
        let line = "a browser talked HTTP where HTTPS is on; it was told to use https://";
        shared.refusals.inbound(peer, "plaintext", line);
        refuse_plaintext(tcp).await;
        return None;
    }
    match tls.accept(tcp, peer, limit).await {
        Ok(stream) => Some(stream.into()),
        Err(failure) if failure.is_routine() => None,
        Err(failure) => {
            let line = words::of_console(&failure.to_string());
            shared.refusals.inbound(peer, failure.reason().kind(), line);
            None
        }
    }
}

async fn refuse_plaintext(mut tcp: TcpStream) {
    let answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 46\r\nConnection: close\r\n\r\n\
                  This console talks HTTPS: use https:// please\n";
    // It is on its way out.
    let _ = tcp.write_all(answer.as_bytes()).await;
    let _ = tcp.shutdown().await;
}

async fn handle(
    shared: &Shared,
    request: http::Request<Incoming>,
    peer: SocketAddr,
) -> Result<PageResponse, Infallible> {
    let config = &shared.app.config.server;
    let (parts, body) = request.into_parts();
    let is_form = parts.method == Method::POST;
    let body = match is_form {
        true => read(body, config).await,
        false => Ok(Bytes::new()),
    };
    let mut response = match body {
        Ok(body) => {
            let request = Request::new(parts, &body, peer.ip(), config);
            routes::answer(&shared.app, request).await
        }
        Err(failure) => {
            let mut response = routes::plain(&failure);
            headers::secure(&mut response, config);
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            response
        }
    };
    if shared.stop.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

async fn read(body: Incoming, config: &ServerConfig) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, config.max_payload).collect();
    match timeout(config.socket_timeout, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(_)) => Err(Failure::TooLarge),
        Err(_) => Err(Failure::Refused(
            http::StatusCode::REQUEST_TIMEOUT,
            "The body did not arrive within server.socketTimeout.".to_owned(),
        )),
    }
}

/// How often files of TLS are looked at; as a node does.
const RELOAD_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(10);
const REFUSALS_EVERY: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const CONNECTION_LIFE: Duration = Duration::from_secs(3600);
const MAX_HEAD: usize = 64 << 10;
