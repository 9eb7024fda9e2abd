//! Starting a copy: empty, from this node's disk, or from the primary.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{AllocationId, ByteSizeValue, NodeId, ShardId, Term, random_uuid};
use ringwall_cluster::{ClusterState, IndexMetadata, RecoverySource};
use ringwall_coordination::blocking;
use ringwall_index::engine::{NewShard, Shard, ShardIdentity, ShardOptions};
use ringwall_index::{LostTail, Mapping};
use ringwall_settings::registry::indices;
use tokio_util::sync::CancellationToken;

use super::{LocalShard, sweep};
use crate::recovery::target;
use crate::services::Services;

/// What the cluster asks of this node.
pub struct Assignment {
    pub shard: ShardId,
    pub allocation_id: AllocationId,
    pub primary_term: Term,
    pub source: RecoverySource,
    pub cancel: CancellationToken,
}

impl Assignment {
    /// Fails once the assignment was withdrawn: there is no use in going on.
    pub fn check(&self) -> ApiResult<()> {
        match self.cancel.is_cancelled() {
            true => Err(ApiError::internal("the assignment was withdrawn")),
            false => Ok(()),
        }
    }

    /// Returns the node of the primary, if it serves in the term that the copy was assigned in.
    pub fn primary(&self, state: &ClusterState) -> Option<NodeId> {
        let metadata = state.index(&self.shard.index)?;
        let term = metadata.shards.get(self.shard.shard as usize)?.primary_term;
        let (node, _) = state.shard(&self.shard)?.active_primary()?;
        (term == self.primary_term).then_some(node)
    }

    /// Returns whether a peer cannot bring the copy up to date for the time being, or not in this term: which is no
    /// failure of the copy.
    pub fn is_out_of_date(&self, state: &ClusterState) -> bool {
        self.source == RecoverySource::Peer && self.primary(state).is_none()
    }
}

/// How long the engine of an earlier copy may stay in use.
const CLOSE_WAIT: Duration = Duration::from_secs(120);
/// The index buffer is never shared by fewer, so that later copies find some left.
const LEAST_SHARES: u64 = 4;
const ROOM_POLL: Duration = Duration::from_millis(200);
/// How long a report to the master may take.
pub const MASTER_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts the copy and registers it.
pub(super) async fn start(services: &Arc<Services>, assignment: &Assignment) -> ApiResult<()> {
    services
        .shards
        .wait_closed(&assignment.shard, CLOSE_WAIT)
        .await?;
    wait_for_room(services, assignment).await?;
    if let Some(uuid) = services.cluster.state().cluster_uuid.clone() {
        let root = services.shards.root().to_owned();
        let claim = move || sweep::claim(&root, &uuid);
        services.pools.disk.run(claim).await??;
    }
    let state = services.cluster.state();
    services
        .recovery_log
        .retain(|shard| state.shard(shard).is_some());
    let progress = services.recovery_log.begin(
        &assignment.shard,
        &assignment.allocation_id,
        assignment.source,
    );
    match assignment.source {
        RecoverySource::EmptyStore => create(services, assignment).await,
        RecoverySource::ExistingStore => open_existing(services, assignment).await,
        RecoverySource::StaleStore => open_stale(services, assignment).await,
        RecoverySource::Peer => target::recover(services, assignment, &progress).await,
    }?;
    progress.done();
    Ok(())
}

/// On a full disk an attempt would only fail, and failed attempts make the next ones rarer.
async fn wait_for_room(services: &Services, assignment: &Assignment) -> ApiResult<()> {
    let mut told = false;
    while services.disk.is_exhausted() {
        assignment.check()?;
        if !told {
            tracing::warn!(shard = %assignment.shard, "the shard copy waits for room on the disk");
            told = true;
        }
        tokio::select! {
            biased;
            () = assignment.cancel.cancelled() => {}
            () = tokio::time::sleep(ROOM_POLL) => {}
        }
    }
    assignment.check()
}

async fn create(services: &Arc<Services>, assignment: &Assignment) -> ApiResult<()> {
    let path = services.shards.path(&assignment.shard);
    let opening = Opening::of(services, &assignment.shard)?;
    let identity = ShardIdentity {
        shard: assignment.shard.clone(),
        allocation_id: assignment.allocation_id.clone(),
        lineage: Vec::new(),
        history_uuid: random_uuid(),
        primary_term: assignment.primary_term,
    };
    let shard = services
        .pools
        .disk
        .run(move || -> ApiResult<_> {
            remove_dir(&path)?;
            Shard::create(&path, NewShard { identity }, &opening.mapping)?;
            opening.open(&path)
        })
        .await??;
    register(services, assignment, shard)
}

async fn open_existing(services: &Arc<Services>, assignment: &Assignment) -> ApiResult<()> {
    let path = services.shards.path(&assignment.shard);
    let opening = Opening::of(services, &assignment.shard)?;
    let wanted = assignment.allocation_id.clone();
    let shard = services
        .pools
        .disk
        .run(move || -> ApiResult<_> {
            let identity = ShardIdentity::read(&path)?.ok_or_else(|| {
                missing_copy("there is no copy of the shard on this node's disk".to_owned())
            })?;
            // Any other copy may lack what was acknowledged.
            if identity.allocation_id != wanted {
                if !identity.lineage.contains(&wanted) {
                    return Err(missing_copy(format!(
                        "the copy on disk is [{}], not the in-sync copy [{wanted}]",
                        identity.allocation_id
                    )));
                }
                Shard::adopt(&path, &wanted)?;
            }
            opening.open(&path)
        })
        .await??;
    register(services, assignment, shard)
}

/// Opens what is on disk, whatever it lacks, and begins a history of its own: no other copy may be brought
/// up to date by operations from what it had.
async fn open_stale(services: &Arc<Services>, assignment: &Assignment) -> ApiResult<()> {
    let path = services.shards.path(&assignment.shard);
    let mut opening = Opening::of(services, &assignment.shard)?;
    opening.options.lost_tail = LostTail::Accept;
    let allocation_id = assignment.allocation_id.clone();
    let shard = assignment.shard.clone();
    let opened = services
        .pools
        .disk
        .run(move || -> ApiResult<_> {
            if ShardIdentity::read(&path)?.is_none() {
                return Err(missing_copy(
                    "there is no copy of the shard on this node's disk".to_owned(),
                ));
            }
            Shard::adopt(&path, &allocation_id)?;
            let opened = opening.open(&path)?;
            opened.0.begin_new_history()?;
            tracing::warn!(%shard, up_to = opened.0.max_seq_no(), "stale shard copy made the primary, as was asked for");
            Ok(opened)
        })
        .await??;
    register(services, assignment, opened)
}

fn register(
    services: &Services,
    assignment: &Assignment,
    opened: (Arc<Shard>, u64),
) -> ApiResult<()> {
    let (engine, mapping_version) = opened;
    let shard = LocalShard::new(
        assignment.shard.clone(),
        assignment.allocation_id.clone(),
        engine,
        assignment.primary_term,
        mapping_version,
    );
    services.shards.insert(shard);
    Ok(())
}

/// What opening an engine takes besides its directory.
pub struct Opening {
    pub mapping: Arc<Mapping>,
    mapping_version: u64,
    options: ShardOptions,
}

impl Opening {
    /// Gathers it from settings and state.
    pub fn of(services: &Services, shard: &ShardId) -> ApiResult<Self> {
        let state = services.cluster.state();
        let metadata = state
            .index(&shard.index)
            .ok_or_else(|| ApiError::index_not_found(&shard.index.name))?;
        let (mapping_version, mapping) = services.shards.mapping_in(&state, &shard.index)?;
        Ok(Self {
            mapping,
            mapping_version,
            options: options(services, metadata),
        })
    }

    /// Opens the engine in a directory. Blocks.
    pub fn open(self, path: &std::path::Path) -> ApiResult<(Arc<Shard>, u64)> {
        let shard = Shard::open(path, self.mapping, self.options)?;
        Ok((Arc::new(shard), self.mapping_version))
    }
}

fn options(services: &Services, metadata: &IndexMetadata) -> ShardOptions {
    let settings = &metadata.settings;
    let retention = settings.translog_retention_bytes();
    // Each open copy gets a share; a writer that is open keeps the one it began with.
    let buffer = services.settings.get(&indices::INDEX_BUFFER_SIZE).bytes();
    let open = services.shards.all().len() as u64 + 1;
    let defaults = ShardOptions::default();
    ShardOptions {
        // Threads of the library merge, in their own time.
        segments_per_merge: match blocking::is_simulated() {
            true => None,
            false => defaults.segments_per_merge,
        },
        gc_deletes: settings.gc_deletes(),
        flush_threshold: ByteSizeValue::from_bytes(settings.flush_threshold_bytes()),
        translog_retention: ByteSizeValue::from_bytes(retention),
        remembered_writes: services.settings.get(&indices::REMEMBERED_WRITES),
        indexing_memory: ByteSizeValue::from_bytes(buffer / open.max(LEAST_SHARES)),
        ..defaults
    }
}

fn missing_copy(reason: String) -> ApiError {
    ApiError::new(ErrorCode::ShardNotFound, reason)
}

/// Removes a directory if it is there. Blocks.
pub fn remove_dir(path: &std::path::Path) -> ApiResult<()> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "cannot remove shard directory");
            let reason = format!("cannot remove an old copy: {error}");
            Err(ApiError::new(ErrorCode::IoFailure, reason))
        }
    }
}
