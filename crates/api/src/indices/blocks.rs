//! Blocks put on indices. Source: Elasticsearch reference, "Add index block API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Puts a block on indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddIndexBlockRequest {
    pub indices: IndicesTarget,
    /// `metadata`, `read`, `read_only` or `write`.
    pub block: String,
    pub timeout_ms: u64,
}

/// The indices that did not have the block before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddIndexBlockResponse {
    pub acknowledged: bool,
    /// Writes that began before are over.
    pub shards_acknowledged: bool,
    pub indices: Vec<String>,
}
