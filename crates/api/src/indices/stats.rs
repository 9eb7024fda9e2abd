//! How copies fare. Source: Elasticsearch reference, "Index stats API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::{SearchCounts, ShardFailure};

/// Asks every copy for its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndicesStatsRequest {
    pub indices: IndicesTarget,
    /// Counts the segments of closed indices too, which nothing reads.
    pub unloaded_segments: bool,
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
    pub numbers: CopyNumbers,
}

/// Numbers of one shard copy, or of several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyNumbers {
    pub copies: u64,
    /// Live documents visible to search.
    pub docs: u64,
    pub deleted_docs: u64,
    pub segments: u64,
    /// Of the files of segments.
    pub segment_bytes: u64,
    /// Of all files of the search index.
    pub store_bytes: u64,
    /// Since the last flush.
    pub translog_ops: u64,
    pub translog_uncommitted_bytes: u64,
    pub translog_bytes: u64,
    /// How long ago the translog file was written to that was so longest ago.
    pub translog_age_ms: u64,
    /// Of one copy, as the next two.
    pub max_seq_no: i64,
    pub local_checkpoint: i64,
    pub global_checkpoint: i64,
    pub refreshes: u64,
    pub flushes: u64,
    /// Of them, those that nobody asked for.
    pub periodic_flushes: u64,
    pub flush_ms: u64,
    pub search: SearchCounts,
}

impl std::ops::Add for CopyNumbers {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            copies: self.copies + other.copies,
            docs: self.docs + other.docs,
            deleted_docs: self.deleted_docs + other.deleted_docs,
            segments: self.segments + other.segments,
            segment_bytes: self.segment_bytes + other.segment_bytes,
            store_bytes: self.store_bytes + other.store_bytes,
            translog_ops: self.translog_ops + other.translog_ops,
            translog_uncommitted_bytes: self.translog_uncommitted_bytes
                + other.translog_uncommitted_bytes,
            translog_bytes: self.translog_bytes + other.translog_bytes,
            translog_age_ms: self.translog_age_ms.max(other.translog_age_ms),
            max_seq_no: self.max_seq_no.max(other.max_seq_no),
            local_checkpoint: self.local_checkpoint.max(other.local_checkpoint),
            global_checkpoint: self.global_checkpoint.max(other.global_checkpoint),
            refreshes: self.refreshes + other.refreshes,
            flushes: self.flushes + other.flushes,
            periodic_flushes: self.periodic_flushes + other.periodic_flushes,
            flush_ms: self.flush_ms + other.flush_ms,
            search: self.search + other.search,
        }
    }
}

impl std::iter::Sum for CopyNumbers {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), std::ops::Add::add)
    }
}
