//! Deleting, updating and copying by query, through the HTTPS interface.

use ringwall_testkit::{Cluster, Method, WITHIN};
use serde_json::{Value, json};

use super::scrolls::fill;

async fn count(cluster: &Cluster, index: &str) -> Value {
    let (_, body) = cluster
        .post(0, &format!("/{index}/_refresh"), Value::Null)
        .await;
    assert_eq!(body["_shards"]["failed"], 0, "{body}");
    let (status, body) = cluster.get(0, &format!("/{index}/_count")).await;
    assert_eq!(status, 200, "{body}");
    body["count"].clone()
}

/// Asks for work that is waited for. Returns the answer without the times.
async fn done(cluster: &Cluster, path: &str, body: Value) -> (u16, Value) {
    let (status, mut answer) = cluster.post(0, path, body).await;
    answer.as_object_mut().unwrap().remove("took");
    (status, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_query_finds_is_copied_updated_and_deleted() {
    let cluster = Cluster::start(2).await;
    fill(&cluster, "logs", 3, 1, 70).await;
    let source = json!({"source": {"index": "logs", "size": 8, "query": {"term": {"n": 3}}},
        "dest": {"index": "copy"}});
    let (status, answer) = done(&cluster, "/_reindex?refresh=true", source.clone()).await;
    let expected = json!({
        "timed_out": false, "total": 10, "updated": 0, "created": 10, "deleted": 0, "batches": 2,
        "version_conflicts": 0, "noops": 0, "retries": {"bulk": 0, "search": 0}, "throttled_millis": 0,
        "requests_per_second": -1.0, "throttled_until_millis": 0, "failures": [],
    });
    assert_eq!((status, &answer), (200, &expected));
    let (_, found) = cluster.get(1, "/copy/_search?size=0").await;
    assert_eq!(found["hits"]["total"]["value"], 10);

    // What is there is kept where only new documents are wanted, and counted as a conflict.
    let mut create = source.clone();
    create["dest"]["op_type"] = "create".into();
    let (status, answer) = done(&cluster, "/_reindex", create.clone()).await;
    assert_eq!(
        (status, &answer["version_conflicts"]),
        (409, &json!(8)),
        "{answer}"
    );
    let failure = &answer["failures"][7];
    assert_eq!(failure["status"], 409);
    assert_eq!(
        failure["cause"]["type"],
        "version_conflict_engine_exception"
    );
    create["conflicts"] = "proceed".into();
    let (status, answer) = done(&cluster, "/_reindex", create).await;
    assert_eq!(
        (status, &answer["version_conflicts"]),
        (200, &json!(10)),
        "{answer}"
    );
    assert_eq!(
        (&answer["created"], &answer["failures"]),
        (&json!(0), &json!([]))
    );

    // As it is, which by then is another thing: there is a new field to search by.
    let mapping = json!({"properties": {"k": {"type": "text", "fields": {
        "keyword": {"type": "keyword"}, "w": {"type": "text"}}}}});
    let (status, answer) = cluster.put(0, "/logs/_mapping", mapping).await;
    assert_eq!(status, 200, "{answer}");
    let (_, before) = cluster.get(0, "/logs/_doc/3").await;
    let path = "/logs/_update_by_query?slices=auto&refresh=true&q=k:k1";
    let (status, answer) = done(&cluster, path, json!({"size": 4})).await;
    assert_eq!((status, &answer["updated"]), (200, &json!(35)), "{answer}");
    let slices = answer["slices"].as_array().unwrap();
    assert_eq!((slices.len(), &slices[2]["slice_id"]), (3, &json!(2)));
    let updated = slices
        .iter()
        .map(|slice| slice["updated"].as_u64().unwrap());
    assert_eq!(updated.sum::<u64>(), 35);
    let (_, found) = cluster.get(0, "/logs/_search?size=0&q=k.w:k1").await;
    assert_eq!(found["hits"]["total"]["value"], 35);
    let (_, after) = cluster.get(0, "/logs/_doc/3").await;
    assert_eq!(
        (&after["_version"], &after["_source"]),
        (&json!(2), &before["_source"])
    );

    // Changed or gone since the last refresh.
    assert_eq!(cluster.put(0, "/logs/_doc/3", json!({"n": 3})).await.0, 200);
    assert_eq!(cluster.delete(0, "/logs/_doc/10").await.0, 200);
    let query = json!({"query": {"terms": {"_id": ["3", "10", "17"]}}});
    // The first deletes the third of them.
    for (path, conflicts) in [("/logs/_delete_by_query", 2), ("/logs/_update_by_query", 3)] {
        let (status, answer) = done(&cluster, path, query.clone()).await;
        assert_eq!(
            (status, &answer["version_conflicts"]),
            (409, &json!(conflicts)),
            "{path} {answer}"
        );
        let reasons: Vec<&str> = answer["failures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| failure["cause"]["reason"].as_str().unwrap())
            .collect();
        assert!(
            reasons
                .iter()
                .all(|reason| reason.contains("version conflict, required seqNo [")),
            "{reasons:?}"
        );
    }
    let (_, kept) = cluster.get(0, "/logs/_doc/3").await;
    assert_eq!(kept["_version"], 3);
    assert_eq!(count(&cluster, "logs").await, 68);

    let path = "/logs/_delete_by_query?max_docs=9&slices=2&conflicts=proceed&refresh=true";
    let (status, answer) = done(&cluster, path, json!({"query": {"match_all": {}}})).await;
    assert_eq!(
        (status, &answer["deleted"], &answer["total"]),
        (200, &json!(9), &json!(9)),
        "{answer}"
    );
    assert_eq!(answer.get("updated"), None);
    assert_eq!(count(&cluster, "logs").await, 59);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_have_the_version_routing_and_fields_that_were_asked_for() {
    let cluster = Cluster::start(1).await;
    fill(&cluster, "from", 1, 0, 1).await;
    for version in 2..4 {
        let path = "/from/_doc/a?routing=r&refresh=true";
        let (_, body) = cluster
            .put(0, path, json!({"a": {"b": version, "c": 1}, "n": 9}))
            .await;
        assert_eq!(body["_version"], version - 1, "{body}");
    }
    let copy = async |dest: Value| {
        let mut source =
            json!({"index": ["from"], "query": {"term": {"n": 9}}, "_source": ["a.b"]});
        if dest["index"] == "whole" {
            source.as_object_mut().unwrap().remove("_source");
        }
        let (status, answer) = done(
            &cluster,
            "/_reindex?refresh=true",
            json!({"source": source, "dest": dest}),
        )
        .await;
        let name = dest["index"].as_str().unwrap().to_owned();
        let (_, found) = cluster
            .get(0, &format!("/{name}/_search?version=true"))
            .await;
        (status, answer, found["hits"]["hits"][0].clone())
    };
    let (_, _, hit) = copy(json!({"index": "whole", "version_type": "external"})).await;
    assert_eq!(
        (&hit["_version"], &hit["_routing"]),
        (&json!(2), &json!("r"))
    );
    assert_eq!(hit["_source"], json!({"a": {"b": 3, "c": 1}, "n": 9}));
    let (status, answer, _) = copy(json!({"index": "whole", "version_type": "external"})).await;
    assert_eq!(
        (status, &answer["version_conflicts"]),
        (409, &json!(1)),
        "{answer}"
    );
    let (status, answer, _) = copy(json!({"index": "whole"})).await;
    assert_eq!((status, &answer["updated"]), (200, &json!(1)), "{answer}");
    let (_, _, hit) = copy(json!({"index": "part", "routing": "=x"})).await;
    assert_eq!(
        (&hit["_version"], &hit["_routing"]),
        (&json!(1), &json!("x"))
    );
    assert_eq!(hit["_source"], json!({"a": {"b": 3}}));
    let (_, _, hit) = copy(json!({"index": "bare", "routing": "discard"})).await;
    assert_eq!(hit.get("_routing"), None, "{hit}");

    for (path, body, reason) in [
        (
            "/_reindex",
            json!({"source": {"index": "from"}, "dest": {"index": "from"}}),
            "reindex cannot write into an index its reading from [from]",
        ),
        (
            "/_reindex",
            json!({"source": {"index": "from", "remote": {"host": "https://a:1"}}, "dest": {"index": "to"}}),
            "[remote] is not supported",
        ),
        (
            "/_reindex",
            json!({"source": {"index": "from"}, "dest": {"index": "to"}, "script": {"source": "x"}}),
            "[script] is not supported",
        ),
        (
            "/_reindex",
            json!({"source": {}, "dest": {}}),
            "1: use _all if you really want to copy from all existing indexes;2: index must be specified;",
        ),
        (
            "/_reindex",
            json!({"source": {"index": "from"}, "dest": {"index": "to", "pipeline": "p"}}),
            "[p] does not exist",
        ),
        (
            "/from/_update_by_query",
            json!({"script": {"source": "x"}}),
            "[script] is not supported",
        ),
        (
            "/from/_delete_by_query",
            json!({}),
            "Validation Failed: 1: query is missing;",
        ),
        (
            "/from/_delete_by_query",
            json!({"query": {"nothing": {}}}),
            "unknown query [nothing]",
        ),
    ] {
        let (status, answer) = cluster.post(0, path, body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["error"]["reason"].as_str().unwrap().contains(reason),
            "{answer}"
        );
    }
    assert_eq!(cluster.get(0, "/to").await.0, 404);
    let (status, answer) = done(&cluster, "/nothing-*/_update_by_query", Value::Null).await;
    assert_eq!(
        (status, &answer["total"], &answer["batches"]),
        (200, &json!(0), &json!(0))
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_query_reads_and_writes_what_its_caller_may() {
    let cluster = Cluster::start(2).await;
    fill(&cluster, "logs", 2, 0, 20).await;
    let on = |names: &str, privileges: Value| json!({"names": [names], "privileges": privileges});
    let shown = json!({"names": ["logs"], "privileges": ["read", "write"],
        "query": {"term": {"n": 1}}, "field_security": {"grant": ["n"]}});
    for (name, indices) in [
        ("narrowed", json!([shown, on("mine", json!(["all"]))])),
        ("blind", json!([on("logs", json!(["write"]))])),
        ("reader", json!([on("logs", json!(["read"]))])),
        ("keeper", json!([on("logs", json!(["read", "write"]))])),
    ] {
        let role = json!({"indices": indices});
        let (status, body) = cluster
            .put(0, &format!("/_security/role/{name}"), role)
            .await;
        assert_eq!(status, 200, "{body}");
        let user = json!({"password": "a-long-password", "roles": [name]});
        let (status, body) = cluster
            .put(0, &format!("/_security/user/{name}"), user)
            .await;
        assert_eq!(status, 200, "{body}");
    }
    let ask = async |user, path: &str, body: Value| {
        let login = Some((user, "a-long-password"));
        let answer = cluster.send_as(login, 1, Method::POST, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    let all = json!({"query": {"match_all": {}}});

    let copy = json!({"source": {"index": "logs"}, "dest": {"index": "mine"}});
    let (status, answer) = ask("narrowed", "/_reindex", copy.clone()).await;
    assert_eq!((status, &answer["created"]), (200, &json!(3)), "{answer}");
    assert_eq!(count(&cluster, "mine").await, 3);
    let (_, found) = cluster.get(0, "/mine/_search").await;
    for hit in found["hits"]["hits"].as_array().unwrap() {
        assert_eq!(hit["_source"], json!({"n": 1}));
    }
    // Written back, the hidden field would be lost.
    let (status, answer) = ask("narrowed", "/logs/_update_by_query", Value::Null).await;
    assert_eq!(status, 400, "{answer}");
    let refused = "Can't execute an update request if field or document level security is enabled";
    assert_eq!(answer["error"]["reason"], refused);

    let to_logs = json!({"source": {"index": "logs"}, "dest": {"index": "other"}});
    let (status, answer) = ask("reader", "/_reindex", to_logs.clone()).await;
    assert_eq!(status, 403, "{answer}");
    let (status, answer) = ask("keeper", "/_reindex", to_logs).await;
    assert_eq!((status, &answer["created"]), (403, &json!(0)), "{answer}");
    assert_eq!(answer["failures"][0]["cause"]["type"], "security_exception");
    for (user, path) in [
        ("blind", "/logs/_delete_by_query"),
        ("blind", "/logs/_update_by_query"),
        ("reader", "/logs/_delete_by_query"),
        // Before anything is deleted, not after.
        ("keeper", "/logs/_delete_by_query?refresh=true"),
        ("narrowed", "/mine,logs,other/_delete_by_query"),
    ] {
        let (status, answer) = ask(user, path, all.clone()).await;
        assert_eq!(status, 403, "{user} {path} {answer}");
    }
    let (status, answer) = ask(
        "keeper",
        "/_reindex/a:1/_rethrottle?requests_per_second=1",
        Value::Null,
    )
    .await;
    assert_eq!(status, 403, "{answer}");
    assert_eq!(count(&cluster, "logs").await, 20);
    let (status, answer) = ask("narrowed", "/logs/_delete_by_query", all.clone()).await;
    assert_eq!((status, &answer["deleted"]), (200, &json!(3)), "{answer}");
    assert_eq!(count(&cluster, "logs").await, 17);
    let (status, answer) = ask("keeper", "/*/_delete_by_query", all).await;
    assert_eq!((status, &answer["deleted"]), (200, &json!(17)), "{answer}");
    assert_eq!(count(&cluster, "mine").await, 3);
    cluster.stop().await;
}

const DELETES: &str = "/_tasks?actions=*byquery&detailed=true&group_by=none";

/// Waits until a task by query has done its first batch. Returns it.
async fn throttled(cluster: &Cluster) -> Value {
    let deadline = std::time::Instant::now() + WITHIN;
    loop {
        let (status, answer) = cluster.get(1, DELETES).await;
        assert_eq!(status, 200, "{answer}");
        let tasks = answer["tasks"].as_array().unwrap().iter();
        let waiting = |task: &&Value| task["status"]["throttled_until_millis"].as_u64() > Some(0);
        if let Some(task) = tasks
            .filter(|task| task.get("parent_task_id").is_none())
            .find(waiting)
        {
            return task.clone();
        }
        assert!(std::time::Instant::now() < deadline, "{answer}");
    }
}

fn id(task: &Value) -> String {
    format!("{}:{}", task["node"].as_str().unwrap(), task["id"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_by_query_is_followed_sped_up_and_cancelled_and_its_result_is_kept() {
    let cluster = Cluster::start(2).await;
    fill(&cluster, "logs", 2, 0, 40).await;
    let all = json!({"query": {"match_all": {}}});
    let slowly = "requests_per_second=0.01&scroll_size=5";

    // Nobody waits.
    let path = format!("/logs/_delete_by_query?wait_for_completion=false&{slowly}&max_docs=10");
    let (status, started) = cluster.post(0, &path, all.clone()).await;
    assert_eq!(status, 200, "{started}");
    let task = throttled(&cluster).await;
    assert_eq!(started["task"], id(&task));
    assert_eq!(task["action"], "indices:data/write/delete/byquery");
    assert_eq!(task["description"], "delete-by-query [logs]");
    let status = &task["status"];
    assert_eq!(
        (&status["deleted"], &status["batches"]),
        (&json!(5), &json!(1)),
        "{status}"
    );
    assert_eq!(
        (&status["total"], &status["requests_per_second"]),
        (&json!(10), &json!(0.01))
    );
    assert_eq!(task["cancellable"], true);
    let (_, running) = cluster.get(1, &format!("/_tasks/{}", id(&task))).await;
    assert_eq!(
        (&running["completed"], running.get("response")),
        (&json!(false), None)
    );
    let path = format!(
        "/_delete_by_query/{}/_rethrottle?requests_per_second=-1",
        id(&task)
    );
    let (status, answer) = cluster.post(1, &path, Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    let told = &answer["nodes"][task["node"].as_str().unwrap()]["tasks"][id(&task)];
    assert_eq!(told["status"]["requests_per_second"], -1.0, "{answer}");
    let waited = format!("/_tasks/{}?wait_for_completion=true&timeout=60s", id(&task));
    for path in [waited, format!("/_tasks/{}", id(&task))] {
        let (status, ended) = cluster.get(1, &path).await;
        assert_eq!(
            (status, &ended["completed"]),
            (200, &json!(true)),
            "{ended}"
        );
        assert_eq!(ended["response"]["deleted"], 10);
        assert_eq!(ended["response"]["failures"], json!([]));
        assert_eq!(ended["task"]["status"]["deleted"], 10);
    }
    assert_eq!(count(&cluster, "logs").await, 30);

    // Cancelled it ends between two batches, and tells what it has done.
    let path = format!("/logs/_delete_by_query?slices=2&{slowly}");
    let cancelling = async {
        let task = throttled(&cluster).await;
        let parts = format!(
            "/_tasks?parent_task_id={}&actions=*byquery&group_by=none",
            id(&task)
        );
        let (_, parts) = cluster.get(0, &parts).await;
        assert_eq!(parts["tasks"].as_array().unwrap().len(), 2, "{parts}");
        let path = format!(
            "/_tasks/{}/_cancel?wait_for_completion=true&timeout=60s",
            id(&task)
        );
        let (status, answer) = cluster.post(1, &path, Value::Null).await;
        assert_eq!(status, 200, "{answer}");
    };
    let login = Some(("elastic", ringwall_testkit::PASSWORD));
    let (answer, ()) = tokio::join!(
        cluster.send_as(login, 0, Method::POST, &path, all.clone()),
        cancelling
    );
    let (status, answer) = (answer.status.as_u16(), answer.json());
    assert_eq!(
        (status, &answer["canceled"]),
        (200, &json!("by user request")),
        "{answer}"
    );
    let deleted = answer["deleted"].as_u64().unwrap();
    assert!((5..=10).contains(&deleted), "{answer}");
    assert_eq!(count(&cluster, "logs").await, 30 - deleted);

    // A client that hangs up leaves it running.
    let path = format!("/logs/_delete_by_query?{slowly}");
    let asked = cluster.send_as(login, 0, Method::POST, &path, all);
    let task = tokio::select! {
        answer = asked => panic!("{}", answer.json()),
        task = throttled(&cluster) => task,
    };
    let path = format!(
        "/_delete_by_query/{}/_rethrottle?requests_per_second=-1",
        id(&task)
    );
    assert_eq!(cluster.post(1, &path, Value::Null).await.0, 200);
    cluster
        .get(
            1,
            &format!("/_tasks/{}?wait_for_completion=true&timeout=60s", id(&task)),
        )
        .await;
    assert_eq!(count(&cluster, "logs").await, 0);

    // What fails is kept too.
    let missing = json!({"source": {"index": "missing"}, "dest": {"index": "x"}});
    let (_, started) = cluster
        .post(0, "/_reindex?wait_for_completion=false", missing)
        .await;
    let path = format!("/_tasks/{}", started["task"].as_str().unwrap());
    let (status, ended) = cluster.get(1, &path).await;
    assert_eq!(
        (status, &ended["completed"]),
        (200, &json!(true)),
        "{ended}"
    );
    assert_eq!(ended["error"]["type"], "index_not_found_exception");
    cluster.stop().await;
}
