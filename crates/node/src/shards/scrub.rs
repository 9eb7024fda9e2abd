//! Reads the files of open copies again, slowly, to find what has gone bad on the disk. A copy with a bad
//! file stops; `maintenance` then reports it, and it is built anew from another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::ApiResult;
use ringwall_base::{AllocationId, ShardId};
use ringwall_settings::registry::indices;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::LocalShard;
use crate::recovery::rate::RecoveryRate;
use crate::services::Services;

/// Runs until the node stops.
pub async fn run(services: Arc<Services>, stop: CancellationToken) {
    let mut scrubbed: BTreeMap<AllocationId, Instant> = BTreeMap::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let open = services.shards.all();
        let now = Instant::now();
        scrubbed.retain(|id, _| open.iter().any(|shard| shard.allocation_id == *id));
        let Some(interval) = services.settings.get(&indices::SCRUB_INTERVAL).duration() else {
            continue;
        };
        let open: Vec<ShardId> = open.iter().map(|shard| shard.id.clone()).collect();
        for id in open {
            // Whoever holds a copy keeps another from beginning in its place.
            let Some(shard) = services.shards.get(&id) else {
                continue;
            };
            // It was checked when it was opened.
            let last = *scrubbed.entry(shard.allocation_id.clone()).or_insert(now);
            if last.elapsed() < interval {
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = shard.closed() => {}
                result = scrub(&services, &shard) => {
                    if let Err(error) = result {
                        tracing::warn!(shard = %shard.id, %error, "scrub of a shard copy ended");
                    }
                }
            }
            scrubbed.insert(shard.allocation_id.clone(), Instant::now());
        }
    }
}

async fn scrub(services: &Services, shard: &LocalShard) -> ApiResult<()> {
    let rate = RecoveryRate::default();
    let engine = shard.engine.clone();
    let disk = &services.pools.disk;
    let mut scrubber = disk.run(move || engine.scrubber()).await??;
    loop {
        let (returned, more) = disk
            .run(move || {
                let more = scrubber.step(STEP_BYTES);
                (scrubber, more)
            })
            .await?;
        scrubber = returned;
        if !more? {
            tracing::debug!(shard = %shard.id, "every file of the shard copy is as it was written");
            return Ok(());
        }
        let bound = services.settings.get(&indices::SCRUB_MAX_BYTES_PER_SEC);
        rate.take(STEP_BYTES as u64, bound.bytes()).await;
    }
}

const TICK: Duration = Duration::from_secs(1);
const STEP_BYTES: usize = 256 << 10;
