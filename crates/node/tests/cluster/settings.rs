//! The cluster settings API, and what follows it.

use ringwall_testkit::{Cluster, WITHIN};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_reach_every_node_and_outlive_them() {
    let mut cluster = Cluster::start(2).await;
    let empty = json!({"persistent": {}, "transient": {}});
    assert_eq!(
        cluster.get(1, "/_cluster/settings").await,
        (200, empty.clone())
    );

    let wanted = json!({
        "persistent": {"search": {"max_buckets": 2}, "cluster.max_shards_per_node": "500"},
        "transient": {"action.auto_create_index": "logs*"},
    });
    let (status, answer) = cluster.put(0, "/_cluster/settings", wanted).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer,
        json!({
            "acknowledged": true,
            "persistent": {"search": {"max_buckets": "2"}, "cluster": {"max_shards_per_node": "500"}},
            "transient": {"action": {"auto_create_index": "logs*"}},
        })
    );
    let (_, flat) = cluster
        .get(1, "/_cluster/settings?flat_settings=true")
        .await;
    assert_eq!(flat["persistent"]["cluster.max_shards_per_node"], "500");
    let (_, all) = cluster
        .get(
            1,
            "/_cluster/settings?include_defaults=true&flat_settings=true",
        )
        .await;
    assert_eq!(all["defaults"]["cluster.name"], "test");
    assert_eq!(
        all["defaults"]["search.max_buckets"],
        Value::Null,
        "not a default any more"
    );

    // In force on the other node at once.
    let (status, refused) = cluster.put(1, "/other/_doc/1", json!({"n": 1})).await;
    assert_eq!(status, 404, "{refused}");
    for n in 0..4 {
        let (status, _) = cluster
            .put(1, &format!("/logs/_doc/{n}?refresh=true"), json!({"n": n}))
            .await;
        assert_eq!(status, 201);
    }
    let terms = json!({"aggs": {"n": {"terms": {"field": "n"}}}});
    let (status, refused) = cluster.post(1, "/logs/_search", terms.clone()).await;
    assert_eq!(status, 400, "{refused}");
    assert!(
        refused.to_string().contains("too_many_buckets"),
        "{refused}"
    );

    // Null resets; patterns too.
    let (status, answer) = cluster
        .put(
            1,
            "/_cluster/settings",
            json!({"persistent": {"search.*": null}}),
        )
        .await;
    assert_eq!((status, &answer["persistent"]), (200, &json!({})));
    assert_eq!(cluster.post(0, "/logs/_search", terms).await.0, 200);

    for (body, reason) in [
        (json!({}), "no settings to update"),
        (
            json!({"persistent": {"cluster.name": "x"}}),
            "not dynamically updateable",
        ),
        (
            json!({"transient": {"no.such": 1}}),
            "transient setting [no.such], not recognized",
        ),
        (json!({"persist": {}}), "persist"),
    ] {
        let (status, refused) = cluster.put(0, "/_cluster/settings", body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }

    for number in [0, 1] {
        cluster.stop_node(number).await;
    }
    for number in [0, 1] {
        cluster.start_node(number).await;
    }
    cluster.wait_for_nodes(2).await;
    let (_, kept) = cluster
        .get(1, "/_cluster/settings?flat_settings=true")
        .await;
    assert_eq!(
        kept["persistent"],
        json!({"cluster.max_shards_per_node": "500"})
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ip_filter_changes_while_nodes_run() {
    let own = [("xpack.security.filter.always_allow_bound_address", "false")];
    let cluster = Cluster::start_with(1, &own).await;
    assert_eq!(cluster.get(0, "/").await.0, 200);
    // Decided by a name that this machine does not have: asked for, and let in.
    let named = json!({"persistent": {"xpack.security.http.filter.deny": ["*.example.invalid"]}});
    assert_eq!(cluster.put(0, "/_cluster/settings", named).await.0, 200);
    assert_eq!(cluster.get(0, "/").await.0, 200);
    let deny = json!({"persistent": {
        "xpack.security.http.filter.allow": ["*.example.invalid"],
        "xpack.security.http.filter.deny": ["127.0.0.0/8"],
    }});
    let (status, answer) = cluster.put(0, "/_cluster/settings", deny).await;
    assert_eq!(status, 200, "{answer}");
    let address = cluster.nodes[0].as_ref().unwrap().node.http_addresses()[0];
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut rest);
    // Closed or reset: both are a refusal, before any byte.
    let _ = tokio::time::timeout(WITHIN, read)
        .await
        .expect("the node closes the connection");
    assert!(rest.is_empty());
    cluster.stop().await;
}
