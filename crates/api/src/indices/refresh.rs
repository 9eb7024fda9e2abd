//! What is asked of every copy. Source: Elasticsearch reference, "Refresh API", "Flush API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::ShardFailure;

/// Makes every acknowledged write visible to search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefreshRequest {
    pub indices: IndicesTarget,
}

/// Commits the index files and starts a new translog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlushRequest {
    pub indices: IndicesTarget,
}

/// Counts of shard copies that did what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastResponse {
    pub shards: ShardCounts,
    pub failures: Vec<ShardFailure>,
}
