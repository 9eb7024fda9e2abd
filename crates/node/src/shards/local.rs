//! One shard copy that this node serves: the engine, and the role the cluster gave it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{AllocationId, NodeId, SeqNo, ShardId, Term};
use ringwall_cluster::ClusterState;
use ringwall_index::engine::Shard;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::under_way::UnderWay;
use crate::cluster_service::now_ms;
use crate::search::counts::Counted;

/// A copy whose engine is open.
pub struct LocalShard {
    pub id: ShardId,
    pub allocation_id: AllocationId,
    pub engine: Arc<Shard>,
    /// What searches have done.
    pub search_counts: Arc<Counted>,
    role: Mutex<Role>,
    /// Numbers refreshes as they begin.
    refreshes_begun: AtomicU64,
    /// The number of the last refresh that has ended.
    refreshed: watch::Sender<u64>,
    /// Writes that wait for a refresh.
    refresh_waiters: Arc<AtomicUsize>,
    last_refresh_ms: AtomicU64,
    last_search_ms: AtomicU64,
    /// The mapping version that the engine was last given.
    mapping_version: AtomicU64,
    /// The term that a promotion is under way for, or was last done for.
    promoting: AtomicU64,
    /// Shared by operations of a primary elsewhere; exclusive for a change of primary.
    gate: RwLock<()>,
    closed: CancellationToken,
    /// The term in which the copy was opened or brought up to date; unset until then.
    recovered_in: OnceLock<Term>,
    /// The cluster counts the copy as in sync.
    serving: AtomicBool,
    settled: AtomicBool,
    maintaining: Arc<AtomicBool>,
    /// Writes on the primary.
    pub writes: UnderWay,
    persisted_checkpoint: Mutex<(SeqNo, u64)>,
    // Last, and so dropped when the engine is closed for good.
    alive: Arc<()>,
}

/// Waits for a refresh.
pub struct RefreshWaiter {
    number: u64,
    ended: watch::Receiver<u64>,
    waiters: Arc<AtomicUsize>,
}

impl RefreshWaiter {
    /// Waits until the refresh has ended. Returns whether it came in time.
    pub async fn wait(mut self, limit: Duration) -> bool {
        let number = self.number;
        let ended = self.ended.wait_for(|ended| *ended >= number);
        matches!(tokio::time::timeout(limit, ended).await, Ok(Ok(_)))
    }
}

impl Drop for RefreshWaiter {
    fn drop(&mut self) {
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Held while maintenance runs on a copy.
pub struct Maintaining(Arc<AtomicBool>);

impl Drop for Maintaining {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What the copy does in its replication group.
enum Role {
    /// Takes operations of primaries of this term, and no older one. Operations of a newer term
    /// need a resync first.
    Replica {
        term: Term,
    },
    Primary(PrimaryMode),
}

/// What a primary knows about the other copies.
struct PrimaryMode {
    term: Term,
    /// Copies in recovery that get every new operation.
    tracked: BTreeMap<AllocationId, NodeId>,
    /// How far each copy has durably come, as it last told.
    checkpoints: BTreeMap<AllocationId, SeqNo>,
    /// Copies that have recovered from here and may be in sync without this node knowing of it.
    recovered: BTreeSet<AllocationId>,
    /// The checkpoint last sent to idle copies.
    broadcast_checkpoint: SeqNo,
}

impl LocalShard {
    /// Returns a copy that follows primaries of the given term.
    pub fn new(
        id: ShardId,
        allocation_id: AllocationId,
        engine: Arc<Shard>,
        term: Term,
        mapping_version: u64,
    ) -> Arc<Self> {
        let persisted = engine.global_checkpoint();
        Arc::new(Self {
            id,
            allocation_id,
            engine,
            search_counts: Arc::default(),
            role: Mutex::new(Role::Replica { term }),
            refreshes_begun: AtomicU64::new(0),
            refreshed: watch::Sender::new(0),
            refresh_waiters: Arc::default(),
            last_refresh_ms: AtomicU64::new(now_ms()),
            last_search_ms: AtomicU64::new(now_ms()),
            mapping_version: AtomicU64::new(mapping_version),
            promoting: AtomicU64::new(0),
            gate: RwLock::new(()),
            closed: CancellationToken::new(),
            recovered_in: OnceLock::new(),
            serving: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            maintaining: Arc::default(),
            writes: UnderWay::default(),
            persisted_checkpoint: Mutex::new((persisted, now_ms())),
            alive: Arc::new(()),
        })
    }

    /// Returns whether a promotion to primary of that term has to be done, and marks it as under
    /// way.
    pub fn begin_promotion(&self, term: Term) -> bool {
        self.promoting.fetch_max(term, Ordering::AcqRel) < term
    }

    /// Lets a promotion that failed be tried again.
    pub fn abandon_promotion(&self, term: Term) {
        let _ =
            self.promoting
                .compare_exchange(term, term - 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Makes the copy the primary of a term: fills the gaps in its history, which no acknowledged
    /// operation can be in, and from then on refuses the operations of earlier primaries. Blocks.
    pub fn promote(&self, term: Term) -> ApiResult<()> {
        let _alone = self.gate.write();
        if matches!(&*self.role.lock(), Role::Primary(mode) if mode.term >= term) {
            return Ok(());
        }
        self.engine.record_primary_term(term)?;
        self.engine.fill_gaps(term)?;
        self.engine.sync()?;
        *self.role.lock() = Role::Primary(PrimaryMode {
            term,
            tracked: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            recovered: BTreeSet::new(),
            broadcast_checkpoint: SeqNo::MIN,
        });
        Ok(())
    }

    /// Admits operations of a primary of that term for as long as the guard lives. Blocks while
    /// the primary changes.
    ///
    /// # Errors
    /// As [`LocalShard::check_replica_term`].
    pub fn admit(&self, term: Term) -> ApiResult<RwLockReadGuard<'_, ()>> {
        let gate = self.gate.read();
        self.check_replica_term(term)?;
        Ok(gate)
    }

    /// Takes the copy out of service: what begins from now on is refused.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Returns what lives until the engine is closed, whoever still holds the copy.
    pub fn alive(&self) -> Weak<()> {
        Arc::downgrade(&self.alive)
    }

    /// Completes when the copy is taken out of service.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    fn check_open(&self) -> ApiResult<()> {
        if !self.closed.is_cancelled() {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::ShardNotFound,
            format!("the copy of {} on this node is being closed", self.id),
        ))
    }

    /// Notes that the copy has all that it was to have when it was assigned, in that term.
    pub fn note_recovered(&self, term: Term) {
        let _ = self.recovered_in.set(term);
    }

    /// Returns the term in which the copy was brought up to date; `None` as long as it is not.
    pub fn recovered_in(&self) -> Option<Term> {
        self.recovered_in.get().copied()
    }

    /// Notes that the cluster counts the copy as in sync.
    pub fn note_serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    /// Begins maintenance, unless it is under way.
    pub fn try_maintain(&self) -> Option<Maintaining> {
        let busy = self.maintaining.swap(true, Ordering::AcqRel);
        (!busy).then(|| Maintaining(self.maintaining.clone()))
    }

    /// Writes the global checkpoint and the identity to disk when they have changed for a while.
    /// Blocks.
    pub fn persist_checkpoint_if_due(&self) -> ApiResult<()> {
        if self.serving.load(Ordering::Acquire) && !self.settled.load(Ordering::Acquire) {
            self.engine.settle()?;
            self.settled.store(true, Ordering::Release);
        }
        let checkpoint = self.engine.global_checkpoint();
        let mut persisted = self.persisted_checkpoint.lock();
        let (known, at) = *persisted;
        if checkpoint > known && now_ms().saturating_sub(at) >= PERSIST_INTERVAL_MS {
            self.engine.persist_global_checkpoint()?;
            *persisted = (checkpoint, now_ms());
        }
        Ok(())
    }

    /// Returns the term under which the copy is primary.
    ///
    /// # Errors
    /// `shard_not_in_primary_mode_exception`, which makes the caller look at a newer state.
    pub fn primary_term(&self) -> ApiResult<Term> {
        self.check_open()?;
        match &*self.role.lock() {
            Role::Primary(mode) => Ok(mode.term),
            Role::Replica { .. } => Err(ApiError::new(
                ErrorCode::ShardNotInPrimaryMode,
                format!("the copy of {} on this node is not the primary", self.id),
            )),
        }
    }

    /// Returns whether the copy is primary.
    pub fn is_primary(&self) -> bool {
        matches!(&*self.role.lock(), Role::Primary(_))
    }

    /// Checks that operations of a primary of this term may be applied here.
    ///
    /// # Errors
    /// [`ErrorCode::StalePrimary`] when the copy knows a newer primary (or is it), and
    /// [`ErrorCode::ShardNotInPrimaryMode`] when it has not been resynced with this one.
    pub fn check_replica_term(&self, term: Term) -> ApiResult<()> {
        self.check_open()?;
        let known = match &*self.role.lock() {
            Role::Replica { term } => *term,
            Role::Primary(mode) => {
                let newer = mode.term;
                return Err(stale_primary(&self.id, term, newer));
            }
        };
        match term.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(stale_primary(&self.id, term, known)),
            std::cmp::Ordering::Greater => Err(ApiError::new(
                ErrorCode::ShardNotInPrimaryMode,
                format!(
                    "{} needs a resync before operations of term [{term}]",
                    self.id
                ),
            )),
        }
    }

    /// Checks something about the copy and, if it holds, records that the copy agrees with the
    /// primary of a term. No operation comes between. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::StalePrimary`] when it has agreed with a newer one; what `check` says.
    pub fn follow(&self, term: Term, check: impl FnOnce() -> ApiResult<()>) -> ApiResult<()> {
        let _alone = self.gate.write();
        self.check_open()?;
        // It agreed already, and has operations of this term since then that an earlier message does not have.
        if matches!(&*self.role.lock(), Role::Replica { term: known } if *known == term) {
            return Ok(());
        }
        check()?;
        let mut role = self.role.lock();
        let known = match &*role {
            Role::Replica { term } => *term,
            Role::Primary(mode) => mode.term,
        };
        if term < known || (term == known && matches!(&*role, Role::Primary(_))) {
            return Err(stale_primary(&self.id, term, known));
        }
        *role = Role::Replica { term };
        drop(role);
        self.engine.record_primary_term(term)?;
        Ok(())
    }

    /// Sends every later operation to a recovering copy too.
    pub fn track(&self, allocation_id: AllocationId, node: NodeId) -> ApiResult<()> {
        match &mut *self.role.lock() {
            Role::Primary(mode) => {
                // It begins anew: what it told before is of an earlier attempt.
                mode.recovered.remove(&allocation_id);
                mode.checkpoints.remove(&allocation_id);
                mode.tracked.insert(allocation_id, node);
                Ok(())
            }
            Role::Replica { .. } => Err(ApiError::new(
                ErrorCode::ShardNotInPrimaryMode,
                format!("{} is no longer the primary", self.id),
            )),
        }
    }

    /// Stops sending operations to copies that are no longer assigned. The state is read while none can begin to be
    /// tracked: by an older one, a copy that was assigned since would lose what it has yet to be sent.
    pub fn untrack(&self, state: impl FnOnce() -> Arc<ClusterState>) {
        if let Role::Primary(mode) = &mut *self.role.lock() {
            let state = state();
            let routing = state.shard(&self.id);
            let keep =
                |id: &AllocationId| routing.is_some_and(|routing| routing.copy(id).is_some());
            mode.tracked.retain(|id, _| keep(id));
            mode.checkpoints.retain(|id, _| keep(id));
            mode.recovered.retain(|id| keep(id));
        }
    }

    /// Returns the recovering copies that get every operation.
    pub fn tracked(&self) -> BTreeMap<AllocationId, NodeId> {
        match &*self.role.lock() {
            Role::Primary(mode) => mode.tracked.clone(),
            Role::Replica { .. } => BTreeMap::new(),
        }
    }

    /// From now on the global checkpoint does not pass a tracked copy, whatever the state says of it.
    pub fn hold_checkpoint_for(&self, allocation_id: &AllocationId) -> ApiResult<()> {
        match &mut *self.role.lock() {
            Role::Primary(mode) if mode.tracked.contains_key(allocation_id) => {
                mode.recovered.insert(allocation_id.clone());
                Ok(())
            }
            _ => Err(ApiError::new(
                ErrorCode::ShardNotInPrimaryMode,
                format!("{} does not track the copy [{allocation_id}]", self.id),
            )),
        }
    }

    /// Returns how far a copy has durably come, as it last told.
    pub fn checkpoint_of(&self, allocation_id: &AllocationId) -> Option<SeqNo> {
        match &*self.role.lock() {
            Role::Primary(mode) => mode.checkpoints.get(allocation_id).copied(),
            Role::Replica { .. } => None,
        }
    }

    /// Records how far a copy has durably come.
    pub fn record_checkpoint(&self, allocation_id: &AllocationId, checkpoint: SeqNo) {
        if let Role::Primary(mode) = &mut *self.role.lock() {
            let known = mode
                .checkpoints
                .entry(allocation_id.clone())
                .or_insert(checkpoint);
            *known = (*known).max(checkpoint);
        }
    }

    /// Computes the global checkpoint from what the in-sync copies told, and tells the engine.
    /// A copy that has told nothing yet holds it back. So does one that has recovered from here: it may be in sync,
    /// and even primary, by a state that this node has yet to see. Source: elastic/elasticsearch-formal-models,
    /// `replication.tla`.
    pub fn advance_global_checkpoint<'a>(
        &self,
        in_sync: impl Iterator<Item = &'a AllocationId>,
    ) -> SeqNo {
        let mut lowest = self.engine.persisted_local_checkpoint();
        let role = self.role.lock();
        if let Role::Primary(mode) = &*role {
            let others = in_sync.filter(|id| **id != self.allocation_id);
            let told = |id: &AllocationId| mode.checkpoints.get(id).copied();
            for checkpoint in others.map(told).chain(mode.recovered.iter().map(told)) {
                match checkpoint {
                    Some(checkpoint) => lowest = lowest.min(checkpoint),
                    None => return self.engine.global_checkpoint(),
                }
            }
        }
        // Under the lock: a copy that has just recovered is not passed by what was computed before.
        self.engine.set_global_checkpoint(lowest);
        self.engine.global_checkpoint()
    }

    /// Returns the global checkpoint if the copies have not been told of it.
    pub fn checkpoint_to_broadcast(&self) -> Option<(Term, SeqNo)> {
        let checkpoint = self.engine.global_checkpoint();
        match &mut *self.role.lock() {
            Role::Primary(mode) if mode.broadcast_checkpoint < checkpoint => {
                mode.broadcast_checkpoint = checkpoint;
                Some((mode.term, checkpoint))
            }
            _ => None,
        }
    }

    /// Returns what waits for a refresh that begins after this call, and so shows everything that
    /// has been applied.
    pub fn next_refresh(&self) -> RefreshWaiter {
        self.refresh_waiters.fetch_add(1, Ordering::Relaxed);
        RefreshWaiter {
            number: self.refreshes_begun.load(Ordering::Acquire) + 1,
            ended: self.refreshed.subscribe(),
            waiters: self.refresh_waiters.clone(),
        }
    }

    /// Returns how many writes wait for a refresh.
    pub fn refresh_waiters(&self) -> usize {
        self.refresh_waiters.load(Ordering::Relaxed)
    }

    /// Makes every applied operation visible to search. Blocks.
    pub fn refresh(&self) -> ApiResult<()> {
        let number = self.refreshes_begun.fetch_add(1, Ordering::AcqRel) + 1;
        self.engine.refresh()?;
        self.last_refresh_ms.store(now_ms(), Ordering::Relaxed);
        self.refreshed
            .send_modify(|ended| *ended = number.max(*ended));
        Ok(())
    }

    /// Returns the milliseconds since the last refresh.
    pub fn since_refresh_ms(&self) -> u64 {
        now_ms().saturating_sub(self.last_refresh_ms.load(Ordering::Relaxed))
    }

    /// Notes a search, and returns the milliseconds since the one before.
    pub fn note_search(&self) -> u64 {
        let now = now_ms();
        now.saturating_sub(self.last_search_ms.swap(now, Ordering::Relaxed))
    }

    /// Returns the milliseconds since the last search.
    pub fn since_search_ms(&self) -> u64 {
        now_ms().saturating_sub(self.last_search_ms.load(Ordering::Relaxed))
    }

    /// Returns the version of the mapping in use.
    pub fn mapping_version(&self) -> u64 {
        self.mapping_version.load(Ordering::Acquire)
    }

    /// Puts a mapping into use unless a newer one is.
    pub fn set_mapping(&self, version: u64, mapping: Arc<ringwall_index::Mapping>) {
        let previous = self.mapping_version.fetch_max(version, Ordering::AcqRel);
        if previous < version {
            self.engine.set_mapping(mapping);
        }
    }
}

/// How long the global checkpoint on disk may lag, in milliseconds: what it lags by is only
/// compared again in a recovery.
const PERSIST_INTERVAL_MS: u64 = 5_000;

fn stale_primary(shard: &ShardId, term: Term, known: Term) -> ApiError {
    ApiError::new(
        ErrorCode::StalePrimary,
        format!("primary term [{term}] of {shard} is too old, the copy knows [{known}]"),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use ringwall_index::engine::{NewShard, Shard, ShardIdentity, ShardOptions};
    use ringwall_index::{Condition, Mapping, parse_document};
    use serde_json::json;

    use super::*;

    pub(crate) fn primary(directory: &std::path::Path) -> Arc<LocalShard> {
        primary_of(directory, &json!({}))
    }

    /// Returns a new copy that is the primary of term 1.
    pub(crate) fn primary_of(
        directory: &std::path::Path,
        mapping: &serde_json::Value,
    ) -> Arc<LocalShard> {
        let index = ringwall_base::IndexId {
            name: "logs".into(),
            uuid: "uuid".into(),
        };
        let id = ShardId { index, shard: 0 };
        let allocation_id = AllocationId("primary".into());
        let identity = ShardIdentity {
            shard: id.clone(),
            allocation_id: allocation_id.clone(),
            lineage: Vec::new(),
            history_uuid: "history".into(),
            primary_term: 1,
        };
        let mapping = Arc::new(Mapping::parse(mapping).unwrap());
        Shard::create(directory, NewShard { identity }, &mapping).unwrap();
        let engine = Shard::open(directory, mapping, ShardOptions::default()).unwrap();
        let shard = LocalShard::new(id, allocation_id, Arc::new(engine), 1, 1);
        shard.promote(1).unwrap();
        shard
    }

    fn write(shard: &LocalShard, id: &str) {
        let mapping = Mapping::parse(&json!({})).unwrap();
        let document = parse_document(&mapping, id, None, "{}".into()).unwrap();
        let engine = &shard.engine;
        engine
            .index(1, document, Condition::default(), false)
            .unwrap();
        engine.sync().unwrap();
    }

    /// Cut off at this moment, the primary never sees the state in which the copy is in sync, and the copy becomes
    /// primary without what is written here from now on.
    #[test]
    fn the_checkpoint_does_not_pass_a_copy_that_may_be_in_sync() {
        let directory = tempfile::tempdir().unwrap();
        let shard = primary(directory.path());
        let copy = AllocationId("copy".into());
        let in_sync = [shard.allocation_id.clone()];
        let advance = || shard.advance_global_checkpoint(in_sync.iter());
        write(&shard, "a");
        assert!(shard.hold_checkpoint_for(&copy).is_err(), "not tracked");
        shard.track(copy.clone(), NodeId::from_bits(2)).unwrap();
        write(&shard, "b");
        assert_eq!(advance(), 1, "it has yet to recover");

        shard.record_checkpoint(&copy, 1);
        shard.hold_checkpoint_for(&copy).unwrap();
        write(&shard, "c");
        assert_eq!(advance(), 1);
        shard.record_checkpoint(&copy, 2);
        assert_eq!(advance(), 2);

        // Begun anew, it does not hold anything back until it has recovered again.
        shard.track(copy.clone(), NodeId::from_bits(2)).unwrap();
        write(&shard, "d");
        assert_eq!((advance(), shard.checkpoint_of(&copy)), (3, None));
        shard.hold_checkpoint_for(&copy).unwrap();
        write(&shard, "e");
        assert_eq!(advance(), 3, "it has told nothing yet");
        shard.untrack(|| Arc::new(ClusterState::default()));
        assert_eq!(advance(), 4, "it is gone");
    }

    /// A resync that comes late compares what it knew with operations that came since.
    #[test]
    fn a_copy_agrees_with_the_primary_of_a_term_once() {
        let directory = tempfile::tempdir().unwrap();
        let shard = primary(directory.path());
        let refuse = || Err(ApiError::internal("it holds others"));
        assert!(shard.follow(2, refuse).is_err());
        shard.follow(2, || Ok(())).unwrap();
        shard.follow(2, refuse).unwrap();
        assert!(shard.follow(3, refuse).is_err(), "another primary");
        assert!(shard.follow(1, || Ok(())).is_err(), "an old one");
    }
}
