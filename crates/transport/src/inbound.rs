//! One connection that a peer dialled: verified, introduced, then served.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::breaker::{Charge, Purpose};
use ringwall_base::encoding;
use ringwall_tls::{MaybeTlsStream, PeerIdentity, PeerRole, detect_tls, explain_io_error};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::core::{Core, run};
use crate::handler::InboundContext;
use crate::handshake::{HANDSHAKE_ACTION, Hello, Refusal, Welcome, judge};
use crate::identity::NodeIdentity;
use crate::link::{
    CONNECTION_WINDOW_BYTES, LinkExecutor, LinkKind, MAX_FRAME_BYTES, MAX_HEADER_BYTES,
    SEND_BUFFER_BYTES, STREAM_WINDOW_BYTES, describe_end,
};
use crate::listener::{Opening, answer_http, read_opening};
use crate::message::Message;
use crate::profile::Profile;
use crate::proof::{Prover, Side, Unproven};
use crate::refusal::{DUAL_STACK_REMEDY, with_certificate};
use crate::sockets::Socket;
use crate::stream::LinkStream;
use crate::transport::LinkInfo;
use crate::turns::Turn;
use crate::wire::{self, BodyError, Chunks, RequestHead};

/// What is known about the peer of an inbound connection.
pub(crate) struct Session {
    id: u64,
    core: Arc<Core>,
    /// What accepted it.
    profile: Arc<Profile>,
    peer: SocketAddr,
    certificate: Option<PeerIdentity>,
    encrypted: bool,
    /// Of this end of the link.
    prover: Prover,
    /// Since when it closes for a change of trust, if it does.
    distrusted: OnceLock<Instant>,
    /// Set by the handshake.
    node: OnceLock<Arc<NodeIdentity>>,
    introduced: CancellationToken,
    /// Finish what runs, then close.
    close: CancellationToken,
    /// Close now.
    cancel: CancellationToken,
}

/// Serves a fresh connection until it ends. `turn` is given back once the peer is verified.
pub(crate) async fn serve(
    core: Arc<Core>,
    profile: Arc<Profile>,
    socket: Socket,
    peer: SocketAddr,
    turn: Turn,
) {
    let generation = generation(&profile);
    let opened = tokio::select! {
        biased;
        opened = Box::pin(open(&core, &profile, socket, peer)) => opened,
        () = core.stopping.cancelled() => None,
        () = turn.given_up() => {
            let line = format!(
                "closing connection from [{peer}]: it has not finished its handshake, and [{}] others have begun \
                 theirs; look for a port scan or a peer that connects in a loop",
                core.handshakes.limit()
            );
            profile.refuse(&core.refusals, peer, "too_many_handshakes", line);
            None
        }
    };
    let Some((stream, ahead)) = opened else {
        return;
    };
    let Ok(_place) = Arc::clone(&core.connections).try_acquire_owned() else {
        let line = format!(
            "closing connection from [{peer}]{}: [{}] connections are open already; \
             a node needs two from each other node, so look for a peer that leaks connections",
            with_certificate(stream.peer_identity()),
            core.config.max_connections
        );
        profile.refuse(&core.refusals, peer, "too_many_connections", line);
        return;
    };
    drop(turn);

    let Some(prover) = Prover::new(core.config.key.clone(), Side::Acceptor, &stream) else {
        tracing::warn!(peer.address = %peer, "closing a connection whose TLS session has nothing to bind a key to");
        return;
    };
    let session = Arc::new(Session {
        id: core.next_id(),
        peer,
        certificate: stream.peer_identity().cloned(),
        encrypted: stream.is_tls(),
        prover,
        distrusted: OnceLock::new(),
        node: OnceLock::new(),
        introduced: CancellationToken::new(),
        close: core.stopping.child_token(),
        cancel: core.stopped.child_token(),
        core: Arc::clone(&core),
        profile: Arc::clone(&profile),
    });
    core.sessions
        .lock()
        .insert(session.id, Arc::clone(&session));
    // What was decided since the handshake began, and before the session could be found.
    if generation != self::generation(&profile) {
        session.reverify();
    }
    if session.is_forbidden() {
        session.close_unencrypted();
    }
    Arc::clone(&session).drive(stream, ahead).await;
    session.cancel.cancel();
    core.sessions.lock().remove(&session.id);
}

/// Brings a connection to where a node speaks, all within one deadline. Who does not speak as one is refused.
async fn open(
    core: &Core,
    profile: &Profile,
    socket: Socket,
    peer: SocketAddr,
) -> Option<(MaybeTlsStream, Bytes)> {
    let deadline = Instant::now() + core.config.handshake_timeout;
    let mut stream = secure(core, profile, socket, peer, deadline).await?;
    let (opening, ahead) = match timeout_at(deadline, read_opening(&mut stream)).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            match explain_io_error(&error) {
                Some(failure) => profile.refuse_handshake(&core.refusals, failure),
                None => {
                    tracing::debug!(peer.address = %peer, %error, "connection closed before its first request");
                }
            }
            return None;
        }
        Err(_elapsed) => (Opening::Silent, Bytes::new()),
    };
    if opening != Opening::Http2 {
        refuse_opening(core, profile, stream, peer, opening).await;
        return None;
    }
    Some((stream, ahead))
}

impl Session {
    /// Closes the connection when the trust of today refuses its peer. Returns whether it did.
    pub(crate) fn reverify(&self) -> bool {
        let (Some(tls), Some(certificate)) = (&self.profile.tls, &self.certificate) else {
            return false;
        };
        match tls.would_trust(&certificate.chain, PeerRole::Client, None) {
            Ok(()) => false,
            Err(reason) => {
                let line = format!(
                    "closing the connection from {}{}: its certificate is no longer trusted ({})",
                    self.who(),
                    with_certificate(Some(certificate)),
                    reason.kind()
                );
                self.warn("no_longer_trusted", line);
                self.distrusted.get_or_init(Instant::now);
                self.close.cancel();
                true
            }
        }
    }

    /// Returns what is to be told of the connection once its peer has introduced itself.
    pub(crate) fn link(&self) -> Option<LinkInfo> {
        Some(LinkInfo {
            node: Arc::clone(self.node.get()?),
            dialled: false,
            encrypted: self.encrypted,
            certificate: self.certificate.clone(),
        })
    }

    /// Returns whether it has no TLS, and that is no longer let in.
    fn is_forbidden(&self) -> bool {
        self.core
            .forbids(self.encrypted, self.profile.tls.is_some())
    }

    /// Refuses what a peer still sends that was told to stop.
    fn check_trusted(&self) -> Result<(), ApiError> {
        match self.distrusted.get() {
            Some(since) if since.elapsed() > GOODBYE => Err(ApiError::new(
                ErrorCode::NodeDisconnected,
                "the connection is closing: its peer is no longer trusted",
            )),
            _ => Ok(()),
        }
    }

    /// Lets a connection without TLS finish what runs, then closes it. Returns whether it is one.
    pub(crate) fn close_unencrypted(&self) -> bool {
        if self.encrypted {
            return false;
        }
        self.distrusted.get_or_init(Instant::now);
        self.close.cancel();
        true
    }

    /// Moves the connection's bytes until it ends or is to end.
    async fn drive(self: Arc<Self>, stream: MaybeTlsStream, ahead: Bytes) {
        let config = &self.core.config;
        let (stream, end) = LinkStream::new(stream, ahead);
        let session = Arc::clone(&self);
        let service = service_fn(move |request| {
            let session = Arc::clone(&session);
            async move { Ok::<_, Infallible>(session.answer(request).await) }
        });
        let builder = server_builder(&self.core, &self.cancel);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));

        let late = tokio::time::sleep(config.handshake_timeout);
        let introduced = async {
            tokio::select! {
                biased;
                () = self.introduced.cancelled() => self.close.cancelled().await,
                () = self.close.cancelled() => {}
                () = late => self.refuse_silence(),
            }
        };
        tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                let reason = describe_end(&end, outcome.err().as_ref());
                tracing::debug!(peer.address = %self.peer, reason, "inbound connection closed");
                return;
            }
            () = self.cancel.cancelled() => return,
            () = introduced => connection.as_mut().graceful_shutdown(),
        }
        let grace = match self.core.stopping.is_cancelled() {
            true => config.shutdown_grace,
            false if self.distrusted.get().is_some() => config.distrust_grace,
            false => REFUSAL_GRACE,
        };
        let drained = self
            .cancel
            .run_until_cancelled(timeout(grace, connection))
            .await;
        tracing::debug!(peer.address = %self.peer, drained = matches!(drained, Some(Ok(_))), "inbound connection closed by this node");
    }

    async fn answer(&self, request: Request<Incoming>) -> http::Response<Chunks> {
        let response = wire::response(self.handle(request).await);
        self.core.traffic.note_sent(response.body());
        response
    }

    async fn handle(&self, request: Request<Incoming>) -> Result<Bytes, ApiError> {
        self.check_trusted()?;
        let (parts, body) = request.into_parts();
        let head = RequestHead::parse(&parts.headers);
        let peer = match (&head, self.node.get()) {
            (Ok(head), _) if head.action == HANDSHAKE_ACTION => {
                return self.introduce(head, body).await;
            }
            (_, Some(peer)) => Arc::clone(peer),
            (_, None) => return Err(self.refuse_stranger(head.ok().as_ref())),
        };
        let head = head.map_err(ApiError::illegal_argument)?;
        let action = self.core.action(&head.action)?;
        let deadline = Instant::now() + head.timeout;
        // Before anything of it is read: who may not ask costs no memory.
        let has_user = head.authentication_length > 0;
        self.core
            .admit(action.callers, &head.action, &peer, has_user, deadline)
            .await?;
        let limit = self.limit(&head)?;
        let charge = self.charge(&head)?;
        let body = match timeout_at(deadline, wire::collect(body, limit)).await {
            Ok(body) => body.map_err(|error| body_error(&head, &error))?,
            Err(_elapsed) => {
                let reason = format!(
                    "[{}] request did not arrive before its deadline",
                    head.action
                );
                return Err(ApiError::new(ErrorCode::ReceiveTimeout, reason));
            }
        };
        self.core.traffic.note_received(&body);
        let body = match charge {
            // Whatever is kept of it stays charged.
            Some(charge) => charge.hold(body),
            None => body,
        };
        let (authentication, message) = head.split(body).map_err(ApiError::illegal_argument)?;
        let context = InboundContext {
            peer,
            authentication,
            deadline,
            origin: head.origin.clone(),
        };
        let message = Message::Encoded(message);
        let answer = run(&self.core, action.handler, &head.action, context, message).await;
        answer?.into_encoded()
    }

    /// Answers the handshake; refuses and closes when the two nodes do not fit.
    async fn introduce(&self, head: &RequestHead, body: Incoming) -> Result<Bytes, ApiError> {
        let within = head.timeout.min(self.core.config.handshake_timeout);
        let body = match timeout(within, wire::collect(body, MAX_HELLO_BYTES)).await {
            Ok(body) => body.map_err(|error| body_error(head, &error)),
            Err(_elapsed) => Err(ApiError::new(
                ErrorCode::ReceiveTimeout,
                "handshake timed out",
            )),
        };
        let hello: Result<Hello, ApiError> = body.and_then(|body| {
            encoding::decode(&body).map_err(|error| ApiError::illegal_argument(error.to_string()))
        });
        let hello = hello.inspect_err(|error| {
            let line = format!(
                "refused connection from [{}]{}: its handshake is malformed ({error}); \
                 is it a node of this program?",
                self.peer,
                with_certificate(self.certificate.as_ref())
            );
            self.warn("malformed_handshake", line);
            self.close.cancel();
        })?;
        let local = self.core.local();
        self.prover.hear(hello.nonce.as_ref());
        // Without TLS a node first hears what it has to sign, and introduces itself again.
        let is_first = hello.node.key.is_some() && hello.proof.is_none() && !self.encrypted;
        let refusal = match is_first && hello.nonce.is_some() {
            true => None,
            false => self.judge(&local, hello),
        };
        let welcome = Welcome::new(NodeIdentity::clone(&local), refusal, &self.prover);
        Ok(encoding::encode(&welcome).into())
    }

    /// Decides about the peer. Returns the reason for a refusal, which is logged.
    fn judge(&self, local: &NodeIdentity, hello: Hello) -> Option<String> {
        let mut node = hello.node;
        if self.is_forbidden() {
            self.close_unencrypted();
            return Some("plaintext is no longer let in".to_owned());
        }
        let verdict = judge(
            local,
            &node,
            hello.protocol_version,
            hello.min_protocol_version,
            self.encrypted,
        );
        let verdict = verdict.and_then(|()| {
            let shown = self.prover.verify(&node, hello.proof.as_ref());
            node.key = shown.map_err(|Unproven| Refusal::Unproven)?;
            self.core.check_key(&node)
        });
        if let Err(refusal) = verdict {
            let line = format!(
                "refused connection from node [{node}] at [{}]{}: {refusal}; {}",
                self.peer,
                with_certificate(self.certificate.as_ref()),
                refusal.remedy()
            );
            self.warn(refusal.kind(), line);
            self.close.cancel();
            return Some(refusal.for_peer());
        }
        let known = self.node.get_or_init(|| Arc::new(node.clone()));
        let identity = |node: &NodeIdentity| (node.id, node.ephemeral_id.clone(), node.key);
        if identity(known) != identity(&node) {
            self.close.cancel();
            return Some("the connection belongs to another node".to_owned());
        }
        if node.id != local.id && !node.publish_address.is_empty() {
            self.core.pool.introduced(&node);
        }
        tracing::debug!(peer.address = %self.peer, node = %node, link = ?hello.link, "peer introduced itself");
        if !self.encrypted && self.profile.tls.is_some() {
            let line = format!(
                "accepted an UNENCRYPTED link from node [{node}] at [{}]; {DUAL_STACK_REMEDY}",
                self.peer
            );
            self.warn("unencrypted", line);
        }
        self.introduced.cancel();
        None
    }

    fn limit(&self, head: &RequestHead) -> Result<usize, ApiError> {
        let limit = self.core.config.max_message_bytes;
        let message = head.content_length - head.authentication_length;
        if head.authentication_length > MAX_AUTHENTICATION_BYTES || message > limit {
            let error = BodyError::TooLarge {
                bytes: head.content_length as u64,
                limit,
            };
            return Err(body_error(head, &error));
        }
        Ok(head.content_length)
    }

    /// Charges for the request's body. Cluster actions need none: a cluster
    /// that is short of memory must not fall apart as well.
    fn charge(&self, head: &RequestHead) -> Result<Option<Charge>, ApiError> {
        // The cluster state that a node lacks, too: without it the node is short of more than memory.
        let is_snapshot = head.action.starts_with("internal:cluster_snapshot/");
        if is_snapshot || LinkKind::of_action(&head.action) == LinkKind::Cluster {
            return Ok(None);
        }
        let bytes = head.content_length as u64;
        let breakers = &self.core.config.breakers;
        Ok(Some(breakers.charge(
            Purpose::InFlight,
            bytes,
            "<transport_request>",
        )?))
    }

    fn refuse_stranger(&self, head: Option<&RequestHead>) -> ApiError {
        let action = head.map_or("?", |head| &head.action);
        let line = format!(
            "refused connection from [{}]{}: its first request [{}] is not [{HANDSHAKE_ACTION}]; \
             is it a node of this program?",
            self.peer,
            with_certificate(self.certificate.as_ref()),
            action.escape_debug()
        );
        self.warn("no_handshake", line);
        self.close.cancel();
        ApiError::new(
            ErrorCode::IllegalState,
            format!("the first request on a connection must be [{HANDSHAKE_ACTION}]"),
        )
    }

    fn refuse_silence(&self) {
        let line = format!(
            "closing connection from [{}]{}: handshake_timeout[{}ms], it did not introduce itself",
            self.peer,
            with_certificate(self.certificate.as_ref()),
            self.core.config.handshake_timeout.as_millis()
        );
        self.warn("handshake_timeout", line);
    }

    fn warn(&self, why: &'static str, line: String) {
        self.profile
            .refuse(&self.core.refusals, self.peer, why, line);
    }

    fn who(&self) -> String {
        match self.node.get() {
            Some(node) => format!("node [{node}] at [{}]", self.peer),
            None => format!("[{}]", self.peer),
        }
    }
}

async fn secure(
    core: &Core,
    profile: &Profile,
    socket: Socket,
    peer: SocketAddr,
    deadline: Instant,
) -> Option<MaybeTlsStream> {
    let mut within = core.config.handshake_timeout;
    if let Err(error) = socket.prepare() {
        tracing::debug!(peer.address = %peer, %error, "connection closed before its first request");
        return None;
    }
    let (tls, tcp) = match (&profile.tls, socket) {
        (Some(tls), Socket::Tcp(tcp)) => (tls, tcp),
        (None, socket) => return Some(socket.into()),
        (Some(_), Socket::Simulated(_)) => return None,
    };
    if profile.is_default() && core.is_dual_stack() {
        match detect_tls(&tcp, peer, within).await {
            Ok(Some(_)) => within = deadline.saturating_duration_since(Instant::now()),
            Ok(None) => return Some(tcp.into()),
            Err(error) => {
                tracing::debug!(peer.address = %peer, %error, "connection closed before its first byte");
                return None;
            }
        }
    }
    match tls.accept(tcp, peer, within).await {
        Ok(stream) => Some(stream.into()),
        Err(failure) => {
            profile.refuse_handshake(&core.refusals, &failure);
            None
        }
    }
}

async fn refuse_opening(
    core: &Core,
    profile: &Profile,
    stream: MaybeTlsStream,
    peer: SocketAddr,
    opening: Opening,
) {
    let why = opening.kind();
    match opening.explain(peer) {
        Some(explanation) => {
            let certificate = with_certificate(stream.peer_identity());
            let line = format!("{explanation}, closing connection from [{peer}]{certificate}");
            profile.refuse(&core.refusals, peer, why, line);
        }
        None => tracing::debug!(peer.address = %peer, "connection closed before its first request"),
    }
    if opening == Opening::Http1 {
        answer_http(stream).await;
    }
}

fn server_builder(
    core: &Core,
    cancel: &CancellationToken,
) -> hyper::server::conn::http2::Builder<LinkExecutor> {
    let config = &core.config;
    let mut builder = hyper::server::conn::http2::Builder::new(LinkExecutor(cancel.clone()));
    builder
        .timer(hyper_util::rt::TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(config.max_concurrent_requests)
        .keep_alive_interval(config.keep_alive.interval)
        // Later than the other side, whose business it is: it knows what waits for an answer.
        .keep_alive_timeout(config.keep_alive.timeout * 2)
        // Verified nodes give up many requests at once when one of their searches is cancelled.
        .max_pending_accept_reset_streams(config.max_concurrent_requests as usize)
        .max_local_error_reset_streams(None)
        .auto_date_header(false);
    builder
}

fn body_error(head: &RequestHead, error: &BodyError) -> ApiError {
    match error {
        BodyError::TooLarge { bytes, limit } => ApiError::new(
            ErrorCode::ContentTooLong,
            format!(
                "[{}] message of [{bytes}] bytes is larger than the limit of [{limit}] bytes",
                head.action
            ),
        ),
        BodyError::Broken(reason) => ApiError::new(
            ErrorCode::NodeDisconnected,
            format!("[{}] request did not arrive whole: {reason}", head.action),
        ),
    }
}

fn generation(profile: &Profile) -> u64 {
    let tls = profile.tls.as_ref();
    tls.map_or(0, |tls| *tls.subscribe().borrow())
}

/// How long a peer may take to hear that the connection is closing; what it has sent by then is answered.
const GOODBYE: Duration = Duration::from_millis(250);
/// How long a refused peer has to read the reason.
const REFUSAL_GRACE: Duration = Duration::from_secs(1);
/// What a peer may send before it is known.
const MAX_HELLO_BYTES: usize = 64 << 10;
const MAX_AUTHENTICATION_BYTES: usize = 1 << 20;
