//! The nodes that the cluster knows by their keys, and those that wait to be let in.

use serde::{Deserialize, Serialize};

/// `GET /_membership`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRequest {}

/// Who is known, and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipResponse {
    /// Setting `cluster.membership.approval`.
    pub approval: bool,
    pub nodes: Vec<MemberInfo>,
    pub waiting: Vec<WaitingNode>,
}

/// A node that is in the cluster or has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    pub id: String,
    pub name: String,
    /// `None` of a version without keys: anybody may come with its id.
    pub key: Option<String>,
    /// When it became known, milliseconds since the epoch.
    pub since_ms: Option<u64>,
    /// Since when it is not in the cluster; `None` while it is.
    pub away_since_ms: Option<u64>,
}

/// A node that is new and has asked to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingNode {
    pub id: String,
    pub name: String,
    pub key: String,
    /// Where it says that it listens for nodes.
    pub transport_address: String,
    /// When it asked last, milliseconds since the epoch.
    pub asked_ms: u64,
}

/// `POST /_membership/{id}/_approve`: lets a node in that holds this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproveNodeRequest {
    pub id: String,
    pub key: String,
    pub timeout_ms: u64,
}

/// `DELETE /_membership/{id}`: forgets the key of a node that is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetNodeRequest {
    pub id: String,
    pub timeout_ms: u64,
}

/// Whether every node has taken the change over in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipChanged {
    pub acknowledged: bool,
}
