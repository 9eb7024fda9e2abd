//! Copies moved by hand. Source: Elasticsearch reference, "Cluster reroute API".

use serde::{Deserialize, Serialize};

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
