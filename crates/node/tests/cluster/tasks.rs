//! Searches that take long: listed on every node, cancelled, given up by their clients, out of time.

use ringwall_testkit::{Cluster, Method, WITHIN};
use serde_json::{Value, json};

/// An index with a shard on each of two nodes, of words that expressions have to be tried on.
async fn slow_index(cluster: &Cluster) {
    let index = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 0},
        "mappings": {"properties": {"k": {"type": "keyword"}}}});
    let (status, answer) = cluster.put(0, "/slow", index).await;
    assert_eq!(status, 200, "{answer}");
    let lines: String = (0..8_000)
        .map(|n: u64| {
            let word = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            format!("{{\"index\":{{}}}}\n{{\"k\":\"{word:x}\"}}\n")
        })
        .collect();
    let path = "/slow/_bulk?refresh=true";
    let (status, answer) = cluster.post(0, path, Value::String(lines)).await;
    assert_eq!((status, &answer["errors"]), (200, &json!(false)));
}

/// Hours of work, which a search may ask for.
fn slow_query() -> Value {
    let clause = |i: u32| json!({"regexp": {"k": format!(".*{:x}.*{:x}?.*[0-9a-f]{{2,5}}.*", i % 16, i / 16 % 16)}});
    json!({"size": 0, "query": {"bool": {"should": (0..1_000).map(clause).collect::<Vec<_>>()}}})
}

/// Sends a request on a connection of its own, which it keeps busy.
async fn slowly(cluster: &Cluster, path: &str, body: Value) -> (u16, Value) {
    let login = Some(("elastic", ringwall_testkit::PASSWORD));
    let answer = cluster.send_as(login, 0, Method::POST, path, body).await;
    (answer.status.as_u16(), answer.json())
}

const SEARCHES: &str = "/_tasks?actions=indices:data/read/search*";

/// Waits until a search runs on both nodes. Returns its task, with its parts.
async fn running(cluster: &Cluster) -> Value {
    let deadline = std::time::Instant::now() + WITHIN;
    loop {
        let path = format!("{SEARCHES}&group_by=parents&detailed");
        let (status, answer) = cluster.get(1, &path).await;
        assert_eq!(status, 200, "{answer}");
        let tasks = answer["tasks"].as_object().unwrap();
        let both = tasks.values().find(|task| {
            let parts = task["children"].as_array();
            let nodes = parts.map(|parts| parts.iter().map(|part| part["node"].as_str()));
            nodes.is_some_and(|mut nodes| {
                let first = nodes.next();
                nodes.any(|node| Some(node) != first)
            })
        });
        if let Some(task) = both {
            return task.clone();
        }
        assert!(std::time::Instant::now() < deadline, "{answer}");
    }
}

/// Waits until no search runs on any node.
async fn nothing_runs(cluster: &Cluster) {
    let path = format!("{SEARCHES}&wait_for_completion=true&timeout=60s");
    cluster.get(0, &path).await;
    let (status, answer) = cluster.get(0, SEARCHES).await;
    assert_eq!((status, answer), (200, json!({"nodes": {}})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_listed_and_ends_on_every_node_when_cancelled_or_left() {
    let cluster = Cluster::start(2).await;
    slow_index(&cluster).await;

    let cancelling = async {
        let task = running(&cluster).await;
        let id = format!("{}:{}", task["node"].as_str().unwrap(), task["id"]);
        let description = task["description"].as_str().unwrap();
        assert!(description.starts_with("indices[slow], search_type[QUERY_THEN_FETCH], source[{"));
        let part = &task["children"][0];
        assert_eq!(part["action"], "indices:data/read/search[phase/query]");
        assert_eq!(part["parent_task_id"], id.as_str());
        assert_eq!(part["cancelled"], false);
        let description = part["description"].as_str().unwrap();
        assert!(description.starts_with("shardId[[slow]["), "{description}");
        let (status, one) = cluster.get(1, &format!("/_tasks/{id}")).await;
        assert_eq!((status, &one["completed"]), (200, &json!(false)));
        assert_eq!(one["task"]["action"], "indices:data/read/search");
        let (_, parts) = cluster
            .get(0, &format!("/_tasks?parent_task_id={id}&group_by=none"))
            .await;
        assert_eq!(parts["tasks"].as_array().unwrap().len(), 2, "{parts}");

        let path = format!("/_tasks/{id}/_cancel?wait_for_completion=true&timeout=60s");
        let (status, answer) = cluster.post(1, &path, Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        let node = &answer["nodes"][task["node"].as_str().unwrap()];
        assert_eq!(node["tasks"][&id]["cancelled"], true, "{answer}");
    };
    let (found, ()) = tokio::join!(slowly(&cluster, "/slow/_search", slow_query()), cancelling);
    assert_eq!(
        (found.0, &found.1["error"]["type"]),
        (400, &json!("task_cancelled_exception"))
    );
    assert_eq!(
        found.1["error"]["reason"],
        "task cancelled [by user request]"
    );
    nothing_runs(&cluster).await;

    // All of a kind at once, here while it counts.
    let cancelling = async {
        running(&cluster).await;
        let path = "/_tasks/_cancel?actions=*search*";
        assert_eq!(cluster.post(0, path, Value::Null).await.0, 200);
    };
    let mut count = slow_query();
    count.as_object_mut().unwrap().remove("size");
    let (found, ()) = tokio::join!(slowly(&cluster, "/slow/_count", count), cancelling);
    assert_eq!(found.0, 400, "{}", found.1);
    nothing_runs(&cluster).await;

    // A client that hangs up is no longer searched for, on any node.
    tokio::select! {
        found = slowly(&cluster, "/slow/_search", slow_query()) => panic!("the search ended: {found:?}"),
        _ = running(&cluster) => {}
    }
    nothing_runs(&cluster).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_shard_has_opened_ends_with_a_search_that_is_given_up_while_others_go_on() {
    let cluster = Cluster::start(1).await;
    slow_index(&cluster).await;
    let (status, _) = cluster
        .put(0, "/fast/_doc/1?refresh=true", json!({"k": "x"}))
        .await;
    assert_eq!(status, 201);
    let open = async || {
        let (_, stats) = cluster.get(0, "/_nodes/stats/indices").await;
        let nodes = stats["nodes"].as_object().unwrap();
        let node = nodes.values().next().unwrap();
        node["indices"]["search"]["open_contexts"].as_u64().unwrap()
    };
    let becomes = async |wanted: u64| {
        let reached = async {
            while open().await != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, reached).await.unwrap();
    };
    // One message for the shards of both; that of [fast] is done at once.
    let path = "/slow,fast/_search?scroll=1h";
    let mut query = slow_query();
    query["size"] = json!(1);
    tokio::select! {
        found = slowly(&cluster, path, query) => panic!("the search ended: {found:?}"),
        () = becomes(1) => {}
    }
    nothing_runs(&cluster).await;
    becomes(0).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_out_of_time_answers_with_what_it_has() {
    let cluster = Cluster::start_with(1, &[("indices.query.bool.max_nested_depth", "3")]).await;
    slow_index(&cluster).await;
    let search = |path: &'static str| cluster.post(0, path, slow_query());
    let partial = |(status, answer): (u16, Value)| {
        assert_eq!(
            (status, &answer["timed_out"]),
            (200, &json!(true)),
            "{answer}"
        );
        assert_eq!(answer["_shards"]["failed"], 0, "{answer}");
    };
    let refused = |(status, answer): (u16, Value)| {
        assert_eq!(status, 504, "{answer}");
        let cause = &answer["error"]["root_cause"][0];
        assert_eq!(
            cause,
            &json!({"type": "search_timeout_exception", "reason": "Time exceeded"})
        );
    };
    partial(search("/slow/_search?timeout=1ms").await);
    refused(search("/slow/_search?timeout=1ms&allow_partial_search_results=false").await);
    let set =
        |settings: Value| cluster.put(0, "/_cluster/settings", json!({"persistent": settings}));
    assert_eq!(
        set(json!({"search.default_search_timeout": "1ms"})).await.0,
        200
    );
    partial(search("/slow/_search").await);
    assert_eq!(
        set(json!({"search.default_allow_partial_results": false}))
            .await
            .0,
        200
    );
    refused(search("/slow/_search").await);
    partial(search("/slow/_search?allow_partial_search_results=true").await);
    assert_eq!(set(json!({"search.*": null})).await.0, 200);

    // Limits of the node and of the index.
    let term = json!({"bool": {"filter": [{"term": {"k": "1"}}]}});
    let (status, _) = cluster
        .post(0, "/slow/_search", json!({"query": term}))
        .await;
    assert_eq!(status, 200);
    let deep = json!({"bool": {"must": {"bool": {"must": term}}}});
    let (status, answer) = cluster
        .post(0, "/slow/_count", json!({"query": deep}))
        .await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (400, &json!("illegal_argument_exception"))
    );
    let terms = json!({"query": {"terms": {"k": ["a", "b"]}}});
    assert_eq!(cluster.post(0, "/slow/_search", terms.clone()).await.0, 200);
    let settings = json!({"index.max_terms_count": 1});
    assert_eq!(cluster.put(0, "/slow/_settings", settings).await.0, 200);
    let (status, answer) = cluster.post(0, "/slow/_search", terms).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer.to_string().contains("[index.max_terms_count]"),
        "{answer}"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_are_for_those_who_may_monitor_and_cancelling_for_those_who_manage() {
    let cluster = Cluster::start(1).await;
    let key = json!({"name": "watcher", "role_descriptors": {"w": {"cluster": ["monitor"]}}});
    let (status, made) = cluster.post(0, "/_security/api_key", key).await;
    assert_eq!(status, 200, "{made}");
    let authorization = format!("ApiKey {}", made["encoded"].as_str().unwrap());
    for (method, path, expected) in [
        (Method::GET, "/_tasks", 200),
        (Method::GET, "/_tasks/none:1", 404),
        (Method::POST, "/_tasks/_cancel", 403),
        (Method::POST, "/_tasks/none:1/_cancel", 403),
    ] {
        let answer = cluster
            .send_with(Some(&authorization), 0, method, path, Value::Null)
            .await;
        assert_eq!(
            answer.status.as_u16(),
            expected,
            "{path}: {:?}",
            answer.json()
        );
    }
    let node = cluster.nodes[0]
        .as_ref()
        .unwrap()
        .node
        .local()
        .id
        .to_string();
    for (path, status, reason) in [
        (
            "/_tasks/foo".to_owned(),
            400,
            "malformed task id foo".to_owned(),
        ),
        (
            format!("/_tasks/{node}:999999"),
            404,
            format!("task [{node}:999999] isn't running and hasn't stored its results"),
        ),
        (
            "/_tasks?group_by=foo".to_owned(),
            400,
            "[group_by] must be one of [nodes], [parents] or [none] but was [foo]".to_owned(),
        ),
    ] {
        let (found, answer) = cluster.get(0, &path).await;
        assert_eq!(found, status, "{answer}");
        assert_eq!(answer["error"]["reason"], reason.as_str());
    }
    let path = format!("/_tasks/{node}:999999/_cancel");
    let (status, answer) = cluster.post(0, &path, Value::Null).await;
    assert_eq!(status, 200);
    let cause = &answer["node_failures"][0]["caused_by"];
    assert_eq!(cause["type"], "resource_not_found_exception", "{answer}");
    // A list lists itself.
    let (_, answer) = cluster.get(0, "/_tasks?actions=*tasks*&nodes=node-0").await;
    let tasks = answer["nodes"][&node]["tasks"].as_object().unwrap();
    assert_eq!(tasks.len(), 2, "{answer}");
    let (_, answer) = cluster.get(0, "/_tasks?nodes=nobody").await;
    assert_eq!(answer, json!({"nodes": {}}));
    cluster.stop().await;
}
