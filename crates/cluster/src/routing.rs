//! Which node holds which copy of a shard, and in what state.

use ringwall_base::{AllocationId, NodeId};
use serde::{Deserialize, Serialize};

/// The shards of an index, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndexRouting {
    pub shards: Vec<ShardRouting>,
}

/// The copies of a shard: as many as the settings ask for, assigned or not. Exactly one is primary.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardRouting {
    pub copies: Vec<ShardCopy>,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyState {
    /// On no node.
    Unassigned,
    /// Recovering on its node.
    Initializing,
    /// Serving.
    Started,
}

/// Where an initializing copy gets its data. Source: Elasticsearch reference, "Index recovery settings".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoverySource {
    /// A new, empty primary.
    EmptyStore,
    /// What the node already has on disk: an in-sync copy that returns as primary.
    ExistingStore,
    /// The primary.
    Peer,
    /// What the node already has on disk, although acknowledged writes may be missing in it: an
    /// operator has decided so.
    StaleStore,
}

/// One copy of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCopy {
    pub primary: bool,
    pub state: CopyState,
    /// `None` exactly when unassigned.
    pub node: Option<NodeId>,
    /// `None` exactly when unassigned.
    pub allocation_id: Option<AllocationId>,
    pub recovery_source: RecoverySource,
    /// Why the copy is not serving; `None` exactly when started.
    pub unassigned: Option<UnassignedInfo>,
    /// The copy that is to leave its node, and does once this one serves. Such a copy is one more than the settings ask
    /// for, and only ever initializing.
    #[serde(default)]
    pub replaces: Option<AllocationId>,
}

/// Why and since when a copy is not serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnassignedInfo {
    pub reason: UnassignedReason,
    pub details: String,
    /// Milliseconds since the epoch.
    pub since_ms: u64,
    /// Not before this time on another node than `last_node`: the node may come back.
    pub delayed_until_ms: Option<u64>,
    /// The node that held the copy, whose files make recovery short.
    pub last_node: Option<NodeId>,
    /// In a row.
    pub failed_allocations: u32,
}

/// Source: the published names of `unassigned.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnassignedReason {
    IndexCreated,
    ReplicaAdded,
    NodeLeft,
    NodeRestarting,
    AllocationFailed,
    PrimaryFailed,
}

impl UnassignedReason {
    /// Returns the name shown by `_cat/shards`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IndexCreated => "INDEX_CREATED",
            Self::ReplicaAdded => "REPLICA_ADDED",
            Self::NodeLeft => "NODE_LEFT",
            Self::NodeRestarting => "NODE_RESTARTING",
            Self::AllocationFailed => "ALLOCATION_FAILED",
            Self::PrimaryFailed => "PRIMARY_FAILED",
        }
    }
}

impl ShardRouting {
    /// Returns the primary copy, which every shard has, assigned or not.
    pub fn primary(&self) -> Option<&ShardCopy> {
        self.copies.iter().find(|copy| copy.primary)
    }

    /// Returns the primary's node and allocation id once it serves.
    pub fn active_primary(&self) -> Option<(NodeId, &AllocationId)> {
        let primary = self.primary()?;
        if primary.state != CopyState::Started {
            return None;
        }
        Some((primary.node?, primary.allocation_id.as_ref()?))
    }

    /// Returns the copies that serve reads.
    pub fn active(&self) -> impl Iterator<Item = &ShardCopy> {
        self.copies.iter().filter(|copy| copy.is_active())
    }

    /// Returns the copy with that allocation id.
    pub fn copy(&self, allocation_id: &AllocationId) -> Option<&ShardCopy> {
        self.copies
            .iter()
            .find(|copy| copy.allocation_id.as_ref() == Some(allocation_id))
    }
}

impl ShardCopy {
    /// Returns a copy that is on no node.
    pub fn unassigned(primary: bool, source: RecoverySource, info: UnassignedInfo) -> Self {
        Self {
            primary,
            state: CopyState::Unassigned,
            node: None,
            allocation_id: None,
            recovery_source: source,
            unassigned: Some(info),
            replaces: None,
        }
    }

    /// Returns whether the copy is on its way to take the place of another.
    pub fn is_moving(&self) -> bool {
        self.replaces.is_some()
    }

    /// Returns whether the copy serves.
    pub fn is_active(&self) -> bool {
        self.state == CopyState::Started
    }
}

impl UnassignedInfo {
    /// Returns the reason with nothing known beyond it.
    pub fn new(reason: UnassignedReason, details: impl Into<String>, since_ms: u64) -> Self {
        Self {
            reason,
            details: details.into(),
            since_ms,
            delayed_until_ms: None,
            last_node: None,
            failed_allocations: 0,
        }
    }
}
