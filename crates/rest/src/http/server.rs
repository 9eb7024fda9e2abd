//! The server of the REST API.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use ringwall_api::Client;
use ringwall_base::SharedIpFilter;
use ringwall_base::breaker::Breakers;
use ringwall_security::{AuditTrail, Authenticator};
use ringwall_tls::{RefusalLog, SslContext, listen};

use super::activity::ConnectionCounts;
use super::body::BodyLimits;
use super::discard::Discard;
use super::listener::{HttpConfig, HttpServer, ServerHandle, SettingNames};
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
    /// Returns the part of it that is about connections.
    fn connections(&self) -> HttpConfig {
        HttpConfig {
            addresses: self.addresses.clone(),
            ports: self.ports.clone(),
            filter: self.filter.clone(),
            tls: self.tls.clone(),
            max_header_bytes: self.max_header_bytes,
            max_head_bytes: self.max_header_bytes.saturating_add(self.max_line_bytes),
            // Room for who sends too much, but not for everything.
            max_unread: self.max_content_length.saturating_mul(2),
            max_connections: self.max_connections,
            handshake_timeout: self.handshake_timeout,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            body_timeout: self.body_timeout,
            discard_timeout: self.discard_timeout,
            distrust_grace: self.distrust_grace,
            refusal_interval: self.refusal_interval,
            names: SettingNames {
                tls: "xpack.security.http.ssl.enabled",
                max_connections: "http.max_connections",
                handshake_timeout: "http.handshake_timeout",
            },
        }
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
    server: HttpServer,
    config: RestConfig,
}

impl RestServer {
    /// Binds every address, all to the same port, so that they are known before anything can be served.
    pub async fn bind(config: RestConfig) -> Result<Self, RestError> {
        if config.addresses.is_empty() {
            return Err(RestError::NoAddress);
        }
        let server = HttpServer::bind(config.connections()).await?;
        Ok(Self { server, config })
    }

    /// Returns the addresses bound, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Returns the number of clients, also of those to come.
    pub fn counts(&self) -> Arc<ConnectionCounts> {
        self.server.counts()
    }

    /// Returns the log of clients that are refused.
    pub fn refusals(&self) -> Arc<RefusalLog> {
        self.server.refusals()
    }

    /// Starts to serve. `client` is the one that authorizes
    /// ([`SecuredClient`](ringwall_security::SecuredClient)), `audit` who is told of every login.
    pub fn serve(
        self,
        client: Arc<dyn Client>,
        authenticator: Arc<Authenticator>,
        audit: Option<Arc<AuditTrail>>,
    ) -> ServerHandle {
        let config = self.config;
        let service = Service {
            client,
            authenticator,
            audit,
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
        self.server.serve(Arc::new(service))
    }
}

/// The value of the header `Warning`. Source: RFC 7234 section 5.5, and what Elasticsearch 8 sends.
fn no_security() -> String {
    format!(
        "299 Elasticsearch-{} \"Elasticsearch built-in security features are not enabled. Who reaches this \
         address may read and change everything; see the setting [xpack.security.enabled].\"",
        ringwall_base::COMPATIBLE_VERSION
    )
}
