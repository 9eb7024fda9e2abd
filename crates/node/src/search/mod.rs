//! Searches on the node that holds the copies: searchers stay open between the two phases.

pub mod context_ids;
pub mod control;
pub mod counts;
pub mod messages;
pub mod pit;
pub mod readers;
pub mod scroll;
pub mod shard;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringwall_api::auth::Authentication;
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, Through, search::SearchRequest};
use ringwall_base::ShardId;
use ringwall_base::breaker::Account;
use ringwall_index::Searcher;
use ringwall_search::SearchSource;
use ringwall_transport::DuplicateAction;

use self::messages::{FETCH, FREE, FetchRequest, FreeRequest, QUERY, QueryRequest};
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// Searchers between the query and the fetch phase.
#[derive(Default)]
pub struct SearchContexts {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Held>>,
}

struct Held {
    context: Arc<SearchContext>,
    /// Who searched: nobody else may read the hits.
    owner: Authentication,
    until: Instant,
}

/// What the fetch phase needs of the query phase.
pub struct SearchContext {
    pub index: String,
    pub searcher: Searcher,
    pub source: SearchSource,
    pub now_ms: i64,
    /// For what is held meanwhile.
    pub account: Account,
    pub counts: Arc<counts::Counted>,
}

impl SearchContexts {
    /// Keeps a searcher for the fetch phase.
    ///
    /// # Errors
    /// 429 when too many are open.
    fn keep(
        &self,
        context: SearchContext,
        owner: Authentication,
        keep_alive: Duration,
    ) -> ApiResult<u64> {
        let mut open = self.open.lock();
        if open.len() >= MAX_OPEN {
            return Err(ApiError::new(
                ErrorCode::Rejected,
                format!("[{MAX_OPEN}] searches are between their phases on this node; retry later"),
            ));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let held = Held {
            context: Arc::new(context),
            owner,
            until: Instant::now() + keep_alive,
        };
        open.insert(id, held);
        Ok(id)
    }

    fn take(&self, id: u64, caller: &Authentication) -> ApiResult<Arc<SearchContext>> {
        let missing = || {
            ApiError::new(
                ErrorCode::SearchContextMissing,
                format!("No search context found for id [{id}]"),
            )
        };
        let mut open = self.open.lock();
        if open
            .get(&id)
            .is_none_or(|held| !held.owner.is_same_owner(caller))
        {
            return Err(missing());
        }
        let held = open.remove(&id).ok_or_else(missing)?;
        Ok(held.context)
    }

    /// Gives up searchers whose coordinating node never came back.
    pub fn expire(&self) {
        let now = Instant::now();
        self.open.lock().retain(|_, held| held.until > now);
    }
}

const MAX_OPEN: usize = 10_000;

/// Registers the data nodes' side with the transport.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    scroll::register(services)?;
    pit::register(services)?;
    for_users(
        services,
        QUERY,
        |request: &QueryRequest| reads(&request.shard, &request.through),
        async |services, caller, request| match request.scroll_ms {
            Some(asked) => scroll::begin(&services, request, asked, caller.user).await,
            None => shard::query(&services, request, caller.user).await,
        },
    )?;
    for_users(
        services,
        FETCH,
        |_: &FetchRequest| vec![Needs::Own(&SearchRequest::ACTION)],
        async |services, caller, request| shard::fetch(&services, request, &caller.user).await,
    )?;
    for_users(
        services,
        FREE,
        |_: &FreeRequest| vec![Needs::Own(&SearchRequest::ACTION)],
        async |services, caller, request| {
            // Taken as for reading: it ends here.
            services
                .searches
                .take(request.context, &caller.user)
                .map(drop)
        },
    )
}

/// What a user needs to search a shard that was reached through these names.
fn reads(shard: &ShardId, through: &Through) -> Vec<Needs> {
    let names = through.names(&shard.index.name);
    vec![Needs::Names(SearchRequest::NAME, names)]
}
