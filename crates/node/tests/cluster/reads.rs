//! What a read finds while copies start: all that was refreshed, or an error that is no absence.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_finds_what_was_refreshed_while_replicas_recover() {
    let cluster = Cluster::start(3).await;
    // By no interval: nothing but the refreshes asked for shows anything.
    let settings = json!({"settings": {
        "number_of_shards": 1, "number_of_replicas": 2, "refresh_interval": "-1",
    }});
    for round in 0..12 {
        let index = format!("logs-{round}");
        let (status, body) = cluster
            .put(round % 3, &format!("/{index}"), settings.clone())
            .await;
        assert_eq!(status, 200, "{body}");
        match round % 2 {
            0 => {
                let path = format!("/{index}/_doc/1?refresh=true");
                let (status, body) = cluster.put(round % 3, &path, json!({"n": 1})).await;
                assert_eq!(status, 201, "{body}");
            }
            _ => {
                let path = format!("/{index}/_doc/1");
                let (status, body) = cluster.put(round % 3, &path, json!({"n": 1})).await;
                assert_eq!(status, 201, "{body}");
                let path = format!("/{index}/_refresh");
                let (status, body) = cluster.post((round + 1) % 3, &path, Value::Null).await;
                assert_eq!(status, 200, "{body}");
            }
        }
        // Each node asks its own copy from the moment it counts.
        for attempt in 0..30 {
            let path = format!("/{index}/_search");
            let (status, body) = cluster.get(attempt % 3, &path).await;
            let found = &body["hits"]["total"]["value"];
            assert_eq!((status, found), (200, &json!(1)), "{index}: {body}");
        }
        cluster.wait_for_status(0, "green").await;
        for node in 0..3 {
            let (_, body) = cluster.get(node, &format!("/{index}/_count")).await;
            assert_eq!(body["count"], 1, "{index} by node {node}: {body}");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_highlighted_where_they_are_read_under_the_limits_of_their_index() {
    let cluster = Cluster::start(2).await;
    let body = json!({
        "settings": {"number_of_shards": 2, "number_of_replicas": 0, "highlight": {"max_analyzed_offset": 20}},
        "mappings": {"properties": {"t": {"type": "text"}}},
    });
    let (status, body) = cluster.put(0, "/h", body).await;
    assert_eq!(status, 200, "{body}");
    for id in 0..6 {
        let (status, body) = cluster
            .put(
                0,
                &format!("/h/_doc/{id}?refresh=true"),
                json!({"t": "a red fox"}),
            )
            .await;
        assert_eq!(status, 201, "{body}");
    }
    let asked = json!({"query": {"match": {"t": "fox"}}, "highlight": {"fields": {"t": {}}}});
    let all_lit = |found: &Value| {
        let hits = found["hits"]["hits"].as_array().unwrap();
        let lit = |hit: &&Value| hit["highlight"] == json!({"t": ["a red <em>fox</em>"]});
        hits.len() == 6 && hits.iter().filter(lit).count() == 6
    };
    for path in ["/h/_search", "/h/_search?scroll=1m"] {
        let (status, found) = cluster.post(1, path, asked.clone()).await;
        assert!(status == 200 && all_lit(&found), "{found}");
    }
    // Hits of both shards, so that they are read apart from the query.
    let long = json!({"t": "a fox that is longer than may be read"});
    for id in 0..6 {
        let (status, body) = cluster
            .put(0, &format!("/h/_doc/{id}?refresh=true"), long.clone())
            .await;
        assert_eq!(status, 200, "{body}");
    }
    for path in ["/h/_search", "/h/_search?scroll=1m"] {
        let (status, failed) = cluster.post(1, path, asked.clone()).await;
        let reason = failed["error"]["root_cause"][0]["reason"]
            .as_str()
            .unwrap_or_default();
        assert_eq!(status, 400, "{failed}");
        assert!(
            reason.contains("exceeds the [index.highlight.max_analyzed_offset] limit [20]"),
            "{failed}"
        );
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_without_a_copy_is_no_missing_document() {
    let mut cluster = Cluster::start(3).await;
    let settings = json!({"settings": {"number_of_shards": 6, "number_of_replicas": 0}});
    let (status, body) = cluster.put(0, "/logs", settings).await;
    assert_eq!(status, 200, "{body}");
    let ids: Vec<String> = (0..30).map(|id| id.to_string()).collect();
    for id in &ids {
        let (status, body) = cluster
            .put(0, &format!("/logs/_doc/{id}"), json!({"n": id}))
            .await;
        assert_eq!(status, 201, "{body}");
    }
    cluster.stop_node(2).await;
    cluster.wait_for_nodes(2).await;
    let (mut found, mut unavailable) = (0, 0);
    for id in &ids {
        let (status, body) = cluster.get(0, &format!("/logs/_doc/{id}")).await;
        match status {
            200 => found += 1,
            503 => {
                let reason = format!("No shard available for [get [logs][{id}]: routing [null]]");
                let error =
                    json!({"type": "no_shard_available_action_exception", "reason": reason});
                assert_eq!(body["error"]["root_cause"][0], error, "{body}");
                unavailable += 1;
            }
            _ => panic!("{id}: {body}"),
        }
    }
    assert!(found > 0 && unavailable > 0, "{found} and {unavailable}");
    let (status, body) = cluster.post(0, "/logs/_mget", json!({"ids": ids})).await;
    assert_eq!(status, 200, "{body}");
    let docs = body["docs"].as_array().unwrap();
    let failed = docs.iter().filter(|doc| {
        doc["error"]["type"] == "no_shard_available_action_exception" && doc["found"].is_null()
    });
    assert_eq!(failed.count(), unavailable, "{body}");

    // While the shards start, every read waits for them or says that it found none: never 404.
    let path = format!("/logs/_doc/{}", ids[0]);
    cluster.start_node(2).await;
    for _ in 0..20 {
        for id in &ids {
            let (status, body) = cluster.get(1, &format!("/logs/_doc/{id}")).await;
            assert!(matches!(status, 200 | 503), "{id}: {status} {body}");
        }
    }
    cluster.wait_for_status(0, "green").await;
    let (status, body) = cluster.get(1, &path).await;
    assert_eq!(status, 200, "{body}");
    cluster.stop().await;
}
