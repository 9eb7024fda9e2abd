//! The cluster in sums. Source: Elasticsearch reference, "Cluster stats API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cluster::HealthStatus;
use crate::nodes::{NodeInfo, NodeStats};

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
