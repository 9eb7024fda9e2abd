//! How copies of this node came to be what they are: the last recovery of each, for as long as it is here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use ringwall_api::indices::{RecoveryCounts, RecoveryKind, RecoveryStage};
use ringwall_base::{AllocationId, NodeId, ShardId};
use ringwall_cluster::RecoverySource;
use serde::{Deserialize, Serialize};

use crate::cluster_service::now_ms;

/// The recoveries of a node.
#[derive(Default)]
pub struct RecoveryLog(Mutex<BTreeMap<ShardId, Arc<Progress>>>);

/// One recovery.
pub struct Progress {
    pub allocation_id: AllocationId,
    pub kind: RecoveryKind,
    pub started_ms: u64,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    source: Option<NodeId>,
    counts: RecoveryCounts,
    stopped: Option<(u64, u64)>,
}

/// A recovery as it is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    pub kind: RecoveryKind,
    pub source: Option<NodeId>,
    pub counts: RecoveryCounts,
    pub started_ms: u64,
    /// When it ended, milliseconds since the epoch.
    pub stopped_ms: Option<u64>,
    pub took_ms: u64,
}

impl RecoveryLog {
    /// Begins a recovery, in place of an earlier one of the shard.
    pub fn begin(
        &self,
        shard: &ShardId,
        allocation_id: &AllocationId,
        source: RecoverySource,
    ) -> Arc<Progress> {
        let progress = Arc::new(Progress {
            allocation_id: allocation_id.clone(),
            kind: match source {
                RecoverySource::EmptyStore => RecoveryKind::EmptyStore,
                RecoverySource::ExistingStore | RecoverySource::StaleStore => {
                    RecoveryKind::ExistingStore
                }
                RecoverySource::Peer => RecoveryKind::Peer,
            },
            started_ms: now_ms(),
            begun: Instant::now(),
            state: Mutex::default(),
        });
        let mut log = self.0.lock();
        log.insert(shard.clone(), Arc::clone(&progress));
        progress
    }

    /// Returns the recovery of a copy.
    pub fn of(&self, shard: &ShardId, allocation_id: &AllocationId) -> Option<Told> {
        let progress = self.0.lock().get(shard).cloned()?;
        (progress.allocation_id == *allocation_id).then(|| progress.told())
    }

    /// Forgets those of shards that are not here any more.
    pub fn retain(&self, is_here: impl Fn(&ShardId) -> bool) {
        self.0.lock().retain(|shard, _| is_here(shard));
    }
}

impl Progress {
    /// Notes from which node the copy recovers.
    pub fn comes_from(&self, node: NodeId) {
        self.state.lock().source = Some(node);
    }

    /// Changes what was counted.
    pub fn count(&self, change: impl FnOnce(&mut RecoveryCounts)) {
        change(&mut self.state.lock().counts);
    }

    /// Notes that the copy is what it should be.
    pub fn done(&self) {
        let mut state = self.state.lock();
        state.counts.stage = RecoveryStage::Done;
        state.stopped = Some((now_ms(), self.elapsed_ms()));
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn told(&self) -> Told {
        let state = self.state.lock().clone();
        Told {
            kind: self.kind,
            source: state.source,
            counts: state.counts,
            started_ms: self.started_ms,
            stopped_ms: state.stopped.map(|(at, _)| at),
            took_ms: state
                .stopped
                .map_or_else(|| self.elapsed_ms(), |(_, took)| took),
        }
    }
}
