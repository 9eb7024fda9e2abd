//! Searches on the node that holds the copies: searchers stay open between the two phases.

pub mod context_ids;
pub mod control;
pub mod counts;
pub mod messages;
pub mod pit;
pub mod readers;
pub mod reading;
pub mod scroll;
pub mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use ringwall_api::auth::Authentication;
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, Through, search::SearchRequest};
use ringwall_base::ShardId;
use ringwall_base::breaker::Account;
use ringwall_index::Searcher;
use ringwall_transport::DuplicateAction;

use self::messages::{
    Asked, FETCH, FREE, FetchRequest, FreeRequest, QUERY, QUERY_SHARD, QueryRequest, QueryResponse,
};
use self::readers::ReaderId;
use self::reading::ReadSearch;
use crate::node_actions::{ForUser, Needs, for_users, for_users_by_parts};
use crate::services::Services;

/// Searchers between the query and the fetch phase.
#[derive(Default)]
pub struct SearchContexts {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Held>>,
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
    pub read: Arc<ReadSearch>,
    pub now_ms: i64,
    /// For what is held meanwhile.
    pub account: Account,
    pub counts: Arc<counts::Counted>,
}

impl SearchContexts {
    /// Lets go of every searcher.
    pub fn abandon(&self) {
        self.open.lock().clear();
    }

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
    for_users_by_parts(
        services,
        QUERY,
        QueryRequest::parts,
        |asked: &Asked| reads(&asked.target.shard, &asked.target.through),
        query,
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

/// Searches shards of this node. Each is a task of its own, as if it had been asked for alone.
async fn query(
    services: Arc<Services>,
    caller: ForUser,
    parts: Vec<ApiResult<Asked>>,
) -> ApiResult<Vec<ApiResult<QueryResponse>>> {
    let unsent = Unsent::new(&services, &caller.user);
    let origin = caller.node.origin.as_ref();
    let answers = parts.into_iter().map(|part| {
        let (services, user, unsent) = (&services, &caller.user, &unsent);
        async move {
            let asked = part?;
            let task = services.tasks.begin(QUERY_SHARD, origin);
            let answer = task.run(query_shard(services, asked, user.clone())).await?;
            unsent.note(&answer);
            Ok(answer)
        }
    });
    let answers = join_all(answers).await;
    unsent.sent();
    Ok(answers)
}

async fn query_shard(
    services: &Arc<Services>,
    asked: Asked,
    user: Authentication,
) -> ApiResult<QueryResponse> {
    match asked.search.scroll_ms {
        Some(keep_alive_ms) => scroll::begin(services, asked, keep_alive_ms, user).await,
        None => shard::query(services, asked, user).await,
    }
}

/// What shards keep open for an answer that nobody has yet: it ends with the request, if that is given up while other
/// shards are searched.
struct Unsent {
    services: Arc<Services>,
    owner: Authentication,
    open: Mutex<Vec<Kept>>,
}

enum Kept {
    Context(u64),
    Scroll(ReaderId),
}

impl Unsent {
    fn new(services: &Arc<Services>, owner: &Authentication) -> Self {
        Self {
            services: Arc::clone(services),
            owner: owner.clone(),
            open: Mutex::default(),
        }
    }

    fn note(&self, answer: &QueryResponse) {
        let context = answer.context.map(Kept::Context);
        let scroll = answer.reader.map(Kept::Scroll);
        self.open.lock().extend(context.into_iter().chain(scroll));
    }

    /// From now on it is for the asker to end.
    fn sent(&self) {
        self.open.lock().clear();
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        for kept in self.open.get_mut().drain(..) {
            match kept {
                Kept::Context(id) => drop(self.services.searches.take(id, &self.owner)),
                Kept::Scroll(id) => drop(self.services.readers.free(id, &self.owner)),
            }
        }
    }
}

/// What a user needs to search a shard that was reached through these names.
fn reads(shard: &ShardId, through: &Through) -> Vec<Needs> {
    let names = through.names(&shard.index.name);
    vec![Needs::Names(SearchRequest::NAME, names)]
}
