//! Tables of what is told elsewhere, and of what waits.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

async fn table(cluster: &Cluster, path: &str) -> Value {
    let (status, rows) = cluster.get(0, path).await;
    assert_eq!(status, 200, "{path}: {rows}");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_tasks_and_pools_are_tables() {
    let cluster = Cluster::start(1).await;
    for (path, body) in [
        (
            "/_component_template/part",
            json!({"template": {
                "settings": {"number_of_shards": 1, "index": {"refresh_interval": "3s"}},
                "mappings": {"dynamic": false, "properties": {"a": {"type": "keyword"}, "b": {"type": "object"}}},
                "aliases": {"x": {}},
            }, "version": 3, "_meta": {"d": 1}}),
        ),
        ("/_component_template/other", json!({"template": {}})),
        (
            "/_index_template/new",
            json!({"index_patterns": ["z*", "y*"], "composed_of": ["part"], "priority": 5, "version": 7}),
        ),
        (
            "/_template/old",
            json!({"index_patterns": ["q*"], "order": -1}),
        ),
    ] {
        let (status, answer) = cluster.put(0, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    assert_eq!(
        table(&cluster, "/_cat/templates?format=json").await,
        json!([
            {"name": "old", "index_patterns": "[q*]", "order": "-1", "version": null, "composed_of": ""},
            {"name": "new", "index_patterns": "[z*, y*]", "order": "5", "version": "7", "composed_of": "[part]"},
        ])
    );
    assert_eq!(
        table(&cluster, "/_cat/templates/n*,none?format=json&h=name").await,
        json!([{"name": "new"}])
    );
    assert_eq!(
        table(&cluster, "/_cat/component_templates?format=json").await,
        json!([
            {"name": "other", "version": null, "alias_count": "0", "mapping_count": "0", "settings_count": "0",
             "metadata_count": "0", "included_in": "[]"},
            {"name": "part", "version": "3", "alias_count": "1", "mapping_count": "3", "settings_count": "2",
             "metadata_count": "1", "included_in": "[new]"},
        ])
    );

    let tasks = table(&cluster, "/_cat/tasks?format=json&detailed=true").await;
    let own = tasks.as_array().unwrap().iter();
    let mut own = own.filter(|task| task["action"] == "cluster:monitor/tasks/lists");
    let own = own.next().expect("the task that lists is listed");
    assert_eq!(
        (&own["parent_task_id"], &own["node"]),
        (&json!("-"), &json!("node-0"))
    );
    assert!(own["description"].is_string(), "{own}");
    let tasks = table(&cluster, "/_cat/tasks?format=json").await;
    assert!(tasks[0].get("description").is_none(), "{tasks}");

    let pools = table(&cluster, "/_cat/thread_pool?format=json").await;
    let (_, stats) = cluster.get(0, "/_nodes/stats/thread_pool").await;
    let nodes = stats["nodes"].as_object().unwrap();
    let told = nodes.values().next().unwrap()["thread_pool"].as_object();
    assert_eq!(pools.as_array().unwrap().len(), told.unwrap().len());
    let pools = table(&cluster, "/_cat/thread_pool/sea*?format=json&h=name").await;
    assert_eq!(pools, json!([{"name": "search"}]));
    for empty in [
        "/_cat/plugins",
        "/_cat/fielddata",
        "/_cat/fielddata/a,b",
        "/_cat/pending_tasks",
    ] {
        assert_eq!(
            table(&cluster, &format!("{empty}?format=json")).await,
            json!([])
        );
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_is_counted_over_its_nodes() {
    let cluster = Cluster::start(2).await;
    let (status, empty) = cluster.get(0, "/_cluster/stats").await;
    assert_eq!((status, &empty["indices"]["shards"]), (200, &json!({})));
    let mappings = json!({"properties": {"k": {"type": "keyword"}, "l": {"type": "keyword"}, "n": {"type": "long"}}});
    for (name, shards, replicas) in [("a", 2, 1), ("b", 1, 0)] {
        let settings = json!({"number_of_shards": shards, "number_of_replicas": replicas});
        let index = json!({"settings": settings, "mappings": mappings});
        let (status, answer) = cluster.put(0, &format!("/{name}"), index).await;
        assert_eq!(status, 200, "{answer}");
    }
    cluster.wait_for_status(0, "green").await;
    for id in 0..4 {
        cluster
            .put(0, &format!("/a/_doc/{id}?refresh=true"), json!({"k": "v"}))
            .await;
    }
    let (_, stats) = cluster.get(1, "/_cluster/stats").await;
    assert_eq!(
        stats["_nodes"],
        json!({"total": 2, "successful": 2, "failed": 0})
    );
    assert_eq!(stats["status"], "green");
    let indices = &stats["indices"];
    assert_eq!(indices["count"], 2);
    // Each document once, however many copies there are.
    assert_eq!(indices["docs"]["count"], 4);
    let expected = json!({
        "total": 5, "primaries": 3, "replication": 2.0 / 3.0,
        "index": {
            "shards": {"min": 1, "max": 4, "avg": 2.5}, "primaries": {"min": 1, "max": 2, "avg": 1.5},
            "replication": {"min": 0.0, "max": 1.0, "avg": 0.5},
        },
    });
    assert_eq!(indices["shards"], expected);
    let types = json!([
        {"name": "keyword", "count": 4, "index_count": 2, "script_count": 0},
        {"name": "long", "count": 2, "index_count": 2, "script_count": 0},
    ]);
    assert_eq!(indices["mappings"]["field_types"], types);
    assert!(indices["store"]["size_in_bytes"].as_u64() > Some(0));
    let count = &stats["nodes"]["count"];
    assert_eq!((&count["total"], &count["master"]), (&json!(2), &json!(2)));
    let (_, one) = cluster.get(0, "/_cluster/stats/nodes/node-1").await;
    assert_eq!(one["_nodes"]["total"], 1);
    cluster.stop().await;
}
