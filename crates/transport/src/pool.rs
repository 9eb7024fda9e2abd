//! The nodes this one knows where to find, and the links it has to them.
//!
//! A node's links form one connection: they come up one by one, and when one closes all do, as in
//! Elasticsearch. Events are sent under the lock, so they arrive in the order things happened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use ringwall_base::NodeId;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::error::ConnectError;
use crate::identity::NodeIdentity;
use crate::link::{Link, LinkKind};

/// A change in which nodes are connected. A hint: by the time it is read, more may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The first link to the node is up.
    Connected(NodeId),
    /// All links to the node are closed.
    Disconnected { node: NodeId, reason: String },
}

/// A dial that all who need the same link wait for.
pub(crate) type SharedDial = Shared<BoxFuture<'static, Result<Arc<Link>, ConnectError>>>;

pub(crate) struct Pool {
    state: Mutex<State>,
    events: broadcast::Sender<ConnectionEvent>,
}

#[derive(Default)]
struct State {
    /// Where to dial a node.
    addresses: BTreeMap<NodeId, String>,
    connections: BTreeMap<NodeId, Connection>,
    dials: BTreeMap<(NodeId, LinkKind), Dial>,
    next_dial: u64,
    /// Set at shutdown: nothing is adopted and nothing told any more.
    shut: bool,
}

struct Dial {
    number: u64,
    since: Instant,
    dial: SharedDial,
}

struct Connection {
    ephemeral_id: String,
    links: BTreeMap<LinkKind, Arc<Link>>,
    /// Names and addresses under which the node's certificate was verified.
    verified: BTreeSet<(String, SocketAddr)>,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            events: broadcast::Sender::new(EVENT_QUEUE),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ConnectionEvent> {
        self.events.subscribe()
    }

    pub(crate) fn set_address(&self, node: NodeId, address: &str) {
        let mut state = self.state.lock();
        if state.addresses.len() < MAX_ADDRESSES || state.addresses.contains_key(&node) {
            state.addresses.insert(node, address.to_owned());
        } else {
            tracing::warn!(node.id = %node, "too many node addresses known, forgetting this one");
        }
    }

    /// Takes over where a node says that it is, unless there is a live link to another process of it: that one is the
    /// node until the link ends.
    pub(crate) fn introduced(&self, node: &NodeIdentity) {
        let is_elsewhere = {
            let state = self.state.lock();
            let connection = state.connections.get(&node.id);
            connection.is_some_and(|known| {
                known.ephemeral_id != node.ephemeral_id
                    && known.links.values().any(|link| !link.is_closed())
            })
        };
        if !is_elsewhere {
            self.set_address(node.id, &node.publish_address);
        }
    }

    pub(crate) fn address(&self, node: NodeId) -> Option<String> {
        self.state.lock().addresses.get(&node).cloned()
    }

    /// Returns the live link of a kind to a node.
    pub(crate) fn live(&self, node: NodeId, kind: LinkKind) -> Option<Arc<Link>> {
        let state = self.state.lock();
        let link = state.connections.get(&node)?.links.get(&kind)?;
        (!link.is_closed()).then(|| Arc::clone(link))
    }

    /// Returns a live link to the node that was verified under this name at this address.
    pub(crate) fn verified(&self, host: &str, address: SocketAddr) -> Option<Arc<Link>> {
        let target = (host.to_owned(), address);
        let state = self.state.lock();
        let mut connections = state.connections.values();
        let connection = connections.find(|c| c.verified.contains(&target))?;
        let link = connection.links.values().find(|link| !link.is_closed())?;
        Some(Arc::clone(link))
    }

    /// Makes a new link the way to its node, or closes it when there is one already.
    ///
    /// Returns the link to use; `None` when the new link is dead already.
    pub(crate) fn adopt(&self, link: Arc<Link>) -> Option<Arc<Link>> {
        let identity = link.identity();
        let mut state = self.state.lock();
        if state.shut {
            link.close();
        }
        if link.is_closed() {
            return None;
        }
        let restarted = state
            .connections
            .get(&identity.id)
            .is_some_and(|known| known.ephemeral_id != identity.ephemeral_id);
        if restarted {
            self.remove(&mut state, identity.id, "the node was restarted");
        }
        if state.addresses.len() < MAX_ADDRESSES && !identity.publish_address.is_empty() {
            let published = || identity.publish_address.clone();
            state.addresses.entry(identity.id).or_insert_with(published);
        }
        let fresh = !state.connections.contains_key(&identity.id);
        let connection = state
            .connections
            .entry(identity.id)
            .or_insert_with(|| Connection {
                ephemeral_id: identity.ephemeral_id.clone(),
                links: BTreeMap::new(),
                verified: BTreeSet::new(),
            });
        connection.verified.insert((link.host.clone(), link.remote));
        if fresh {
            // No receiver is no error: nobody is interested yet.
            let _ = self.events.send(ConnectionEvent::Connected(identity.id));
        }
        match connection.links.get(&link.kind) {
            Some(present) if !present.is_closed() => {
                link.close();
                Some(Arc::clone(present))
            }
            _ => {
                connection.links.insert(link.kind, Arc::clone(&link));
                Some(link)
            }
        }
    }

    /// Takes note that a link's connection is over.
    pub(crate) fn closed(&self, link: u64, reason: &str) {
        let mut state = self.state.lock();
        let holds = |c: &Connection| c.links.values().any(|held| held.id == link);
        let node = state
            .connections
            .iter()
            .find(|(_, c)| holds(c))
            .map(|(node, _)| *node);
        if let Some(node) = node {
            self.remove(&mut state, node, reason);
        }
    }

    /// Takes note that a link's connection is over because nothing came through any more. That says nothing of the
    /// node, nor of the links beside it.
    pub(crate) fn silent(&self, link: u64, reason: &str) {
        let mut state = self.state.lock();
        let holds = |c: &Connection| c.links.values().any(|held| held.id == link);
        let found = state.connections.iter_mut().find(|(_, c)| holds(c));
        let Some((node, connection)) = found else {
            return;
        };
        let node = *node;
        connection.links.retain(|_, held| held.id != link);
        if connection.links.is_empty() {
            self.remove(&mut state, node, reason);
        }
    }

    /// Takes the connection of a link away from those that look for one, and returns its links, still open.
    pub(crate) fn detach(&self, link: u64, reason: &str) -> Vec<Arc<Link>> {
        let mut state = self.state.lock();
        let holds = |c: &Connection| c.links.values().any(|held| held.id == link);
        let node = state
            .connections
            .iter()
            .find(|(_, c)| holds(c))
            .map(|(node, _)| *node);
        let Some(connection) = node.and_then(|node| state.connections.remove(&node)) else {
            return Vec::new();
        };
        if let (Some(node), false) = (node, state.shut) {
            self.tell_disconnected(node, reason);
        }
        connection.links.into_values().collect()
    }

    /// Closes the links to a node. Returns whether there were any.
    pub(crate) fn disconnect(&self, node: NodeId, reason: &str) -> bool {
        self.remove(&mut self.state.lock(), node, reason)
    }

    pub(crate) fn connected(&self) -> Vec<Arc<NodeIdentity>> {
        let state = self.state.lock();
        let links = state
            .connections
            .values()
            .filter_map(|c| c.links.values().next());
        links.map(|link| link.identity()).collect()
    }

    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        let state = self.state.lock();
        let links = state.connections.values().flat_map(|c| c.links.values());
        links.map(Arc::clone).collect()
    }

    /// Returns the dial under way for a link and since when, or the one that `start` begins.
    pub(crate) fn dial(
        &self,
        node: NodeId,
        kind: LinkKind,
        start: impl FnOnce(u64) -> SharedDial,
    ) -> (Instant, SharedDial) {
        let mut state = self.state.lock();
        if let Some(under_way) = state.dials.get(&(node, kind)) {
            return (under_way.since, under_way.dial.clone());
        }
        state.next_dial += 1;
        let begun = Dial {
            number: state.next_dial,
            since: Instant::now(),
            dial: start(state.next_dial),
        };
        let answer = (begun.since, begun.dial.clone());
        state.dials.insert((node, kind), begun);
        answer
    }

    /// Takes note that a dial is over, so that the next need dials anew.
    pub(crate) fn dialled(&self, node: NodeId, kind: LinkKind, number: u64) {
        let mut state = self.state.lock();
        if state
            .dials
            .get(&(node, kind))
            .is_some_and(|dial| dial.number == number)
        {
            state.dials.remove(&(node, kind));
        }
    }

    /// Closes everything, silently and for good.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock();
        state.shut = true;
        let connections: Vec<Connection> = std::mem::take(&mut state.connections)
            .into_values()
            .collect();
        state.dials.clear();
        drop(state);
        for link in connections.iter().flat_map(|c| c.links.values()) {
            link.close();
        }
    }

    fn remove(&self, state: &mut State, node: NodeId, reason: &str) -> bool {
        let Some(connection) = state.connections.remove(&node) else {
            return false;
        };
        for link in connection.links.values() {
            link.close();
        }
        if !state.shut {
            self.tell_disconnected(node, reason);
        }
        true
    }

    fn tell_disconnected(&self, node: NodeId, reason: &str) {
        let reason = reason.to_owned();
        tracing::debug!(node.id = %node, reason, "disconnected");
        // No receiver is no error: nobody is interested.
        let _ = self
            .events
            .send(ConnectionEvent::Disconnected { node, reason });
    }
}

const EVENT_QUEUE: usize = 1024;
const MAX_ADDRESSES: usize = 10_000;
