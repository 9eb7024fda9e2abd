//! Answers that must be what Elasticsearch answers. The statuses and words were asked of 8.19.

use ringwall_testkit::{Method, PASSWORD};

use super::*;

async fn one_node() -> Cluster {
    let cluster = Cluster::start(1).await;
    let mapping = json!({
        "settings": {"number_of_shards": 1, "number_of_replicas": 1},
        "mappings": {"properties": {"k": {"type": "keyword", "ignore_above": 3}}},
    });
    let (status, body) = cluster.put(0, "/a?wait_for_active_shards=1", mapping).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = cluster
        .put(0, "/a/_doc/1", json!({"a": 1, "k": "longer"}))
        .await;
    assert_eq!(status, 201, "{body}");
    cluster
}

fn lines(lines: &[&str]) -> Value {
    Value::String(lines.iter().map(|line| format!("{line}\n")).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_updates_are_checked_whatever_they_change() {
    let cluster = one_node().await;
    let stale = "required seqNo [99], primary term [1]. current document has seqNo [0] and primary term [1]";
    for (path, body, expected, words) in [
        (
            "1?if_seq_no=99&if_primary_term=1",
            json!({"doc": {"a": 1}}),
            409,
            stale,
        ),
        (
            "1?if_seq_no=99&if_primary_term=1",
            json!({"doc": {"a": 2}}),
            409,
            stale,
        ),
        (
            "1",
            json!({"doc": {"a": 1}, "if_seq_no": 99, "if_primary_term": 1}),
            409,
            stale,
        ),
        (
            "none?if_seq_no=0&if_primary_term=1",
            json!({"doc": {"a": 1}}),
            404,
            "[none]: document missing",
        ),
        (
            "none?if_seq_no=0&if_primary_term=1",
            json!({"doc": {"a": 1}, "upsert": {}}),
            400,
            "upsert requests don't support `if_seq_no` and `if_primary_term`",
        ),
        (
            "none?if_seq_no=0&if_primary_term=1",
            json!({"doc": {"a": 1}, "doc_as_upsert": true}),
            400,
            "compare and write operations can not be used with upsert",
        ),
    ] {
        let (status, answer) = cluster.post(0, &format!("/a/_update/{path}"), body).await;
        assert_eq!(status, expected, "{path} {answer}");
        let reason = answer["error"]["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{reason}");
    }
    let right = "/a/_update/1?if_seq_no=0&if_primary_term=1";
    let (_, answer) = cluster.post(0, right, json!({"doc": {"a": 1}})).await;
    assert_eq!(answer["result"], "noop");
    for update in [
        [
            r#"{"update":{"_id":"1","if_seq_no":99,"if_primary_term":1}}"#,
            r#"{"doc":{"a":1}}"#,
        ],
        [
            r#"{"update":{"_id":"1"}}"#,
            r#"{"doc":{"a":1},"if_seq_no":99,"if_primary_term":1}"#,
        ],
    ] {
        let (_, answer) = cluster.post(0, "/a/_bulk", lines(&update)).await;
        assert_eq!(answer["items"][0]["update"]["status"], 409, "{answer}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_without_an_id_or_without_enough_copies_are_refused() {
    let cluster = one_node().await;
    let nameless = lines(&[
        r#"{"index":{"_id":"x"}}"#,
        "{}",
        r#"{"delete":{}}"#,
        r#"{"update":{}}"#,
        r#"{"doc":{}}"#,
    ]);
    let (status, answer) = cluster.post(0, "/a/_bulk", nameless).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(
        answer["error"]["reason"],
        "Validation Failed: 1: id is missing;2: id is missing;"
    );
    let (status, _) = cluster.get(0, "/a/_doc/x").await;
    assert_eq!(status, 404, "nothing of it is written");
    for (method, path, body, count) in [
        (
            Method::PUT,
            "/a/_doc/9?wait_for_active_shards=2",
            json!({}),
            "[2] (have 1, needed 2)",
        ),
        (
            Method::DELETE,
            "/a/_doc/1?wait_for_active_shards=all",
            Value::Null,
            "[ALL] (have 1, needed 2)",
        ),
        (
            Method::POST,
            "/a/_update/1?wait_for_active_shards=3",
            json!({"doc": {"a": 3}}),
            "[3] (have 1, needed 3)",
        ),
    ] {
        let (status, answer) = cluster
            .send(0, method, &format!("{path}&timeout=100ms"), body)
            .await;
        let error = &answer["error"];
        assert_eq!(
            (status, &error["type"]),
            (503, &json!("unavailable_shards_exception")),
            "{answer}"
        );
        let reason = error["reason"].as_str().unwrap();
        assert!(
            reason.contains(&format!(
                "Not enough active copies to meet shard count of {count}"
            )),
            "{reason}"
        );
    }
    for (count, words) in [
        ("-1", "shard count cannot be a negative value"),
        ("x", "cannot parse ActiveShardCount[x]"),
    ] {
        let path = format!("/a/_doc/9?wait_for_active_shards={count}");
        let (status, answer) = cluster.put(0, &path, json!({})).await;
        assert_eq!((status, &answer["error"]["reason"]), (400, &json!(words)));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_do_not_exist_are_errors_where_elasticsearch_says_so() {
    let cluster = one_node().await;
    let both = "ignore_unavailable=true&allow_no_indices=false";
    for (path, status) in [
        ("/none/_search".to_owned(), 404),
        ("/none/_search?ignore_unavailable=true".to_owned(), 200),
        ("/none*/_search".to_owned(), 200),
        ("/none*/_search?allow_no_indices=false".to_owned(), 404),
        (format!("/none/_search?{both}"), 404),
        (format!("/none/_count?{both}"), 404),
        (format!("/none,a/_search?{both}"), 200),
        (format!("/none*,a/_search?{both}"), 404),
        ("/_nodes/stats/jvm,os".to_owned(), 200),
        ("/_nodes/stats/indices/docs".to_owned(), 200),
        ("/_nodes/stats/nope".to_owned(), 400),
        ("/_nodes/stats/jvm,nope".to_owned(), 400),
        ("/_nodes/stats/_all,jvm".to_owned(), 400),
        ("/_nodes/stats/indices/nope".to_owned(), 400),
        ("/_nodes/stats/jvm/docs".to_owned(), 400),
        ("/_nodes/stats/thread_pool,ingest,script".to_owned(), 200),
        ("/_nodes/stats/discovery".to_owned(), 200),
        ("/_nodes/stats/jvm,allocations".to_owned(), 400),
        ("/_stats/docs".to_owned(), 200),
        ("/a/_stats/doc".to_owned(), 400),
        ("/_stats/warmer".to_owned(), 400),
    ] {
        let (found, answer) = cluster.get(0, &path).await;
        assert_eq!(found, status, "{path} {answer}");
    }
    let (_, stats) = cluster.get(0, "/a/_stats/docs").await;
    let total = stats["indices"]["a"]["total"].as_object().unwrap();
    assert_eq!(total.keys().collect::<Vec<_>>(), ["docs"]);
    let (_, stats) = cluster.get(0, "/_nodes/stats/indices,breaker/docs").await;
    let node = stats["nodes"].as_object().unwrap().values().next().unwrap();
    assert!(
        node.get("breakers").is_some() && node.get("jvm").is_none(),
        "{node}"
    );
    let indices = node["indices"].as_object().unwrap();
    assert_eq!(indices.keys().collect::<Vec<_>>(), ["docs"]);
    let (_, stats) = cluster.get(0, "/_nodes/stats/thread_pool").await;
    let node = stats["nodes"].as_object().unwrap().values().next().unwrap();
    let write = &node["thread_pool"]["write"];
    assert!(
        write["completed"].as_u64() > Some(0) && write["rejected"] == 0,
        "{node}"
    );
    let (_, wrong) = cluster.get(0, "/a/_stats/doc").await;
    assert_eq!(
        wrong["error"]["reason"],
        "request [/a/_stats/doc] contains unrecognized metric: [doc] -> did you mean [docs]?"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_shown_and_searched() {
    let cluster = one_node().await;
    let path = "/a/_doc/2?routing=r2&refresh=true";
    let (status, _) = cluster.put(0, path, json!({"t": "-"})).await;
    assert_eq!(status, 201);
    let ids = async |query: Value| {
        let body = json!({"query": query, "_source": {"exclude_vectors": true}});
        let (status, answer) = cluster.post(0, "/a/_search", body).await;
        assert_eq!(status, 200, "{answer}");
        let hits = answer["hits"]["hits"].as_array().unwrap().clone();
        hits.iter()
            .map(|hit| hit["_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(json!({"term": {"_routing": "r2"}})).await, ["2"]);
    assert_eq!(ids(json!({"exists": {"field": "_routing"}})).await, ["2"]);
    assert_eq!(ids(json!({"wildcard": {"_routing": "r*"}})).await, ["2"]);
    assert_eq!(ids(json!({"exists": {"field": "t"}})).await, ["2"]);
    assert_eq!(ids(json!({"exists": {"field": "_ignored"}})).await, ["1"]);
    let login = Some(("elastic", PASSWORD));
    let answer = cluster
        .send_as(login, 0, Method::GET, "/a/_search", Value::Null)
        .await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.contains(r#""_score":1.0,"_ignored":["k"],"_source":"#),
        "{text}"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_indices_may_hold_date_math() {
    let cluster = one_node().await;
    // Of the year, so that the test does not run over the end of what is rounded to.
    let (status, made) = cluster
        .put(
            0,
            "/%3Clogs-%7Bnow%2Fy%7Byyyy%7D%7D%3E/_doc/1",
            json!({"a": 1}),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    let name = made["_index"].as_str().unwrap();
    let year = name.strip_prefix("logs-").unwrap();
    assert!(year.len() == 4 && year.parse::<u32>().is_ok(), "{name}");
    cluster.post(0, "/a/_refresh", Value::Null).await;
    let math = "<logs-{now/y{yyyy}}>";
    let bulk = lines(&[
        &format!(r#"{{"index":{{"_index":"{math}","_id":"2"}}}}"#),
        "{}",
    ]);
    let (_, bulk) = cluster.post(0, "/_bulk?refresh=true", bulk).await;
    assert_eq!(bulk["items"][0]["index"]["_index"], name, "{bulk}");
    let mget = json!({"docs": [{"_index": math, "_id": "2"}]});
    let (_, mget) = cluster.post(0, "/_mget", mget).await;
    assert_eq!(
        (&mget["docs"][0]["_index"], &mget["docs"][0]["found"]),
        (&json!(name), &json!(true))
    );
    let msearch = lines(&[&format!(r#"{{"index":"{math}"}}"#), "{}"]);
    let (_, found) = cluster.post(0, "/_msearch", msearch).await;
    assert_eq!(
        found["responses"][0]["hits"]["total"]["value"], 2,
        "{found}"
    );
    let (_, found) = cluster
        .get(0, "/a,%3Clogs-%7Bnow%2Fy%7Byyyy%7D%7D%3E/_count")
        .await;
    assert_eq!(found["count"], 3, "{found}");
    let (status, wrong) = cluster.get(0, "/%3Clogs-%7Bnow%2Fd%3E/_count").await;
    let reason = wrong["error"]["reason"].as_str().unwrap();
    assert!(
        status == 400 && reason.ends_with("date math placeholder is open ended"),
        "{wrong}"
    );
    cluster.stop().await;
}
