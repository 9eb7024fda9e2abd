//! Searches of what was there at one time. Source: Elasticsearch reference, "Point in time API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::ShardFailure;

/// Opens a point in time over indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenPitRequest {
    pub indices: IndicesTarget,
    /// Milliseconds.
    pub keep_alive_ms: u64,
    pub routing: Option<String>,
    pub preference: Option<String>,
    /// Whether shards may lack.
    pub allow_partial: bool,
}

/// A point in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenPitResponse {
    pub id: String,
    pub shards: ShardCounts,
    pub failures: Vec<ShardFailure>,
}

/// Ends a point in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosePitRequest {
    pub id: String,
}

/// A search in a point in time. What it covers, and by which names, is known where the point in time is open: each
/// node checks the caller's right to it there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PitSearchRequest {
    /// As that of a search, with the member `pit`.
    pub body: Value,
    pub typed_keys: bool,
    pub allow_partial_results: Option<bool>,
}
