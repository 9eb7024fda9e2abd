//! What the node decides about an engine.

use std::time::Duration;

use ringwall_base::ByteSizeValue;

use crate::translog::LostTail;

/// Settings of one shard copy.
#[derive(Debug, Clone)]
pub struct ShardOptions {
    /// `index.gc_deletes`: how long a delete keeps its version number.
    pub gc_deletes: Duration,
    /// `index.translog.flush_threshold_size`.
    pub flush_threshold: ByteSizeValue,
    /// `index.translog.retention.size`: flushed operations kept for recovering other copies.
    pub translog_retention: ByteSizeValue,
    /// A translog generation is ended when larger.
    pub generation_threshold: ByteSizeValue,
    /// How many writes are remembered, to recognise those that are sent again.
    pub remembered_writes: usize,
    /// Memory for documents not yet written to segments; at least 15 MB.
    pub indexing_memory: ByteSizeValue,
    /// So many segments of about one size are merged into one; `None`: segments are never merged.
    pub segments_per_merge: Option<usize>,
    /// Whether to open a copy that has lost operations which it had synced.
    pub lost_tail: LostTail,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self {
            gc_deletes: Duration::from_secs(60),
            flush_threshold: ByteSizeValue::from_mb(512),
            translog_retention: ByteSizeValue::from_mb(512),
            generation_threshold: ByteSizeValue::from_mb(64),
            remembered_writes: 50_000,
            indexing_memory: ByteSizeValue::from_mb(32),
            segments_per_merge: Some(8),
            lost_tail: LostTail::Refuse,
        }
    }
}
