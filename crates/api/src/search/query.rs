//! Searching. The body stays JSON here; the `search` crate parses it on every node that runs it.

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::ShardCounts;
use crate::{ApiError, IndicesTarget};

/// A search over indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchRequest {
    pub indices: IndicesTarget,
    /// The request body with URL parameters (`q`, `from`, `size`, `sort`, `_source`...) merged in
    /// as their body forms; an object, empty for "match all".
    pub body: Value,
    pub routing: Option<String>,
    pub preference: Option<String>,
    /// Aggregation names are returned as `type#name`.
    pub typed_keys: bool,
    /// `None`: as `search.default_allow_partial_results` says.
    pub allow_partial_results: Option<bool>,
    /// The search is read on; for so long it is kept, milliseconds.
    pub scroll_ms: Option<u64>,
}

/// Hits, counts and aggregations, already reduced over all shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchResponse {
    pub took_ms: u64,
    pub timed_out: bool,
    pub terminated_early: Option<bool>,
    pub shards: ShardCounts,
    pub failures: Vec<ShardFailure>,
    /// `None` when `track_total_hits` is false.
    pub total: Option<TotalHits>,
    pub max_score: Option<f32>,
    pub hits: Vec<SearchHit>,
    /// The `aggregations` object, if any were asked for.
    pub aggregations: Option<Value>,
    /// What further pages are asked for with.
    pub scroll_id: Option<String>,
    /// Of a search in a point in time.
    pub pit_id: Option<String>,
}

/// The number of matching documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalHits {
    pub value: u64,
    /// `true`: exactly so many (`eq`); `false`: at least (`gte`).
    pub exact: bool,
}

/// One document found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchHit {
    pub index: String,
    pub id: String,
    pub score: Option<f32>,
    pub routing: Option<String>,
    /// Present when asked for with `version`.
    pub version: Option<u64>,
    /// Present when asked for with `seq_no_primary_term`.
    pub seq_no: Option<SeqNo>,
    pub primary_term: Option<Term>,
    /// The filtered `_source`, JSON text.
    pub source: Option<Bytes>,
    /// The `fields` object (from `docvalue_fields` or `fields`), if asked for.
    pub fields: Option<Value>,
    /// Paths of which a value was left out.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// The `ignored_field_values` object: what `fields` asks for and was left out.
    #[serde(default)]
    pub ignored_values: Option<Value>,
    /// Fragments by field, from `highlight`.
    #[serde(default)]
    pub highlight: Option<Value>,
    /// The sort values of the hit, when the search sorts explicitly.
    pub sort: Option<Vec<Value>>,
}

/// What searches on the shard copies of a node, or on one, have done since they were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchCounts {
    /// Scrolls and points in time that are open.
    pub open: u64,
    pub queries: u64,
    pub query_ms: u64,
    /// Pages read apart from their query.
    pub fetches: u64,
    pub fetch_ms: u64,
    /// Further pages of scrolls.
    pub scrolls: u64,
    pub scroll_ms: u64,
}

impl std::ops::Add for SearchCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            queries: self.queries + other.queries,
            query_ms: self.query_ms + other.query_ms,
            fetches: self.fetches + other.fetches,
            fetch_ms: self.fetch_ms + other.fetch_ms,
            scrolls: self.scrolls + other.scrolls,
            scroll_ms: self.scroll_ms + other.scroll_ms,
        }
    }
}

/// Why a shard gave nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardFailure {
    pub index: String,
    pub shard: u32,
    pub node: Option<String>,
    pub reason: ApiError,
}
