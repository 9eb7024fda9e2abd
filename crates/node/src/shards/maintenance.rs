//! What happens to open copies without anybody asking: refresh, flush, checkpoints, clean-up.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::{ApiError, ApiResult};
use ringwall_base::fs;
use ringwall_cluster::{ClusterState, IndexMetadata};
use ringwall_settings::registry::indices;
use tokio_util::sync::CancellationToken;

use super::LocalShard;
use super::reconcile::report_failed;
use super::start::remove_dir;
use crate::cluster_service::now_ms;
use crate::replication::primary;
use crate::services::Services;

/// Runs until the node stops.
pub async fn run(services: Arc<Services>, stop: CancellationToken) {
    let close_idle = services
        .settings
        .get(&indices::SHARD_CLOSE_IDLE_AFTER)
        .duration();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let state = services.cluster.state();
        for shard in services.shards.all() {
            if let Some(error) = shard.engine.failure() {
                fail(&services, &shard, error.to_string());
                continue;
            }
            let Some(metadata) = state.index(&shard.id.index) else {
                continue;
            };
            spawn_due_work(&services, &shard, metadata, close_idle);
            spawn_checkpoint_sync(&services, &state, &shard);
        }
        services.searches.expire();
        services.recoveries.expire();
        reroute_if_due(&services, &state).await;
    }
}

/// Takes a copy whose engine stopped out of service.
fn fail(services: &Arc<Services>, shard: &Arc<LocalShard>, reason: String) {
    shard.close();
    services.shards.discard(&shard.id, &shard.allocation_id);
    tokio::spawn(report_failed(
        services.clone(),
        shard.id.clone(),
        shard.allocation_id.clone(),
        reason,
    ));
}

fn spawn_due_work(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    metadata: &IndexMetadata,
    close_idle: Option<Duration>,
) {
    let due = Due {
        refresh: refresh_is_due(shard, metadata),
        flush: shard.engine.should_flush(),
        close_idle,
    };
    // One at a time for each copy.
    let Some(busy) = shard.try_maintain() else {
        return;
    };
    let services = services.clone();
    let shard = shard.clone();
    tokio::spawn(async move {
        let local = shard.clone();
        let work = move || -> ApiResult<()> {
            let _busy = busy;
            due.run(&local)
        };
        let result = services.pools.disk.run(work).await;
        if let Err(error) | Ok(Err(error)) = result {
            tracing::warn!(shard = %shard.id, %error, "shard maintenance failed");
        }
    });
}

struct Due {
    refresh: bool,
    flush: bool,
    close_idle: Option<Duration>,
}

impl Due {
    fn run(self, shard: &LocalShard) -> ApiResult<()> {
        if self.flush {
            shard.engine.flush()?;
        }
        if self.refresh {
            shard.refresh()?;
        }
        shard.persist_checkpoint_if_due()?;
        if let Some(idle) = self.close_idle
            && shard.engine.close_writer_if_idle(idle)?
        {
            shard.engine.flush()?;
            tracing::debug!(shard = %shard.id, "idle shard writer closed");
        }
        Ok(())
    }
}

/// Every `index.refresh_interval`; without an explicit one, only while somebody searches.
/// Source: data.md section 2.6.
fn refresh_is_due(shard: &LocalShard, metadata: &IndexMetadata) -> bool {
    let settings = &metadata.settings;
    let Some(interval) = settings.refresh_interval() else {
        return false;
    };
    let waited = Duration::from_millis(shard.since_refresh_ms()) >= interval;
    let wanted = shard.engine.needs_refresh() && !is_search_idle(shard, metadata);
    waited && (wanted || shard.has_refresh_waiters())
}

/// Returns whether refreshes wait for the next search.
pub fn is_search_idle(shard: &LocalShard, metadata: &IndexMetadata) -> bool {
    let settings = &metadata.settings;
    if settings.has_explicit_refresh_interval() {
        return false;
    }
    settings
        .search_idle_after()
        .is_some_and(|after| Duration::from_millis(shard.since_search_ms()) >= after)
}

/// Tells copies of an idle shard how far all have come.
fn spawn_checkpoint_sync(services: &Arc<Services>, state: &ClusterState, shard: &Arc<LocalShard>) {
    let Some(metadata) = state
        .index(&shard.id.index)
        .and_then(|index| index.shards.get(shard.id.shard as usize))
    else {
        return;
    };
    if !shard.is_primary() {
        return;
    }
    shard.advance_global_checkpoint(metadata.in_sync.keys());
    if let Some((term, checkpoint)) = shard.checkpoint_to_broadcast() {
        let services = services.clone();
        let shard = shard.clone();
        tokio::spawn(async move {
            primary::sync_checkpoint(&services, &shard, term, checkpoint).await;
        });
    }
}

/// The master looks again at copies whose delay has passed.
async fn reroute_if_due(services: &Services, state: &ClusterState) {
    let is_master = services.cluster.master() == Some(services.local_node());
    if is_master && state.has_expired_delay(now_ms()) {
        let change = ringwall_cluster::Change::Reroute;
        if let Err(error) = services.cluster.submit(change, REROUTE_TIMEOUT).await {
            tracing::debug!(%error, "reroute not done; it is tried again");
        }
    }
}

/// Deletes what the node holds of an index.
pub async fn delete_index(services: &Services, uuid: &str) {
    let path = services.shards.root().join(uuid);
    wait_for_engines(services, uuid).await;
    let removed = services.pools.disk.run(move || remove_dir(&path)).await;
    match removed {
        Ok(Ok(())) => tracing::info!(index.uuid = uuid, "deleted index"),
        Ok(Err(error)) | Err(error) => {
            tracing::warn!(index.uuid = uuid, %error, "index files could not be deleted");
        }
    }
}

async fn wait_for_engines(services: &Services, uuid: &str) {
    let deadline = tokio::time::Instant::now() + DELETE_WAIT;
    while services.shards.is_closing(uuid) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(DELETE_POLL).await;
    }
}

/// At start, deletes indices that were deleted while this node was away. Files of another cluster
/// (or of one whose UUID was never noted) are left alone and named.
pub async fn delete_left_over(
    services: Arc<Services>,
    cluster_uuid: Option<String>,
    known: HashSet<String>,
) {
    let Some(cluster_uuid) = cluster_uuid else {
        return;
    };
    let root = services.shards.root().to_owned();
    let found = services
        .pools
        .disk
        .run(move || left_over(&root, &cluster_uuid, &known))
        .await;
    let gone = match found {
        Ok(Ok(gone)) => gone,
        Ok(Err(error)) => {
            tracing::warn!(%error, "left-over indices could not be listed");
            return;
        }
        Err(error) => {
            tracing::warn!(%error, "left-over indices could not be listed");
            return;
        }
    };
    for uuid in gone {
        delete_index(&services, &uuid).await;
    }
}

fn left_over(
    root: &std::path::Path,
    cluster_uuid: &str,
    known: &HashSet<String>,
) -> std::io::Result<Vec<String>> {
    std::fs::create_dir_all(root)?;
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !known.contains(&name) {
            unknown.push(name);
        }
    }
    let marker: PathBuf = root.join(CLUSTER_FILE);
    let noted = match std::fs::read_to_string(&marker) {
        Ok(noted) => Some(noted),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if noted.as_deref() == Some(cluster_uuid) {
        return Ok(unknown);
    }
    if !unknown.is_empty() {
        tracing::warn!(
            directory = %root.display(), indices = ?unknown, cluster.uuid = cluster_uuid,
            "these directories hold indices of another cluster and are left alone; move them away \
             if they are not needed",
        );
        return Ok(Vec::new());
    }
    fs::write_atomic(&marker, cluster_uuid.as_bytes(), 0o600)?;
    Ok(Vec::new())
}

impl super::Shards {
    /// Takes a copy out of service, if it is still that one.
    pub(super) fn discard(
        &self,
        shard: &ringwall_base::ShardId,
        allocation_id: &ringwall_base::AllocationId,
    ) {
        if let Some(local) = self
            .get(shard)
            .filter(|s| s.allocation_id == *allocation_id)
        {
            local.close();
            self.remove(shard);
        }
    }

    fn is_closing(&self, uuid: &str) -> bool {
        let mut closing = self.closing.lock();
        closing.retain(|_, engine| engine.strong_count() > 0);
        closing.keys().any(|shard| shard.index.uuid == uuid)
    }
}

/// Flushes and closes every open copy, so that the next start replays little. Called when the node
/// stops.
pub async fn close_all(services: &Services) {
    let flushes = services.shards.all().into_iter().map(|shard| async move {
        shard.close();
        let local = shard.clone();
        let result = services
            .pools
            .disk
            .run(move || local.engine.flush().map_err(ApiError::from))
            .await;
        if let Err(error) | Ok(Err(error)) = result {
            tracing::warn!(shard = %shard.id, %error, "shard could not be flushed");
        }
    });
    futures::future::join_all(flushes).await;
    for shard in services.shards.all() {
        services.shards.remove(&shard.id);
        let id = shard.id.clone();
        drop(shard);
        if let Err(error) = services.shards.wait_closed(&id, STOP_WAIT).await {
            tracing::warn!(shard = %id, %error, "shard copy not closed");
        }
    }
}

/// How long the stop of a node waits for the users of a copy.
const STOP_WAIT: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(250);
const REROUTE_TIMEOUT: Duration = Duration::from_secs(5);
const DELETE_WAIT: Duration = Duration::from_secs(120);
const DELETE_POLL: Duration = Duration::from_millis(20);

/// In the directory of all indices: the cluster that they belong to.
const CLUSTER_FILE: &str = "_cluster_uuid";
