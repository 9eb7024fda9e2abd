//! The server of the pages. Its connections are those of the REST API: waiting ones give way, within the same bounds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use ringwall_base::SharedIpFilter;
use ringwall_base::login_throttle::LoginThrottle;
use ringwall_rest::{
    Answered, ClientCertificates, HttpConfig, HttpServer, HttpService, ServerHandle, SettingNames,
};
use ringwall_tls::{
    HandshakeFailure, RefusalLog, SslContext, SslError, listen, spawn_expiry_warnings,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::config::{Config, ServerConfig};
use crate::context::{App, PageResponse};
use crate::failure::Failure;
use crate::request::Request;
use crate::sessions::Sessions;
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
    server: HttpServer,
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
        let server = HttpServer::bind(connections(&config.server, addresses, &server_tls)).await?;
        let cluster = Cluster::new(config.cluster.clone(), cluster_tls);
        Ok(Self {
            server,
            app: App {
                cluster,
                sessions: Sessions::new(config.sessions),
                throttle: LoginThrottle::new(config.login),
                server_tls,
                config,
            },
        })
    }

    /// Returns where browsers find it.
    pub fn url(&self) -> String {
        let server = &self.app.config.server;
        let origin = server.public_origin.clone().unwrap_or_else(|| {
            let bound = self.server.addresses().first();
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
        let pages = Arc::new(Pages { app: self.app });
        let stop = CancellationToken::new();
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(look_after(Arc::clone(&pages))),
        );
        ConsoleHandle {
            server: self.server.serve(pages),
            stop,
        }
    }
}

/// A console that serves. Dropping it leaves it running.
pub struct ConsoleHandle {
    server: ServerHandle,
    stop: CancellationToken,
}

impl ConsoleHandle {
    /// Accepts nothing new, lets requests under way finish for at most `drain`, and ends.
    pub async fn shutdown(self, drain: Duration) {
        self.stop.cancel();
        if !self.server.shutdown(drain).await {
            tracing::info!("requests were still under way after {drain:?}");
        }
    }
}

/// Answers browsers.
struct Pages {
    app: App,
}

fn connections(
    config: &ServerConfig,
    addresses: Vec<IpAddr>,
    tls: &Option<Arc<SslContext>>,
) -> HttpConfig {
    let patience = config.socket_timeout;
    HttpConfig {
        addresses,
        ports: config.port..=config.port,
        filter: SharedIpFilter::default(),
        tls: tls.clone(),
        max_header_bytes: MAX_HEAD,
        max_head_bytes: MAX_HEAD,
        max_unread: config.max_payload as u64,
        max_connections: config.max_connections,
        handshake_timeout: patience,
        header_timeout: patience,
        idle_timeout: patience,
        body_timeout: patience,
        discard_timeout: patience,
        distrust_grace: Duration::ZERO,
        refusal_interval: REFUSALS_EVERY,
        names: SettingNames {
            tls: "server.ssl.enabled",
            max_connections: "server.maxConnections",
            handshake_timeout: "server.socketTimeout",
        },
    }
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
async fn look_after(pages: Arc<Pages>) {
    loop {
        pages.app.cluster.probe().await;
        sleep(LOOK_EVERY).await;
    }
}

impl HttpService for Pages {
    async fn handle(
        &self,
        request: http::Request<Incoming>,
        _certificates: Option<&ClientCertificates>,
        peer: SocketAddr,
    ) -> Answered {
        let config = &self.app.config.server;
        let (parts, body) = request.into_parts();
        if body.size_hint().lower() > config.max_payload as u64 {
            return Answered {
                response: refusal(&Failure::TooLarge, config),
                unread: Some(body),
            };
        }
        let body = match parts.method == Method::POST {
            true => read(body, config).await,
            false => Ok(Bytes::new()),
        };
        let response = match body {
            Ok(body) => {
                let request = Request::new(parts, &body, peer.ip(), config);
                routes::answer(&self.app, request).await
            }
            // What is left of the body is not read.
            Err(failure) => {
                let mut response = refusal(&failure, config);
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
                response
            }
        };
        Answered {
            response,
            unread: None,
        }
    }

    fn no_longer_trusted(&self) -> PageResponse {
        let said = "The certificate that your browser showed is no longer trusted.".to_owned();
        let failure = Failure::Refused(http::StatusCode::FORBIDDEN, said);
        refusal(&failure, &self.app.config.server)
    }

    fn plaintext(&self) -> String {
        let said = "This console talks HTTPS: use https:// please\n";
        format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
            said.len()
        )
    }

    fn refused(&self, failure: &HandshakeFailure, refusals: &RefusalLog) {
        if !failure.is_routine() {
            let line = words::of_console(&failure.to_string());
            refusals.inbound(failure.peer(), failure.reason().kind(), line);
        }
    }
}

fn refusal(failure: &Failure, config: &ServerConfig) -> PageResponse {
    let mut response = routes::plain(failure);
    headers::secure(&mut response, config);
    response
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
const MAX_HEAD: usize = 64 << 10;
