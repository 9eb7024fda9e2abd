//! What shards answer and what the coordinating node makes of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use bytes::Bytes;
use ringwall_api::search::TotalHits;
use ringwall_base::{SeqNo, Term};

use crate::agg::Partial;
use crate::sort::SortValue;

/// A document within the searcher that found it; meaningless with any other searcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocAddress {
    /// The number of the segment in the order of writing.
    pub segment: u32,
    pub doc: u32,
}

/// What one shard found. Crosses nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ShardQueryResult {
    /// The best documents, best first: at most `from + size`.
    pub docs: Vec<ShardDoc>,
    /// Matching documents counted.
    pub total: u64,
    /// `false`: counting stopped early, there may be more.
    pub total_is_exact: bool,
    pub max_score: Option<f32>,
    /// One for each aggregation of the request.
    pub aggs: Vec<Partial>,
    /// The deadline passed before all documents were seen.
    pub timed_out: bool,
    /// `terminate_after` was reached.
    pub terminated_early: bool,
}

/// A document found by a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardDoc {
    pub address: DocAddress,
    pub score: Option<f32>,
    /// Values of the sort keys; empty when the order is by score alone.
    pub sort: Vec<SortValue>,
}

/// A search after all shards have answered, before documents are read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReducedQuery {
    /// The hits of this page, in order.
    pub winners: Vec<Winner>,
    /// `None` when hits are not counted.
    pub total: Option<TotalHits>,
    pub max_score: Option<f32>,
    /// The `aggregations` object, if any were asked for.
    pub aggregations: Option<Value>,
    pub timed_out: bool,
    /// `None` when `terminate_after` was not asked for.
    pub terminated_early: Option<bool>,
}

/// A hit of the page: where to fetch it, and what is known already.
#[derive(Debug, Clone, PartialEq)]
pub struct Winner {
    /// Which of the reduced results it comes from.
    pub shard: usize,
    pub address: DocAddress,
    pub score: Option<f32>,
    /// The sort values as hits show them, with an explicit sort.
    pub sort: Option<Vec<Value>>,
}

/// A document as the fetch phase reads it. Crosses nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FetchedHit {
    pub id: String,
    pub routing: Option<String>,
    pub version: Option<u64>,
    pub seq_no: Option<SeqNo>,
    pub primary_term: Option<Term>,
    /// The filtered `_source`, JSON text.
    #[serde(with = "ringwall_base::encoding::shared::option", default)]
    pub source: Option<Bytes>,
    /// The `fields` object, from `docvalue_fields` and `fields`.
    pub fields: Option<Value>,
    /// Paths of which a value was left out.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// The values that `fields` asks for and that were left out: lists by path.
    #[serde(default)]
    pub ignored_values: Option<Value>,
    /// Fragments by field, JSON.
    #[serde(default)]
    pub highlight: Option<Value>,
}
