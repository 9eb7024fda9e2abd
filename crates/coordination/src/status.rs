//! What this node knows about its cluster right now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use ringwall_base::NodeId;
use tokio::time::Instant;
use tracing::{error, info};

use crate::decide::contact::master_has_quorum;
use crate::peer::PeerInfo;
use crate::raft::Metrics;
use crate::shared::{Shared, configs};

/// The part this node plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Holds no cluster state.
    #[default]
    Uninitialized,
    /// Receives the cluster state without voting.
    Learner,
    /// Votes.
    Follower,
    /// Stands for election.
    Candidate,
    /// Holds the office of master; `Status::master` says whether it can exercise it.
    Master,
}

/// A snapshot of this node's view; see `Coordination::status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub role: Role,
    /// The living master: heard from within the election timeout, or this node itself while a
    /// quorum answers it and it has applied everything committed before its election.
    pub master: Option<PeerInfo>,
    /// Since when there is none.
    pub without_master_since: Option<Instant>,
    /// The current election term.
    pub term: u64,
    /// The voters, of both configurations during a change.
    pub voters: BTreeSet<NodeId>,
    /// Whether the voters are just changing: until then both configurations are needed.
    pub voters_changing: bool,
    /// Index of the last applied command.
    pub applied_index: u64,
    /// Whether this node holds cluster state.
    pub initialized: bool,
    /// Whether the applied state contains this run of this node.
    pub joined: bool,
    /// UUID of the cluster this node is locked into.
    pub cluster_uuid: Option<String>,
    /// The last error of each address that did not answer discovery, and of each seed without an address.
    pub discovery_errors: BTreeMap<String, String>,
    /// Why the last attempt to join failed.
    pub join_error: Option<String>,
    /// Why this node must not be relied on, if it must not.
    pub unhealthy: Option<String>,
    /// Set when coordination stopped for good, for example because the disk failed: the node must
    /// stop.
    pub failure: Option<String>,
}

impl Status {
    /// Returns whether the node is the master and can act as one.
    pub fn is_master(&self, local: NodeId) -> bool {
        self.master
            .as_ref()
            .is_some_and(|master| master.id == local)
    }
}

/// Keeps the published status current until the node stops.
pub(crate) async fn keep_status(shared: Arc<Shared>) {
    let mut metrics = shared.raft.metrics();
    loop {
        publish(&shared);
        tokio::select! {
            biased;
            changed = metrics.changed() => {
                if changed.is_err() {
                    return publish_end(&shared);
                }
            }
            () = shared.status_wanted.notified() => {}
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
}

/// Publishes that the consensus engine ended though nobody stopped this node.
fn publish_end(shared: &Shared) {
    publish(shared);
    shared.status.send_modify(|status| {
        status.master = None;
        status.without_master_since.get_or_insert(Instant::now());
        if status.failure.is_none() {
            let reason = "the consensus engine ended unexpectedly";
            error!(reason, "cluster coordination stopped");
            status.failure = Some(reason.to_owned());
        }
    });
}

fn publish(shared: &Shared) {
    let mut status = compute(shared);
    let previous = shared.status.borrow().clone();
    if status.master.is_none() {
        status.without_master_since = previous.without_master_since.or(Some(Instant::now()));
    }
    if status == previous {
        return;
    }
    let master_id = |status: &Status| status.master.as_ref().map(|master| master.id);
    if master_id(&status) != master_id(&previous) {
        info!(
            "master node changed {{previous [{}], current [{}]}}, term: {}, version: {}",
            show(&previous.master),
            show(&status.master),
            status.term,
            status.applied_index
        );
        shared.election_wanted.notify_one();
    }
    if let (Some(failure), None) = (&status.failure, &previous.failure) {
        error!(reason = failure, "cluster coordination stopped");
    }
    shared.status.send_replace(status);
}

fn show(master: &Option<PeerInfo>) -> String {
    master.as_ref().map_or(String::new(), PeerInfo::to_string)
}

fn compute(shared: &Shared) -> Status {
    let metrics = shared.raft.metrics().borrow().clone();
    let now = Instant::now();
    let application = shared.machine.application();
    let local = &shared.config.local;
    let initialized = is_initialized(&metrics);
    let (discovery_errors, join_error) = {
        let discovery = shared.discovery.lock();
        (discovery.problems(), discovery.join_error.clone())
    };
    let configs = configs(&metrics);
    Status {
        role: role(&metrics, initialized),
        master: living_master(shared, &metrics, now),
        without_master_since: None,
        term: metrics.current_term,
        voters: configs.iter().flatten().copied().collect(),
        voters_changing: configs.len() > 1,
        applied_index: metrics.last_applied.map_or(0, |applied| applied.index),
        initialized,
        joined: application
            .members()
            .iter()
            .any(|member| member.same_process(local)),
        cluster_uuid: shared.machine.cluster_uuid(),
        discovery_errors,
        join_error,
        unhealthy: shared.unhealthy(),
        failure: metrics
            .running_state
            .as_ref()
            .err()
            .map(ToString::to_string),
    }
}

/// Returns whether the node has a log: it founded or joined a cluster.
pub(crate) fn is_initialized(metrics: &Metrics) -> bool {
    metrics.last_log_index.is_some()
}

fn role(metrics: &Metrics, initialized: bool) -> Role {
    match metrics.state {
        ServerState::Leader => Role::Master,
        ServerState::Candidate => Role::Candidate,
        ServerState::Follower => Role::Follower,
        ServerState::Learner | ServerState::Shutdown if initialized => Role::Learner,
        ServerState::Learner | ServerState::Shutdown => Role::Uninitialized,
    }
}

/// Returns whether this node, in office, has lately heard from a quorum or has only just been elected.
pub(crate) fn has_quorum(shared: &Shared, metrics: &Metrics, now: Instant) -> bool {
    let since_elected = shared.office_since(metrics.current_term, now);
    let since_ack = metrics.millis_since_quorum_ack.map(Duration::from_millis);
    let window = shared.config.timing.election_timeout_max;
    master_has_quorum(since_ack, since_elected, window)
}

fn living_master(shared: &Shared, metrics: &Metrics, now: Instant) -> Option<PeerInfo> {
    if metrics.running_state.is_err() {
        return None;
    }
    // What the engine last told is old while the disk holds it up.
    let may_lead = !shared.is_stalled() && shared.unhealthy().is_none();
    let window = shared.config.timing.election_timeout_max;
    if metrics.state == ServerState::Leader {
        let caught_up = metrics
            .last_applied
            .is_some_and(|applied| applied.leader_id == metrics.vote.leader_id);
        let quorum = has_quorum(shared, metrics, now);
        return (may_lead && caught_up && quorum).then(|| shared.config.local.clone());
    }
    let master = shared.contact.lock().live_master(now, window)?;
    // A node that stepped down hears nobody until its successor writes.
    (master != shared.config.local.id).then(|| shared.describe(master, metrics))
}

/// How often the passing of time alone is looked at.
const REFRESH: Duration = Duration::from_millis(50);
