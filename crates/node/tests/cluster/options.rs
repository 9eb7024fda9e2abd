//! Parameters and settings that are accepted are in force.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preference_chooses_shards_and_copies() {
    let cluster = Cluster::start(2).await;
    let settings = json!({"number_of_shards": 2, "number_of_replicas": 0});
    let (status, body) = cluster.put(0, "/i", json!({"settings": settings})).await;
    assert_eq!(status, 200, "{body}");
    for n in 0..20 {
        cluster
            .put(0, &format!("/i/_doc/{n}?refresh=true"), json!({"n": n}))
            .await;
    }
    cluster.wait_for_status(0, "green").await;
    let total = async |preference: &str| {
        let path = format!("/i/_search?preference={preference}");
        let (status, found) = cluster.get(0, &path).await;
        assert_eq!(status, 200, "{preference}: {found}");
        let shards = found["_shards"]["total"].as_u64().unwrap();
        (shards, found["hits"]["total"]["value"].as_u64().unwrap())
    };
    let (first, second) = (total("_shards:0").await, total("_shards:1").await);
    assert_eq!((first.0, second.0), (1, 1));
    assert_eq!(first.1 + second.1, 20);
    assert!(first.1 > 0 && second.1 > 0);
    assert_eq!(total("_shards:0,1|_local").await, (2, 20));
    assert_eq!(total("_shards:7").await, (0, 0));
    assert_eq!(total("whoever").await, (2, 20));
    assert_eq!(total("_prefer_nodes:nobody").await, (2, 20));

    // Each node has one of the shards.
    let (_, table) = cluster
        .get(0, "/_cat/shards/i?format=json&h=shard,node,id")
        .await;
    for row in table.as_array().unwrap() {
        let shard = row["shard"].as_str().unwrap();
        for name in [&row["node"], &row["id"]] {
            let name = name.as_str().unwrap();
            assert_eq!(
                total(&format!("_shards:{shard}|_only_nodes:{name}"))
                    .await
                    .0,
                1
            );
        }
    }
    let node = table[0]["node"].as_str().unwrap();
    let path = format!("/i/_search?preference=_only_nodes:{node}");
    let (_, found) = cluster.get(0, &path).await;
    assert_eq!(found["_shards"]["failed"], 1, "{found}");
    for path in [
        "/i/_search?preference=_foo",
        "/i/_count?preference=_shards:x",
        "/i/_doc/1?preference=_foo",
        "/i/_mget?preference=_foo",
    ] {
        let (status, body) = cluster.post(0, path, json!({})).await;
        let (status, body) = match status {
            405 => cluster.get(0, path).await,
            _ if path.contains("_mget") => cluster.post(0, path, json!({"ids": ["1"]})).await,
            _ => (status, body),
        };
        assert_eq!(status, 400, "{path}: {body}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_in_force_or_refused() {
    let cluster = Cluster::start(1).await;
    let settings = json!({"number_of_shards": 1, "number_of_replicas": 0});
    cluster.put(0, "/i", json!({"settings": settings})).await;
    for n in 0..5 {
        let path = format!("/i/_doc/{n}?refresh=true");
        cluster.put(0, &path, json!({"t": "word", "n": n})).await;
    }
    for (path, words) in [
        ("/i/_search?df=t", "[q]"),
        (
            "/i/_search?search_type=dfs_query_then_fetch",
            "dfs_query_then_fetch",
        ),
        ("/i/_search?search_type=scan", "No search type for [scan]"),
        ("/i/_search?request_cache=maybe", "maybe"),
        (
            "/i/_search?batched_reduce_size=1",
            "batchedReduceSize must be >= 2",
        ),
        ("/i/_search?format=xml", "[format]"),
        ("/i/_search?source={}", "source_content_type"),
        (
            "/i/_flush?force=true&wait_if_ongoing=false",
            "wait_if_ongoing",
        ),
        ("/i/_stats?level=foo", "level"),
        ("/i?features=foo", "[foo]"),
        (
            "/i/_mapping?include_defaults=true",
            "unrecognized parameter",
        ),
        ("/_nodes/stats?level=foo", "level"),
        ("/_cat/indices?health=foo", "[foo]"),
        ("/_cat/indices?time=foo", "[time]"),
        ("/_cluster/health?wait_for_events=foo", "wait_for_events"),
        ("/_xpack?categories=foo", "[foo]"),
        ("/_cat/indices?help&health=green", "unrecognized parameter"),
    ] {
        let (status, body) = cluster.get(0, path).await;
        let reason = body["error"]["reason"].as_str().unwrap_or_default();
        assert!(
            status == 400 && reason.contains(words),
            "{path}: {status} {body}"
        );
    }
    for path in ["/i/_refresh", "/_tasks/_cancel"] {
        let (status, body) = cluster.post(0, path, json!({})).await;
        let reason = body["error"]["reason"].as_str().unwrap_or_default();
        let expected = format!("request [POST {path}] does not support having a body");
        assert_eq!((status, reason), (400, expected.as_str()));
    }
    let get = async |path: &str| {
        let (status, body) = cluster.get(0, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let stats = get("/i/_stats?level=shards&human=true").await;
    let copy = &stats["indices"]["i"]["shards"]["0"][0];
    assert_eq!(copy["routing"]["primary"], true, "{stats}");
    assert!(copy["store"]["size"].is_string(), "{stats}");
    assert!(
        get("/i/_stats?level=cluster")
            .await
            .get("indices")
            .is_none()
    );
    let health = get("/_cluster/health/i?level=shards").await;
    assert_eq!(
        health["indices"]["i"]["shards"]["0"]["primary_active"],
        true
    );
    assert_eq!(
        get("/i?features=settings").await["i"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
    let shown = get("/i/_settings/index.max_*?include_defaults=true&flat_settings=true").await;
    assert_eq!(
        shown["i"]["defaults"]["index.max_result_window"], "10000",
        "{shown}"
    );
    let state = get("/_cluster/state/metadata/i?flat_settings=true").await;
    let settings = &state["metadata"]["indices"]["i"]["settings"];
    assert_eq!(settings["index.number_of_shards"], "1");
    let (status, _) = cluster
        .get(0, "/_cluster/state/metadata/x?ignore_unavailable=false")
        .await;
    assert_eq!(status, 404);
    assert_eq!(get("/i/_count?terminate_after=2").await["count"], 2);
    assert_eq!(
        get("/i/_count?terminate_after=2").await["terminated_early"],
        true
    );
    assert_eq!(
        get("/i/_count?terminate_after=5").await["terminated_early"],
        false
    );
    assert_eq!(get("/i/_count?q=t:word&min_score=9").await["count"], 0);
    assert_eq!(get("/i/_count?q=t:word").await["count"], 5);
    let xpack = get("/_xpack?categories=license").await;
    assert!(xpack.get("features").is_none() && xpack.get("license").is_some());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_an_index_are_in_force() {
    let cluster = Cluster::start(1).await;
    let create = async |name: &str, settings: Value, mappings: Value| {
        let body = json!({"settings": settings, "mappings": mappings});
        cluster.put(0, name, body).await
    };
    let settings = json!({"number_of_replicas": 1, "write.wait_for_active_shards": "all"});
    let (status, body) = create("/w?wait_for_active_shards=1", settings, json!({})).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = cluster.put(0, "/w/_doc/1?timeout=10ms", json!({})).await;
    assert_eq!(status, 503, "{body}");
    let path = "/w/_doc/1?timeout=1m&wait_for_active_shards=1";
    assert_eq!(cluster.put(0, path, json!({})).await.0, 201);
    let (status, _) = create(
        "/x",
        json!({"write.wait_for_active_shards": "few"}),
        json!({}),
    )
    .await;
    assert_eq!(status, 400);

    let mappings = json!({"properties": {
        "n": {"type": "long"}, "strict": {"type": "long", "ignore_malformed": false},
    }});
    let settings = json!({"mapping.ignore_malformed": true, "number_of_replicas": 0});
    let (status, body) = create("/m", settings, mappings).await;
    assert_eq!(status, 200, "{body}");
    let document = json!({"n": "many", "new": 1});
    assert_eq!(cluster.put(0, "/m/_doc/1", document).await.0, 201);
    assert_eq!(
        cluster.put(0, "/m/_doc/2", json!({"new": "few"})).await.0,
        201
    );
    assert_eq!(
        cluster
            .put(0, "/m/_doc/3", json!({"strict": "few"}))
            .await
            .0,
        400
    );
    let changed = json!({"index.mapping.ignore_malformed": false});
    assert_eq!(cluster.put(0, "/m/_settings", changed).await.0, 400);

    let settings = json!({"mapping.depth.limit": 2, "number_of_replicas": 0});
    let deep = json!({"properties": {"a": {"properties": {"b": {"properties": {"c": {"type": "long"}}}}}}});
    assert_eq!(create("/d", settings.clone(), deep).await.0, 400);
    assert_eq!(create("/d", settings, json!({})).await.0, 200);
    assert_eq!(
        cluster.put(0, "/d/_doc/1", json!({"a": {"b": 1}})).await.0,
        201
    );
    assert_eq!(
        cluster
            .put(0, "/d/_doc/1", json!({"a": {"c": {"d": 1}}}))
            .await
            .0,
        400
    );
    cluster.stop().await;
}
