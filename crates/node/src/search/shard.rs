//! The phases of a search on one copy.

use std::sync::Arc;
use std::time::Instant;

use ringwall_api::auth::Authentication;
use ringwall_api::search::SearchRequest;
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode};
use ringwall_base::ShardId;
use ringwall_base::breaker::{Account, Purpose};
use ringwall_index::{Searcher, View};
use ringwall_search::{
    DocAddress, SearchLimits, SearchSource, ShardContext, fetch_phase, query_phase,
};
use ringwall_settings::registry::indices::{
    MAX_CLAUSE_COUNT, SEARCH_DEFAULT_KEEP_ALIVE, SEARCH_DEFAULT_TIMEOUT,
};

use super::SearchContext;
use super::control::Waiting;
use super::messages::{Asked, FetchResponse, QueryResponse, ShardQuery};
use super::readers::{ReaderKind, keep_alive};
use crate::read;
use crate::services::Services;
use crate::shards::{LocalShard, maintenance};
use crate::tasks::{self, Task};
use crate::views;

/// Runs the query phase, and the fetch phase with it when asked.
pub async fn query(
    services: &Arc<Services>,
    asked: Asked,
    caller: Authentication,
) -> ApiResult<QueryResponse> {
    let Asked { search, target } = asked;
    let opened = match target.reader {
        None => None,
        Some(id) => {
            let readers = &services.readers;
            Some(readers.of_caller(services, id, ReaderKind::Pit, &caller)?)
        }
    };
    let kept = search
        .keep_alive_ms
        .map(|asked| keep_alive(services, asked));
    let kept = kept.transpose()?;
    let id = opened
        .as_ref()
        .map_or(&target.shard, |pit| &pit.shard)
        .clone();
    let seen = match &opened {
        Some(pit) => Seen::Then(pit.searcher.clone()),
        None => Seen::now(services, &target, &caller, search.now_ms).await?,
    };
    let limits = limits(services, &id)?;
    let account = Account::open(&services.breakers, Purpose::Request);
    let task = described(&id);
    let waiting = Waiting::new(search.time_left_ms);
    let control = waiting
        .control(services.settings.get(&SEARCH_DEFAULT_TIMEOUT).duration())
        .charged_to(account.clone());
    // A point in time may be where the shard is no more.
    let counts = services.shards.require(&id);
    let counts = counts.map(|shard| shard.search_counts.clone());
    let (begun, counts) = (Instant::now(), counts.unwrap_or_default());
    let index = id.index.name.clone();
    let (held_counts, breakers) = (counts.clone(), services.breakers.clone());
    let (result, page, context) = services
        .pools
        .search
        .run_giving_way(move |seat| -> ApiResult<_> {
            // The task lives as long as the thread works for it.
            let _task = task;
            let read = search.read.get(&breakers, &search.body)?;
            let source = &read.source;
            let searcher = seen.searcher()?;
            let context = ShardContext {
                index: &index,
                now_millis: search.now_ms,
                limits,
                place: target.place,
                control: control.giving_way(seat).begin(source.timeout),
            };
            let result = query_phase(&searcher, source, &context)?;
            if result.timed_out && !search.allow_partial {
                return Err(ApiError::new(ErrorCode::SearchTimeout, "Time exceeded"));
            }
            if search.fetch {
                let addresses = page(source, &result.docs);
                let page = fetch_phase(&searcher, source, &addresses, &context)?;
                return Ok((result, Some(page), None));
            }
            let held = (!result.docs.is_empty()).then(|| SearchContext {
                shard: id,
                searcher,
                read,
                now_ms: search.now_ms,
                limits,
                account,
                counts: held_counts,
            });
            Ok((result, None, held))
        })
        .await??;
    drop(waiting);
    counts.query(begun.elapsed());
    if let Some(pit) = opened {
        pit.prolong(kept);
    }
    let context = match context {
        Some(context) => {
            let kept = services.settings.get(&SEARCH_DEFAULT_KEEP_ALIVE);
            let kept = kept.duration().unwrap_or_default();
            Some(services.searches.keep(context, caller, kept)?)
        }
        None => None,
    };
    Ok(QueryResponse {
        result,
        context,
        reader: None,
        page,
    })
}

/// What a search sees of a shard.
enum Seen {
    /// What there is, as far as the view shows it.
    Now(Arc<LocalShard>, View),
    /// What there was when a point in time was opened.
    Then(Searcher),
}

impl Seen {
    async fn now(
        services: &Arc<Services>,
        target: &ShardQuery,
        caller: &Authentication,
        now_ms: i64,
    ) -> ApiResult<Self> {
        let shard = ready(services, &target.shard, target.state_version).await?;
        let state = services.cluster.state();
        let view = views::for_search(
            &state,
            &target.shard,
            &target.through,
            services.reading(caller, SearchRequest::NAME),
            now_ms,
        )?;
        Ok(Self::Now(shard, view))
    }

    fn searcher(self) -> ApiResult<Searcher> {
        match self {
            Self::Now(shard, view) => Ok(shard.engine.acquire_searcher(&view)?),
            Self::Then(searcher) => Ok(searcher),
        }
    }
}

/// Returns the page of a search over one shard: what [`ringwall_search::reduce`] will select.
fn page(source: &SearchSource, docs: &[ringwall_search::ShardDoc]) -> Vec<DocAddress> {
    docs.iter()
        .skip(source.from)
        .take(source.size)
        .map(|doc| doc.address)
        .collect()
}

/// Runs the fetch phase with what the query phase held.
pub async fn fetch(
    services: &Services,
    held: Arc<SearchContext>,
    docs: Vec<DocAddress>,
    time_left_ms: u64,
) -> ApiResult<FetchResponse> {
    let (begun, counts) = (Instant::now(), held.counts.clone());
    let waiting = Waiting::new(time_left_ms);
    let control = waiting.control(None).charged_to(held.account.clone());
    let task = tasks::current();
    let read = move || {
        let _task = task;
        let context = ShardContext {
            index: &held.shard.index.name,
            now_millis: held.now_ms,
            limits: held.limits,
            control: control.begin(None),
            ..ShardContext::default()
        };
        fetch_phase(&held.searcher, &held.read.source, &docs, &context)
    };
    let hits = services.pools.search.run(read).await??;
    drop(waiting);
    counts.fetch(begun.elapsed());
    Ok(FetchResponse { hits })
}

pub(super) fn described(shard: &ShardId) -> Option<Arc<Task>> {
    let id = shard.clone();
    tasks::describe(move || format!("shardId[[{}][{}]]", id.index.name, id.shard));
    tasks::current()
}

/// Returns the copy, after the refresh that an idle one has put off.
pub(super) async fn ready(
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

pub(super) fn limits(services: &Services, shard: &ShardId) -> ApiResult<SearchLimits> {
    let state = services.cluster.state();
    let metadata = state
        .index(&shard.index)
        .ok_or_else(|| ApiError::index_not_found(&shard.index.name))?;
    let index = &metadata.settings;
    Ok(SearchLimits {
        max_result_window: usize::try_from(index.max_result_window()).unwrap_or(usize::MAX),
        max_clause_count: services.settings.get(&MAX_CLAUSE_COUNT),
        max_terms_count: index.max_terms_count(),
        max_regex_length: index.max_regex_length(),
        max_docvalue_fields: index.max_docvalue_fields(),
        max_slices_per_scroll: index.max_slices_per_scroll(),
        max_analyzed_offset: index.max_analyzed_offset(),
        weight_matches: index.highlights_whole_matches(),
    })
}
