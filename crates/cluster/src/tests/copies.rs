//! Which copies there are, and which of them may be primary.

use super::*;

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
        base_mapping: None,
        settings: settings.clone(),
    });
    cluster.start_all();
    assert_eq!(cluster.in_sync_nodes().len(), 3);
    let settings = settings.updated(&json!({"number_of_replicas": 0}), &open(&index.id));
    cluster.apply(Change::PutIndexSettings {
        index: index.id,
        base_version: index.settings_version + 1,
        base_mapping: None,
        settings: settings.unwrap(),
    });
    assert_eq!(cluster.in_sync_nodes().len(), 1);
    assert_eq!(cluster.status(), HealthStatus::Green);
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
