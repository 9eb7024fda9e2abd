//! Changes of the cluster itself, and of its nodes.

use std::collections::BTreeMap;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{AllocationId, NodeId, NodeKey, ShardId};
use serde_json::Value;

use super::Step;
use crate::disks::DiskLevel;
use crate::known::{self, KnownNodes};
use crate::metadata::ClusterSettings;
use crate::nodes::NodeRecord;
use crate::routing::{CopyState, ShardCopy, UnassignedReason};

impl Step<'_> {
    pub(super) fn bootstrap(&mut self, name: String, uuid: String) -> Result<(), ApiError> {
        if let Some(existing) = &self.state.cluster_uuid {
            return Err(ApiError::internal(format!(
                "the cluster already has the UUID [{existing}]"
            )));
        }
        self.state.cluster_name = name;
        self.state.cluster_uuid = Some(uuid);
        Ok(())
    }

    pub(super) fn put_cluster_settings(
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
    pub(super) fn disk_level(
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
    pub(super) fn join(
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

    pub(super) fn forget(&mut self, node: NodeId) -> Result<(), ApiError> {
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
    pub(super) fn forget_failures(&mut self) {
        let has_failed = |copy: &ShardCopy| {
            copy.state == CopyState::Unassigned
                && copy
                    .unassigned
                    .as_ref()
                    .is_some_and(|info| info.failed_allocations > 0)
        };
        self.state.routing.change_where(
            |_, routing| {
                let mut copies = routing.shards.iter().flat_map(|shard| &shard.copies);
                copies.any(has_failed)
            },
            |_, routing| {
                let shards = routing.shards.iter_mut();
                let copies = shards.flat_map(|shard| &mut shard.copies);
                for copy in copies.filter(|copy| has_failed(copy)) {
                    if let Some(info) = &mut copy.unassigned {
                        info.failed_allocations = 0;
                    }
                }
            },
        );
    }

    pub(super) fn leave(
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

    pub(super) fn fail_copies_on(&mut self, node: NodeId, reason: UnassignedReason, details: &str) {
        let lost: Vec<(ShardId, AllocationId)> = self
            .state
            .copies_on(node)
            .filter_map(|(shard, copy)| Some((shard, copy.allocation_id.clone()?)))
            .collect();
        for (shard, allocation_id) in lost {
            self.unassign(&shard, &allocation_id, reason, details);
        }
    }
}
