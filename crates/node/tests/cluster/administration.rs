//! What is told of copies, disks and queries: recoveries, stores, explanations, checks of queries.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

async fn cluster_of(nodes: usize, replicas: u32) -> Cluster {
    let cluster = Cluster::start(nodes).await;
    let body = json!({
        "settings": {"number_of_shards": 1, "number_of_replicas": replicas},
        "mappings": {"properties": {"n": {"type": "integer"}, "t": {"type": "text"}}},
        "aliases": {"logs": {}},
    });
    let (status, answer) = cluster.put(0, "/log-1", body).await;
    assert_eq!(status, 200, "{answer}");
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recoveries_are_told_of_every_copy() {
    let cluster = cluster_of(2, 0).await;
    for n in 0..3 {
        let path = format!("/log-1/_doc/{n}?refresh=true");
        assert_eq!(cluster.put(0, &path, json!({"n": n})).await.0, 201);
    }
    let (status, told) = cluster.get(0, "/log-1/_recovery").await;
    assert_eq!(status, 200, "{told}");
    let copies = told["log-1"]["shards"].as_array().unwrap();
    assert_eq!(copies.len(), 1);
    let first = &copies[0];
    assert_eq!(
        [&first["type"], &first["stage"], &first["source"]],
        [&json!("EMPTY_STORE"), &json!("DONE"), &json!({})]
    );
    let settings = json!({"index.number_of_replicas": 1});
    assert_eq!(cluster.put(0, "/log-1/_settings", settings).await.0, 200);
    cluster.wait_for_status(0, "green").await;
    let (_, told) = cluster.get(0, "/_recovery?human=true&detailed=true").await;
    let copies = told["log-1"]["shards"].as_array().unwrap();
    let [primary, replica] = copies.as_slice() else {
        panic!("{told}");
    };
    assert_eq!([&primary["primary"], &replica["primary"]], [true, false]);
    assert_eq!([&replica["type"], &replica["stage"]], ["PEER", "DONE"]);
    assert_eq!(replica["source"], primary["target"], "{told}");
    let (files, operations) = (
        &replica["index"]["files"],
        &replica["translog"]["recovered"],
    );
    let copied = files["recovered"].as_u64().unwrap() + operations.as_u64().unwrap();
    assert!(copied > 0, "{replica}");
    assert_eq!(files["recovered"], files["total"]);
    assert!(replica["stop_time"].as_str().unwrap().ends_with('Z'));
    let (_, active) = cluster.get(0, "/_recovery?active_only=true").await;
    assert_eq!(active, json!({}));
    let (_, rows) = cluster.get(0, "/_cat/recovery?format=json&s=type").await;
    let types: Vec<&Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["type"])
        .collect();
    assert_eq!(types, ["empty_store", "peer"]);
    for (path, expected) in [
        ("/none/_recovery", 404),
        ("/none*/_recovery", 200),
        ("/_cat/recovery/none", 404),
    ] {
        assert_eq!(cluster.get(0, path).await.0, expected, "{path}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_and_explanations_tell_why_a_copy_is_on_no_node() {
    let cluster = cluster_of(1, 1).await;
    let (status, told) = cluster.get(0, "/_shard_stores").await;
    assert_eq!(status, 200, "{told}");
    let stores = told["indices"]["log-1"]["shards"]["0"]["stores"]
        .as_array()
        .unwrap();
    assert_eq!(stores.len(), 1, "{told}");
    assert_eq!(stores[0]["allocation"], "primary");
    let (_, state) = cluster.get(0, "/_cluster/state/routing_table/log-1").await;
    let copies = &state["routing_table"]["indices"]["log-1"]["shards"]["0"];
    let ids = copies
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| &copy["allocation_id"]["id"]);
    assert!(ids.into_iter().any(|id| *id == stores[0]["allocation_id"]));
    let (_, green) = cluster.get(0, "/log-1/_shard_stores?status=green").await;
    assert_eq!(green, json!({"indices": {}}));
    assert_eq!(cluster.get(0, "/_shard_stores?status=foo").await.0, 400);

    let explain = "/_cluster/allocation/explain";
    let (status, told) = cluster.get(0, explain).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        [
            &told["index"],
            &told["primary"],
            &told["current_state"],
            &told["can_allocate"]
        ],
        [
            &json!("log-1"),
            &json!(false),
            &json!("unassigned"),
            &json!("no")
        ],
        "{told}"
    );
    let deciders = &told["node_allocation_decisions"][0]["deciders"];
    assert_eq!(deciders[0]["decider"], "same_shard", "{told}");
    assert_eq!(deciders.as_array().unwrap().len(), 1, "{told}");
    let primary = json!({"index": "log-1", "shard": 0, "primary": true});
    let (_, told) = cluster.post(0, explain, primary).await;
    assert_eq!(
        [&told["current_state"], &told["can_remain_on_current_node"]],
        ["started", "yes"],
        "{told}"
    );
    let with_yes = format!("{explain}?include_yes_decisions=true");
    let (_, told) = cluster.get(0, &with_yes).await;
    let deciders = told["node_allocation_decisions"][0]["deciders"].as_array();
    assert!(deciders.unwrap().len() > 3, "{told}");
    for (body, expected) in [
        (json!({"index": "log-1", "shard": 7, "primary": true}), 404),
        (json!({"index": "none", "shard": 0, "primary": true}), 404),
        (json!({"index": "log-1", "shard": 0}), 400),
        (
            json!({"index": "log-1", "shard": 0, "primary": true, "foo": 1}),
            400,
        ),
        (
            json!({"index": "log-1", "shard": 0, "primary": false, "current_node": "x"}),
            400,
        ),
    ] {
        let (status, answer) = cluster.post(0, explain, body.clone()).await;
        assert_eq!(status, expected, "{body}: {answer}");
    }
    let settings = json!({"index.number_of_replicas": 0});
    assert_eq!(cluster.put(0, "/log-1/_settings", settings).await.0, 200);
    assert_eq!(
        cluster.get(0, explain).await.0,
        400,
        "nothing is unassigned"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_checked_against_the_mapping_that_the_caller_sees() {
    let cluster = cluster_of(1, 0).await;
    let check = async |path: &str, body: Value| {
        let (status, answer) = cluster.post(0, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    let path = "/log-1/_validate/query";
    let shards = json!({"total": 1, "successful": 1, "failed": 0});
    let fits = json!({"query": {"term": {"n": 1}}});
    assert_eq!(
        check(path, fits.clone()).await,
        json!({"_shards": shards, "valid": true})
    );
    let told = check("/logs/_validate/query?explain=true", fits).await;
    assert_eq!(
        told["explanations"],
        json!([{"index": "log-1", "valid": true, "explanation": "{\"term\":{\"n\":1}}"}])
    );
    let misfit = json!({"query": {"term": {"n": "foo"}}});
    assert_eq!(
        check(path, misfit.clone()).await,
        json!({"_shards": shards, "valid": false})
    );
    let told = check("/log-1/_validate/query?all_shards=true", misfit.clone()).await;
    let explanation = &told["explanations"][0];
    assert_eq!(
        [&explanation["shard"], &explanation["valid"]],
        [&json!(0), &json!(false)]
    );
    assert!(
        explanation["error"]
            .as_str()
            .unwrap()
            .starts_with("[log-1/"),
        "{told}"
    );
    for malformed in [
        json!({"query": {"nope": {}}}),
        json!({"query": {}}),
        json!({"query": {"match_all": {}}, "size": 1}),
    ] {
        let answer = check(path, malformed).await;
        assert_eq!(answer, json!({"valid": false}));
    }
    assert_eq!(cluster.post(0, path, json!({})).await.0, 400);
    let (_, answer) = cluster.get(0, "/log-1/_validate/query?q=n:1").await;
    assert_eq!(answer["valid"], true, "{answer}");
    assert_eq!(cluster.get(0, "/none/_validate/query").await.0, 404);

    // What a hidden field is, nobody learns from what does not fit it.
    let role = json!({"indices": [{
        "names": ["log-*"], "privileges": ["read", "view_index_metadata"],
        "field_security": {"grant": ["t"]},
    }]});
    assert_eq!(cluster.put(0, "/_security/role/half", role).await.0, 200);
    let user = json!({"password": "half-password", "roles": ["half"]});
    assert_eq!(cluster.put(0, "/_security/user/hal", user).await.0, 200);
    let login = Some(("hal", "half-password"));
    let answer = cluster.send_as(login, 0, Method::POST, path, misfit).await;
    assert_eq!(answer.json()["valid"], true, "{}", answer.json());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_none_of_is_told_so() {
    let cluster = cluster_of(1, 0).await;
    for (path, expected) in [
        ("/_cat/repositories?format=json", json!([])),
        ("/_cat/snapshots?format=json", json!([])),
        ("/_features", json!({"features": []})),
        (
            "/_migration/system_features",
            json!({"features": [], "migration_status": "NO_MIGRATION_NEEDED"}),
        ),
        ("/_resolve/cluster", json!({})),
        ("/_resolve/cluster/remote*:logs", json!({})),
    ] {
        let (status, answer) = cluster.get(0, path).await;
        assert_eq!((status, answer), (200, expected), "{path}");
    }
    let local = async |path: &str| cluster.get(0, path).await.1["(local)"].clone();
    for (path, matching) in [
        ("/_resolve/cluster/*", true),
        ("/_resolve/cluster/logs", true),
        ("/_resolve/cluster/none*", false),
    ] {
        assert_eq!(local(path).await["matching_indices"], matching, "{path}");
    }
    let missing = local("/_resolve/cluster/none").await;
    assert_eq!(missing["error"], "no such index [none]");
    for (path, expected) in [
        ("/_resolve/cluster/remote:logs", 404),
        ("/_resolve/cluster?ignore_unavailable=true", 400),
        ("/_cat/snapshots/somewhere", 404),
        ("/_snapshot", 400),
    ] {
        assert_eq!(cluster.get(0, path).await.0, expected, "{path}");
    }
    cluster.stop().await;
}
