//! The recovering copy's side: it pulls, so it sets the pace.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringwall_api::indices::RecoveryStage;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{AllocationId, NodeId, SeqNo};
use ringwall_index::engine::{CommitInfo, Shard, ShardIdentity, ShardInstaller, SnapshotFile};
use ringwall_settings::registry::indices;
use ringwall_transport::NodeAction;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::messages::{
    CANCEL, ChunkRequest, ExistingHistory, FILE_CHUNK, FINALIZE, OPERATIONS, OperationsRequest,
    OperationsResponse, Plan, START, StartRequest, StartResponse, StepRequest, StepResponse, TRACK,
};
use super::progress::Progress;
use crate::replication::replica::decode_operations;
use crate::services::Services;
use crate::shards::LocalShard;
use crate::shards::start::{Assignment, Opening, remove_dir};

/// Recovers a copy from its primary and registers it.
///
/// # Errors
/// The copy could not be brought up to date; the master assigns it again.
pub async fn recover(
    services: &Arc<Services>,
    assignment: &Assignment,
    progress: &Progress,
) -> ApiResult<()> {
    let begun = Instant::now();
    let path = services.shards.path(&assignment.shard);
    let existing = open_existing(services, assignment, &path).await?;
    let source = active_primary(services, assignment).await?;
    progress.comes_from(source);
    let primary = Primary {
        services,
        assignment,
        node: source,
    };
    let request = StartRequest {
        shard: assignment.shard.clone(),
        allocation_id: assignment.allocation_id.clone(),
        primary_term: assignment.primary_term,
        existing: existing.as_ref().map(|(_, history)| history.clone()),
    };
    let started: StartResponse = primary.call_until_ready(START, &request).await?;
    let recovery = Recovery {
        services,
        assignment,
        primary,
        id: started.recovery_id,
        progress,
    };
    let kind = match &started.plan {
        Plan::Operations { .. } => "operations",
        Plan::Files { .. } => "files",
    };
    let result = recovery
        .run(existing.map(|(engine, _)| engine), path, started.plan)
        .await;
    match result {
        Ok(operations) => {
            tracing::info!(
                shard = %assignment.shard, allocation_id = %assignment.allocation_id, source = %source, kind,
                operations, took_ms = begun.elapsed().as_millis() as u64, "shard copy recovered",
            );
            Ok(())
        }
        Err(error) => {
            recovery.cancel();
            Err(error)
        }
    }
}

type Opened = (Arc<Shard>, u64);

/// Opens what an earlier life of the copy left on disk. What cannot be opened is as good as gone.
async fn open_existing(
    services: &Arc<Services>,
    assignment: &Assignment,
    path: &Path,
) -> ApiResult<Option<(Opened, ExistingHistory)>> {
    let opening = Opening::of(services, &assignment.shard)?;
    let path = path.to_owned();
    let allocation_id = assignment.allocation_id.clone();
    let shard = assignment.shard.clone();
    services
        .pools
        .disk
        .run(move || match existing(opening, &path, &allocation_id) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%shard, %error, "the copy on disk cannot be used and is replaced");
                None
            }
        })
        .await
}

fn existing(
    opening: Opening,
    path: &Path,
    allocation_id: &AllocationId,
) -> ApiResult<Option<(Opened, ExistingHistory)>> {
    if ShardIdentity::read(path)?.is_none() {
        return Ok(None);
    }
    Shard::adopt(path, allocation_id)?;
    let opened = opening.open(path)?;
    let engine = &opened.0;
    let global_checkpoint = engine.global_checkpoint();
    let history = ExistingHistory {
        history_uuid: engine.history_uuid(),
        global_checkpoint,
        local_checkpoint: engine.local_checkpoint(),
        uncertain: engine.op_terms_above(global_checkpoint)?,
    };
    Ok(Some((opened, history)))
}

/// Waits for the primary of the assignment's term to serve.
async fn active_primary(services: &Services, assignment: &Assignment) -> ApiResult<NodeId> {
    let active = services
        .cluster
        .applied()
        .wait_for(PRIMARY_WAIT, |state| assignment.primary(state));
    let found = tokio::select! {
        biased;
        found = active => found,
        () = assignment.cancel.cancelled() => None,
    };
    found.ok_or_else(|| {
        ApiError::new(
            ErrorCode::NoShardAvailable,
            format!("{} has no active primary to recover from", assignment.shard),
        )
    })
}

/// Where a copy recovers from, for as long as it is that.
struct Primary<'a> {
    services: &'a Services,
    assignment: &'a Assignment,
    node: NodeId,
}

impl Primary<'_> {
    /// Asks it. Ends at once when the assignment is withdrawn or another primary takes over: an answer may then never
    /// come, and whoever waits for one keeps the next assignment from beginning.
    async fn call<Q, A>(&self, action: NodeAction<Q, A>, request: Q) -> ApiResult<A>
    where
        Q: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        tokio::select! {
            biased;
            answer = self.services.call(self.node, action, request, STEP_TIMEOUT) => answer,
            () = self.assignment.cancel.cancelled() => Err(withdrawn(self.assignment)),
            () = self.replaced() => Err(self.is_replaced()),
        }
    }

    /// The primary may learn of the assignment a little later than this node.
    async fn call_until_ready<Q, A>(&self, action: NodeAction<Q, A>, request: &Q) -> ApiResult<A>
    where
        Q: Serialize + Clone + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        let deadline = tokio::time::Instant::now() + PRIMARY_WAIT;
        loop {
            self.assignment.check()?;
            match self.call(action, request.clone()).await {
                Err(error) if is_early(&error) && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                result => return result,
            }
        }
    }

    async fn replaced(&self) {
        let mut changes = self.services.cluster.applied().subscribe();
        loop {
            changes.borrow_and_update();
            let state = self.services.cluster.state();
            if self.assignment.primary(&state) != Some(self.node) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_replaced(&self) -> ApiError {
        ApiError::new(
            ErrorCode::NoShardAvailable,
            format!(
                "node [{}] is not the primary of {} any more",
                self.node, self.assignment.shard
            ),
        )
    }
}

fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn withdrawn(assignment: &Assignment) -> ApiError {
    ApiError::new(
        ErrorCode::ShardNotFound,
        format!(
            "the assignment of {} to this node was withdrawn",
            assignment.shard
        ),
    )
}

fn is_early(error: &ApiError) -> bool {
    matches!(
        error.code,
        ErrorCode::ShardNotInPrimaryMode | ErrorCode::ShardNotFound | ErrorCode::NotAMember
    )
}

struct Recovery<'a> {
    services: &'a Arc<Services>,
    assignment: &'a Assignment,
    primary: Primary<'a>,
    id: u64,
    progress: &'a Progress,
}

impl Recovery<'_> {
    /// Returns the number of operations that were copied.
    async fn run(&self, existing: Option<Opened>, path: PathBuf, plan: Plan) -> ApiResult<usize> {
        let (opened, from) = match (plan, existing) {
            (Plan::Operations { from }, Some(opened)) => (opened, from),
            (Plan::Operations { .. }, None) => {
                return Err(ApiError::internal(
                    "the primary offers operations to a copy that has nothing",
                ));
            }
            (
                Plan::Files {
                    files,
                    commit,
                    from,
                    recent,
                },
                existing,
            ) => {
                drop(existing);
                let opened = self.install(path, files, commit).await?;
                opened.0.remember_writes(recent);
                (opened, from)
            }
        };
        self.catch_up(opened, from).await
    }

    async fn install(
        &self,
        path: PathBuf,
        files: Vec<SnapshotFile>,
        commit: CommitInfo,
    ) -> ApiResult<Opened> {
        let begun = Instant::now();
        self.progress.count(|counts| {
            counts.stage = RecoveryStage::Index;
            counts.files = files.len() as u64;
            counts.bytes = files.iter().map(|file| file.length).sum();
        });
        let disk = &self.services.pools.disk;
        let identity = ShardIdentity {
            shard: self.assignment.shard.clone(),
            allocation_id: self.assignment.allocation_id.clone(),
            lineage: Vec::new(),
            history_uuid: commit.history_uuid.clone(),
            primary_term: self.assignment.primary_term,
        };
        let mut installer = {
            let (path, files) = (path.clone(), files.clone());
            disk.run(move || -> ApiResult<_> {
                remove_dir(&path)?;
                Ok(ShardInstaller::begin(&path, files, commit)?)
            })
            .await??
        };
        for file in files {
            let mut offset = 0;
            while offset < file.length {
                self.assignment.check()?;
                let bytes = self.chunk(&file, offset).await?;
                let length = bytes.len() as u64;
                if length == 0 {
                    return Err(ApiError::internal(format!(
                        "file [{}] ends at byte {offset} of {}",
                        file.name, file.length
                    )));
                }
                let name = file.name.clone();
                installer = disk
                    .run(move || -> ApiResult<ShardInstaller> {
                        installer.write_chunk(&name, offset, &bytes)?;
                        Ok(installer)
                    })
                    .await??;
                offset += length;
                self.progress.count(|counts| counts.bytes_copied += length);
            }
            self.progress.count(|counts| counts.files_copied += 1);
        }
        self.progress
            .count(|counts| counts.index_ms = millis_since(begun));
        let opening = Opening::of(self.services, &self.assignment.shard)?;
        disk.run(move || -> ApiResult<Opened> {
            installer.finish(identity)?;
            opening.open(&path)
        })
        .await?
    }

    async fn chunk(&self, file: &SnapshotFile, offset: u64) -> ApiResult<Bytes> {
        let chunk = self.services.settings.get(&indices::RECOVERY_CHUNK_SIZE);
        let left = file.length - offset;
        let request = ChunkRequest {
            recovery_id: self.id,
            file: file.name.clone(),
            offset,
            length: u32::try_from(left.min(chunk.bytes())).unwrap_or(u32::MAX),
        };
        let asked = u64::from(request.length);
        let bytes: Bytes = self.primary.call(FILE_CHUNK, request).await?;
        let rate = self
            .services
            .settings
            .get(&indices::RECOVERY_MAX_BYTES_PER_SEC);
        self.services.recovery_rate.take(asked, rate.bytes()).await;
        Ok(bytes)
    }

    /// Follows the primary, then takes every operation that came before that.
    async fn catch_up(&self, opened: Opened, from: SeqNo) -> ApiResult<usize> {
        let begun = Instant::now();
        self.progress
            .count(|counts| counts.stage = RecoveryStage::Translog);
        let (engine, mapping_version) = opened;
        let assignment = self.assignment;
        let shard = LocalShard::new(
            assignment.shard.clone(),
            assignment.allocation_id.clone(),
            engine,
            assignment.primary_term,
            mapping_version,
        );
        // Registered before it is tracked: operations come at once.
        self.services.shards.insert(shard.clone());
        let mut step = StepRequest {
            recovery_id: self.id,
            local_checkpoint: shard.engine.persisted_local_checkpoint(),
        };
        let tracked: StepResponse = self.primary.call(TRACK, step.clone()).await?;
        let copied = self.copy_operations(&shard, from, &tracked).await?;
        // What the primary was just applying when it began to track this copy comes as to any other.
        let deadline = tokio::time::Instant::now() + IN_FLIGHT_WAIT;
        while shard.engine.persisted_local_checkpoint() < tracked.max_seq_no
            && tokio::time::Instant::now() < deadline
        {
            assignment.check()?;
            tokio::time::sleep(RETRY).await;
        }
        step.local_checkpoint = shard.engine.persisted_local_checkpoint();
        if step.local_checkpoint < tracked.max_seq_no {
            return Err(ApiError::internal(format!(
                "the copy has come to [{}] only, the primary was at [{}]",
                step.local_checkpoint, tracked.max_seq_no
            )));
        }
        // It is searched from the moment it counts as started. What was refreshed before it was tracked is among
        // the operations copied; a refresh since then came here too.
        let local = shard.clone();
        let refresh = move || local.refresh();
        self.services.pools.disk.run(refresh).await??;
        let done: StepResponse = self.primary.call(FINALIZE, step).await?;
        shard.engine.set_global_checkpoint(done.global_checkpoint);
        self.progress
            .count(|counts| counts.translog_ms = millis_since(begun));
        Ok(copied)
    }

    async fn copy_operations(
        &self,
        shard: &Arc<LocalShard>,
        mut from: SeqNo,
        tracked: &StepResponse,
    ) -> ApiResult<usize> {
        let shards = &self.services.shards;
        shards
            .ensure_mapping(shard, tracked.mapping_version, MAPPING_WAIT)
            .await?;
        let mut copied = 0;
        while from <= tracked.max_seq_no {
            self.assignment.check()?;
            let request = OperationsRequest {
                recovery_id: self.id,
                from,
                max_bytes: BATCH_BYTES,
            };
            let batch: OperationsResponse = self.primary.call(OPERATIONS, request).await?;
            if batch.next <= from {
                // It has a number and is not in the log yet: it comes as to any other copy.
                break;
            }
            from = batch.next;
            let operations = decode_operations(&batch.operations)?;
            copied += operations.len();
            self.progress
                .count(|counts| counts.operations = copied as u64);
            self.apply(shard, operations).await?;
        }
        let local = shard.clone();
        let sync = move || local.engine.sync().map_err(ApiError::from);
        self.services.pools.disk.run(sync).await??;
        Ok(copied)
    }

    /// Operations may have been made with a mapping that came after the recovery began.
    async fn apply(
        &self,
        shard: &Arc<LocalShard>,
        operations: Vec<ringwall_index::Operation>,
    ) -> ApiResult<()> {
        let local = shard.clone();
        let work = move || -> ApiResult<()> {
            for operation in &operations {
                local.engine.apply(operation)?;
            }
            Ok(())
        };
        self.services.pools.disk.run(work).await?
    }

    /// Not waited for: the source may not answer, and the next attempt has nothing to do with it.
    fn cancel(&self) {
        let request = StepRequest {
            recovery_id: self.id,
            local_checkpoint: -1,
        };
        let (services, source) = (self.services.clone(), self.primary.node);
        let shard = self.assignment.shard.clone();
        tokio::spawn(async move {
            let cancelled: ApiResult<()> =
                services.call(source, CANCEL, request, STEP_TIMEOUT).await;
            // The source forgets it by itself in the end.
            if let Err(error) = cancelled {
                tracing::debug!(%shard, %error, "recovery not cancelled at its source");
            }
        });
    }
}

const PRIMARY_WAIT: Duration = Duration::from_secs(60);
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
const MAPPING_WAIT: Duration = Duration::from_secs(30);
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(50);
const BATCH_BYTES: u64 = 2 << 20;
