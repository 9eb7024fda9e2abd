//! The phases of a search on one copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringwall_api::auth::Authentication;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::ShardId;
use ringwall_search::{
    DocAddress, Interrupt, SearchLimits, SearchSource, ShardContext, fetch_phase, parse_count,
    parse_search, query_phase,
};
use serde_json::Value;

use super::SearchContext;
use super::messages::{
    CountShardRequest, FetchRequest, FetchResponse, QueryRequest, QueryResponse,
};
use crate::read;
use crate::services::Services;
use crate::shards::{LocalShard, maintenance};

/// Runs the query phase, and the fetch phase with it when asked.
pub async fn query(
    services: &Arc<Services>,
    request: QueryRequest,
    caller: Authentication,
) -> ApiResult<QueryResponse> {
    let shard = ready(services, &request.shard, request.state_version).await?;
    let limits = limits(services, &request.shard)?;
    let waiting = Waiting::new(request.time_left_ms);
    let watch = waiting.watch();
    let id = request.shard.clone();
    let (result, page, context) = services
        .pools
        .search
        .run(move || -> ApiResult<_> {
            let source = parse_search(&body(&request.body)?)?;
            let searcher = shard.engine.acquire_searcher()?;
            let stop = source.timeout.map(|timeout| Instant::now() + timeout);
            let interrupt = move || watch.state(stop);
            let context = ShardContext {
                index: &id.index.name,
                now_millis: request.now_ms,
                limits,
                interrupt: &interrupt,
            };
            let result = query_phase(&searcher, &source, &context)?;
            if request.fetch {
                let page = page(&searcher, &source, &result.docs)?;
                return Ok((result, Some(page), None));
            }
            let held = (!result.docs.is_empty()).then_some(SearchContext { searcher, source });
            Ok((result, None, held))
        })
        .await??;
    drop(waiting);
    let context = match context {
        Some(context) => Some(services.searches.keep(context, caller)?),
        None => None,
    };
    Ok(QueryResponse {
        result,
        context,
        page,
    })
}

/// Reads the page of a search over one shard: what [`ringwall_search::reduce`] will select.
fn page(
    searcher: &ringwall_index::Searcher,
    source: &SearchSource,
    docs: &[ringwall_search::ShardDoc],
) -> ApiResult<Vec<ringwall_search::FetchedHit>> {
    let addresses: Vec<DocAddress> = docs
        .iter()
        .skip(source.from)
        .take(source.size)
        .map(|doc| doc.address)
        .collect();
    fetch_phase(searcher, source, &addresses)
}

/// Runs the fetch phase with the searcher of the query phase.
pub async fn fetch(
    services: &Services,
    request: FetchRequest,
    caller: &Authentication,
) -> ApiResult<FetchResponse> {
    let context = services.searches.take(request.context, caller)?;
    let read = move || fetch_phase(&context.searcher, &context.source, &request.docs);
    let hits = services.pools.search.run(read).await??;
    Ok(FetchResponse { hits })
}

/// Counts the documents of a copy.
pub async fn count(services: &Arc<Services>, request: CountShardRequest) -> ApiResult<u64> {
    let shard = ready(services, &request.shard, request.state_version).await?;
    let limits = limits(services, &request.shard)?;
    let waiting = Waiting::new(request.time_left_ms);
    let watch = waiting.watch();
    let counted = services
        .pools
        .search
        .run(move || -> ApiResult<u64> {
            let query = parse_count(&body(&request.body)?)?;
            let searcher = shard.engine.acquire_searcher()?;
            let interrupt = move || watch.state(None);
            let context = ShardContext {
                index: &request.shard.index.name,
                now_millis: request.now_ms,
                limits,
                interrupt: &interrupt,
            };
            ringwall_search::count(&searcher, &query, &context)
        })
        .await?;
    drop(waiting);
    counted
}

/// Returns the copy, after the refresh that an idle one has put off.
async fn ready(
    services: &Arc<Services>,
    id: &ShardId,
    state_version: u64,
) -> ApiResult<Arc<LocalShard>> {
    let shard = read::serving_copy(services, id, state_version).await?;
    let state = services.cluster.state();
    let idle = state
        .index(&id.index)
        .is_some_and(|metadata| maintenance::is_search_idle(&shard, metadata));
    shard.note_search();
    if idle && shard.engine.needs_refresh() {
        let local = shard.clone();
        services.pools.disk.run(move || local.refresh()).await??;
    }
    Ok(shard)
}

fn limits(services: &Services, shard: &ShardId) -> ApiResult<SearchLimits> {
    let state = services.cluster.state();
    let metadata = state
        .index(&shard.index)
        .ok_or_else(|| ApiError::index_not_found(&shard.index.name))?;
    let window = metadata.settings.max_result_window();
    Ok(SearchLimits {
        max_result_window: usize::try_from(window).unwrap_or(usize::MAX),
    })
}

fn body(text: &[u8]) -> ApiResult<Value> {
    serde_json::from_slice(text).map_err(|error| ApiError::internal(error.to_string()))
}

/// Lives as long as somebody waits for the answer.
struct Waiting {
    gone: Arc<AtomicBool>,
    deadline: Instant,
}

struct Watch {
    gone: Arc<AtomicBool>,
    deadline: Instant,
}

impl Waiting {
    fn new(time_left_ms: u64) -> Self {
        Self {
            gone: Arc::default(),
            deadline: Instant::now() + Duration::from_millis(time_left_ms),
        }
    }

    fn watch(&self) -> Watch {
        Watch {
            gone: self.gone.clone(),
            deadline: self.deadline,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Watch {
    fn state(&self, stop: Option<Instant>) -> Interrupt {
        let now = Instant::now();
        if self.gone.load(Ordering::Relaxed) || now >= self.deadline {
            return Interrupt::Cancelled;
        }
        match stop {
            Some(stop) if now >= stop => Interrupt::TimedOut,
            _ => Interrupt::Continue,
        }
    }
}
