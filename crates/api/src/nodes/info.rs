//! What nodes are. Source: Elasticsearch reference, "Nodes info API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
