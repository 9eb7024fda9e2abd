//! How copies came to be what they are.

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::search::ShardFailure;

/// Asks for the last recovery of every copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryRequest {
    pub indices: IndicesTarget,
    /// Only those that go on.
    pub active_only: bool,
}

/// One entry for each copy on a node that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryResponse {
    pub copies: Vec<CopyRecovery>,
    pub failures: Vec<ShardFailure>,
}

/// A recovery of a copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyRecovery {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    pub kind: RecoveryKind,
    pub counts: RecoveryCounts,
    /// Milliseconds since the epoch, as the next.
    pub started_ms: u64,
    pub stopped_ms: Option<u64>,
    pub took_ms: u64,
    /// The node that the copy came from.
    pub source: Option<RecoveryNode>,
    pub target: RecoveryNode,
}

/// A node, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryNode {
    pub id: String,
    pub name: String,
    /// `ip:port`.
    pub transport_address: String,
}

/// Where the data of a copy came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoveryKind {
    EmptyStore,
    ExistingStore,
    Peer,
}

impl RecoveryKind {
    /// Returns the name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyStore => "EMPTY_STORE",
            Self::ExistingStore => "EXISTING_STORE",
            Self::Peer => "PEER",
        }
    }
}

/// What a recovery is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoveryStage {
    #[default]
    Init,
    /// Files are copied.
    Index,
    /// Operations are.
    Translog,
    Done,
}

impl RecoveryStage {
    /// Returns the name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Index => "INDEX",
            Self::Translog => "TRANSLOG",
            Self::Done => "DONE",
        }
    }
}

/// How far a recovery is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCounts {
    pub stage: RecoveryStage,
    /// Files that are to be copied, and bytes in them.
    pub files: u64,
    pub bytes: u64,
    /// Of these, those that are.
    pub files_copied: u64,
    pub bytes_copied: u64,
    /// Operations copied or applied again.
    pub operations: u64,
    pub index_ms: u64,
    pub translog_ms: u64,
}
