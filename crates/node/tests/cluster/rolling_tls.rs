//! A cluster without transport TLS gets it node by node, and keeps serving.

use ringwall_testkit::{Cluster, WITHIN};
use serde_json::{Value, json};

const TLS: &str = "xpack.security.transport.ssl.enabled";
const DUAL_STACK: &str = "xpack.security.transport.ssl.dual_stack.enabled";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_turned_on_without_stopping_the_cluster() {
    let mut cluster = Cluster::start_with(3, &[(TLS, "false")]).await;
    let index = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 1}});
    assert_eq!(cluster.put(0, "/logs", index).await.0, 200);
    cluster.wait_for_status(0, "green").await;
    let mut written = 0;
    assert_eq!(modes(&cluster).await, ["off", "off", "off"]);
    let (_, report) = cluster.get(0, "/_health_report").await;
    assert_eq!(report["indicators"]["transport_tls"]["status"], "yellow");

    for number in 0..3 {
        cluster.restart_with(number, &[(DUAL_STACK, "true")]).await;
        cluster.wait_for_nodes(3).await;
        cluster.wait_for_status(number, "green").await;
        for node in 0..3 {
            let (status, answer) = cluster
                .post(node, "/logs/_doc", json!({"n": written}))
                .await;
            assert_eq!(status, 201, "{answer}");
            written += 1;
        }
        let end = json!({"persistent": {DUAL_STACK: false}});
        if number < 2 {
            let (status, refused) = cluster.put(number, "/_cluster/settings", end).await;
            assert_eq!(status, 400, "{refused}");
            assert!(
                refused
                    .to_string()
                    .contains("TLS is off on the nodes [node-"),
                "{refused}"
            );
        }
    }
    assert_eq!(modes(&cluster).await, ["dual_stack"; 3]);
    let since = |cluster: &Cluster| {
        let node = &cluster.nodes[0].as_ref().unwrap().node;
        node.cluster().state().transport_tls_mixed_since_ms
    };
    assert!(since(&cluster).is_some());
    let (_, report) = cluster.get(0, "/_health_report/transport_tls").await;
    let indicator = &report["indicators"]["transport_tls"];
    assert_eq!(indicator["status"], "yellow", "{indicator}");
    let action = indicator["diagnosis"][0]["action"].as_str().unwrap();
    assert!(action.contains("PUT /_cluster/settings"), "{action}");
    // Between nodes that can, TLS is what is used.
    let (_, view) = cluster.get(0, "/_ssl/nodes").await;
    for node in view["nodes"].as_object().unwrap().values() {
        let links = node["links"].as_array().unwrap();
        assert!(links.iter().all(|link| link["encrypted"] == true), "{node}");
    }
    assert!(is_plaintext_let_in(&cluster, 1).await);

    let on = json!({"persistent": {DUAL_STACK: true}});
    let (status, refused) = cluster.put(0, "/_cluster/settings", on).await;
    assert_eq!(status, 400);
    assert!(
        refused.to_string().contains("can only be set to [false]"),
        "{refused}"
    );
    let end = json!({"persistent": {DUAL_STACK: false}});
    let (status, answer) = cluster.put(0, "/_cluster/settings", end).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(since(&cluster), None);
    for number in 0..3 {
        assert!(
            !is_plaintext_let_in(&cluster, number).await,
            "node-{number}"
        );
    }

    // Also over a restart by its own settings, and then without the setting.
    cluster.restart_with(1, &[(DUAL_STACK, "true")]).await;
    cluster.wait_for_nodes(3).await;
    assert!(!is_plaintext_let_in(&cluster, 1).await);
    for number in 0..3 {
        cluster.restart_with(number, &[]).await;
        cluster.wait_for_nodes(3).await;
        cluster.wait_for_status(number, "green").await;
    }
    assert_eq!(modes(&cluster).await, ["required"; 3]);
    let (_, found) = cluster.post(2, "/logs/_refresh", Value::Null).await;
    assert_eq!(found["_shards"]["failed"], 0, "{found}");
    let (_, count) = cluster.get(1, "/logs/_count").await;
    assert_eq!(count["count"], written, "{count}");
    cluster.stop().await;
}

async fn modes(cluster: &Cluster) -> Vec<String> {
    let (_, nodes) = cluster.get(0, "/_nodes").await;
    let nodes = nodes["nodes"].as_object().unwrap();
    let mode = |node: &Value| {
        node["attributes"]["transport_tls"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    nodes.values().map(mode).collect()
}

/// Returns whether a node answers the beginning of HTTP/2 in plaintext on its transport port.
async fn is_plaintext_let_in(cluster: &Cluster, number: usize) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let node = &cluster.nodes[number].as_ref().unwrap().node;
    let mut socket = tokio::net::TcpStream::connect(&node.local().publish_address)
        .await
        .unwrap();
    // The preface and an empty SETTINGS frame.
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    socket.write_all(hello).await.unwrap();
    let mut frame = [0; 9];
    let read = tokio::time::timeout(WITHIN, socket.read_exact(&mut frame)).await;
    // Type 4: SETTINGS.
    read.expect("the node answers or closes").is_ok() && frame[3] == 4
}
