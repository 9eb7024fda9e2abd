//! The cluster state: nodes, indices, users, and which node holds which copy of which shard.
//!
//! Entry point: [`ClusterState::apply`], which takes one [`Command`] that consensus has committed
//! and changes the state in the same way on every node. Time and randomness arrive inside the
//! command; there is no clock, no randomness and no I/O here, and no map whose order varies.
//!
//! What is absent on purpose: tantivy, sockets, consensus. A mapping is opaque JSON here; the
//! leader validates and merges it before it proposes the result.

pub mod aliases;
mod allocation;
mod apply;
pub mod blocks;
pub mod command;
mod deciders;
mod disks;
pub mod explain;
pub mod health;
pub mod index_settings;
pub mod known;
pub mod metadata;
pub mod names;
pub mod nodes;
pub mod render;
mod reroute;
pub mod routing;
mod security;
mod shared_map;
mod snapshot;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod transport_tls;

use std::collections::BTreeMap;

use ringwall_base::{IndexId, NodeId, ShardId};
use serde::{Deserialize, Serialize};

pub use aliases::{AliasMetadata, Aliases};
pub use command::{Change, Command, Outcome};
pub use deciders::{ALLOCATION_ENABLE, ENABLE, check_node_attribute, settings_read};
pub use disks::DiskLevel;
pub use known::{KnownNode, KnownNodes};
pub use metadata::{ClusterSettings, IndexMetadata, SecurityMetadata};
pub use nodes::NodeRecord;
pub use routing::{CopyState, IndexRouting, RecoverySource, ShardCopy, ShardRouting};
pub use shared_map::SharedMap;
pub use snapshot::SnapshotError;
pub use templates::Templates;

/// Everything the nodes of a cluster agree on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClusterState {
    /// Grows by one with every change.
    pub version: u64,
    pub cluster_name: String,
    /// Set once, when the cluster forms.
    pub cluster_uuid: Option<String>,
    pub nodes: BTreeMap<NodeId, NodeRecord>,
    /// The keys of those that are in the cluster or have been.
    #[serde(default)]
    pub known_nodes: KnownNodes,
    /// By index name.
    pub indices: SharedMap<String, IndexMetadata>,
    /// By index name; has an entry for exactly the names in `indices`.
    pub routing: SharedMap<String, IndexRouting>,
    pub security: SecurityMetadata,
    #[serde(default)]
    pub templates: Templates,
    #[serde(default)]
    pub settings: ClusterSettings,
    /// How full the disks are; a node that is not here has enough room.
    #[serde(default)]
    pub disks: BTreeMap<NodeId, DiskLevel>,
    /// Since when some links between nodes may be encrypted and others not; milliseconds since the epoch.
    #[serde(default)]
    pub transport_tls_mixed_since_ms: Option<u64>,
}

impl ClusterState {
    /// Returns the index of that exact name and UUID.
    pub fn index(&self, id: &IndexId) -> Option<&IndexMetadata> {
        self.indices
            .get(&id.name)
            .filter(|metadata| metadata.id.uuid == id.uuid)
    }

    /// Returns the copies of a shard, if its index exists under the same UUID.
    pub fn shard(&self, id: &ShardId) -> Option<&ShardRouting> {
        self.index(&id.index)?;
        self.routing
            .get(&id.index.name)?
            .shards
            .get(id.shard as usize)
    }

    /// Returns every shard with its copies, in order of index name and number.
    pub fn shards(&self) -> impl Iterator<Item = (ShardId, &ShardRouting)> {
        self.routing.iter().flat_map(|(name, routing)| {
            let index = self.indices[name].id.clone();
            routing
                .shards
                .iter()
                .enumerate()
                .map(move |(number, shard)| {
                    let id = ShardId {
                        index: index.clone(),
                        shard: number as u32,
                    };
                    (id, shard)
                })
        })
    }

    /// Returns the copies that a node is to hold.
    pub fn copies_on(&self, node: NodeId) -> impl Iterator<Item = (ShardId, &ShardCopy)> {
        self.shards().flat_map(move |(id, shard)| {
            shard
                .copies
                .iter()
                .filter(move |copy| copy.node == Some(node))
                .map(move |copy| (id.clone(), copy))
        })
    }
}
