//! Nodes, their state machine and the network between them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use ringwall_base::encoding::{decode, encode};
use ringwall_base::{NodeId, NodeKey, random_uuid};
use ringwall_coordination::{
    Config, Coordination, Error, NetworkError, PeerInfo, PeerNetwork, SeedHosts, StateMachine,
    Status,
};
use serde::{Deserialize, Serialize};

/// How long a test waits for what must happen.
pub const DEADLINE: Duration = Duration::from_secs(120);

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct State {
    pub cluster_uuid: Option<String>,
    pub bootstraps: u32,
    pub members: Vec<PeerInfo>,
    pub left: Vec<(NodeId, String)>,
    pub values: Vec<String>,
}

#[derive(Serialize, Deserialize)]
enum Command {
    Put(String),
    Bootstrap(String),
    Join(PeerInfo),
    Leave(NodeId, String),
}

/// A state machine that lists values.
#[derive(Default)]
pub struct Values(Mutex<State>);

impl Values {
    pub fn state(&self) -> State {
        self.0.lock().clone()
    }

    pub fn put(value: &str) -> Vec<u8> {
        encode(&Command::Put(value.to_owned()))
    }

    pub fn count(&self, value: &str) -> usize {
        self.0.lock().values.iter().filter(|v| *v == value).count()
    }
}

impl StateMachine for Values {
    fn apply(&self, _: u64, command: &[u8]) -> Result<Vec<u8>, String> {
        let mut state = self.0.lock();
        match decode::<Command>(command).unwrap() {
            Command::Put(value) => state.values.push(value),
            Command::Bootstrap(uuid) => {
                state.bootstraps += 1;
                state.cluster_uuid.get_or_insert(uuid);
            }
            Command::Join(peer) => {
                state.members.retain(|member| member.id != peer.id);
                state.members.push(peer);
            }
            Command::Leave(node, reason) => {
                state.members.retain(|member| member.id != node);
                state.left.push((node, reason));
            }
        }
        Ok(encode(&state.values.len()))
    }

    fn snapshot(&self) -> Vec<u8> {
        encode(&*self.0.lock())
    }

    fn restore(&self, snapshot: &[u8]) -> Result<(), String> {
        *self.0.lock() = decode(snapshot).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn join_command(&self, peer: &PeerInfo) -> Vec<u8> {
        encode(&Command::Join(peer.clone()))
    }

    fn leave_command(&self, node: NodeId, reason: &str) -> Vec<u8> {
        encode(&Command::Leave(node, reason.to_owned()))
    }

    fn members(&self) -> Vec<PeerInfo> {
        self.0.lock().members.clone()
    }

    fn bootstrap_command(&self, cluster_uuid: &str) -> Vec<u8> {
        encode(&Command::Bootstrap(cluster_uuid.to_owned()))
    }

    fn cluster_uuid(&self) -> Option<String> {
        self.0.lock().cluster_uuid.clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Messages vanish; senders wait for their timeout.
    Silent,
    /// Senders learn at once that nobody is there.
    Refused,
}

/// The network that all nodes of a test share.
#[derive(Default)]
pub struct World {
    /// What nodes have shown on their links.
    pub keys: Mutex<BTreeMap<NodeId, NodeKey>>,
    nodes: Mutex<HashMap<String, (PeerInfo, Weak<Coordination>)>>,
    cuts: Mutex<HashMap<(NodeId, NodeId), Cut>>,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Cuts a node off from all others.
    pub fn isolate(&self, node: NodeId, others: &[NodeId], cut: Cut) {
        let mut cuts = self.cuts.lock();
        for other in others.iter().filter(|other| **other != node) {
            cuts.insert((node, *other), cut);
            cuts.insert((*other, node), cut);
        }
    }

    /// Lets a node be heard but hear nothing, answers included.
    pub fn deafen(&self, node: NodeId, others: &[NodeId]) {
        let mut cuts = self.cuts.lock();
        for other in others.iter().filter(|other| **other != node) {
            cuts.insert((*other, node), Cut::Silent);
        }
    }

    pub fn heal(&self) {
        self.cuts.lock().clear();
    }

    fn cut(&self, from: NodeId, to: NodeId) -> Option<Cut> {
        self.cuts.lock().get(&(from, to)).copied()
    }

    fn at(&self, address: &str) -> Option<(PeerInfo, Arc<Coordination>)> {
        let nodes = self.nodes.lock();
        let (info, coordination) = nodes.get(address)?;
        Some((info.clone(), coordination.upgrade()?))
    }

    async fn reach(
        &self,
        from: NodeId,
        address: &str,
        timeout: Duration,
    ) -> Result<(PeerInfo, Arc<Coordination>), NetworkError> {
        let refused = || NetworkError::Unreachable("connection refused".to_owned());
        let (info, coordination) = self.at(address).ok_or_else(refused)?;
        match self.cut(from, info.id) {
            None => Ok((info, coordination)),
            Some(Cut::Refused) => Err(refused()),
            Some(Cut::Silent) => {
                tokio::time::sleep(timeout).await;
                Err(NetworkError::Timeout)
            }
        }
    }
}

struct Line {
    world: Arc<World>,
    local: NodeId,
}

impl PeerNetwork for Line {
    fn proven_key(&self, peer: &PeerInfo) -> Option<NodeKey> {
        self.world.keys.lock().get(&peer.id).copied()
    }

    fn probe(&self, address: String, timeout: Duration) -> BoxFuture<'_, Result<PeerInfo, String>> {
        Box::pin(async move {
            let reached = self.world.reach(self.local, &address, timeout).await;
            reached
                .map(|(info, _)| info)
                .map_err(|error| error.to_string())
        })
    }

    fn send(
        &self,
        to: &PeerInfo,
        rpc: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, NetworkError>> {
        let to = to.clone();
        Box::pin(async move {
            let (info, coordination) = self
                .world
                .reach(self.local, &to.transport_address, timeout)
                .await?;
            if info.id != to.id {
                return Err(NetworkError::Unreachable("another node".to_owned()));
            }
            let answer = coordination
                .handle_rpc(rpc, self.local, body)
                .await
                .map_err(|error| NetworkError::Remote(error.to_string()));
            if self.world.cut(info.id, self.local).is_some() {
                tokio::time::sleep(timeout).await;
                return Err(NetworkError::Timeout);
            }
            answer
        })
    }
}

/// One node and what survives its restarts.
pub struct Node {
    world: Arc<World>,
    directory: tempfile::TempDir,
    pub info: PeerInfo,
    pub settings: Settings,
    pub values: Arc<Values>,
    running: Option<Arc<Coordination>>,
}

#[derive(Clone)]
pub struct Settings {
    pub initial_master_nodes: Vec<String>,
    pub single_node: bool,
    pub seeds: Vec<String>,
    /// Instead of `seeds`.
    pub seed_hosts: Option<Arc<dyn SeedHosts>>,
    pub snapshot_threshold: u64,
}

impl Node {
    /// Makes a node that is not started; its address is derived from its name.
    pub fn new(world: &Arc<World>, name: &str) -> Self {
        Self {
            world: world.clone(),
            directory: tempfile::tempdir().unwrap(),
            info: PeerInfo {
                id: NodeId::random(),
                ephemeral_id: random_uuid(),
                name: name.to_owned(),
                transport_address: format!("{name}:9300"),
                master_eligible: true,
                ..PeerInfo::default()
            },
            settings: Settings {
                initial_master_nodes: Vec::new(),
                single_node: false,
                seeds: Vec::new(),
                seed_hosts: None,
                snapshot_threshold: 1000,
            },
            values: Arc::default(),
            running: None,
        }
    }

    pub fn data_path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub fn id(&self) -> NodeId {
        self.info.id
    }

    pub async fn start(&mut self) -> Result<(), Error> {
        let mut config = Config::new(
            self.info.clone(),
            self.data_path(),
            match &self.settings.seed_hosts {
                Some(seed_hosts) => seed_hosts.clone(),
                None => Arc::new(self.settings.seeds.clone()),
            },
        );
        config.initial_master_nodes = self.settings.initial_master_nodes.clone();
        config.single_node = self.settings.single_node;
        config.snapshot_threshold = self.settings.snapshot_threshold;
        config.snapshot_keep = 0;
        config.timing.find_peers_interval = Duration::from_millis(200);
        config.timing.probe_timeout = Duration::from_secs(1);
        config.timing.request_peers_timeout = Duration::from_secs(2);
        config.timing.follower_check_interval = Duration::from_millis(200);
        config.timing.follower_check_timeout = Duration::from_millis(500);
        config.timing.snapshot_timeout = Duration::from_secs(10);
        self.values = Arc::default();
        let line = Arc::new(Line {
            world: self.world.clone(),
            local: self.info.id,
        });
        let coordination = Coordination::open(config, line, self.values.clone()).await?;
        self.world.nodes.lock().insert(
            self.info.transport_address.clone(),
            (self.info.clone(), Arc::downgrade(&coordination)),
        );
        coordination.run();
        self.running = Some(coordination);
        Ok(())
    }

    /// Stops the process; others see its connections close.
    pub async fn stop(&mut self) {
        self.world.nodes.lock().remove(&self.info.transport_address);
        let coordination = self.running.take().expect("running");
        let others: Vec<Weak<Coordination>> = self
            .world
            .nodes
            .lock()
            .values()
            .map(|(_, other)| other.clone())
            .collect();
        for other in others.iter().filter_map(Weak::upgrade) {
            other.peer_disconnected(self.info.id);
        }
        coordination.shutdown().await;
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.info.ephemeral_id = random_uuid();
        self.start().await.unwrap();
    }

    pub fn coordination(&self) -> &Arc<Coordination> {
        self.running.as_ref().expect("running")
    }

    pub fn status(&self) -> Status {
        self.coordination().status().borrow().clone()
    }

    /// Waits for a status and returns it.
    pub async fn wait(&self, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.coordination().status();
        let waited = tokio::time::timeout(DEADLINE, status.wait_for(|s| condition(s))).await;
        match waited {
            Ok(Ok(status)) => status.clone(),
            _ => panic!(
                "{} waited for {what}: {:#?}; {}",
                self.info.name,
                self.status(),
                self.coordination().explain_formation()
            ),
        }
    }

    /// Waits until the applied state fulfils a condition.
    pub async fn wait_state(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let wait = async {
            while !condition(&self.values.state()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("{} waited for {what}", self.info.name);
        }
    }

    /// Waits until the explanation of the lack of a master has a text in it, and returns it.
    pub async fn explanation(&self, part: &str) -> String {
        let wait = async {
            loop {
                let text = self.coordination().explain_formation();
                if text.contains(part) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(text) => text,
            Err(_) => panic!("no [{part}] in {}", self.coordination().explain_formation()),
        }
    }

    pub async fn put(&self, value: &str) {
        self.coordination()
            .propose(Values::put(value), DEADLINE)
            .await
            .unwrap();
    }

    pub async fn joined(&self) -> Status {
        self.wait("joining", |s| s.joined && s.master.is_some())
            .await
    }
}

/// Makes nodes that found a cluster together, not started.
pub fn founders(world: &Arc<World>, names: &[&str]) -> Vec<Node> {
    names
        .iter()
        .map(|name| {
            let mut node = Node::new(world, name);
            node.settings.initial_master_nodes =
                names.iter().map(|name| (*name).to_owned()).collect();
            node.settings.seeds = names.iter().map(|name| format!("{name}:9300")).collect();
            node
        })
        .collect()
}

/// Starts nodes and waits until all are in one cluster.
pub async fn form(nodes: &mut [Node]) {
    for node in nodes.iter_mut() {
        node.start().await.unwrap();
    }
    let size = nodes.len();
    for node in nodes.iter() {
        node.joined().await;
        node.wait_state("all members", |state| state.members.len() == size)
            .await;
    }
}

/// Returns the position of the master that the nodes agree on.
pub async fn master_of(nodes: &[Node]) -> usize {
    let agreed = async {
        loop {
            let masters: BTreeSet<Option<NodeId>> = nodes
                .iter()
                .map(|node| node.status().master.map(|master| master.id))
                .collect();
            if let Some(Some(master)) = masters.first()
                && masters.len() == 1
                && let Some(position) = nodes.iter().position(|node| node.id() == *master)
            {
                return position;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, agreed).await {
        Ok(position) => position,
        Err(_) => {
            let views: BTreeMap<String, Status> = nodes
                .iter()
                .map(|node| (node.info.name.clone(), node.status()))
                .collect();
            panic!("no agreement on a master: {views:#?}");
        }
    }
}

pub fn ids(nodes: &[Node]) -> Vec<NodeId> {
    nodes.iter().map(Node::id).collect()
}
