//! Changes of indices: their names, mappings, settings and numbers of copies.

use std::collections::BTreeSet;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::IndexId;
use serde_json::Value;

use super::Step;
use super::shards::least_useful_replica;
use crate::aliases::{self, AliasMetadata, Aliases};
use crate::blocks;
use crate::command::AliasChange;
use crate::index_settings::{IndexSettings, reads_texts_while_open};
use crate::metadata::{IndexMetadata, ShardMetadata};
use crate::names;
use crate::routing::{
    IndexRouting, RecoverySource, ShardCopy, ShardRouting, UnassignedInfo, UnassignedReason,
};

impl Step<'_> {
    pub(super) fn create_index(
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

    pub(super) fn update_aliases(&mut self, changes: Vec<AliasChange>) -> Result<(), ApiError> {
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

    pub(super) fn check_names(&self, name: &str, aliases: &Aliases) -> Result<(), ApiError> {
        let mut others = self.state.indices.values();
        if others.any(|other| other.aliases.contains_key(name)) {
            return Err(names::invalid_index_name(name, "already exists as alias"));
        }
        aliases::check_new_aliases(self.state, name, aliases)
    }

    pub(super) fn new_shard(&self, replicas: u32) -> ShardRouting {
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

    pub(super) fn delete_indices(&mut self, indices: &[IndexId]) -> Result<(), ApiError> {
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
    pub(super) fn roll_over(
        &mut self,
        alias: &str,
        source: &IndexId,
        to: &str,
    ) -> Result<(), ApiError> {
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

    pub(super) fn set_closed(&mut self, indices: &[IndexId], closed: bool) -> Result<(), ApiError> {
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

    pub(super) fn index_mut(&mut self, id: &IndexId) -> Result<&mut IndexMetadata, ApiError> {
        self.state
            .indices
            .get_mut(&id.name)
            .filter(|metadata| metadata.id.uuid == id.uuid)
            .ok_or_else(|| ApiError::index_not_found(&id.name))
    }

    pub(super) fn put_mapping(
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

    pub(super) fn put_settings(
        &mut self,
        id: &IndexId,
        base_version: u64,
        base_mapping: Option<u64>,
        settings: IndexSettings,
    ) -> Result<(), ApiError> {
        let metadata = self.index_mut(id)?;
        check_base("settings", metadata.settings_version, base_version)?;
        if let Some(version) = base_mapping {
            check_base("mapping", metadata.mapping_version, version)?;
            if !metadata.is_closed {
                return Err(reads_texts_while_open(id));
            }
        }
        // Put on by a user it stays until a user takes it off.
        let key = blocks::FLOOD_KEY;
        metadata.is_flooded &= metadata.settings.is_true(key) && settings.is_true(key);
        // Who has made the analyzers that fields name makes them anew.
        if !metadata.settings.reads_texts_as(&settings) {
            metadata.mapping_version += 1;
        }
        metadata.settings = settings;
        metadata.settings_version += 1;
        let replicas = metadata.settings.number_of_replicas() as usize;
        self.resize(id, replicas);
        Ok(())
    }

    /// Adds unassigned replicas, or drops copies: unassigned first, then recovering ones.
    pub(super) fn resize(&mut self, id: &IndexId, replicas: usize) {
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
