//! `_stats`.

use std::collections::BTreeMap;

use ringwall_api::indices::{IndicesStatsRequest, ShardStats};
use ringwall_api::search::SearchCounts;
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::{search_counts_json, shards_json, stats_metrics};
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// `GET [/{index}]/_stats[/{metric}]`.
pub async fn stats(request: RestRequest) -> ApiResult<RestResponse> {
    let metrics = request.path_list("metric");
    let shown = stats_metrics::INDEX.check(&request.uri_path, &metrics)?;
    let sums = |shards: &[&ShardStats]| {
        let mut sums = sums(shards);
        for group in ["primaries", "total"] {
            stats_metrics::keep(&mut sums[group], &stats_metrics::INDEX, &shown, |metric| {
                metric
            });
        }
        sums
    };
    let closed_too = !request.params.flag("forbid_closed_indices", true)?;
    let indices = request.indices(IndicesOptions {
        allow_closed: closed_too,
        ..IndicesOptions::default()
    })?;
    let level = Level::of(request.params.text("level"))?;
    let human = request.params.flag("human", false)?;
    let answer = request.execute(IndicesStatsRequest { indices }).await?;
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
                index["shards"] = by_shard(shards, &shown);
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

/// Returns the copies of each shard, under its number.
fn by_shard(copies: &[&ShardStats], shown: &[&str]) -> Value {
    let mut shards = Map::new();
    for copy in copies {
        let mut row = sum(&[copy]);
        stats_metrics::keep(&mut row, &stats_metrics::INDEX, shown, |metric| metric);
        row["routing"] = json!({
            "state": "STARTED",
            "primary": copy.primary,
            "node": copy.node,
            "relocating_node": null,
        });
        row["seq_no"] = json!({
            "max_seq_no": copy.max_seq_no,
            "local_checkpoint": copy.local_checkpoint,
            "global_checkpoint": copy.global_checkpoint,
        });
        let copies = shards
            .entry(copy.shard.to_string())
            .or_insert_with(|| json!([]));
        if let Value::Array(copies) = copies {
            copies.push(row);
        }
    }
    Value::Object(shards)
}

fn sums(shards: &[&ShardStats]) -> Value {
    let primaries: Vec<&ShardStats> = shards
        .iter()
        .copied()
        .filter(|shard| shard.primary)
        .collect();
    json!({"primaries": sum(&primaries), "total": sum(shards)})
}

fn sum(shards: &[&ShardStats]) -> Value {
    let total = |of: fn(&ShardStats) -> u64| shards.iter().map(|shard| of(shard)).sum::<u64>();
    let counts = shards.iter().map(|shard| shard.search);
    let search = counts.fold(SearchCounts::default(), |all, one| all + one);
    json!({
        "docs": {"count": total(|s| s.docs), "deleted": total(|s| s.deleted_docs)},
        "store": {"size_in_bytes": total(|s| s.store_bytes)},
        "search": search_counts_json(search),
        "segments": {"count": total(|s| s.segments)},
        "translog": {"operations": total(|s| s.translog_ops)},
    })
}
