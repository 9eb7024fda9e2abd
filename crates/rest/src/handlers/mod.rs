//! One folder per family of endpoints, one file per endpoint. A handler translates and nothing else.

pub mod cat;
pub mod cluster;
pub mod document;
pub mod indices;
pub mod nodes;
pub mod search;
pub mod security;
mod stats_metrics;

use ringwall_api::document::ShardCounts;
use ringwall_api::search::{SearchCounts, ShardFailure};
use serde_json::{Map, Value, json};

/// Default of `master_timeout` and of acknowledgements, milliseconds.
const MASTER_TIMEOUT_MS: u64 = 30_000;
/// Default of `timeout` on writes, milliseconds.
const WRITE_TIMEOUT_MS: u64 = 60_000;

/// Returns the `search` of statistics. There are no suggesters.
fn search_counts_json(counts: SearchCounts) -> Value {
    json!({
        "open_contexts": counts.open,
        "query_total": counts.queries,
        "query_time_in_millis": counts.query_ms,
        "fetch_total": counts.fetches,
        "fetch_time_in_millis": counts.fetch_ms,
        "scroll_total": counts.scrolls,
        "scroll_time_in_millis": counts.scroll_ms,
        "suggest_total": 0,
        "suggest_time_in_millis": 0,
        "suggest_current": 0,
    })
}

/// Returns a `_shards` object.
fn shards_json(counts: ShardCounts, failures: &[ShardFailure], with_skipped: bool) -> Value {
    let mut object = Map::new();
    object.insert("total".to_owned(), counts.total.into());
    object.insert("successful".to_owned(), counts.successful.into());
    if with_skipped {
        object.insert("skipped".to_owned(), counts.skipped.into());
    }
    object.insert("failed".to_owned(), counts.failed.into());
    if !failures.is_empty() {
        let listed = failures.iter().map(failure_json).collect();
        object.insert("failures".to_owned(), Value::Array(listed));
    }
    Value::Object(object)
}

fn failure_json(failure: &ShardFailure) -> Value {
    json!({
        "shard": failure.shard,
        "index": failure.index,
        "node": failure.node,
        "reason": failure.reason.object_with_cause(),
    })
}
