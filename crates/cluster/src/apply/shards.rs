//! Changes of copies: what their nodes and primaries report, and what follows for the in-sync set.

use ringwall_api::cluster::RerouteCommand;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{AllocationId, ShardId, Term};

use super::Step;
use crate::allocation;
use crate::metadata::ShardMetadata;
use crate::reroute;
use crate::routing::{
    CopyState, RecoverySource, ShardCopy, ShardRouting, UnassignedInfo, UnassignedReason,
};

impl Step<'_> {
    pub(super) fn reroute(
        &mut self,
        commands: &[RerouteCommand],
        retry_failed: bool,
    ) -> Result<(), ApiError> {
        let mut rerouted = self.state.clone();
        for command in commands {
            let allocation_id = AllocationId(self.identifiers.next());
            reroute::apply(&mut rerouted, command, allocation_id)?;
        }
        *self.state = rerouted;
        if retry_failed {
            self.forget_failures();
        }
        Ok(())
    }

    pub(super) fn shard_started(
        &mut self,
        id: &ShardId,
        allocation_id: &AllocationId,
        primary_term: Term,
    ) -> Result<(), ApiError> {
        self.check_term(id, Some(primary_term))?;
        let copy = self.copy_mut(id, allocation_id)?;
        if copy.state == CopyState::Started {
            return Ok(());
        }
        copy.state = CopyState::Started;
        copy.unassigned = None;
        let node = copy.node;
        let (is_primary, source) = (copy.primary, copy.recovery_source);
        let metadata = self.shard_metadata_mut(id)?;
        let starts_anew = matches!(
            source,
            RecoverySource::EmptyStore | RecoverySource::StaleStore
        );
        if is_primary && starts_anew {
            metadata.in_sync.clear();
        }
        if let Some(node) = node {
            // What the node held before was replaced by this copy, which is no less complete.
            metadata.in_sync.retain(|_, holder| *holder != node);
            metadata.in_sync.insert(allocation_id.clone(), node);
        }
        self.complete_move(id, allocation_id);
        Ok(())
    }

    /// The copy that a new one replaces leaves; if it was the primary, another that is in sync takes over.
    pub(super) fn complete_move(&mut self, id: &ShardId, allocation_id: &AllocationId) {
        let Ok(copy) = self.copy_mut(id, allocation_id) else {
            return;
        };
        let Some(replaced) = copy.replaces.take() else {
            return;
        };
        self.unassign(id, &replaced, UnassignedReason::ReplicaAdded, "moved");
        if let Ok(metadata) = self.shard_metadata_mut(id) {
            metadata.in_sync.remove(&replaced);
        }
        // The one just unassigned, or what was to make up for it since it failed by itself.
        let replicas = self.state.index(&id.index).map_or(0, |metadata| {
            metadata.settings.number_of_replicas() as usize
        });
        let Some(shard) = self.shard_mut(id) else {
            return;
        };
        if shard.copies.len() > replicas + 1
            && let Some(spare) = least_useful_replica(shard)
        {
            shard.copies.remove(spare);
        }
    }

    /// A copy that was to replace another is given up. Returns whether it was one.
    pub(super) fn cancel_move(&mut self, id: &ShardId, allocation_id: &AllocationId) -> bool {
        let is_moving = self
            .copy_mut(id, allocation_id)
            .is_ok_and(|copy| copy.is_moving());
        if !is_moving {
            return false;
        }
        let not_before = self.now_ms + allocation::FIRST_PAUSE_MS;
        if let Some(shard) = self.shard_mut(id) {
            shard
                .copies
                .retain(|copy| copy.allocation_id.as_ref() != Some(allocation_id));
        }
        if let Ok(metadata) = self.shard_metadata_mut(id) {
            metadata.no_move_before_ms = Some(not_before);
        }
        true
    }

    pub(super) fn shard_failed(
        &mut self,
        id: &ShardId,
        allocation_id: &AllocationId,
        primary_term: Option<Term>,
        mark_stale: bool,
        reason: &str,
    ) -> Result<(), ApiError> {
        self.check_term(id, primary_term)?;
        if mark_stale {
            self.mark_stale(id, allocation_id)?;
        }
        // The copy may have left the routing already, as when its node went away.
        if self.copy_mut(id, allocation_id).is_ok() {
            self.unassign(
                id,
                allocation_id,
                UnassignedReason::AllocationFailed,
                reason,
            );
        }
        Ok(())
    }

    /// Takes a copy out of the in-sync set. The primary never leaves it: with it would go the
    /// only proof of what was acknowledged.
    pub(super) fn mark_stale(
        &mut self,
        id: &ShardId,
        allocation_id: &AllocationId,
    ) -> Result<(), ApiError> {
        let is_primary = self
            .copy_mut(id, allocation_id)
            .is_ok_and(|copy| copy.primary);
        if is_primary {
            return Err(ApiError::internal(format!(
                "the primary of {id} cannot leave its own in-sync set"
            )));
        }
        self.shard_metadata_mut(id)?.in_sync.remove(allocation_id);
        Ok(())
    }

    /// Makes a copy unassigned; if it was the primary, promotes another that is in sync.
    pub(super) fn unassign(
        &mut self,
        id: &ShardId,
        allocation_id: &AllocationId,
        reason: UnassignedReason,
        details: &str,
    ) {
        if self.cancel_move(id, allocation_id) {
            return;
        }
        let now_ms = self.now_ms;
        let delayed_timeout = self
            .state
            .index(&id.index)
            .map(|metadata| metadata.settings.delayed_timeout())
            .unwrap_or_default();
        let Ok(copy) = self.copy_mut(id, allocation_id) else {
            return;
        };
        let was_primary = copy.primary;
        let previous_failures = copy
            .unassigned
            .as_ref()
            .map_or(0, |info| info.failed_allocations);
        let failed = reason == UnassignedReason::AllocationFailed;
        let waits = matches!(
            reason,
            UnassignedReason::NodeLeft | UnassignedReason::NodeRestarting
        );
        let info = UnassignedInfo {
            last_node: copy.node,
            delayed_until_ms: waits.then(|| now_ms + delayed_timeout.as_millis() as u64),
            failed_allocations: previous_failures + u32::from(failed),
            ..UnassignedInfo::new(reason, details, now_ms)
        };
        let never_started = copy.state == CopyState::Initializing
            && copy.recovery_source == RecoverySource::EmptyStore;
        let source = match (was_primary, never_started) {
            (true, true) => RecoverySource::EmptyStore,
            (true, false) => RecoverySource::ExistingStore,
            (false, _) => RecoverySource::Peer,
        };
        *copy = ShardCopy::unassigned(was_primary, source, info);
        if was_primary {
            self.primary_lost(id);
        }
    }

    /// Copies that were recovering from the lost primary start over; one that is in sync and
    /// serving takes its place under a new term.
    pub(super) fn primary_lost(&mut self, id: &ShardId) {
        let now_ms = self.now_ms;
        let Some(in_sync) = self
            .state
            .index(&id.index)
            .and_then(|metadata| metadata.shards.get(id.shard as usize))
            .map(|shard| shard.in_sync.clone())
        else {
            return;
        };
        let Some(shard) = self.shard_mut(id) else {
            return;
        };
        shard.copies.retain(|copy| !copy.is_moving());
        for copy in &mut shard.copies {
            if !copy.primary && copy.state == CopyState::Initializing {
                let info = UnassignedInfo {
                    last_node: copy.node,
                    ..UnassignedInfo::new(UnassignedReason::PrimaryFailed, "primary failed", now_ms)
                };
                *copy = ShardCopy::unassigned(false, RecoverySource::Peer, info);
            }
        }
        let successor = shard.copies.iter().position(|copy| {
            copy.is_active()
                && copy
                    .allocation_id
                    .as_ref()
                    .is_some_and(|id| in_sync.contains_key(id))
        });
        let Some(successor) = successor else { return };
        for copy in &mut shard.copies {
            if copy.primary {
                copy.primary = false;
                copy.recovery_source = RecoverySource::Peer;
            }
        }
        shard.copies[successor].primary = true;
        shard.copies.swap(0, successor);
        if let Ok(metadata) = self.shard_metadata_mut(id) {
            metadata.primary_term += 1;
        }
    }

    pub(super) fn check_term(&mut self, id: &ShardId, term: Option<Term>) -> Result<(), ApiError> {
        let current = self.shard_metadata_mut(id)?.primary_term;
        match term {
            Some(term) if term != current => Err(ApiError::new(
                ErrorCode::StalePrimary,
                format!("primary term [{term}] of {id} is no longer current: it is [{current}]"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn shard_metadata_mut(
        &mut self,
        id: &ShardId,
    ) -> Result<&mut ShardMetadata, ApiError> {
        self.index_mut(&id.index)?
            .shards
            .get_mut(id.shard as usize)
            .ok_or_else(|| shard_not_found(id))
    }

    pub(super) fn shard_mut(&mut self, id: &ShardId) -> Option<&mut ShardRouting> {
        self.state.index(&id.index)?;
        self.state
            .routing
            .get_mut(&id.index.name)?
            .shards
            .get_mut(id.shard as usize)
    }

    pub(super) fn copy_mut(
        &mut self,
        id: &ShardId,
        allocation_id: &AllocationId,
    ) -> Result<&mut ShardCopy, ApiError> {
        self.shard_mut(id)
            .and_then(|shard| {
                shard
                    .copies
                    .iter_mut()
                    .find(|copy| copy.allocation_id.as_ref() == Some(allocation_id))
            })
            .ok_or_else(|| shard_not_found(id))
    }
}

fn shard_not_found(id: &ShardId) -> ApiError {
    ApiError::new(ErrorCode::ShardNotFound, format!("no such shard {id}"))
}

pub(super) fn least_useful_replica(shard: &ShardRouting) -> Option<usize> {
    let usefulness = |copy: &ShardCopy| match copy.state {
        CopyState::Unassigned => 0,
        CopyState::Initializing => 1,
        CopyState::Started => 2,
    };
    (0..shard.copies.len())
        .rev()
        .filter(|i| !shard.copies[*i].primary)
        .min_by_key(|i| usefulness(&shard.copies[*i]))
}
