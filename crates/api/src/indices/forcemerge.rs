//! Merging segments. Source: Elasticsearch reference, "Force merge API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::cluster::TaskId;
use crate::indices::BroadcastResponse;

/// Merges segments of every copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForceMergeRequest {
    pub indices: IndicesTarget,
    /// At most so many segments stay; `None`: merging is left to what the node does by itself.
    pub max_segments: Option<u32>,
    /// Only segments with many deleted documents are written anew.
    pub only_expunge_deletes: bool,
    /// Flushes afterwards.
    pub flush: bool,
    /// `false`: the answer is the task that merges.
    pub wait_for_completion: bool,
}

/// What was merged, or the task that does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ForceMergeResponse {
    Done(BroadcastResponse),
    Started(TaskId),
}
