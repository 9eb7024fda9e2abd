//! Why copies are where they are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks why a copy is where it is, or on no node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllocationExplainRequest {
    /// `None`: any that is on no node.
    pub copy: Option<ExplainedCopy>,
    /// Tells of rules that allow, too.
    pub with_yes: bool,
}

/// A copy that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedCopy {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    /// Name or id of the node that it is on.
    pub current_node: Option<String>,
}

/// The answer in the form that clients see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllocationExplainResponse {
    pub explanation: Value,
}
