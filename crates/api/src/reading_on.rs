//! Reading on: scrolls and points in time, which keep what a search sees open on the nodes that hold the shards.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::ShardFailure;

/// The next page of a search that was begun with `scroll`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrollRequest {
    pub scroll_id: String,
    /// How long the scroll is kept from now on, milliseconds; `None`: as it was asked for last.
    pub keep_alive_ms: Option<u64>,
}

/// Ends scrolls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearScrollRequest {
    pub scroll_ids: Vec<String>,
}

/// Ends every scroll of the cluster, whoever began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearAllScrollsRequest {}

/// What was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearedContexts {
    /// Shards on which something was open.
    pub freed: u64,
}

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
