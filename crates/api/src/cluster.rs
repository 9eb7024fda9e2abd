//! The cluster as a whole: who is in it, how it fares, which TLS certificates it uses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;
use crate::search::SearchCounts;

/// `GET /`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MainRequest;

/// Names of the node and the cluster that answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MainResponse {
    pub node_name: String,
    pub cluster_name: String,
    /// `_na_` until the cluster has formed.
    pub cluster_uuid: String,
}

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

/// `GET /_cluster/state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStateRequest {
    /// `_all` or any of `version`, `master_node`, `nodes`, `metadata`, `routing_table`,
    /// `routing_nodes`, `blocks`.
    pub metrics: Vec<String>,
    pub indices: IndicesTarget,
}

/// The state in Elasticsearch's JSON shape, secrets left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStateResponse {
    pub state: Value,
}

/// `GET /_cluster/settings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetClusterSettingsRequest {
    pub include_defaults: bool,
}

/// Flat keys; values are texts or lists of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetClusterSettingsResponse {
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
    /// Those of the node that answers, if asked for.
    pub defaults: Option<BTreeMap<String, Value>>,
}

/// `PUT /_cluster/settings`: flat keys; null resets, and a key may be a pattern with `*` then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutClusterSettingsRequest {
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
    pub timeout_ms: u64,
}

/// What was set, not what was reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutClusterSettingsResponse {
    pub acknowledged: bool,
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
}

/// `POST /_cluster/reroute`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterRerouteRequest {
    pub commands: Vec<RerouteCommand>,
    /// Only tells what would be.
    pub dry_run: bool,
    /// Tells of each command whether it can be done, instead of failing at the first that cannot.
    pub explain: bool,
    pub retry_failed: bool,
    pub timeout_ms: u64,
}

/// A primary that an operator puts on a node although what was acknowledged may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerouteCommand {
    pub kind: ForcedPrimary,
    pub index: String,
    pub shard: u32,
    /// Name or id.
    pub node: String,
    pub accept_data_loss: bool,
}

/// What the primary is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForcedPrimary {
    /// What the node has on disk.
    Stale,
    /// Nothing.
    Empty,
}

impl ForcedPrimary {
    /// Returns the name of the command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "allocate_stale_primary",
            Self::Empty => "allocate_empty_primary",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterRerouteResponse {
    pub acknowledged: bool,
    /// Why each command cannot be done, or `None` for one that can; if explanations were asked for.
    pub explanations: Option<Vec<Option<String>>>,
}

/// `GET /_cluster/pending_tasks`: changes of the cluster state that are asked for and not made yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTasksRequest;

/// Those that have waited longest first. A node that does not answer is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PendingTasksResponse {
    pub tasks: Vec<PendingTask>,
}

/// A change of the cluster state that is not made yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTask {
    /// Grows with the changes that its node asks for.
    pub insert_order: u64,
    /// What it changes.
    pub source: String,
    pub in_queue_ms: u64,
}

/// `GET /_nodes`: what each node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesInfoRequest {
    /// Node filters: ids, names, `_local`, `_master`, `_all`; empty means all.
    pub nodes: Vec<String>,
    /// Whether to ask each node what only it knows.
    pub asks: bool,
}

/// One entry per node, by node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesInfoResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, NodeInfo>,
}

/// A node as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    pub name: String,
    /// `ip:port` for other nodes.
    pub transport_address: String,
    /// `ip:port` for clients, if HTTP is on.
    pub http_address: Option<String>,
    pub version: String,
    /// `master`, `data`, `ingest`...
    pub roles: Vec<String>,
    pub attributes: BTreeMap<String, String>,
    pub is_master: bool,
    /// What only the node knows; `None` if it was not asked, or did not answer.
    pub own: Option<OwnInfo>,
}

/// What a node tells of itself alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnInfo {
    /// Where its transport profiles listen, by name, `default` among them.
    pub profiles: BTreeMap<String, ProfileAddresses>,
    /// Where it listens for clients, each an `ip:port`.
    pub http_bound: Vec<String>,
    pub max_content_length: u64,
    /// The settings it was started with that may be shown, by key: texts and lists of texts.
    pub settings: BTreeMap<String, Value>,
}

/// Where a transport profile listens; each an `ip:port` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileAddresses {
    pub bound: Vec<String>,
    pub published: String,
}

/// `GET /_nodes/stats`: what each node uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesStatsRequest {
    pub nodes: Vec<String>,
}

/// One entry per node that answered, by node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesStatsResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, NodeStats>,
}

/// `GET /_cluster/stats`: what nodes use, and what the indices of the whole cluster hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatsRequest {
    /// As of [`NodesInfoRequest`].
    pub nodes: Vec<String>,
}

/// See [`ClusterStatsRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatsResponse {
    pub cluster_name: String,
    pub cluster_uuid: String,
    /// Milliseconds since the epoch.
    pub timestamp_ms: u64,
    pub status: HealthStatus,
    pub indices: Vec<IndexCounts>,
    /// How often each type of field occurs, and in how many indices.
    pub field_types: BTreeMap<String, (u64, u64)>,
    /// Those asked, with what they told; `None` of one that did not answer.
    pub nodes: Vec<(NodeInfo, Option<NodeTotals>)>,
}

/// Copies of an index that are at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexCounts {
    pub primaries: u64,
    /// Primaries among them.
    pub copies: u64,
}

/// What a node tells for the whole cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeTotals {
    pub stats: NodeStats,
    /// In primaries, as the next.
    pub docs: u64,
    pub deleted_docs: u64,
    /// In all copies.
    pub segments: u64,
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
    pub docs: u64,
    pub store_bytes: u64,
    #[serde(default)]
    pub search: SearchCounts,
    pub http: HttpCounts,
    pub transport: TransportCounts,
    #[serde(default)]
    pub breakers: Vec<BreakerStats>,
    #[serde(default)]
    pub indexing_pressure: IndexingPressureStats,
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
}

/// Where every shard copy is, for `_cat/shards` and `_cat/indices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardTableRequest {
    pub indices: IndicesTarget,
}

/// One row per shard copy, assigned or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardTableResponse {
    pub rows: Vec<ShardRow>,
    /// One row per index.
    pub indices: Vec<IndexRow>,
}

/// A shard copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRow {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    /// `STARTED`, `INITIALIZING`, `RELOCATING` or `UNASSIGNED`.
    pub state: String,
    pub node_id: Option<String>,
    pub node_name: Option<String>,
    pub node_ip: Option<String>,
    pub docs: Option<u64>,
    pub store_bytes: Option<u64>,
    pub unassigned_reason: Option<String>,
}

/// An index with totals over its shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexRow {
    pub index: String,
    pub uuid: String,
    #[serde(default)]
    pub closed: bool,
    pub health: HealthStatus,
    pub primaries: u32,
    pub replicas: u32,
    /// Documents in primaries.
    pub docs: u64,
    pub deleted_docs: u64,
    pub store_bytes: u64,
    pub primary_store_bytes: u64,
}

/// `GET /_ssl/certificates`, of the node that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SslCertificatesRequest;

/// Source: Elasticsearch reference, "SSL certificate API": an array of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SslCertificatesResponse {
    pub certificates: Value,
}
