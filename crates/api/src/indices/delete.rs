//! Indices removed. Source: Elasticsearch reference, "Delete index API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Deletes indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteIndexRequest {
    pub indices: IndicesTarget,
    pub timeout_ms: u64,
}
