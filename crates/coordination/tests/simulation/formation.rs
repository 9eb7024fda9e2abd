//! Founding and finding clusters.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use ringwall_coordination::{Error, ProposeError, Role, Seed, SeedHosts};

use crate::world::{Node, Values, World, form, founders, master_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_found_one_cluster_once() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    let uuid = nodes[0].values.state().cluster_uuid.unwrap();
    nodes[1].put("one").await;

    for node in &mut nodes {
        node.stop().await;
    }
    for node in &mut nodes {
        node.start().await.unwrap();
    }
    for node in &nodes {
        node.wait("three voters", |status| {
            status.joined && status.master.is_some() && status.voters.len() == 3
        })
        .await;
        node.wait_state("the value", |state| state.values == ["one"])
            .await;
        let state = node.values.state();
        assert_eq!(state.cluster_uuid.as_ref(), Some(&uuid));
        assert_eq!(state.bootstraps, 1);
        assert_eq!(node.status().cluster_uuid, Some(uuid.clone()));
    }
    master_of(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_founds_a_cluster_before_all_listed_nodes_are_there() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    nodes[0].start().await.unwrap();
    nodes[1].start().await.unwrap();
    nodes[0]
        .wait("errors of the missing node", |status| {
            status.discovery_errors.contains_key("c:9300")
        })
        .await;
    assert!(!nodes[0].status().initialized && !nodes[1].status().initialized);
    let text = nodes[0]
        .explanation(
            "must discover master-eligible nodes [a, b, c] to bootstrap a cluster, missing [c]: ",
        )
        .await;
    assert!(
        text.contains("[c:9300]: unreachable: connection refused"),
        "{text}"
    );
    let error = nodes[0]
        .coordination()
        .propose(Values::put("x"), Duration::from_millis(100))
        .await;
    assert_eq!(error, Err(ProposeError::NoMaster));

    nodes[2].start().await.unwrap();
    for node in &nodes {
        node.joined().await;
    }
}

/// Seeds of which one is known at once and another never: a lookup that hangs.
struct Hanging(String);

impl SeedHosts for Hanging {
    fn round(self: Arc<Self>) -> BoxStream<'static, Seed> {
        let known = [
            Seed::Address(self.0.clone()),
            Seed::Unresolved {
                seed: "lost:9300".to_owned(),
                reason: "no such host".to_owned(),
            },
        ];
        futures::stream::iter(known)
            .chain(futures::stream::pending())
            .boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_is_never_named_delays_no_other() {
    let world = World::new();
    let mut late = Node::new(&world, "b");
    late.settings.seed_hosts = Some(Arc::new(Hanging("a:9300".to_owned())));
    late.start().await.unwrap();
    late.wait("what is wrong with both seeds", |status| {
        let errors = &status.discovery_errors;
        errors
            .get("lost:9300")
            .is_some_and(|error| error == "no such host")
            && errors.contains_key("a:9300")
    })
    .await;

    let mut first = Node::new(&world, "a");
    first.settings.initial_master_nodes = vec!["a".to_owned()];
    first.start().await.unwrap();
    late.joined().await;
    late.wait("nothing to complain of", |status| {
        status.discovery_errors.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_node_that_finds_a_cluster_joins_it() {
    let world = World::new();
    let mut first = Node::new(&world, "b");
    first.settings.initial_master_nodes = vec!["b".to_owned()];
    first.start().await.unwrap();
    first.joined().await;

    let mut late = Node::new(&world, "a");
    late.settings.initial_master_nodes = vec!["a".to_owned(), "b".to_owned()];
    late.settings.seeds = vec!["b:9300".to_owned()];
    late.start().await.unwrap();
    late.joined().await;
    assert_eq!(
        late.values.state().cluster_uuid,
        first.values.state().cluster_uuid
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_founds_and_keeps_its_cluster() {
    let world = World::new();
    let mut node = Node::new(&world, "solo");
    node.settings.single_node = true;
    node.start().await.unwrap();
    node.joined().await;
    node.put("one").await;
    let uuid = node.values.state().cluster_uuid.unwrap();
    node.restart().await;
    let status = node.joined().await;
    assert_eq!(status.role, Role::Master);
    node.put("two").await;
    let state = node.values.state();
    assert_eq!(state.values, ["one", "two"]);
    assert_eq!(state.cluster_uuid, Some(uuid));
    assert_eq!(state.bootstraps, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_node_is_refused_on_a_member_of_a_larger_cluster() {
    let world = World::new();
    let mut nodes = founders(&world, &["a", "b", "c"]);
    form(&mut nodes).await;
    nodes[0].stop().await;
    nodes[0].settings.single_node = true;
    let error = nodes[0].start().await.unwrap_err();
    assert!(
        matches!(error, Error::SingleNodeWithoutQuorum { .. }),
        "{error}"
    );
    // The refusal closed the store: the node starts again once the setting is corrected.
    nodes[0].settings.single_node = false;
    nodes[0].start().await.unwrap();
    nodes[0].joined().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_refused() {
    let world = World::new();
    let mut first = Node::new(&world, "a");
    first.settings.initial_master_nodes = vec!["a".to_owned()];
    first.start().await.unwrap();
    first.joined().await;
    let mut second = Node::new(&world, "b");
    second.settings.initial_master_nodes = vec!["b".to_owned()];
    second.start().await.unwrap();
    second.joined().await;
    second.put("mine").await;
    let uuids = [&first, &second].map(|node| node.values.state().cluster_uuid.unwrap());
    assert_ne!(uuids[0], uuids[1]);

    // The second node loses its log but not its lock: it tries to join the first.
    let mut foreign = Node::new(&world, "c");
    foreign.settings.seeds = vec!["b:9300".to_owned()];
    foreign.start().await.unwrap();
    foreign.joined().await;
    second.stop().await;
    foreign.stop().await;
    foreign.settings.seeds = vec!["a:9300".to_owned()];
    foreign.start().await.unwrap();
    let status = foreign
        .wait("a refusal", |status| status.join_error.is_some())
        .await;
    let reason = status.join_error.unwrap();
    assert!(
        reason.starts_with(&format!(
            "This node previously joined a cluster with UUID [{}] and is now trying to join a \
             different cluster with UUID [{}].",
            uuids[1], uuids[0]
        )),
        "{reason}"
    );
    assert!(
        reason.contains(&foreign.data_path().display().to_string()),
        "{reason}"
    );
    assert_eq!(first.values.state().members.len(), 1);
    assert!(
        foreign
            .coordination()
            .explain_formation()
            .contains("last failed join attempt: This node previously joined")
    );
}
