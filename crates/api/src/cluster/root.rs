//! Names of the node that answers and of its cluster.

use serde::{Deserialize, Serialize};

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
