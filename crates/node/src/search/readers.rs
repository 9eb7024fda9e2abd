//! What searches that are read on keep open on this node: scrolls and points in time.
//!
//! Each belongs to who opened it, is kept for a time from its last use, and sees what it saw when it was opened: a
//! refresh, a merge or a move of the shard changes nothing of it. It ends with its index or when that is closed, and when
//! what its aliases or the roles of its owner show changes: then it would go on to show what is not to be seen any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringwall_api::search::SearchRequest;
use ringwall_api::{ActionRequest, ApiError, ApiResult, Authentication, ErrorCode, Through};
use ringwall_base::breaker::Account;
use ringwall_base::{IndexId, ShardId, TimeValue, random_bytes};
use ringwall_cluster::ClusterState;
use ringwall_cluster::blocks::Level;
use ringwall_index::Searcher;
use ringwall_settings::registry::indices::{
    SEARCH_MAX_KEEP_ALIVE, SEARCH_MAX_OPEN_PITS, SEARCH_MAX_OPEN_SCROLLS,
};
use serde::{Deserialize, Serialize};

use super::scroll::ScrollState;
use crate::services::Services;
use crate::views::{self, Reading, Shown};

/// What is open on a node.
pub struct Readers {
    /// Of this process: a number of another one is none of ours.
    session: u64,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Reader>>>,
    counts: [Arc<AtomicUsize>; 2],
}

/// Names one on its node.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReaderId {
    session: u64,
    number: u64,
}

/// What something is kept open for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderKind {
    Scroll,
    Pit,
}

/// A shard as it was when a search began.
pub struct Reader {
    pub shard: ShardId,
    /// By which names it was reached, to which the caller must have the right every time.
    pub through: Through,
    pub searcher: Searcher,
    /// What `now` means, milliseconds since the epoch.
    pub now_ms: i64,
    kind: ReaderKind,
    /// What the names showed.
    shown: Shown,
    owner: Authentication,
    /// Where a scroll stands.
    pub scroll: Option<Arc<tokio::sync::Mutex<ScrollState>>>,
    /// For what is held meanwhile.
    _account: Account,
    _place: Place,
    life: Mutex<Life>,
}

struct Life {
    keep_alive: Duration,
    until: Instant,
}

/// One of the places for what is open, given back when dropped.
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a reader is made of.
pub struct NewReader {
    pub shard: ShardId,
    pub through: Through,
    pub searcher: Searcher,
    pub now_ms: i64,
    pub scroll: Option<ScrollState>,
    pub shown: Shown,
    pub owner: Authentication,
    pub keep_alive: Duration,
    pub account: Account,
    pub place: Place,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            session: u64::from_be_bytes(random_bytes()),
            next: AtomicU64::default(),
            open: Mutex::default(),
            counts: Default::default(),
        }
    }
}

impl Readers {
    /// Lets go of every reader.
    pub fn abandon(&self) {
        self.open.lock().clear();
    }

    /// Takes a place for something to open, which is there until it is dropped.
    ///
    /// # Errors
    /// 429 when as many are taken as there may be.
    pub fn place(&self, services: &Services, kind: ReaderKind) -> ApiResult<Place> {
        let (setting, most) = match kind {
            ReaderKind::Scroll => (
                SEARCH_MAX_OPEN_SCROLLS.key(),
                services.settings.get(&SEARCH_MAX_OPEN_SCROLLS),
            ),
            ReaderKind::Pit => (
                SEARCH_MAX_OPEN_PITS.key(),
                services.settings.get(&SEARCH_MAX_OPEN_PITS),
            ),
        };
        let count = &self.counts[kind as usize];
        if count.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(Place(Arc::clone(count)));
        }
        count.fetch_sub(1, Ordering::Relaxed);
        Err(too_many(kind, setting, most))
    }

    /// Keeps a reader until it is not used any more.
    pub fn keep(&self, new: NewReader) -> ReaderId {
        let kind = match new.scroll {
            Some(_) => ReaderKind::Scroll,
            None => ReaderKind::Pit,
        };
        let reader = Reader {
            shard: new.shard,
            through: new.through,
            searcher: new.searcher,
            now_ms: new.now_ms,
            kind,
            shown: new.shown,
            owner: new.owner,
            scroll: new
                .scroll
                .map(|state| Arc::new(tokio::sync::Mutex::new(state))),
            _account: new.account,
            _place: new.place,
            life: Mutex::new(Life {
                keep_alive: new.keep_alive,
                until: Instant::now() + new.keep_alive,
            }),
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(number, Arc::new(reader));
        ReaderId {
            session: self.session,
            number,
        }
    }

    /// Returns a reader for its owner, who may still read all that it shows.
    ///
    /// # Errors
    /// 404 `search_context_missing_exception` for what is not open, or another's, or has had its time; 403 for a
    /// caller who has lost the right.
    pub fn of_caller(
        &self,
        services: &Services,
        id: ReaderId,
        kind: ReaderKind,
        caller: &Authentication,
    ) -> ApiResult<Arc<Reader>> {
        let reader = self.found(id, caller).filter(|reader| reader.kind == kind);
        let reader = reader.ok_or_else(|| id.missing())?;
        if reader.is_over(Instant::now()) {
            self.open.lock().remove(&id.number);
            return Err(id.missing());
        }
        let names = reader.through.names(&reader.shard.index.name);
        let action = SearchRequest::NAME;
        services.authorizer.recheck_names(caller, action, &names)?;
        let reading = services.reading(caller, action);
        if !reader.is_unchanged(&services.cluster.state(), reading) {
            self.open.lock().remove(&id.number);
            return Err(id.missing());
        }
        // A block counts for what is open, too.
        let state = services.cluster.state();
        state.check_blocks(&reader.shard.index.name, Level::Read)?;
        Ok(reader)
    }

    fn found(&self, id: ReaderId, caller: &Authentication) -> Option<Arc<Reader>> {
        let open = self.open.lock();
        let reader = open
            .get(&id.number)
            .filter(|_| id.session == self.session)?;
        reader
            .owner
            .is_same_owner(caller)
            .then(|| Arc::clone(reader))
    }

    /// Ends a reader of the caller. Returns whether there was one.
    pub fn free(&self, id: ReaderId, caller: &Authentication) -> bool {
        let is_there = self.found(id, caller).is_some();
        is_there && self.open.lock().remove(&id.number).is_some()
    }

    /// Ends every scroll. Returns how many.
    pub fn free_scrolls(&self) -> u64 {
        let mut open = self.open.lock();
        let before = open.len();
        open.retain(|_, reader| reader.kind != ReaderKind::Scroll);
        (before - open.len()) as u64
    }

    /// Ends what has had its time, and what was opened on what is no more.
    pub fn expire(&self, state: &ClusterState, now: Instant) {
        let mut open = self.open.lock();
        let is_open = |index: &IndexId| state.index(index).is_some_and(|index| !index.is_closed);
        open.retain(|_, reader| !reader.is_over(now) && is_open(&reader.shard.index));
    }

    /// Returns how many are open on a shard.
    pub fn open_on(&self, shard: &ShardId) -> u64 {
        let open = self.open.lock();
        open.values()
            .filter(|reader| reader.shard == *shard)
            .count() as u64
    }

    /// Returns how many are open.
    pub fn count(&self) -> u64 {
        self.open.lock().len() as u64
    }
}

impl Reader {
    fn is_over(&self, now: Instant) -> bool {
        self.life.lock().until <= now
    }

    /// Whether the index is there and shows what it showed.
    fn is_unchanged(&self, state: &ClusterState, reading: Reading<'_>) -> bool {
        let shown = views::shown(state, &self.shard, &self.through, reading);
        let is_open = state.index(&self.shard.index).is_some_and(|i| !i.is_closed);
        is_open && shown.is_ok_and(|shown| shown == self.shown)
    }

    /// Begins its time anew, when it is used.
    pub fn prolong(&self, keep_alive: Option<Duration>) {
        let mut life = self.life.lock();
        if let Some(keep_alive) = keep_alive {
            life.keep_alive = keep_alive;
        }
        // A use that ends late does not cut what a later one has asked for.
        life.until = life.until.max(Instant::now() + life.keep_alive);
        if keep_alive.is_some() {
            life.until = Instant::now() + life.keep_alive;
        }
    }
}

impl ReaderId {
    /// Returns the 404 of one that is not open.
    pub fn missing(self) -> ApiError {
        ApiError::new(
            ErrorCode::SearchContextMissing,
            format!("No search context found for id [{}]", self.number),
        )
    }
}

/// Returns for how long something is kept that is asked for with this.
///
/// # Errors
/// 400 for more than `search.max_keep_alive`.
pub fn keep_alive(services: &Services, asked_ms: u64) -> ApiResult<Duration> {
    let asked = Duration::from_millis(asked_ms);
    let most = services.settings.get(&SEARCH_MAX_KEEP_ALIVE);
    match most.duration() {
        Some(limit) if asked > limit => Err(ApiError::illegal_argument(format!(
            "Keep alive for request ({}) is too large. It must be less than ({most}). This limit can be set by \
             changing the [{}] cluster level setting.",
            TimeValue::from_millis(asked_ms),
            SEARCH_MAX_KEEP_ALIVE.key()
        ))),
        _ => Ok(asked),
    }
}

fn too_many(kind: ReaderKind, setting: &str, most: usize) -> ApiError {
    let (code, what) = match kind {
        ReaderKind::Scroll => (ErrorCode::TooManyScrollContexts, "scroll"),
        ReaderKind::Pit => (ErrorCode::Rejected, "point in time"),
    };
    ApiError::new(
        code,
        format!(
            "Trying to create too many {what} contexts. Must be less than or equal to: [{most}]. This limit can be \
             set by changing the [{setting}] setting."
        ),
    )
}
