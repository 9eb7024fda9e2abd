//! An alias is rolled over to a new index.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

async fn ok(answer: impl Future<Output = (u16, Value)>) -> Value {
    let (status, answer) = answer.await;
    assert!((200..300).contains(&status), "{status}: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_move_to_a_new_index_when_a_condition_is_met() {
    let cluster = Cluster::start(2).await;
    let template = json!({"index_patterns": ["logs-*"], "template": {"settings": {"number_of_shards": 2}, "aliases": {"all": {}}}});
    ok(cluster.put(0, "/_index_template/logs", template)).await;
    let index = json!({"aliases": {"logs": {"is_write_index": true, "routing": "7"}}});
    ok(cluster.put(0, "/logs-000001", index)).await;
    for id in 0..3 {
        ok(cluster.put(0, &format!("/logs/_doc/{id}?refresh=true"), json!({}))).await;
    }
    let roll = async |path: &str, body: Value| cluster.post(1, path, body).await;
    let conditions = json!({"conditions": {"max_docs": 3, "max_age": "7d", "min_docs": 1, "max_primary_shard_docs": 4, "max_size": "1gb"}});
    let told = json!({
        "[max_docs: 3]": true, "[max_age: 7d]": false, "[min_docs: 1]": true,
        "[max_primary_shard_docs: 4]": false, "[max_size: 1gb]": false,
    });
    let mut expected = json!({
        "acknowledged": false, "shards_acknowledged": false, "old_index": "logs-000001", "new_index": "logs-000002",
        "rolled_over": false, "dry_run": true, "lazy": false, "conditions": told,
    });
    let answer = ok(roll("/logs/_rollover?dry_run", conditions.clone())).await;
    assert_eq!(answer, expected);
    let answer = ok(roll(
        "/logs/_rollover",
        json!({"conditions": {"max_docs": 4}}),
    ))
    .await;
    assert_eq!(
        (&answer["rolled_over"], &answer["acknowledged"]),
        (&json!(false), &json!(false))
    );
    let (status, _) = cluster.get(0, "/logs-000002").await;
    assert_eq!(status, 404);

    for (key, value) in [
        ("acknowledged", true),
        ("shards_acknowledged", true),
        ("rolled_over", true),
        ("dry_run", false),
    ] {
        expected[key] = value.into();
    }
    let mut body = conditions;
    body["aliases"] = json!({"extra": {}});
    body["settings"] = json!({"number_of_replicas": 0});
    body["mappings"] = json!({"properties": {"z": {"type": "keyword"}}});
    assert_eq!(ok(roll("/logs/_rollover", body)).await, expected);
    let made = ok(cluster.get(0, "/logs-000002")).await;
    let made = &made["logs-000002"];
    assert_eq!(
        made["aliases"],
        json!({"logs": {"is_write_index": true}, "extra": {}, "all": {}})
    );
    assert_eq!(made["settings"]["index"]["number_of_shards"], "2");
    assert_eq!(made["mappings"]["properties"]["z"]["type"], "keyword");
    let old = ok(cluster.get(0, "/logs-000001/_alias/logs")).await;
    let kept =
        json!({"logs": {"is_write_index": false, "index_routing": "7", "search_routing": "7"}});
    assert_eq!(old["logs-000001"]["aliases"], kept);
    let written = ok(cluster.put(0, "/logs/_doc/9?refresh=true", json!({}))).await;
    assert_eq!(written["_index"], "logs-000002");
    assert_eq!(ok(cluster.get(0, "/logs/_count")).await["count"], 4);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_of_many_rolls_over_from_an_index() {
    let cluster = Cluster::start(1).await;
    let index = json!({"settings": {"number_of_replicas": 0}, "aliases": {"a": {}}});
    ok(cluster.put(0, "/a-1", index)).await;
    let at_once = (0..4).map(|_| {
        cluster.post(
            0,
            "/a/_rollover",
            json!({"settings": {"number_of_replicas": 0}}),
        )
    });
    let answers = futures::future::join_all(at_once).await;
    let rolled: Vec<&Value> = answers
        .iter()
        .filter(|(status, _)| *status == 200)
        .map(|(_, answer)| &answer["new_index"])
        .collect();
    let indices = ok(cluster.get(0, "/_cat/indices?format=json&h=index")).await;
    assert_eq!(
        indices.as_array().unwrap().len(),
        rolled.len() + 1,
        "{answers:?}"
    );
    // Without a mark the alias moves, and is of one index always.
    let last = ok(cluster.get(0, "/_alias/a")).await;
    let last: Vec<&String> = last.as_object().unwrap().keys().collect();
    assert_eq!(last.len(), 1);
    assert!(rolled.iter().any(|name| **name == json!(last[0])));
    for (status, answer) in &answers {
        assert!([200, 400, 409].contains(status), "{answer}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rolled_over_is_refused() {
    let cluster = Cluster::start(1).await;
    for (name, aliases) in [
        ("a-1", json!({"one": {}, "two": {}})),
        ("b", json!({"two": {}, "odd": {}})),
    ] {
        let index = json!({"settings": {"number_of_replicas": 0}, "aliases": aliases});
        ok(cluster.put(0, &format!("/{name}"), index)).await;
    }
    for (path, body, status, kind, reason) in [
        (
            "/none/_rollover",
            json!({}),
            404,
            "resource_not_found_exception",
            "rollover target [none] does not exist",
        ),
        (
            "/b/_rollover",
            json!({}),
            400,
            "illegal_argument_exception",
            "rollover target is a [concrete index] but one of [alias,data_stream] was expected",
        ),
        (
            "/two/_rollover",
            json!({}),
            400,
            "illegal_argument_exception",
            "rollover target [two] does not point to a write index",
        ),
        (
            "/odd/_rollover",
            json!({}),
            400,
            "illegal_argument_exception",
            "index name [b] does not match pattern '^.*-\\d+$'",
        ),
        (
            "/one/_rollover/Big",
            json!({}),
            400,
            "invalid_index_name_exception",
            "Invalid index name [Big], must be lowercase",
        ),
        (
            "/one/_rollover",
            json!({"foo": 1}),
            400,
            "x_content_parse_exception",
            "[rollover] unknown field [foo]",
        ),
        (
            "/one/_rollover",
            json!({"conditions": {"min_docs": 1}}),
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: at least one max_* rollover condition must be set when using min_* conditions;",
        ),
    ] {
        let (found, answer) = cluster.post(0, path, body).await;
        let error = &answer["error"];
        assert_eq!(
            (found, &error["type"]),
            (status, &json!(kind)),
            "{path}: {answer}"
        );
        let told = error["reason"].as_str().unwrap();
        assert!(told.ends_with(reason), "{path}: {told}");
    }
    let answer = ok(cluster.post(0, "/odd/_rollover/c", json!({}))).await;
    assert_eq!(answer["new_index"], "c");
    let (status, answer) = cluster.post(0, "/one/_rollover/c", json!({})).await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (400, &json!("resource_already_exists_exception"))
    );

    // The right to an alias makes an index named after its own, and no other.
    let role = json!({"indices": [{"names": ["one"], "privileges": ["manage"]}]});
    ok(cluster.put(0, "/_security/role/roller", role)).await;
    let user = json!({"password": "a-long-password", "roles": ["roller"]});
    ok(cluster.put(0, "/_security/user/roller", user)).await;
    let login = Some(("roller", "a-long-password"));
    let send = async |path: &str, body: Value| {
        let answer = cluster
            .send_as(login, 0, ringwall_testkit::Method::POST, path, body)
            .await;
        answer.status.as_u16()
    };
    assert_eq!(send("/one/_rollover/elsewhere", json!({})).await, 403);
    assert_eq!(send("/odd/_rollover", json!({})).await, 403);
    assert_eq!(
        send("/one/_rollover", json!({"aliases": {"other": {}}})).await,
        403
    );
    let conditions = json!({"conditions": {"max_docs": 1_000}});
    assert_eq!(send("/one/_rollover", conditions).await, 200);
    assert_eq!(send("/one/_rollover", json!({})).await, 200);
    cluster.stop().await;
}
