//! How many copies are active. Source: Elasticsearch reference, "Cluster health API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Green: every copy active. Yellow: every primary active. Red: some primary is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    Green,
    Yellow,
    Red,
}

impl HealthStatus {
    /// Returns the lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// `GET /_cluster/health[/{index}]`: answers when every condition holds or time is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthRequest {
    pub indices: IndicesTarget,
    pub wait_for_status: Option<HealthStatus>,
    /// `3`, `>=3`, `ge(3)`, `<4`...
    pub wait_for_nodes: Option<String>,
    pub wait_for_no_relocating_shards: bool,
    pub wait_for_no_initializing_shards: bool,
    /// A number of active shards; `None` does not wait, `Some(u32::MAX)` means all.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
    /// How long to wait for a master to be known.
    pub master_timeout_ms: u64,
}

/// Source: Elasticsearch reference, "Cluster health API" and the published response shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthResponse {
    pub cluster_name: String,
    pub status: HealthStatus,
    pub timed_out: bool,
    pub number_of_nodes: u32,
    pub number_of_data_nodes: u32,
    pub active_primary_shards: u32,
    pub active_shards: u32,
    pub relocating_shards: u32,
    pub initializing_shards: u32,
    pub unassigned_shards: u32,
    pub delayed_unassigned_shards: u32,
    pub number_of_pending_tasks: u32,
    pub indices: BTreeMap<String, IndexHealth>,
}

/// Health of one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexHealth {
    pub status: HealthStatus,
    pub number_of_shards: u32,
    pub number_of_replicas: u32,
    pub active_primary_shards: u32,
    pub active_shards: u32,
    pub relocating_shards: u32,
    pub initializing_shards: u32,
    pub unassigned_shards: u32,
    /// By number.
    pub shards: Vec<ShardHealth>,
}

/// Health of one shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardHealth {
    pub status: HealthStatus,
    pub primary_active: bool,
    pub active_shards: u32,
    pub relocating_shards: u32,
    pub initializing_shards: u32,
    pub unassigned_shards: u32,
}
