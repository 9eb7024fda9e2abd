//! By query: deleting, updating and copying all documents that a search finds. Source: Elasticsearch reference,
//! "Delete by query", "Update by query", "Reindex".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::{TaskFilter, TaskId};
use crate::document::{OpType, VersionType};
use crate::search::ShardFailure;
use crate::{ApiError, IndicesTarget};

pub use crate::cluster::TasksResponse;

/// Which documents are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadPart {
    /// The body of a search; its `size` is the largest number of documents in a batch.
    pub body: Value,
    pub routing: Option<String>,
    pub preference: Option<String>,
    /// How long the scroll is kept between two batches, milliseconds.
    pub scroll_ms: u64,
}

/// How many searches the work is divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slices {
    /// As many as the index with the fewest shards has.
    Auto,
    Count(u32),
}

/// How the work is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByQueryOptions {
    /// Counts version conflicts, where they would otherwise end the work.
    pub proceed_on_conflict: bool,
    /// `None`: all that is found.
    pub max_docs: Option<u64>,
    /// Documents per second; `None`: as fast as it goes.
    pub requests_per_second: Option<f64>,
    pub slices: Slices,
    /// Refresh what was written to when all is done.
    pub refresh: bool,
    /// Otherwise the answer is a task, which keeps the result.
    pub wait_for_completion: bool,
    /// Of each bulk, milliseconds.
    pub timeout_ms: u64,
    pub wait_for_active_shards: Option<u32>,
}

/// `_delete_by_query`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteByQueryRequest {
    pub indices: IndicesTarget,
    pub read: ReadPart,
    pub options: ByQueryOptions,
}

/// `_update_by_query` without a script: each document is indexed again as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateByQueryRequest {
    pub indices: IndicesTarget,
    pub read: ReadPart,
    pub options: ByQueryOptions,
}

/// `_reindex`: documents are copied into an index of the same cluster. What is read and what is written are authorized
/// by themselves, as a search and as items of bulks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReindexRequest {
    pub source: IndicesTarget,
    pub read: ReadPart,
    pub dest: Destination,
    pub options: ByQueryOptions,
}

/// Where a reindex writes to, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// An index or an alias.
    pub index: String,
    /// [`OpType::Index`] or [`OpType::Create`].
    pub op: OpType,
    /// Anything but internal: with the version that the document has in its source.
    pub version_type: VersionType,
    pub routing: DestinationRouting,
    pub require_alias: bool,
}

/// The routing value of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DestinationRouting {
    Keep,
    Discard,
    Is(String),
}

/// Changes the speed of by-query tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RethrottleRequest {
    pub filter: TaskFilter,
    /// Documents per second; `None`: as fast as it goes.
    pub requests_per_second: Option<f64>,
}

/// The answer: what was done, or the task that does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ByQueryResponse {
    Done(Box<ByQueryResult>),
    Started(TaskId),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByQueryResult {
    pub took_ms: u64,
    /// The search ran out of time, so that not all was found.
    pub timed_out: bool,
    pub status: ByQueryStatus,
    pub failures: Vec<ByQueryFailure>,
}

/// What is counted as deleted, updated or created depends on what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByQueryKind {
    Delete,
    Update,
    Reindex,
}

/// How far the work is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByQueryStatus {
    pub kind: ByQueryKind,
    /// Of a part: its number.
    pub slice: Option<u32>,
    pub counts: ByQueryCounts,
    pub throttled_ms: u64,
    /// `None`: as fast as it goes.
    pub requests_per_second: Option<f64>,
    pub cancelled: Option<String>,
    pub throttled_until_ms: u64,
    /// The parts, where the work is divided.
    pub slices: Vec<ByQueryStatus>,
}

/// Documents and batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByQueryCounts {
    /// How many are to be done.
    pub total: u64,
    pub updated: u64,
    pub created: u64,
    pub deleted: u64,
    pub batches: u64,
    pub version_conflicts: u64,
    pub noops: u64,
    /// Bulks that were refused for lack of room and sent again.
    pub bulk_retries: u64,
    /// Searches likewise.
    pub search_retries: u64,
}

impl ByQueryCounts {
    /// Returns how many documents were written.
    pub fn written(&self) -> u64 {
        self.updated + self.created + self.deleted
    }
}

impl std::ops::Add for ByQueryCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            updated: self.updated + other.updated,
            created: self.created + other.created,
            deleted: self.deleted + other.deleted,
            batches: self.batches + other.batches,
            version_conflicts: self.version_conflicts + other.version_conflicts,
            noops: self.noops + other.noops,
            bulk_retries: self.bulk_retries + other.bulk_retries,
            search_retries: self.search_retries + other.search_retries,
        }
    }
}

/// Why the work ended before all was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ByQueryFailure {
    Write {
        index: String,
        id: Option<String>,
        cause: ApiError,
    },
    Read(ShardFailure),
}

impl ByQueryFailure {
    /// Returns its HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Write { cause, .. } => cause.status,
            Self::Read(failure) => failure.reason.status,
        }
    }
}

impl ByQueryResult {
    /// Returns the HTTP status of the answer: that of the worst failure.
    pub fn http_status(&self) -> u16 {
        let timed_out = if self.timed_out { 408 } else { 200 };
        let failures = self.failures.iter().map(ByQueryFailure::status);
        failures.fold(timed_out, u16::max)
    }
}
