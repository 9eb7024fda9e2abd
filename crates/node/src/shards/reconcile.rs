//! Brings the copies on this node into line with the cluster state, after every change of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_base::{AllocationId, NodeId, ShardId, Term};
use ringwall_cluster::{Change, ClusterState, CopyState, RecoverySource, ShardCopy};
use ringwall_settings::registry::indices::NODE_CONCURRENT_RECOVERIES;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::LocalShard;
use super::start::{self, Assignment};
use crate::replication;
use crate::services::Services;

/// Runs until the node stops.
pub async fn run(services: Arc<Services>, stop: CancellationToken) {
    let mut reconciler = Reconciler {
        ephemeral_id: services.transport.local().ephemeral_id.clone(),
        local: services.local_node(),
        starting: BTreeMap::new(),
        recovery_permits: Arc::new(Semaphore::new(0)),
        recoveries: 0,
        known_indices: BTreeSet::new(),
        services,
    };
    let applied = reconciler.services.cluster.applied().clone();
    let mut changes = applied.subscribe();
    let mut ticks = tokio::time::interval(RETRY_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        changes.borrow_and_update();
        reconciler.reconcile(&applied.load());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
            _ = ticks.tick() => {}
        }
    }
    reconciler.stop_all();
}

struct Reconciler {
    services: Arc<Services>,
    local: NodeId,
    ephemeral_id: String,
    /// Copies that are being opened, recovered or reported.
    starting: BTreeMap<ShardId, Starting>,
    recovery_permits: Arc<Semaphore>,
    /// How many permits there are.
    recoveries: usize,
    /// UUIDs of the indices seen last.
    known_indices: BTreeSet<String>,
}

struct Starting {
    allocation_id: AllocationId,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Reconciler {
    fn reconcile(&mut self, state: &Arc<ClusterState>) {
        // Before the node's own join is applied the state may be older than what is on disk here.
        let joined = state
            .nodes
            .get(&self.local)
            .is_some_and(|node| node.ephemeral_id == self.ephemeral_id);
        if !joined {
            return;
        }
        let wanted: BTreeMap<ShardId, ShardCopy> = state
            .copies_on(self.local)
            .map(|(id, copy)| (id, copy.clone()))
            .collect();
        let recoveries = self.services.settings.get(&NODE_CONCURRENT_RECOVERIES);
        if recoveries != self.recoveries {
            // Those that run keep the permits of before.
            self.recovery_permits = Arc::new(Semaphore::new(recoveries));
            self.recoveries = recoveries;
        }
        self.close_unwanted(&wanted);
        for shard in self.services.shards.all() {
            if let Some(copy) = wanted.get(&shard.id) {
                self.update(state, &shard, copy);
            }
        }
        self.starting
            .retain(|_, starting| !starting.task.is_finished());
        for (id, copy) in &wanted {
            self.bring_about(state, id, copy);
        }
        self.delete_gone(state);
        self.services.shards.forget_mappings(state);
    }

    fn close_unwanted(&mut self, wanted: &BTreeMap<ShardId, ShardCopy>) {
        let is_wanted = |id: &ShardId, allocation_id: &AllocationId| {
            wanted
                .get(id)
                .is_some_and(|copy| copy.allocation_id.as_ref() == Some(allocation_id))
        };
        for shard in self.services.shards.all() {
            if !is_wanted(&shard.id, &shard.allocation_id) {
                tracing::info!(shard = %shard.id, allocation_id = %shard.allocation_id, "closing shard copy");
                shard.close();
                self.services.recoveries.end_of(&shard);
                self.services.shards.remove(&shard.id);
                self.services.shards.sweep_wanted.notify_one();
            }
        }
        for (id, starting) in &self.starting {
            if !is_wanted(id, &starting.allocation_id) {
                starting.cancel.cancel();
            }
        }
    }

    /// An open copy gets the newest mapping, and becomes primary when the state says so.
    fn update(&self, state: &Arc<ClusterState>, shard: &Arc<LocalShard>, copy: &ShardCopy) {
        if let Err(error) = self.services.shards.update_mapping(state, shard) {
            tracing::error!(shard = %shard.id, %error, "mapping cannot be put into use");
        }
        let Some(metadata) = state
            .index(&shard.id.index)
            .and_then(|index| index.shards.get(shard.id.shard as usize))
        else {
            return;
        };
        if copy.state != CopyState::Started {
            return;
        }
        shard.note_serving();
        if copy.primary {
            shard.untrack(|| self.services.cluster.state());
            if shard.begin_promotion(metadata.primary_term) {
                let services = self.services.clone();
                let shard = shard.clone();
                tokio::spawn(replication::primary::promote(
                    services,
                    shard,
                    metadata.primary_term,
                ));
            }
        }
    }

    /// Does what an assignment asks for, unless that is under way. Asked again and again: what is reported is
    /// where the copy stands, for as long as the state does not agree, and not that something has just happened.
    fn bring_about(&mut self, state: &ClusterState, id: &ShardId, copy: &ShardCopy) {
        let Some(allocation_id) = copy.allocation_id.clone() else {
            return;
        };
        if self.starting.contains_key(id) {
            return;
        }
        let Some(metadata) = state
            .index(&id.index)
            .and_then(|index| index.shards.get(id.shard as usize))
        else {
            return;
        };
        let open = self.services.shards.get(id);
        let step = next_step(copy.state, open.as_ref().map(|open| open.recovered_in()));
        let services = self.services.clone();
        let shard = id.clone();
        let cancel = CancellationToken::new();
        let task = match step {
            Step::Nothing => return,
            Step::Discard => {
                tracing::warn!(%shard, %allocation_id, "shard copy was left half recovered and is begun anew");
                discard(&self.services, id, &allocation_id);
                return;
            }
            Step::ReportLost => {
                let reason = "the copy is not open on its node".to_owned();
                let report = report_failed(services, shard, allocation_id.clone(), reason);
                let cancel = cancel.clone();
                tokio::spawn(async move {
                    let _ = cancel.run_until_cancelled(report).await;
                })
            }
            Step::ReportStarted { term } => {
                let (cancel, allocation_id) = (cancel.clone(), allocation_id.clone());
                tokio::spawn(async move {
                    report_started(&services, &shard, &allocation_id, term, &cancel).await;
                })
            }
            Step::Start => {
                let assignment = Assignment {
                    shard,
                    allocation_id: allocation_id.clone(),
                    primary_term: metadata.primary_term,
                    source: copy.recovery_source,
                    cancel: cancel.clone(),
                };
                let permits = (copy.recovery_source == RecoverySource::Peer)
                    .then(|| self.recovery_permits.clone());
                let place = self.services.shards.place(id);
                tokio::spawn(async move {
                    let _place = place.lock_owned().await;
                    let _permit = match permits {
                        Some(permits) => permits.acquire_owned().await.ok(),
                        None => None,
                    };
                    start_copy(services, assignment).await;
                })
            }
        };
        let starting = Starting {
            allocation_id,
            cancel,
            task,
        };
        self.starting.insert(id.clone(), starting);
    }

    /// Has what this node holds of deleted indices deleted.
    fn delete_gone(&mut self, state: &ClusterState) {
        let now: BTreeSet<String> = state
            .indices
            .values()
            .map(|index| index.id.uuid.clone())
            .collect();
        if !self.known_indices.is_subset(&now) {
            self.services.shards.sweep_wanted.notify_one();
        }
        self.known_indices = now;
    }

    fn stop_all(&self) {
        for starting in self.starting.values() {
            starting.cancel.cancel();
        }
    }
}

/// What an assignment that nothing is being done about asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// State and node agree.
    Nothing,
    /// Open or recover the copy.
    Start,
    /// Give up what a recovery that ended without a result has left.
    Discard,
    /// Tell the master that the copy has what it needs, as of that term.
    ReportStarted { term: Term },
    /// Tell the master that there is no such copy here.
    ReportLost,
}

/// Decides by what the state says of the copy, and what is open of it here: nothing, one that is not up to date,
/// or one that came up to date in a term.
///
/// An open copy that the state has as initializing is one whose report got lost, or whose node left the cluster
/// and is back: a node that sees both at once has kept it open under the same allocation id.
fn next_step(state: CopyState, open: Option<Option<Term>>) -> Step {
    match (state, open) {
        (CopyState::Unassigned, _) | (CopyState::Started, Some(_)) => Step::Nothing,
        // It was open and failed, or its node forgot it.
        (CopyState::Started, None) => Step::ReportLost,
        (CopyState::Initializing, None) => Step::Start,
        (CopyState::Initializing, Some(None)) => Step::Discard,
        (CopyState::Initializing, Some(Some(term))) => Step::ReportStarted { term },
    }
}

/// Opens or recovers a copy and reports it to the master, whichever way it ends.
async fn start_copy(services: Arc<Services>, assignment: Assignment) {
    if assignment.cancel.is_cancelled() {
        return;
    }
    let shard = assignment.shard.clone();
    let allocation_id = assignment.allocation_id.clone();
    let cancel = assignment.cancel.clone();
    let term = assignment.primary_term;
    // Not dropped when the assignment is withdrawn, but waited for: what it does on disk must have
    // ended before somebody else works in the directory. It looks for itself between its steps.
    let result = start::start(&services, &assignment).await;
    if cancel.is_cancelled() {
        discard(&services, &shard, &allocation_id);
        return;
    }
    match result {
        Ok(()) => {
            let open = services.shards.get(&shard);
            if let Some(open) = open.filter(|open| open.allocation_id == allocation_id) {
                open.note_recovered(term);
            }
            report_started(&services, &shard, &allocation_id, term, &cancel).await;
        }
        // Begun anew with the next look at the state.
        Err(error) if assignment.is_out_of_date(&services.cluster.state()) => {
            tracing::info!(%shard, %allocation_id, %error, "the primary changed during recovery");
            discard(&services, &shard, &allocation_id);
        }
        Err(error) => {
            tracing::warn!(%shard, %allocation_id, %error, "shard copy could not be started");
            discard(&services, &shard, &allocation_id);
            report_failed(services, shard, allocation_id, error.to_string()).await;
        }
    }
}

/// Takes out of service what is open of an assignment.
pub(super) fn discard(services: &Services, shard: &ShardId, allocation_id: &AllocationId) {
    if let Some(discarded) = services.shards.discard(shard, allocation_id) {
        services.recoveries.end_of(&discarded);
    }
}

/// Reports until the state shows the copy as started, or as somebody else's.
async fn report_started(
    services: &Services,
    shard: &ShardId,
    allocation_id: &AllocationId,
    term: u64,
    cancel: &CancellationToken,
) {
    while !cancel.is_cancelled() {
        let state = services.cluster.state();
        let current = state
            .shard(shard)
            .and_then(|routing| routing.copy(allocation_id));
        // It may have failed meanwhile.
        let open = services.shards.get(shard);
        if open.is_none_or(|open| open.allocation_id != *allocation_id) {
            return;
        }
        match current {
            Some(copy) if copy.state == CopyState::Initializing => {}
            _ => return,
        }
        let primary_term = state
            .index(&shard.index)
            .and_then(|index| index.shards.get(shard.shard as usize))
            .map_or(term, |metadata| metadata.primary_term);
        let is_primary = current.is_some_and(|copy| copy.primary);
        if primary_term != term && !is_primary {
            // Recovered from a primary that has been replaced: what it acknowledged since is
            // unknown here.
            discard(services, shard, allocation_id);
            let reason = "the primary changed during recovery".to_owned();
            let _ = submit_failed(services, shard, allocation_id, reason).await;
            return;
        }
        let change = Change::ShardStarted {
            shard: shard.clone(),
            allocation_id: allocation_id.clone(),
            primary_term,
        };
        let submit = services.cluster.submit(change, start::MASTER_TIMEOUT);
        match cancel.run_until_cancelled(submit).await {
            None | Some(Ok(())) => return,
            Some(Err(error)) => {
                tracing::debug!(%shard, %error, "started shard copy not yet reported");
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

/// Tells the master that a copy of this node is lost. What cannot be told now is found again by
/// the next look at the state.
pub async fn report_failed(
    services: Arc<Services>,
    shard: ShardId,
    allocation_id: AllocationId,
    reason: String,
) {
    if let Err(error) = submit_failed(&services, &shard, &allocation_id, reason).await {
        tracing::warn!(%shard, %error, "failed shard copy not yet reported");
    }
}

async fn submit_failed(
    services: &Services,
    shard: &ShardId,
    allocation_id: &AllocationId,
    reason: String,
) -> ApiResult<()> {
    let change = Change::ShardFailed {
        shard: shard.clone(),
        allocation_id: allocation_id.clone(),
        primary_term: None,
        mark_stale: false,
        reason,
    };
    services.cluster.submit(change, start::MASTER_TIMEOUT).await
}

/// How often assignments are looked at without a change of the state, as after a failed report.
const RETRY_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_state_does_not_agree_with_is_acted_on() {
        let open = [None, Some(None), Some(Some(3))];
        let steps = |state| open.map(|open| next_step(state, open));
        assert_eq!(
            steps(CopyState::Initializing),
            [Step::Start, Step::Discard, Step::ReportStarted { term: 3 }]
        );
        assert_eq!(
            steps(CopyState::Started),
            [Step::ReportLost, Step::Nothing, Step::Nothing]
        );
    }
}
