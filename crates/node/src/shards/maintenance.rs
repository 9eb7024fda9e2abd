//! What happens to open copies without anybody asking: refresh, flush, checkpoints, clean-up.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::{ApiError, ApiResult};
use ringwall_cluster::{ClusterState, IndexMetadata};
use ringwall_settings::registry::indices;
use tokio_util::sync::CancellationToken;

use super::LocalShard;
use super::reconcile::report_failed;
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
    let mut aged = tokio::time::Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if aged.elapsed() >= REMEMBERED {
            aged = tokio::time::Instant::now();
            services
                .shards
                .all()
                .iter()
                .for_each(|shard| shard.engine.forget_old_writes());
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
        services.readers.expire(&state, std::time::Instant::now());
        services.recoveries.expire();
        reroute_if_due(&services, &state).await;
    }
}

/// A write is sent again within the time that its request may take, a minute unless it says more.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Takes a copy whose engine stopped out of service.
fn fail(services: &Arc<Services>, shard: &Arc<LocalShard>, reason: String) {
    shard.close();
    super::reconcile::discard(services, &shard.id, &shard.allocation_id);
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
            shard.engine.flush_periodically()?;
        }
        if self.refresh {
            shard.refresh()?;
        }
        shard.persist_checkpoint_if_due()?;
        if let Some(idle) = self.close_idle
            && shard.engine.close_writer_if_idle(idle)?
        {
            shard.engine.flush_periodically()?;
            tracing::debug!(shard = %shard.id, "idle shard writer closed");
        }
        Ok(())
    }
}

/// Every `index.refresh_interval`; without an explicit one, only while somebody searches.
/// Source: Elasticsearch reference, "Index modules" (`index.refresh_interval`).
fn refresh_is_due(shard: &LocalShard, metadata: &IndexMetadata) -> bool {
    let settings = &metadata.settings;
    let Some(interval) = settings.refresh_interval() else {
        return false;
    };
    let waited = Duration::from_millis(shard.since_refresh_ms()) >= interval;
    let wanted = shard.engine.needs_refresh() && !is_search_idle(shard, metadata);
    waited && (wanted || shard.refresh_waiters() > 0)
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

impl super::Shards {
    /// Takes a copy out of service, if it is still that one.
    pub(super) fn discard(
        &self,
        shard: &ringwall_base::ShardId,
        allocation_id: &ringwall_base::AllocationId,
    ) -> Option<Arc<LocalShard>> {
        let local = self
            .get(shard)
            .filter(|s| s.allocation_id == *allocation_id)?;
        local.close();
        self.remove(shard);
        Some(local)
    }

    /// Returns whether somebody still holds an engine that was taken out of service.
    pub(super) fn is_closing(&self, is_meant: impl Fn(&ringwall_base::ShardId) -> bool) -> bool {
        let mut closing = self.closing.lock();
        closing.retain(|_, engine| engine.strong_count() > 0);
        closing.keys().any(is_meant)
    }
}

/// Flushes and closes every open copy, so that the next start replays little. Called when the node
/// stops.
pub async fn close_all(services: &Services) {
    let flushes = services.shards.all().into_iter().map(|shard| async move {
        shard.close();
        services.recoveries.end_of(&shard);
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
