//! Scrolls on the node that holds the copies.

use std::sync::Arc;
use std::time::Instant;

use ringwall_api::search::SearchRequest;
use ringwall_api::search::{ClearAllScrollsRequest, ScrollRequest};
use ringwall_api::{ActionRequest, ApiError, ApiResult, Authentication, ErrorCode};
use ringwall_base::breaker::{Account, Purpose};
use ringwall_search::{
    DocAddress, FetchedHit, Scroll, SearchLimits, SearchSource, ShardContext, ShardDoc, ShardPlace,
    ShardQueryResult, fetch_phase,
};
use ringwall_settings::registry::indices::SEARCH_DEFAULT_TIMEOUT;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::control::Waiting;
use super::messages::{Asked, FetchResponse, QueryResponse};
use super::readers::{NewReader, Reader, ReaderId, ReaderKind, keep_alive};
use super::shard::{described, limits, ready};
use crate::node_actions::{Needs, for_users};
use crate::services::Services;
use crate::tasks;
use crate::views;

/// Finds the next documents of a scroll on one shard.
pub const PAGE: NodeAction<PageRequest, PageResponse> =
    NodeAction::new("indices:data/read/search[phase/query/scroll]");
/// Reads those that are in the page.
pub const FETCH: NodeAction<ScrollFetchRequest, FetchResponse> =
    NodeAction::new("indices:data/read/search[phase/fetch/id/scroll]");
/// Ends scrolls and points in time of the caller.
pub const FREE: NodeAction<FreeRequest, u64> =
    NodeAction::new("indices:data/read/search[free_context/scroll]");
/// Ends every scroll.
pub const FREE_ALL: NodeAction<(), u64> =
    NodeAction::new("indices:data/read/search[clear_scroll_contexts]");

/// See [`PAGE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageRequest {
    pub reader: ReaderId,
    /// How long the scroll is kept from now on; `None`: as long as before.
    pub keep_alive_ms: Option<u64>,
    /// The only shard of the scroll: its page is read at once.
    pub fetch: bool,
    pub time_left_ms: u64,
}

/// What a shard found next.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageResponse {
    pub result: ShardQueryResult,
    /// By [`PageRequest::fetch`]: one per document of `result`.
    pub page: Option<Vec<FetchedHit>>,
    /// How the search orders hits, as in its body.
    pub sort: Value,
    /// Hits of a page.
    pub size: usize,
}

/// See [`FETCH`]. The page that follows begins after the last of these documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScrollFetchRequest {
    pub reader: ReaderId,
    pub docs: Vec<DocAddress>,
    pub time_left_ms: u64,
}

/// See [`FREE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FreeRequest {
    pub readers: Vec<ReaderId>,
}

/// Where a scroll stands on a shard.
pub struct ScrollState {
    scroll: Scroll,
    /// The documents that were found last.
    found: Vec<ShardDoc>,
    sort: Value,
    place: ShardPlace,
    limits: SearchLimits,
    /// Whether a page may lack what there was no time for.
    allow_partial: bool,
}

impl ScrollState {
    /// The documents up to the last of these are given out.
    fn pass(&mut self, given: &[DocAddress]) {
        // They come in the order in which they were found.
        let last = given.last();
        let last = self.found.iter().position(|doc| Some(&doc.address) == last);
        if let Some(last) = last {
            self.scroll.pass(self.found.swap_remove(last));
            self.found = Vec::new();
        }
    }
}

/// Registers what other nodes ask of this one.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    // The readers know whose they are and to what one needs the right.
    for_users(
        services,
        PAGE,
        |_: &PageRequest| vec![Needs::Own(&ScrollRequest::ACTION)],
        async |services, caller, request| page(&services, request, &caller.user).await,
    )?;
    for_users(
        services,
        FETCH,
        |_: &ScrollFetchRequest| vec![Needs::Own(&ScrollRequest::ACTION)],
        async |services, caller, request| fetch(&services, request, &caller.user).await,
    )?;
    for_users(
        services,
        FREE,
        |_: &FreeRequest| {
            vec![Needs::Own(
                &ringwall_api::search::ClearScrollRequest::ACTION,
            )]
        },
        async |services, caller, request| {
            let freed = |reader: &&ReaderId| services.readers.free(**reader, &caller.user);
            Ok(request.readers.iter().filter(freed).count() as u64)
        },
    )?;
    for_users(
        services,
        FREE_ALL,
        |(): &()| vec![Needs::Cluster(ClearAllScrollsRequest::ACTION.name)],
        async |services, _, ()| Ok(services.readers.free_scrolls()),
    )
}

/// Begins a scroll on a shard, and reads its first page when asked.
pub async fn begin(
    services: &Arc<Services>,
    asked: Asked,
    keep_alive_ms: u64,
    caller: Authentication,
) -> ApiResult<QueryResponse> {
    let Asked { search, target } = asked;
    let keep_alive = keep_alive(services, keep_alive_ms)?;
    let place = services.readers.place(services, ReaderKind::Scroll)?;
    let shard = ready(services, &target.shard, target.state_version).await?;
    let limits = limits(services, &target.shard)?;
    let account = Account::open(&services.breakers, Purpose::Request);
    let task = described(&target.shard);
    let state = services.cluster.state();
    let reading = services.reading(&caller, SearchRequest::NAME);
    let shown = views::shown(&state, &target.shard, &target.through, reading)?;
    let view = views::for_search(
        &state,
        &target.shard,
        &target.through,
        reading,
        search.now_ms,
    )?;
    let waiting = Waiting::new(search.time_left_ms);
    let control = waiting
        .control(services.settings.get(&SEARCH_DEFAULT_TIMEOUT).duration())
        .charged_to(account);
    let begun = Instant::now();
    let (id, counts) = (target.shard.clone(), shard.search_counts.clone());
    let (asked, breakers) = (Arc::clone(&search), services.breakers.clone());
    let (now_ms, shard_place, fetches) = (search.now_ms, target.place, search.fetch);
    let (index, allow_partial) = (id.index.name.clone(), search.allow_partial);
    let (state, result, page, searcher) = services
        .pools
        .search
        .run_giving_way(move |seat| -> ApiResult<_> {
            let _task = task;
            let read = asked.read.get(&breakers, &asked.body)?;
            let source = SearchSource::clone(&read.source);
            let searcher = shard.engine.acquire_searcher(&view)?;
            let context = ShardContext {
                index: &index,
                now_millis: now_ms,
                limits,
                place: shard_place,
                control: control.giving_way(seat).begin(source.timeout),
            };
            let (scroll, result) = Scroll::begin(&searcher, source, &context)?;
            if result.timed_out && !allow_partial {
                return Err(ApiError::new(ErrorCode::SearchTimeout, "Time exceeded"));
            }
            let mut state = ScrollState {
                scroll,
                found: result.docs.clone(),
                sort: read.sort.clone(),
                place: shard_place,
                limits,
                allow_partial,
            };
            let page = match fetches {
                false => None,
                true => {
                    let docs = addresses(&result.docs);
                    let hits = fetch_phase(&searcher, state.scroll.source(), &docs, &context)?;
                    state.pass(&docs);
                    Some(hits)
                }
            };
            Ok((state, result, page, searcher))
        })
        .await??;
    drop(waiting);
    counts.query(begun.elapsed());
    let account = Account::open(&services.breakers, Purpose::Request);
    let held = state.scroll.bytes() + READER_BYTES + 2 * search.body.len() as u64;
    account.charge(held, "<scroll>")?;
    let reader = services.readers.keep(NewReader {
        shard: id,
        through: target.through,
        searcher,
        now_ms,
        scroll: Some(state),
        shown,
        owner: caller,
        keep_alive,
        account,
        place,
    });
    Ok(QueryResponse {
        result,
        context: None,
        reader: Some(reader),
        page,
    })
}

async fn page(
    services: &Arc<Services>,
    request: PageRequest,
    caller: &Authentication,
) -> ApiResult<PageResponse> {
    let reader = of_caller(services, request.reader, caller)?;
    let asked = request
        .keep_alive_ms
        .map(|asked| keep_alive(services, asked));
    let asked = asked.transpose()?;
    let begun = Instant::now();
    let waiting = Waiting::new(request.time_left_ms);
    let account = Account::open(&services.breakers, Purpose::Request);
    let control = waiting
        .control(services.settings.get(&SEARCH_DEFAULT_TIMEOUT).duration())
        .charged_to(account);
    let mut state = state_of(&reader).await;
    let task = described(&reader.shard);
    let limits = limits(services, &reader.shard)?;
    let read = reader.clone();
    let response = services
        .pools
        .search
        .run_giving_way(move |seat| -> ApiResult<_> {
            let _task = task;
            let source = state.scroll.source();
            let context = ShardContext {
                index: &read.shard.index.name,
                now_millis: read.now_ms,
                limits,
                place: state.place,
                control: control.giving_way(seat).begin(source.timeout),
            };
            let result = state.scroll.page(&read.searcher, &context)?;
            // The scroll stays where it is: what was not looked at in time would be passed over for good.
            if result.timed_out && !state.allow_partial {
                return Err(ApiError::new(ErrorCode::SearchTimeout, "Time exceeded"));
            }
            let (sort, size) = (state.sort.clone(), source.size);
            state.found = result.docs.clone();
            let page = match request.fetch {
                false => None,
                true => {
                    let docs = addresses(&result.docs);
                    let source = state.scroll.source();
                    let hits = fetch_phase(&read.searcher, source, &docs, &context)?;
                    state.pass(&docs);
                    Some(hits)
                }
            };
            Ok(PageResponse {
                result,
                page,
                sort,
                size,
            })
        })
        .await??;
    drop(waiting);
    reader.prolong(asked);
    if let Ok(shard) = services.shards.require(&reader.shard) {
        shard.search_counts.scroll(begun.elapsed());
    }
    Ok(response)
}

async fn fetch(
    services: &Arc<Services>,
    request: ScrollFetchRequest,
    caller: &Authentication,
) -> ApiResult<FetchResponse> {
    let reader = of_caller(services, request.reader, caller)?;
    let waiting = Waiting::new(request.time_left_ms);
    let account = Account::open(&services.breakers, Purpose::Request);
    let control = waiting.control(None).charged_to(account);
    let mut state = state_of(&reader).await;
    let task = tasks::current();
    let read = move || -> ApiResult<_> {
        let _task = task;
        let context = ShardContext {
            index: &reader.shard.index.name,
            now_millis: reader.now_ms,
            limits: state.limits,
            control: control.begin(None),
            ..ShardContext::default()
        };
        let source = state.scroll.source();
        let hits = fetch_phase(&reader.searcher, source, &request.docs, &context)?;
        state.pass(&request.docs);
        Ok(hits)
    };
    let hits = services.pools.search.run(read).await??;
    drop(waiting);
    Ok(FetchResponse { hits })
}

fn of_caller(services: &Services, id: ReaderId, caller: &Authentication) -> ApiResult<Arc<Reader>> {
    let readers = &services.readers;
    readers.of_caller(services, id, ReaderKind::Scroll, caller)
}

/// Waits until nobody else reads on, so that two requests do not get the same page.
async fn state_of(reader: &Reader) -> tokio::sync::OwnedMutexGuard<ScrollState> {
    // Invariant: a reader of the kind scroll has a state.
    let state = reader.scroll.as_ref().expect("the state of a scroll");
    Arc::clone(state).lock_owned().await
}

fn addresses(docs: &[ShardDoc]) -> Vec<DocAddress> {
    docs.iter().map(|doc| doc.address).collect()
}

/// What something that is open takes beside what it found, roughly.
pub const READER_BYTES: u64 = 16 << 10;
