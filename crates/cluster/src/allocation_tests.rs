use std::collections::BTreeMap;

use proptest::prelude::*;
use ringwall_api::cluster::HealthStatus;
use ringwall_base::{AllocationId, IndexId, NodeId, ShardId};
use serde_json::{Value, json};

use crate::index_settings::IndexSettings;
use crate::nodes::NodeRecord;
use crate::routing::{CopyState, RecoverySource, ShardCopy};
use crate::{Change, ClusterState, Command};

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
        self.apply(Change::NodeJoin { node });
    }

    fn leave(&mut self, bits: u128) {
        self.apply(Change::NodeLeave {
            node: NodeId::from_bits(bits),
            ephemeral_id: None,
            reason: "disconnected".into(),
        });
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
    let settings = index.settings.updated(&body, "logs").unwrap();
    cluster.apply(Change::PutIndexSettings {
        index: index.id.clone(),
        base_version: index.settings_version,
        settings: settings.clone(),
    });
    cluster.start_all();
    assert_eq!(cluster.in_sync_nodes().len(), 3);
    let settings = settings.updated(&json!({"number_of_replicas": 0}), "logs");
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
        for copy in &shard.copies {
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
            prop_assert!(old.in_sync.contains_key(new), "stale primary of {}", id);
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
