//! Why a copy is where it is, or on no node: the rules of [`crate::allocation`], each with what it says.
//! Source of the names: Elasticsearch reference, "Cluster allocation explain API".

use ringwall_base::{NodeId, ShardId};

use crate::ClusterState;
use crate::allocation::{Load, retried_at_ms};
use crate::deciders::Deciders;
use crate::disks::DiskLevel;
use crate::nodes::NodeRecord;
use crate::routing::{CopyState, RecoverySource, ShardCopy, ShardRouting};

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Yes,
    /// Not now.
    Throttle,
    No,
}

/// A rule and what it says of a copy and a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub decider: &'static str,
    pub verdict: Verdict,
    pub explanation: String,
}

/// What all rules say of a copy and a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDecision {
    pub node: NodeId,
    pub decisions: Vec<Decision>,
}

impl NodeDecision {
    /// Returns what the rules say together.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.decisions.iter().map(|decision| decision.verdict);
        verdicts.max().unwrap_or(Verdict::Yes)
    }
}

/// See [`ClusterState::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Of every node that holds data, in order of id.
    pub nodes: Vec<NodeDecision>,
    /// Of one that serves: whether it may stay where it is.
    pub may_stay: Option<NodeDecision>,
    /// It waits for its node until then, milliseconds since the epoch.
    pub delayed_until_ms: Option<u64>,
    /// The primary has history, and no node that is there holds a copy with all of it.
    pub no_valid_copy: bool,
}

impl ClusterState {
    /// Returns why a copy of a shard, by its place among the copies, is where it is or on no node; `None` when there is
    /// no such copy.
    pub fn explain(&self, id: &ShardId, position: usize, now_ms: u64) -> Option<Explanation> {
        let shard = self.shard(id)?;
        let copy = shard.copies.get(position)?;
        let metadata = self.index(&id.index)?;
        let question = Question {
            state: self,
            id,
            shard,
            copy,
            now_ms,
            retries: metadata.settings.max_allocation_retries(),
            deciders: Deciders::of(self, metadata),
            load: Load::of(self),
        };
        let data_nodes = self.nodes.values().filter(|node| node.is_data());
        let delayed = copy.unassigned.as_ref().filter(|info| {
            let last = info.last_node;
            last.is_some_and(|node| !self.nodes.contains_key(&node))
        });
        let delayed_until_ms = delayed.and_then(|info| info.delayed_until_ms);
        Some(Explanation {
            nodes: data_nodes
                .filter(|node| copy.node != Some(node.id))
                .map(|node| question.of(node))
                .collect(),
            may_stay: match copy.state {
                CopyState::Started => copy.node.map(|node| question.may_stay(node)),
                CopyState::Initializing | CopyState::Unassigned => None,
            },
            delayed_until_ms: delayed_until_ms.filter(|until| !copy.primary && now_ms < *until),
            no_valid_copy: question.has_history() && !question.in_sync_nodes().any(|_| true),
        })
    }
}

struct Question<'a> {
    state: &'a ClusterState,
    id: &'a ShardId,
    shard: &'a ShardRouting,
    copy: &'a ShardCopy,
    now_ms: u64,
    retries: u32,
    deciders: Deciders<'a>,
    load: Load,
}

impl Question<'_> {
    /// An unassigned primary that has been somewhere.
    fn has_history(&self) -> bool {
        let is_new = self.copy.recovery_source == RecoverySource::EmptyStore;
        self.copy.primary && self.copy.state == CopyState::Unassigned && !is_new
    }

    /// Nodes that are there and hold a copy with everything that was acknowledged.
    fn in_sync_nodes(&self) -> impl Iterator<Item = NodeId> {
        let metadata = self.state.index(&self.id.index);
        let shard = metadata.and_then(|index| index.shards.get(self.id.shard as usize));
        let nodes = shard.into_iter().flat_map(|shard| shard.in_sync.values());
        nodes
            .copied()
            .filter(|node| self.state.nodes.get(node).is_some_and(NodeRecord::is_data))
    }

    fn of(&self, node: &NodeRecord) -> NodeDecision {
        let decisions = match self.copy.state {
            CopyState::Unassigned => vec![
                self.tries(),
                self.primary_first(),
                self.enabled(),
                self.filters(node),
                self.one_on_each(node),
                self.disk(node),
                self.history(node),
                self.recoveries(node),
            ],
            _ => vec![
                self.filters(node),
                self.one_on_each(node),
                self.disk(node),
                self.recoveries(node),
            ],
        };
        NodeDecision {
            node: node.id,
            decisions,
        }
    }

    fn may_stay(&self, node: NodeId) -> NodeDecision {
        let decisions = match self.state.nodes.get(&node) {
            Some(node) => vec![self.filters(node), self.disk_for_staying(node)],
            None => Vec::new(),
        };
        NodeDecision { node, decisions }
    }

    fn tries(&self) -> Decision {
        let info = self.copy.unassigned.as_ref();
        let failures = info.map_or(0, |info| info.failed_allocations);
        let again = info.and_then(|info| retried_at_ms(info, self.retries));
        match again.filter(|at| self.now_ms < *at) {
            Some(at) => no(
                "max_retry",
                format!(
                    "the copy has failed to start [{failures}] times in a row and is tried again in [{}s], or by [POST \
                     /_cluster/reroute?retry_failed=true]; the last failure: [{}]",
                    (at - self.now_ms).div_ceil(1_000),
                    info.map(|info| info.details.as_str()).unwrap_or_default()
                ),
            ),
            None => yes(
                "max_retry",
                format!("the copy has failed to start [{failures}] times in a row"),
            ),
        }
    }

    fn primary_first(&self) -> Decision {
        match self.copy.primary || self.shard.active_primary().is_some() {
            true => yes("replica_after_primary_active", "the primary serves"),
            false => no(
                "replica_after_primary_active",
                "the primary of this replica does not serve yet",
            ),
        }
    }

    fn enabled(&self) -> Decision {
        match self.deciders.may_assign(self.copy) {
            true => yes("enable", "allocation is allowed"),
            false => no(
                "enable",
                "allocation is switched off by [cluster.routing.allocation.enable] or \
                 [index.routing.allocation.enable]",
            ),
        }
    }

    fn filters(&self, node: &NodeRecord) -> Decision {
        match self.has_history() || self.deciders.lets_in(node.id) {
            true => yes("filter", "node passes include/exclude/require filters"),
            false => no(
                "filter",
                "node does not pass the filters [cluster.routing.allocation.*] and [index.routing.allocation.*]",
            ),
        }
    }

    fn one_on_each(&self, node: &NodeRecord) -> Decision {
        match self
            .shard
            .copies
            .iter()
            .any(|copy| copy.node == Some(node.id))
        {
            true => no("same_shard", "a copy of this shard is on this node already"),
            false => yes("same_shard", "no copy of this shard is on this node"),
        }
    }

    /// A primary with history goes where it lies, whatever keeps copies off.
    fn disk(&self, node: &NodeRecord) -> Decision {
        let is_new = self.copy.primary && self.copy.recovery_source == RecoverySource::EmptyStore;
        match self.state.disk_level(node.id) {
            _ if self.has_history() => yes("disk_threshold", "the copy is there already"),
            DiskLevel::Enough => yes("disk_threshold", "there is enough room on the disk"),
            DiskLevel::Low if is_new => yes(
                "disk_threshold",
                "the disk is above the low watermark, and the copy is new and empty",
            ),
            DiskLevel::Low => no("disk_threshold", "the disk is above the low watermark"),
            DiskLevel::High => no("disk_threshold", "the disk is above the high watermark"),
            DiskLevel::Flood => no(
                "disk_threshold",
                "the disk is above the flood stage watermark",
            ),
        }
    }

    fn disk_for_staying(&self, node: &NodeRecord) -> Decision {
        match self.state.disk_level(node.id) {
            DiskLevel::Enough | DiskLevel::Low => {
                yes("disk_threshold", "the disk is below the high watermark")
            }
            DiskLevel::High | DiskLevel::Flood => {
                no("disk_threshold", "the disk is above the high watermark")
            }
        }
    }

    fn history(&self, node: &NodeRecord) -> Decision {
        let holds = || self.in_sync_nodes().any(|holder| holder == node.id);
        match !self.has_history() || holds() {
            true => yes("in_sync", "no copy that is elsewhere is needed"),
            false => no(
                "in_sync",
                "the node has no copy that holds every acknowledged write",
            ),
        }
    }

    fn recoveries(&self, node: &NodeRecord) -> Decision {
        match self.copy.primary || self.load.may_recover(node.id) {
            true => yes("throttling", "the node may recover another copy"),
            false => Decision {
                decider: "throttling",
                verdict: Verdict::Throttle,
                explanation: "as many copies recover on the node as may at a time".to_owned(),
            },
        }
    }
}

fn yes(decider: &'static str, explanation: impl Into<String>) -> Decision {
    Decision {
        decider,
        verdict: Verdict::Yes,
        explanation: explanation.into(),
    }
}

fn no(decider: &'static str, explanation: impl Into<String>) -> Decision {
    Decision {
        decider,
        verdict: Verdict::No,
        explanation: explanation.into(),
    }
}
