//! How full the disks of the nodes are: where copies may go, and which indices take no more.
//! Source: Elasticsearch reference, "Cluster-level shard allocation and routing settings" (disk-based).

use ringwall_base::NodeId;
use serde::{Deserialize, Serialize};

use crate::ClusterState;
use crate::blocks::FLOOD_KEY;

/// How full a disk is, by the watermarks that its node reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum DiskLevel {
    #[default]
    Enough,
    /// Above `low`: takes primaries of new indices only.
    Low,
    /// Above `high`: takes nothing, and gives away what it can.
    High,
    /// Above `flood_stage`: what it holds takes no more writes.
    Flood,
}

impl ClusterState {
    /// Returns how full a node's disk is, as far as it told.
    pub fn disk_level(&self, node: NodeId) -> DiskLevel {
        self.disks.get(&node).copied().unwrap_or_default()
    }

    /// Blocks the indices with a copy on a node above the flood stage, and lets go of those that were blocked for that
    /// when none of their nodes is above the high watermark any more.
    pub(crate) fn follow_disks(&mut self) {
        let names: Vec<String> = self.indices.keys().cloned().collect();
        for name in names {
            let worst = self
                .routing
                .get(&name)
                .into_iter()
                .flat_map(|routing| &routing.shards)
                .flat_map(|shard| &shard.copies)
                .filter_map(|copy| copy.node)
                .map(|node| self.disk_level(node))
                .max()
                .unwrap_or_default();
            let Some(index) = self.indices.get_mut(&name) else {
                continue;
            };
            let block = match (index.is_flooded, worst) {
                (false, DiskLevel::Flood) if !index.settings.is_true(FLOOD_KEY) => true,
                // Taken off by a user while the disk is as full as before.
                (true, DiskLevel::Flood) if !index.settings.is_true(FLOOD_KEY) => true,
                (true, DiskLevel::Enough | DiskLevel::Low) => false,
                _ => continue,
            };
            index.is_flooded = block;
            index.settings.set_flag(FLOOD_KEY, block);
            index.settings_version += 1;
        }
    }
}
