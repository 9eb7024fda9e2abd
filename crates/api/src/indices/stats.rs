//! How copies fare. Source: Elasticsearch reference, "Index stats API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::{SearchCounts, ShardFailure};

/// Asks every copy for its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndicesStatsRequest {
    pub indices: IndicesTarget,
}

/// One entry per shard copy that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndicesStatsResponse {
    pub counts: ShardCounts,
    pub shards: Vec<ShardStats>,
    pub failures: Vec<ShardFailure>,
}

/// Numbers of one shard copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardStats {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    /// The node id that holds the copy.
    pub node: String,
    /// Live documents visible to search.
    pub docs: u64,
    pub deleted_docs: u64,
    pub store_bytes: u64,
    pub translog_ops: u64,
    pub max_seq_no: i64,
    pub local_checkpoint: i64,
    pub global_checkpoint: i64,
    pub segments: u64,
    #[serde(default)]
    pub search: SearchCounts,
}
