//! Dead masters and cut links.

use std::time::Duration;

use ringwall_base::NodeId;
use ringwall_coordination::ProposeError;

use crate::world::{Cut, DEADLINE, Values, World, form, founders, ids, master_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_goes_on_after_the_master_dies() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    nodes[0].put("before").await;
    let master = master_of(&nodes).await;
    let mut dead = nodes.remove(master);
    dead.stop().await;
    for node in &nodes {
        node.put(&format!("from {}", node.info.name)).await;
    }
    let successor = master_of(&nodes).await;
    assert_ne!(nodes[successor].id(), dead.id());
    for node in &nodes {
        node.wait_state("the departure", |state| {
            state.left == [(dead.id(), "disconnected".to_owned())] && state.values.len() == 3
        })
        .await;
        assert_eq!(node.status().voters.len(), 3, "never shrinks below three");
    }

    dead.start().await.unwrap();
    dead.joined().await;
    dead.wait_state("all values", |state| {
        state.values.len() == 3 && state.members.len() == 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_node_neither_raises_its_term_nor_disturbs() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let master = master_of(&nodes).await;
    let isolated = (master + 1) % 3;
    let (all, term) = (ids(&nodes), nodes[master].status().term);
    for cut in [Cut::Silent, Cut::Refused] {
        world.isolate(nodes[isolated].id(), &all, cut);
        nodes[isolated]
            .wait("losing the master", |status| status.master.is_none())
            .await;
        // Several election timeouts pass; the point is that nothing happens.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(nodes[isolated].status().term, term);
        nodes[master].put("meanwhile").await;
        world.heal();
        nodes[isolated].joined().await;
        assert_eq!(master_of(&nodes).await, master);
        for node in &nodes {
            assert_eq!(node.status().term, term);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_off_master_steps_aside_and_its_command_is_applied_at_most_once() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let old = master_of(&nodes).await;
    let all = ids(&nodes);
    world.isolate(nodes[old].id(), &all, Cut::Silent);

    // Submitted while it still believes in its quorum.
    let lost = nodes[old]
        .coordination()
        .propose(Values::put("lost"), Duration::from_millis(1500))
        .await;
    assert_eq!(lost, Err(ProposeError::Timeout));
    nodes[old]
        .wait("admitting to have no quorum", |status| {
            status.master.is_none()
        })
        .await;
    let refused = nodes[old]
        .coordination()
        .propose(Values::put("refused"), Duration::from_millis(200))
        .await;
    assert_eq!(refused, Err(ProposeError::NoMaster));
    let stale = nodes[old]
        .coordination()
        .ensure_leader_is_current(Duration::from_millis(200))
        .await;
    assert!(stale.is_err());

    let other = (old + 1) % 3;
    nodes[other].put("kept").await;
    // This one waits through the partition and gets through after it.
    let patient = {
        let coordination = nodes[old].coordination().clone();
        tokio::spawn(async move { coordination.propose(Values::put("patient"), DEADLINE).await })
    };
    world.heal();
    patient.await.unwrap().unwrap();
    nodes[old].joined().await;
    nodes[old].put("after").await;
    for node in &nodes {
        node.wait_state("the last value", |state| {
            state.values.iter().any(|value| value == "after")
        })
        .await;
        for (value, count) in [("kept", 1), ("patient", 1), ("after", 1), ("refused", 0)] {
            assert_eq!(node.values.count(value), count, "{value}");
        }
        assert!(node.values.count("lost") <= 1);
        assert_eq!(node.values.state().values, nodes[0].values.state().values);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_heard_but_hears_nobody_is_replaced_and_removed() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let old = master_of(&nodes).await;
    let deaf = nodes[old].id();
    world.deafen(deaf, &ids(&nodes));
    let other = (old + 1) % 3;
    let is_another = |master: Option<NodeId>| master.is_some_and(|master| master != deaf);
    nodes[other]
        .wait("another master", |status| {
            is_another(status.master.as_ref().map(|master| master.id))
        })
        .await;
    nodes[other].put("kept").await;
    nodes[other]
        .wait_state("the removal", |state| {
            state.left.iter().any(|(node, _)| *node == deaf)
        })
        .await;
    world.heal();
    nodes[old].joined().await;
    nodes[old]
        .wait_state("what it missed", |state| {
            state.values == ["kept"] && state.members.len() == 3
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_survives_a_change_of_master_and_is_applied_once() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let master = master_of(&nodes).await;
    let client = (master + 1) % 3;
    let writer = {
        let coordination = nodes[client].coordination().clone();
        tokio::spawn(async move {
            for number in 0..50 {
                let value = Values::put(&format!("v{number}"));
                coordination.propose(value, DEADLINE).await.unwrap();
            }
        })
    };
    nodes[client]
        .wait_state("some values", |state| state.values.len() >= 5)
        .await;
    nodes[master].stop().await;
    writer.await.unwrap();
    let expected: Vec<String> = (0..50).map(|number| format!("v{number}")).collect();
    assert_eq!(nodes[client].values.state().values, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_on_any_node_see_what_was_committed_before() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let master = master_of(&nodes).await;
    for number in 0..10 {
        let value = format!("v{number}");
        nodes[master].put(&value).await;
        for node in &nodes {
            node.coordination()
                .ensure_leader_is_current(DEADLINE)
                .await
                .unwrap();
            assert_eq!(node.values.count(&value), 1);
        }
    }
}
