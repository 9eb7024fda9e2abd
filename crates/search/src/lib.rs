//! Searching one shard and adding up many: the query DSL, sorting, aggregations and reading hits.
//!
//! A search runs in two phases on every shard, with the *same* searcher: [`query_phase`] finds the
//! best documents and collects aggregations, [`reduce`] merges the answers of all shards, and
//! [`fetch_phase`] reads the documents that made it into the page. One shard takes the same way.
//!
//! Pure and synchronous: no clock (`now` is an argument), no sockets, no threads. A request is
//! parsed by [`parse_search`]; whatever a request says is executed or refused, never ignored.
//!
//! A search that is read on is a [`Scroll`]; the node keeps the searcher open.
//!
//! Absent on purpose: scripts, nested documents, suggesters.

pub mod agg;
mod best;
mod columns;
mod control;
mod fetch;
mod fetched_metadata;
mod fields;
pub mod filter;
mod highlight;
mod index_name;
mod parse;
mod phase;
mod query;
mod reduce;
mod request;
mod result;
mod scroll;
mod shard;
mod slice;
mod sort;
pub mod source_filter;
mod time;
mod top;
mod visit;

pub use control::{Interrupt, SearchControl, Unlimited};
pub use fetch::fetch_phase;
pub use highlight::Highlight;
pub use index_name::resolve_index_name;
pub use phase::query_phase;
pub use query::{Query, check_query_depth, parse_query, query_names};
pub use reduce::reduce;
pub use request::{
    FieldAndFormat, PointInTime, SearchSource, TrackTotalHits, check_depth, check_scroll,
    check_window, parse_search,
};
pub use result::{DocAddress, FetchedHit, ReducedQuery, ShardDoc, ShardQueryResult, Winner};
pub use scroll::Scroll;
pub use shard::{SearchLimits, ShardContext, ShardPlace};
pub use slice::Slice;
pub use sort::parse_sort;
pub use sort::{FieldSort, Missing, Sort, SortBy, SortMode, SortValue};

/// `search.max_buckets`: the default bound on the buckets of an answer.
pub const MAX_BUCKETS: usize = 65_536;

/// Returns a score as JSON: a float written as a double would show digits it does not have.
fn score_json(score: f32) -> serde_json::Value {
    score
        .to_string()
        .parse::<f64>()
        .map_or(serde_json::Value::Null, serde_json::Value::from)
}

/// Turns a failure of the engine into an answer; the detail goes to the log.
fn engine_error(error: &dyn std::fmt::Display) -> ringwall_api::ApiError {
    tracing::error!(error.message = %error, "search engine failure");
    ringwall_api::ApiError::internal("the search engine failed to read the shard")
}
