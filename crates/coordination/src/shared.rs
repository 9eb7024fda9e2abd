//! The state that the tasks of one node share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::ServerState;
use parking_lot::Mutex;
use ringwall_base::{NodeId, NodeKey};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::acknowledged::Acknowledged;
use crate::config::Config;
use crate::decide::contact::Contact;
use crate::decide::voters::Configs;
use crate::discovery::Discovery;
use crate::master::Event;
use crate::peer::{PeerInfo, Sender};
use crate::raft::{Metrics, Raft, RaftId};
use crate::raft_network::Hush;
use crate::rpc::Messenger;
use crate::status::Status;
use crate::store::{Machine, Store};

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) machine: Arc<Machine>,
    pub(crate) messenger: Arc<Messenger>,
    pub(crate) raft: Raft,
    pub(crate) hush: Arc<Hush>,
    pub(crate) acknowledged: Arc<Acknowledged>,
    pub(crate) contact: Mutex<Contact>,
    pub(crate) discovery: Mutex<Discovery>,
    pub(crate) status: watch::Sender<Status>,
    /// Wakes the status task.
    pub(crate) status_wanted: Notify,
    /// Wakes the election task.
    pub(crate) election_wanted: Notify,
    /// Joins and losses for the master task.
    pub(crate) master_events: mpsc::Sender<Event>,
    /// Bounds the proposals in flight.
    pub(crate) proposals: Semaphore,
    pub(crate) started: Instant,
    /// Term and beginning of this node's time in office.
    pub(crate) office: Mutex<Option<(u64, Instant)>>,
    /// `cluster.auto_shrink_voting_configuration`.
    pub(crate) auto_shrink: AtomicBool,
    /// Why this node must not be relied on; told from outside.
    pub(crate) unhealthy: Mutex<Option<String>>,
}

impl Shared {
    pub(crate) fn local_id(&self) -> NodeId {
        self.config.local.id
    }

    /// Records a master's message and publishes it if it is news.
    pub(crate) fn heard_from(&self, master: NodeId) {
        let now = Instant::now();
        let news = {
            let mut contact = self.contact.lock();
            let before = contact.live_master(now, self.config.timing.election_timeout_max);
            contact.heard(master, now);
            before != Some(master)
        };
        if news {
            self.status_wanted.notify_one();
        }
    }

    /// Returns for how long this node has been master in the term; starts the count when new.
    pub(crate) fn office_since(&self, term: u64, now: Instant) -> Duration {
        let mut office = self.office.lock();
        match *office {
            Some((known, since)) if known == term => now.saturating_duration_since(since),
            _ => {
                *office = Some((term, now));
                Duration::ZERO
            }
        }
    }

    /// Returns what is known about a node, at least its id.
    pub(crate) fn describe(&self, id: NodeId, metrics: &Metrics) -> PeerInfo {
        let membership = metrics.membership_config.membership();
        if let Some(peer) = membership.get_node(&RaftId(id)) {
            return peer.clone();
        }
        let members = self.machine.application().members();
        if let Some(peer) = members.into_iter().find(|member| member.id == id) {
            return peer;
        }
        self.discovery.lock().known(id).unwrap_or_else(|| PeerInfo {
            id,
            ..PeerInfo::default()
        })
    }

    /// Returns whether this node holds the office of master, with or without a quorum.
    pub(crate) fn in_office(&self) -> bool {
        self.raft.metrics().borrow().state == ServerState::Leader
    }

    /// Returns whether a node is a member of the cluster, by the state, by consensus, or by the word of another
    /// member while this node is looking for its cluster.
    ///
    /// Where a key of it is known, only who holds that key is it.
    pub(crate) fn knows(&self, sender: Sender) -> bool {
        let Sender { id, key } = sender;
        let application = self.machine.application();
        if application.is_foreign(id, key) {
            return false;
        }
        if application.has_member(id, key) {
            return true;
        }
        let in_consensus = self.in_consensus(id);
        let vouched = in_consensus.or_else(|| self.discovery.lock().vouched(id));
        vouched.is_some_and(|known| known.is_none() || known == key)
    }

    /// Returns the key by which consensus, or a member's word, knows a node.
    pub(crate) fn key_of(&self, node: NodeId) -> Option<NodeKey> {
        let in_consensus = self.in_consensus(node);
        in_consensus
            .or_else(|| self.discovery.lock().vouched(node))
            .flatten()
    }

    /// Returns the key of a node of the membership of consensus; `None` when it is not in there.
    pub(crate) fn in_consensus(&self, node: NodeId) -> Option<Option<NodeKey>> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        membership.get_node(&RaftId(node)).map(|peer| peer.key)
    }

    /// Remembers where a node was met, unless the process that is known by its id still runs elsewhere.
    pub(crate) fn learn(self: &Arc<Self>, peer: &PeerInfo) {
        if self.is_elsewhere(peer).is_none() {
            self.messenger.learn(peer);
            return;
        }
        let (shared, peer) = (self.clone(), peer.clone());
        tokio::spawn(async move {
            if shared.twin_of(&peer).await.is_none() {
                shared.messenger.learn(&peer);
            }
        });
    }

    /// Returns what to say to a node whose id another process has that still runs: its data path was copied. The same
    /// node after a restart finds its old process gone.
    pub(crate) async fn twin_of(&self, peer: &PeerInfo) -> Option<String> {
        let known = self.is_elsewhere(peer)?;
        let address = known.transport_address.clone();
        let timeout = self.config.timing.request_peers_timeout;
        let there = self.messenger.probe(address, timeout).await.ok()?;
        there.same_process(&known).then(|| {
            format!(
                "node [{}] runs already, as [{known}]: the data path of one was copied from the other; empty the data \
                 path of the copy, so that it joins as a node of its own",
                known.name
            )
        })
    }

    /// Returns the process that the cluster knows by the id of a node, if that is another one.
    fn is_elsewhere(&self, peer: &PeerInfo) -> Option<PeerInfo> {
        let members = self.machine.application().members();
        let known = members.into_iter().find(|member| member.id == peer.id)?;
        (!known.same_process(peer)).then_some(known)
    }

    /// Returns whether this node has a cluster, and thus knows who may speak for it.
    pub(crate) fn has_cluster(&self) -> bool {
        self.machine.cluster_uuid().is_some()
    }

    /// Returns why this node must not be relied on, if it must not.
    pub(crate) fn unhealthy(&self) -> Option<String> {
        self.unhealthy.lock().clone()
    }

    /// Returns whether the disk holds up the log of consensus: the engine then neither hears nor says anything.
    pub(crate) fn is_stalled(&self) -> bool {
        let longest = self.config.timing.election_timeout_max;
        self.store
            .stalled()
            .is_some_and(|stall| stall.lasting >= longest)
    }

    /// Returns the term in which this node is a master that can act.
    pub(crate) fn acting_term(&self) -> Option<u64> {
        let status = self.status.borrow();
        status.is_master(self.local_id()).then_some(status.term)
    }
}

/// Returns the voters of the accepted membership.
pub(crate) fn configs(metrics: &Metrics) -> Configs {
    metrics
        .membership_config
        .membership()
        .get_joint_config()
        .iter()
        .map(|config| config.iter().map(|id| id.0).collect::<BTreeSet<NodeId>>())
        .collect()
}
