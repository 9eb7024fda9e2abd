//! Nodes that leave the cluster and are back before they have seen it.

use ringwall_cluster::Change;
use ringwall_testkit::Cluster;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_sees_its_leaving_and_its_return_at_once_goes_on_serving() {
    let cluster = Cluster::start(2).await;
    let settings = json!({"settings": {"number_of_shards": 4, "number_of_replicas": 0}});
    let (status, body) = cluster.put(0, "/logs", settings).await;
    assert_eq!(status, 200, "{body}");
    for id in 0..20 {
        let (status, body) = cluster
            .put(0, &format!("/logs/_doc/{id}"), json!({"n": id}))
            .await;
        assert_eq!(status, 201, "{body}");
    }
    let seen = &cluster.nodes[0].as_ref().unwrap().node;
    let local = cluster.nodes[1].as_ref().unwrap().node.local();
    let (away, key) = (local.id, local.key);
    // Whether the node sees one step or two is up to the scheduler; it is one in most rounds.
    for round in 0..12 {
        let Some(record) = seen.cluster().state().nodes.get(&away).cloned() else {
            panic!("round {round}: the node is not back");
        };
        let leave = Change::NodeLeave {
            node: away,
            ephemeral_id: Some(record.ephemeral_id.clone()),
            reason: "test".into(),
        };
        let join = Change::NodeJoin {
            node: record,
            key,
            known: Default::default(),
            rekeyed: false,
        };
        let within = ringwall_testkit::WITHIN;
        let (left, joined) = tokio::join!(
            seen.cluster().submit(leave, within),
            seen.cluster().submit(join, within)
        );
        left.unwrap();
        joined.unwrap();
        cluster.wait_for_nodes(2).await;
        cluster.wait_for_status(0, "green").await;
        for id in 0..20 {
            let (status, body) = cluster.get(0, &format!("/logs/_doc/{id}")).await;
            assert_eq!(status, 200, "round {round}: {body}");
        }
    }
    cluster.stop().await;
}
