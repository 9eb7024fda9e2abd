//! The public face: starts and stops the tasks, takes requests in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::SnapshotPolicy;
use parking_lot::Mutex;
use ringwall_base::{NodeId, NodeKey};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::acknowledged::Acknowledged;
use crate::config::Config;
use crate::decide::contact::Contact;
use crate::decide::formation::{explain, summarize};
use crate::discovery::{self, Discovery, formation_facts};
use crate::election;
use crate::error::{Error, ProposeError};
use crate::handler;
use crate::master::{self, Event};
use crate::peer::Sender;
use crate::ports::{PeerNetwork, StateMachine};
use crate::raft::{Raft, RaftId};
use crate::raft_network::{Hush, Lines};
use crate::rpc::Messenger;
use crate::shared::Shared;
use crate::status::{self, Status};
use crate::store::{BOOTSTRAP, BootstrapRecord, LogStore, Machine, MachineStore, Store};

/// One node's part in coordinating its cluster.
pub struct Coordination {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
    /// Present until the tasks run.
    master_inbox: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Coordination {
    /// Does [`Coordination::open`] and [`Coordination::run`]. A node whose transport takes requests
    /// should call them itself and register [`Coordination::handle_rpc`] in between: other nodes
    /// answer a node's first question with questions of their own.
    ///
    /// # Errors
    /// Those of [`Coordination::open`].
    pub async fn start(
        config: Config,
        network: Arc<dyn PeerNetwork>,
        state_machine: Arc<dyn StateMachine>,
    ) -> Result<Arc<Self>, Error> {
        let coordination = Self::open(config, network, state_machine).await?;
        coordination.run();
        Ok(coordination)
    }

    /// Opens the store and restores the state machine to the last state known to be committed. From
    /// now on the node answers requests, but asks nothing of its own before [`Coordination::run`].
    ///
    /// # Errors
    /// When the timing is contradictory, the store cannot be opened, belongs to another node or is
    /// damaged, the state machine refuses the snapshot, or `single_node` contradicts the stored
    /// voters.
    pub async fn open(
        config: Config,
        network: Arc<dyn PeerNetwork>,
        state_machine: Arc<dyn StateMachine>,
    ) -> Result<Arc<Self>, Error> {
        config.timing.validate()?;
        let (store, machine) = open(&config, state_machine).await?;
        let messenger = Arc::new(Messenger::new(network, machine.clone()));
        let hush = Hush::new(&config.timing);
        let acknowledged = Arc::new(Acknowledged::default());
        let lines = Lines::new(messenger.clone(), hush.clone(), acknowledged.clone());
        let raft = start_raft(&config, &store, &machine, lines).await?;
        let (master_events, events) = mpsc::channel(MAX_MASTER_EVENTS);
        let shared = Arc::new(Shared {
            config,
            store,
            machine,
            messenger,
            raft,
            hush,
            acknowledged,
            contact: Mutex::new(Contact::default()),
            discovery: Mutex::new(Discovery::default()),
            status: watch::Sender::default(),
            status_wanted: Notify::new(),
            election_wanted: Notify::new(),
            master_events,
            proposals: Semaphore::new(MAX_PROPOSALS),
            started: Instant::now(),
            office: Mutex::new(None),
            unhealthy: Mutex::new(None),
            auto_shrink: AtomicBool::new(true),
        });
        let coordination = Arc::new(Self {
            shared: shared.clone(),
            tasks: Mutex::new(JoinSet::new()),
            master_inbox: Mutex::new(Some(events)),
        });
        if let Err(error) = take_part(&shared).await {
            coordination.shutdown().await;
            return Err(error);
        }
        Ok(coordination)
    }

    /// Starts looking for other nodes, electing, joining and mastering. Returns at once; see
    /// [`Coordination::status`] for what comes of it. A second call does nothing.
    pub fn run(&self) {
        if let Some(events) = self.master_inbox.lock().take() {
            self.spawn_tasks(events);
        }
    }

    /// Answers a request of another node, whose identity the transport has verified.
    ///
    /// # Errors
    /// Any [`Error`]; its text is fit for the other node.
    pub async fn handle_rpc(
        &self,
        rpc: &str,
        from: impl Into<Sender>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        handler::handle(&self.shared, rpc, from.into(), &body).await
    }

    /// Returns whether a node is a member of this node's cluster: by the applied state, by consensus, or by the word of
    /// a member, while this node looks for its cluster after it has been away.
    pub fn knows(&self, sender: Sender) -> bool {
        self.shared.knows(sender)
    }

    /// Returns the key by which consensus knows a node, or a member that named it to this node.
    pub fn key_of(&self, node: NodeId) -> Option<NodeKey> {
        self.shared.key_of(node)
    }

    /// Returns whether a node is in the membership of consensus.
    pub fn is_in_consensus(&self, node: NodeId) -> bool {
        self.shared.in_consensus(node).is_some()
    }

    /// Submits a command to the master, wherever it is, and returns the state machine's reply once
    /// this node has applied the command. The command is applied at most once.
    ///
    /// # Errors
    /// [`ProposeError::NoMaster`] when nothing was submitted, [`ProposeError::Timeout`] when the
    /// outcome is unknown.
    pub async fn propose(
        &self,
        command: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, ProposeError> {
        self.shared.propose(command, timeout).await
    }

    /// Waits until this node's applied state holds everything committed before the call, confirmed
    /// by the master with a quorum.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no master with a quorum confirmed it in time.
    pub async fn ensure_leader_is_current(&self, timeout: Duration) -> Result<(), Error> {
        self.shared.read_barrier(timeout).await
    }

    /// Returns a receiver of this node's view of the cluster.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Returns the text that explains why there is no master, as logged every ten seconds without
    /// one. Source: Elasticsearch reference, "Troubleshooting discovery".
    pub fn explain_formation(&self) -> String {
        explain(&formation_facts(&self.shared))
    }

    /// Returns why there is no master, in a clause: without addresses and ids, for clients.
    pub fn summarize_formation(&self) -> String {
        summarize(&formation_facts(&self.shared))
    }

    /// Tells that the connection to a node closed: it is checked, or replaced as master, at once.
    pub fn peer_disconnected(&self, node: NodeId) {
        let shared = &self.shared;
        if shared.contact.lock().disconnected(node) {
            shared.status_wanted.notify_one();
            shared.election_wanted.notify_one();
        }
        if shared
            .master_events
            .try_send(Event::Disconnected(node))
            .is_err()
        {
            debug!(%node, "too busy to look at a disconnected node at once");
        }
    }

    /// Tells why this node must not be relied on, as when its disk does not answer: it then fails the master's checks,
    /// gives up the office of master and seeks none, and does not join. `None` when all is well again.
    pub fn set_unhealthy(&self, reason: Option<String>) {
        let changed = {
            let mut unhealthy = self.shared.unhealthy.lock();
            let changed = unhealthy.is_some() != reason.is_some();
            *unhealthy = reason;
            changed
        };
        if changed {
            self.shared.status_wanted.notify_one();
            self.shared.election_wanted.notify_one();
        }
    }

    /// Sets whether nodes that left are removed from the voting configuration.
    pub fn set_auto_shrink(&self, shrink: bool) {
        self.shared.auto_shrink.store(shrink, Ordering::Relaxed);
    }

    /// Returns since when the disk holds up the cluster state, and with what words, if it does.
    pub fn stalled(&self) -> Option<(Duration, Option<String>)> {
        let stall = self.shared.store.stalled()?;
        Some((stall.lasting, stall.reason))
    }

    /// Stops taking part and closes the store. What a disk that does not answer holds up is left behind.
    pub async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        self.shared.store.stop_waiting();
        match tokio::time::timeout(SHUTDOWN_WAIT, self.shared.raft.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the consensus engine ended with an error"),
            Err(_) => warn!("the consensus engine is left behind: the disk does not answer"),
        }
        let store = self.shared.store.clone();
        if let Err(error) = crate::blocking::spawn(move || store.close()).await {
            warn!(%error, "could not close the cluster state store");
        }
    }

    /// Lets go of the store, as a process does that is killed.
    pub fn abandon(&self) {
        self.tasks.lock().abort_all();
        self.shared.store.close();
    }

    fn spawn_tasks(&self, events: mpsc::Receiver<Event>) {
        let mut tasks = self.tasks.lock();
        let shared = || self.shared.clone();
        tasks.spawn(status::keep_status(shared()));
        tasks.spawn(election::keep_electing(shared()));
        tasks.spawn(discovery::keep_discovering(shared()));
        tasks.spawn(discovery::keep_warning(shared()));
        tasks.spawn(master::keep_mastering(shared(), events));
        tasks.spawn(keep_beating(shared()));
    }
}

async fn open(
    config: &Config,
    state_machine: Arc<dyn StateMachine>,
) -> Result<(Store, Arc<Machine>), Error> {
    let directory = config.data_dir.clone();
    let local = config.local.id;
    crate::blocking::spawn(move || {
        let store = Store::open(&directory, local)?;
        let machine = Machine::restore(&store, state_machine)?;
        Ok((store, machine))
    })
    .await
    .unwrap_or_else(|error| {
        Err(Error::Stopped {
            reason: error.to_string(),
        })
    })
}

/// Starts openraft with its own elections and heartbeats off.
async fn start_raft(
    config: &Config,
    store: &Store,
    machine: &Arc<Machine>,
    lines: Lines,
) -> Result<Raft, Error> {
    let timing = &config.timing;
    let rpc_timeout = timing.rpc_timeout.as_millis() as u64;
    let engine = openraft::Config {
        cluster_name: "ringwall".to_owned(),
        // openraft takes this for the deadline of a replication message; we beat ourselves.
        heartbeat_interval: rpc_timeout,
        enable_heartbeat: false,
        enable_elect: false,
        // The greater is the lease in which a voter owes its vote to the last master.
        election_timeout_min: rpc_timeout + 1,
        election_timeout_max: rpc_timeout + 2,
        install_snapshot_timeout: timing.snapshot_timeout.as_millis() as u64,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_threshold.max(1)),
        snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
        max_in_snapshot_log_to_keep: config.snapshot_keep,
        replication_lag_threshold: config.snapshot_threshold.max(1) * 2,
        ..openraft::Config::default()
    };
    let engine = engine.validate().map_err(|error| Error::Stopped {
        reason: error.to_string(),
    })?;
    Raft::new(
        RaftId(config.local.id),
        Arc::new(engine),
        lines,
        LogStore::new(store.clone()),
        MachineStore::new(store.clone(), machine.clone()),
    )
    .await
    .map_err(|error| Error::Stopped {
        reason: error.to_string(),
    })
}

/// Does what the stored state and the settings demand before the tasks start.
async fn take_part(shared: &Arc<Shared>) -> Result<(), Error> {
    let initialized = shared
        .raft
        .is_initialized()
        .await
        .map_err(|error| Error::Stopped {
            reason: error.to_string(),
        })?;
    if initialized {
        check_single_node(shared).await?;
        remind_of_bootstrap_setting(shared);
        return Ok(());
    }
    let store = shared.store.clone();
    let record = crate::blocking::spawn(move || store.read_record(BOOTSTRAP))
        .await
        .unwrap_or(Ok(None))?;
    match record {
        // A crash between decision and deed.
        Some(BootstrapRecord { members }) => discovery::found(shared, members).await,
        None if shared.config.single_node => {
            discovery::found(shared, vec![shared.config.local.clone()]).await
        }
        None => Ok(()),
    }
}

/// Refuses `single-node` where this node alone is no quorum. Source: Elasticsearch reference, "Discovery and cluster
/// formation settings" (`discovery.type`).
async fn check_single_node(shared: &Arc<Shared>) -> Result<(), Error> {
    if !shared.config.single_node {
        return Ok(());
    }
    let voters: BTreeSet<RaftId> = shared
        .raft
        .with_raft_state(|state| state.membership_state.effective().voter_ids().collect())
        .await
        .map_err(|error| Error::Stopped {
            reason: error.to_string(),
        })?;
    if voters == BTreeSet::from([RaftId(shared.local_id())]) {
        return Ok(());
    }
    let voters: Vec<String> = voters.iter().map(RaftId::to_string).collect();
    Err(Error::SingleNodeWithoutQuorum {
        local: shared.config.local.name.clone(),
        voters: format!("[{}]", voters.join(", ")),
    })
}

fn remind_of_bootstrap_setting(shared: &Shared) {
    let names = &shared.config.initial_master_nodes;
    if let Some(uuid) = shared.machine.cluster_uuid()
        && !names.is_empty()
    {
        warn!(
            "this node is locked into cluster UUID [{uuid}] but [cluster.initial_master_nodes] is \
             currently set to [{}]; remove this setting to avoid possible data loss caused by \
             subsequent cluster bootstrap attempts",
            names.join(", ")
        );
    }
}

/// Sends the master's heartbeats: more often than openraft's message deadline, so that a slow disk
/// of a follower does not make it look dead. A master without a quorum falls silent ([`Hush`]).
async fn keep_beating(shared: Arc<Shared>) {
    let mut beat = tokio::time::interval(shared.config.timing.heartbeat_interval);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if !shared.in_office() {
            shared.hush.set(false);
            continue;
        }
        let metrics = shared.raft.metrics().borrow().clone();
        let has_quorum = status::has_quorum(&shared, &metrics, Instant::now());
        let is_healthy = shared.unhealthy().is_none();
        shared.hush.set(!has_quorum || !is_healthy);
        if is_healthy && shared.raft.trigger().heartbeat().await.is_err() {
            return;
        }
    }
}

/// How long the consensus engine may take to end.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);

/// Joins and losses that may wait for the master task.
const MAX_MASTER_EVENTS: usize = 256;

/// Proposals that may wait for their commit at a time.
const MAX_PROPOSALS: usize = 1024;

/// Size of one piece of a snapshot on its way to another node.
const SNAPSHOT_CHUNK_BYTES: u64 = 1 << 20;
