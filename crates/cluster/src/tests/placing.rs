//! Where copies may be, and how they leave where they may not.

use super::*;
use crate::explain::Verdict;

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

/// What is explained is what was decided: a copy that stays on no node has a reason on every node.
#[test]
fn an_unassigned_copy_has_a_reason_on_every_node() {
    let reasons = |cluster: &Cluster| {
        let mut reasons = Vec::new();
        for (id, shard) in cluster.state.shards() {
            for (position, copy) in shard.copies.iter().enumerate() {
                if copy.state != CopyState::Unassigned {
                    continue;
                }
                let told = cluster.state.explain(&id, position, 0).unwrap();
                for node in &told.nodes {
                    assert!(node.verdict() > Verdict::Yes, "{told:?}");
                    let says_no = node.decisions.iter().filter(|d| d.verdict == Verdict::No);
                    reasons.extend(says_no.map(|decision| decision.decider));
                }
            }
        }
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    };
    let mut cluster = Cluster::of(2);
    cluster.create(1, 2);
    cluster.start_all();
    assert_eq!(reasons(&cluster), ["same_shard"]);
    let mut cluster = Cluster::of(2);
    cluster.settings(json!({"cluster.routing.allocation.enable": "none"}));
    cluster.create(1, 1);
    assert_eq!(
        reasons(&cluster),
        ["enable", "replica_after_primary_active"]
    );
    let mut cluster = Cluster::of(2);
    cluster.settings(json!({"cluster.routing.allocation.require.rack": "a"}));
    cluster.create(1, 0);
    assert_eq!(reasons(&cluster), ["filter"]);
    let mut cluster = Cluster::of(1);
    assert!(cluster.try_disk(1, DiskLevel::High));
    cluster.create(1, 0);
    assert_eq!(reasons(&cluster), ["disk_threshold"]);
    assert!(cluster.try_disk(1, DiskLevel::Enough));
    cluster.start_all();
    let (id, _) = cluster.state.shards().next().unwrap();
    let told = cluster.state.explain(&id, 0, 0).unwrap();
    assert_eq!(told.may_stay.unwrap().verdict(), Verdict::Yes);
    assert_eq!(cluster.state.explain(&id, 1, 0), None);
}
