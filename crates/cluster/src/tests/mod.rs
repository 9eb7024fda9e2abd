//! A cluster under test, changed by commands alone.

mod copies;
mod histories;
mod indices;
mod placing;

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringwall_api::cluster::HealthStatus;
use ringwall_base::{AllocationId, IndexId, NodeId, ShardId};
use serde_json::{Value, json};

use crate::aliases::{AliasMetadata, Aliases};
use crate::blocks::{Attempt, Level};
use crate::command::AliasChange;
use crate::index_settings::{IndexSettings, Updated};
use crate::nodes::NodeRecord;
use crate::routing::{CopyState, RecoverySource, ShardCopy};
use crate::{Change, ClusterState, Command, DiskLevel};

fn open(index: &IndexId) -> Updated<'_> {
    Updated {
        index,
        as_closed: false,
        preserves: false,
    }
}

/// A cluster under test, with a clock that only the test moves.
struct Cluster {
    state: ClusterState,
    now_ms: u64,
    commands: u32,
}

impl Cluster {
    fn of(nodes: u128) -> Self {
        let mut cluster = Self {
            state: ClusterState::default(),
            now_ms: 0,
            commands: 0,
        };
        cluster.apply(Change::Bootstrap {
            cluster_name: "test".into(),
            cluster_uuid: "uuid".into(),
        });
        for bits in 1..=nodes {
            cluster.join(bits, "first");
        }
        cluster
    }

    fn try_apply(&mut self, change: Change) -> bool {
        self.commands += 1;
        let command = Command {
            now_ms: self.now_ms,
            seed: format!("seed{}", self.commands),
            rules: crate::command::RULES,
            change,
        };
        self.state.apply(command).result.is_ok()
    }

    fn apply(&mut self, change: Change) {
        assert!(self.try_apply(change.clone()), "refused: {change:?}");
    }

    fn join(&mut self, bits: u128, process: &str) {
        let node = NodeRecord {
            id: NodeId::from_bits(bits),
            ephemeral_id: process.into(),
            name: format!("node-{bits}"),
            transport_address: "127.0.0.1:9300".into(),
            http_address: None,
            version: "1".into(),
            roles: vec!["data".into(), "master".into()],
            attributes: BTreeMap::new(),
        };
        self.apply(Change::NodeJoin {
            node,
            key: None,
            known: Default::default(),
            rekeyed: false,
        });
    }

    fn leave(&mut self, bits: u128) {
        self.apply(Change::NodeLeave {
            node: NodeId::from_bits(bits),
            ephemeral_id: None,
            reason: "disconnected".into(),
        });
    }

    fn try_disk(&mut self, bits: u128, level: DiskLevel) -> bool {
        let node = NodeId::from_bits(bits);
        let process = self
            .state
            .nodes
            .get(&node)
            .map(|node| node.ephemeral_id.clone());
        self.try_apply(Change::DiskLevel {
            node,
            ephemeral_id: process.unwrap_or_default(),
            level,
        })
    }

    fn settings(&mut self, settings: Value) {
        let base_version = self.state.settings.version;
        self.apply(Change::PutClusterSettings {
            base_version,
            persistent: serde_json::from_value(settings).unwrap(),
            transient: BTreeMap::new(),
        });
    }

    fn index_settings(&mut self, settings: Value) {
        let index = &self.state.indices["logs"];
        let change = Change::PutIndexSettings {
            index: index.id.clone(),
            base_version: index.settings_version,
            base_mapping: None,
            settings: index.settings.updated(&settings, &open(&index.id)).unwrap(),
        };
        self.apply(change);
    }

    /// Nodes that hold copies, by number.
    fn holders(&self) -> Vec<u128> {
        let mut nodes: Vec<u128> = (1..10)
            .filter(|bits| {
                let node = NodeId::from_bits(*bits);
                self.state.copies_on(node).next().is_some()
            })
            .collect();
        nodes.sort_unstable();
        nodes
    }

    fn create(&mut self, shards: u32, replicas: u32) {
        let body = json!({"number_of_shards": shards, "number_of_replicas": replicas});
        self.apply(Change::CreateIndex {
            name: "logs".into(),
            settings: IndexSettings::parse(&body).unwrap(),
            mapping: Value::Null,
            aliases: BTreeMap::new(),
        });
    }

    fn initializing(&self) -> Vec<(ShardId, ShardCopy)> {
        self.state
            .shards()
            .flat_map(|(id, shard)| {
                let copies = shard.copies.clone().into_iter();
                copies.map(move |copy| (id.clone(), copy))
            })
            .filter(|(_, copy)| copy.state == CopyState::Initializing)
            .collect()
    }

    fn start_all(&mut self) {
        loop {
            let waiting = self.initializing();
            if waiting.is_empty() {
                return;
            }
            for (shard, copy) in waiting {
                self.start(&shard, &copy.allocation_id.unwrap());
            }
        }
    }

    fn start(&mut self, shard: &ShardId, allocation_id: &AllocationId) {
        let primary_term = self.term(shard);
        self.try_apply(Change::ShardStarted {
            shard: shard.clone(),
            allocation_id: allocation_id.clone(),
            primary_term,
        });
    }

    fn term(&self, shard: &ShardId) -> u64 {
        self.state.index(&shard.index).unwrap().shards[shard.shard as usize].primary_term
    }

    fn status(&self) -> HealthStatus {
        self.state.health(&[]).status
    }

    fn shard(&self) -> ShardId {
        ShardId {
            index: self.state.indices["logs"].id.clone(),
            shard: 0,
        }
    }

    fn primary_node(&self) -> Option<NodeId> {
        let shard = self.shard();
        Some(self.state.shard(&shard)?.active_primary()?.0)
    }

    fn in_sync_nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.state.indices["logs"].shards[0]
            .in_sync
            .values()
            .copied()
            .collect();
        nodes.sort();
        nodes
    }
}
