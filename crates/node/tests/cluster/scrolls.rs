//! Scrolls, through the HTTPS interface.

use std::collections::BTreeSet;

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

pub async fn fill(cluster: &Cluster, index: &str, shards: u32, replicas: u32, docs: u32) {
    let settings = json!({"settings": {
        "number_of_shards": shards, "number_of_replicas": replicas, "refresh_interval": "-1",
    }});
    let (status, body) = cluster.put(0, &format!("/{index}"), settings).await;
    assert_eq!(status, 200, "{body}");
    let lines: String = (0..docs)
        .map(|n| {
            format!(
                "{{\"index\":{{\"_id\":\"{n}\"}}}}\n{{\"n\":{},\"k\":\"k{}\"}}\n",
                n % 7,
                n % 2
            )
        })
        .collect();
    let path = format!("/{index}/_bulk?refresh=true");
    let (status, body) = cluster.post(0, &path, lines.into()).await;
    assert_eq!((status, &body["errors"]), (200, &json!(false)), "{body}");
}

pub fn ids(page: &Value) -> Vec<String> {
    let hits = page["hits"]["hits"].as_array().unwrap();
    let id = |hit: &Value| hit["_id"].as_str().unwrap().to_owned();
    hits.iter().map(id).collect()
}

fn scroll_id(page: &Value) -> String {
    page["_scroll_id"].as_str().unwrap().to_owned()
}

async fn next(cluster: &Cluster, node: usize, id: &str) -> (u16, Value) {
    let body = json!({"scroll_id": id, "scroll": "5m"});
    cluster.post(node, "/_search/scroll", body).await
}

async fn begin(cluster: &Cluster, index: &str, body: Value) -> Value {
    let path = format!("/{index}/_search?scroll=5m");
    let (status, page) = cluster.post(0, &path, body).await;
    assert_eq!(status, 200, "{page}");
    page
}

/// What one search in the order of `sort` has.
async fn all(cluster: &Cluster, index: &str, sort: &Value) -> Vec<String> {
    let body = json!({"size": 10_000, "sort": sort});
    let (status, page) = cluster.post(0, &format!("/{index}/_search"), body).await;
    assert_eq!(status, 200, "{page}");
    ids(&page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scroll_reads_what_was_there_once_and_in_order() {
    let cluster = Cluster::start(3).await;
    fill(&cluster, "logs", 3, 1, 50).await;
    cluster.wait_for_status(0, "green").await;
    for sort in [
        json!(["_doc"]),
        json!([{"n": "desc"}, "k.keyword"]),
        json!(["_shard_doc"]),
        json!([]),
    ] {
        let expected = all(&cluster, "logs", &sort).await;
        let body = json!({"size": 7, "sort": sort, "aggs": {"m": {"max": {"field": "n"}}}});
        let mut page = begin(&cluster, "logs", body).await;
        assert_eq!(page["aggregations"]["m"]["value"], 6.0);
        let id = scroll_id(&page);
        let mut found = Vec::new();
        let mut round = 0;
        while !ids(&page).is_empty() {
            assert_eq!(
                page["hits"]["total"],
                json!({"value": 50, "relation": "eq"}),
                "{page}"
            );
            found.extend(ids(&page));
            // What is written meanwhile is not seen, and what goes stays, whichever node is asked.
            let path = format!("/logs/_doc/new-{round}?refresh=true");
            assert_eq!(cluster.put(0, &path, json!({"n": 1})).await.0, 201);
            let path = format!("/logs/_doc/new-{round}?refresh=true");
            assert_eq!(cluster.delete(0, &path).await.0, 200);
            let path = format!("/logs/_doc/{round}?refresh=true");
            assert_eq!(cluster.put(1, &path, json!({"n": 100})).await.0, 200);
            round += 1;
            let (status, answer) = next(&cluster, round % 3, &id).await;
            assert_eq!(status, 200, "{answer}");
            assert_eq!(scroll_id(&answer), id);
            assert_eq!(answer.get("aggregations"), None);
            page = answer;
        }
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!((found.len(), distinct.len()), (50, 50), "{sort}");
        if sort != json!(["_doc"]) {
            // By places in the shard alone documents of several shards are equal, and so their order is not given.
            assert_eq!(found, expected, "{sort}");
        }
        let cleared = json!({"scroll_id": [id]});
        let answer = cluster
            .send(2, Method::DELETE, "/_search/scroll", cleared.clone())
            .await;
        assert_eq!(answer, (200, json!({"succeeded": true, "num_freed": 3})));
        let answer = cluster
            .send(1, Method::DELETE, "/_search/scroll", cleared)
            .await;
        assert_eq!(answer, (404, json!({"succeeded": true, "num_freed": 0})));
        let (status, answer) = next(&cluster, 0, &id).await;
        assert_eq!(status, 404, "{answer}");
        let cause = &answer["error"]["root_cause"][0]["type"];
        assert_eq!(cause, "search_context_missing_exception", "{answer}");
        // As it was before.
        for n in 0..round {
            let path = format!("/logs/_doc/{n}?refresh=true");
            let doc = json!({"n": n % 7, "k": format!("k{}", n % 2)});
            assert_eq!(cluster.put(0, &path, doc).await.0, 200);
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_have_every_document_once() {
    let cluster = Cluster::start(1).await;
    fill(&cluster, "logs", 2, 0, 60).await;
    for (max, field) in [
        (2, None),
        (3, None),
        (5, None),
        (5, Some("n")),
        (4, Some("_seq_no")),
    ] {
        let mut found = Vec::new();
        for id in 0..max {
            let mut slice = json!({"id": id, "max": max});
            if let Some(field) = field {
                slice["field"] = field.into();
            }
            let body = json!({"size": 4, "slice": slice, "sort": ["_doc"]});
            let mut page = begin(&cluster, "logs", body).await;
            let total = page["hits"]["total"]["value"].as_u64().unwrap() as usize;
            let before = found.len();
            while !ids(&page).is_empty() {
                found.extend(ids(&page));
                page = next(&cluster, 0, &scroll_id(&page)).await.1;
            }
            assert_eq!(found.len() - before, total);
        }
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!((found.len(), distinct.len()), (60, 60), "{max} {field:?}");
    }
    for (slice, path, reason) in [
        (
            json!({"id": 0, "max": 2}),
            "/logs/_search",
            "[slice] can only be used with [scroll] or [point-in-time]",
        ),
        (
            json!({"id": 0, "max": 1025}),
            "/logs/_search?scroll=1m",
            "The number of slices [1025] is too large",
        ),
        (
            json!({"id": 0, "max": 9, "field": "k"}),
            "/logs/_search?scroll=1m",
            "cannot load numeric doc values on k",
        ),
        (
            json!({"id": 0, "max": 9, "field": "x"}),
            "/logs/_search?scroll=1m",
            "field x not found",
        ),
    ] {
        let of_field = slice.get("field").is_some();
        let (status, answer) = cluster.post(0, path, json!({"slice": slice})).await;
        // A shard that is in no slice answers all the same.
        let failed = &answer["_shards"]["failed"];
        assert!(status == 400 || (of_field && *failed == 1), "{answer}");
        assert!(answer.to_string().contains(reason), "{answer}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scroll_is_its_owners_as_long_as_that_may_read() {
    let cluster = Cluster::start(2).await;
    fill(&cluster, "logs", 2, 0, 20).await;
    for name in ["ann", "bob"] {
        let user = json!({"password": format!("{name}-password"), "roles": ["viewer"]});
        let (status, body) = cluster
            .put(0, &format!("/_security/user/{name}"), user)
            .await;
        assert_eq!(status, 200, "{body}");
    }
    let ann = Some(("ann", "ann-password"));
    let send = async |login, method, path: &str, body: Value| {
        let answer = cluster.send_as(login, 1, method, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    let (status, page) = send(
        ann,
        Method::POST,
        "/logs/_search?scroll=5m",
        json!({"size": 3}),
    )
    .await;
    assert_eq!(status, 200, "{page}");
    let id = scroll_id(&page);
    let body = json!({"scroll_id": id, "scroll": "5m"});
    // Whoever else, even with more rights, knows the id has nothing by it.
    for login in [
        Some(("bob", "bob-password")),
        Some(("elastic", ringwall_testkit::PASSWORD)),
    ] {
        let (status, answer) = send(login, Method::POST, "/_search/scroll", body.clone()).await;
        assert_eq!(status, 404, "{answer}");
        let cause = &answer["error"]["root_cause"][0]["type"];
        assert_eq!(cause, "search_context_missing_exception");
        let only = json!({"scroll_id": id});
        let (status, answer) = send(login, Method::DELETE, "/_search/scroll", only).await;
        assert_eq!((status, &answer["num_freed"]), (404, &json!(0)), "{answer}");
    }
    // Nor has a key of hers, which may be held by somebody else.
    let key = cluster
        .send_as(ann, 0, Method::GET, "/_security/_authenticate", Value::Null)
        .await;
    assert_eq!(key.status.as_u16(), 200);
    let (_, key) = cluster
        .post(0, "/_security/api_key", json!({"name": "k"}))
        .await;
    let header = format!("ApiKey {}", key["encoded"].as_str().unwrap());
    let path = "/_search/scroll";
    let answer = cluster
        .send_with(Some(&header), 1, Method::POST, path, body.clone())
        .await;
    assert_eq!(answer.status.as_u16(), 404);
    let (status, page) = send(ann, Method::POST, "/_search/scroll", body.clone()).await;
    assert_eq!((status, ids(&page).len()), (200, 3), "{page}");
    // Ending those of everybody is for those who manage the cluster.
    let (status, answer) = send(ann, Method::DELETE, "/_search/scroll/_all", Value::Null).await;
    assert_eq!(status, 403, "{answer}");
    // What she may not read any more she may not read on.
    let user = json!({"roles": ["kibana_admin"]});
    let (status, body_) = cluster.put(0, "/_security/user/ann", user).await;
    assert_eq!(status, 200, "{body_}");
    let (status, answer) = send(ann, Method::POST, "/_search/scroll", body.clone()).await;
    assert_eq!(status, 403, "{answer}");
    let user = json!({"roles": ["viewer"]});
    assert_eq!(cluster.put(0, "/_security/user/ann", user).await.0, 200);
    let (status, page) = send(ann, Method::POST, "/_search/scroll", body.clone()).await;
    assert_eq!((status, ids(&page).len()), (200, 3), "{page}");
    let answer = cluster.delete(0, "/_search/scroll/_all").await;
    assert_eq!(answer, (200, json!({"succeeded": true, "num_freed": 2})));
    assert_eq!(
        send(ann, Method::POST, "/_search/scroll", body).await.0,
        404
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scroll_through_an_alias_shows_no_more_than_that() {
    let cluster = Cluster::start(1).await;
    fill(&cluster, "logs", 1, 0, 20).await;
    let add = |filter: &str| json!({"actions": [{"add": {"index": "logs", "alias": "some", "filter": {"term": {"k.keyword": filter}}}}]});
    assert_eq!(cluster.post(0, "/_aliases", add("k1")).await.0, 200);
    let page = begin(&cluster, "some", json!({"size": 6, "sort": ["_doc"]})).await;
    let id = scroll_id(&page);
    let mut found = ids(&page);
    found.extend(ids(&next(&cluster, 0, &id).await.1));
    let odd = |id: &String| id.parse::<u32>().unwrap() % 2 == 1;
    assert!(found.len() == 10 && found.iter().all(odd), "{found:?}");
    // It would go on to show what the alias shows no more.
    let page = begin(&cluster, "some", json!({"size": 6, "sort": ["_doc"]})).await;
    assert_eq!(cluster.post(0, "/_aliases", add("k0")).await.0, 200);
    assert_eq!(next(&cluster, 0, &scroll_id(&page)).await.0, 404);
    // And what is deleted is gone.
    let page = begin(&cluster, "logs", json!({"size": 6})).await;
    assert_eq!(cluster.delete(0, "/logs").await.0, 200);
    assert_eq!(next(&cluster, 0, &scroll_id(&page)).await.0, 404);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_is_bounded_counted_and_ends() {
    let settings = [("search.max_open_scroll_context", "3")];
    let cluster = Cluster::start_with(1, &settings).await;
    fill(&cluster, "logs", 2, 0, 5).await;
    let open = async || {
        let (_, stats) = cluster.get(0, "/logs/_stats/search").await;
        let (_, nodes) = cluster.get(0, "/_nodes/stats/indices/search").await;
        let node = nodes["nodes"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
        let search = &stats["_all"]["total"]["search"];
        assert_eq!(
            search["open_contexts"],
            node["indices"]["search"]["open_contexts"]
        );
        search.clone()
    };
    let page = begin(&cluster, "logs", json!({"size": 1})).await;
    let (status, answer) = cluster
        .post(
            0,
            "/logs/_search?scroll=1m&allow_partial_search_results=false",
            json!({}),
        )
        .await;
    assert_eq!(status, 429, "{answer}");
    let cause = &answer["error"]["root_cause"][0];
    assert_eq!(cause["type"], "too_many_scroll_contexts_exception");
    let words = "Trying to create too many scroll contexts. Must be less than or equal to: [3]. This limit can be set \
                 by changing the [search.max_open_scroll_context] setting.";
    assert_eq!(cause["reason"], words);
    // Of a search that failed nothing stays open.
    assert_eq!(open().await["open_contexts"], 2);
    next(&cluster, 0, &scroll_id(&page)).await;
    let counts = open().await;
    assert_eq!(counts["scroll_total"], 2, "{counts}");
    assert!(counts["query_total"].as_u64() >= Some(2), "{counts}");
    // Without a time it is kept as long as before, and no id comes back.
    let body = json!({"scroll_id": scroll_id(&page)});
    let (status, answer) = cluster.post(0, "/_search/scroll", body).await;
    assert_eq!((status, answer.get("_scroll_id")), (200, None), "{answer}");
    // Kept for no time at all it is over.
    let body = json!({"scroll_id": scroll_id(&page), "scroll": "0s"});
    assert_eq!(cluster.post(0, "/_search/scroll", body).await.0, 200);
    assert_eq!(next(&cluster, 0, &scroll_id(&page)).await.0, 404);
    assert_eq!(open().await["open_contexts"], 0);
    let (status, answer) = cluster.post(0, "/logs/_search?scroll=25h", json!({})).await;
    assert_eq!(status, 400, "{answer}");
    let reason = answer["error"]["root_cause"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("Keep alive for request ("), "{reason}");
    let page = begin(&cluster, "logs", json!({"size": 1})).await;
    let path = format!("/_search/scroll?scroll=25h&scroll_id={}", scroll_id(&page));
    assert_eq!(cluster.get(0, &path).await.0, 400);
    let path = format!("/_search/scroll?scroll=1m&scroll_id={}", scroll_id(&page));
    assert_eq!(cluster.get(0, &path).await.0, 200);
    let path = format!(
        "/_search/scroll/{}?scroll=1m&rest_total_hits_as_int",
        scroll_id(&page)
    );
    assert_eq!(cluster.get(0, &path).await.1["hits"]["total"], 5);
    let path = format!("/_search/scroll/{}", scroll_id(&page));
    assert_eq!(cluster.delete(0, &path).await.0, 200);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_on_is_refused() {
    let cluster = Cluster::start(1).await;
    fill(&cluster, "logs", 1, 0, 5).await;
    for (query, body, problem) in [
        (
            "",
            json!({"size": 0}),
            "[size] cannot be [0] in a scroll context",
        ),
        (
            "",
            json!({"from": 1}),
            "using [from] is not allowed in a scroll context",
        ),
        (
            "",
            json!({"search_after": [1], "sort": ["n"]}),
            "[search_after] cannot be used in a scroll context",
        ),
        (
            "",
            json!({"track_total_hits": false}),
            "disabling [track_total_hits] is not allowed in a scroll context",
        ),
        (
            "",
            json!({"track_total_hits": 3}),
            "disabling [track_total_hits] is not allowed in a scroll context",
        ),
        (
            "&request_cache=true",
            json!({}),
            "[request_cache] cannot be used in a scroll context",
        ),
    ] {
        let path = format!("/logs/_search?scroll=1m{query}");
        let (status, answer) = cluster.post(0, &path, body).await;
        let expected = format!("Validation Failed: 1: {problem};");
        assert_eq!(
            (status, &answer["error"]["reason"]),
            (400, &json!(expected)),
            "{answer}"
        );
    }
    for (path, body) in [
        ("/logs/_search?scroll=1m", json!({"rescore": {}})),
        (
            "/logs/_search?scroll=1m",
            json!({"collapse": {"field": "k.keyword"}}),
        ),
        ("/logs/_search?scroll=1m", json!({"size": 10_001})),
        ("/logs/_search?scroll=bad", json!({})),
        ("/logs/_search?scroll=", json!({})),
        ("/_search/scroll", json!({})),
        ("/_search/scroll", json!({"scroll": "1m"})),
        ("/_search/scroll", json!({"scroll_id": "garbage"})),
        ("/_search/scroll", json!({"scroll_id": "garbage", "foo": 1})),
    ] {
        let (status, answer) = cluster.post(0, path, body.clone()).await;
        assert_eq!(status, 400, "{path} {body} {answer}");
    }
    for body in [
        Value::Null,
        json!({}),
        json!({"scroll_id": []}),
        json!({"foo": []}),
    ] {
        let answer = cluster
            .send(0, Method::DELETE, "/_search/scroll", body)
            .await;
        assert_eq!(answer.0, 400, "{}", answer.1);
    }
    // Of nothing at all there is a scroll, which is over.
    let page = begin(&cluster, "none*", json!({})).await;
    let (status, answer) = next(&cluster, 0, &scroll_id(&page)).await;
    assert_eq!((status, ids(&answer).len()), (200, 0), "{answer}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_lost_takes_its_part_and_no_more() {
    let mut cluster = Cluster::start(3).await;
    fill(&cluster, "logs", 6, 0, 60).await;
    cluster.wait_for_status(0, "green").await;
    let page = begin(&cluster, "logs", json!({"size": 6, "sort": ["_doc"]})).await;
    let id = scroll_id(&page);
    cluster.stop_node(2).await;
    cluster.wait_for_nodes(2).await;
    let mut rest = Vec::new();
    loop {
        let (status, page) = next(&cluster, 0, &id).await;
        assert_eq!(status, 200, "{page}");
        assert_eq!(page["_shards"]["failed"], 2, "{page}");
        let reason = &page["_shards"]["failures"][0]["reason"]["type"];
        assert_eq!(reason, "search_context_missing_exception");
        if ids(&page).is_empty() {
            break;
        }
        rest.extend(ids(&page));
    }
    let distinct: BTreeSet<&String> = rest.iter().collect();
    assert_eq!(distinct.len(), rest.len());
    // A node that comes back is another process, which knows nothing of it.
    cluster.start_node(2).await;
    cluster.wait_for_nodes(3).await;
    let (status, page) = next(&cluster, 0, &id).await;
    assert_eq!(
        (status, &page["_shards"]["failed"]),
        (200, &json!(2)),
        "{page}"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_moves_away_is_read_to_its_end() {
    let cluster = Cluster::start(2).await;
    fill(&cluster, "logs", 1, 0, 40).await;
    cluster.wait_for_status(0, "green").await;
    let page = begin(&cluster, "logs", json!({"size": 10, "sort": ["_doc"]})).await;
    let mut found = ids(&page);
    let id = scroll_id(&page);
    let (_, shards) = cluster.get(0, "/_cat/shards/logs?format=json").await;
    let from = shards[0]["node"].as_str().unwrap().to_owned();
    let to = if from == "node-0" { "node-1" } else { "node-0" };
    let away = json!({"index.routing.allocation.exclude._name": from});
    let (status, answer) = cluster.put(0, "/logs/_settings", away).await;
    assert_eq!(status, 200, "{answer}");
    loop {
        let path =
            "/_cluster/health?wait_for_no_relocating_shards=true&wait_for_status=green&timeout=60s";
        cluster.get(0, path).await;
        let (_, shards) = cluster.get(0, "/_cat/shards/logs?format=json").await;
        if shards.as_array().unwrap().len() == 1 && shards[0]["node"] == to {
            break;
        }
    }
    loop {
        let (status, page) = next(&cluster, 1, &id).await;
        assert_eq!(status, 200, "{page}");
        if ids(&page).is_empty() {
            break;
        }
        found.extend(ids(&page));
    }
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (40, 40));
    cluster.stop().await;
}
