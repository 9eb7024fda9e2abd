//! Joins, departures and voters.

use std::collections::BTreeSet;

use bytes::Bytes;
use ringwall_base::encoding::encode;
use ringwall_base::{NodeId, NodeKey};
use ringwall_coordination::{Error, Role, StateMachine};
use serde::Serialize;

use crate::world::{DEADLINE, Node, World, form, founders, master_of};

fn joining(world: &std::sync::Arc<World>, name: &str, seed: &str) -> Node {
    let mut node = Node::new(world, name);
    node.settings.seeds = vec![format!("{seed}:9300")];
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_have_one_voter_and_three_have_three() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b"]);
    form(&mut nodes).await;
    let master = master_of(&nodes).await;
    let only = BTreeSet::from([nodes[master].id()]);
    for node in &nodes {
        node.wait("one voter", |status| status.voters == only).await;
    }
    let mut third = joining(&world, "c", "b");
    third.start().await.unwrap();
    third
        .wait("three voters", |status| {
            status.voters.len() == 3 && !status.voters_changing
        })
        .await;

    // Losing any one of three is harmless now.
    nodes[master].stop().await;
    third.put("still writable").await;

    // A fourth node takes the place of the dead one.
    let mut fourth = joining(&world, "d", "c");
    fourth.start().await.unwrap();
    let dead = nodes[master].id();
    third
        .wait("replacing the dead voter", |status| {
            status.voters.len() == 3 && !status.voters.contains(&dead) && !status.voters_changing
        })
        .await;
    fourth.put("from the fourth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_only_node_learns_by_snapshot_and_never_votes() {
    let world = World::new();
    let mut master = Node::new(&world, "m");
    master.settings.initial_master_nodes = vec!["m".to_owned()];
    master.settings.snapshot_threshold = 10;
    master.start().await.unwrap();
    for number in 0..40 {
        master.put(&format!("v{number}")).await;
    }
    let mut data = joining(&world, "d", "m");
    data.info.master_eligible = false;
    data.start().await.unwrap();
    let status = data.joined().await;
    assert_eq!(status.role, Role::Learner);
    data.wait_state("all values", |state| state.values.len() == 40)
        .await;
    data.put("from the data node").await;
    assert_eq!(data.status().voters, BTreeSet::from([master.id()]));

    data.restart().await;
    data.joined().await;
    data.wait_state("its own value", |state| state.values.len() == 41)
        .await;

    data.stop().await;
    master
        .wait_state("its departure", |state| state.members.len() == 1)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_removed_by_mistake_joins_again_by_itself() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let mut data = joining(&world, "d", "a");
    data.info.master_eligible = false;
    data.start().await.unwrap();
    data.joined().await;
    let master = master_of(&nodes).await;
    for victim in [data.id(), nodes[(master + 1) % 3].id()] {
        let leave = nodes[master].values.leave_command(victim, "test");
        nodes[master]
            .coordination()
            .propose(leave, DEADLINE)
            .await
            .unwrap();
        nodes[master]
            .wait_state("the return", |state| {
                state.left.iter().any(|(node, _)| *node == victim)
                    && state.members.iter().any(|member| member.id == victim)
            })
            .await;
    }
    data.joined().await;
    data.put("still here").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_at_another_address_is_found_again() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let master = master_of(&nodes).await;
    let moved = (master + 1) % 3;
    nodes[moved].stop().await;
    nodes[moved].info.transport_address = "elsewhere:9301".to_owned();
    nodes[moved].info.ephemeral_id = "second life".to_owned();
    nodes[moved].start().await.unwrap();
    nodes[moved].joined().await;
    nodes[master].put("to the new address").await;
    nodes[moved]
        .wait_state("the value", |state| state.values.len() == 1)
        .await;
    // The others now depend on it: with one of them gone it must be reachable as a voter.
    let gone = (master + 2) % 3;
    nodes[gone].stop().await;
    nodes[moved].put("quorum with the moved node").await;
    let state = nodes[master].values.state();
    let member = state.members.iter().find(|m| m.id == nodes[moved].id());
    assert_eq!(member.unwrap().transport_address, "elsewhere:9301");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_that_moved_finds_itself_by_its_seeds() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    nodes[0].put("before").await;
    for node in &mut nodes {
        node.stop().await;
    }
    let seeds: Vec<String> = (0..3).map(|n| format!("moved{n}:9300")).collect();
    for (node, address) in nodes.iter_mut().zip(&seeds) {
        node.info.transport_address = address.clone();
        node.info.ephemeral_id = format!("second life at {address}");
        node.settings.seeds = seeds.clone();
        node.start().await.unwrap();
    }
    for node in &nodes {
        node.joined().await;
    }
    nodes[0].put("after").await;
    assert_eq!(nodes[0].values.state().values, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_the_name_of_others_and_garbage_are_refused() {
    #[derive(Serialize)]
    struct Envelope<T> {
        cluster_uuid: Option<String>,
        body: T,
    }
    #[derive(Serialize)]
    struct Join<T> {
        peer: T,
    }
    let world = World::new();
    let mut node = Node::new(&world, "a");
    node.settings.initial_master_nodes = vec!["a".to_owned()];
    node.start().await.unwrap();
    node.joined().await;
    let coordination = node.coordination();
    let body = Bytes::from(encode(&Envelope {
        cluster_uuid: None,
        body: Join { peer: &node.info },
    }));
    let liar = NodeId::random();
    let refused = coordination
        .handle_rpc("internal:cluster/join", liar, body)
        .await;
    assert!(matches!(refused, Err(Error::Impersonation { .. })));
    let all = ringwall_coordination::JOINING_RPCS
        .into_iter()
        .chain(ringwall_coordination::MEMBER_RPCS);
    for rpc in all {
        let garbage = Bytes::from_static(b"\xc1garbage");
        let refused = coordination.handle_rpc(rpc, liar, garbage).await;
        assert!(
            matches!(refused, Err(Error::MalformedRequest { .. })),
            "{rpc}"
        );
    }
    let unknown = coordination
        .handle_rpc("internal:cluster/nothing", liar, Bytes::new())
        .await;
    assert!(matches!(unknown, Err(Error::UnknownAction { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_member_that_joined_without_is_entered_when_it_has_shown_one() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b"]);
    form(&mut nodes).await;
    for node in &nodes {
        node.joined().await;
    }
    let master = master_of(&nodes).await;
    let other = nodes[1 - master].id();
    let key_of = |state: &crate::world::State| {
        let mut members = state.members.iter();
        members
            .find(|member| member.id == other)
            .and_then(|member| member.key)
    };
    assert_eq!(key_of(&nodes[master].values.state()), None);
    let key = NodeKey::from_bytes([7; 32]);
    world.keys.lock().insert(other, key);
    for node in &nodes {
        node.wait_state("the key", |state| key_of(state) == Some(key))
            .await;
    }
}
