//! One connection: its first bytes, TLS, and the requests on it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use ringwall_security::ClientCertificates;
use ringwall_tls::{MaybeTlsStream, SslContext, UnexpectedTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::head_guard::HeadGuard;
use super::server::RestConfig;
use crate::service::Service;

/// What all connections share.
pub(super) struct Connections {
    pub config: RestConfig,
    pub service: Arc<Service>,
    pub places: Arc<Semaphore>,
    /// Finish what runs, take nothing new.
    pub drain: CancellationToken,
    /// Stop now.
    pub abort: CancellationToken,
    pub tasks: TaskTracker,
}

/// Serves a connection until it ends.
pub(super) async fn serve(shared: Arc<Connections>, tcp: TcpStream, peer: SocketAddr) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
    }
    let opened = tokio::select! {
        () = shared.drain.cancelled() => return,
        opened = open(&shared.config, tcp, peer) => opened,
    };
    if let Some((stream, protocol)) = opened {
        run(&shared, stream, protocol, peer).await;
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

/// Finds out what the client speaks, and completes the TLS handshake if TLS is on.
async fn open(
    config: &RestConfig,
    tcp: TcpStream,
    peer: SocketAddr,
) -> Option<(MaybeTlsStream, Protocol)> {
    let mut first = [0; 4];
    let seen = match timeout(config.handshake_timeout, tcp.peek(&mut first)).await {
        Ok(Ok(seen)) if seen > 0 => &first[..seen],
        // Closed, broken or silent: port scanners and health checks.
        _ => return None,
    };
    let is_tls = matches!(seen[0], TLS_HANDSHAKE | TLS_ALERT);
    match (&config.tls, is_tls) {
        (Some(tls), true) => open_tls(tls, tcp, peer, config.handshake_timeout).await,
        (Some(_), false) => {
            tracing::warn!(%peer, "received plaintext http traffic on an https channel, closing connection");
            answer_plaintext(tcp).await;
            None
        }
        (None, true) => {
            let mut bytes = [0; 4];
            bytes[..seen.len()].copy_from_slice(seen);
            let unexpected = UnexpectedTls {
                first_bytes: bytes,
                peer,
            };
            tracing::warn!("{unexpected}");
            None
        }
        (None, false) => {
            let protocol = if seen == b"PRI " {
                Protocol::Http2
            } else {
                Protocol::Http1
            };
            Some((tcp.into(), protocol))
        }
    }
}

async fn open_tls(
    tls: &SslContext,
    tcp: TcpStream,
    peer: SocketAddr,
    within: Duration,
) -> Option<(MaybeTlsStream, Protocol)> {
    match tls.accept(tcp, peer, within).await {
        Ok(stream) => {
            let protocol = match stream.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            Some((stream.into(), protocol))
        }
        Err(failure) if failure.is_routine() => None,
        Err(failure) => {
            tracing::warn!("{failure}");
            None
        }
    }
}

/// Tells a client that speaks plain HTTP to an HTTPS port what to do.
async fn answer_plaintext(mut tcp: TcpStream) {
    let body = "This port speaks HTTPS. Use an https:// URL, and the CA certificate of the cluster \
                (for curl: --cacert http_ca.crt).\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nx-elastic-product: Elasticsearch\r\ncontent-type: text/plain; \
         charset=UTF-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        // Read first: closing over unread bytes would reset the connection under the answer.
        let mut request = [0; 4096];
        if tcp.read(&mut request).await? == 0 {
            return Ok(());
        }
        tcp.write_all(answer.as_bytes()).await?;
        tcp.shutdown().await?;
        while tcp.read(&mut request).await? > 0 {}
        std::io::Result::Ok(())
    };
    // A client that went away needs no hint.
    let _ = timeout(PLAINTEXT_ANSWER_TIMEOUT, exchange).await;
}

async fn run(shared: &Connections, stream: MaybeTlsStream, protocol: Protocol, peer: SocketAddr) {
    let service = Arc::clone(&shared.service);
    // HTTP/2 carries many requests at once, and closes connections whose pings are not answered.
    let within = match protocol {
        Protocol::Http1 => shared.config.header_timeout,
        Protocol::Http2 => Duration::MAX,
    };
    let certificates = stream
        .peer_identity()
        .and_then(|peer| ClientCertificates::new(peer.chain.clone()));
    let (stream, requests) = HeadGuard::new(stream, within.min(LONGEST));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let service = Arc::clone(&service);
        let certificates = certificates.clone();
        let answering = requests.begin();
        async move {
            let answer = service.handle(request, certificates.as_ref()).await;
            drop(answering);
            Ok::<_, Infallible>(answer)
        }
    });
    let builder = builder(&shared.config, protocol);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "http connection ended early");
    }
}

fn builder(config: &RestConfig, protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.keep_alive)
        .max_buf_size(config.max_header_bytes.max(MIN_BUFFER_BYTES))
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(HTTP2_STREAMS)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    }
}

const TLS_ALERT: u8 = 0x15;
const TLS_HANDSHAKE: u8 = 0x16;
const PLAINTEXT_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// hyper refuses to work with less.
const MIN_BUFFER_BYTES: usize = 8 << 10;
/// As good as none.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
const HTTP2_STREAMS: u32 = 128;
const HTTP2_PING: Duration = Duration::from_secs(30);
