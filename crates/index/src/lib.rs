//! One shard copy on one node: mapping, analysis, the search index, the translog, sequence numbers,
//! refresh, flush and the two sides of file recovery.
//!
//! Synchronous: the node calls it on its own pools. Every document write goes through
//! [`Shard`]; what is durable and when is described there and in [`translog`].

pub mod address;
pub mod analysis;
pub mod dates;
pub mod document;
pub mod engine;

pub mod error;
pub mod field;
pub mod geo;
pub mod mapping;
pub mod schema;
mod similarity;
pub mod translog;

pub use analysis::{
    Analysis, Analyzed, AnalyzedToken, Analyzer, Assembly, Chain, Exceeded,
    Limits as AnalysisLimits, Spent, Stages,
};
pub use document::{METADATA_FIELDS, ParsedDocument, parse_document};
pub use similarity::{Similarities, Similarity};

pub use engine::{
    Applied, CommitInfo, Condition, DocumentFilter, FieldMask, GetDocument, Leaf, NewShard,
    RecoverySnapshot, Searcher, Shard, ShardIdentity, ShardInstaller, ShardOptions, ShardStats,
    SnapshotFile, StoredDocument, View,
};
pub use error::IndexError;
pub use mapping::{FieldMapping, FieldType, Mapping};
pub use schema::Layout;
pub use translog::{LostTail, Operation, OperationKind};
