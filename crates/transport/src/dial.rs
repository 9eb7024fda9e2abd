//! The dialling side: name resolution, TCP, TLS, HTTP/2 and the node handshake.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use ringwall_base::NodeId;
use ringwall_tls::{FailureReason, HandshakeFailure, MaybeTlsStream, PeerIdentity};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::core::Core;
use crate::error::ConnectError;
use crate::handshake::{Refusal, Welcome, judge};
use crate::identity::NodeIdentity;
use crate::link::{CallError, Link, LinkKind, LinkWire, client_builder, describe_end};
use crate::proof::{Prover, Side};
use crate::refusal::{DUAL_STACK_REMEDY, with_certificate};
use crate::sockets::Socket;
use crate::stream::{EndCause, LinkStream, StreamEnd};

/// One address of a node, and the name it was found under, which TLS verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
}

impl Target {
    fn written(&self) -> String {
        if self.host.parse::<IpAddr>().is_ok() {
            self.address.to_string()
        } else {
            format!(
                "{}:{} ({})",
                self.host,
                self.address.port(),
                self.address.ip()
            )
        }
    }
}

/// Returns every address of `host:port` or `[v6]:port`; of `name/address:port`, that address under that name.
pub(crate) async fn resolve(address: &str, within: Duration) -> Result<Vec<Target>, ConnectError> {
    if let Ok(literal) = address.parse::<SocketAddr>() {
        return Ok(vec![Target {
            host: literal.ip().to_string(),
            address: literal,
        }]);
    }
    if let Some((name, literal)) = address.split_once('/')
        && let Ok(literal) = literal.parse::<SocketAddr>()
        && !name.is_empty()
    {
        return Ok(vec![Target {
            host: name.to_owned(),
            address: literal,
        }]);
    }
    let failed = |reason: String| ConnectError::Resolve {
        address: address.to_owned(),
        reason,
    };
    let host = match address.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() => host,
        _ => return Err(failed("expected host:port".to_owned())),
    };
    let found = timeout(within, tokio::net::lookup_host(address)).await;
    let found = found.map_err(|_| ConnectError::Timeout {
        address: address.to_owned(),
        stage: "host resolution",
        after: within,
    })?;
    let targets: Vec<Target> = found
        .map_err(|error| failed(error.to_string()))?
        .map(|address| Target {
            host: host.to_owned(),
            address,
        })
        .collect();
    if targets.is_empty() {
        return Err(failed("no address".to_owned()));
    }
    Ok(targets)
}

/// Makes a link to whoever is at the address. Refusals by either side are logged here, once.
///
/// `expected` is the node that must be there, if a certain one is wanted.
pub(crate) async fn dial(
    core: &Arc<Core>,
    target: &Target,
    kind: LinkKind,
    expected: Option<NodeId>,
) -> Result<Arc<Link>, ConnectError> {
    let (result, _) = dial_and_tell(core, target, kind, expected).await;
    result
}

/// As [`dial`], and begins anew every [`TransportConfig::redial_interval`](crate::TransportConfig) without a result:
/// the first attempt has all the time of the settings, those beside it a few intervals each.
pub(crate) async fn dial_again_and_again(
    core: &Arc<Core>,
    target: &Target,
    kind: LinkKind,
    expected: Option<NodeId>,
) -> Result<Arc<Link>, ConnectError> {
    let interval = core.config.redial_interval;
    let mut fresh = FuturesUnordered::new();
    let mut patient = pin!(dial(core, target, kind, expected));
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    loop {
        tokio::select! {
            biased;
            result = &mut patient => return result,
            // One that was slow, or failed as the first is about to, says nothing.
            Some(Ok(Ok(link))) = fresh.next(), if !fresh.is_empty() => return Ok(link),
            _ = ticks.tick() => {
                let attempt = dial(core, target, kind, expected);
                fresh.push(timeout(interval * FRESH_INTERVALS, attempt));
            }
        }
    }
}

/// As [`dial`], and returns what was seen of the peer, however far it came.
pub(crate) async fn dial_and_tell(
    core: &Arc<Core>,
    target: &Target,
    kind: LinkKind,
    expected: Option<NodeId>,
) -> (Result<Arc<Link>, ConnectError>, Seen) {
    let mut seen = Seen::default();
    if core.stopping.is_cancelled() {
        return (Err(ConnectError::ShuttingDown), seen);
    }
    let attempt = Attempt {
        core,
        target,
        written: target.written(),
        kind,
    };
    let result = attempt.run(expected, &mut seen).await;
    if let Err(error) = &result {
        attempt.log(error, seen.certificate.as_ref());
    }
    (result, seen)
}

/// What a finished TLS handshake showed.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// In Elasticsearch's spelling, such as `TLSv1.3`; absent when TLS is off or was not finished.
    pub protocol: Option<&'static str>,
    /// The IANA name.
    pub cipher_suite: Option<String>,
    pub certificate: Option<PeerIdentity>,
}

impl Seen {
    /// Looks at a connection after its handshake.
    pub fn of(stream: &MaybeTlsStream) -> Self {
        match stream {
            MaybeTlsStream::Plain(_) => Self::default(),
            MaybeTlsStream::Tls(stream) => Self {
                protocol: stream.protocol_version(),
                cipher_suite: stream.cipher_suite(),
                certificate: stream.peer_identity().cloned(),
            },
        }
    }
}

struct Attempt<'a> {
    core: &'a Arc<Core>,
    target: &'a Target,
    written: String,
    kind: LinkKind,
}

impl Attempt<'_> {
    async fn run(
        &self,
        expected: Option<NodeId>,
        seen: &mut Seen,
    ) -> Result<Arc<Link>, ConnectError> {
        let stream = self.secure_or_plain().await?;
        let encrypted = stream.is_tls();
        *seen = Seen::of(&stream);
        let side = Side::Dialler;
        let prover = Prover::new(self.core.config.key.clone(), side, &stream);
        let prover = prover.ok_or_else(|| ConnectError::Handshake {
            address: self.written.clone(),
            reason: "the TLS session has nothing to bind the key of the node to".to_owned(),
        })?;
        let (id, wire) = self.open(stream, prover).await?;
        let close = wire.close.clone().drop_guard();
        let within = self.core.config.handshake_timeout;
        let local = self.core.local();
        let introduction = wire.introduce(&local, self.kind, within);
        let welcome = match timeout(within, introduction).await {
            Ok(Ok(welcome)) => welcome,
            Ok(Err(CallError::Unproven)) => {
                return Err(ConnectError::Handshake {
                    address: self.written.clone(),
                    reason: format!("{}; {}", Refusal::Unproven, Refusal::Unproven.remedy()),
                });
            }
            Ok(Err(error)) => return Err(self.broken(&wire.end, error).await),
            Err(_elapsed) => return Err(self.late("handshake", within)),
        };
        let node = self.accept(&local, welcome, expected, encrypted)?;
        if !encrypted && self.core.config.tls.is_some() {
            let line = format!(
                "made an UNENCRYPTED link to node [{node}] at [{}], which has TLS off; {DUAL_STACK_REMEDY}",
                self.written
            );
            self.core
                .refusals
                .outbound(&self.written, "unencrypted", line);
        }
        let place = (self.target.host.clone(), self.target.address);
        close.disarm();
        let link = Link::new(
            id,
            self.kind,
            place,
            (encrypted, seen.certificate.clone()),
            node,
            wire,
        );
        Ok(Arc::new(link))
    }

    async fn connect(&self) -> Result<Socket, ConnectError> {
        let within = self.core.config.connect_timeout;
        let address = self.target.address;
        let connect = async {
            match &self.core.config.network {
                None => TcpStream::connect(address).await.map(Socket::Tcp),
                Some(network) => network.connect(address).await.map(Socket::Simulated),
            }
        };
        let connected = timeout(within, connect).await;
        let socket = connected.map_err(|_| self.late("connect", within))?;
        let failed = |error: std::io::Error| ConnectError::Tcp {
            address: self.written.clone(),
            reason: error.to_string(),
        };
        let socket = socket.map_err(failed)?;
        self.core.dialled.fetch_add(1, Ordering::Relaxed);
        socket.prepare().map_err(failed)?;
        Ok(socket)
    }

    /// Connects with TLS; while both are let in, without it to a peer that does not speak TLS at all. A peer
    /// that speaks TLS and refuses, or is refused, is never asked without.
    async fn secure_or_plain(&self) -> Result<MaybeTlsStream, ConnectError> {
        match self.secure(self.connect().await?).await {
            Err(ConnectError::Tls(failure))
                if self.core.is_dual_stack() && knows_no_tls(&failure) =>
            {
                Ok(self.connect().await?.into())
            }
            secured => secured,
        }
    }

    async fn secure(&self, socket: Socket) -> Result<MaybeTlsStream, ConnectError> {
        let (tls, tcp) = match (&self.core.config.tls, socket) {
            (Some(tls), Socket::Tcp(tcp)) => (tls, tcp),
            (None, socket) => return Ok(socket.into()),
            (Some(_), Socket::Simulated(_)) => {
                return Err(ConnectError::Handshake {
                    address: self.written.clone(),
                    reason: "TLS is not spoken on a simulated network".to_owned(),
                });
            }
        };
        let within = self.core.config.handshake_timeout;
        let Target { host, address } = self.target;
        match tls.connect(tcp, host, *address, within).await {
            Ok(stream) => Ok(stream.into()),
            Err(failure) => Err(ConnectError::Tls(Box::new(failure))),
        }
    }

    /// Starts HTTP/2, and the task that moves its bytes and tells the pool when the link ends.
    async fn open(
        &self,
        stream: MaybeTlsStream,
        prover: Prover,
    ) -> Result<(u64, LinkWire), ConnectError> {
        let config = &self.core.config;
        let close = self.core.stopped.child_token();
        let (stream, end) = LinkStream::new(stream, Bytes::new());
        let handshake = client_builder(config, &close).handshake(TokioIo::new(stream));
        let (sender, connection) = match timeout(config.handshake_timeout, handshake).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                close.cancel();
                return Err(self
                    .broken(&end, CallError::Broken(error.to_string()))
                    .await);
            }
            Err(_elapsed) => {
                close.cancel();
                return Err(self.late("handshake", config.handshake_timeout));
            }
        };
        let id = self.core.next_id();
        let wire = LinkWire {
            sender,
            turns: Semaphore::new(config.max_concurrent_requests as usize),
            waiting: AtomicUsize::new(0),
            max_waiting: config.max_queued_requests,
            max_message_bytes: config.max_message_bytes,
            close: close.clone(),
            end: end.clone(),
            prover,
            traffic: Arc::clone(&self.core.traffic),
        };
        let core = Arc::clone(self.core);
        self.core.tasks.spawn(async move {
            let outcome = close.run_until_cancelled(connection).await;
            close.cancel();
            let error = outcome.and_then(Result::err);
            let reason = describe_end(&end, error.as_ref());
            match error.is_some_and(|error| error.is_timeout()) {
                true => core.pool.silent(id, &reason),
                false => core.pool.closed(id, &reason),
            }
        });
        Ok((id, wire))
    }

    /// Decides about the peer by its answer; the acceptor has decided too.
    fn accept(
        &self,
        local: &NodeIdentity,
        welcome: Welcome,
        expected: Option<NodeId>,
        encrypted: bool,
    ) -> Result<NodeIdentity, ConnectError> {
        let node = welcome.node;
        let mut verdict = judge(
            local,
            &node,
            welcome.protocol_version,
            welcome.min_protocol_version,
            encrypted,
        );
        if let (Ok(()), Some(reason)) = (&verdict, welcome.refusal) {
            verdict = Err(Refusal::ByPeer(reason));
        }
        if verdict.is_ok() {
            verdict = self.core.check_key(&node);
        }
        if let (Ok(()), Some(expected)) = (&verdict, expected.filter(|id| *id != node.id)) {
            verdict = Err(Refusal::UnexpectedNode {
                expected,
                found: node.to_string(),
            });
        }
        match verdict {
            Ok(()) => Ok(node),
            Err(refusal) => Err(ConnectError::Refused {
                address: self.written.clone(),
                node: Arc::new(node),
                refusal,
            }),
        }
    }

    /// Explains a link that ended before the peer introduced itself. What the stream saw may come
    /// a moment after the request failed.
    async fn broken(&self, end: &EndCause, error: CallError) -> ConnectError {
        let mut polls = 0;
        while end.get().is_none() && polls < END_POLLS && !matches!(error, CallError::Remote(_)) {
            tokio::time::sleep(END_PAUSE).await;
            polls += 1;
        }
        let reason = match (end.get(), error) {
            (Some(StreamEnd::Tls(failure)), _) => return ConnectError::Tls(Box::new(failure)),
            (_, CallError::Remote(error)) => format!("the remote node answered [{error}]"),
            (Some(StreamEnd::Closed), _) => format!(
                "the connection was closed by the peer before it introduced itself; {}",
                self.suspicion()
            ),
            (Some(StreamEnd::Io(reason)), _) => format!("{reason}; {}", self.suspicion()),
            (
                None,
                CallError::NotSent(reason) | CallError::Broken(reason) | CallError::Invalid(reason),
            ) => format!("{reason}; {}", self.suspicion()),
            (
                None,
                CallError::Rejected { .. } | CallError::TooLarge { .. } | CallError::Unproven,
            ) => "its answer does not fit".to_owned(),
        };
        ConnectError::Handshake {
            address: self.written.clone(),
            reason,
        }
    }

    fn suspicion(&self) -> &'static str {
        if self.core.config.tls.is_some() {
            "the log of the node there tells why; the port must be its transport port (not the HTTP port)"
        } else {
            "this node's transport TLS is off: the node there may require TLS \
             (xpack.security.transport.ssl.enabled), or the port is not its transport port"
        }
    }

    fn late(&self, stage: &'static str, after: Duration) -> ConnectError {
        ConnectError::Timeout {
            address: self.written.clone(),
            stage,
            after,
        }
    }

    /// Nodes that are down or restarting are everyday; those that refuse need the operator.
    fn log(&self, error: &ConnectError, certificate: Option<&PeerIdentity>) {
        let refusals = &self.core.refusals;
        match error {
            ConnectError::Refused { node, refusal, .. } => {
                let line = format!(
                    "handshake with [{node}] at [{}]{} failed: {refusal}; {}",
                    self.written,
                    with_certificate(certificate),
                    refusal.remedy()
                );
                refusals.outbound(&self.written, refusal.kind(), line);
            }
            ConnectError::Tls(_) | ConnectError::Handshake { .. } => {
                refusals.outbound(&self.written, error.kind(), error);
            }
            _ => tracing::debug!(peer.address = self.written, %error, "cannot connect"),
        }
    }
}

/// Puts a link into use; `None` when it has ended, or what was decided since it was dialled forbids it.
pub(crate) fn adopt(core: &Arc<Core>, link: Arc<Link>) -> Option<Arc<Link>> {
    let link = core.pool.adopt(link)?;
    // In the pool first: a change from here on finds it there.
    let forbidden = core.forbids(link.encrypted, core.config.tls.is_some());
    let reason = match forbidden {
        true => Some("it is not encrypted"),
        false => distrusted(core, &link),
    };
    match reason {
        None => Some(link),
        Some(reason) => {
            retire(core, &link, reason);
            None
        }
    }
}

/// Returns whether a peer answered a TLS hello as one does that has TLS off: by closing, or in plaintext.
fn knows_no_tls(failure: &HandshakeFailure) -> bool {
    matches!(
        failure.reason(),
        FailureReason::Closed | FailureReason::Io(_) | FailureReason::Plaintext(_)
    )
}

/// Warns of a link whose peer the trust of today refuses, and returns why it does.
pub(crate) fn distrusted(core: &Core, link: &Link) -> Option<&'static str> {
    let (Some(tls), Some(certificate)) = (&core.config.tls, &link.certificate) else {
        return None;
    };
    let role = ringwall_tls::PeerRole::Server;
    match tls.would_trust(&certificate.chain, role, Some(&link.host)) {
        Ok(()) => None,
        Err(reason) => {
            let line = format!(
                "closing the link to node [{}]{}: its certificate is no longer trusted ({})",
                link.identity(),
                with_certificate(Some(certificate)),
                reason.kind()
            );
            core.refusals
                .outbound(&link.remote.to_string(), "no_longer_trusted", line);
            Some(reason.kind())
        }
    }
}

/// Puts a link and those beside it out of use, and closes them when what they carry is done, at the latest
/// after the configured grace: a change of trust costs no request.
pub(crate) fn retire(core: &Core, link: &Arc<Link>, reason: &str) {
    let mut links = core.pool.detach(link.id, reason);
    if !links.iter().any(|detached| detached.id == link.id) {
        links.push(Arc::clone(link));
    }
    let (grace, most) = (
        core.config.distrust_grace,
        core.config.max_concurrent_requests as usize,
    );
    let stopped = core.stopped.clone();
    let close = async move {
        let idle = async {
            loop {
                // First a pause: who found the link just before may be about to use it.
                tokio::time::sleep(RETIRE_PAUSE).await;
                if links
                    .iter()
                    .all(|link| link.is_closed() || link.is_idle(most))
                {
                    return;
                }
            }
        };
        let _ = stopped.run_until_cancelled(timeout(grace, idle)).await;
        for link in links {
            link.close();
        }
    };
    core.tasks.spawn_on(close, &core.runtime);
}

/// How long an attempt beside the first has: as many are under way at once at most.
const FRESH_INTERVALS: u32 = 3;
const RETIRE_PAUSE: Duration = Duration::from_millis(50);
const END_POLLS: u32 = 20;
const END_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_resolve_or_say_why() {
        let second = Duration::from_secs(5);
        let v6 = resolve("[::1]:9300", second).await.unwrap();
        assert_eq!((v6[0].host.as_str(), v6[0].address.port()), ("::1", 9300));
        let one = resolve("es01.example/192.0.2.1:9300", second)
            .await
            .unwrap();
        assert_eq!(one[0].written(), "es01.example:9300 (192.0.2.1)");
        let named = resolve("localhost:9301", second).await.unwrap();
        assert!(
            named
                .iter()
                .all(|t| t.host == "localhost" && t.address.port() == 9301)
        );
        assert!(named[0].written().starts_with("localhost:9301 ("));
        for bad in ["localhost", ":9300", "a:b", "", "host:99999"] {
            let error = resolve(bad, second).await.unwrap_err();
            assert!(error.to_string().contains("expected host:port"), "{error}");
        }
    }
}
