//! Finding other nodes while there is no master or this node is not in the cluster; then joining
//! the cluster found, or founding one. Source: Elasticsearch reference, "Discovery" and "Bootstrapping a cluster".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, ReadyChunks};
use ringwall_base::{NodeId, NodeKey};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::decide::bootstrap::{Candidate, Decision, decide, decide_unconfigured};
use crate::decide::formation::{FormationFacts, Remark, explain};
use crate::error::Error;
use crate::handler::{locked_elsewhere, unhealthy};
use crate::peer::PeerInfo;
use crate::ports::Seed;
use crate::raft::RaftId;
use crate::rpc::{Done, JOIN, JoinRequest, PeersRequest, PeersResponse, REQUEST_PEERS, Refusal};
use crate::shared::{Shared, configs};
use crate::status::{Status, is_initialized};
use crate::store::{BOOTSTRAP, BootstrapRecord};

/// What discovery found so far.
#[derive(Default)]
pub(crate) struct Discovery {
    found: BTreeMap<NodeId, Found>,
    /// Nodes that members of this node's cluster named as members: some may have come while this node was away.
    vouched: BTreeMap<NodeId, Option<NodeKey>>,
    /// Addresses that other nodes told.
    hints: BTreeSet<String>,
    /// Addresses at which this node met itself.
    own: BTreeSet<String>,
    /// Addresses of the last whole round of naming, and of the one under way.
    seeds: Vec<String>,
    /// Why seeds have no address, of the last whole round and of the one under way.
    unresolved: BTreeMap<String, String>,
    pub(crate) errors: BTreeMap<String, String>,
    pub(crate) join_error: Option<String>,
}

struct Found {
    peer: PeerInfo,
    answer: PeersResponse,
    at: Instant,
}

impl Discovery {
    /// Remembers an address worth asking.
    pub(crate) fn hint(&mut self, address: String) {
        if self.hints.len() < MAX_ADDRESSES {
            self.hints.insert(address);
        }
    }

    /// Returns the nodes that answered.
    pub(crate) fn peers(&self) -> Vec<PeerInfo> {
        self.found
            .values()
            .map(|found| found.peer.clone())
            .collect()
    }

    fn remarks(&self) -> Vec<Remark> {
        let remark = |found: &Found| Remark {
            from: found.peer.clone(),
            initialized: found.answer.initialized,
            waits: found.answer.waits.as_deref().map(quoted),
            cannot_reach: found.answer.cannot_reach.as_deref().map(quoted),
        };
        self.found.values().map(remark).collect()
    }

    pub(crate) fn known(&self, id: NodeId) -> Option<PeerInfo> {
        self.found.get(&id).map(|found| found.peer.clone())
    }

    /// Returns the key of a node that a member named as one, lately.
    pub(crate) fn vouched(&self, node: NodeId) -> Option<Option<NodeKey>> {
        self.vouched.get(&node).copied()
    }

    /// Takes over what a member of this node's cluster says of who is in it.
    fn vouch(&mut self, members: &[PeerInfo]) {
        let named = members.iter().map(|member| (member.id, member.key));
        self.vouched.extend(named);
    }

    fn record(&mut self, address: String, outcome: Result<Met, String>) {
        match outcome {
            Ok(Met::Myself) => {
                self.errors.remove(&address);
                self.own.insert(address);
            }
            Ok(Met::Other(met)) => {
                let (peer, answer) = *met;
                self.errors.remove(&address);
                for known in &answer.known {
                    self.hint(known.transport_address.clone());
                }
                let found = Found {
                    at: Instant::now(),
                    answer,
                    peer,
                };
                self.found.insert(found.peer.id, found);
            }
            Err(error) => {
                self.found
                    .retain(|_, found| found.peer.transport_address != address);
                self.errors.insert(address, error);
            }
        }
    }

    /// Returns the last error of each address, and of each seed that has none.
    pub(crate) fn problems(&self) -> BTreeMap<String, String> {
        let mut problems = self.unresolved.clone();
        problems.extend(self.errors.clone());
        problems
    }

    /// Returns the master that the most recent term names, of those who may speak for the cluster, and the UUID of the
    /// cluster.
    fn master(&self, may_speak: impl Fn(NodeId) -> bool) -> Option<(PeerInfo, Option<String>)> {
        self.found
            .values()
            .filter(|found| found.answer.master.is_some() && may_speak(found.peer.id))
            .max_by_key(|found| found.answer.term)
            .and_then(|found| {
                let answer = &found.answer;
                Some((answer.master.clone()?, answer.cluster_uuid.clone()))
            })
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.found
            .values()
            .map(|found| Candidate {
                peer: found.peer.clone(),
                initialized: found.answer.initialized,
            })
            .collect()
    }

    /// Forgets what only mattered while searching.
    fn forget_problems(&mut self) {
        self.hints.clear();
        self.vouched.clear();
        self.unresolved.clear();
        self.errors.clear();
        self.join_error = None;
    }

    fn expire(&mut self, now: Instant, age: Duration) {
        self.found
            .retain(|_, found| now.saturating_duration_since(found.at) < age);
    }
}

enum Met {
    Myself,
    Other(Box<(PeerInfo, PeersResponse)>),
}

enum Outcome {
    Asked(String, Result<Met, String>),
    Joined(Result<(), Refusal>),
}

/// Searches and joins whenever needed, until the node stops.
pub(crate) async fn keep_discovering(shared: Arc<Shared>) {
    let mut search = Search {
        shared,
        tasks: JoinSet::new(),
        asking: BTreeSet::new(),
        naming: None,
        joining: false,
        join_not_before: Instant::now(),
        refusal_shown: None,
        ambiguity_shown: false,
        founded: false,
        begun: Instant::now(),
    };
    let mut searching_since = None;
    let mut next_round = Instant::now();
    let mut status = search.shared.status.subscribe();
    loop {
        let needed = search.is_needed();
        if !needed {
            if searching_since.take().is_some() {
                search.naming = None;
                search.shared.discovery.lock().forget_problems();
                search.show_joined();
                search.shared.status_wanted.notify_one();
            }
        } else if Instant::now() >= next_round {
            let since = *searching_since.get_or_insert_with(Instant::now);
            search.ask_everyone();
            next_round = Instant::now() + search.interval(since);
        }
        tokio::select! {
            biased;
            Some(done) = search.tasks.join_next(), if !search.tasks.is_empty() => {
                match done {
                    Ok(outcome) => search.record(outcome),
                    Err(error) => debug!(%error, "a discovery task ended early"),
                }
            }
            seeds = next_seeds(&mut search.naming), if search.naming.is_some() => search.named(seeds),
            () = tokio::time::sleep_until(next_round), if needed => {}
            changed = status.changed() => if changed.is_err() {
                return;
            },
        }
        if search.is_needed() {
            search.join_or_found().await;
        }
    }
}

/// A round of naming the seeds, which may last longer than one of asking.
struct Naming {
    seeds: ReadyChunks<BoxStream<'static, Seed>>,
    /// Both as far as the round has come.
    addresses: Vec<String>,
    unresolved: BTreeMap<String, String>,
}

async fn next_seeds(naming: &mut Option<Naming>) -> Option<Vec<Seed>> {
    match naming {
        Some(naming) => naming.seeds.next().await,
        None => None,
    }
}

struct Search {
    shared: Arc<Shared>,
    tasks: JoinSet<Outcome>,
    asking: BTreeSet<String>,
    naming: Option<Naming>,
    joining: bool,
    join_not_before: Instant,
    refusal_shown: Option<(String, Instant)>,
    ambiguity_shown: bool,
    /// Whether this node has founded a cluster: the metrics tell it a moment later.
    founded: bool,
    begun: Instant,
}

impl Search {
    fn is_needed(&self) -> bool {
        let status = self.shared.status.borrow();
        status.failure.is_none() && (status.master.is_none() || !status.joined)
    }

    fn interval(&self, since: Instant) -> Duration {
        let timing = &self.shared.config.timing;
        if since.elapsed() < QUICK_START {
            timing.find_peers_interval_initial
        } else {
            timing.find_peers_interval
        }
    }

    /// Asks every known address that is not being asked already, and has the seeds named anew.
    fn ask_everyone(&mut self) {
        if self.shared.config.single_node {
            return;
        }
        let timing = &self.shared.config.timing;
        let mut addresses: BTreeSet<String> = self.known_addresses().into_iter().collect();
        {
            let mut discovery = self.shared.discovery.lock();
            let age = timing.find_peers_interval * FORGET_AFTER + timing.request_peers_timeout;
            discovery.expire(Instant::now(), age);
            addresses.extend(discovery.seeds.iter().cloned());
            addresses.extend(discovery.hints.iter().cloned());
            discovery
                .errors
                .retain(|address, _| addresses.contains(address));
        }
        if self.naming.is_none() {
            let seeds = self.shared.config.seed_hosts.clone().round();
            self.naming = Some(Naming {
                seeds: seeds.ready_chunks(MAX_ADDRESSES),
                addresses: Vec::new(),
                unresolved: BTreeMap::new(),
            });
        }
        addresses.into_iter().for_each(|address| self.ask(address));
    }

    /// Asks an address, unless it is being asked already or is this node's own.
    fn ask(&mut self, address: String) {
        let is_own = address == self.shared.config.local.transport_address
            || self.shared.discovery.lock().own.contains(&address);
        if is_own || self.asking.len() >= MAX_ADDRESSES || !self.asking.insert(address.clone()) {
            return;
        }
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let met = ask(&shared, address.clone()).await;
            Outcome::Asked(address, met)
        });
    }

    /// Takes over what the round of naming found; `None` when it is over.
    fn named(&mut self, seeds: Option<Vec<Seed>>) {
        let Some(seeds) = seeds else {
            if let Some(round) = self.naming.take() {
                let mut discovery = self.shared.discovery.lock();
                discovery.seeds = round.addresses;
                discovery.unresolved = round.unresolved;
            }
            return;
        };
        let mut fresh = Vec::new();
        if let Some(round) = &mut self.naming {
            let mut discovery = self.shared.discovery.lock();
            for seed in seeds {
                match seed {
                    Seed::Address(address) => {
                        if !discovery.seeds.contains(&address) {
                            discovery.seeds.push(address.clone());
                        }
                        fresh.push(address.clone());
                        round.addresses.push(address);
                    }
                    Seed::Unresolved { seed, reason } => {
                        discovery.unresolved.insert(seed.clone(), reason.clone());
                        round.unresolved.insert(seed, reason);
                    }
                }
            }
        }
        fresh.into_iter().for_each(|address| self.ask(address));
        self.shared.status_wanted.notify_one();
    }

    fn known_addresses(&self) -> Vec<String> {
        let metrics = self.shared.raft.metrics().borrow().clone();
        let members = self.shared.machine.application().members();
        metrics
            .membership_config
            .nodes()
            .map(|(_, peer)| peer.transport_address.clone())
            .chain(members.into_iter().map(|peer| peer.transport_address))
            .filter(|address| !address.is_empty())
            .collect()
    }

    fn record(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Asked(address, met) => {
                self.asking.remove(&address);
                let member = match &met {
                    Ok(Met::Other(met)) if self.shared.has_cluster() => {
                        self.shared.knows(met.0.sender())
                    }
                    _ => false,
                };
                let mut discovery = self.shared.discovery.lock();
                if let (Ok(Met::Other(met)), true) = (&met, member) {
                    discovery.vouch(&met.1.members);
                }
                discovery.record(address, met);
            }
            Outcome::Joined(result) => {
                self.joining = false;
                let transient = matches!(&result, Err(refusal) if refusal.transient);
                let pause = if transient {
                    SHORT_JOIN_PAUSE
                } else {
                    JOIN_PAUSE
                };
                self.join_not_before = Instant::now() + pause;
                let refusal = result.err().filter(|refusal| !refusal.transient);
                if let Some(refusal) = &refusal {
                    self.show_refusal(&refusal.reason);
                }
                let reason = refusal.map(|refusal| refusal.reason);
                self.shared.discovery.lock().join_error = reason;
            }
        }
        self.shared.status_wanted.notify_one();
    }

    /// Logs a refusal once, then again every ten seconds.
    fn show_refusal(&mut self, reason: &str) {
        let repeated = self
            .refusal_shown
            .as_ref()
            .is_some_and(|(shown, at)| shown == reason && at.elapsed() < SAME_REFUSAL_INTERVAL);
        if !repeated {
            warn!(reason, "failed to join the cluster");
            self.refusal_shown = Some((reason.to_owned(), Instant::now()));
        }
    }

    /// Ends what the log last said of joining.
    fn show_joined(&mut self) {
        if self.shared.status.borrow().joined && self.refusal_shown.take().is_some() {
            info!("joined the cluster after all");
        }
    }

    async fn join_or_found(&mut self) {
        let master = {
            let status = self.shared.status.borrow();
            status.master.clone()
        };
        let master = master.or_else(|| self.discovered_master());
        match master {
            Some(master) if master.id != self.shared.local_id() => self.join(master),
            Some(_) => {}
            None => self.found_cluster().await,
        }
    }

    /// Returns the master that nodes have told of. A node that has a cluster believes its members only: whoever holds a
    /// certificate could say that it is the master.
    fn discovered_master(&mut self) -> Option<PeerInfo> {
        let shared = self.shared.clone();
        let Some(local) = shared.machine.cluster_uuid() else {
            let found = shared.discovery.lock().master(|_| true);
            return found.map(|(master, _)| master);
        };
        let speakers: BTreeSet<NodeId> = {
            let found = shared.discovery.lock().peers();
            let known = found.into_iter().filter(|peer| shared.knows(peer.sender()));
            known.map(|peer| peer.id).collect()
        };
        let (member, anyone) = {
            let discovery = shared.discovery.lock();
            let member = discovery.master(|id| speakers.contains(&id));
            (member, discovery.master(|_| true))
        };
        if let Some((master, _)) = member {
            return Some(master);
        }
        let (stranger, uuid) = anyone?;
        let reason = match uuid {
            Some(remote) if remote != local => locked_elsewhere(&shared, &local, &remote),
            _ => format!(
                "node [{stranger}] is told to be the master of a cluster, but none of the nodes that this node knows as \
             members of its own cluster says so: start one of them, or, if none of them is left and that cluster is \
             the right one, empty this node's data path [{}] so that it joins as a new node",
                shared.config.data_dir.display()
            ),
        };
        self.show_refusal(&reason);
        shared.discovery.lock().join_error = Some(reason);
        None
    }

    fn join(&mut self, master: PeerInfo) {
        // Of a master that has only voted, its address is not known: discovery will meet it.
        if self.joining
            || Instant::now() < self.join_not_before
            || master.transport_address.is_empty()
        {
            return;
        }
        if let Some(reason) = self.shared.unhealthy() {
            let reason = unhealthy(&reason);
            self.show_refusal(&reason);
            self.shared.discovery.lock().join_error = Some(reason);
            return;
        }
        self.joining = true;
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            debug!(master = %master, "asking to join");
            let request = JoinRequest {
                peer: shared.config.local.clone(),
            };
            let timeout = shared.config.timing.join_timeout;
            let answer = shared
                .messenger
                .call::<_, Result<Done, Refusal>>(&master, JOIN, request, timeout);
            let answer = tokio::select! {
                biased;
                answer = answer => answer,
                () = master_changed(&shared) => return Outcome::Joined(Err(Refusal {
                    reason: "the master changed".to_owned(),
                    transient: true,
                })),
            };
            Outcome::Joined(match answer {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(refusal)) => Err(refusal),
                Err(error) => Err(Refusal {
                    reason: format!("failed to join {master}: {error}"),
                    transient: false,
                }),
            })
        });
    }

    async fn found_cluster(&mut self) {
        let shared = &self.shared;
        let uninitialized = !is_initialized(&shared.raft.metrics().borrow());
        // A node locked into a cluster whose log it lost must not found a second one.
        if shared.config.single_node
            || self.founded
            || !uninitialized
            || shared.machine.cluster_uuid().is_some()
        {
            return;
        }
        let candidates = shared.discovery.lock().candidates();
        let local = &shared.config.local;
        let decision = match shared.config.unconfigured_bootstrap {
            Some(patience) if self.begun.elapsed() < patience => return,
            Some(_) => decide_unconfigured(local, &candidates),
            None => decide(local, &shared.config.initial_master_nodes, &candidates),
        };
        match decision {
            Decision::Found(founders) => {
                match found(shared, founders.into_values().collect()).await {
                    Ok(()) => self.founded = true,
                    Err(error) => warn!(%error, "could not found the cluster, trying again"),
                }
            }
            Decision::Ambiguous(name) => {
                if !self.ambiguity_shown {
                    self.ambiguity_shown = true;
                    warn!(
                        requirement = name,
                        "an entry of [cluster.initial_master_nodes] is ambiguous: it must name \
                         exactly one node that no other entry names; not bootstrapping"
                    );
                }
            }
            decision => debug!(?decision, "not founding a cluster now"),
        }
    }
}

/// Founds a cluster with these voters. Recorded first, so that it is done once: after a crash in
/// between, the same founders are used again.
pub(crate) async fn found(shared: &Arc<Shared>, members: Vec<PeerInfo>) -> Result<(), Error> {
    let record = BootstrapRecord { members };
    let store = shared.store.clone();
    let record =
        crate::blocking::spawn(move || store.write_record(BOOTSTRAP, &record).map(|()| record))
            .await
            .map_err(|error| Error::Stopped {
                reason: error.to_string(),
            })??;
    let names: Vec<&str> = record
        .members
        .iter()
        .map(|peer| peer.name.as_str())
        .collect();
    info!(nodes = ?names, "founding a new cluster");
    let members: BTreeMap<RaftId, PeerInfo> = record
        .members
        .into_iter()
        .map(|peer| (RaftId(peer.id), peer))
        .collect();
    shared
        .raft
        .initialize(members)
        .await
        .map_err(|error| Error::Stopped {
            reason: error.to_string(),
        })
}

/// Waits until this node sees another master than at the call, or none, or one at all, and a moment
/// more: a request sent before may be lost in a cut that has healed.
async fn master_changed(shared: &Shared) {
    let id = |status: &Status| status.master.as_ref().map(|master| master.id);
    let mut status = shared.status.subscribe();
    let before = id(&status.borrow_and_update());
    if status.wait_for(|status| id(status) != before).await.is_ok() {
        tokio::time::sleep(JOIN_GRACE).await;
    }
}

async fn ask(shared: &Arc<Shared>, address: String) -> Result<Met, String> {
    let timing = &shared.config.timing;
    let peer = shared
        .messenger
        .probe(address, timing.probe_timeout)
        .await?;
    if peer.id == shared.local_id() {
        return Ok(Met::Myself);
    }
    shared.learn(&peer);
    let request = PeersRequest {
        from: shared.config.local.clone(),
    };
    let answer = shared
        .messenger
        .call(&peer, REQUEST_PEERS, request, timing.request_peers_timeout)
        .await
        .map_err(|error| format!("found {peer} but it does not answer: {error}"))?;
    Ok(Met::Other(Box::new((peer, answer))))
}

/// Explains at intervals why there is no master.
pub(crate) async fn keep_warning(shared: Arc<Shared>) {
    let mut status = shared.status.subscribe();
    loop {
        let formed = status
            .wait_for(|status| status.master.is_none())
            .await
            .map(drop);
        if formed.is_err() {
            return;
        }
        let found = tokio::time::timeout(
            shared.config.timing.formation_warning_interval,
            status.wait_for(|status| status.master.is_some()),
        )
        .await
        .map(|found| found.map(drop));
        match found {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                let text = explain(&formation_facts(&shared));
                // One that was found meanwhile has been told of, and this would be the last word.
                if shared.status.borrow().master.is_none() {
                    warn!("{text}");
                }
            }
        }
    }
}

/// Gathers what explains the lack of a master.
pub(crate) fn formation_facts(shared: &Shared) -> FormationFacts {
    let metrics = shared.raft.metrics().borrow().clone();
    let last_accepted = shared.raft.data_metrics().borrow().last_log;
    let names = metrics
        .membership_config
        .nodes()
        .map(|(id, peer)| (id.0, peer.name.clone()))
        .collect();
    let discovery = shared.discovery.lock();
    FormationFacts {
        names,
        local: shared.config.local.clone(),
        configs: configs(&metrics),
        initial_master_nodes: shared.config.initial_master_nodes.clone(),
        discovered: discovery.peers(),
        seed_addresses: discovery.seeds.clone(),
        last_known_nodes: shared.machine.application().members(),
        term: metrics.current_term,
        last_accepted: last_accepted.map(|id| (id.leader_id.term, id.index)),
        errors: discovery.problems(),
        join_error: discovery.join_error.clone(),
        remarks: discovery.remarks(),
    }
}

/// Returns what another node said, fit for a line of the log.
fn quoted(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(MAX_QUOTED).collect()
}

/// Time during which discovery asks often.
const QUICK_START: Duration = Duration::from_secs(3);

/// Pause between two attempts to join, in which the first usually shows its effect.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

/// The same while the master is only just taking office.
const SHORT_JOIN_PAUSE: Duration = Duration::from_millis(50);

/// How long a join may still be answered after the master changed.
const JOIN_GRACE: Duration = Duration::from_secs(1);

const SAME_REFUSAL_INTERVAL: Duration = Duration::from_secs(10);

/// Most addresses asked or remembered.
const MAX_ADDRESSES: usize = 1000;

/// Characters of what another node says that are repeated.
const MAX_QUOTED: usize = 3000;

/// A node not met for this many rounds counts as not discovered.
const FORGET_AFTER: u32 = 3;
