//! The transport of a node: listens, dials, sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use parking_lot::Mutex;
use ringwall_api::Authentication;
use ringwall_base::{NodeId, NodeKey, encoding};
use ringwall_tls::{PeerIdentity, SslContext, ToldRefusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{DEFAULT_PROFILE, TransportConfig};
use crate::core::{Core, Registered, check_user, run};
use crate::dial::{Target, adopt, dial_again_and_again, distrusted, resolve, retire};
use crate::error::{BindError, ConnectError, DuplicateAction, SendError};
use crate::handler::{Callers, Gate, InboundContext, Observer, RequestHandler};
use crate::identity::NodeIdentity;
use crate::link::{Call, CallError, Link, LinkKind};
use crate::listener;
use crate::message::{Message, NodeAction};
use crate::origin::Origin;
use crate::pool::ConnectionEvent;
use crate::profile::{BoundProfile, Profile};
use crate::sockets::Listener;
use crate::wire::MAX_TIMEOUT;

/// A request to a node.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub body: Bytes,
    /// The user on whose behalf it is sent.
    pub authentication: Option<&'a Authentication>,
    /// How long to wait for the response, all included; at most a day.
    pub timeout: Duration,
}

/// A link to another node, or from it.
#[derive(Debug, Clone)]
pub struct LinkInfo {
    pub node: Arc<NodeIdentity>,
    /// Whether this node dialled.
    pub dialled: bool,
    pub encrypted: bool,
    /// What the other node showed.
    pub certificate: Option<PeerIdentity>,
}

/// Sends requests to other nodes and answers theirs. Cheap to clone.
///
/// Life: [`bind`](Self::bind), [`register`](Self::register) handlers, [`start`](Self::start),
/// [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Transport {
    core: Arc<Core>,
    /// The first is the profile that other nodes dial.
    profiles: Arc<[BoundProfile]>,
    /// Taken by `start`.
    listeners: Arc<Mutex<Listeners>>,
}

/// Connections of a transport, for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportCounts {
    /// Open now, accepted and past TLS.
    pub accepted: usize,
    /// Open now, accepted and not that far.
    pub handshaking: usize,
    /// Dialled since the start.
    pub dialled_total: u64,
    /// Messages since the start, requests and responses alike; then their bytes.
    pub received: u64,
    pub received_bytes: u64,
    pub sent: u64,
    pub sent_bytes: u64,
}

type Listeners = Vec<(Arc<Profile>, Listener)>;

impl Transport {
    /// Takes the ports, and fills in the publish address of `local` unless it has one.
    ///
    /// Peers are accepted only after [`start`](Self::start).
    pub async fn bind(config: TransportConfig, mut local: NodeIdentity) -> Result<Self, BindError> {
        let (mut listeners, mut profiles) = (Vec::new(), Vec::new());
        for wanted in config.listeners() {
            let bound = listener::bind(&wanted, config.network.as_deref()).await?;
            let addresses: Vec<SocketAddr> = bound.iter().map(|(_, address)| *address).collect();
            profiles.push(BoundProfile {
                publish_address: listener::publish_address(&wanted, &addresses),
                name: wanted.name.clone(),
                addresses,
            });
            let profile = Profile::new(&wanted);
            listeners.extend(
                bound
                    .into_iter()
                    .map(|(bound, _)| (Arc::clone(&profile), bound)),
            );
        }
        let default = &mut profiles[0];
        match local.publish_address.is_empty() {
            true => local.publish_address = default.publish_address.clone(),
            false => default.publish_address = local.publish_address.clone(),
        }
        Ok(Self {
            core: Core::new(config, local),
            profiles: profiles.into(),
            listeners: Arc::new(Mutex::new(listeners)),
        })
    }

    /// Adds the handler of an action that these may call. Errors: the action has one already.
    pub fn register(
        &self,
        action: &'static str,
        callers: Callers,
        handler: impl RequestHandler,
    ) -> Result<(), DuplicateAction> {
        let mut handlers = self.core.handlers.write();
        if action == crate::HANDSHAKE_ACTION || handlers.contains_key(action) {
            return Err(DuplicateAction(action));
        }
        let handler = Arc::new(handler);
        handlers.insert(action, Registered { callers, handler });
        Ok(())
    }

    /// Returns every action that this node answers, with who may call it.
    pub fn actions(&self) -> Vec<(&'static str, Callers)> {
        let handlers = self.core.handlers.read();
        let mut actions: Vec<_> = handlers
            .iter()
            .map(|(name, action)| (*name, action.callers))
            .collect();
        actions.sort_unstable_by_key(|(name, _)| *name);
        actions
    }

    /// Sets who knows the members of the cluster; the first one stays.
    pub fn set_gate(&self, gate: Arc<dyn Gate>) {
        let _ = self.core.gate.set(gate);
    }

    /// Shows every request that is handled here to an observer; the first one stays.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.core.observer.set(observer);
    }

    /// Starts to accept peers, and to close links whose peers a reload of the trust no longer covers.
    pub fn start(&self) {
        let core = &self.core;
        core.refusals.spawn_summaries();
        for (profile, listener) in self.listeners.lock().drain(..) {
            core.tasks
                .spawn(listener::accept_loop(Arc::clone(core), profile, listener));
        }
        for context in core.config.contexts() {
            core.tasks
                .spawn(reverify_after_reloads(self.clone(), context));
        }
        for profile in self.profiles.iter() {
            let which = match profile.name == DEFAULT_PROFILE {
                true => String::new(),
                false => format!("profile [{}]: ", profile.name),
            };
            let published = &profile.publish_address;
            let addresses: Vec<String> = profile
                .addresses
                .iter()
                .map(SocketAddr::to_string)
                .collect();
            let addresses = addresses.join("}, {");
            tracing::info!(
                "{which}publish_address {{{published}}}, bound_addresses {{{addresses}}}"
            );
        }
    }

    /// Returns the addresses that other nodes may dial.
    pub fn bound_addresses(&self) -> &[SocketAddr] {
        &self.profiles[0].addresses
    }

    /// Returns where the profiles listen, first the one that other nodes dial.
    pub fn profiles(&self) -> &[BoundProfile] {
        &self.profiles
    }

    /// Returns what this node tells others about itself.
    pub fn local(&self) -> Arc<NodeIdentity> {
        self.core.local()
    }

    /// Changes what this node tells others from now on, such as the cluster it has joined.
    /// The id and the key cannot change.
    pub fn update_local(&self, update: impl FnOnce(&mut NodeIdentity)) {
        let mut local = self.core.local.write();
        let mut changed = NodeIdentity::clone(&local);
        update(&mut changed);
        changed.id = self.core.local_id;
        changed.key = local.key;
        *local = Arc::new(changed);
    }

    /// Asks who is at `host:port`, which may be this node. The link made for it is kept.
    ///
    /// Of a name with several addresses, the first that answers counts; see
    /// [`probe_all`](Self::probe_all). Refusals are logged here, no need to log the error again.
    pub async fn probe(
        &self,
        address: &str,
        timeout: Duration,
    ) -> Result<NodeIdentity, ConnectError> {
        let mut error = None;
        let probes = async {
            for target in resolve(address, self.core.config.connect_timeout).await? {
                match self.probe_target(&target).await {
                    Ok(identity) => return Ok(identity),
                    Err(failed) => error = Some(failed),
                }
            }
            Err(error
                .take()
                .unwrap_or_else(|| self.late(address, "probe", timeout)))
        };
        match tokio::time::timeout(timeout.min(MAX_TIMEOUT), probes).await {
            Ok(result) => result,
            Err(_elapsed) => Err(self.late(address, "probe", timeout)),
        }
    }

    /// Asks who is at each address of `host:port`: a name may stand for all nodes of a cluster.
    pub async fn probe_all(
        &self,
        address: &str,
        timeout: Duration,
    ) -> Result<Vec<(SocketAddr, Result<NodeIdentity, ConnectError>)>, ConnectError> {
        let timeout = timeout.min(MAX_TIMEOUT);
        let targets = resolve(address, timeout.min(self.core.config.connect_timeout)).await?;
        let probes = targets.into_iter().take(MAX_TARGETS).map(async |target| {
            let probe = tokio::time::timeout(timeout, self.probe_target(&target));
            let late = |_| Err(self.late(&target.address.to_string(), "probe", timeout));
            (target.address, probe.await.unwrap_or_else(late))
        });
        Ok(futures::future::join_all(probes).await)
    }

    /// Tells where a node is to be dialled, as `host:port`. Links that are up stay.
    pub fn set_address(&self, node: NodeId, address: &str) {
        self.core.pool.set_address(node, address);
    }

    /// Sends a request and waits for its response. Dials when there is no link; all who need the
    /// same link wait for one dial. A request to this node runs the handler without a socket.
    ///
    /// Dropping the future cancels the request here and at the other node.
    pub async fn send(
        &self,
        node: NodeId,
        action: &'static str,
        request: Request<'_>,
    ) -> Result<Bytes, SendError> {
        let (body, authentication) = (request.body, request.authentication);
        if node == self.core.local_id {
            let body = Message::Encoded(body);
            let answer = self.deliver(action, body, authentication, request.timeout);
            return answer.await?.into_encoded().map_err(SendError::Remote);
        }
        self.send_chunks(node, action, vec![body], authentication, request.timeout)
            .await
    }

    /// Sends what is in pieces to another node.
    async fn send_chunks(
        &self,
        node: NodeId,
        action: &'static str,
        body: Vec<Bytes>,
        authentication: Option<&Authentication>,
        timeout: Duration,
    ) -> Result<Bytes, SendError> {
        let after = timeout.min(MAX_TIMEOUT);
        let deadline = Instant::now() + after;
        let late = |sent| SendError::Timeout {
            node,
            action,
            after,
            sent,
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let link = timeout_at(deadline, self.link(node, LinkKind::of_action(action))).await;
            let link = link.map_err(|_| late(false))??;
            let call = link.call(Call {
                action,
                timeout: deadline.saturating_duration_since(Instant::now()),
                authentication,
                body: body.clone(),
            });
            match timeout_at(deadline, call).await {
                Err(_elapsed) => return Err(late(true)),
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(CallError::NotSent(reason))) if attempts < MAX_ATTEMPTS => {
                    self.core.pool.closed(link.id, &reason);
                    link.close();
                }
                Ok(Err(error)) => return Err(send_error(node, action, error)),
            }
        }
    }

    /// [`send`](Self::send) by the types of the action: encoded for another node, handed over as it is to this one.
    pub async fn send_typed<Q, A>(
        &self,
        node: NodeId,
        action: NodeAction<Q, A>,
        message: Q,
        authentication: Option<&Authentication>,
        timeout: Duration,
    ) -> Result<A, SendError>
    where
        Q: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        let name = action.name();
        if node == self.core.local_id {
            let message = Message::Typed(Box::new(message));
            let answer = self.deliver(name, message, authentication, timeout);
            return answer.await?.into_typed().map_err(SendError::Remote);
        }
        let body = encoding::encode_chunks(&message);
        drop(message);
        let response = self.send_chunks(node, name, body, authentication, timeout);
        encoding::decode_shared(&response.await?).map_err(|error| SendError::Invalid {
            node,
            action: name,
            reason: error.to_string(),
        })
    }

    /// Returns a stream of nodes that connect and disconnect. A receiver that falls more than 1024
    /// events behind is told so (`Lagged`) and should look at [`connected_nodes`](Self::connected_nodes).
    pub fn events(&self) -> broadcast::Receiver<ConnectionEvent> {
        self.core.pool.subscribe()
    }

    /// Returns the key that a node, as this process, has proved to hold on a link to it.
    pub fn proven_key(&self, node: NodeId, ephemeral_id: &str) -> Option<NodeKey> {
        let links = self.core.pool.links();
        let identities = links.iter().map(|link| link.identity());
        let mut shown = identities
            .filter(|identity| identity.id == node && identity.ephemeral_id == ephemeral_id);
        shown.find_map(|identity| identity.key)
    }

    /// Returns the nodes this one has links to, itself not included.
    pub fn connected_nodes(&self) -> Vec<Arc<NodeIdentity>> {
        self.core.pool.connected()
    }

    /// Closes this node's links to another. Returns whether there were any.
    pub fn disconnect(&self, node: NodeId) -> bool {
        self.core.pool.disconnect(node, "disconnected by this node")
    }

    /// Closes every link, in both directions, whose peer the trust of today refuses; returns how many.
    ///
    /// Happens by itself after a reload of the TLS files. Checks signatures: about a millisecond a link.
    pub fn reverify_links(&self) -> usize {
        let links = self.core.pool.links();
        let sessions: Vec<_> = self.core.sessions.lock().values().map(Arc::clone).collect();
        let refused = links.iter().filter(|link| {
            let refused = distrusted(&self.core, link).is_some();
            if refused {
                retire(&self.core, link, "its certificate is no longer trusted");
            }
            refused
        });
        let dialled = refused.count();
        dialled + sessions.iter().filter(|session| session.reverify()).count()
    }

    /// Lets plaintext in no more, and closes the links that have none; what runs on accepted ones may finish.
    /// Returns how many links were without TLS, or `None` if plaintext was not let in.
    pub fn end_dual_stack(&self) -> Option<usize> {
        if !self.core.end_dual_stack() {
            return None;
        }
        let links = self.core.pool.links();
        let dialled = links.iter().filter(|link| !link.encrypted);
        let dialled = dialled
            .inspect(|link| retire(&self.core, link, "it is not encrypted"))
            .count();
        let sessions = self.core.sessions.lock();
        let accepted = sessions
            .values()
            .filter(|session| session.close_unencrypted());
        Some(dialled + accepted.count())
    }

    /// Returns how many connections there are.
    pub fn counts(&self) -> TransportCounts {
        let [received, received_bytes, sent, sent_bytes] = self.core.traffic.read();
        TransportCounts {
            received,
            received_bytes,
            sent,
            sent_bytes,
            accepted: self.core.sessions.lock().len(),
            handshaking: self.core.handshakes.taken(),
            dialled_total: self.core.dialled.load(Ordering::Relaxed),
        }
    }

    /// Returns the last refusals of peers, and by peers, oldest first.
    pub fn refusals(&self) -> Vec<ToldRefusal> {
        self.core.refusals.told()
    }

    /// Returns the live links of both directions whose peers have introduced themselves.
    pub fn links(&self) -> Vec<LinkInfo> {
        let dialled = self.core.pool.links();
        let dialled = dialled.iter().filter(|link| !link.is_closed());
        let dialled = dialled.map(|link| LinkInfo {
            node: link.identity(),
            dialled: true,
            encrypted: link.encrypted,
            certificate: link.certificate.clone(),
        });
        let sessions = self.core.sessions.lock();
        let accepted = sessions.values().filter_map(|session| session.link());
        dialled.chain(accepted).collect()
    }

    /// Stops accepting, lets inbound requests finish for the configured grace, then closes everything.
    pub async fn shutdown(&self) {
        let core = &self.core;
        core.stopping.cancel();
        self.listeners.lock().clear();
        core.inbound_tasks.close();
        core.tasks.close();
        let drained = timeout(core.config.shutdown_grace, core.inbound_tasks.wait()).await;
        if drained.is_err() {
            tracing::debug!("closing inbound connections with requests still running");
        }
        core.pool.shut();
        core.stopped.cancel();
        core.inbound_tasks.wait().await;
        core.tasks.wait().await;
    }

    /// Runs the handler of an action here. Nothing is charged: what this node sends itself it holds already.
    async fn deliver(
        &self,
        action: &'static str,
        message: Message,
        authentication: Option<&Authentication>,
        timeout: Duration,
    ) -> Result<Message, SendError> {
        let after = timeout.min(MAX_TIMEOUT);
        let deadline = Instant::now() + after;
        if self.core.stopping.is_cancelled() {
            return Err(SendError::ShuttingDown);
        }
        let found = self.core.action(action).map_err(SendError::Remote)?;
        let has_user = authentication.is_some();
        check_user(found.callers, action, has_user).map_err(SendError::Remote)?;
        let context = InboundContext {
            peer: self.core.local(),
            authentication: authentication.cloned(),
            deadline,
            origin: Origin::current(),
        };
        match run(&self.core, found.handler, action, context, message).await {
            Err(_) if Instant::now() >= deadline => Err(SendError::Timeout {
                node: self.core.local_id,
                action,
                after,
                sent: true,
            }),
            result => result.map_err(SendError::Remote),
        }
    }

    /// Returns the link to a node, dialling when there is none.
    async fn link(&self, node: NodeId, kind: LinkKind) -> Result<Arc<Link>, SendError> {
        if let Some(link) = self.core.pool.live(node, kind) {
            // Which key the node is known by may have come after the link.
            if self.core.check_key(&link.identity()).is_ok() {
                return Ok(link);
            }
            retire(
                &self.core,
                &link,
                "it is not the node that is known by its id",
            );
        }
        if self.core.stopping.is_cancelled() {
            return Err(SendError::ShuttingDown);
        }
        let address = self
            .core
            .pool
            .address(node)
            .ok_or(SendError::NotConnected { node })?;
        let core = Arc::clone(&self.core);
        let written = address.clone();
        let (since, dial) = self.core.pool.dial(node, kind, move |number| {
            // In a task of its own: it goes on for the others when one of the waiting gives up.
            let task = self.core.tasks.spawn(async move {
                let dial = dial_node(&core, node, kind, &address);
                let result = core.stopped.run_until_cancelled(dial).await;
                core.pool.dialled(node, kind, number);
                result.unwrap_or(Err(ConnectError::ShuttingDown))
            });
            async move { task.await.unwrap_or(Err(ConnectError::ShuttingDown)) }
                .boxed()
                .shared()
        });
        let wait = self.core.config.connect_wait;
        let dialled = timeout_at(since + wait, dial).await;
        let dialled = dialled.unwrap_or_else(|_| Err(self.late(&written, "connect", wait)));
        dialled.map_err(|source| match source {
            ConnectError::ShuttingDown => SendError::ShuttingDown,
            source => SendError::Connect { node, source },
        })
    }

    async fn probe_target(&self, target: &Target) -> Result<NodeIdentity, ConnectError> {
        if let Some(link) = self.core.pool.verified(&target.host, target.address) {
            let local = NodeIdentity::clone(&self.core.local());
            let within = self.core.config.handshake_timeout;
            match timeout(within, link.introduce_again(local, within)).await {
                Ok(Ok(identity)) => return Ok(NodeIdentity::clone(&identity)),
                failed => {
                    tracing::debug!(?failed, peer.address = %target.address, "link does not answer a probe");
                    self.core
                        .pool
                        .closed(link.id, "the link did not answer a probe");
                }
            }
        }
        let link = dial_again_and_again(&self.core, target, LinkKind::Cluster, None).await?;
        let identity = NodeIdentity::clone(&link.identity());
        if link.node() == self.core.local_id {
            link.close();
        } else {
            // A link that died this moment still tells who was there.
            let _ = adopt(&self.core, link);
        }
        Ok(identity)
    }

    fn late(&self, address: &str, stage: &'static str, after: Duration) -> ConnectError {
        ConnectError::Timeout {
            address: address.to_owned(),
            stage,
            after,
        }
    }
}

async fn dial_node(
    core: &Arc<Core>,
    node: NodeId,
    kind: LinkKind,
    address: &str,
) -> Result<Arc<Link>, ConnectError> {
    let mut error = ConnectError::ShuttingDown;
    for target in resolve(address, core.config.connect_timeout).await? {
        match dial_again_and_again(core, &target, kind, Some(node)).await {
            Ok(link) => {
                let written = address.to_owned();
                return adopt(core, link).ok_or(ConnectError::Handshake {
                    address: written,
                    reason: "the link closed at once".to_owned(),
                });
            }
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

async fn reverify_after_reloads(transport: Transport, tls: Arc<SslContext>) {
    let mut generation = tls.subscribe();
    loop {
        let changed = tokio::select! {
            biased;
            () = transport.core.stopping.cancelled() => return,
            changed = generation.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let verifying = transport.clone();
        match tokio::task::spawn_blocking(move || verifying.reverify_links()).await {
            Ok(0) => {}
            Ok(links) => tracing::info!(links, "closed links that the reloaded trust refuses"),
            Err(error) => tracing::error!(%error, "cannot verify the links again"),
        }
    }
}

fn send_error(node: NodeId, action: &'static str, error: CallError) -> SendError {
    match error {
        CallError::NotSent(reason) => SendError::Connect {
            node,
            source: ConnectError::Handshake {
                address: node.to_string(),
                reason,
            },
        },
        CallError::Broken(reason) => SendError::Disconnected {
            node,
            action,
            reason,
        },
        CallError::Remote(error) => SendError::Remote(error),
        CallError::Rejected { queued } => SendError::Rejected {
            node,
            action,
            queued,
        },
        CallError::TooLarge { bytes, limit } => SendError::TooLarge {
            node,
            action,
            bytes,
            limit,
        },
        CallError::Invalid(reason) => SendError::Invalid {
            node,
            action,
            reason,
        },
        // Of introductions only.
        CallError::Unproven => SendError::Invalid {
            node,
            action,
            reason: "an unproven key".to_owned(),
        },
    }
}

/// Once more on a fresh link when the old one was closed before the request went out.
const MAX_ATTEMPTS: u32 = 2;
/// Of the addresses of one name.
const MAX_TARGETS: usize = 64;
