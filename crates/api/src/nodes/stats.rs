//! How nodes fare. Source: Elasticsearch reference, "Nodes stats API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::indices::{CopyNumbers, ShardStats};

/// `GET /_nodes/stats`: what each node uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesStatsRequest {
    pub nodes: Vec<String>,
    /// Also tells of each shard copy.
    pub by_copy: bool,
}

/// One entry per node that answered, by node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesStatsResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, NodeStats>,
}

/// Numbers of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStats {
    pub name: String,
    pub transport_address: String,
    pub roles: Vec<String>,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    pub total_memory_bytes: u64,
    /// 0 to 100.
    pub cpu_percent: u32,
    pub load_average: [f64; 3],
    pub uptime_ms: u64,
    pub open_file_descriptors: u64,
    pub disk_total_bytes: u64,
    pub disk_free_bytes: u64,
    /// Free bytes below which the disk is above the watermarks `low`, `high` and `flood_stage`.
    #[serde(default)]
    pub disk_watermarks: Option<[u64; 3]>,
    /// Why the node must not be relied on, if it must not.
    #[serde(default)]
    pub unhealthy: Option<String>,
    /// Of all copies together.
    pub numbers: CopyNumbers,
    /// Of each, where that was asked for.
    #[serde(default)]
    pub copies: Vec<ShardStats>,
    pub http: HttpCounts,
    pub transport: TransportCounts,
    #[serde(default)]
    pub breakers: Vec<BreakerStats>,
    #[serde(default)]
    pub indexing_pressure: IndexingPressureStats,
    /// `None` where there is no audit log.
    #[serde(default)]
    pub audit: Option<AuditStats>,
    #[serde(default)]
    pub thread_pools: Vec<ThreadPoolStats>,
}

/// Numbers of a bounded pool of threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadPoolStats {
    pub name: String,
    /// The most that run at a time, but for work that takes long and has given way.
    pub threads: u64,
    pub queue: u64,
    pub active: u64,
    /// Since the start, as the next two.
    pub rejected: u64,
    /// The most that were active.
    pub largest: u64,
    pub completed: u64,
}

/// What a circuit breaker has counted, bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakerStats {
    pub name: String,
    pub limit: u64,
    /// Charged at the moment, with the overhead.
    pub estimated: u64,
    pub overhead: f64,
    /// How often it has refused.
    pub tripped: u64,
}

/// How the audit log of a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStats {
    /// Events since the start.
    pub written: u64,
    /// Events since the start that are nowhere.
    pub lost: u64,
    /// Of events that wait for the disk.
    pub queued_bytes: u64,
    /// What the disk says while it takes nothing.
    pub failure: Option<String>,
}

/// Bytes of documents being indexed. Lists are of the stages: coordinating, primary, replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexingPressureStats {
    pub limit: u64,
    /// Coordinating and primary, what is both once.
    pub current_combined: u64,
    pub current: [u64; 3],
    /// Since the start.
    pub total_combined: u64,
    pub total: [u64; 3],
    pub rejections: [u64; 3],
}

/// Connections of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCounts {
    pub open: u64,
    /// Since the start.
    pub opened: u64,
    /// Closed to make room, since the start.
    pub shed: u64,
}

/// Connections between nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportCounts {
    /// Accepted, open, past TLS.
    pub accepted: u64,
    /// Accepted, open, not that far.
    pub handshaking: u64,
    /// Dialled since the start.
    pub dialled: u64,
    /// Messages since the start, requests and responses alike, and their bytes.
    pub received: u64,
    pub received_bytes: u64,
    pub sent: u64,
    pub sent_bytes: u64,
}
