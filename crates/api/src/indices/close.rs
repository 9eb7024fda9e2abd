//! Indices closed and opened. Source: Elasticsearch reference, "Close index API", "Open index API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Closes indices: nothing in them is read or written until they are opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloseIndexRequest {
    pub indices: IndicesTarget,
    /// Copies to wait for; `None` as the index says.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
}

/// The indices that were open before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloseIndexResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
    pub indices: Vec<String>,
}

/// Opens closed indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIndexRequest {
    pub indices: IndicesTarget,
    /// Copies to wait for; `None` as the index says.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
}

/// See [`OpenIndexRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIndexResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
}
