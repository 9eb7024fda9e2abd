//! `_stats`, and the numbers of indices in the statistics of nodes.

use std::collections::BTreeMap;

use ringwall_api::indices::{CopyNumbers, IndicesStatsRequest, ShardStats};
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::stats_metrics::{self, Metrics};
use crate::handlers::{search_counts_json, shards_json};
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_stats`, besides those of indices.
pub const STATS_PARAMS: &[&str] = &[
    "forbid_closed_indices",
    "include_unloaded_segments",
    "level",
];

/// `GET [/{index}]/_stats[/{metric}]`.
pub async fn stats(request: RestRequest) -> ApiResult<RestResponse> {
    let metrics = request.path_list("metric");
    let shown = stats_metrics::INDEX.check(&request.uri_path, &metrics)?;
    let sums = |shards: &[&ShardStats]| sums(shards, &shown);
    let closed_too = !request.params.flag("forbid_closed_indices", true)?;
    let indices = request.indices(IndicesOptions {
        allow_closed: closed_too,
        ..IndicesOptions::default()
    })?;
    let level = Level::of(request.params.text("level"))?;
    let human = request.params.flag("human", false)?;
    let unloaded_segments = request.params.flag("include_unloaded_segments", false)?;
    let answer = request
        .execute(IndicesStatsRequest {
            indices,
            unloaded_segments,
        })
        .await?;
    let mut by_index: BTreeMap<&str, Vec<&ShardStats>> = BTreeMap::new();
    for shard in &answer.shards {
        by_index.entry(&shard.index).or_default().push(shard);
    }
    let all: Vec<&ShardStats> = answer.shards.iter().collect();
    let mut body = json!({
        "_shards": shards_json(answer.counts, &answer.failures, false),
        "_all": sums(&all),
    });
    if level != Level::Cluster {
        let indices = by_index.iter().map(|(name, shards)| {
            let mut index = sums(shards);
            if level == Level::Shards {
                index["shards"] = shards_of(shards, &shown);
            }
            ((*name).to_owned(), index)
        });
        body["indices"] = Value::Object(indices.collect());
    }
    if human {
        humanize(&mut body);
    }
    Ok(RestResponse::json(body))
}

/// How far statistics are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Cluster,
    Indices,
    Shards,
}

impl Level {
    fn of(text: Option<&str>) -> ApiResult<Self> {
        match text {
            Some("cluster") => Ok(Self::Cluster),
            None | Some("indices") => Ok(Self::Indices),
            Some("shards") => Ok(Self::Shards),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "level parameter must be one of [cluster] or [indices] or [shards] but was [{other}]"
            ))),
        }
    }
}

fn sums(shards: &[&ShardStats], shown: &[&str]) -> Value {
    let sum = |primaries_only: bool| {
        let counted = shards
            .iter()
            .filter(|shard| shard.primary || !primaries_only);
        let numbers = counted.map(|shard| shard.numbers).sum();
        numbers_json(&numbers, &stats_metrics::INDEX, shown)
    };
    json!({"primaries": sum(true), "total": sum(false)})
}

/// Returns the copies of each shard, under its number.
fn shards_of(copies: &[&ShardStats], shown: &[&str]) -> Value {
    let mut shards = Map::new();
    for copy in copies {
        let copies = shards
            .entry(copy.shard.to_string())
            .or_insert_with(|| json!([]));
        if let Value::Array(copies) = copies {
            copies.push(copy_json(copy, &stats_metrics::INDEX, shown));
        }
    }
    Value::Object(shards)
}

fn copy_json(copy: &ShardStats, metrics: &Metrics, shown: &[&str]) -> Value {
    let mut row = numbers_json(&copy.numbers, metrics, shown);
    row["routing"] = json!({
        "state": "STARTED",
        "primary": copy.primary,
        "node": copy.node,
        "relocating_node": null,
    });
    row["seq_no"] = json!({
        "max_seq_no": copy.numbers.max_seq_no,
        "local_checkpoint": copy.numbers.local_checkpoint,
        "global_checkpoint": copy.numbers.global_checkpoint,
    });
    row
}

/// Returns the metrics that are shown of numbers.
pub(crate) fn numbers_json(numbers: &CopyNumbers, metrics: &Metrics, shown: &[&str]) -> Value {
    let mut sections = json!({
        "docs": {
            "count": numbers.docs,
            "deleted": numbers.deleted_docs,
            "total_size_in_bytes": numbers.segment_bytes,
        },
        "shard_stats": {"total_count": numbers.copies},
        "store": {
            "size_in_bytes": numbers.store_bytes,
            "total_data_set_size_in_bytes": numbers.store_bytes,
            "reserved_in_bytes": 0,
        },
        "search": search_counts_json(numbers.search),
        "flush": {
            "total": numbers.flushes,
            "periodic": numbers.periodic_flushes,
            "total_time_in_millis": numbers.flush_ms,
        },
        "segments": {"count": numbers.segments},
        "translog": {
            "operations": numbers.translog_ops,
            "size_in_bytes": numbers.translog_bytes,
            "uncommitted_operations": numbers.translog_ops,
            "uncommitted_size_in_bytes": numbers.translog_uncommitted_bytes,
            "earliest_last_modified_age": numbers.translog_age_ms,
        },
    });
    stats_metrics::keep(&mut sections, metrics, shown, |metric| metric);
    sections
}

/// Returns the numbers of the indices of a node: all together, and as far as `level` says of each.
pub(crate) fn of_node(
    (numbers, copies): (&CopyNumbers, &[ShardStats]),
    level: NodeLevel,
    shown: &[&str],
) -> Value {
    let metrics = &stats_metrics::NODE_INDEX;
    let mut body = numbers_json(numbers, metrics, shown);
    let mut by_index: BTreeMap<&str, Vec<&ShardStats>> = BTreeMap::new();
    for copy in copies {
        by_index.entry(&copy.index).or_default().push(copy);
    }
    match level {
        NodeLevel::Node => {}
        NodeLevel::Indices => {
            let indices = by_index.into_iter().map(|(index, copies)| {
                let sum = copies.iter().map(|copy| copy.numbers).sum();
                (index.to_owned(), numbers_json(&sum, metrics, shown))
            });
            body["indices"] = Value::Object(indices.collect());
        }
        NodeLevel::Shards => {
            let shards = by_index.into_iter().map(|(index, copies)| {
                let rows = copies.iter().map(|copy| {
                    let row = copy_json(copy, metrics, shown);
                    json!({copy.shard.to_string(): row})
                });
                (index.to_owned(), rows.collect())
            });
            body["shards"] = Value::Object(shards.collect());
        }
    }
    body
}

/// How far the numbers of a node are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeLevel {
    Node,
    Indices,
    Shards,
}

impl NodeLevel {
    pub(crate) fn of(text: Option<&str>) -> ApiResult<Self> {
        match text {
            None | Some("node") => Ok(Self::Node),
            Some("indices") => Ok(Self::Indices),
            Some("shards") => Ok(Self::Shards),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "level parameter must be one of [node] or [indices] or [shards] but was [{other}]"
            ))),
        }
    }
}
