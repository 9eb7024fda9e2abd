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

#[test]
fn new_index_becomes_green_with_copies_apart() {
    let mut cluster = Cluster::of(3);
    cluster.create(3, 1);
    assert_eq!(cluster.status(), HealthStatus::Yellow);
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
    for bits in 1..=3 {
        assert_eq!(cluster.state.copies_on(NodeId::from_bits(bits)).count(), 2);
    }
}

#[test]
fn replicas_beyond_the_nodes_stay_unassigned() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 1);
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Yellow);
    cluster.join(2, "first");
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
}

#[test]
fn lost_primary_is_replaced_by_an_in_sync_copy_under_a_new_term() {
    let mut cluster = Cluster::of(3);
    cluster.create(1, 2);
    cluster.start_all();
    let shard = cluster.shard();
    let (old, term) = (cluster.primary_node().unwrap(), cluster.term(&shard));
    cluster.apply(Change::NodeLeave {
        node: old,
        ephemeral_id: None,
        reason: "disconnected".into(),
    });
    assert_ne!(cluster.primary_node().unwrap(), old);
    assert_eq!(cluster.term(&shard), term + 1);
    assert_eq!(cluster.status(), HealthStatus::Yellow);
    // Nothing was written since, so the departed copy is still as good as the others.
    assert!(cluster.in_sync_nodes().contains(&old));
}

#[test]
fn stale_copy_never_becomes_primary() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    let shard = cluster.shard();
    let primary = cluster.primary_node().unwrap();
    let replica = cluster.state.shard(&shard).unwrap().copies[1].clone();
    let replica_node = replica.node.unwrap();
    cluster.apply(Change::NodeLeave {
        node: replica_node,
        ephemeral_id: None,
        reason: "disconnected".into(),
    });
    // The primary is about to acknowledge a write that the departed copy lacks.
    let term = cluster.term(&shard);
    cluster.apply(Change::ShardFailed {
        shard: shard.clone(),
        allocation_id: replica.allocation_id.unwrap(),
        primary_term: Some(term),
        mark_stale: true,
        reason: "unavailable".into(),
    });
    assert_eq!(cluster.in_sync_nodes(), [primary]);
    cluster.apply(Change::NodeLeave {
        node: primary,
        ephemeral_id: None,
        reason: "disconnected".into(),
    });
    cluster.join(
        if replica_node == NodeId::from_bits(1) {
            1
        } else {
            2
        },
        "second",
    );
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Red);
    cluster.join(
        if primary == NodeId::from_bits(1) {
            1
        } else {
            2
        },
        "second",
    );
    cluster.start_all();
    assert_eq!(cluster.primary_node(), Some(primary));
    assert_eq!(cluster.status(), HealthStatus::Green);
}

#[test]
fn primary_cannot_mark_itself_stale() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    let shard = cluster.shard();
    let (_, allocation_id) = cluster
        .state
        .shard(&shard)
        .unwrap()
        .active_primary()
        .unwrap();
    let change = Change::ShardFailed {
        allocation_id: allocation_id.clone(),
        primary_term: Some(cluster.term(&shard)),
        mark_stale: true,
        reason: String::new(),
        shard,
    };
    let before = cluster.state.clone();
    assert!(!cluster.try_apply(change));
    assert_eq!(cluster.state, before);
}

#[test]
fn commands_of_a_former_primary_are_refused() {
    let mut cluster = Cluster::of(3);
    cluster.create(1, 1);
    cluster.start_all();
    let shard = cluster.shard();
    let old_term = cluster.term(&shard);
    let replica = cluster.state.shard(&shard).unwrap().copies[1]
        .allocation_id
        .clone();
    let primary = cluster.primary_node().unwrap();
    cluster.apply(Change::NodeLeave {
        node: primary,
        ephemeral_id: None,
        reason: "disconnected".into(),
    });
    assert!(!cluster.try_apply(Change::ShardFailed {
        shard,
        allocation_id: replica.unwrap(),
        primary_term: Some(old_term),
        mark_stale: true,
        reason: String::new(),
    }));
}

#[test]
fn all_nodes_restart_and_every_shard_returns_from_disk() {
    let mut cluster = Cluster::of(3);
    cluster.create(2, 2);
    cluster.start_all();
    for bits in 1..=3 {
        cluster.join(bits, "second");
    }
    let sources: Vec<RecoverySource> = cluster
        .initializing()
        .iter()
        .filter(|(_, copy)| copy.primary)
        .map(|(_, copy)| copy.recovery_source)
        .collect();
    assert_eq!(sources, [RecoverySource::ExistingStore; 2]);
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
}

#[test]
fn replica_waits_for_its_node_then_goes_elsewhere() {
    let mut cluster = Cluster::of(3);
    cluster.create(1, 1);
    cluster.start_all();
    let replica_node = cluster.state.shard(&cluster.shard()).unwrap().copies[1]
        .node
        .unwrap();
    cluster.apply(Change::NodeLeave {
        node: replica_node,
        ephemeral_id: None,
        reason: "disconnected".into(),
    });
    assert!(cluster.initializing().is_empty());
    assert_eq!(cluster.state.health(&[]).delayed_unassigned_shards, 1);
    cluster.now_ms = 59_999;
    assert!(!cluster.state.has_expired_delay(cluster.now_ms));
    cluster.now_ms = 60_000;
    assert!(cluster.state.has_expired_delay(cluster.now_ms));
    cluster.apply(Change::Reroute);
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
}

#[test]
fn returning_node_gets_its_replica_back() {
    let mut cluster = Cluster::of(3);
    cluster.create(1, 1);
    cluster.start_all();
    let node = cluster.state.shard(&cluster.shard()).unwrap().copies[1].node;
    cluster.leave(1);
    cluster.join(1, "second");
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
    let copies = &cluster.state.shard(&cluster.shard()).unwrap().copies;
    assert!(copies.iter().any(|copy| copy.node == node));
}

#[test]
fn replica_count_can_change() {
    let mut cluster = Cluster::of(3);
    cluster.create(1, 0);
    cluster.start_all();
    let index = cluster.state.indices["logs"].clone();
    let body = json!({"number_of_replicas": 2});
    let settings = index.settings.updated(&body, &open(&index.id)).unwrap();
    cluster.apply(Change::PutIndexSettings {
        index: index.id.clone(),
        base_version: index.settings_version,
        settings: settings.clone(),
    });
    cluster.start_all();
    assert_eq!(cluster.in_sync_nodes().len(), 3);
    let settings = settings.updated(&json!({"number_of_replicas": 0}), &open(&index.id));
    cluster.apply(Change::PutIndexSettings {
        index: index.id,
        base_version: index.settings_version + 1,
        settings: settings.unwrap(),
    });
    assert_eq!(cluster.in_sync_nodes().len(), 1);
    assert_eq!(cluster.status(), HealthStatus::Green);
}

#[test]
fn snapshot_round_trips_and_newer_formats_are_refused() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    let bytes = cluster.state.to_snapshot();
    assert_eq!(ClusterState::from_snapshot(&bytes).unwrap(), cluster.state);
    assert!(ClusterState::from_snapshot(b"rubbish").is_err());
    let newer = ringwall_base::encoding::encode(&json!({"format": 99, "state": {}}));
    let error = ClusterState::from_snapshot(&newer).unwrap_err();
    assert!(error.to_string().contains("format 99"));
}

#[test]
fn mapping_update_needs_the_version_it_was_merged_into() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    let index: IndexId = cluster.state.indices["logs"].id.clone();
    let put = |base_version| Change::PutMapping {
        index: index.clone(),
        base_version,
        mapping: json!({"properties": {}}),
    };
    assert!(cluster.try_apply(put(1)));
    assert!(!cluster.try_apply(put(1)));
    assert!(cluster.try_apply(put(2)));
}

fn blocked(cluster: &Cluster) -> Option<String> {
    let refused = cluster.state.check_blocks("logs", Level::Write);
    refused
        .err()
        .map(|error| format!("{} {}", error.status, error.reason))
}

#[test]
fn full_disks_take_less_and_less() {
    let mut cluster = Cluster::of(3);
    assert!(cluster.try_disk(1, DiskLevel::Low));
    assert!(cluster.try_disk(2, DiskLevel::High));
    // New primaries go to a node above the low watermark, nothing to one above the high one.
    cluster.create(2, 2);
    cluster.start_all();
    assert_eq!(cluster.holders(), [1, 3]);
    assert_eq!(cluster.state.copies_on(NodeId::from_bits(1)).count(), 1);
    // Room makes itself felt without anybody asking.
    assert!(cluster.try_disk(1, DiskLevel::Enough));
    assert!(cluster.try_disk(2, DiskLevel::Enough));
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
    assert!(!cluster.try_disk(7, DiskLevel::Low), "no such node");
}

#[test]
fn the_flood_stage_blocks_writes_until_the_disk_is_below_the_high_watermark() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    assert_eq!(blocked(&cluster), None);
    cluster.try_disk(2, DiskLevel::Flood);
    let text = "429 index [logs] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index \
                has read-only-allow-delete block];";
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    // What a user takes off comes back while the disk is full.
    cluster.index_settings(json!({"index.blocks.read_only_allow_delete": null}));
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    let delete = Attempt {
        level: Level::MetadataWrite,
        deletes: true,
    };
    assert_eq!(cluster.state.check_blocks("logs", delete), Ok(()));
    assert_eq!(cluster.state.check_blocks("logs", Level::Read), Ok(()));
    cluster.try_disk(2, DiskLevel::High);
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    cluster.try_disk(2, DiskLevel::Low);
    assert_eq!(blocked(&cluster), None);
    // What a user puts on stays.
    cluster.index_settings(json!({"index.blocks.read_only_allow_delete": true}));
    cluster.try_disk(2, DiskLevel::Flood);
    cluster.try_disk(2, DiskLevel::Enough);
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    cluster.index_settings(json!({"index.blocks.read_only_allow_delete": false}));
    assert_eq!(blocked(&cluster), None);
    // A node that left holds nothing back.
    cluster.try_disk(2, DiskLevel::Flood);
    assert!(blocked(&cluster).is_some());
    cluster.leave(2);
    assert_eq!(blocked(&cluster), None);
}

#[test]
fn a_closed_index_is_neither_read_nor_written_and_keeps_its_copies() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    let index = cluster.state.indices["logs"].id.clone();
    let set = |closed| Change::SetClosed {
        indices: vec![index.clone()],
        closed,
    };
    let before = cluster.state.routing.clone();
    assert!(cluster.try_apply(set(true)));
    assert_eq!(cluster.state.routing, before);
    for level in [Level::Read, Level::Write] {
        let error = cluster.state.check_blocks("logs", level).unwrap_err();
        assert_eq!((error.status, error.reason.as_str()), (400, "closed"));
    }
    for level in [Level::MetadataRead, Level::MetadataWrite] {
        assert_eq!(cluster.state.check_blocks("logs", level), Ok(()));
    }
    assert!(cluster.try_apply(set(false)));
    assert_eq!(cluster.state.check_blocks("logs", Level::Write), Ok(()));
    let gone = Change::SetClosed {
        indices: vec![IndexId {
            name: "gone".to_owned(),
            uuid: "u".to_owned(),
        }],
        closed: true,
    };
    assert!(!cluster.try_apply(gone));
}

#[test]
fn an_alias_rolls_over_as_a_whole_or_not_at_all() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    let source = cluster.state.indices["logs"].id.clone();
    let alias = |writes: Option<bool>| AliasMetadata {
        is_write_index: writes,
        ..AliasMetadata::default()
    };
    let add = |name: &str, writes| AliasChange::Add {
        index: source.clone(),
        alias: name.to_owned(),
        metadata: alias(writes),
    };
    let changes = vec![add("marked", Some(true)), add("plain", None)];
    cluster.apply(Change::UpdateAliases { changes });
    let roll = |alias: &str, source: &IndexId, name: &str| Change::Rollover {
        alias: alias.to_owned(),
        source: source.clone(),
        name: name.to_owned(),
        settings: IndexSettings::default(),
        mapping: json!({}),
        aliases: Aliases::new(),
    };
    // It writes elsewhere already, or the name is taken: nothing has changed.
    let stale = IndexId {
        uuid: "other".to_owned(),
        ..source.clone()
    };
    let before = cluster.state.clone();
    for refused in [
        roll("marked", &stale, "next"),
        roll("nothing", &source, "next"),
        roll("marked", &source, "logs"),
        roll("marked", &source, "plain"),
    ] {
        assert!(!cluster.try_apply(refused));
        assert_eq!(cluster.state, before);
    }
    assert!(cluster.try_apply(roll("marked", &source, "next")));
    let aliases = |cluster: &Cluster, index: &str| cluster.state.indices[index].aliases.clone();
    assert_eq!(aliases(&cluster, "logs")["marked"], alias(Some(false)));
    assert_eq!(aliases(&cluster, "next")["marked"], alias(Some(true)));
    assert!(!cluster.try_apply(roll("marked", &source, "again")));
    // Without a mark the old index loses the alias.
    assert!(cluster.try_apply(roll("plain", &source, "third")));
    assert!(!aliases(&cluster, "logs").contains_key("plain"));
    assert_eq!(aliases(&cluster, "third")["plain"], alias(None));
}

#[test]
fn blocks_refuse_in_the_words_of_elasticsearch() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    let refused = |cluster: &Cluster, level: Level| {
        let error = cluster.state.check_blocks("logs", level).err()?;
        Some((error.status, error.reason))
    };
    for (key, level, text) in [
        (
            "read_only",
            Level::Write,
            "FORBIDDEN/5/index read-only (api)",
        ),
        (
            "read_only",
            Level::MetadataWrite,
            "FORBIDDEN/5/index read-only (api)",
        ),
        ("read", Level::Read, "FORBIDDEN/7/index read (api)"),
        ("write", Level::Write, "FORBIDDEN/8/index write (api)"),
        (
            "metadata",
            Level::MetadataRead,
            "FORBIDDEN/9/index metadata (api)",
        ),
    ] {
        let key = format!("index.blocks.{key}");
        assert_eq!(refused(&cluster, level), None);
        cluster.index_settings(json!({&key: true}));
        let expected = format!("index [logs] blocked by: [{text}];");
        assert_eq!(refused(&cluster, level), Some((403, expected)));
        cluster.index_settings(json!({&key: null}));
    }
    cluster.index_settings(json!({"index.blocks.metadata": true}));
    cluster.settings(json!({"cluster.blocks.read_only": "true"}));
    let both = "index [logs] blocked by: [FORBIDDEN/9/index metadata (api), FORBIDDEN/6/cluster read-only (api)];";
    let expected = Some((403, both.to_owned()));
    assert_eq!(refused(&cluster, Level::MetadataWrite), expected);
    let error = cluster
        .state
        .check_cluster_blocks(Level::Write)
        .unwrap_err();
    assert_eq!(
        error.reason,
        "blocked by: [FORBIDDEN/6/cluster read-only (api)];"
    );
    cluster.settings(json!({"cluster.blocks.read_only_allow_delete": "true"}));
    let delete = Attempt {
        level: Level::MetadataWrite,
        deletes: true,
    };
    assert_eq!(cluster.state.check_cluster_blocks(delete), Ok(()));
    assert!(
        cluster
            .state
            .check_cluster_blocks(Level::MetadataWrite)
            .is_err()
    );
}

#[test]
fn filters_keep_copies_off_nodes() {
    for (settings, expected) in [
        (json!({"exclude._name": "node-1,node-2"}), vec![3]),
        (
            json!({"include._name": "node-*", "exclude._name": "*-3"}),
            vec![1, 2],
        ),
        (json!({"require._name": "node-2"}), vec![2]),
        (json!({"include._ip": "10.0.0.1"}), vec![]),
        (
            json!({"require._ip": "127.0.0.*", "exclude._name": ""}),
            vec![1, 2, 3],
        ),
        (
            json!({"include.rack": "a", "include._name": "node-2"}),
            vec![2],
        ),
        (json!({"require.rack": "a"}), vec![]),
    ] {
        let flat = |prefix: &str| {
            let filters = settings.as_object().unwrap().iter();
            let keys = filters.map(|(key, value)| (format!("{prefix}{key}"), value.clone()));
            Value::Object(keys.collect())
        };
        let mut cluster = Cluster::of(3);
        cluster.settings(flat("cluster.routing.allocation."));
        cluster.create(1, 2);
        cluster.start_all();
        assert_eq!(cluster.holders(), expected, "{settings}");

        // The same of an index, once what was allowed before is gone.
        let mut cluster = Cluster::of(3);
        cluster.settings(json!({"cluster.routing.allocation.enable": "none"}));
        cluster.create(1, 2);
        assert_eq!(cluster.holders(), Vec::<u128>::new());
        cluster.index_settings(flat("index.routing.allocation."));
        cluster.settings(json!({"cluster.routing.allocation.enable": "ALL"}));
        cluster.start_all();
        assert_eq!(cluster.holders(), expected, "{settings}");
    }
}

#[test]
fn allocation_is_switched_off_by_kinds() {
    let mut cluster = Cluster::of(2);
    cluster.settings(json!({"cluster.routing.allocation.enable": "new_primaries"}));
    cluster.create(1, 1);
    cluster.start_all();
    assert_eq!(cluster.holders().len(), 1);
    // A primary on disk is taken up whatever is switched off.
    cluster.settings(json!({"cluster.routing.allocation.enable": "none"}));
    let holder = cluster.holders()[0];
    cluster.join(holder, "second");
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Yellow);
    // An index may have its own way.
    cluster.index_settings(json!({"index.routing.allocation.enable": "all"}));
    cluster.start_all();
    assert_eq!(cluster.status(), HealthStatus::Green);
}

#[test]
fn settings_of_allocation_are_checked() {
    for (body, expected) in [
        (
            json!({"routing.allocation.enable": "bad"}),
            "must be one of [all, primaries",
        ),
        (
            json!({"routing.allocation.require._ip": "300.1"}),
            "invalid IP address [300.1]",
        ),
        (
            json!({"routing.allocation.require.": "x"}),
            "unknown setting",
        ),
        (json!({"blocks.write": "bad"}), "only [true] or [false]"),
    ] {
        let error = IndexSettings::parse(&body).unwrap_err();
        assert!(error.reason.contains(expected), "{body}: {}", error.reason);
    }
}

#[test]
fn copies_move_off_a_node_that_may_not_keep_them() {
    for full in [false, true] {
        let mut cluster = Cluster::of(3);
        cluster.create(2, 1);
        cluster.start_all();
        let leave = |cluster: &mut Cluster, bits: u128| match full {
            true => assert!(cluster.try_disk(bits, DiskLevel::High)),
            false => cluster.settings(
                json!({"cluster.routing.allocation.exclude._name": format!("node-{bits}")}),
            ),
        };
        for bits in 1..=3 {
            let terms = cluster.term(&cluster.shard());
            leave(&mut cluster, bits);
            // Nothing is missing meanwhile.
            assert_eq!(cluster.status(), HealthStatus::Green);
            cluster.start_all();
            assert_eq!(cluster.state.copies_on(NodeId::from_bits(bits)).count(), 0);
            assert_eq!(cluster.status(), HealthStatus::Green);
            assert!(cluster.term(&cluster.shard()) >= terms);
            let copies = cluster.state.shards().map(|(_, shard)| shard.copies.len());
            assert_eq!(copies.collect::<Vec<_>>(), [2, 2]);
            assert_eq!(cluster.in_sync_nodes().len(), 2);
            if full {
                assert!(cluster.try_disk(bits, DiskLevel::Enough));
            }
        }
    }
}

#[test]
fn a_move_that_fails_is_made_again_later() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 0);
    cluster.start_all();
    let from = cluster.primary_node().unwrap();
    let name = format!(
        "node-{}",
        (1..=2)
            .find(|bits| NodeId::from_bits(*bits) == from)
            .unwrap()
    );
    cluster.settings(json!({"cluster.routing.allocation.exclude._name": name}));
    let fail = |cluster: &mut Cluster| {
        let (shard, copy) = cluster.initializing().remove(0);
        cluster.apply(Change::ShardFailed {
            shard,
            allocation_id: copy.allocation_id.unwrap(),
            primary_term: None,
            mark_stale: false,
            reason: String::new(),
        });
    };
    fail(&mut cluster);
    assert!(cluster.initializing().is_empty());
    assert!(!cluster.state.has_expired_delay(cluster.now_ms));
    cluster.now_ms += 10_000;
    assert!(cluster.state.has_expired_delay(cluster.now_ms));
    cluster.apply(Change::Reroute);
    assert_eq!(
        cluster.state.health(&[]).indices["logs"].relocating_shards,
        1
    );
    cluster.start_all();
    assert_ne!(cluster.primary_node(), Some(from));
    assert_eq!(cluster.status(), HealthStatus::Green);
}

/// A step of a random history.
#[derive(Debug, Clone)]
enum Event {
    Join(u128),
    Restart(u128),
    Leave(u128),
    Start(usize),
    FailCopy(usize),
    MarkStale(usize),
    Wait,
    Disk(u128, DiskLevel),
    Exclude(u128),
}

fn level() -> impl Strategy<Value = DiskLevel> {
    use DiskLevel::{Enough, Flood, High, Low};
    prop_oneof![Just(Enough), Just(Low), Just(High), Just(Flood)]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (1..5u128).prop_map(Event::Join),
        1 => (1..5u128).prop_map(Event::Restart),
        1 => (1..5u128).prop_map(Event::Leave),
        4 => (0..8usize).prop_map(Event::Start),
        1 => (0..8usize).prop_map(Event::FailCopy),
        1 => (0..8usize).prop_map(Event::MarkStale),
        1 => Just(Event::Wait),
        1 => (1..5u128, level()).prop_map(|(node, level)| Event::Disk(node, level)),
        1 => (0..5u128).prop_map(Event::Exclude),
    ]
}

fn run(cluster: &mut Cluster, event: Event) {
    let copies: Vec<(ShardId, ShardCopy)> = cluster
        .state
        .shards()
        .flat_map(|(id, shard)| {
            let copies = shard.copies.clone().into_iter();
            copies.map(move |copy| (id.clone(), copy))
        })
        .filter(|(_, copy)| copy.node.is_some())
        .collect();
    let nth = |n: usize| (!copies.is_empty()).then(|| copies[n % copies.len()].clone());
    match event {
        Event::Join(bits) => {
            if !cluster.state.nodes.contains_key(&NodeId::from_bits(bits)) {
                cluster.join(bits, &format!("p{}", cluster.commands));
            }
        }
        Event::Restart(bits) => cluster.join(bits, &format!("p{}", cluster.commands)),
        Event::Leave(bits) => {
            cluster.try_apply(Change::NodeLeave {
                node: NodeId::from_bits(bits),
                ephemeral_id: None,
                reason: String::new(),
            });
        }
        Event::Start(n) => {
            if let Some((shard, copy)) = nth(n) {
                cluster.start(&shard, &copy.allocation_id.unwrap());
            }
        }
        Event::FailCopy(n) | Event::MarkStale(n) => {
            if let Some((shard, copy)) = nth(n) {
                let stale = matches!(event, Event::MarkStale(_));
                let primary_term = stale.then(|| cluster.term(&shard));
                cluster.try_apply(Change::ShardFailed {
                    shard,
                    allocation_id: copy.allocation_id.unwrap(),
                    primary_term,
                    mark_stale: stale,
                    reason: String::new(),
                });
            }
        }
        Event::Wait => {
            cluster.now_ms += 60_000;
            cluster.apply(Change::Reroute);
        }
        Event::Disk(bits, level) => {
            cluster.try_disk(bits, level);
        }
        Event::Exclude(bits) => cluster
            .settings(json!({"cluster.routing.allocation.exclude._name": format!("node-{bits}")})),
    }
}

#[test]
fn a_copy_that_failed_too_often_is_tried_again_later_and_later() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    let fail = |cluster: &mut Cluster| {
        let (shard, copy) = cluster
            .state
            .shards()
            .find_map(|(id, shard)| {
                let replica = shard
                    .copies
                    .iter()
                    .find(|copy| !copy.primary && copy.node.is_some())?;
                Some((id, replica.clone()))
            })
            .expect("a replica is being built");
        cluster.try_apply(Change::ShardFailed {
            shard,
            allocation_id: copy.allocation_id.unwrap(),
            primary_term: None,
            mark_stale: false,
            reason: "refused".to_owned(),
        });
    };
    let (primary, copy) = cluster
        .state
        .shards()
        .find_map(|(id, shard)| Some((id, shard.copies.iter().find(|copy| copy.primary)?.clone())))
        .unwrap();
    cluster.start(&primary, &copy.allocation_id.unwrap());
    for _ in 0..5 {
        fail(&mut cluster);
    }
    let is_tried = |cluster: &Cluster| {
        let mut copies = cluster.state.shards().flat_map(|(_, shard)| &shard.copies);
        copies.all(|copy| copy.node.is_some())
    };
    for pause_ms in [10_000, 20_000, 40_000] {
        assert!(!is_tried(&cluster));
        let failed_at = {
            let mut copies = cluster.state.shards().flat_map(|(_, shard)| &shard.copies);
            copies
                .find_map(|copy| copy.unassigned.as_ref())
                .unwrap()
                .since_ms
        };
        cluster.now_ms = failed_at + pause_ms - 10;
        assert!(!cluster.state.has_expired_delay(cluster.now_ms));
        cluster.apply(Change::Reroute);
        assert!(!is_tried(&cluster));
        cluster.now_ms = failed_at + pause_ms;
        assert!(cluster.state.has_expired_delay(cluster.now_ms));
        cluster.apply(Change::Reroute);
        assert!(is_tried(&cluster));
        assert!(!cluster.state.has_expired_delay(cluster.now_ms));
        fail(&mut cluster);
    }
}

fn check_invariants(before: &ClusterState, after: &ClusterState) -> Result<(), TestCaseError> {
    for (id, shard) in after.shards() {
        let metadata = &after.index(&id.index).unwrap().shards[id.shard as usize];
        let primaries = shard.copies.iter().filter(|copy| copy.primary).count();
        prop_assert_eq!(primaries, 1, "one primary of {}", id);
        let mut nodes: Vec<NodeId> = shard.copies.iter().filter_map(|copy| copy.node).collect();
        let assigned = nodes.len();
        nodes.sort();
        nodes.dedup();
        prop_assert_eq!(nodes.len(), assigned, "copies of {} share a node", id);
        let wanted = after
            .index(&id.index)
            .unwrap()
            .settings
            .number_of_replicas()
            + 1;
        let moving = shard.copies.iter().filter(|copy| copy.is_moving()).count();
        prop_assert!(moving <= 1);
        prop_assert_eq!(shard.copies.len() - moving, wanted as usize);
        for copy in &shard.copies {
            if copy.is_moving() {
                prop_assert_eq!(copy.state, CopyState::Initializing);
            }
            prop_assert_eq!(copy.node.is_some(), copy.state != CopyState::Unassigned);
            prop_assert_eq!(copy.unassigned.is_none(), copy.state == CopyState::Started);
            if copy.is_active() {
                let known = metadata
                    .in_sync
                    .contains_key(copy.allocation_id.as_ref().unwrap());
                prop_assert!(known, "an active copy of {} is not in sync", id);
            }
        }
        let old = &before.index(&id.index).unwrap().shards[id.shard as usize];
        prop_assert!(metadata.primary_term >= old.primary_term);
        if !old.in_sync.is_empty() {
            prop_assert!(!metadata.in_sync.is_empty(), "in-sync set of {} lost", id);
        }
        // A new active primary must have been in sync before.
        let was = before.shard(&id).unwrap().active_primary();
        let is = shard.active_primary();
        if let (Some((_, new)), false) = (is, was == is)
            && !old.in_sync.is_empty()
        {
            // Or have just taken the place of one, which is the same.
            let copies = &before.shard(&id).unwrap().copies;
            let moved = copies
                .iter()
                .any(|copy| copy.is_moving() && copy.allocation_id.as_ref() == Some(new));
            prop_assert!(
                moved || old.in_sync.contains_key(new),
                "stale primary of {}",
                id
            );
            prop_assert!(metadata.primary_term > old.primary_term || was.is_none());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_history_keeps_the_invariants(events in prop::collection::vec(event(), 1..60)) {
        let mut cluster = Cluster::of(3);
        cluster.create(2, 1);
        for event in events {
            let before = cluster.state.clone();
            run(&mut cluster, event);
            check_invariants(&before, &cluster.state)?;
        }
    }
}

/// Every in-sync copy is unusable: only an operator may go on, and the rules say with what.
#[test]
fn a_stale_primary_is_an_operators_decision() {
    use ringwall_api::cluster::{ForcedPrimary, RerouteCommand};
    let command = |kind, node: &str, accept_data_loss| Change::RerouteCommands {
        commands: vec![RerouteCommand {
            kind,
            index: "logs".into(),
            shard: 0,
            node: node.into(),
            accept_data_loss,
        }],
        retry_failed: false,
    };
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    let stale = |node, accept| command(ForcedPrimary::Stale, node, accept);
    assert!(!cluster.try_apply(stale("node-1", true)), "it is assigned");
    // Both copies fail to open until they are no longer tried.
    for _ in 0..40 {
        let failing: Vec<_> = cluster
            .state
            .shards()
            .flat_map(|(id, shard)| {
                let copies = shard.copies.iter();
                copies
                    .filter_map(move |copy| Some((id.clone(), copy.allocation_id.clone()?)))
                    .collect::<Vec<_>>()
            })
            .collect();
        for (shard, allocation_id) in failing {
            cluster.try_apply(Change::ShardFailed {
                shard,
                allocation_id,
                primary_term: None,
                mark_stale: false,
                reason: "cut".into(),
            });
        }
    }
    let id = cluster.state.shards().next().unwrap().0;
    let term = cluster.state.indices["logs"].shards[0].primary_term;
    assert!(
        !cluster.try_apply(stale("node-1", false)),
        "not without accepting the loss"
    );
    assert!(!cluster.try_apply(stale("elsewhere", true)));
    let in_sync = cluster.state.indices["logs"].shards[0].in_sync.len();
    assert_eq!(in_sync, 2, "nothing is forgotten before the copy serves");
    cluster.apply(stale("node-2", true));
    let primary = cluster.state.shard(&id).unwrap().primary().unwrap().clone();
    assert_eq!(primary.recovery_source, RecoverySource::StaleStore);
    assert_eq!(primary.node, Some(NodeId::from_bits(2)));
    let now = cluster.state.indices["logs"].shards[0].primary_term;
    assert!(now > term);
    cluster.apply(Change::ShardStarted {
        shard: id,
        allocation_id: primary.allocation_id.clone().unwrap(),
        primary_term: now,
    });
    let in_sync = &cluster.state.indices["logs"].shards[0].in_sync;
    assert!(
        in_sync.keys().eq([&primary.allocation_id.unwrap()]),
        "it alone is in sync"
    );
}

/// What an earlier version took is in the log for ever, whatever is refused today.
#[test]
fn a_log_of_earlier_rules_is_applied_as_it_was_then() {
    let create = |name: &str, aliases: Value| Change::CreateIndex {
        name: name.into(),
        settings: IndexSettings::parse(&json!({})).unwrap(),
        mapping: Value::Null,
        aliases: serde_json::from_value(aliases).unwrap(),
    };
    let both = [
        create(
            "first",
            json!({"all": {"is_write_index": true}, "odd": null}),
        ),
        create("second", json!({"all": {"is_write_index": true}})),
        create("all", json!({})),
    ];
    for rules in [0, crate::command::RULES] {
        let mut cluster = Cluster::of(1);
        for (number, change) in both.iter().enumerate() {
            let command = Command {
                now_ms: 0,
                seed: format!("index{number}"),
                rules,
                change: change.clone(),
            };
            let taken = cluster.state.apply(command).result.is_ok();
            assert_eq!(
                taken,
                rules == 0 || number == 0,
                "{number} by rules {rules}"
            );
        }
    }
}
