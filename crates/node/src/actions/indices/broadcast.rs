//! What is asked of every copy of indices, by node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::auth::Authentication;
use ringwall_api::document::ShardCounts;
use ringwall_api::indices::{
    AddIndexBlockRequest, BroadcastResponse, ClearCacheRequest, CloseIndexRequest, CopyNumbers,
    FlushRequest, ForceMergeRequest, IndicesStatsRequest, RefreshRequest, RolloverRequest, Segment,
    SegmentsRequest,
};
use ringwall_api::search::{SearchCounts, ShardFailure};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::{NodeId, ShardId};
use ringwall_cluster::{ClusterState, CopyState, IndexMetadata, ShardCopy};
use ringwall_index::engine;
use ringwall_security::ResolvedIndices;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};

use crate::actions::indices::forcemerge::Merge;
use crate::actions::indices::{concrete, segments};
use crate::node_actions::{Needs, for_users};
use crate::replication::primary::refresh_recovering;
use crate::services::Services;

/// To every node with copies: do this to them.
const BROADCAST: NodeAction<NodeRequest, NodeResponse> =
    NodeAction::new("internal:indices/broadcast[n]");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    Refresh,
    Flush,
    /// Flushes what is closed.
    Close,
    /// Waits for the writes that began before the index was closed.
    CloseWrites,
    /// Waits for the writes that began before the index was blocked.
    BlockWrites,
    Merge(Merge),
    ClearFilters,
    /// For who asks for another cache that there is not: it needs the right, and nothing is done.
    ClearNothing,
    Segments,
    Stats,
    /// Statistics, for who may roll over.
    Rollover,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeRequest {
    work: Work,
    shards: Vec<ShardId>,
}

/// One result per shard of the request, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeResponse {
    results: Vec<Result<CopyStats, ApiError>>,
}

/// Empty but for what was asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct CopyStats {
    pub(crate) numbers: CopyNumbers,
    #[serde(default)]
    pub(crate) segment_list: Vec<Segment>,
}

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(services, BROADCAST, needs, async |services, _, request| {
        on_node(&services, request).await
    })
}

fn needs(request: &NodeRequest) -> Vec<Needs> {
    let action = match request.work {
        Work::Refresh => RefreshRequest::NAME,
        Work::Flush => FlushRequest::NAME,
        Work::Close | Work::CloseWrites => CloseIndexRequest::NAME,
        Work::BlockWrites => AddIndexBlockRequest::NAME,
        Work::Merge(_) => ForceMergeRequest::NAME,
        Work::ClearFilters | Work::ClearNothing => ClearCacheRequest::NAME,
        Work::Segments => SegmentsRequest::NAME,
        Work::Stats => IndicesStatsRequest::NAME,
        Work::Rollover => RolloverRequest::NAME,
    };
    let indices: BTreeSet<String> = request
        .shards
        .iter()
        .map(|shard| shard.index.name.clone())
        .collect();
    vec![Needs::Indices(action, indices.into_iter().collect())]
}

async fn on_node(services: &Arc<Services>, request: NodeRequest) -> ApiResult<NodeResponse> {
    let work = request.work;
    let tasks = request.shards.iter().map(|id| async move {
        let shard = services.shards.require(id)?;
        if matches!(work, Work::CloseWrites | Work::BlockWrites) {
            shard.writes.over().await;
            return Ok(CopyStats::default());
        }
        let local = shard.clone();
        let open = services.readers.open_on(id) + services.searches.open_on(id);
        let run = move || -> ApiResult<CopyStats> {
            match work {
                Work::Refresh => local.refresh()?,
                Work::Flush | Work::Close => local.engine.flush()?,
                Work::CloseWrites | Work::BlockWrites => {}
                Work::Merge(merge) => merge.run(&local.engine)?,
                Work::ClearFilters => local.engine.clear_filters(),
                Work::ClearNothing => {}
                Work::Segments => {
                    return Ok(CopyStats {
                        segment_list: segments::listed(local.engine.segments()?),
                        ..CopyStats::default()
                    });
                }
                Work::Stats | Work::Rollover => {
                    let numbers = CopyNumbers {
                        search: local.search_counts.read(open),
                        ..numbers_of(&local.engine.stats()?)
                    };
                    return Ok(CopyStats {
                        numbers,
                        ..CopyStats::default()
                    });
                }
            }
            Ok(CopyStats::default())
        };
        let pool = match work {
            Work::Merge(_) => &services.pools.force_merge,
            _ => &services.pools.disk,
        };
        let done = pool.run(run).await??;
        if work == Work::Refresh {
            refresh_recovering(services, &shard).await?;
        }
        Ok(done)
    });
    Ok(NodeResponse {
        results: join_all(tasks).await,
    })
}

/// Returns the numbers of an engine, without those of searches.
pub(crate) fn numbers_of(stats: &engine::ShardStats) -> CopyNumbers {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    CopyNumbers {
        copies: 1,
        docs: stats.docs,
        deleted_docs: stats.deleted_docs,
        segments: stats.segments,
        segment_bytes: stats.segment_bytes,
        store_bytes: stats.store_bytes,
        translog_ops: stats.translog.uncommitted_operations,
        translog_uncommitted_bytes: stats.translog.uncommitted_bytes,
        translog_bytes: stats.translog.bytes,
        translog_age_ms: millis(stats.translog_age),
        max_seq_no: stats.max_seq_no,
        local_checkpoint: stats.local_checkpoint,
        global_checkpoint: stats.global_checkpoint,
        refreshes: stats.refreshes,
        flushes: stats.flushes,
        periodic_flushes: stats.periodic_flushes,
        flush_ms: millis(stats.flush_time),
        search: SearchCounts::default(),
    }
}

/// What one copy answered.
pub(crate) struct CopyAnswer {
    pub(crate) shard: ShardId,
    pub(crate) node: NodeId,
    pub(crate) primary: bool,
    pub(crate) result: ApiResult<CopyStats>,
}

/// Asks every serving copy of the indices.
pub(crate) async fn broadcast(
    services: &Arc<Services>,
    authentication: &Authentication,
    state: &ClusterState,
    indices: &[&IndexMetadata],
    work: Work,
) -> Vec<CopyAnswer> {
    let mut by_node: BTreeMap<NodeId, Vec<(ShardId, bool)>> = BTreeMap::new();
    for (shard, copy) in copies(state, indices) {
        if let (CopyState::Started, Some(node)) = (copy.state, copy.node) {
            by_node.entry(node).or_default().push((shard, copy.primary));
        }
    }
    let asked = by_node.into_iter().map(|(node, copies)| async move {
        let request = NodeRequest {
            work,
            shards: copies.iter().map(|(shard, _)| shard.clone()).collect(),
        };
        let answer: ApiResult<NodeResponse> = services
            .call_as(authentication, node, BROADCAST, request, timeout(work))
            .await;
        let results = match answer {
            Ok(answer) if answer.results.len() == copies.len() => answer.results,
            Ok(_) => {
                vec![Err(ApiError::internal("the node answered for other shards")); copies.len()]
            }
            Err(error) => vec![Err(error); copies.len()],
        };
        let answers = copies.into_iter().zip(results);
        answers
            .map(|((shard, primary), result)| CopyAnswer {
                shard,
                node,
                primary,
                result,
            })
            .collect::<Vec<_>>()
    });
    join_all(asked).await.into_iter().flatten().collect()
}

pub(crate) fn copies<'a>(
    state: &'a ClusterState,
    indices: &'a [&IndexMetadata],
) -> impl Iterator<Item = (ShardId, &'a ShardCopy)> {
    indices.iter().flat_map(move |index| {
        let shards = state
            .routing
            .get(&index.id.name)
            .map(|routing| &routing.shards);
        shards
            .into_iter()
            .flatten()
            .enumerate()
            .flat_map(move |(number, shard)| {
                let id = ShardId {
                    index: index.id.clone(),
                    shard: number as u32,
                };
                shard.copies.iter().map(move |copy| (id.clone(), copy))
            })
    })
}

pub(crate) fn counts(total: usize, answers: &[CopyAnswer]) -> (ShardCounts, Vec<ShardFailure>) {
    // A copy that is just being moved or closed is not a failure of the request.
    let is_failure = |error: &ApiError| error.code != ErrorCode::ShardNotFound;
    let failures: Vec<ShardFailure> = answers
        .iter()
        .filter_map(|answer| {
            let error = answer.result.as_ref().err().filter(|e| is_failure(e))?;
            Some(ShardFailure {
                index: answer.shard.index.name.clone(),
                shard: answer.shard.shard,
                node: Some(answer.node.to_string()),
                reason: error.clone(),
            })
        })
        .collect();
    let counts = ShardCounts {
        total: total as u32,
        successful: answers.iter().filter(|a| a.result.is_ok()).count() as u32,
        skipped: 0,
        failed: failures.len() as u32,
    };
    (counts, failures)
}

pub(crate) async fn every_copy(
    services: &Arc<Services>,
    user: &Authentication,
    indices: &[&IndexMetadata],
    work: Work,
    otherwise: &str,
) -> bool {
    let state = services.cluster.state();
    let answers = broadcast(services, user, &state, indices, work).await;
    let (_, failures) = counts(answers.len(), &answers);
    for failure in &failures {
        let (index, shard, error) = (&failure.index, failure.shard, &failure.reason);
        tracing::warn!(%index, shard, %error, "a copy of a closed or blocked index {otherwise}");
    }
    failures.is_empty()
}

pub(crate) async fn maintain(
    services: &Arc<Services>,
    context: &RequestContext,
    target: &ResolvedIndices,
    work: Work,
) -> ApiResult<BroadcastResponse> {
    let state = services.cluster.state();
    let indices = concrete(&state, target)?;
    let total = copies(&state, &indices).count();
    let answers = broadcast(services, &context.authentication, &state, &indices, work).await;
    let (shards, failures) = counts(total, &answers);
    Ok(BroadcastResponse { shards, failures })
}

fn timeout(work: Work) -> Duration {
    match work {
        Work::Merge(_) => MERGE_TIMEOUT,
        _ => TIMEOUT,
    }
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// As long as writing a shard anew may take, beside others that wait on the node.
const MERGE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
