//! Closed indices: nothing in them is read or written, nothing of them is lost.

use std::collections::BTreeSet;

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

async fn ok(answer: impl Future<Output = (u16, Value)>) -> Value {
    let (status, answer) = answer.await;
    assert!((200..300).contains(&status), "{status}: {answer}");
    answer
}

/// An index of ten documents with an alias, beside one of two that stays open.
async fn two_indices(cluster: &Cluster) {
    let settings = json!({"number_of_shards": 2, "number_of_replicas": 1});
    let index = json!({"settings": settings, "aliases": {"every": {}, "old": {}}});
    ok(cluster.put(0, "/logs-1", index)).await;
    let index = json!({"settings": {"number_of_replicas": 1}, "aliases": {"every": {}}});
    ok(cluster.put(0, "/logs-2", index)).await;
    let line = |index: &str, id: u32| {
        format!("{{\"index\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{{\"n\":{id}}}\n")
    };
    let mut lines: String = (0..10).map(|id| line("logs-1", id)).collect();
    lines.extend((0..2).map(|id| line("logs-2", id)));
    let answer = ok(cluster.post(0, "/_bulk?refresh=true", Value::String(lines))).await;
    assert_eq!(answer["errors"], false, "{answer}");
    cluster.wait_for_status(0, "green").await;
}

async fn close(cluster: &Cluster) {
    let answer = ok(cluster.post(0, "/logs-1/_close", Value::Null)).await;
    let expected = json!({"acknowledged": true, "shards_acknowledged": true, "indices": {"logs-1": {"closed": true}}});
    assert_eq!(answer, expected);
}

async fn count(cluster: &Cluster, path: &str) -> Value {
    ok(cluster.get(1, &format!("{path}/_count"))).await["count"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_is_neither_read_nor_written() {
    let cluster = Cluster::start(2).await;
    two_indices(&cluster).await;
    let pit = ok(cluster.post(0, "/logs-1/_pit?keep_alive=5m", json!({}))).await;
    let page = json!({"size": 1});
    let scroll = ok(cluster.post(0, "/logs-1/_search?scroll=5m", page)).await;
    close(&cluster).await;
    let again = ok(cluster.post(1, "/logs-1/_close", Value::Null)).await;
    let expected = json!({"acknowledged": true, "shards_acknowledged": false, "indices": {}});
    assert_eq!(again, expected);

    let write = json!({"n": 1});
    for (method, path, body) in [
        (Method::GET, "/logs-1/_search", json!({})),
        (Method::GET, "/old/_search", json!({})),
        (Method::GET, "/every/_search", json!({})),
        (
            Method::GET,
            "/logs-*/_search?expand_wildcards=closed",
            json!({}),
        ),
        (Method::GET, "/logs-1/_count", json!({})),
        (Method::POST, "/logs-1/_pit?keep_alive=1m", json!({})),
        (Method::GET, "/logs-1/_doc/1", Value::Null),
        (Method::GET, "/logs-1/_source/1", Value::Null),
        (Method::PUT, "/logs-1/_doc/1", write.clone()),
        (Method::PUT, "/old/_create/77", write.clone()),
        (Method::POST, "/logs-1/_update/1", json!({"doc": {"n": 2}})),
        (Method::DELETE, "/logs-1/_doc/1", Value::Null),
        (Method::POST, "/logs-1/_refresh", Value::Null),
        (Method::POST, "/logs-1/_flush", Value::Null),
        (Method::GET, "/logs-1/_stats", Value::Null),
    ] {
        for node in 0..2 {
            let (status, answer) = cluster.send(node, method.clone(), path, body.clone()).await;
            assert_eq!(status, 400, "{path}: {answer}");
            let error = &answer["error"];
            assert_eq!(error["type"], "index_closed_exception", "{path}: {answer}");
            let told = (&error["reason"], &error["index"]);
            assert_eq!(told, (&json!("closed"), &json!("logs-1")), "{path}");
        }
    }
    let lines = "{\"index\":{\"_index\":\"logs-1\"}}\n{}\n{\"index\":{\"_index\":\"logs-2\",\"_id\":\"3\"}}\n{}\n";
    let bulk = ok(cluster.post(1, "/_bulk?refresh=true", Value::String(lines.to_owned()))).await;
    assert_eq!(
        bulk["items"][0]["index"]["error"]["type"],
        "index_closed_exception"
    );
    assert_eq!(bulk["items"][1]["index"]["status"], 201);
    let docs =
        json!({"docs": [{"_index": "logs-1", "_id": "1"}, {"_index": "logs-2", "_id": "1"}]});
    let got = ok(cluster.post(0, "/_mget", docs)).await;
    assert_eq!(got["docs"][0]["error"]["type"], "index_closed_exception");
    assert_eq!(got["docs"][1]["found"], true);

    // What was open on it has ended.
    let page = json!({"scroll_id": scroll["_scroll_id"]});
    let (status, _) = cluster.post(0, "/_search/scroll", page).await;
    assert_eq!(status, 404);
    let (status, _) = cluster
        .post(0, "/_search", json!({"pit": {"id": pit["id"]}}))
        .await;
    assert_eq!(status, 404);

    // Wildcards, and whoever passes over what is not there, go on with the rest.
    for path in ["/logs-*", "/_all", "/logs-1,logs-2"] {
        let path = format!("{path}/_count?ignore_unavailable=true");
        assert_eq!(ok(cluster.get(0, &path)).await["count"], 3, "{path}");
    }
    assert_eq!(count(&cluster, "/logs-*").await, 3);
    assert_eq!(count(&cluster, "").await, 3);

    // What is about the index itself is answered.
    let rows = ok(cluster.get(
        0,
        "/_cat/indices/logs-*?format=json&h=index,status,docs.count&s=index",
    ))
    .await;
    let expected = json!([
        {"index": "logs-1", "status": "close", "docs.count": null},
        {"index": "logs-2", "status": "open", "docs.count": "3"},
    ]);
    assert_eq!(rows, expected);
    let rows = ok(cluster.get(
        0,
        "/_cat/indices?format=json&h=index&expand_wildcards=closed",
    ))
    .await;
    assert_eq!(rows, json!([{"index": "logs-1"}]));
    let found = ok(cluster.get(0, "/_resolve/index/logs-*?expand_wildcards=all")).await;
    assert_eq!(found["indices"][0]["attributes"], json!(["closed"]));
    let state = ok(cluster.get(0, "/_cluster/state/metadata,blocks/logs-1")).await;
    assert_eq!(state["metadata"]["indices"]["logs-1"]["state"], "close");
    assert_eq!(
        state["blocks"]["indices"]["logs-1"]["4"]["description"],
        "index closed"
    );
    let described = ok(cluster.get(0, "/logs-1")).await;
    assert!(described["logs-1"]["mappings"]["properties"]["n"].is_object());
    let described = ok(cluster.get(0, "/logs-*")).await;
    assert!(described.get("logs-1").is_none() && described.get("logs-2").is_some());
    let health = ok(cluster.get(0, "/_cluster/health/logs-*?level=indices")).await;
    assert_eq!(health["indices"]["logs-1"]["status"], "green", "{health}");

    let opened = ok(cluster.post(1, "/logs-1/_open", Value::Null)).await;
    assert_eq!(
        opened,
        json!({"acknowledged": true, "shards_acknowledged": true})
    );
    assert_eq!(count(&cluster, "/logs-1").await, 10);
    ok(cluster.put(0, "/logs-1/_doc/11?refresh=true", write)).await;
    assert_eq!(count(&cluster, "/every").await, 14);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_closed_takes_static_settings() {
    let cluster = Cluster::start(1).await;
    ok(cluster.put(0, "/a", json!({"settings": {"number_of_replicas": 0}}))).await;
    let codec = json!({"index": {"codec": "best_compression"}});
    let change = async |path: &str, body: &Value| cluster.put(0, path, body.clone()).await;
    let (status, answer) = change("/a/_settings", &codec).await;
    assert_eq!(status, 400);
    let reason = answer["error"]["reason"].as_str().unwrap();
    assert!(
        reason
            .starts_with("Can't update non dynamic settings [[index.codec]] for open indices [[a/"),
        "{reason}"
    );
    ok(change("/a/_settings?reopen=true", &codec)).await;
    let state = ok(cluster.get(0, "/_cluster/state/metadata/a")).await;
    assert_eq!(state["metadata"]["indices"]["a"]["state"], "open");

    ok(cluster.post(0, "/a/_close", Value::Null)).await;
    ok(change(
        "/a/_settings",
        &json!({"index": {"codec": "default"}}),
    ))
    .await;
    ok(change("/a/_settings?preserve_existing=true", &codec)).await;
    let settings = ok(cluster.get(0, "/a/_settings/index.codec")).await;
    assert_eq!(settings["a"]["settings"]["index"]["codec"], "default");
    let (status, answer) = change("/a/_settings", &json!({"number_of_shards": 3})).await;
    assert_eq!(status, 400);
    assert_eq!(
        answer["error"]["reason"],
        "final a setting [index.number_of_shards], not updateable"
    );
    // A wildcard closes and opens only where the cluster lets it.
    let (status, answer) = cluster.post(0, "/*/_open", Value::Null).await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (400, &json!("illegal_argument_exception"))
    );
    ok(cluster.delete(0, "/a")).await;
    cluster.stop().await;
}

/// As an open one, a closed index gets copies where they are missing, and survives restarts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_is_copied_and_kept() {
    let mut cluster = Cluster::start(2).await;
    let index = json!({"settings": {"number_of_replicas": 0}});
    ok(cluster.put(0, "/a", index)).await;
    for id in 0..5 {
        let path = format!("/a/_doc/{id}");
        ok(cluster.put(0, &path, json!({"n": id}))).await;
    }
    ok(cluster.post(0, "/a/_close", Value::Null)).await;
    ok(cluster.put(0, "/a/_settings", json!({"number_of_replicas": 1}))).await;
    cluster.wait_for_status(0, "green").await;
    for node in [1, 0] {
        cluster.restart_with(node, &[]).await;
        cluster.wait_for_nodes(2).await;
        cluster.wait_for_status(0, "green").await;
    }
    let (status, answer) = cluster.get(1, "/a/_search").await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (400, &json!("index_closed_exception"))
    );
    ok(cluster.post(0, "/a/_open", Value::Null)).await;
    assert_eq!(count(&cluster, "/a").await, 5);
    // Each copy alone has all of it.
    for preference in ["_only_nodes:node-0", "_only_nodes:node-1"] {
        let path = format!("/a/_search?preference={preference}&size=0");
        let found = ok(cluster.get(0, &path)).await;
        assert_eq!(found["hits"]["total"]["value"], 5, "{preference}");
    }
    cluster.stop().await;
}

/// Writes go on while the index is closed: each is either acknowledged and there, or refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_to_closing() {
    let cluster = Cluster::start(2).await;
    let settings = json!({"number_of_shards": 2, "number_of_replicas": 1});
    ok(cluster.put(0, "/a", json!({"settings": settings}))).await;
    cluster.wait_for_status(0, "green").await;
    let write = async |node: usize| {
        let mut acknowledged = BTreeSet::new();
        loop {
            let id = format!("{node}-{}", acknowledged.len());
            let path = format!("/a/_doc/{id}");
            match cluster.put(node, &path, json!({"node": node})).await {
                (201, _) => drop(acknowledged.insert(id)),
                (status, answer) => {
                    let kind = &answer["error"]["type"];
                    assert_eq!(
                        (status, kind),
                        (400, &json!("index_closed_exception")),
                        "{answer}"
                    );
                    return acknowledged;
                }
            }
        }
    };
    let closing = async {
        // Not before something has been written.
        while cluster.get(0, "/a/_doc/1-3").await.0 != 200 {}
        ok(cluster.post(0, "/a/_close", Value::Null)).await
    };
    let (first, second, _) = tokio::join!(write(0), write(1), closing);
    ok(cluster.post(0, "/a/_open", Value::Null)).await;
    ok(cluster.post(0, "/a/_refresh", Value::Null)).await;
    for id in first.union(&second) {
        for node in 0..2 {
            let path = format!("/a/_doc/{id}?preference=_only_nodes:node-{node}&realtime=false");
            let (status, answer) = cluster.get(0, &path).await;
            assert_eq!(status, 200, "{id} on node {node}: {answer}");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_put_on_by_name() {
    let cluster = Cluster::start(1).await;
    for name in ["a", "b"] {
        let path = format!("/{name}");
        ok(cluster.put(0, &path, json!({"settings": {"number_of_replicas": 0}}))).await;
    }
    let answer = ok(cluster.put(0, "/a/_block/write", Value::Null)).await;
    let expected = json!({"acknowledged": true, "shards_acknowledged": true, "indices": [{"name": "a", "blocked": true}]});
    assert_eq!(answer, expected);
    let (status, _) = cluster.put(0, "/a/_doc/1", json!({})).await;
    assert_eq!(status, 403);
    let answer = ok(cluster.put(0, "/*/_block/write", Value::Null)).await;
    assert_eq!(answer["indices"], json!([{"name": "b", "blocked": true}]));
    for (block, reason) in [
        ("foo", "No block found with name foo"),
        (
            "read_only_allow_delete",
            "Validation Failed: 1: read_only_allow_delete block is for internal use only;",
        ),
    ] {
        let (status, answer) = cluster
            .put(0, &format!("/a/_block/{block}"), Value::Null)
            .await;
        assert_eq!((status, &answer["error"]["reason"]), (400, &json!(reason)));
    }
    cluster.stop().await;
}
