//! What every node knows of the cluster. Source: Elasticsearch reference, "Cluster state API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

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
