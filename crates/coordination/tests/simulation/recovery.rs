//! Restarts from disk.

use std::path::Path;

use ringwall_base::NodeId;
use ringwall_coordination::Error;

use crate::world::{Node, World, form, founders, master_of};

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

/// A backup of a data path, put back after the node has gone on: the node lacks what it has promised to keep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_data_path_is_refused_with_words_and_the_others_go_on() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let master = master_of(&nodes).await;
    let old = (master + 1) % 3;
    nodes[master].put("before").await;
    nodes[old].stop().await;
    let backup = tempfile::tempdir().unwrap();
    copy(&nodes[old].data_path(), backup.path());
    nodes[old].start().await.unwrap();
    for number in 0..20 {
        nodes[master].put(&format!("v{number}")).await;
    }
    let all = |values: &[String]| values.len() == 21;
    nodes[old]
        .wait_state("all values", |state| all(&state.values))
        .await;
    nodes[old].stop().await;
    std::fs::remove_dir_all(nodes[old].data_path()).unwrap();
    copy(backup.path(), &nodes[old].data_path());
    nodes[old].info.ephemeral_id = ringwall_base::random_uuid();
    nodes[old].start().await.unwrap();

    let told = nodes[old].explanation("is an older copy of its own").await;
    assert!(told.contains("empty its data path"), "{told}");
    // The master has met the old log many times by now, and is still the master.
    nodes[master].put("after").await;
    let status = nodes[master].status();
    assert!(
        status.is_master(nodes[master].id()) && status.failure.is_none(),
        "{status:?}"
    );
    assert_eq!(nodes[old].values.count("after"), 0);

    // The cure that the words name.
    nodes[old].stop().await;
    std::fs::remove_dir_all(nodes[old].data_path()).unwrap();
    std::fs::create_dir(nodes[old].data_path()).unwrap();
    nodes[old].info.id = NodeId::random();
    nodes[old].info.ephemeral_id = ringwall_base::random_uuid();
    nodes[old].start().await.unwrap();
    nodes[old]
        .wait_state("all values", |state| state.values.len() == 22)
        .await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}
