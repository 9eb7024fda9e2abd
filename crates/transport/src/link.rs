//! One connection that this node dialled: requests go out on it, responses come back.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use hyper::client::conn::http2::SendRequest;
use hyper::rt::Executor;
use parking_lot::RwLock;
use ringwall_api::{ApiError, Authentication};
use ringwall_base::{NodeId, encoding};
use ringwall_tls::PeerIdentity;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::{KeepAlive, TransportConfig};
use crate::handshake::{HANDSHAKE_ACTION, Hello, Welcome};
use crate::identity::NodeIdentity;
use crate::proof::{Prover, Unproven};
use crate::stream::{EndCause, StreamEnd};
use crate::wire::{self, BodyError, Chunks, Traffic};

/// What a link is for. Elasticsearch keeps 13 connections for the same reason; multiplexing needs two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// `internal:cluster/` actions: small and urgent, never behind a chunk of a file or a snapshot.
    Cluster,
    /// Everything else.
    Data,
}

impl LinkKind {
    /// Returns the kind of link an action travels on.
    pub fn of_action(action: &str) -> Self {
        if action.starts_with("internal:cluster/") {
            Self::Cluster
        } else {
            Self::Data
        }
    }
}

/// An established link. Dropping the last handle does not close it: [`Link::close`] does.
pub(crate) struct Link {
    pub(crate) id: u64,
    pub(crate) kind: LinkKind,
    /// The name or address that was dialled and verified.
    pub(crate) host: String,
    pub(crate) remote: SocketAddr,
    pub(crate) certificate: Option<PeerIdentity>,
    pub(crate) encrypted: bool,
    identity: RwLock<Arc<NodeIdentity>>,
    wire: LinkWire,
}

/// The moving parts of a link, in place before the peer has introduced itself.
pub(crate) struct LinkWire {
    pub(crate) sender: SendRequest<Chunks>,
    /// Requests that may be on the wire at once; what the acceptor allows.
    pub(crate) turns: Semaphore,
    pub(crate) waiting: AtomicUsize,
    pub(crate) max_waiting: usize,
    pub(crate) max_message_bytes: usize,
    /// Ends the connection when cancelled; is cancelled when the connection ends.
    pub(crate) close: CancellationToken,
    pub(crate) end: EndCause,
    /// Of this end of the link.
    pub(crate) prover: Prover,
    pub(crate) traffic: Arc<Traffic>,
}

/// A request for [`LinkWire::call`].
pub(crate) struct Call<'a> {
    pub(crate) action: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) authentication: Option<&'a Authentication>,
    /// In pieces that are sent one after the other.
    pub(crate) body: Vec<Bytes>,
}

/// Why a call brought no response body.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The link was closed before the request went out: sending it again is safe.
    NotSent(String),
    /// The link closed while the request was out.
    Broken(String),
    Remote(ApiError),
    Rejected {
        queued: usize,
    },
    TooLarge {
        bytes: u64,
        limit: usize,
    },
    Invalid(String),
    /// The peer names a key and does not show that it holds it.
    Unproven,
}

impl Link {
    pub(crate) fn new(
        id: u64,
        kind: LinkKind,
        (host, remote): (String, SocketAddr),
        (encrypted, certificate): (bool, Option<PeerIdentity>),
        identity: NodeIdentity,
        wire: LinkWire,
    ) -> Self {
        Self {
            id,
            kind,
            host,
            remote,
            certificate,
            encrypted,
            identity: RwLock::new(Arc::new(identity)),
            wire,
        }
    }

    pub(crate) fn identity(&self) -> Arc<NodeIdentity> {
        Arc::clone(&self.identity.read())
    }

    pub(crate) fn node(&self) -> NodeId {
        self.identity.read().id
    }

    /// Returns whether no request is on the wire or waits to be.
    pub(crate) fn is_idle(&self, max_requests: usize) -> bool {
        self.wire.turns.available_permits() >= max_requests
            && self.wire.waiting.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.wire.close.is_cancelled()
    }

    /// Closes the connection; requests on it fail.
    pub(crate) fn close(&self) {
        self.wire.close.cancel();
    }

    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Bytes, CallError> {
        self.wire.call(call).await
    }

    /// Asks the peer again who it is: it may have joined a cluster since.
    pub(crate) async fn introduce_again(
        &self,
        local: NodeIdentity,
        timeout: Duration,
    ) -> Result<Arc<NodeIdentity>, CallError> {
        let welcome = self.wire.introduce(&local, self.kind, timeout).await?;
        let mut identity = self.identity.write();
        if let Some(refusal) = welcome.refusal {
            return Err(CallError::Invalid(refusal));
        }
        let node = &welcome.node;
        if (node.id, &node.ephemeral_id, node.key)
            != (identity.id, &identity.ephemeral_id, identity.key)
        {
            return Err(CallError::Invalid(
                "the node changed its identity".to_owned(),
            ));
        }
        *identity = Arc::new(welcome.node);
        Ok(Arc::clone(&identity))
    }
}

impl LinkWire {
    /// Exchanges identities, and proofs of the keys that they name. What the peer does not prove is an error.
    pub(crate) async fn introduce(
        &self,
        local: &NodeIdentity,
        kind: LinkKind,
        timeout: Duration,
    ) -> Result<Welcome, CallError> {
        let mut could_prove = self.prover.is_bound();
        loop {
            let hello = Hello::new(local.clone(), kind, &self.prover);
            let call = Call {
                action: HANDSHAKE_ACTION,
                timeout,
                authentication: None,
                body: vec![encoding::encode(&hello).into()],
            };
            let answer = self.call(call).await?;
            let mut welcome: Welcome =
                encoding::decode(&answer).map_err(|error| CallError::Invalid(error.to_string()))?;
            self.prover.hear(welcome.nonce.as_ref());
            if welcome.refusal.is_none() && !could_prove && self.prover.is_bound() {
                // Without TLS the acceptor says first what has to be signed.
                could_prove = true;
                continue;
            }
            let shown = self.prover.verify(&welcome.node, welcome.proof.as_ref());
            welcome.node.key = shown.map_err(|Unproven| CallError::Unproven)?;
            return Ok(welcome);
        }
    }

    /// Sends a request and waits for its response. The caller sets the deadline, and gives up by
    /// dropping the future: the peer is told and drops the handler.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Bytes, CallError> {
        let length: usize = call.body.iter().map(Bytes::len).sum();
        let (bytes, limit) = (length as u64, self.max_message_bytes);
        if length > limit {
            return Err(CallError::TooLarge { bytes, limit });
        }
        let request = wire::request(call.action, call.timeout, call.authentication, call.body)
            .map_err(CallError::Invalid)?;
        let _turn = self.turn().await?;
        tokio::select! {
            biased;
            result = self.exchange(request, limit) => result,
            // The connection's tasks end with the link and fail what they carry; a request handed
            // over at that very moment must not wait for its deadline.
            () = self.closed_for(CLOSED_GRACE) => {
                Err(CallError::Broken(describe_end(&self.end, None)))
            }
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Chunks>,
        limit: usize,
    ) -> Result<Bytes, CallError> {
        self.traffic.note_sent(request.body());
        let sent = self.sender.clone().try_send_request(request).await;
        let response = sent.map_err(|mut failed| {
            let reason = self.reason(failed.error());
            match failed.take_message() {
                Some(_) => CallError::NotSent(reason),
                None => CallError::Broken(reason),
            }
        })?;
        let status = response.status();
        let body = match wire::collect(response.into_body(), limit).await {
            Ok(body) => body,
            Err(BodyError::TooLarge { bytes, limit }) => {
                return Err(CallError::TooLarge { bytes, limit });
            }
            Err(BodyError::Broken(reason)) => return Err(CallError::Broken(reason)),
        };
        self.traffic.note_received(&body);
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::INTERNAL_SERVER_ERROR => Err(CallError::Remote(wire::decode_error(&body))),
            other => Err(CallError::Invalid(format!("status {other}"))),
        }
    }

    /// Completes when the link has been closed for so long.
    async fn closed_for(&self, grace: Duration) {
        self.close.cancelled().await;
        tokio::time::sleep(grace).await;
    }

    async fn turn(&self) -> Result<impl Drop + '_, CallError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let _waiting = Waiting::enter(&self.waiting, self.max_waiting)?;
        let turn = tokio::select! {
            biased;
            turn = self.turns.acquire() => turn.ok(),
            () = self.close.cancelled() => None,
        };
        turn.ok_or_else(|| CallError::NotSent("the link closed".to_owned()))
    }

    /// Returns what the stream saw at its end, which says more than what HTTP/2 makes of it.
    pub(crate) fn reason(&self, error: &hyper::Error) -> String {
        describe_end(&self.end, Some(error))
    }
}

/// Returns why a connection ended, in words.
pub(crate) fn describe_end(end: &EndCause, error: Option<&hyper::Error>) -> String {
    match (end.get(), error) {
        (Some(StreamEnd::Tls(failure)), _) => failure.to_string(),
        (Some(StreamEnd::Io(reason)), _) => reason,
        (_, Some(error)) if error.is_timeout() => {
            "no answer to the keep-alive ping in time".to_owned()
        }
        (Some(StreamEnd::Closed), _) => "the remote node closed the connection".to_owned(),
        // The HTTP library names its tasks then.
        (None, Some(error)) if error.is_canceled() => "the connection ended".to_owned(),
        (None, Some(error)) => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
        (None, None) => "closed".to_owned(),
    }
}

/// Runs the tasks of one connection; all end, and its socket closes, when the token is cancelled.
#[derive(Clone)]
pub(crate) struct LinkExecutor(pub(crate) CancellationToken);

impl<F> Executor<F> for LinkExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let close = self.0.clone();
        tokio::spawn(async move {
            close.run_until_cancelled(future).await;
        });
    }
}

/// Returns the HTTP/2 settings of the dialling side.
pub(crate) fn client_builder(
    config: &TransportConfig,
    close: &CancellationToken,
) -> hyper::client::conn::http2::Builder<LinkExecutor> {
    let KeepAlive { interval, timeout } = config.keep_alive;
    let mut builder = hyper::client::conn::http2::Builder::new(LinkExecutor(close.clone()));
    builder
        .timer(hyper_util::rt::TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(interval)
        .keep_alive_timeout(timeout)
        .keep_alive_while_idle(true)
        // Late frames of requests that were given up are no fault of the peer, however many.
        .max_concurrent_reset_streams(1024)
        .max_local_error_reset_streams(None);
    builder
}

/// What is in flight when a link closes has this long to say why it failed.
const CLOSED_GRACE: Duration = Duration::from_millis(500);

pub(crate) const STREAM_WINDOW_BYTES: u32 = 4 << 20;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Small enough that urgent frames do not wait long behind a bulk one.
pub(crate) const MAX_FRAME_BYTES: u32 = 64 << 10;
pub(crate) const SEND_BUFFER_BYTES: usize = 1 << 20;
pub(crate) const MAX_HEADER_BYTES: u32 = 4 << 10;

/// A place in the queue for a turn.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Result<Self, CallError> {
        let queued = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        if queued >= max {
            return Err(CallError::Rejected { queued });
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
