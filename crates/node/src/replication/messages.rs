//! What primaries and replicas send one another.

use std::sync::Arc;

use bytes::Bytes;
use ringwall_api::ApiError;
use ringwall_api::document::{RefreshPolicy, WriteOutcome};
use ringwall_base::{AllocationId, SeqNo, ShardId, Term};
use ringwall_transport::NodeAction;
use serde::{Deserialize, Serialize};

use crate::shards::writes::ShardItem;

/// To the node with the primary: the items of a bulk that belong to one shard.
pub const SHARD_BULK: NodeAction<ShardBulkRequest, ShardBulkResponse> =
    NodeAction::new("indices:data/write/bulk[s]");
/// From the primary to every copy.
pub const REPLICATE: NodeAction<ReplicaRequest, ReplicaResponse> =
    NodeAction::new("indices:data/write/bulk[s][r]");
/// From a new primary to every copy, before any operation of its term.
pub const RESYNC: NodeAction<ResyncRequest, ReplicaResponse> =
    NodeAction::new("internal:index/seq_no/resync[r]");
/// From the primary to idle copies: how far every copy has come.
pub const SYNC_CHECKPOINT: NodeAction<CheckpointRequest, ()> =
    NodeAction::new("internal:index/seq_no/global_checkpoint_sync[r]");

/// From the primary to every copy, after writes that wait for a refresh.
pub const REFRESH_COPY: NodeAction<RefreshCopyRequest, ()> =
    NodeAction::new("indices:admin/refresh[r]");

/// See [`REFRESH_COPY`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefreshCopyRequest {
    pub shard: ShardId,
    pub allocation_id: AllocationId,
}

/// See [`SHARD_BULK`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardBulkRequest {
    pub shard: ShardId,
    /// A random number, the same each time that these items are sent: those applied already are recognised by it.
    pub request: u64,
    /// The asker cannot reach the primary's node: whoever gets this passes it on.
    pub relay: bool,
    /// Shared with whoever sends them again if this comes to nothing.
    pub items: Arc<Vec<ShardItem>>,
    pub refresh: RefreshPolicy,
    /// As [`ringwall_api::document::BulkRequest::wait_for_active_shards`].
    pub wait_for_active_shards: Option<u32>,
}

/// One outcome per item, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardBulkResponse {
    pub outcomes: Vec<Result<WriteOutcome, ApiError>>,
}

/// See [`REPLICATE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicaRequest {
    pub shard: ShardId,
    /// The copy meant: a later copy on the same node must not take it.
    pub allocation_id: AllocationId,
    pub primary_term: Term,
    pub global_checkpoint: SeqNo,
    /// The mapping that the operations were made with, which the copy must have too.
    pub mapping_version: u64,
    /// Encoded once for all copies: a `Vec<Operation>`.
    #[serde(with = "ringwall_base::encoding::shared")]
    pub operations: Bytes,
    pub refresh: bool,
}

/// How far the copy has come, durably.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ReplicaResponse {
    pub local_checkpoint: SeqNo,
}

/// See [`RESYNC`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResyncRequest {
    pub shard: ShardId,
    pub allocation_id: AllocationId,
    pub primary_term: Term,
    pub mapping_version: u64,
    /// Operations at or below it are the same on every in-sync copy.
    pub global_checkpoint: SeqNo,
    /// Every operation of the new primary above its global checkpoint: a `Vec<Operation>`.
    #[serde(with = "ringwall_base::encoding::shared")]
    pub operations: Bytes,
}

/// See [`SYNC_CHECKPOINT`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckpointRequest {
    pub shard: ShardId,
    pub allocation_id: AllocationId,
    pub primary_term: Term,
    pub global_checkpoint: SeqNo,
}
