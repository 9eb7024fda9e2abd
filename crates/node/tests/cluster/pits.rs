//! Points in time, through the HTTPS interface.

use std::collections::BTreeSet;

use ringwall_testkit::{Cluster, Method, PASSWORD};
use serde_json::{Value, json};

use super::scrolls::{fill, ids};

async fn open(cluster: &Cluster, index: &str) -> String {
    let path = format!("/{index}/_pit?keep_alive=5m");
    let (status, body) = cluster.post(0, &path, Value::Null).await;
    assert_eq!(
        (status, &body["_shards"]["failed"]),
        (200, &json!(0)),
        "{body}"
    );
    body["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_search_in_it_sees_the_same_and_search_after_misses_nothing() {
    let cluster = Cluster::start(3).await;
    fill(&cluster, "logs", 3, 1, 50).await;
    cluster.wait_for_status(0, "green").await;
    let id = open(&cluster, "logs").await;
    for sort in [
        json!(["n"]),
        json!([{"k.keyword": "desc"}]),
        json!(["_shard_doc"]),
        json!(["_doc"]),
        json!(["_score"]),
    ] {
        let mut found = Vec::new();
        let mut after = Value::Null;
        for round in 0..20 {
            let path = format!("/logs/_doc/{round}?refresh=true");
            let (status, _) = cluster.put(0, &path, json!({"n": 100})).await;
            assert!(status < 300);
            let path = format!("/logs/_doc/{}", 49 - round);
            cluster.delete(1, &path).await;
            let mut body = json!({"pit": {"id": id, "keep_alive": "5m"}, "size": 7, "sort": sort});
            if !after.is_null() {
                body["search_after"] = after.clone();
            }
            let (status, page) = cluster.post(round % 3, "/_search", body).await;
            assert_eq!(status, 200, "{page}");
            assert_eq!(page["hits"]["total"]["value"], 50);
            assert_eq!(page["pit_id"], json!(id));
            let Some(last) = page["hits"]["hits"].as_array().unwrap().last() else {
                break;
            };
            after = last["sort"].clone();
            found.extend(ids(&page));
        }
        let distinct: BTreeSet<&String> = found.iter().collect();
        assert_eq!((found.len(), distinct.len()), (50, 50), "{sort}");
    }
    // In slices too.
    let mut found = Vec::new();
    for slice in 0..7 {
        let body = json!({"pit": {"id": id}, "size": 100, "slice": {"id": slice, "max": 7}});
        let (status, page) = cluster.post(0, "/_search", body).await;
        assert_eq!(status, 200, "{page}");
        found.extend(ids(&page));
    }
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (50, 50));
    // And in a list of searches.
    let line = json!({"pit": {"id": id}, "size": 0, "aggs": {"m": {"max": {"field": "n"}}}});
    let lines = format!("{{}}\n{line}\n{{}}\n{line}\n");
    let (status, answer) = cluster.post(1, "/_msearch", lines.into()).await;
    assert_eq!(status, 200, "{answer}");
    for response in answer["responses"].as_array().unwrap() {
        assert_eq!(response["aggregations"]["m"]["value"], 6.0, "{answer}");
    }
    let body = json!({"id": id});
    let answer = cluster.send(2, Method::DELETE, "/_pit", body.clone()).await;
    assert_eq!(answer, (200, json!({"succeeded": true, "num_freed": 3})));
    let answer = cluster.send(0, Method::DELETE, "/_pit", body).await;
    assert_eq!(answer, (404, json!({"succeeded": false, "num_freed": 0})));
    let (status, answer) = cluster
        .post(0, "/_search", json!({"pit": {"id": id}}))
        .await;
    let cause = &answer["error"]["root_cause"][0]["type"];
    assert_eq!(
        (status, cause),
        (404, &json!("search_context_missing_exception")),
        "{answer}"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_its_owners_and_shows_what_an_alias_shows() {
    let cluster = Cluster::start(2).await;
    fill(&cluster, "logs", 2, 0, 20).await;
    fill(&cluster, "other", 1, 0, 5).await;
    let add = json!({"actions": [{"add": {"index": "logs", "alias": "some", "filter": {"term": {"k.keyword": "k1"}}}}]});
    assert_eq!(cluster.post(0, "/_aliases", add).await.0, 200);
    let user = json!({"password": "ann-password", "roles": ["viewer"]});
    assert_eq!(cluster.put(0, "/_security/user/ann", user).await.0, 200);
    let ann = Some(("ann", "ann-password"));
    let send = async |login, method, path: &str, body: Value| {
        let answer = cluster.send_as(login, 1, method, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    let (status, opened) = send(ann, Method::POST, "/some/_pit?keep_alive=5m", Value::Null).await;
    assert_eq!(status, 200, "{opened}");
    let search = json!({"pit": {"id": opened["id"]}, "size": 100});
    let (status, page) = send(ann, Method::POST, "/_search", search.clone()).await;
    let odd = |id: &String| id.parse::<u32>().unwrap() % 2 == 1;
    let found = ids(&page);
    assert_eq!((status, found.len()), (200, 10), "{page}");
    assert!(found.iter().all(odd), "{found:?}");
    let elastic = Some(("elastic", PASSWORD));
    let (status, answer) = send(elastic, Method::POST, "/_search", search.clone()).await;
    assert_eq!(status, 404, "{answer}");
    let close = json!({"id": opened["id"]});
    assert_eq!(
        send(elastic, Method::DELETE, "/_pit", close.clone())
            .await
            .0,
        404
    );
    // She may search still, but not this.
    let role = json!({"indices": [{"names": ["other"], "privileges": ["read"]}]});
    assert_eq!(cluster.put(0, "/_security/role/others", role).await.0, 200);
    let user = json!({"roles": ["others"]});
    assert_eq!(cluster.put(0, "/_security/user/ann", user).await.0, 200);
    for method in [Method::POST, Method::GET] {
        let (status, answer) = send(ann, method, "/_search", search.clone()).await;
        assert_eq!(status, 403, "{answer}");
    }
    let (status, answer) = send(ann, Method::POST, "/some/_pit?keep_alive=5m", Value::Null).await;
    assert_eq!(status, 403, "{answer}");
    let user = json!({"roles": ["viewer"]});
    assert_eq!(cluster.put(0, "/_security/user/ann", user).await.0, 200);
    // A filter that is another one by now shows other documents.
    let add = json!({"actions": [{"add": {"index": "logs", "alias": "some", "filter": {"term": {"k.keyword": "k0"}}}}]});
    assert_eq!(cluster.post(0, "/_aliases", add).await.0, 200);
    assert_eq!(send(ann, Method::POST, "/_search", search).await.0, 404);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_bounded_and_ends_and_fixes_what_is_searched() {
    let cluster = Cluster::start_with(1, &[("search.max_open_pit_context", "3")]).await;
    fill(&cluster, "logs", 2, 0, 5).await;
    for path in [
        "/logs/_pit",
        "/logs/_pit?keep_alive=25h",
        "/logs/_pit?keep_alive=bad",
    ] {
        assert_eq!(cluster.post(0, path, Value::Null).await.0, 400, "{path}");
    }
    assert_eq!(
        cluster
            .post(0, "/none/_pit?keep_alive=1m", Value::Null)
            .await
            .0,
        404
    );
    let body = json!({"foo": 1});
    assert_eq!(
        cluster.post(0, "/logs/_pit?keep_alive=1m", body).await.0,
        400
    );
    let id = open(&cluster, "logs").await;
    let (status, answer) = cluster
        .post(0, "/logs/_pit?keep_alive=1m", Value::Null)
        .await;
    assert_eq!(status, 429, "{answer}");
    // Of one that was not opened nothing stays.
    let (_, stats) = cluster.get(0, "/logs/_stats/search").await;
    assert_eq!(
        stats["_all"]["total"]["search"]["open_contexts"], 2,
        "{stats}"
    );
    for (path, body, problem) in [
        (
            "/logs/_search",
            json!({}),
            "[indices] cannot be used with point in time. Do not specify any index with point in time.",
        ),
        (
            "/_search?scroll=1m",
            json!({}),
            "using [point in time] is not allowed in a scroll context",
        ),
        (
            "/_search?routing=1",
            json!({}),
            "[routing] cannot be used with point in time",
        ),
        (
            "/_search?preference=_local",
            json!({}),
            "[preference] cannot be used with point in time",
        ),
        (
            "/_search?ignore_unavailable=true",
            json!({}),
            "[indicesOptions] cannot be used with point in time",
        ),
    ] {
        let mut body = body;
        body["pit"] = json!({"id": id});
        let (status, answer) = cluster.post(0, path, body).await;
        let expected = format!("Validation Failed: 1: {problem};");
        assert_eq!(
            (status, &answer["error"]["reason"]),
            (400, &json!(expected)),
            "{answer}"
        );
    }
    for pit in [
        json!({}),
        json!({"id": "garbage"}),
        json!({"id": id, "x": 1}),
        json!({"id": id, "keep_alive": "25h"}),
        json!("x"),
    ] {
        let (status, answer) = cluster.post(0, "/_search", json!({"pit": pit})).await;
        assert_eq!(status, 400, "{answer}");
    }
    let (status, answer) = cluster.post(0, "/_count", json!({"pit": {"id": id}})).await;
    assert_eq!(status, 400, "{answer}");
    for body in [
        Value::Null,
        json!({}),
        json!({"id": ""}),
        json!({"id": "garbage"}),
        json!({"id": [id]}),
        json!({"foo": 1}),
    ] {
        let answer = cluster.send(0, Method::DELETE, "/_pit", body).await;
        assert_eq!(answer.0, 400, "{}", answer.1);
    }
    // Kept for no time at all it is over.
    let search = |keep_alive: &str| json!({"pit": {"id": id, "keep_alive": keep_alive}});
    assert_eq!(cluster.post(0, "/_search", search("0s")).await.0, 200);
    assert_eq!(cluster.post(0, "/_search", search("1m")).await.0, 404);
    let id = open(&cluster, "logs").await;
    assert_eq!(cluster.delete(0, "/logs").await.0, 200);
    assert_eq!(
        cluster
            .post(0, "/_search", json!({"pit": {"id": id}}))
            .await
            .0,
        404
    );
    let id = open(&cluster, "none*").await;
    let (status, page) = cluster
        .post(0, "/_search", json!({"pit": {"id": id}}))
        .await;
    assert_eq!((status, ids(&page).len()), (200, 0), "{page}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_lost_takes_its_part_of_it() {
    let mut cluster = Cluster::start(3).await;
    fill(&cluster, "logs", 6, 0, 60).await;
    cluster.wait_for_status(0, "green").await;
    let id = open(&cluster, "logs").await;
    cluster.stop_node(2).await;
    cluster.wait_for_nodes(2).await;
    let search = json!({"pit": {"id": id}, "size": 100});
    let (status, page) = cluster.post(0, "/_search", search.clone()).await;
    assert_eq!(
        (status, &page["_shards"]["failed"]),
        (200, &json!(2)),
        "{page}"
    );
    assert!(ids(&page).len() < 60);
    let path = "/_search?allow_partial_search_results=false";
    let (status, answer) = cluster.post(0, path, search).await;
    let cause = &answer["error"]["root_cause"][0]["type"];
    assert_eq!(
        (status, cause),
        (404, &json!("search_context_missing_exception")),
        "{answer}"
    );
    cluster.stop().await;
}
