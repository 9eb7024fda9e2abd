//! Searches on the node that holds the copies: searchers stay open between the two phases.

pub mod control;
pub mod messages;
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
use ringwall_transport::{DuplicateAction, InboundContext, TypedHandler};

use self::messages::{
    COUNT, CountShardRequest, FETCH, FREE, FetchRequest, FreeRequest, QUERY, QueryRequest,
};
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
}

impl SearchContexts {
    /// Keeps a searcher for the fetch phase.
    ///
    /// # Errors
    /// 429 when too many are open.
    fn keep(&self, context: SearchContext, owner: Authentication) -> ApiResult<u64> {
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
            until: Instant::now() + KEEP_ALIVE,
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
        if open.get(&id).is_none_or(|held| held.owner != *caller) {
            return Err(missing());
        }
        let held = open.remove(&id).ok_or_else(missing)?;
        Ok(held.context)
    }

    fn free(&self, id: u64) {
        self.open.lock().remove(&id);
    }

    /// Gives up searchers whose coordinating node never came back.
    pub fn expire(&self) {
        let now = Instant::now();
        self.open.lock().retain(|_, held| held.until > now);
    }
}

const MAX_OPEN: usize = 10_000;
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Registers the data nodes' side with the transport.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    let transport = &services.transport;
    let shared = services.clone();
    transport.register(
        QUERY,
        TypedHandler::new(move |context: InboundContext, request: QueryRequest| {
            let services = shared.clone();
            async move {
                let caller = recheck(
                    &services,
                    context.authentication,
                    &request.shard,
                    &request.through,
                )?;
                shard::query(&services, request, caller).await
            }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        FETCH,
        TypedHandler::new(move |context: InboundContext, request: FetchRequest| {
            let services = shared.clone();
            async move {
                let caller = context.authentication.ok_or_else(no_user)?;
                shard::fetch(&services, request, &caller).await
            }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        FREE,
        TypedHandler::new(move |_, request: FreeRequest| {
            let services = shared.clone();
            async move {
                services.searches.free(request.context);
                Ok(())
            }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        COUNT,
        TypedHandler::new(move |context: InboundContext, request: CountShardRequest| {
            let services = shared.clone();
            async move {
                recheck(
                    &services,
                    context.authentication,
                    &request.shard,
                    &request.through,
                )?;
                shard::count(&services, request).await
            }
        }),
    )
}

/// The coordinating node has authorized the search; this node does not take its word for it.
fn recheck(
    services: &Services,
    authentication: Option<Authentication>,
    shard: &ShardId,
    through: &Through,
) -> ApiResult<Authentication> {
    let authentication = authentication.ok_or_else(no_user)?;
    let names = through.names(&shard.index.name);
    services
        .authorizer
        .recheck_names(&authentication, SearchRequest::ACTION.name, &names)?;
    Ok(authentication)
}

fn no_user() -> ApiError {
    ApiError::internal("a search came without the identity of its user")
}
