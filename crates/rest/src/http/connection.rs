//! One connection: its first bytes, TLS, and the requests on it.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use ringwall_security::ClientCertificates;
use ringwall_tls::{
    MaybeTlsStream, PeerIdentity, PeerRole, PlaintextKind, RefusalLog, SslContext, UnexpectedTls,
    detect_plaintext, explain_io_error, with_certificate,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Waiting};
use super::discard::Afterwards;
use super::guard::{Guard, Patience};
use super::linger::Linger;
use super::listener::{Answered, HttpConfig, HttpService};

/// What all connections share.
pub(super) struct Connections<S> {
    pub config: HttpConfig,
    pub service: Arc<S>,
    pub places: Arc<Semaphore>,
    pub waiting: Arc<Waiting>,
    pub refusals: Arc<RefusalLog>,
    /// Finish what runs, take nothing new.
    pub drain: CancellationToken,
    /// Stop now.
    pub abort: CancellationToken,
    pub tasks: TaskTracker,
}

/// Serves a connection until it ends.
///
/// What a handshake or a request needs is on the heap and gone when it is over: most connections wait
/// most of the time.
pub(super) async fn serve<S: HttpService>(
    shared: Arc<Connections<S>>,
    tcp: TcpStream,
    peer: SocketAddr,
    activity: Arc<Activity>,
) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot set TCP_NODELAY");
    }
    // Before the handshake: a change of trust during it is seen after it.
    let trust = shared.config.tls.as_ref().map(|tls| tls.subscribe());
    let opened = tokio::select! {
        () = shared.drain.cancelled() => return,
        opened = Box::pin(open(&shared, tcp, peer)) => opened,
    };
    let Some((mut stream, protocol)) = opened else {
        return;
    };
    let identity = stream.peer_identity().cloned().map(Arc::new);
    let distrusted = {
        let (shared, identity) = (Arc::clone(&shared), identity.clone());
        async move { distrusted(&shared, trust, identity.as_deref(), peer).await }
    };
    tokio::pin!(distrusted);
    let first = tokio::select! {
        () = shared.drain.cancelled() => return,
        () = distrusted.as_mut() => return,
        () = activity.idle_for(shared.config.idle_timeout) => return,
        first = first_byte(&mut stream, &shared, peer) => first,
    };
    let Some(first) = first else {
        return;
    };
    let connection = Connection {
        shared,
        activity,
        protocol,
        peer,
    };
    Box::pin(connection.run(stream, first, distrusted)).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Finds out what the client speaks, and completes the TLS handshake if TLS is on, all within one deadline.
async fn open<S: HttpService>(
    shared: &Connections<S>,
    tcp: TcpStream,
    peer: SocketAddr,
) -> Option<(MaybeTlsStream, Protocol)> {
    let deadline = Instant::now() + shared.config.handshake_timeout;
    let opened = match &shared.config.tls {
        Some(tls) => open_tls(shared, tls, tcp, peer, deadline).await,
        None => timeout_at(deadline, open_plain(shared, tcp, peer))
            .await
            .unwrap_or(Err(Closed::Silent)),
    };
    opened
        .inspect_err(|closed| match closed {
            Closed::Told => {}
            // Port scanners and health checks.
            Closed::Early => {
                tracing::debug!(%peer, "http connection [{peer}] closed before its first request")
            }
            Closed::Silent => tracing::debug!(
                %peer,
                "http connection [{peer}] said nothing within [{}]",
                shared.config.names.handshake_timeout
            ),
        })
        .ok()
}

/// Why a connection does not come to its first request.
enum Closed {
    /// The log has it.
    Told,
    Early,
    Silent,
}

async fn open_plain<S>(
    shared: &Connections<S>,
    tcp: TcpStream,
    peer: SocketAddr,
) -> Result<(MaybeTlsStream, Protocol), Closed> {
    let mut first = [0; 4];
    let seen = tcp.peek(&mut first).await.map_err(|_| Closed::Early)?;
    match first[..seen] {
        [] => Err(Closed::Early),
        [TLS_ALERT | TLS_HANDSHAKE, ..] => {
            let unexpected = UnexpectedTls {
                first_bytes: first,
                peer,
            };
            let line = format!("{unexpected} ({})", shared.config.names.tls);
            shared.refusals.inbound(peer, "unexpected_tls", line);
            Err(Closed::Told)
        }
        [b'P', b'R', b'I', b' '] => Ok((tcp.into(), Protocol::Http2)),
        _ => Ok((tcp.into(), Protocol::Http1)),
    }
}

async fn open_tls<S: HttpService>(
    shared: &Connections<S>,
    tls: &SslContext,
    tcp: TcpStream,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<(MaybeTlsStream, Protocol), Closed> {
    let plaintext = timeout_at(deadline, detect_plaintext(&tcp))
        .await
        .map_err(|_elapsed| Closed::Silent)?
        .map_err(|_| Closed::Early)?;
    if let Some(PlaintextKind::Http | PlaintextKind::Http2) = plaintext {
        let line = format!(
            "received plaintext http traffic on an https channel, closing connection [{peer}]; it sent an HTTP \
             request: the client must use https://"
        );
        shared.refusals.inbound(peer, "plaintext", line);
        answer_plaintext(tcp, &shared.service.plaintext()).await;
        return Err(Closed::Told);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    // Whole milliseconds read better in the log.
    let left = Duration::from_millis(left.as_millis() as u64 + 1);
    match tls.accept(tcp, peer, left).await {
        Ok(stream) => {
            let protocol = match stream.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                _ => Protocol::Http1,
            };
            Ok((stream.into(), protocol))
        }
        Err(failure) => {
            shared.service.refused(&failure, &shared.refusals);
            Err(Closed::Told)
        }
    }
}

/// Waits for the first byte of the first request. In TLS 1.3 a client that does not trust this server says so
/// here, after its handshake.
async fn first_byte<S: HttpService>(
    stream: &mut MaybeTlsStream,
    shared: &Connections<S>,
    peer: SocketAddr,
) -> Option<u8> {
    let mut first = [0; 1];
    match stream.read(&mut first).await {
        Ok(0) => None,
        Ok(_) => Some(first[0]),
        Err(error) => {
            match explain_io_error(&error) {
                Some(failure) => shared.service.refused(failure, &shared.refusals),
                None => tracing::debug!(%error, %peer, "http connection ended before a request"),
            }
            None
        }
    }
}

/// Completes when the trust of the day refuses the certificate that a client has shown.
async fn distrusted<S>(
    shared: &Connections<S>,
    trust: Option<watch::Receiver<u64>>,
    identity: Option<&PeerIdentity>,
    peer: SocketAddr,
) {
    let (Some(tls), Some(mut trust), Some(identity)) = (&shared.config.tls, trust, identity) else {
        return std::future::pending().await;
    };
    loop {
        if trust.changed().await.is_err() {
            return std::future::pending().await;
        }
        if let Err(reason) = tls.would_trust(&identity.chain, PeerRole::Client, None) {
            let line = format!(
                "closing the http connection from [{peer}]{}: its certificate is no longer trusted ({})",
                with_certificate(Some(identity)),
                reason.kind()
            );
            shared.refusals.inbound(peer, "no_longer_trusted", line);
            return;
        }
    }
}

/// Tells a client that speaks plain HTTP to an HTTPS port what to do.
async fn answer_plaintext(mut tcp: TcpStream, answer: &str) {
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

/// A connection whose client has begun to ask.
struct Connection<S> {
    shared: Arc<Connections<S>>,
    activity: Arc<Activity>,
    protocol: Protocol,
    peer: SocketAddr,
}

impl<S: HttpService> Connection<S> {
    async fn run(self, stream: MaybeTlsStream, first: u8, distrusted: impl Future<Output = ()>) {
        let config = &self.shared.config;
        let patience = Patience {
            // HTTP/2 carries many requests at once, and has limits of its own.
            head: match self.protocol {
                Protocol::Http1 => config.header_timeout,
                Protocol::Http2 => Duration::MAX,
            },
            stall: config.body_timeout,
        };
        let certificates = stream
            .peer_identity()
            .and_then(|peer| ClientCertificates::new(peer.chain.clone()));
        let afterwards = Afterwards {
            max_bytes: config.max_unread,
            pause: config.discard_timeout,
            time: config.body_timeout,
        };
        let linger = Linger::new(afterwards, self.shared.drain.clone());
        let stream = Guard::new(stream, first, patience, Arc::clone(&self.activity), linger);
        let (service, activity) = (Arc::clone(&self.shared.service), Arc::clone(&self.activity));
        let (protocol, peer) = (self.protocol, self.peer);
        let goodbye = CancellationToken::new();
        let asked_to_leave = goodbye.clone();
        let distrusted_since = Arc::new(OnceLock::new());
        let distrust = Arc::clone(&distrusted_since);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let service = Arc::clone(&service);
            let certificates = certificates.clone();
            let (activity, goodbye) = (Arc::clone(&activity), goodbye.clone());
            let answering = activity.begin();
            let is_late = distrust
                .get()
                .is_some_and(|since: &Instant| since.elapsed() > GOODBYE);
            async move {
                let answered = match is_late {
                    true => Answered::unseen(request, service.no_longer_trusted()),
                    // hyper keeps the room of an answering future for as long as the connection lives.
                    false => Box::pin(service.handle(request, certificates.as_ref(), peer)).await,
                };
                drop(answering);
                let Answered {
                    mut response,
                    unread,
                } = answered;
                if let Some(body) = unread {
                    match protocol {
                        Protocol::Http1 => {
                            activity.leave_unread();
                            let headers = response.headers_mut();
                            headers.insert(CONNECTION, HeaderValue::from_static("close"));
                        }
                        Protocol::Http2 => {
                            tokio::spawn(async move {
                                if !afterwards.read(body).await {
                                    goodbye.cancel();
                                }
                            });
                        }
                    }
                }
                Ok::<_, Infallible>(response)
            }
        });
        let builder = builder(config, self.protocol);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // How long what runs may go on, once something else ends the connection.
        let grace = tokio::select! {
            ended = connection.as_mut() => return self.ended(ended),
            () = self.shared.drain.cancelled() => Duration::MAX,
            () = distrusted => {
                distrusted_since.get_or_init(Instant::now);
                config.distrust_grace
            }
            () = self.activity.idle_for(config.idle_timeout) => IDLE_GRACE,
            // The end of the connection is the only end that every client sees.
            () = asked_to_leave.cancelled() => Duration::MAX,
        };
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = timeout(grace, connection).await {
            self.ended(ended);
        }
    }

    fn ended(&self, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
        if let Err(error) = ended {
            tracing::debug!(%error, peer = %self.peer, "http connection ended early");
        }
    }
}

fn builder(config: &HttpConfig, protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The guard's, which tells waiting from sending.
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(config.max_head_bytes.max(MIN_BUFFER_BYTES));
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
const MAX_HEADERS: usize = 512;
const HTTP2_STREAMS: u32 = 128;
const HTTP2_PING: Duration = Duration::from_secs(30);
/// How long a client may take to hear that the connection is closing; what it has sent by then is answered.
const GOODBYE: Duration = Duration::from_millis(250);
/// For the goodbye of a connection that carries nothing.
const IDLE_GRACE: Duration = Duration::from_secs(1);
