//! What a recovering copy asks of its primary. The target pulls, so it sets the pace.

use bytes::Bytes;
use ringwall_base::{AllocationId, SeqNo, ShardId, Term};
use ringwall_index::engine::{CommitInfo, RecentWrite, SnapshotFile};
use ringwall_transport::NodeAction;
use serde::{Deserialize, Serialize};

/// Begins a recovery: the source decides between operations and files.
pub const START: NodeAction<StartRequest, StartResponse> =
    NodeAction::new("internal:index/shard/recovery/start_recovery");
/// Reads a piece of a file.
pub const FILE_CHUNK: NodeAction<ChunkRequest, Bytes> =
    NodeAction::new("internal:index/shard/recovery/file_chunk");
/// From now on every new operation also goes to the target.
pub const TRACK: NodeAction<StepRequest, StepResponse> =
    NodeAction::new("internal:index/shard/recovery/track");
/// Reads operations in order.
pub const OPERATIONS: NodeAction<OperationsRequest, OperationsResponse> =
    NodeAction::new("internal:index/shard/recovery/translog_ops");
/// The target has all; the source confirms.
pub const FINALIZE: NodeAction<StepRequest, StepResponse> =
    NodeAction::new("internal:index/shard/recovery/finalize");

/// See [`START`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartRequest {
    pub shard: ShardId,
    pub allocation_id: AllocationId,
    pub primary_term: Term,
    /// What the target has on disk from an earlier life, if it can be opened.
    pub existing: Option<ExistingHistory>,
}

/// The history of an earlier life of the copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExistingHistory {
    pub history_uuid: String,
    pub global_checkpoint: SeqNo,
    pub local_checkpoint: SeqNo,
    /// Sequence number and term of every operation above the global checkpoint: the only ones
    /// that may differ from the primary's.
    pub uncertain: Vec<(SeqNo, Term)>,
}

/// How the recovery goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartResponse {
    pub recovery_id: u64,
    pub plan: Plan,
}

/// The source's decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Plan {
    /// The target's history is part of ours: it lacks only operations from here on.
    Operations { from: SeqNo },
    /// The target copies these files, then takes operations from here on.
    Files {
        files: Vec<SnapshotFile>,
        commit: CommitInfo,
        from: SeqNo,
        /// Writes that are in the files and may be sent again.
        recent: Vec<RecentWrite>,
    },
}

/// See [`FILE_CHUNK`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChunkRequest {
    pub recovery_id: u64,
    pub file: String,
    pub offset: u64,
    pub length: u32,
}

/// Ends a recovery early, so that the source gives up what it holds for it.
pub const CANCEL: NodeAction<StepRequest, ()> =
    NodeAction::new("internal:index/shard/recovery/cancel");

/// See [`TRACK`], [`FINALIZE`], [`CANCEL`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepRequest {
    pub recovery_id: u64,
    /// Durable on the target; read by [`FINALIZE`].
    pub local_checkpoint: SeqNo,
}

/// Where the source stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepResponse {
    pub max_seq_no: SeqNo,
    pub global_checkpoint: SeqNo,
    pub mapping_version: u64,
}

/// See [`OPERATIONS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperationsRequest {
    pub recovery_id: u64,
    pub from: SeqNo,
    pub max_bytes: u64,
}

/// Operations in order of sequence number, without gaps from `from` on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperationsResponse {
    /// A `Vec<Operation>`.
    #[serde(with = "ringwall_base::encoding::shared")]
    pub operations: Bytes,
    /// The next one to ask for; equal to `from` when there are no more.
    pub next: SeqNo,
}
