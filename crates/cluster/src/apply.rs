//! One committed command changes the state.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_api::cluster::RerouteCommand;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{AllocationId, IndexId, NodeId, NodeKey, ShardId, Term};
use serde_json::Value;

use crate::aliases::{self, AliasMetadata, Aliases};
use crate::allocation::{self, Identifiers};
use crate::command::AliasChange;
use crate::disks::DiskLevel;
use crate::index_settings::IndexSettings;
use crate::known::{self, KnownNodes};
use crate::metadata::{ClusterSettings, IndexMetadata, ShardMetadata};
use crate::names;
use crate::nodes::NodeRecord;
use crate::reroute;
use crate::routing::{
    CopyState, IndexRouting, RecoverySource, ShardCopy, ShardRouting, UnassignedInfo,
    UnassignedReason,
};
use crate::security;
use crate::{Change, ClusterState, Command, Outcome, blocks};

impl ClusterState {
    /// Applies a committed command. Deterministic: the same state and command give the same
    /// state and outcome on every node.
    ///
    /// A refused command changes nothing, not even the version.
    pub fn apply(&mut self, command: Command) -> Outcome {
        let Command {
            now_ms,
            seed,
            rules,
            change,
        } = command;
        let mut step = Step {
            state: self,
            now_ms,
            rules,
            identifiers: Identifiers::new(seed),
        };
        let result = step.apply(change);
        if result.is_ok() {
            self.note_transport_tls(now_ms);
            self.version += 1;
        }
        Outcome {
            version: self.version,
            result,
        }
    }
}

/// One application: the state with the command's time and randomness.
struct Step<'a> {
    state: &'a mut ClusterState,
    now_ms: u64,
    rules: u32,
    identifiers: Identifiers,
}

impl Step<'_> {
    fn apply(&mut self, change: Change) -> Result<(), ApiError> {
        let ends_waits = matches!(change, Change::Reroute);
        match change {
            Change::Bootstrap {
                cluster_name,
                cluster_uuid,
            } => return self.bootstrap(cluster_name, cluster_uuid),
            Change::NodeJoin {
                node,
                key,
                known,
                rekeyed,
            } => {
                if rekeyed {
                    self.state.known_nodes.remove(&node.id);
                }
                self.join(node, key, known)?;
            }
            Change::ApproveNode { node, name, key } => {
                let known = &mut self.state.known_nodes;
                return known::approve(known, (node, name, key), self.now_ms);
            }
            Change::ForgetNode { node } => return self.forget(node),
            Change::NodeLeave {
                node,
                ephemeral_id,
                reason,
            } => self.leave(node, ephemeral_id.as_deref(), &reason)?,
            Change::CreateIndex {
                name,
                settings,
                mapping,
                aliases,
            } => self.create_index(name, settings, mapping, aliases)?,
            Change::DeleteIndices { indices } => self.delete_indices(&indices)?,
            Change::SetClosed { indices, closed } => self.set_closed(&indices, closed)?,
            Change::Rollover {
                alias,
                source,
                name,
                settings,
                mapping,
                aliases,
            } => {
                let before = self.state.clone();
                let made = self
                    .create_index(name.clone(), settings, mapping, aliases)
                    .and_then(|()| self.roll_over(&alias, &source, &name));
                if let Err(error) = made {
                    *self.state = before;
                    return Err(error);
                }
            }
            Change::PutMapping {
                index,
                base_version,
                mapping,
            } => return self.put_mapping(&index, base_version, mapping),
            Change::PutIndexSettings {
                index,
                base_version,
                settings,
            } => self.put_settings(&index, base_version, settings)?,
            Change::PutClusterSettings {
                base_version,
                persistent,
                transient,
            } => self.put_cluster_settings(base_version, persistent, transient)?,
            Change::ShardStarted {
                shard,
                allocation_id,
                primary_term,
            } => self.shard_started(&shard, &allocation_id, primary_term)?,
            Change::ShardFailed {
                shard,
                allocation_id,
                primary_term,
                mark_stale,
                reason,
            } => self.shard_failed(&shard, &allocation_id, primary_term, mark_stale, &reason)?,
            Change::DiskLevel {
                node,
                ephemeral_id,
                level,
            } => self.disk_level(node, &ephemeral_id, level)?,
            Change::UpdateAliases { changes } => self.update_aliases(changes)?,
            Change::Reroute => {}
            Change::RerouteCommands {
                commands,
                retry_failed,
            } => self.reroute(&commands, retry_failed)?,
            Change::Templates(change) => return self.state.templates.apply(change),
            change => return security::apply(self.state, change, self.now_ms),
        }
        self.state.follow_disks();
        allocation::reroute(self.state, self.now_ms, &mut self.identifiers);
        if ends_waits {
            allocation::end_waits(self.state, self.now_ms);
        }
        Ok(())
    }

    fn reroute(&mut self, commands: &[RerouteCommand], retry_failed: bool) -> Result<(), ApiError> {
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

    fn bootstrap(&mut self, name: String, uuid: String) -> Result<(), ApiError> {
        if let Some(existing) = &self.state.cluster_uuid {
            return Err(ApiError::internal(format!(
                "the cluster already has the UUID [{existing}]"
            )));
        }
        self.state.cluster_name = name;
        self.state.cluster_uuid = Some(uuid);
        Ok(())
    }

    fn put_cluster_settings(
        &mut self,
        base_version: u64,
        persistent: BTreeMap<String, Value>,
        transient: BTreeMap<String, Value>,
    ) -> Result<(), ApiError> {
        let settings = &mut self.state.settings;
        if settings.version != base_version {
            return Err(ApiError::new(
                ErrorCode::VersionConflict,
                "the cluster settings have changed meanwhile",
            ));
        }
        *settings = ClusterSettings {
            persistent,
            transient,
            version: base_version + 1,
        };
        Ok(())
    }

    /// A disk that has room again is a reason to try what failed before.
    fn disk_level(
        &mut self,
        node: NodeId,
        ephemeral_id: &str,
        level: DiskLevel,
    ) -> Result<(), ApiError> {
        let current = self.state.nodes.get(&node);
        if current.is_none_or(|record| record.ephemeral_id != ephemeral_id) {
            return Err(ApiError::internal(format!(
                "node [{node}] is not in the cluster as this process"
            )));
        }
        let before = self.state.disk_level(node);
        match level {
            DiskLevel::Enough => self.state.disks.remove(&node),
            level => self.state.disks.insert(node, level),
        };
        if level < before {
            self.forget_failures();
        }
        Ok(())
    }

    /// A new process of a known node has lost whatever its predecessor had in memory: its copies
    /// must recover again.
    fn join(
        &mut self,
        node: NodeRecord,
        key: Option<NodeKey>,
        of_master: KnownNodes,
    ) -> Result<(), ApiError> {
        // A master of an older version neither knows nor sends keys.
        if self.rules >= 2 {
            let known = &mut self.state.known_nodes;
            known::join(known, (node.id, &node.name, key), of_master, self.now_ms)?;
        }
        self.forget_failures();
        let previous = self.state.nodes.insert(node.id, node.clone());
        let restarted = previous.is_some_and(|old| old.ephemeral_id != node.ephemeral_id);
        if restarted {
            self.fail_copies_on(node.id, UnassignedReason::NodeRestarting, "node restarted");
        }
        Ok(())
    }

    fn forget(&mut self, node: NodeId) -> Result<(), ApiError> {
        if let Some(record) = self.state.nodes.get(&node) {
            return Err(ApiError::new(
                ErrorCode::IllegalArgument,
                format!("node [{}] is in the cluster; stop it first", record.name),
            ));
        }
        match self.state.known_nodes.remove(&node) {
            Some(_) => Ok(()),
            None => Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                format!("no node [{node}] is known to this cluster"),
            )),
        }
    }

    /// A node that comes may hold what was missing, so copies given up on are tried again.
    fn forget_failures(&mut self) {
        let copies = self
            .state
            .routing
            .values_mut()
            .flat_map(|routing| &mut routing.shards)
            .flat_map(|shard| &mut shard.copies);
        for copy in copies.filter(|copy| copy.state == CopyState::Unassigned) {
            if let Some(info) = &mut copy.unassigned {
                info.failed_allocations = 0;
            }
        }
    }

    fn leave(
        &mut self,
        node: NodeId,
        ephemeral_id: Option<&str>,
        reason: &str,
    ) -> Result<(), ApiError> {
        let Some(record) = self.state.nodes.get(&node) else {
            return Err(ApiError::internal(format!(
                "node [{node}] is not in the cluster"
            )));
        };
        if ephemeral_id.is_some_and(|id| id != record.ephemeral_id) {
            return Err(ApiError::internal(format!(
                "node [{}] has come back as another process",
                record.name
            )));
        }
        self.state.nodes.remove(&node);
        self.state.disks.remove(&node);
        if let Some(known) = self.state.known_nodes.get_mut(&node) {
            known.away_since_ms = Some(self.now_ms);
        }
        self.fail_copies_on(node, UnassignedReason::NodeLeft, reason);
        Ok(())
    }

    fn fail_copies_on(&mut self, node: NodeId, reason: UnassignedReason, details: &str) {
        let lost: Vec<(ShardId, AllocationId)> = self
            .state
            .copies_on(node)
            .filter_map(|(shard, copy)| Some((shard, copy.allocation_id.clone()?)))
            .collect();
        for (shard, allocation_id) in lost {
            self.unassign(&shard, &allocation_id, reason, details);
        }
    }

    fn create_index(
        &mut self,
        name: String,
        settings: IndexSettings,
        mapping: Value,
        aliases: Aliases,
    ) -> Result<(), ApiError> {
        if let Some(existing) = self.state.indices.get(&name) {
            let id = &existing.id;
            return Err(ApiError::new(
                ErrorCode::ResourceAlreadyExists,
                format!("index [{}/{}] already exists", id.name, id.uuid),
            )
            .with("index_uuid", id.uuid.clone())
            .with("index", id.name.clone()));
        }
        if self.rules >= 1 {
            self.check_names(&name, &aliases)?;
        }
        let shards = settings.number_of_shards() as usize;
        let metadata = IndexMetadata {
            id: IndexId {
                name: name.clone(),
                uuid: self.identifiers.next(),
            },
            creation_date_ms: self.now_ms,
            settings_version: 1,
            mapping,
            mapping_version: 1,
            aliases,
            shards: vec![ShardMetadata::default(); shards],
            settings,
            is_flooded: false,
            is_closed: false,
        };
        let replicas = metadata.settings.number_of_replicas();
        let shard = self.new_shard(replicas);
        self.state.routing.insert(
            name.clone(),
            IndexRouting {
                shards: vec![shard; shards],
            },
        );
        self.state.indices.insert(name, metadata);
        Ok(())
    }

    fn update_aliases(&mut self, changes: Vec<AliasChange>) -> Result<(), ApiError> {
        let mut added = BTreeSet::new();
        for change in changes {
            match change {
                AliasChange::Add {
                    index,
                    alias,
                    metadata,
                } => {
                    let aliases = &mut self.index_mut(&index)?.aliases;
                    aliases.insert(alias.clone(), metadata);
                    added.insert(alias);
                }
                AliasChange::Remove { index, alias } => {
                    self.index_mut(&index)?.aliases.remove(&alias);
                }
                AliasChange::RemoveIndex { index } => self.delete_indices(&[index])?,
            }
        }
        for alias in &added {
            aliases::check_alias(self.state, alias)?;
        }
        Ok(())
    }

    fn check_names(&self, name: &str, aliases: &Aliases) -> Result<(), ApiError> {
        let mut others = self.state.indices.values();
        if others.any(|other| other.aliases.contains_key(name)) {
            return Err(names::invalid_index_name(name, "already exists as alias"));
        }
        aliases::check_new_aliases(self.state, name, aliases)
    }

    fn new_shard(&self, replicas: u32) -> ShardRouting {
        let info = || UnassignedInfo::new(UnassignedReason::IndexCreated, "", self.now_ms);
        let mut copies = vec![ShardCopy::unassigned(
            true,
            RecoverySource::EmptyStore,
            info(),
        )];
        copies.extend(
            (0..replicas).map(|_| ShardCopy::unassigned(false, RecoverySource::Peer, info())),
        );
        ShardRouting { copies }
    }

    fn delete_indices(&mut self, indices: &[IndexId]) -> Result<(), ApiError> {
        for id in indices {
            if self.state.index(id).is_none() {
                return Err(ApiError::index_not_found(&id.name));
            }
        }
        for id in indices {
            self.state.indices.remove(&id.name);
            self.state.routing.remove(&id.name);
        }
        Ok(())
    }

    /// An alias that is marked as writing stays on the old index for reading; any other moves.
    fn roll_over(&mut self, alias: &str, source: &IndexId, to: &str) -> Result<(), ApiError> {
        let written = aliases::write_index(self.state, alias, Some(to));
        let Some(metadata) = written
            .filter(|index| index.id == *source)
            .map(|index| index.aliases.get(alias).cloned().unwrap_or_default())
        else {
            return Err(ApiError::new(
                ErrorCode::VersionConflict,
                format!("the write index of alias [{alias}] has changed meanwhile"),
            ));
        };
        let is_marked = metadata.is_write_index == Some(true);
        let old = &mut self.index_mut(source)?.aliases;
        match is_marked {
            true => {
                let kept = AliasMetadata {
                    is_write_index: Some(false),
                    ..metadata.clone()
                };
                old.insert(alias.to_owned(), kept);
            }
            false => drop(old.remove(alias)),
        }
        if let Some(new) = self.state.indices.get_mut(to) {
            let moved = new.aliases.entry(alias.to_owned()).or_default();
            moved.is_hidden = moved.is_hidden.or(metadata.is_hidden);
            moved.is_write_index = is_marked.then_some(true);
        }
        aliases::check_alias(self.state, alias)
    }

    fn set_closed(&mut self, indices: &[IndexId], closed: bool) -> Result<(), ApiError> {
        for id in indices {
            if self.state.index(id).is_none() {
                return Err(ApiError::index_not_found(&id.name));
            }
        }
        for id in indices {
            self.index_mut(id)?.is_closed = closed;
        }
        Ok(())
    }

    fn index_mut(&mut self, id: &IndexId) -> Result<&mut IndexMetadata, ApiError> {
        self.state
            .indices
            .get_mut(&id.name)
            .filter(|metadata| metadata.id.uuid == id.uuid)
            .ok_or_else(|| ApiError::index_not_found(&id.name))
    }

    fn put_mapping(
        &mut self,
        id: &IndexId,
        base_version: u64,
        mapping: Value,
    ) -> Result<(), ApiError> {
        let metadata = self.index_mut(id)?;
        check_base("mapping", metadata.mapping_version, base_version)?;
        metadata.mapping = mapping;
        metadata.mapping_version += 1;
        Ok(())
    }

    fn put_settings(
        &mut self,
        id: &IndexId,
        base_version: u64,
        settings: IndexSettings,
    ) -> Result<(), ApiError> {
        let metadata = self.index_mut(id)?;
        check_base("settings", metadata.settings_version, base_version)?;
        // Put on by a user it stays until a user takes it off.
        let key = blocks::FLOOD_KEY;
        metadata.is_flooded &= metadata.settings.is_true(key) && settings.is_true(key);
        metadata.settings = settings;
        metadata.settings_version += 1;
        let replicas = metadata.settings.number_of_replicas() as usize;
        self.resize(id, replicas);
        Ok(())
    }

    /// Adds unassigned replicas, or drops copies: unassigned first, then recovering ones.
    fn resize(&mut self, id: &IndexId, replicas: usize) {
        let info = UnassignedInfo::new(UnassignedReason::ReplicaAdded, "", self.now_ms);
        let Some(routing) = self.state.routing.get_mut(&id.name) else {
            return;
        };
        let mut dropped = Vec::new();
        for (number, shard) in routing.shards.iter_mut().enumerate() {
            let wanted = shard.copies.iter().filter(|copy| !copy.is_moving()).count();
            if wanted == replicas + 1 {
                continue;
            }
            // Moved again, if it must be, when the number is right.
            shard.copies.retain(|copy| !copy.is_moving());
            while shard.copies.len() < replicas + 1 {
                shard.copies.push(ShardCopy::unassigned(
                    false,
                    RecoverySource::Peer,
                    info.clone(),
                ));
            }
            while shard.copies.len() > replicas + 1 {
                let Some(victim) = least_useful_replica(shard) else {
                    break;
                };
                let copy = shard.copies.remove(victim);
                dropped.extend(copy.allocation_id.map(|id| (number, id)));
            }
        }
        if let Ok(metadata) = self.index_mut(id) {
            for (number, allocation_id) in dropped {
                metadata.shards[number].in_sync.remove(&allocation_id);
            }
        }
    }

    fn shard_started(
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
    fn complete_move(&mut self, id: &ShardId, allocation_id: &AllocationId) {
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
    fn cancel_move(&mut self, id: &ShardId, allocation_id: &AllocationId) -> bool {
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

    fn shard_failed(
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
    fn mark_stale(&mut self, id: &ShardId, allocation_id: &AllocationId) -> Result<(), ApiError> {
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
    fn unassign(
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
    fn primary_lost(&mut self, id: &ShardId) {
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

    fn check_term(&mut self, id: &ShardId, term: Option<Term>) -> Result<(), ApiError> {
        let current = self.shard_metadata_mut(id)?.primary_term;
        match term {
            Some(term) if term != current => Err(ApiError::new(
                ErrorCode::StalePrimary,
                format!("primary term [{term}] of {id} is no longer current: it is [{current}]"),
            )),
            _ => Ok(()),
        }
    }

    fn shard_metadata_mut(&mut self, id: &ShardId) -> Result<&mut ShardMetadata, ApiError> {
        self.index_mut(&id.index)?
            .shards
            .get_mut(id.shard as usize)
            .ok_or_else(|| shard_not_found(id))
    }

    fn shard_mut(&mut self, id: &ShardId) -> Option<&mut ShardRouting> {
        self.state.index(&id.index)?;
        self.state
            .routing
            .get_mut(&id.index.name)?
            .shards
            .get_mut(id.shard as usize)
    }

    fn copy_mut(
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

fn check_base(what: &str, current: u64, base: u64) -> Result<(), ApiError> {
    if current == base {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::VersionConflict,
        format!("the {what} changed meanwhile: version [{current}], not [{base}]"),
    ))
}

fn least_useful_replica(shard: &ShardRouting) -> Option<usize> {
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
