//! Where copies of shards lie on disks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::cluster::HealthStatus;

/// Asks every node that holds data what it has on its disk of shards whose health is one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardStoresRequest {
    pub indices: IndicesTarget,
    pub statuses: Vec<HealthStatus>,
}

/// See [`ShardStoresRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardStoresResponse {
    pub shards: Vec<ShardStores>,
    /// Nodes that did not answer, and why.
    pub failures: Vec<(String, crate::ApiError)>,
}

/// The stores of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardStores {
    pub index: String,
    pub shard: u32,
    pub stores: Vec<ShardStore>,
}

/// A copy on the disk of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardStore {
    pub node: StoreNode,
    pub allocation_id: String,
    pub use_of: StoreUse,
}

/// A node that has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreNode {
    pub id: String,
    pub name: String,
    pub ephemeral_id: String,
    pub transport_address: String,
    pub attributes: BTreeMap<String, String>,
    pub roles: Vec<String>,
    pub version: String,
}

/// What a copy on a disk is to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StoreUse {
    Primary,
    Replica,
    Unused,
}

impl StoreUse {
    /// Returns the name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Unused => "unused",
        }
    }
}
