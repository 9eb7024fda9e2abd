//! The applied cluster state on this node, and how changes to it are proposed.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use ringwall_api::cluster::PendingTask;
use ringwall_api::cluster::WaitingNode;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{NodeId, NodeKey, encoding, random_uuid};
use ringwall_cluster::{Change, ClusterSettings, ClusterState, Command, NodeRecord, Outcome};
use ringwall_coordination::{Coordination, NotAdmitted, PeerInfo, ProposeError, StateMachine};
use tokio::sync::watch;

use crate::newcomers::Newcomers;
use crate::pending::Pending;

/// Holds the state that consensus has applied here; every reader gets a whole, immutable version.
pub struct AppliedState {
    cluster_name: String,
    current: ArcSwap<ClusterState>,
    changed: watch::Sender<u64>,
    /// Told of new cluster settings before the state that has them is seen by anyone.
    on_settings: OnceLock<SettingsListener>,
    newcomers: Newcomers,
}

type SettingsListener = Box<dyn Fn(&ClusterSettings) + Send + Sync>;

impl AppliedState {
    /// Returns the empty state of a node that has not joined a cluster.
    pub fn new(cluster_name: String) -> Arc<Self> {
        Arc::new(Self {
            cluster_name,
            current: ArcSwap::from_pointee(ClusterState::default()),
            changed: watch::Sender::new(0),
            on_settings: OnceLock::new(),
            newcomers: Newcomers::default(),
        })
    }

    /// Returns the switch that says whether new nodes have to be approved.
    pub fn approval(&self) -> Arc<AtomicBool> {
        self.newcomers.approval()
    }

    /// Returns the nodes that have asked this one, as the master, and wait to be approved.
    pub fn waiting(&self) -> Vec<WaitingNode> {
        self.newcomers.waiting(&self.load())
    }

    /// Sets who is told of the cluster settings: now, and with every change. There is one listener.
    pub fn on_settings(&self, listener: impl Fn(&ClusterSettings) + Send + Sync + 'static) {
        listener(&self.load().settings);
        let taken = self.on_settings.set(Box::new(listener)).is_err();
        debug_assert!(!taken, "two listeners to the cluster settings");
    }

    /// Returns the newest state.
    pub fn load(&self) -> Arc<ClusterState> {
        self.current.load_full()
    }

    /// Returns a receiver that wakes with every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until the state satisfies a condition, and returns what the condition found; `None`
    /// when the time is up.
    pub async fn wait_for<T>(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&ClusterState) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.subscribe();
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            changes.borrow_and_update();
            if let Some(found) = condition(&self.load()) {
                return Some(found);
            }
            let next = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(next, Ok(Ok(()))) {
                return condition(&self.load());
            }
        }
    }

    fn join(&self, peer: &PeerInfo, rekeyed: bool) -> Vec<u8> {
        command(Change::NodeJoin {
            node: node_record(peer),
            key: peer.key,
            known: self.load().known_nodes.clone(),
            rekeyed,
        })
    }

    fn publish(&self, state: ClusterState) {
        let version = state.version;
        if let Some(listener) = self.on_settings.get()
            && state.settings != self.load().settings
        {
            listener(&state.settings);
        }
        self.current.store(Arc::new(state));
        self.changed.send_replace(version);
    }
}

fn read_command(command: &[u8]) -> Result<Command, String> {
    encoding::decode(command).map_err(|error| {
        format!(
            "the cluster state change cannot be read, perhaps because a later version of Ringwall has written it; run \
             that version: {error}"
        )
    })
}

impl StateMachine for AppliedState {
    fn check(&self, command: &[u8]) -> Result<(), String> {
        read_command(command).map(drop)
    }

    fn apply(&self, _log_index: u64, command: &[u8]) -> Result<Vec<u8>, String> {
        let command = read_command(command)?;
        let mut state = ClusterState::clone(&self.load());
        let outcome = state.apply(command);
        if outcome.result.is_ok() {
            self.publish(state);
        }
        Ok(encoding::encode(&outcome))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.load().to_snapshot()
    }

    fn restore(&self, snapshot: &[u8]) -> Result<(), String> {
        let state = ClusterState::from_snapshot(snapshot).map_err(|error| error.to_string())?;
        self.publish(state);
        Ok(())
    }

    fn join_command(&self, peer: &PeerInfo) -> Vec<u8> {
        self.join(peer, false)
    }

    fn rekey_command(&self, peer: &PeerInfo) -> Vec<u8> {
        self.join(peer, true)
    }

    fn leave_command(&self, node: NodeId, reason: &str) -> Vec<u8> {
        let ephemeral_id = self
            .load()
            .nodes
            .get(&node)
            .map(|record| record.ephemeral_id.clone());
        command(Change::NodeLeave {
            node,
            ephemeral_id,
            reason: reason.to_owned(),
        })
    }

    fn members(&self) -> Vec<PeerInfo> {
        let state = self.load();
        let with_key = |node: &NodeRecord| PeerInfo {
            key: state.known_nodes.get(&node.id).map(|known| known.key),
            ..peer_info(node)
        };
        state.nodes.values().map(with_key).collect()
    }

    fn has_member(&self, node: NodeId, key: Option<NodeKey>) -> bool {
        self.load().nodes.contains_key(&node) && !self.is_foreign(node, key)
    }

    fn is_foreign(&self, node: NodeId, key: Option<NodeKey>) -> bool {
        let state = self.load();
        let known = state.known_nodes.get(&node);
        known.is_some_and(|known| Some(known.key) != key)
    }

    fn judge_join(&self, peer: &PeerInfo, founder: bool) -> Result<(), NotAdmitted> {
        self.newcomers.judge(&self.load(), peer, founder)
    }

    fn bootstrap_command(&self, cluster_uuid: &str) -> Vec<u8> {
        command(Change::Bootstrap {
            cluster_name: self.cluster_name.clone(),
            cluster_uuid: cluster_uuid.to_owned(),
        })
    }

    fn cluster_uuid(&self) -> Option<String> {
        self.load().cluster_uuid.clone()
    }
}

/// Reads the applied state and proposes changes, from any node.
#[derive(Clone)]
pub struct ClusterService {
    applied: Arc<AppliedState>,
    coordination: Arc<Coordination>,
    pending: Pending,
}

impl ClusterService {
    /// Joins the two halves.
    pub fn new(applied: Arc<AppliedState>, coordination: Arc<Coordination>) -> Self {
        Self {
            applied,
            coordination,
            pending: Pending::default(),
        }
    }

    /// Returns the newest applied state.
    pub fn state(&self) -> Arc<ClusterState> {
        self.applied.load()
    }

    /// Returns the holder of the state, to wait on.
    pub fn applied(&self) -> &Arc<AppliedState> {
        &self.applied
    }

    /// Returns the elected master, if this node knows one that is alive.
    pub fn master(&self) -> Option<NodeId> {
        self.coordination
            .status()
            .borrow()
            .master
            .as_ref()
            .map(|peer| peer.id)
    }

    /// Completes when this node has had no master for so long.
    pub async fn without_master(&self, limit: Duration) {
        let mut status = self.coordination.status();
        loop {
            let since = status.borrow_and_update().without_master_since;
            let limit_reached = async {
                match since {
                    Some(since) => tokio::time::sleep_until(since + limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = limit_reached => return,
                changed = status.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// Proposes a change and waits until it is committed and applied on this node.
    ///
    /// Without a master it waits for one as long as the timeout allows.
    ///
    /// # Errors
    /// The refusal of the state machine, `master_not_discovered_exception`, or
    /// `process_cluster_event_timeout_exception` when the outcome is unknown.
    pub async fn submit(&self, change: Change, timeout: Duration) -> ApiResult<()> {
        let _waits = self.pending.add(change.summary());
        let reply = self
            .coordination
            .propose(command(change), timeout)
            .await
            .map_err(|error| match error {
                ProposeError::NoMaster => self.no_master(),
                other => ApiError::new(ErrorCode::ProcessClusterEventTimeout, other.to_string()),
            })?;
        let outcome: Outcome =
            encoding::decode(&reply).map_err(|error| ApiError::internal(error.to_string()))?;
        outcome.result
    }

    /// Returns the changes that this node has asked for and that are not made yet.
    pub fn pending(&self) -> Vec<PendingTask> {
        self.pending.list()
    }

    /// Returns the error of a call that needs a master and finds none; it says why there is none.
    pub fn no_master(&self) -> ApiError {
        let reason = self.coordination.summarize_formation();
        ApiError::new(ErrorCode::MasterNotDiscovered, reason)
    }
}

/// Returns the time of day, in milliseconds since the epoch.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}

fn command(change: Change) -> Vec<u8> {
    encoding::encode(&Command {
        now_ms: now_ms(),
        seed: random_uuid(),
        rules: ringwall_cluster::command::RULES,
        change,
    })
}

fn node_record(peer: &PeerInfo) -> NodeRecord {
    NodeRecord {
        id: peer.id,
        ephemeral_id: peer.ephemeral_id.clone(),
        name: peer.name.clone(),
        transport_address: peer.transport_address.clone(),
        http_address: peer.http_address.clone(),
        version: peer.version.clone(),
        roles: peer.roles.iter().cloned().collect(),
        attributes: peer.attributes.clone(),
    }
}

fn peer_info(node: &NodeRecord) -> PeerInfo {
    PeerInfo {
        id: node.id,
        ephemeral_id: node.ephemeral_id.clone(),
        name: node.name.clone(),
        transport_address: node.transport_address.clone(),
        master_eligible: node.is_master_eligible(),
        voting_only: node.roles.iter().any(|role| role == "voting_only"),
        roles: node.roles.iter().cloned().collect(),
        attributes: node.attributes.clone(),
        http_address: node.http_address.clone(),
        version: node.version.clone(),
        key: None,
    }
}
