//! Restarts from disk.

use ringwall_base::NodeId;
use ringwall_coordination::Error;

use crate::world::{Node, World, form, founders};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_log_is_restored_from_the_snapshot() {
    let world = World::new();
    let mut node = Node::new(&world, "a");
    node.settings.initial_master_nodes = vec!["a".to_owned()];
    node.settings.snapshot_threshold = 7;
    node.start().await.unwrap();
    let mut expected = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            let value = format!("{round}-{number}");
            node.put(&value).await;
            expected.push(value);
        }
        node.restart().await;
        node.joined().await;
        node.wait_state("all values", |state| state.values == expected)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_missed_purged_entries_catches_up() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    for node in &mut nodes {
        node.settings.snapshot_threshold = 10;
    }
    form(&mut nodes).await;
    nodes[2].stop().await;
    for number in 0..40 {
        nodes[0].put(&format!("v{number}")).await;
    }
    nodes[2].start().await.unwrap();
    nodes[2]
        .wait_state("all values", |state| state.values.len() == 40)
        .await;
    assert_eq!(
        nodes[2].values.state().values,
        nodes[0].values.state().values
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_another_node_is_refused() {
    let world = World::new();
    let mut node = Node::new(&world, "a");
    node.start().await.unwrap();
    node.stop().await;
    node.info.id = NodeId::random();
    let error = node.start().await.unwrap_err();
    assert!(matches!(error, Error::ForeignStore { .. }), "{error}");
}
