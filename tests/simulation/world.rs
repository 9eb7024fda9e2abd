//! Three nodes, what happens to them, and what must be true in the end.

use std::fs::OpenOptions;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use parking_lot::Mutex;
use ringwall_cluster::{ClusterState, CopyState};
use ringwall_node::cluster_service::ClusterService;
use ringwall_node::node::Node;
use ringwall_settings::Settings;
use turmoil::Sim;

use crate::clients::{self, History};
use crate::deterministic::{self, Dice};
use crate::network::Simulated;

const NODES: usize = 3;
const TICK: Duration = Duration::from_millis(4);
/// How long work that blocks takes at most, before and after.
const LONGEST_WORK: Duration = Duration::from_millis(8);
/// How long everything may take to be well again, once nothing happens any more.
const RECOVERY: Duration = Duration::from_secs(240);

#[derive(Default)]
struct Shared {
    history: Arc<Mutex<History>>,
    /// What each node knows of the cluster, while it runs.
    states: Mutex<[Option<ClusterService>; NODES]>,
    /// No more writes, and each node reads its copy.
    checking: Mutex<bool>,
    findings: Mutex<Vec<String>>,
    checked: Mutex<[bool; NODES]>,
}

/// What a seed came to.
pub struct Report {
    pub acknowledged: u64,
    pub unanswered: u64,
    pub lasted: Duration,
    pub findings: Vec<String>,
}

/// Lives through what the seed holds.
pub fn live(seed: u64, home: &Path) -> Report {
    deterministic::begin(seed);
    ringwall_coordination::blocking::simulate(LONGEST_WORK);
    let mut dice = Dice(seed);
    let shared = Arc::new(Shared::default());
    let mut sim = turmoil::Builder::new()
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::from_millis(0))
        .max_message_latency(Duration::from_millis(10 + dice.below(40)))
        .tcp_capacity(1 << 20)
        .enable_random_order()
        .rng_seed(seed)
        .build();
    for number in 0..NODES {
        let (shared, home) = (shared.clone(), home.join(name(number)));
        sim.host(address(number), move || {
            run_node(number, home.clone(), shared.clone(), seed)
        });
    }
    let mut world = World {
        sim,
        shared: shared.clone(),
        home: home.to_owned(),
    };
    world.pass(Duration::from_secs(4));
    for _ in 0..2 + dice.below(3) {
        world.misfortune(&mut dice);
        world.pass(dice.milliseconds(500, 4000));
    }
    world.heal();
    world.judge();
    let history = shared.history.lock();
    Report {
        acknowledged: history.acknowledged,
        unanswered: history.unanswered,
        lasted: world.sim.elapsed(),
        findings: shared.findings.lock().clone(),
    }
}

struct World<'a> {
    sim: Sim<'a>,
    shared: Arc<Shared>,
    home: PathBuf,
}

impl World<'_> {
    fn pass(&mut self, time: Duration) {
        let until = self.sim.elapsed() + time;
        while self.sim.elapsed() < until {
            self.step();
        }
    }

    fn step(&mut self) {
        deterministic::set_time(self.sim.elapsed());
        self.sim.step().unwrap();
    }

    fn misfortune(&mut self, dice: &mut Dice) {
        // Half of what happens, happens to the primary.
        let any = dice.below(2 * NODES as u64) as usize;
        let node = match any < NODES {
            true => any,
            false => self.primary().unwrap_or(any - NODES),
        };
        let other = (node + 1 + dice.below(NODES as u64 - 1) as usize) % NODES;
        let lasts = dice.milliseconds(300, 6000);
        let kind = dice.below(10);
        tracing::info!(kind, node, ?lasts, at = ?self.sim.elapsed(), "misfortune");
        match kind {
            0 | 1 => {
                self.kill(node);
                self.pass(lasts);
                self.start(node);
            }
            2 => {
                self.cut_power(node);
                self.pass(lasts);
                self.start(node);
            }
            3 => {
                (0..NODES).for_each(|node| self.cut_power(node));
                self.pass(lasts);
                (0..NODES).for_each(|node| self.start(node));
            }
            4 | 5 => {
                for other in others(node) {
                    self.sim.partition(address(node), address(other));
                }
                self.pass(lasts);
                self.repair();
            }
            6 => {
                self.sim.hold(address(node), address(other));
                self.pass(lasts);
                self.sim.release(address(node), address(other));
            }
            7 | 8 => {
                // One copy misses what others take, and then the primary is gone.
                self.sim.partition(address(node), address(other));
                self.pass(lasts + dice.milliseconds(0, 5000));
                self.kill(node);
                self.repair();
                self.pass(lasts);
                self.start(node);
            }
            _ => {
                // Cut off, and killed before it knows.
                for other in others(node) {
                    self.sim.partition(address(node), address(other));
                }
                self.pass(dice.milliseconds(10, 3000));
                self.kill(node);
                self.repair();
                self.pass(lasts);
                self.start(node);
            }
        }
    }

    fn repair(&mut self) {
        for node in 0..NODES {
            for other in others(node) {
                self.sim.repair(address(node), address(other));
            }
        }
    }

    fn heal(&mut self) {
        self.repair();
        for node in 0..NODES {
            self.start(node);
        }
    }

    fn kill(&mut self, node: usize) {
        self.sim.crash(address(node));
        self.shared.states.lock()[node] = None;
    }

    /// What was not synced of the logs is gone.
    fn cut_power(&mut self, node: usize) {
        self.kill(node);
        let mut logs = Vec::new();
        find_logs(&self.home.join(name(node)), &mut logs);
        for log in logs {
            let durable = deterministic::durable_bytes(&log);
            let file = OpenOptions::new().write(true).open(&log).unwrap();
            if file.metadata().unwrap().len() > durable {
                tracing::info!(log = ?log.file_name(), durable, "cut");
                file.set_len(durable).unwrap();
            }
        }
    }

    fn start(&mut self, node: usize) {
        if !self.sim.is_host_running(address(node)) {
            self.sim.bounce(address(node));
        }
    }

    /// Waits until all is well, and has each node read what its copy holds.
    fn judge(&mut self) {
        let until = self.sim.elapsed() + RECOVERY;
        while self.sim.elapsed() < until && !self.is_green() {
            self.step();
        }
        if !self.is_green() {
            let found = "not every copy came back".to_owned();
            self.shared.findings.lock().push(found);
            return;
        }
        *self.shared.checking.lock() = true;
        // Writes under way end, or have had their chance.
        self.pass(clients::PATIENCE);
        let until = self.sim.elapsed() + RECOVERY;
        while self.sim.elapsed() < until && !self.shared.checked.lock().iter().all(|done| *done) {
            self.step();
        }
        if !self.shared.checked.lock().iter().all(|done| *done) {
            let found = "a node could not read its copy".to_owned();
            self.shared.findings.lock().push(found);
        }
    }

    /// Returns which node has the primary, as far as anybody knows.
    fn primary(&self) -> Option<usize> {
        let states = self.shared.states.lock();
        let states = states.iter().flatten().map(ClusterService::state);
        let newest = states.max_by_key(|state| state.version)?;
        let (_, shard) = newest.shards().next()?;
        let node = &newest.nodes[&shard.primary()?.node?];
        (0..NODES).find(|number| name(*number) == node.name)
    }

    fn is_green(&self) -> bool {
        let states = self.shared.states.lock();
        let green = |state: &ClusterState| {
            let mut shards = state.shards().peekable();
            shards.peek().is_some()
                && shards.all(|(_, shard)| {
                    shard.copies.len() == NODES
                        && shard
                            .copies
                            .iter()
                            .all(|copy| copy.state == CopyState::Started)
                })
        };
        states
            .iter()
            .all(|state| state.as_ref().is_some_and(|state| green(&state.state())))
    }
}

async fn run_node(
    number: usize,
    home: PathBuf,
    shared: Arc<Shared>,
    seed: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(home.join("config"))?;
    write_key(&home.join("data/_state"), number)?;
    let seeds: Vec<String> = (0..NODES)
        .map(|number| format!("{}:9300", address(number)))
        .collect();
    let names: Vec<String> = (0..NODES).map(name).collect();
    let ip = address(number).to_string();
    let settings = Settings::from_overrides(
        &home.join("config"),
        &[
            ("cluster.name", "simulation"),
            ("node.name", &name(number)),
            ("node.processors", "2"),
            ("network.host", &ip),
            ("transport.port", "9300"),
            ("discovery.seed_hosts", &seeds.join(",")),
            ("cluster.initial_master_nodes", &names.join(",")),
            ("xpack.security.enabled", "false"),
            // Threads of their own look at the disk of this machine.
            ("monitor.fs.health.enabled", "false"),
            ("cluster.routing.allocation.disk.threshold_enabled", "false"),
        ],
        None,
    )?;
    let node = Node::simulate(settings, &home, Arc::new(Simulated)).await?;
    let client = node.client().clone();
    shared.states.lock()[number] = Some(node.cluster().clone());
    let writing = clients::write(client.clone(), number, shared.history.clone(), seed);
    let stop = async {
        while !*shared.checking.lock() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = writing => {}
    }
    tokio::time::sleep(clients::PATIENCE).await;
    let documents = shared.history.lock().documents.clone();
    for (id, known) in documents {
        let found = loop {
            match clients::read(&client, &id).await {
                Ok(found) => break found,
                Err(error) => {
                    tracing::info!(%error, "cannot read yet");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        };
        if !known.allows(found) {
            let finding = format!(
                "[{}] has {found:?} of [{id}], of which is known {known:?}",
                name(number)
            );
            shared.findings.lock().push(finding);
        }
    }
    shared.checked.lock()[number] = true;
    std::future::pending::<()>().await;
    drop(node);
    Ok(())
}

/// Gives a node its key: the library that makes keys takes chance from the processor.
fn write_key(directory: &Path, number: usize) -> std::io::Result<()> {
    let file = directory.join("node_key");
    if file.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    // Source: RFC 8410 section 7.
    let mut pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    pkcs8.extend([number as u8 + 1; 32]);
    let encoded = base64::engine::general_purpose::STANDARD.encode(pkcs8);
    let key = format!("ringwall-node-key 1 ed25519 {encoded}\n");
    ringwall_base::fs::write_atomic(&file, key.as_bytes(), 0o600)
}

fn find_logs(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find_logs(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "tlog")
        {
            found.push(path);
        }
    }
}

fn name(number: usize) -> String {
    format!("es{number}")
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + number as u8)
}

fn others(node: usize) -> impl Iterator<Item = usize> {
    (0..NODES).filter(move |other| *other != node)
}
