//! Adds up what shards answered. The same for one shard and for many. Source: Elasticsearch reference, "Sort search
//! results" and "Terms aggregation".

use ringwall_api::ApiError;
use ringwall_api::search::TotalHits;

use crate::agg::{self, Partial};
use crate::control::{Interrupt, SearchControl, cancelled};
use crate::request::{SearchSource, TrackTotalHits};
use crate::result::{ReducedQuery, ShardDoc, ShardQueryResult, Winner};
use crate::sort;

/// Merges the results of shards: the hits of the page in order, counts and aggregations. `results`
/// are in the order of their shards, which decides ties.
///
/// # Errors
/// `too_many_buckets_exception` when the aggregations have more than `max_buckets` buckets;
/// `task_cancelled_exception` when `control` says so.
pub fn reduce(
    source: &SearchSource,
    results: Vec<ShardQueryResult>,
    max_buckets: usize,
    control: &dyn SearchControl,
) -> Result<ReducedQuery, ApiError> {
    let mut docs: Vec<(usize, ShardDoc)> = Vec::new();
    let mut partials: Vec<Partial> = Vec::new();
    let mut reduced = ReducedQuery {
        winners: Vec::new(),
        total: None,
        max_score: None,
        aggregations: None,
        timed_out: false,
        terminated_early: source.terminate_after.map(|_| false),
    };
    let (mut total, mut exact) = (0u64, true);
    for (shard, result) in results.into_iter().enumerate() {
        if control.state() == Interrupt::Cancelled {
            return Err(cancelled());
        }
        total = total.saturating_add(result.total);
        exact &= result.total_is_exact;
        reduced.timed_out |= result.timed_out;
        if result.terminated_early {
            reduced.terminated_early = Some(true);
        }
        reduced.max_score = match (reduced.max_score, result.max_score) {
            (Some(left), Some(right)) => Some(left.max(right)),
            (left, right) => left.or(right),
        };
        docs.extend(result.docs.into_iter().map(|doc| (shard, doc)));
        agg::merge_all(&source.aggs, &mut partials, result.aggs);
    }
    reduced.total = total_hits(source.track_total_hits, total, exact);
    reduced.winners = winners(source, docs);
    if !source.aggs.is_empty() {
        reduced.aggregations = Some(agg::render(
            &source.aggs,
            &partials,
            source.typed_keys,
            max_buckets,
            control,
        )?);
    }
    Ok(reduced)
}

fn total_hits(track: TrackTotalHits, total: u64, exact: bool) -> Option<TotalHits> {
    match track {
        TrackTotalHits::Disabled => None,
        TrackTotalHits::Exact => Some(TotalHits {
            value: total,
            exact,
        }),
        TrackTotalHits::UpTo(limit) if total > limit => Some(TotalHits {
            value: limit,
            exact: false,
        }),
        TrackTotalHits::UpTo(_) => Some(TotalHits {
            value: total,
            exact,
        }),
    }
}

fn winners(source: &SearchSource, mut docs: Vec<(usize, ShardDoc)>) -> Vec<Winner> {
    let by_score = sort::is_score_only(&source.sort);
    // Stable: on a tie the lower shard and, within a shard, its own order decide.
    docs.sort_by(|(_, left), (_, right)| {
        if by_score {
            let score = |doc: &ShardDoc| doc.score.unwrap_or(0.0);
            score(right).total_cmp(&score(left))
        } else {
            sort::compare(&source.sort, &left.sort, &right.sort)
        }
    });
    docs.into_iter()
        .skip(source.from)
        .take(source.size)
        .map(|(shard, doc)| Winner {
            shard,
            address: doc.address,
            score: doc.score,
            sort: sort_json(source, &doc),
        })
        .collect()
}

fn sort_json(source: &SearchSource, doc: &ShardDoc) -> Option<Vec<serde_json::Value>> {
    // The reference drops a sort by score alone, and shows no values then.
    if sort::is_score_only(&source.sort) {
        return None;
    }
    Some(sort::values_json(&source.sort, &doc.sort))
}
