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
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use ringwall_api::auth::Authentication;
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, Through, search::SearchRequest};
use ringwall_base::breaker::Account;
use ringwall_base::{ShardId, encoding};
use ringwall_index::Searcher;
use ringwall_search::SearchLimits;
use ringwall_settings::registry::network::TRANSPORT_MAX_MESSAGE_SIZE;
use ringwall_transport::DuplicateAction;
use serde::Serialize;

use self::messages::{
    Asked, FETCH, FETCH_SHARD, FREE, FetchRequest, FetchResponse, FreeRequest, QUERY, QUERY_SHARD,
    QueryRequest, QueryResponse,
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
    pub shard: ShardId,
    pub searcher: Searcher,
    pub read: Arc<ReadSearch>,
    pub now_ms: i64,
    pub limits: SearchLimits,
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

    /// Takes a searcher out, for its owner only.
    fn take(&self, id: u64, caller: &Authentication) -> Option<Held> {
        let mut open = self.open.lock();
        let is_callers = |held: &Held| held.owner.is_same_owner(caller);
        open.get(&id)
            .is_some_and(is_callers)
            .then(|| open.remove(&id))?
    }

    /// Puts back what was taken out.
    fn put_back(&self, id: u64, held: Held) {
        self.open.lock().insert(id, held);
    }

    /// Returns how many are open on a shard.
    pub fn open_on(&self, shard: &ShardId) -> u64 {
        let open = self.open.lock();
        let is_of_shard = |held: &&Held| held.context.shard == *shard;
        open.values().filter(is_of_shard).count() as u64
    }

    /// Returns how many are open.
    pub fn count(&self) -> u64 {
        self.open.lock().len() as u64
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
        fetch,
    )?;
    for_users(
        services,
        FREE,
        |_: &FreeRequest| vec![Needs::Own(&SearchRequest::ACTION)],
        async |services, caller, request| {
            let ids = request.contexts.into_iter();
            let freed = ids.filter_map(|id| services.searches.take(id, &caller.user));
            Ok(freed.count() as u64)
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
    let answers = parts.into_iter().map(|part| {
        let (services, caller, unsent) = (&services, &caller, &unsent);
        async move {
            let asked = part?;
            let task = services
                .tasks
                .begin(QUERY_SHARD, caller.node.origin.as_ref());
            let searched = task.run(query_shard(services, asked, caller.user.clone()));
            let answer = in_time(caller.node.remaining(), searched).await?;
            unsent.note(&answer);
            Ok(answer)
        }
    });
    let mut answers = join_all(answers).await;
    // What has no place in the message is ended here: nobody would hear of it.
    for given in &too_many(&services, &answers) {
        answers[*given] = Err(too_long());
    }
    unsent.sent(&answers);
    Ok(answers)
}

/// Reads what shards of this node have found, each as a task of its own.
async fn fetch(
    services: Arc<Services>,
    caller: ForUser,
    request: FetchRequest,
) -> ApiResult<Vec<ApiResult<FetchResponse>>> {
    let ids: Vec<u64> = request.shards.iter().map(|shard| shard.context).collect();
    let taken = ids
        .iter()
        .map(|id| services.searches.take(*id, &caller.user));
    let mut taken: Vec<Option<Held>> = taken.collect();
    let hits = request.shards.into_iter().zip(&taken).map(|(shard, held)| {
        let (services, caller) = (&services, &caller);
        async move {
            let held = held.as_ref().ok_or_else(|| missing(shard.context))?;
            let task = services
                .tasks
                .begin(FETCH_SHARD, caller.node.origin.as_ref());
            let context = Arc::clone(&held.context);
            let read = shard::fetch(services, context, shard.docs, request.time_left_ms);
            in_time(caller.node.remaining(), task.run(read)).await
        }
    });
    let mut answers = join_all(hits).await;
    for alone in too_many(&services, &answers) {
        if let Some(held) = taken[alone].take() {
            services.searches.put_back(ids[alone], held);
        }
        answers[alone] = Err(too_long());
    }
    Ok(answers)
}

fn missing(id: u64) -> ApiError {
    let reason = format!("No search context found for id [{id}]");
    ApiError::new(ErrorCode::SearchContextMissing, reason)
}

/// Gives a shard up shortly before nobody waits for the answers any more: those of the others are still told.
async fn in_time<A>(
    remaining: Duration,
    answer: impl Future<Output = ApiResult<A>>,
) -> ApiResult<A> {
    let limit = remaining - (remaining / 10).min(RESERVE);
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::SearchTimeout, "Time exceeded")))
}

/// For the answer on its way.
const RESERVE: Duration = Duration::from_secs(1);

/// Returns which answers have no place in one message with those before them. The asker asks for each of them alone.
fn too_many<A: Serialize>(services: &Services, answers: &[ApiResult<A>]) -> Vec<usize> {
    let room = services.settings.get(&TRANSPORT_MAX_MESSAGE_SIZE).bytes() / 10 * 9;
    let mut taken = 0;
    let mut without_place = Vec::new();
    // One alone is sent as it is.
    for (place, answer) in answers.iter().enumerate().filter(|_| answers.len() > 1) {
        let bytes = answer.as_ref().map_or(0, encoding::size);
        match taken + bytes > room {
            true => without_place.push(place),
            false => taken += bytes,
        }
    }
    without_place
}

fn too_long() -> ApiError {
    let reason = "the answer has no place in one message with those of other shards";
    ApiError::new(ErrorCode::ContentTooLong, reason)
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

#[derive(PartialEq)]
enum Kept {
    Context(u64),
    Scroll(ReaderId),
}

impl Kept {
    fn of(answer: &QueryResponse) -> impl Iterator<Item = Self> {
        let context = answer.context.map(Self::Context);
        context.into_iter().chain(answer.reader.map(Self::Scroll))
    }
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
        self.open.lock().extend(Kept::of(answer));
    }

    /// What these tell of is for the asker to end from now on.
    fn sent(&self, answers: &[ApiResult<QueryResponse>]) {
        let told: Vec<Kept> = answers.iter().flatten().flat_map(Kept::of).collect();
        self.open.lock().retain(|kept| !told.contains(kept));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_is_late_leaves_time_to_answer_for_the_others() {
        for (remaining, reserve) in [(60_000, 1_000), (5_000, 500), (0, 0)] {
            let begun = tokio::time::Instant::now();
            let remaining = Duration::from_millis(remaining);
            let late: ApiResult<()> = in_time(remaining, std::future::pending()).await;
            assert_eq!(late.unwrap_err().code, ErrorCode::SearchTimeout);
            let until = begun + remaining - Duration::from_millis(reserve);
            let left = tokio::time::Instant::now() - until;
            assert!(left < Duration::from_millis(5), "{remaining:?}: {left:?}");
        }
        assert!(
            in_time(Duration::from_secs(1), async { Ok(()) })
                .await
                .is_ok()
        );
    }
}
