//! Changes of the cluster state that wait. Source: Elasticsearch reference, "Pending cluster tasks API".

use serde::{Deserialize, Serialize};

/// `GET /_cluster/pending_tasks`: changes of the cluster state that are asked for and not made yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTasksRequest;

/// Those that have waited longest first. A node that does not answer is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PendingTasksResponse {
    pub tasks: Vec<PendingTask>,
}

/// A change of the cluster state that is not made yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTask {
    /// Grows with the changes that its node asks for.
    pub insert_order: u64,
    /// What it changes.
    pub source: String,
    pub in_queue_ms: u64,
}
