//! Which node is to hold which unassigned copy. Source: Elasticsearch reference, "Cluster-level shard allocation and
//! routing settings".
//!
//! Rules, in order: two copies of a shard never share a node; a primary with history goes only to
//! a node that holds an in-sync copy; a replica waits for its primary, and for a while for the
//! node that had it; otherwise the node with the fewest copies takes it, of those that filters and
//! disks allow. A node recovers only a few copies at a time.

use std::collections::BTreeMap;

use ringwall_base::{AllocationId, NodeId, ShardId};

use crate::ClusterState;
use crate::deciders::Deciders;
use crate::index_settings::IndexSettings;
use crate::metadata::{IndexMetadata, ShardMetadata};
use crate::routing::{
    CopyState, RecoverySource, ShardCopy, ShardRouting, UnassignedInfo, UnassignedReason,
};

/// Copies that are assigned to a node before those that recover there have ended, whatever the setting says: a node
/// has the next ones at hand.
const LEAST_ASSIGNED: usize = 4;
/// Bound on the recoveries of a node.
const CONCURRENT_RECOVERIES: &str = "cluster.routing.allocation.node_concurrent_recoveries";

/// Makes identifiers from the randomness in a command.
pub(crate) struct Identifiers {
    seed: String,
    made: u32,
}

impl Identifiers {
    pub(crate) fn new(seed: String) -> Self {
        Self { seed, made: 0 }
    }

    /// Returns an identifier that no other command's seed gives. The first is the seed itself.
    pub(crate) fn next(&mut self) -> String {
        let made = self.made;
        self.made += 1;
        if made == 0 {
            self.seed.clone()
        } else {
            format!("{}-{made}", self.seed)
        }
    }
}

/// Assigns what can be assigned now. Idempotent: a second call changes nothing.
pub(crate) fn reroute(state: &mut ClusterState, now_ms: u64, identifiers: &mut Identifiers) {
    if state.cluster_uuid.is_none() {
        return;
    }
    let mut load = Load::of(state);
    let shards: Vec<ShardId> = state.shards().map(|(id, _)| id).collect();
    // Primaries first: without one its replicas have nothing to recover from.
    for primaries in [true, false] {
        for id in &shards {
            assign_shard(state, id, primaries, now_ms, &mut load, identifiers);
        }
    }
    for id in &shards {
        move_away(state, id, now_ms, &mut load, identifiers);
    }
}

/// Where a copy may not stay, another is made elsewhere that takes its place once it serves. One of a shard at a time,
/// and only while all its copies serve.
fn move_away(
    state: &mut ClusterState,
    id: &ShardId,
    now_ms: u64,
    load: &mut Load,
    identifiers: &mut Identifiers,
) {
    let Some((node, replaces)) = choose_move(state, id, now_ms, load) else {
        return;
    };
    let info = UnassignedInfo::new(UnassignedReason::ReplicaAdded, "moved", now_ms);
    let copy = ShardCopy {
        state: CopyState::Initializing,
        node: Some(node),
        allocation_id: Some(AllocationId(identifiers.next())),
        replaces: Some(replaces),
        ..ShardCopy::unassigned(false, RecoverySource::Peer, info)
    };
    load.add(node, &copy);
    if let Some(shard) = state
        .routing
        .get_mut(&id.index.name)
        .and_then(|routing| routing.shards.get_mut(id.shard as usize))
    {
        shard.copies.push(copy);
    }
}

fn choose_move(
    state: &ClusterState,
    id: &ShardId,
    now_ms: u64,
    load: &Load,
) -> Option<(NodeId, AllocationId)> {
    let shard = state.shard(id)?;
    let metadata = state.index(&id.index)?;
    let not_before = metadata.shards.get(id.shard as usize)?.no_move_before_ms;
    let is_whole = shard.copies.iter().all(ShardCopy::is_active);
    if !is_whole || not_before.is_some_and(|at| now_ms < at) {
        return None;
    }
    let deciders = Deciders::of(state, metadata);
    let leaving = shard
        .copies
        .iter()
        .find(|copy| copy.node.is_some_and(|node| !deciders.may_stay(node)))?;
    let choice = pick(state, shard, load, |node| {
        load.may_recover(node) && deciders.may_move_to(node)
    })?;
    Some((choice.node, leaving.allocation_id.clone()?))
}

impl ClusterState {
    /// Returns whether a copy's wait for its departed node, or for another try after failures, is over, so
    /// that a [`crate::Change::Reroute`] would now place it.
    pub fn has_expired_delay(&self, now_ms: u64) -> bool {
        self.shards().any(|(id, shard)| {
            let metadata = self.index(&id.index);
            let not_before = metadata
                .and_then(|metadata| metadata.shards.get(id.shard as usize)?.no_move_before_ms);
            if not_before.is_some_and(|at| at <= now_ms) {
                return true;
            }
            let settings = metadata.map(|metadata| &metadata.settings);
            let retries = settings.map_or(0, IndexSettings::max_allocation_retries);
            let waiting = shard
                .copies
                .iter()
                .filter(|copy| copy.state == CopyState::Unassigned);
            waiting
                .filter_map(|copy| Some((copy, copy.unassigned.as_ref()?)))
                .flat_map(|(copy, info)| {
                    let delayed = info.delayed_until_ms.filter(|_| !copy.primary);
                    [delayed, retried_at_ms(info, retries)]
                })
                .flatten()
                .any(|until| until <= now_ms)
        })
    }
}

/// Takes note of the waits that are over without a node for the copy: what changes next is told of anyway, and a
/// copy that failed before waits longer for its next try.
pub(crate) fn end_waits(state: &mut ClusterState, now_ms: u64) {
    let is_over = |shard: &ShardMetadata| shard.no_move_before_ms.is_some_and(|at| at <= now_ms);
    state.indices.change_where(
        |_, index| index.shards.iter().any(is_over),
        |_, index| {
            for shard in index.shards.iter_mut().filter(|shard| is_over(shard)) {
                shard.no_move_before_ms = None;
            }
        },
    );
    let ClusterState {
        indices, routing, ..
    } = state;
    let retries = |name: &str| {
        let index = indices.get(name);
        index.map_or(0, |index| index.settings.max_allocation_retries())
    };
    routing.change_where(
        |_, routing| {
            let mut copies = routing.shards.iter().flat_map(|shard| &shard.copies);
            copies.any(|copy| copy.state == CopyState::Unassigned && copy.unassigned.is_some())
        },
        |name, routing| {
            let retries = retries(name);
            let shards = routing.shards.iter_mut();
            let copies = shards.flat_map(|shard| &mut shard.copies);
            let waiting = copies.filter(|copy| copy.state == CopyState::Unassigned);
            for info in waiting.filter_map(|copy| copy.unassigned.as_mut()) {
                info.delayed_until_ms = info.delayed_until_ms.filter(|until| now_ms < *until);
                if retried_at_ms(info, retries).is_some_and(|at| at <= now_ms) {
                    info.failed_allocations += 1;
                    info.since_ms = now_ms;
                }
            }
        },
    );
}

/// Returns when a copy that failed too often in a row is tried again; `None` for one that may be tried at once.
/// What is wrong may pass, as when a node is let in by some others before the rest.
pub(crate) fn retried_at_ms(info: &UnassignedInfo, retries: u32) -> Option<u64> {
    let beyond = info.failed_allocations.checked_sub(retries)?;
    let pause = FIRST_PAUSE_MS << beyond.min(MOST_DOUBLINGS);
    Some(info.since_ms + pause)
}

pub(crate) const FIRST_PAUSE_MS: u64 = 10_000;
/// Up to about ten minutes.
const MOST_DOUBLINGS: u32 = 6;

fn assign_shard(
    state: &mut ClusterState,
    id: &ShardId,
    primaries: bool,
    now_ms: u64,
    load: &mut Load,
    identifiers: &mut Identifiers,
) {
    let Some(shard) = state.shard(id) else { return };
    let unassigned: Vec<usize> = (0..shard.copies.len())
        .filter(|i| {
            let copy = &shard.copies[*i];
            copy.state == CopyState::Unassigned && copy.primary == primaries
        })
        .collect();
    for position in unassigned {
        let Some(choice) = choose(state, id, position, now_ms, load) else {
            continue;
        };
        assign(state, id, position, choice, load, identifiers);
    }
}

/// Where a copy goes, and the identity it keeps if its files make it the primary again.
struct Choice {
    node: NodeId,
    existing: Option<AllocationId>,
}

fn choose(
    state: &ClusterState,
    id: &ShardId,
    position: usize,
    now_ms: u64,
    load: &Load,
) -> Option<Choice> {
    let shard = state.shard(id)?;
    let metadata = state.index(&id.index)?;
    let copy = &shard.copies[position];
    let info = copy.unassigned.as_ref();
    let failures = info.map_or(0, |info| info.failed_allocations);
    let retries = metadata.settings.max_allocation_retries();
    if info.is_some_and(|info| now_ms < retried_at_ms(info, retries).unwrap_or_default()) {
        return None;
    }
    let deciders = Deciders::of(state, metadata);
    if !deciders.may_assign(copy) {
        return None;
    }
    if !copy.primary {
        return choose_replica_node(state, shard, copy, now_ms, load, &deciders);
    }
    match copy.recovery_source {
        RecoverySource::EmptyStore => {
            pick(state, shard, load, |node| deciders.may_take(copy, node))
        }
        _ => choose_existing_primary(state, id, copy, metadata, failures, &deciders),
    }
}

/// A primary with history goes where an in-sync copy is; each failure tries the next one. What keeps copies off a
/// node counts only while another will do: documents that no node serves are worse.
fn choose_existing_primary(
    state: &ClusterState,
    id: &ShardId,
    copy: &ShardCopy,
    metadata: &IndexMetadata,
    failures: u32,
    deciders: &Deciders<'_>,
) -> Option<Choice> {
    let in_sync = &metadata.shards.get(id.shard as usize)?.in_sync;
    let mut candidates: Vec<(&AllocationId, NodeId)> = in_sync
        .iter()
        .filter(|(_, node)| state.nodes.get(node).is_some_and(|n| n.is_data()))
        .map(|(allocation_id, node)| (allocation_id, *node))
        .collect();
    let last_node = copy.unassigned.as_ref().and_then(|info| info.last_node);
    candidates.sort_by_key(|(_, node)| (!deciders.lets_in(*node), Some(*node) != last_node));
    let (allocation_id, node) = *candidates.get(failures as usize % candidates.len().max(1))?;
    Some(Choice {
        node,
        existing: Some(allocation_id.clone()),
    })
}

fn choose_replica_node(
    state: &ClusterState,
    shard: &ShardRouting,
    copy: &ShardCopy,
    now_ms: u64,
    load: &Load,
    deciders: &Deciders<'_>,
) -> Option<Choice> {
    shard.active_primary()?;
    let info = copy.unassigned.as_ref()?;
    if let Some(last) = info.last_node
        && info.failed_allocations == 0
        && may_hold(state, shard, last)
        && deciders.may_take(copy, last)
        && load.may_recover(last)
    {
        return Some(Choice {
            node: last,
            existing: None,
        });
    }
    let waiting = info.delayed_until_ms.is_some_and(|until| now_ms < until)
        && info
            .last_node
            .is_some_and(|node| !state.nodes.contains_key(&node));
    if waiting {
        return None;
    }
    pick(state, shard, load, |node| {
        load.may_recover(node) && deciders.may_take(copy, node)
    })
}

fn may_hold(state: &ClusterState, shard: &ShardRouting, node: NodeId) -> bool {
    state
        .nodes
        .get(&node)
        .is_some_and(|record| record.is_data())
        && shard.copies.iter().all(|copy| copy.node != Some(node))
}

/// Among equally loaded nodes the one after the primary's, in order of id, so that the replicas
/// of several shards spread instead of meeting on the first node.
fn pick(
    state: &ClusterState,
    shard: &ShardRouting,
    load: &Load,
    allowed: impl Fn(NodeId) -> bool,
) -> Option<Choice> {
    let primary_node = shard.primary().and_then(|copy| copy.node);
    state
        .nodes
        .keys()
        .copied()
        .filter(|node| may_hold(state, shard, *node) && allowed(*node))
        .min_by_key(|node| {
            let wraps = primary_node.is_some_and(|primary| *node < primary);
            (load.copies(*node), load.primaries(*node), wraps, *node)
        })
        .map(|node| Choice {
            node,
            existing: None,
        })
}

fn assign(
    state: &mut ClusterState,
    id: &ShardId,
    position: usize,
    choice: Choice,
    load: &mut Load,
    identifiers: &mut Identifiers,
) {
    let allocation_id = choice
        .existing
        .unwrap_or_else(|| AllocationId(identifiers.next()));
    let Some(shard) = state
        .routing
        .get_mut(&id.index.name)
        .and_then(|routing| routing.shards.get_mut(id.shard as usize))
    else {
        return;
    };
    let copy = &mut shard.copies[position];
    copy.state = CopyState::Initializing;
    copy.node = Some(choice.node);
    copy.allocation_id = Some(allocation_id);
    load.add(choice.node, copy);
    let primary = copy.primary;
    if primary
        && let Some(metadata) = state.indices.get_mut(&id.index.name)
        && let Some(shard) = metadata.shards.get_mut(id.shard as usize)
    {
        shard.primary_term += 1;
    }
}

/// What each node already holds.
#[derive(Default)]
pub(crate) struct Load {
    nodes: BTreeMap<NodeId, NodeLoad>,
    most_recovering: usize,
}

#[derive(Default)]
struct NodeLoad {
    copies: usize,
    primaries: usize,
    recovering: usize,
}

impl Load {
    pub(crate) fn of(state: &ClusterState) -> Self {
        let setting = state.settings.get(CONCURRENT_RECOVERIES);
        let setting = setting.and_then(|value| value.as_str()?.parse().ok());
        let mut load = Self {
            most_recovering: LEAST_ASSIGNED.max(setting.unwrap_or_default()),
            ..Self::default()
        };
        for (_, shard) in state.shards() {
            for copy in &shard.copies {
                if let Some(node) = copy.node {
                    load.add(node, copy);
                }
            }
        }
        load
    }

    fn add(&mut self, node: NodeId, copy: &ShardCopy) {
        let entry = self.nodes.entry(node).or_default();
        entry.copies += 1;
        entry.primaries += usize::from(copy.primary);
        let from_peer =
            copy.state == CopyState::Initializing && copy.recovery_source == RecoverySource::Peer;
        entry.recovering += usize::from(from_peer);
    }

    fn copies(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, |load| load.copies)
    }

    fn primaries(&self, node: NodeId) -> usize {
        self.nodes.get(&node).map_or(0, |load| load.primaries)
    }

    pub(crate) fn may_recover(&self, node: NodeId) -> bool {
        self.nodes
            .get(&node)
            .is_none_or(|load| load.recovering < self.most_recovering)
    }
}
