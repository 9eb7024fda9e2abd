//! Actions that every copy takes part in: refresh, flush, statistics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::auth::Authentication;
use ringwall_api::cluster::{IndexRow, ShardRow, ShardTableRequest, ShardTableResponse};
use ringwall_api::document::ShardCounts;
use ringwall_api::indices::{
    AddIndexBlockRequest, BroadcastResponse, CloseIndexRequest, FlushRequest, IndicesStatsRequest,
    IndicesStatsResponse, RefreshRequest, RolloverRequest, ShardStats,
};
use ringwall_api::search::{SearchCounts, ShardFailure};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::{NodeId, ShardId};
use ringwall_cluster::{ClusterState, CopyState, IndexMetadata, ShardCopy};
use ringwall_index::engine;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};

use super::Handler;
use super::indices::concrete;
use crate::node_actions::{Needs, for_users};
use crate::replication::primary::refresh_recovering;
use crate::services::Services;
use ringwall_security::{Resolved, ResolvedIndices};

/// To every node with copies: do this to them.
const BROADCAST: NodeAction<NodeRequest, NodeResponse> =
    NodeAction::new("internal:indices/broadcast[n]");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Work {
    Refresh,
    Flush,
    /// Flushes what is closed.
    Close,
    /// Waits for the writes that began before the index was closed.
    CloseWrites,
    /// Waits for the writes that began before the index was blocked.
    BlockWrites,
    Stats,
    /// Statistics, for who may roll over.
    Rollover,
}

#[derive(Debug, Serialize, Deserialize)]
struct NodeRequest {
    work: Work,
    shards: Vec<ShardId>,
}

/// One result per shard of the request, in order.
#[derive(Debug, Serialize, Deserialize)]
struct NodeResponse {
    results: Vec<Result<CopyStats, ApiError>>,
}

/// Numbers of a copy; zero when they were not asked for.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct CopyStats {
    docs: u64,
    deleted_docs: u64,
    store_bytes: u64,
    translog_ops: u64,
    max_seq_no: i64,
    local_checkpoint: i64,
    global_checkpoint: i64,
    segments: u64,
    #[serde(default)]
    search: SearchCounts,
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
                Work::Stats | Work::Rollover => {
                    return Ok(CopyStats {
                        search: local.search_counts.read(open),
                        ..copy_stats(&local.engine.stats()?)
                    });
                }
            }
            Ok(CopyStats::default())
        };
        let done = services.pools.disk.run(run).await??;
        if work == Work::Refresh {
            refresh_recovering(services, &shard).await?;
        }
        Ok(done)
    });
    Ok(NodeResponse {
        results: join_all(tasks).await,
    })
}

fn copy_stats(stats: &engine::ShardStats) -> CopyStats {
    CopyStats {
        docs: stats.docs,
        deleted_docs: stats.deleted_docs,
        store_bytes: stats.store_bytes,
        translog_ops: stats.translog.uncommitted_operations,
        max_seq_no: stats.max_seq_no,
        local_checkpoint: stats.local_checkpoint,
        global_checkpoint: stats.global_checkpoint,
        segments: stats.segments,
        search: SearchCounts::default(),
    }
}

/// What one copy answered.
struct CopyAnswer {
    shard: ShardId,
    node: NodeId,
    primary: bool,
    result: ApiResult<CopyStats>,
}

/// Asks every serving copy of the indices.
async fn broadcast(
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
            .call_as(authentication, node, BROADCAST, request, TIMEOUT)
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

fn copies<'a>(
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

fn counts(total: usize, answers: &[CopyAnswer]) -> (ShardCounts, Vec<ShardFailure>) {
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

impl Handler<RefreshRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<RefreshRequest>,
    ) -> ApiResult<BroadcastResponse> {
        maintain(&services, &context, request.indices(), Work::Refresh).await
    }
}

impl Handler<FlushRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<FlushRequest>,
    ) -> ApiResult<BroadcastResponse> {
        maintain(&services, &context, request.indices(), Work::Flush).await
    }
}

/// Has every copy of indices that are closed commit its files, so that nothing of them has to be done again when a node
/// Waits until the writes are over that began before these indices were closed or blocked, which every node has
/// applied. Returns whether all copies said so.
pub(super) async fn writes_are_over(
    services: &Arc<Services>,
    user: &Authentication,
    indices: &[&IndexMetadata],
    closed: bool,
) -> bool {
    let work = if closed {
        Work::CloseWrites
    } else {
        Work::BlockWrites
    };
    every_copy(services, user, indices, work, "may have writes under way").await
}

/// Flushes every copy of closed indices. Returns whether all of them did.
pub(super) async fn flush_closed(
    services: &Arc<Services>,
    user: &Authentication,
    indices: &[&IndexMetadata],
) -> bool {
    every_copy(services, user, indices, Work::Close, "has not been flushed").await
}

async fn every_copy(
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

/// What is in the primaries of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Primaries {
    pub docs: u64,
    pub bytes: u64,
    /// Of the one that has most.
    pub most_docs: u64,
    pub most_bytes: u64,
}

/// Measures the primaries of an index, for a user who may roll over.
///
/// # Errors
/// A primary did not answer, or is on no node: less would be told than there is.
pub(super) async fn measure_primaries(
    services: &Arc<Services>,
    user: &Authentication,
    state: &ClusterState,
    index: &IndexMetadata,
) -> ApiResult<Primaries> {
    let answers = broadcast(services, user, state, &[index], Work::Rollover).await;
    let mut sum = Primaries::default();
    let mut found = 0;
    for answer in answers.into_iter().filter(|answer| answer.primary) {
        let stats = answer.result?;
        found += 1;
        sum.docs += stats.docs;
        sum.bytes += stats.store_bytes;
        sum.most_docs = sum.most_docs.max(stats.docs);
        sum.most_bytes = sum.most_bytes.max(stats.store_bytes);
    }
    match found == index.settings.number_of_shards() {
        true => Ok(sum),
        false => Err(ApiError::new(
            ErrorCode::NoShardAvailable,
            format!("not every primary of [{}] is active", index.id.name),
        )),
    }
}

async fn maintain(
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

impl Handler<IndicesStatsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<IndicesStatsRequest>,
    ) -> ApiResult<IndicesStatsResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let total = copies(&state, &indices).count();
        let answers = broadcast(
            &services,
            &context.authentication,
            &state,
            &indices,
            Work::Stats,
        )
        .await;
        let (counts, failures) = counts(total, &answers);
        let shards = answers
            .into_iter()
            .filter_map(|answer| {
                let stats = answer.result.ok()?;
                Some(ShardStats {
                    index: answer.shard.index.name,
                    shard: answer.shard.shard,
                    primary: answer.primary,
                    node: answer.node.to_string(),
                    docs: stats.docs,
                    deleted_docs: stats.deleted_docs,
                    store_bytes: stats.store_bytes,
                    translog_ops: stats.translog_ops,
                    max_seq_no: stats.max_seq_no,
                    local_checkpoint: stats.local_checkpoint,
                    global_checkpoint: stats.global_checkpoint,
                    segments: stats.segments,
                    search: stats.search,
                })
            })
            .collect();
        Ok(IndicesStatsResponse {
            counts,
            shards,
            failures,
        })
    }
}

impl Handler<ShardTableRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ShardTableRequest>,
    ) -> ApiResult<ShardTableResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let answers = broadcast(
            &services,
            &context.authentication,
            &state,
            &indices,
            Work::Stats,
        )
        .await;
        let stats: HashMap<(ShardId, NodeId), CopyStats> = answers
            .into_iter()
            .filter_map(|answer| Some(((answer.shard, answer.node), answer.result.ok()?)))
            .collect();
        let rows = copies(&state, &indices)
            .map(|(shard, copy)| {
                let numbers = copy.node.and_then(|node| stats.get(&(shard.clone(), node)));
                shard_row(&state, &shard, copy, numbers)
            })
            .collect();
        let health = state.health(&[]);
        let indices = indices
            .iter()
            .map(|index| {
                let sum = |primaries_only: bool, field: fn(&CopyStats) -> u64| {
                    copies(&state, &[index])
                        .filter(|(_, copy)| copy.primary || !primaries_only)
                        .filter_map(|(shard, copy)| stats.get(&(shard, copy.node?)))
                        .map(field)
                        .sum()
                };
                IndexRow {
                    index: index.id.name.clone(),
                    uuid: index.id.uuid.clone(),
                    closed: index.is_closed,
                    health: health
                        .indices
                        .get(&index.id.name)
                        .map_or(ringwall_api::cluster::HealthStatus::Red, |h| h.status),
                    primaries: index.settings.number_of_shards(),
                    replicas: index.settings.number_of_replicas(),
                    docs: sum(true, |stats| stats.docs),
                    deleted_docs: sum(true, |stats| stats.deleted_docs),
                    store_bytes: sum(false, |stats| stats.store_bytes),
                    primary_store_bytes: sum(true, |stats| stats.store_bytes),
                }
            })
            .collect();
        Ok(ShardTableResponse { rows, indices })
    }
}

fn shard_row(
    state: &ClusterState,
    shard: &ShardId,
    copy: &ShardCopy,
    numbers: Option<&CopyStats>,
) -> ShardRow {
    let node = copy.node.and_then(|id| state.nodes.get(&id));
    let ip = |address: &str| {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    ShardRow {
        index: shard.index.name.clone(),
        shard: shard.shard,
        primary: copy.primary,
        state: match copy.state {
            CopyState::Unassigned => "UNASSIGNED",
            CopyState::Initializing => "INITIALIZING",
            CopyState::Started => "STARTED",
        }
        .to_owned(),
        node_id: copy.node.map(|node| node.to_string()),
        node_name: node.map(|node| node.name.clone()),
        node_ip: node.map(|node| ip(&node.transport_address)),
        docs: numbers.map(|numbers| numbers.docs),
        store_bytes: numbers.map(|numbers| numbers.store_bytes),
        unassigned_reason: copy
            .unassigned
            .as_ref()
            .map(|info| info.reason.as_str().to_owned()),
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);
