//! Merges, caches and segments.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

async fn segments(cluster: &Cluster) -> Vec<Value> {
    let (status, answer) = cluster.get(0, "/log-1/_segments").await;
    assert_eq!(status, 200, "{answer}");
    let copies = answer["indices"]["log-1"]["shards"]["0"].as_array();
    let mut segments = Vec::new();
    for copy in copies.unwrap() {
        let of_copy = copy["segments"].as_object().unwrap();
        assert_eq!(copy["num_search_segments"], of_copy.len(), "{copy}");
        segments.extend(of_copy.values().cloned());
    }
    segments
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_merged_and_listed_on_every_node() {
    let cluster = Cluster::start(2).await;
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 1}});
    let (status, answer) = cluster.put(0, "/log-1", settings).await;
    assert_eq!(status, 200, "{answer}");
    let green = "/_cluster/health/log-1?wait_for_status=green&timeout=60s";
    let (_, health) = cluster.get(0, green).await;
    assert_eq!(health["status"], "green", "{health}");
    for n in [1, 2, 3, 1] {
        let path = format!("/log-1/_doc/{n}?refresh=true");
        let (status, answer) = cluster.put(0, &path, json!({"n": n})).await;
        assert!(status < 300, "{answer}");
    }
    assert!(segments(&cluster).await.len() > 2);
    let merge = "/log-1/_forcemerge?max_num_segments=1";
    let (status, answer) = cluster.post(0, merge, Value::Null).await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"_shards": {"total": 2, "successful": 2, "failed": 0}})
        )
    );
    let merged = segments(&cluster).await;
    assert_eq!(merged.len(), 2, "one of each copy: {merged:?}");
    for segment in &merged {
        assert_eq!(
            (&segment["num_docs"], &segment["deleted_docs"]),
            (&json!(3), &json!(0))
        );
        assert!(segment["size_in_bytes"].as_u64().unwrap() > 0);
    }
    let (_, found) = cluster.get(0, "/log-1/_search").await;
    assert_eq!(found["hits"]["total"]["value"], 3, "{found}");

    let (status, rows) = cluster.get(0, "/_cat/segments/log-*?format=json").await;
    assert_eq!(status, 200, "{rows}");
    let shown = |row: &Value| {
        [
            &row["index"],
            &row["prirep"],
            &row["ip"],
            &row["docs.count"],
        ]
        .map(Value::to_string)
    };
    assert_eq!(
        rows.as_array()
            .unwrap()
            .iter()
            .map(shown)
            .collect::<Vec<_>>(),
        [r#""p""#, r#""r""#]
            .map(|copy| [r#""log-1""#, copy, r#""127.0.0.1""#, r#""3""#].map(str::to_owned))
    );
    for (path, wanted) in [
        ("/log-1/_cache/clear", 200),
        (
            "/_cache/clear?query=true&fielddata=true&request=true&fields=n",
            200,
        ),
        (
            "/log-1/_forcemerge?only_expunge_deletes=true&flush=false",
            200,
        ),
        (
            "/log-1/_forcemerge?only_expunge_deletes=true&max_num_segments=1",
            400,
        ),
        ("/log-1/_forcemerge?max_num_segments=x", 400),
        ("/log-1/_forcemerge?flush=x", 400),
        // As in Elasticsearch, no number of segments leaves it to the node.
        ("/log-1/_forcemerge?max_num_segments=0", 200),
        ("/none/_forcemerge", 404),
        ("/none/_cache/clear", 404),
    ] {
        let (status, answer) = cluster.post(0, path, Value::Null).await;
        assert_eq!(status, wanted, "{path}: {answer}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_nobody_waits_for_is_a_task_whose_result_is_kept() {
    let cluster = Cluster::start(1).await;
    let settings = json!({"settings": {"number_of_replicas": 0}});
    assert_eq!(cluster.put(0, "/log-1", settings).await.0, 200);
    for n in [1, 2] {
        let path = format!("/log-1/_doc/{n}?refresh=true");
        assert_eq!(cluster.put(0, &path, json!({"n": n})).await.0, 201);
    }
    assert_eq!(segments(&cluster).await.len(), 2);
    let merge = "/log-1/_forcemerge?max_num_segments=1&wait_for_completion=false";
    let (status, started) = cluster.post(0, merge, Value::Null).await;
    assert_eq!(status, 200, "{started}");
    let path = format!(
        "/_tasks/{}?wait_for_completion=true",
        started["task"].as_str().unwrap()
    );
    let (status, task) = cluster.get(0, &path).await;
    assert_eq!(
        (status, &task["completed"], &task["response"]),
        (
            200,
            &json!(true),
            &json!({"_shards": {"total": 1, "successful": 1, "failed": 0}})
        ),
        "{task}"
    );
    assert_eq!(
        task["task"]["description"],
        "Force-merge indices [log-1], maxSegments[1], onlyExpungeDeletes[false], flush[true]"
    );
    assert_eq!(segments(&cluster).await.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_and_blocked_indices_are_refused_and_so_is_who_lacks_the_right() {
    let cluster = Cluster::start(1).await;
    let settings = json!({"settings": {"number_of_replicas": 0}});
    assert_eq!(cluster.put(0, "/log-1", settings).await.0, 200);
    let answers = async || {
        let mut statuses = Vec::new();
        for path in ["/log-1/_forcemerge", "/log-1/_cache/clear"] {
            statuses.push(cluster.post(0, path, Value::Null).await.0);
        }
        for path in ["/log-1/_segments", "/_cat/segments/log-1"] {
            statuses.push(cluster.get(0, path).await.0);
        }
        statuses
    };
    assert_eq!(answers().await, [200; 4]);
    for (block, expected) in [
        ("write", [200, 200, 200, 200]),
        ("read_only", [403, 403, 200, 200]),
        ("metadata", [403, 403, 403, 403]),
    ] {
        let key = format!("index.blocks.{block}");
        let (status, _) = cluster
            .put(0, "/log-1/_settings", json!({ &key: true }))
            .await;
        assert_eq!(status, 200);
        assert_eq!(answers().await, expected, "{block}");
        let (status, _) = cluster
            .put(0, "/log-1/_settings", json!({ &key: false }))
            .await;
        assert_eq!(status, 200);
    }
    assert_eq!(cluster.post(0, "/log-1/_close", Value::Null).await.0, 200);
    assert_eq!(answers().await, [400; 4]);
    let lenient = "/log-1/_segments?ignore_unavailable=true";
    assert_eq!(cluster.get(0, lenient).await.1["_shards"]["total"], 0);
    assert_eq!(cluster.post(0, "/log-1/_open", Value::Null).await.0, 200);

    let role = json!({"indices": [{"names": ["log-*"], "privileges": ["monitor"]}]});
    assert_eq!(cluster.put(0, "/_security/role/watcher", role).await.0, 200);
    let user = json!({"password": "watcher-password", "roles": ["watcher"]});
    assert_eq!(cluster.put(0, "/_security/user/ward", user).await.0, 200);
    let login = Some(("ward", "watcher-password"));
    for (method, path, expected) in [
        (Method::GET, "/log-1/_segments", 200),
        (Method::GET, "/other/_segments", 403),
        (Method::POST, "/log-1/_forcemerge", 403),
        (Method::POST, "/log-1/_cache/clear", 403),
    ] {
        let answer = cluster
            .send_as(login, 0, method.clone(), path, Value::Null)
            .await;
        assert_eq!(answer.status, expected, "{method} {path}");
    }
    cluster.stop().await;
}
