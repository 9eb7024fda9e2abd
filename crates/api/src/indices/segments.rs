//! Segments of copies. Source: Elasticsearch reference, "Index segments API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::ShardFailure;

/// Asks every copy for its segments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentsRequest {
    pub indices: IndicesTarget,
}

/// One entry per shard copy that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentsResponse {
    pub counts: ShardCounts,
    pub copies: Vec<CopySegments>,
    pub failures: Vec<ShardFailure>,
}

/// The segments of a shard copy: all are searched, and in the last commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopySegments {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    /// The node id that holds the copy.
    pub node: String,
    pub segments: Vec<Segment>,
}

/// A part of the search index that is never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Unique in the copy.
    pub name: String,
    pub docs: u64,
    pub deleted_docs: u64,
    pub bytes: u64,
    /// Of the search library that reads it.
    pub version: String,
}
