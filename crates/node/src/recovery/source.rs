//! The primary's side of a recovery.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{AllocationId, NodeId, SeqNo, encoding};
use ringwall_cluster::CopyState;
use ringwall_index::engine::RecoverySnapshot;
use ringwall_index::translog::{OperationsReader, RetentionLock};

use super::messages::{
    ChunkRequest, ExistingHistory, OperationsRequest, OperationsResponse, Plan, StartRequest,
    StartResponse, StepRequest, StepResponse,
};
use crate::replication::replica::history_matches;
use crate::services::Services;
use crate::shards::LocalShard;

/// Recoveries that this node is the source of.
#[derive(Default)]
pub struct RecoverySessions {
    next: AtomicU64,
    sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
}

struct Session {
    shard: Arc<LocalShard>,
    allocation_id: AllocationId,
    target: NodeId,
    term: u64,
    /// Files stay readable as long as this lives.
    snapshot: Option<RecoverySnapshot>,
    /// Operations stay in the translog as long as this lives.
    _retention: RetentionLock,
    reader: Mutex<Option<OperationsReader>>,
    last_used: Mutex<Instant>,
}

impl RecoverySessions {
    /// Lets go of every session.
    pub fn abandon(&self) {
        self.sessions.lock().clear();
    }

    fn insert(&self, session: Session) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sessions.lock().insert(id, Arc::new(session));
        id
    }

    /// Returns a recovery to the node whose copy it is for: nobody else reads the shard by it.
    fn get(&self, id: u64, caller: NodeId) -> ApiResult<Arc<Session>> {
        let found = self.sessions.lock().get(&id).cloned();
        let session = found.filter(|session| session.target == caller);
        let session = session.ok_or_else(|| {
            ApiError::new(
                ErrorCode::IllegalState,
                format!("recovery [{id}] is not known here (any more); begin again"),
            )
        })?;
        *session.last_used.lock() = Instant::now();
        Ok(session)
    }

    /// Gives up what is held for a recovery, as the node whose copy it is for asks.
    pub fn cancel(&self, id: u64, caller: NodeId) {
        let mut sessions = self.sessions.lock();
        if sessions
            .get(&id)
            .is_some_and(|session| session.target == caller)
        {
            sessions.remove(&id);
        }
    }

    /// Gives up recoveries from a copy that is taken out of service: they would keep its engine open, and another
    /// copy of the shard from beginning on this node.
    pub fn end_of(&self, shard: &LocalShard) {
        self.sessions
            .lock()
            .retain(|_, session| !std::ptr::eq(&*session.shard, shard));
    }

    /// Gives up recoveries whose target has not asked for anything for long.
    pub fn expire(&self) {
        self.sessions
            .lock()
            .retain(|_, session| session.last_used.lock().elapsed() < IDLE_LIMIT);
    }
}

/// Decides how the copy is recovered.
pub async fn start(
    services: &Arc<Services>,
    target: NodeId,
    request: StartRequest,
) -> ApiResult<StartResponse> {
    let shard = services.shards.require(&request.shard)?;
    let term = shard.primary_term()?;
    if term != request.primary_term {
        return Err(not_now(&shard, "another term is current"));
    }
    let state = services.cluster.state();
    let is_assigned = state
        .shard(&request.shard)
        .and_then(|routing| routing.copy(&request.allocation_id))
        .is_some_and(|copy| copy.node == Some(target) && copy.state == CopyState::Initializing);
    if !is_assigned {
        return Err(not_now(&shard, "the assignment is not known here yet"));
    }
    let local = shard.clone();
    let existing = request.existing;
    let (plan, snapshot, retention) = services
        .pools
        .disk
        .run(move || plan(&local, existing))
        .await??;
    let session = Session {
        shard,
        allocation_id: request.allocation_id,
        target,
        term,
        snapshot,
        _retention: retention,
        reader: Mutex::new(None),
        last_used: Mutex::new(Instant::now()),
    };
    let shard = Arc::clone(&session.shard);
    let recovery_id = services.recoveries.insert(session);
    if let Err(error) = shard.primary_term() {
        services.recoveries.end_of(&shard);
        return Err(error);
    }
    Ok(StartResponse { recovery_id, plan })
}

type Planned = (Plan, Option<RecoverySnapshot>, RetentionLock);

fn plan(shard: &LocalShard, existing: Option<ExistingHistory>) -> ApiResult<Planned> {
    if let Some(existing) = existing {
        let from = existing.local_checkpoint + 1;
        // Kept from here on, before it is looked at.
        if let Some(retention) = shard.engine.retain_operations(from)
            && is_our_past(shard, &existing)
        {
            return Ok((Plan::Operations { from }, None, retention));
        }
    }
    // Everything is kept while the commit is made; from then on only what it lacks.
    let snapshot = shard.engine.recovery_snapshot()?;
    let commit = snapshot.commit().clone();
    let from = commit.local_checkpoint + 1;
    let retention = shard.engine.retain_operations(from).ok_or_else(|| {
        ApiError::internal(format!(
            "operations of {} from [{from}] on were discarded just now; begin again",
            shard.id
        ))
    })?;
    let files = snapshot.files().to_vec();
    let plan = Plan::Files {
        files,
        commit,
        from,
        recent: shard.engine.recent_writes(),
    };
    Ok((plan, Some(snapshot), retention))
}

/// Returns whether everything that the copy holds is also in this primary's history.
fn is_our_past(shard: &LocalShard, existing: &ExistingHistory) -> bool {
    if existing.history_uuid != shard.engine.history_uuid() {
        return false;
    }
    if existing.uncertain.is_empty() {
        return true;
    }
    let Ok(ours) = shard.engine.op_terms_above(existing.global_checkpoint) else {
        return false;
    };
    let ours: HashMap<SeqNo, u64> = ours.into_iter().collect();
    history_matches(&existing.uncertain, |seq_no| ours.get(&seq_no).copied())
}

/// Reads a piece of a file.
pub async fn file_chunk(
    services: &Services,
    caller: NodeId,
    request: ChunkRequest,
) -> ApiResult<Bytes> {
    let session = services.recoveries.get(request.recovery_id, caller)?;
    let read = move || -> ApiResult<Bytes> {
        let snapshot = session
            .snapshot
            .as_ref()
            .ok_or_else(|| ApiError::internal("this recovery copies no files"))?;
        let length = request.length.min(MAX_CHUNK);
        Ok(snapshot.read_chunk(&request.file, request.offset, length)?)
    };
    services.pools.disk.run(read).await?
}

/// From now on the target gets every operation as the other copies do.
pub fn track(
    services: &Services,
    caller: NodeId,
    request: &StepRequest,
) -> ApiResult<StepResponse> {
    let session = services.recoveries.get(request.recovery_id, caller)?;
    // Of an earlier term it would undo what is known of the copy in this one.
    step_response(&session)?;
    session
        .shard
        .track(session.allocation_id.clone(), session.target)?;
    step_response(&session)
}

/// Reads operations in order.
pub async fn operations(
    services: &Services,
    caller: NodeId,
    request: OperationsRequest,
) -> ApiResult<OperationsResponse> {
    let session = services.recoveries.get(request.recovery_id, caller)?;
    let read = move || -> ApiResult<OperationsResponse> {
        let mut reader = session.reader.lock();
        let at = reader.as_ref().map(OperationsReader::position);
        if at != Some(request.from) || reader.as_ref().is_some_and(OperationsReader::is_empty) {
            *reader = session.shard.engine.operations_reader(request.from)?;
        }
        let Some(open) = reader.as_mut() else {
            return Err(ApiError::internal(format!(
                "operations from [{}] on are not kept",
                request.from
            )));
        };
        let operations = open.next_batch(request.max_bytes.min(MAX_BATCH_BYTES))?;
        let next = operations
            .last()
            .map_or(request.from, |operation| operation.seq_no + 1);
        Ok(OperationsResponse {
            operations: encoding::encode(&operations).into(),
            next,
        })
    };
    services.pools.disk.run(read).await?
}

/// The target has everything: from here on it counts. That is so before the master knows of it, and may never be known
/// here when the primary is cut off at this moment; so no checkpoint may pass it any more.
pub async fn finalize(
    services: &Services,
    caller: NodeId,
    request: &StepRequest,
) -> ApiResult<StepResponse> {
    let session = services.recoveries.get(request.recovery_id, caller)?;
    let (shard, copy) = (&session.shard, &session.allocation_id);
    shard.record_checkpoint(copy, request.local_checkpoint);
    shard.hold_checkpoint_for(copy)?;
    // What the checkpoint had passed already is on its way to the copy, which is tracked.
    let deadline = tokio::time::Instant::now() + FINALIZE_WAIT;
    while shard.checkpoint_of(copy) < Some(shard.engine.global_checkpoint()) {
        step_response(&session)?;
        if tokio::time::Instant::now() >= deadline {
            return Err(ApiError::new(
                ErrorCode::Timeout,
                format!(
                    "the recovering copy of {} does not follow its primary",
                    shard.id
                ),
            ));
        }
        tokio::time::sleep(FINALIZE_POLL).await;
    }
    let response = step_response(&session)?;
    services.recoveries.cancel(request.recovery_id, caller);
    Ok(response)
}

fn step_response(session: &Session) -> ApiResult<StepResponse> {
    if session.shard.primary_term()? != session.term {
        return Err(not_now(&session.shard, "the primary has changed"));
    }
    Ok(StepResponse {
        max_seq_no: session.shard.engine.max_seq_no(),
        global_checkpoint: session.shard.engine.global_checkpoint(),
        mapping_version: session.shard.mapping_version(),
    })
}

/// What the target answers by trying again.
fn not_now(shard: &LocalShard, reason: &str) -> ApiError {
    ApiError::new(
        ErrorCode::ShardNotInPrimaryMode,
        format!("{} cannot be recovered from here now: {reason}", shard.id),
    )
}

/// How long the last operations may be on their way to a copy.
const FINALIZE_WAIT: Duration = Duration::from_secs(30);
const FINALIZE_POLL: Duration = Duration::from_millis(5);
/// A target that asks for nothing for so long is gone.
const IDLE_LIMIT: Duration = Duration::from_secs(300);
const MAX_CHUNK: u32 = 4 << 20;
const MAX_BATCH_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::local::tests::primary;

    /// A new copy of the shard on this node waits until nobody uses the earlier one.
    #[test]
    fn a_recovery_does_not_outlive_the_copy_that_it_reads() {
        let directory = tempfile::tempdir().unwrap();
        let shard = primary(directory.path());
        let sessions = RecoverySessions::default();
        let session = Session {
            shard: Arc::clone(&shard),
            allocation_id: AllocationId("copy".into()),
            target: NodeId::from_bits(2),
            term: 1,
            snapshot: None,
            _retention: shard.engine.retain_operations(0).unwrap(),
            reader: Mutex::new(None),
            last_used: Mutex::new(Instant::now()),
        };
        let id = sessions.insert(session);
        assert!(sessions.get(id, NodeId::from_bits(2)).is_ok());
        assert!(sessions.get(id, NodeId::from_bits(3)).is_err(), "another's");
        let alive = shard.alive();
        shard.close();
        sessions.end_of(&shard);
        drop(shard);
        assert_eq!(alive.strong_count(), 0);
    }
}
