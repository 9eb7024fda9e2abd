//! Reading on in a scroll, and ending it, over the shards that it is open on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use ringwall_api::search::{
    ClearAllScrollsRequest, ClearScrollRequest, ClearedContexts, ScrollRequest, SearchResponse,
    ShardFailure,
};
use ringwall_api::{ApiError, ApiResult, Authentication, ErrorCode, RequestContext};
use ringwall_base::{NodeId, encoding};
use ringwall_search::{SearchSource, ShardQueryResult, TrackTotalHits, parse_sort};
use ringwall_security::Resolved;
use serde_json::Value;

use crate::actions::Handler;
use crate::actions::search::opened::Opened;
use crate::actions::search::query::{
    Caller, Gathered, HEAP_FACTOR, Held, ShardFound, gather, shard_failure,
};
use crate::search::context_ids::{OpenShard, decode};
use crate::search::readers::{ReaderId, ReaderKind};
use crate::search::scroll::{FREE, FREE_ALL, FreeRequest, PAGE, PageRequest, PageResponse};
use crate::services::Services;

impl Handler<ScrollRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ScrollRequest>,
    ) -> ApiResult<SearchResponse> {
        let begun = Instant::now();
        let shards = decode(ReaderKind::Scroll, &request.scroll_id)?;
        let caller = Caller::of(&services, &context);
        let asked = shards.iter().map(|open| {
            let request = PageRequest {
                reader: open.reader,
                keep_alive_ms: request.keep_alive_ms,
                fetch: shards.len() == 1,
                time_left_ms: caller.time_left_ms(),
            };
            let (caller, account) = (&caller, &context.account);
            async move {
                let answer: ApiResult<PageResponse> = caller.call(open.node, PAGE, request).await;
                let answer = answer.map_err(|error| lost(caller.services, open, error));
                // As each comes, not when all are there.
                if let Ok(response) = &answer {
                    account.charge(encoding::size(response) * HEAP_FACTOR, "<scroll>")?;
                }
                ApiResult::Ok(answer)
            }
        });
        let mut results: Vec<ShardQueryResult> = Vec::with_capacity(shards.len());
        let mut found: Vec<ShardFound> = Vec::with_capacity(shards.len());
        let mut failures: Vec<ShardFailure> = Vec::new();
        let mut order: Option<(Value, usize)> = None;
        for (open, answer) in shards.iter().zip(join_all(asked).await) {
            match answer? {
                Ok(response) => {
                    order.get_or_insert((response.sort, response.size));
                    results.push(response.result);
                    found.push(ShardFound {
                        shard: open.shard.clone(),
                        node: open.node,
                        held: Held::Scroll(open.reader),
                        page: response.page,
                    });
                }
                Err(error) => failures.push(shard_failure(&open.shard, Some(open.node), error)),
            }
        }
        refuse_unauthorized(&failures)?;
        let source = reduced_by(order)?;
        let gathered = Gathered {
            shards: shards.len(),
            results,
            found,
            failures,
        };
        // What is open is the caller's, and stays so.
        let opened = Opened::new(&services, &context.authentication);
        let source = source.into();
        let mut response =
            gather(&caller, &context, source, gathered, true, begun, &opened).await?;
        // As in Elasticsearch only a call that asks to keep it gets the id again.
        response.scroll_id = request
            .keep_alive_ms
            .map(|_| request.into_request().scroll_id);
        Ok(response)
    }
}

/// How the answers of shards are put together: all of them order hits alike.
fn reduced_by(order: Option<(Value, usize)>) -> ApiResult<SearchSource> {
    let (sort, size) = order.unwrap_or_default();
    Ok(SearchSource {
        sort: match &sort {
            Value::Null => Vec::new(),
            sort => parse_sort(sort)?,
        },
        size,
        track_total_hits: TrackTotalHits::Exact,
        ..SearchSource::default()
    })
}

/// A caller who has lost the right to a part has lost the scroll: it gets no page without that part.
pub(crate) fn refuse_unauthorized(failures: &[ShardFailure]) -> ApiResult<()> {
    let refused = failures
        .iter()
        .find(|failure| failure.reason.code == ErrorCode::Security);
    refused.map_or(Ok(()), |failure| Err(failure.reason.clone()))
}

/// What was open on a node that is gone is gone for good.
pub(crate) fn lost(services: &Services, open: &OpenShard, error: ApiError) -> ApiError {
    match services.cluster.state().nodes.contains_key(&open.node) {
        true => error,
        false => open.reader.missing(),
    }
}

impl Handler<ClearScrollRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ClearScrollRequest>,
    ) -> ApiResult<ClearedContexts> {
        let mut shards = Vec::new();
        for id in &request.scroll_ids {
            shards.extend(decode(ReaderKind::Scroll, id)?);
        }
        let limit = context.time_left(TIMEOUT);
        Ok(free(&services, &context.authentication, &shards, limit).await)
    }
}

/// Ends what is open for a user on the nodes of these shards.
pub(crate) async fn free(
    services: &Arc<Services>,
    user: &Authentication,
    shards: &[OpenShard],
    limit: Duration,
) -> ClearedContexts {
    let mut by_node: BTreeMap<NodeId, Vec<ReaderId>> = BTreeMap::new();
    for open in shards {
        by_node.entry(open.node).or_default().push(open.reader);
    }
    let state = services.cluster.state();
    let known: BTreeSet<&NodeId> = state.nodes.keys().collect();
    let asked = by_node
        .into_iter()
        .filter(|(node, _)| known.contains(node))
        .map(|(node, readers)| async move {
            let request = FreeRequest { readers };
            let freed: ApiResult<u64> = services.call_as(user, node, FREE, request, limit).await;
            // It ends by itself in time.
            freed.unwrap_or_else(|error| {
                tracing::debug!(%node, %error, "search contexts not freed");
                0
            })
        });
    let freed = join_all(asked).await.into_iter().sum();
    ClearedContexts { freed }
}

impl Handler<ClearAllScrollsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        _request: Resolved<ClearAllScrollsRequest>,
    ) -> ApiResult<ClearedContexts> {
        let limit = context.time_left(TIMEOUT);
        let state = services.cluster.state();
        let (services, user) = (&services, &context.authentication);
        let asked = state.nodes.keys().map(|node| async move {
            let freed: ApiResult<u64> = services.call_as(user, *node, FREE_ALL, (), limit).await;
            freed
        });
        let mut freed = 0;
        for answer in join_all(asked).await {
            freed += answer?;
        }
        Ok(ClearedContexts { freed })
    }
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
