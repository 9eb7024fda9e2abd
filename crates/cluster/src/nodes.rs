//! The nodes that are in the cluster.

use std::collections::BTreeMap;

use ringwall_base::NodeId;
use serde::{Deserialize, Serialize};

/// A node as it introduced itself when it joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub id: NodeId,
    /// New with every process: tells a restarted node from one that never left.
    pub ephemeral_id: String,
    pub name: String,
    /// `host:port` for other nodes.
    pub transport_address: String,
    /// `host:port` for clients.
    pub http_address: Option<String>,
    pub version: String,
    /// Sorted: `data`, `master`, `ingest`...
    pub roles: Vec<String>,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl NodeRecord {
    /// Returns whether the node may be elected.
    pub fn is_master_eligible(&self) -> bool {
        self.roles.iter().any(|role| role == "master")
    }

    /// Returns whether the node may hold shards.
    pub fn is_data(&self) -> bool {
        self.roles
            .iter()
            .any(|role| role == "data" || role.starts_with("data_"))
    }
}
