//! Random histories against the invariants.

use super::*;

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
