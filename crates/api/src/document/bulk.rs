//! Many documents written. Source: Elasticsearch reference, "Bulk API".

use serde::{Deserialize, Serialize};

use crate::document::{OpType, RefreshPolicy, WriteItem, WriteOutcome};
use crate::{ApiError, Unauthorized};

/// Writes, in request order for each shard, without atomicity across items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BulkRequest {
    pub items: Unauthorized<Vec<WriteItem>>,
    pub refresh: RefreshPolicy,
    /// How long to wait for a primary, in milliseconds; 60,000 by default.
    pub timeout_ms: u64,
    /// Copies that must be active before the write starts; `None` means the primary only,
    /// `Some(u32::MAX)` means all.
    pub wait_for_active_shards: Option<u32>,
}

impl BulkRequest {
    /// Returns what is wrong with the items.
    pub fn problems(&self) -> Vec<String> {
        let items = self.items.peek().iter();
        items.flat_map(WriteItem::problems).collect()
    }

    /// Returns about how many bytes of memory the items take.
    pub fn bytes(&self) -> u64 {
        self.items.peek().iter().map(WriteItem::bytes).sum()
    }

    /// Returns what the answers repeat of each item, with an outcome that says that there was none.
    pub fn unanswered(&self) -> Vec<BulkItemResponse> {
        let unanswered = || ApiError::internal("the shard gave no answer to the item");
        let items = self.items.peek().iter();
        items
            .map(|item| BulkItemResponse {
                op: item.op,
                index: item.index.clone(),
                id: item.id.clone(),
                outcome: Err(unanswered()),
            })
            .collect()
    }
}

/// The answer to a bulk: one per item, in request order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BulkResponse {
    pub took_ms: u64,
    pub items: Vec<BulkItemResponse>,
}

/// The answer to one write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BulkItemResponse {
    pub op: OpType,
    pub index: String,
    pub id: Option<String>,
    pub outcome: Result<WriteOutcome, ApiError>,
}
