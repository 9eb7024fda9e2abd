//! Full and failed disks, blocks, and files that nobody needs any more.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ringwall_testkit::{Cluster, WITHIN};
use serde_json::{Value, json};

const WATERMARK: &str = "cluster.routing.allocation.disk.watermark";
const FLOODED: &str = "index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
                       read-only-allow-delete block];";

/// Asks again and again until the answer is as wanted.
async fn until(cluster: &Cluster, path: &str, is_wanted: impl Fn(u16, &Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + WITHIN;
    loop {
        let (status, answer) = cluster.get(0, path).await;
        if is_wanted(status, &answer) {
            return answer;
        }
        let now = tokio::time::Instant::now();
        assert!(now < deadline, "{path}: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn watermarks(value: Value) -> Value {
    let marks =
        ["low", "high", "flood_stage"].map(|name| (format!("{WATERMARK}.{name}"), value.clone()));
    json!({"persistent": Value::Object(marks.into_iter().collect())})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_above_the_flood_stage_refuses_writes_and_nothing_else() {
    let enabled = "cluster.routing.allocation.disk.threshold_enabled";
    // Any disk has room enough, whatever else is on it.
    let mut settings = vec![(enabled, "true")];
    let marks = ["low", "high", "flood_stage"].map(|name| format!("{WATERMARK}.{name}"));
    settings.extend(marks.iter().map(|key| (key.as_str(), "1b")));
    let cluster = Cluster::start_with(1, &settings).await;
    let no_replicas = json!({"settings": {"number_of_replicas": 0}});
    assert_eq!(cluster.put(0, "/a", no_replicas.clone()).await.0, 200);
    let written = cluster
        .put(0, "/a/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    assert_eq!(written.0, 201, "{written:?}");
    // No disk has so much room.
    let (status, answer) = cluster
        .put(0, "/_cluster/settings", watermarks(json!("500pb")))
        .await;
    assert_eq!(status, 200, "{answer}");
    // The node itself needs nobody to tell it.
    let (status, answer) = cluster.put(0, "/a/_doc/2", json!({"n": 1})).await;
    assert_eq!((status, &answer["error"]["reason"]), (429, &json!(FLOODED)));
    assert_eq!(answer["error"]["type"], "cluster_block_exception");
    until(&cluster, "/a/_settings", |_, answer| {
        answer["a"]["settings"]["index"]["blocks"]["read_only_allow_delete"] == "true"
    })
    .await;
    let lines = "{\"index\":{\"_index\":\"a\"}}\n{\"n\":1}\n";
    let (status, answer) = cluster.post(0, "/_bulk", Value::String(lines.into())).await;
    let item = &answer["items"][0]["index"];
    assert_eq!((status, &item["status"]), (200, &json!(429)), "{answer}");
    assert_eq!(item["error"]["reason"], FLOODED);
    assert_eq!(cluster.get(0, "/a/_count").await.1["count"], 1);
    assert_eq!(cluster.get(0, "/a/_doc/1").await.0, 200);
    let (_, health) = cluster.get(0, "/_health_report/disk").await;
    let disk = &health["indicators"]["disk"];
    assert_eq!(disk["status"], "red", "{health}");
    assert_eq!(
        disk["details"]["indices_with_readonly_block"], 1,
        "{health}"
    );
    // Nothing is put on that disk any more.
    let made = cluster
        .put(0, "/b?wait_for_active_shards=0", no_replicas)
        .await;
    assert_eq!(made.0, 200, "{made:?}");
    let (_, shards) = cluster.get(0, "/_cat/shards/b?format=json").await;
    assert_eq!(shards[0]["state"], "UNASSIGNED");
    // Room for all at once.
    let (status, answer) = cluster
        .put(0, "/_cluster/settings", watermarks(Value::Null))
        .await;
    assert_eq!(status, 200, "{answer}");
    cluster.wait_for_status(0, "green").await;
    until(&cluster, "/a/_settings", |_, answer| {
        answer["a"]["settings"]["index"]["blocks"].is_null()
    })
    .await;
    let (status, answer) = cluster.put(0, "/a/_doc/2", json!({"n": 1})).await;
    assert_eq!(status, 201, "{answer}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_are_in_force_and_can_be_taken_off() {
    let cluster = Cluster::start(1).await;
    let no_replicas = json!({"settings": {"number_of_replicas": 0}});
    assert_eq!(cluster.put(0, "/a", no_replicas).await.0, 200);
    let block = |value: Value| json!({"persistent": {"cluster.blocks.read_only": value}});
    let (status, answer) = cluster
        .put(0, "/_cluster/settings", block(json!(true)))
        .await;
    assert_eq!(status, 200, "{answer}");
    let text = "FORBIDDEN/6/cluster read-only (api)";
    let user = json!({"password": "long enough", "roles": []});
    let refused = [
        ("PUT", "/a/_doc/1", json!({"n": 1})),
        ("PUT", "/b", json!({})),
        (
            "PUT",
            "/a/_mapping",
            json!({"properties": {"x": {"type": "long"}}}),
        ),
        (
            "PUT",
            "/a/_settings",
            json!({"index.refresh_interval": "2s"}),
        ),
        (
            "PUT",
            "/_cluster/settings",
            json!({"persistent": {"search.max_buckets": 5}}),
        ),
        ("PUT", "/_security/user/joe", user),
        ("POST", "/_security/api_key", json!({"name": "k"})),
        ("DELETE", "/a", Value::Null),
    ];
    for (method, path, body) in refused {
        let (status, answer) = match method {
            "PUT" => cluster.put(0, path, body).await,
            "POST" => cluster.post(0, path, body).await,
            _ => cluster.delete(0, path).await,
        };
        let reason = answer["error"]["reason"].as_str().unwrap_or_default();
        assert!(
            status == 403 && reason.contains(text),
            "{path}: {status} {answer}"
        );
    }
    assert_eq!(cluster.get(0, "/a/_search").await.0, 200);
    let (_, state) = cluster.get(0, "/_cluster/state/blocks").await;
    assert_eq!(
        state["blocks"]["global"]["6"]["description"],
        "cluster read-only (api)"
    );
    let (status, answer) = cluster
        .put(0, "/_cluster/settings", block(Value::Null))
        .await;
    assert_eq!(status, 200, "{answer}");
    // Of one index, and what would have no effect is refused.
    for (key, path, status) in [("write", "/a/_doc/1", 403), ("read", "/a/_doc/1", 201)] {
        let block = json!({format!("index.blocks.{key}"): true});
        assert_eq!(cluster.put(0, "/a/_settings", block).await.0, 200);
        assert_eq!(
            cluster.put(0, path, json!({"n": 1})).await.0,
            status,
            "{key}"
        );
        let is_read = cluster.get(0, "/a/_doc/1").await.0 != 403;
        assert_eq!(is_read, key != "read");
        let (_, found) = cluster.post(0, "/a/_mget", json!({"ids": ["1"]})).await;
        assert_eq!(
            found["docs"][0]["error"].is_null(),
            key != "read",
            "{found}"
        );
        let block = json!({format!("index.blocks.{key}"): null});
        assert_eq!(cluster.put(0, "/a/_settings", block).await.0, 200);
    }
    for (key, value, expected) in [
        (
            "cluster.routing.allocation.awareness.attributes",
            "rack",
            "not supported",
        ),
        (
            "cluster.routing.rebalance.enable",
            "all",
            "must be one of [none]",
        ),
        (
            "cluster.routing.allocation.exclude._ip",
            "300.1",
            "invalid IP address [300.1]",
        ),
        (
            &format!("{WATERMARK}.low"),
            "95%",
            "low disk watermark [95%] more than high",
        ),
    ] {
        let body = json!({"transient": {key: value}});
        let (status, answer) = cluster.put(0, "/_cluster/settings", body).await;
        let reason = answer["error"]["reason"].as_str().unwrap_or_default();
        assert!(
            status == 400 && reason.contains(expected),
            "{key}: {answer}"
        );
    }
    cluster.stop().await;
}

/// Also what a deletion left behind while the node runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_no_index_are_deleted() {
    let cluster = Cluster::start(1).await;
    let indices = cluster.config(0).parent().unwrap().join("data/indices");
    let no_replicas = json!({"settings": {"number_of_replicas": 0}});
    for name in ["a", "b"] {
        assert_eq!(
            cluster
                .put(0, &format!("/{name}"), no_replicas.clone())
                .await
                .0,
            200
        );
    }
    // What was there before is not this cluster's to delete.
    assert!(indices.join("_cluster_uuid").exists());
    let left_over = indices.join("left-over/0");
    std::fs::create_dir_all(&left_over).unwrap();
    std::fs::write(left_over.join("segment"), "x").unwrap();
    assert_eq!(cluster.delete(0, "/a").await.0, 200);
    let deadline = tokio::time::Instant::now() + WITHIN;
    let count = || {
        let entries = std::fs::read_dir(&indices).unwrap().map(Result::unwrap);
        entries.filter(|entry| entry.path().is_dir()).count()
    };
    while count() != 1 {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cluster.put(0, "/b/_doc/1", json!({"n": 1})).await.0, 201);
    cluster.stop().await;
}

/// How a disk is broken: what is written to see that it answers cannot be written, or the write does not come back.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Refuses,
    Hangs,
}

impl Broken {
    fn begin(self, probe: &Path) {
        // The node may be about to make the file.
        loop {
            let _ = std::fs::remove_file(probe);
            let made = match self {
                Self::Refuses => std::fs::create_dir(probe).is_ok(),
                // Opened for writing, it waits for a reader.
                Self::Hangs => Command::new("mkfifo")
                    .arg(probe)
                    .status()
                    .unwrap()
                    .success(),
            };
            if made {
                return;
            }
        }
    }

    fn end(self, probe: &Path) {
        match self {
            Self::Refuses => std::fs::remove_dir(probe).unwrap(),
            Self::Hangs => {
                let reader = std::fs::File::open(probe).unwrap();
                std::fs::remove_file(probe).unwrap();
                drop(reader);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_fails_leaves_until_it_answers() {
    let settings = [
        ("monitor.fs.health.refresh_interval", "50ms"),
        ("monitor.fs.health.healthy_timeout_threshold", "5s"),
    ];
    let cluster = Cluster::start_with(3, &settings).await;
    let node = |number: usize| &cluster.nodes[number].as_ref().unwrap().node;
    for (broken, of_master) in [(Broken::Refuses, false), (Broken::Hangs, true)] {
        let master = node(0).cluster().master().unwrap();
        let is_meant = |number: &usize| (node(*number).local().id == master) == of_master;
        let victim = (0..3).find(is_meant).unwrap();
        let id = node(victim).local().id;
        let probe = cluster
            .config(victim)
            .parent()
            .unwrap()
            .join("data/.health");
        broken.begin(&probe);
        for other in (0..3).filter(|number| *number != victim) {
            let left = |state: &ringwall_cluster::ClusterState| !state.nodes.contains_key(&id);
            assert!(node(other).wait_until(WITHIN, left).await);
        }
        assert_ne!(node(victim).cluster().master(), Some(id));
        broken.end(&probe);
        cluster.wait_for_nodes(3).await;
    }
    cluster.stop().await;
}
