//! How the cluster fares. Source: Elasticsearch reference, "Cluster health API".

use std::collections::BTreeMap;

use ringwall_api::cluster::{HealthStatus, IndexHealth, ShardHealth};

use crate::ClusterState;
use crate::routing::{CopyState, IndexRouting, RecoverySource, ShardRouting};

/// Counts over the indices asked for, and the worst status among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    pub status: HealthStatus,
    pub number_of_nodes: u32,
    pub number_of_data_nodes: u32,
    pub delayed_unassigned_shards: u32,
    pub indices: BTreeMap<String, IndexHealth>,
}

impl ClusterState {
    /// Returns the health of the named indices, or of all if none is named.
    pub fn health(&self, names: &[String]) -> Health {
        let chosen = |name: &String| names.is_empty() || names.contains(name);
        let indices: BTreeMap<String, IndexHealth> = self
            .routing
            .iter()
            .filter(|(name, _)| chosen(name))
            .map(|(name, routing)| (name.clone(), self.index_health(name, routing)))
            .collect();
        Health {
            status: indices
                .values()
                .map(|index| index.status)
                .max()
                .unwrap_or(HealthStatus::Green),
            number_of_nodes: self.nodes.len() as u32,
            number_of_data_nodes: self.nodes.values().filter(|node| node.is_data()).count() as u32,
            delayed_unassigned_shards: self.delayed_shards(),
            indices,
        }
    }

    fn index_health(&self, name: &str, routing: &IndexRouting) -> IndexHealth {
        let shards: Vec<ShardHealth> = routing.shards.iter().map(shard_health).collect();
        let sum = |of: fn(&ShardHealth) -> u32| shards.iter().map(of).sum::<u32>();
        IndexHealth {
            status: shards
                .iter()
                .map(|shard| shard.status)
                .max()
                .unwrap_or(HealthStatus::Green),
            number_of_shards: routing.shards.len() as u32,
            number_of_replicas: self
                .indices
                .get(name)
                .map_or(0, |metadata| metadata.settings.number_of_replicas()),
            active_primary_shards: sum(|shard| shard.primary_active.into()),
            active_shards: sum(|shard| shard.active_shards),
            relocating_shards: sum(|shard| shard.relocating_shards),
            initializing_shards: sum(|shard| shard.initializing_shards),
            unassigned_shards: sum(|shard| shard.unassigned_shards),
            shards,
        }
    }

    fn delayed_shards(&self) -> u32 {
        self.shards()
            .flat_map(|(_, shard)| &shard.copies)
            .filter(|copy| copy.state == CopyState::Unassigned && !copy.primary)
            .filter_map(|copy| copy.unassigned.as_ref())
            .filter(|info| {
                info.delayed_until_ms.is_some()
                    && info
                        .last_node
                        .is_some_and(|node| !self.nodes.contains_key(&node))
            })
            .count() as u32
    }
}

fn shard_health(shard: &ShardRouting) -> ShardHealth {
    let staying = || shard.copies.iter().filter(|copy| !copy.is_moving());
    let count = |state: CopyState| staying().filter(|copy| copy.state == state).count() as u32;
    ShardHealth {
        status: shard_status(shard),
        primary_active: staying().any(|copy| copy.primary && copy.is_active()),
        active_shards: count(CopyState::Started),
        relocating_shards: shard.copies.iter().filter(|copy| copy.is_moving()).count() as u32,
        initializing_shards: count(CopyState::Initializing),
        unassigned_shards: count(CopyState::Unassigned),
    }
}

/// Returns green when every copy serves, yellow when the primary does or is being made for the
/// first time, else red.
pub fn shard_status(shard: &ShardRouting) -> HealthStatus {
    let Some(primary) = shard.primary() else {
        return HealthStatus::Red;
    };
    if primary.is_active() {
        let mut copies = shard.copies.iter();
        let all = copies.all(|copy| copy.is_active() || copy.is_moving());
        return if all {
            HealthStatus::Green
        } else {
            HealthStatus::Yellow
        };
    }
    let failed = primary
        .unassigned
        .as_ref()
        .is_some_and(|info| info.failed_allocations > 0);
    if primary.recovery_source == RecoverySource::EmptyStore && !failed {
        HealthStatus::Yellow
    } else {
        HealthStatus::Red
    }
}
