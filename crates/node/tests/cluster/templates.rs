//! Templates make the indices whose names match, on every path that makes one.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

async fn send(cluster: &Cluster, method: Method, path: &str, body: Value) -> Value {
    let (_, body) = cluster.send(0, method, path, body).await;
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indices_are_made_of_templates_their_components_and_the_request() {
    let cluster = Cluster::start(1).await;
    let put = async |path: &str, body: Value| {
        let (status, answer) = cluster.put(0, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    };
    put(
        "/_component_template/c1",
        json!({"template": {
            "settings": {"number_of_shards": 2, "index.number_of_replicas": 0},
            "mappings": {"properties": {"a": {"type": "keyword"}, "o": {"properties": {"x": {"type": "long"}}}}},
            "aliases": {"ct-al": {}},
        }, "version": 3, "_meta": {"d": 1}}),
    )
    .await;
    put(
        "/_component_template/c2",
        json!({"template": {"mappings": {
            "properties": {"a": {"type": "text", "fields": {"k": {"type": "keyword"}}}, "o": {"properties": {"y": {"type": "date"}}}},
            "dynamic_templates": [{"s": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
        }}}),
    )
    .await;
    put(
        "/_index_template/t1",
        json!({"index_patterns": ["tpl-*"], "composed_of": ["c1", "c2"], "priority": 5, "template": {
            "settings": {"refresh_interval": "5s"}, "mappings": {"properties": {"b": {"type": "long"}}},
            "aliases": {"{index}-alias": {}},
        }}),
    )
    .await;
    let (_, shown) = cluster.get(0, "/_index_template/t1").await;
    let expected = json!({"index_templates": [{"name": "t1", "index_template": {
        "index_patterns": ["tpl-*"], "composed_of": ["c1", "c2"], "priority": 5, "template": {
            "settings": {"index": {"refresh_interval": "5s"}}, "mappings": {"properties": {"b": {"type": "long"}}},
            "aliases": {"{index}-alias": {}},
        },
    }}]});
    assert_eq!(shown, expected);

    let index = json!({"settings": {"number_of_shards": 1}, "mappings": {"properties": {"z": {"type": "keyword"}}}});
    put("/tpl-1", index).await;
    let mappings = json!({
        "dynamic_templates": [{"s": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
        "properties": {
            "a": {"type": "text", "fields": {"k": {"type": "keyword"}}}, "b": {"type": "long"},
            "o": {"properties": {"x": {"type": "long"}, "y": {"type": "date"}}}, "z": {"type": "keyword"},
        },
    });
    let (_, made) = cluster.get(0, "/tpl-1").await;
    assert_eq!(made["tpl-1"]["mappings"], mappings);
    assert_eq!(
        made["tpl-1"]["aliases"],
        json!({"ct-al": {}, "tpl-1-alias": {}})
    );
    let settings = &made["tpl-1"]["settings"]["index"];
    assert_eq!(
        (
            &settings["number_of_shards"],
            &settings["number_of_replicas"],
            &settings["refresh_interval"]
        ),
        (&json!("1"), &json!("0"), &json!("5s"))
    );
    // By a write, with a field that a dynamic template defines.
    let bulk = Value::String("{\"index\":{\"_index\":\"tpl-2\"}}\n{\"new\":\"v\"}\n".into());
    let answer = send(&cluster, Method::POST, "/_bulk?refresh=true", bulk).await;
    assert_eq!(answer["errors"], false, "{answer}");
    let (_, made) = cluster.get(0, "/tpl-2").await;
    assert_eq!(
        made["tpl-2"]["mappings"]["properties"]["new"],
        json!({"type": "keyword"})
    );
    assert_eq!(made["tpl-2"]["settings"]["index"]["number_of_shards"], "2");
    let (_, found) = cluster.get(0, "/ct-al/_search").await;
    assert_eq!(found["hits"]["total"]["value"], 1);

    // What would be, without making it.
    put(
        "/_index_template/t2",
        json!({"index_patterns": ["tpl-a*"], "priority": 6}),
    )
    .await;
    let simulated = send(
        &cluster,
        Method::POST,
        "/_index_template/_simulate_index/tpl-9",
        Value::Null,
    )
    .await;
    assert_eq!(
        simulated["template"]["aliases"],
        json!({"ct-al": {}, "tpl-9-alias": {}})
    );
    assert_eq!(
        simulated["overlapping"],
        json!([{"name": "t2", "index_patterns": ["tpl-a*"]}])
    );
    let none = send(
        &cluster,
        Method::POST,
        "/_index_template/_simulate_index/none",
        Value::Null,
    )
    .await;
    assert_eq!(none, json!({}));
    let body = json!({"index_patterns": ["tpl-z*"], "priority": 50, "composed_of": ["c1"]});
    let simulated = send(&cluster, Method::POST, "/_index_template/_simulate", body).await;
    assert_eq!(
        simulated["template"]["settings"]["index"]["number_of_shards"], "2",
        "{simulated}"
    );

    // One that breaks what is made of it is refused.
    let broken = json!({"template": {"mappings": {"properties": {"b": {"properties": {"in": {"type": "nope"}}}}}}});
    assert_eq!(
        cluster.put(0, "/_component_template/c2", broken).await.0,
        400
    );
    for (path, code, part) in [
        (
            "/_component_template/c1",
            400,
            "still in use by index templates [t1]",
        ),
        ("/_component_template/no", 404, "no"),
        ("/_index_template/t1,no", 404, "index_template [no] missing"),
        ("/_template/no*", 404, "index_template [no*] missing"),
    ] {
        let (status, answer) = cluster.delete(0, path).await;
        assert!(
            status == code && answer.to_string().contains(part),
            "{path}: {answer}"
        );
    }
    assert_eq!(cluster.delete(0, "/_index_template/t*").await.0, 200);
    assert_eq!(cluster.get(0, "/_index_template/t1").await.0, 404);
    assert_eq!(cluster.get(0, "/_component_template/x*").await.0, 404);
    assert_eq!(cluster.delete(0, "/_component_template/c*").await.0, 200);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_say_whether_writes_make_indices_and_older_ones_are_laid_over_one_another() {
    let cluster = Cluster::start_with(1, &[("action.auto_create_index", "false")]).await;
    for (name, pattern, allowed) in [("yes", "y-*", true), ("no", "n-*", false)] {
        let template = json!({"index_patterns": [pattern], "allow_auto_create": allowed});
        cluster
            .put(0, &format!("/_index_template/{name}"), template)
            .await;
    }
    assert_eq!(cluster.put(0, "/y-1/_doc/1", json!({"a": 1})).await.0, 201);
    assert_eq!(
        cluster.put(0, "/other/_doc/1", json!({"a": 1})).await.0,
        404
    );
    let (status, answer) = cluster.put(0, "/n-1/_doc/1", json!({"a": 1})).await;
    let reason = "no such index [composable template [n-*] forbids index auto creation]";
    assert!(
        status == 404 && answer.to_string().contains(reason),
        "{answer}"
    );

    let first = json!({"index_patterns": ["leg-*"], "order": 1, "settings": {"number_of_shards": 2},
        "mappings": {"properties": {"a": {"type": "keyword"}}}, "aliases": {"leg-al": {}}});
    let second = json!({"index_patterns": "leg-1*", "settings": {"index": {"number_of_shards": 3}},
        "mappings": {"properties": {"b": {"type": "keyword"}}}, "version": 7});
    cluster.put(0, "/_template/l1", first).await;
    cluster.put(0, "/_template/l2?order=2", second).await;
    let (_, shown) = cluster.get(0, "/_template/l2?flat_settings=true").await;
    let expected = json!({"l2": {"order": 2, "version": 7, "index_patterns": ["leg-1*"],
        "settings": {"index.number_of_shards": "3"}, "mappings": {"properties": {"b": {"type": "keyword"}}}, "aliases": {}}});
    assert_eq!(shown, expected);
    cluster.put(0, "/leg-1", json!({})).await;
    let (_, made) = cluster.get(0, "/leg-1").await;
    let made = &made["leg-1"];
    assert_eq!(made["settings"]["index"]["number_of_shards"], "3");
    assert_eq!(
        made["mappings"]["properties"],
        json!({"a": {"type": "keyword"}, "b": {"type": "keyword"}})
    );
    assert_eq!(made["aliases"], json!({"leg-al": {}}));
    // They outlive a restart.
    let mut cluster = cluster;
    cluster.stop_node(0).await;
    cluster.start_node(0).await;
    cluster.wait_for_nodes(1).await;
    assert_eq!(cluster.get(0, "/_template/l1").await.0, 200);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_described_by_their_paths() {
    let cluster = Cluster::start(1).await;
    let mappings = json!({"mappings": {"properties": {
        "t1": {"type": "text", "fields": {"k": {"type": "keyword"}}},
        "obj": {"properties": {"t1": {"type": "text", "analyzer": "english"}, "n": {"type": "long"}}},
    }}});
    cluster.put(0, "/fm", mappings).await;
    let text = json!({"type": "text", "fields": {"k": {"type": "keyword"}}});
    let field = |path: &str, name: &str, definition: Value| json!({"full_name": path, "mapping": {name: definition}});
    for (path, expected) in [
        (
            "/fm/_mapping/field/t1",
            json!({"t1": field("t1", "t1", text.clone())}),
        ),
        (
            "/_mapping/field/t*",
            json!({"t1": field("t1", "t1", text.clone()), "t1.k": field("t1.k", "k", json!({"type": "keyword"}))}),
        ),
        (
            "/fm/_mapping/field/obj.t1,nope",
            json!({"obj.t1": field("obj.t1", "t1", json!({"type": "text", "analyzer": "english"}))}),
        ),
        ("/fm/_mapping/field/obj", json!({})),
        (
            "/fm/_mapping/field/_id",
            json!({"_id": {"full_name": "_id", "mapping": {}}}),
        ),
    ] {
        let (status, body) = cluster.get(0, path).await;
        assert_eq!(
            (status, &body["fm"]["mappings"]),
            (200, &expected),
            "{path}: {body}"
        );
    }
    assert_eq!(cluster.get(0, "/nope/_mapping/field/t1").await.0, 404);
    assert_eq!(
        cluster.get(0, "/nope*/_mapping/field/t1").await,
        (404, json!({}))
    );
    let (_, body) = cluster
        .get(0, "/fm/_mapping/field/obj.*?include_defaults=true")
        .await;
    let shown = &body["fm"]["mappings"]["obj.t1"]["mapping"]["t1"];
    assert_eq!(
        (
            &shown["analyzer"],
            &shown["search_analyzer"],
            &shown["index"]
        ),
        (&json!("english"), &json!("english"), &json!(true))
    );
    let shown = &body["fm"]["mappings"]["obj.n"]["mapping"]["n"];
    assert_eq!(
        (&shown["coerce"], &shown["doc_values"]),
        (&json!(true), &json!(true))
    );
    cluster.stop().await;
}

/// Each document brings a field of its own: that they are many is no reason to refuse some.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_may_bring_many_new_fields() {
    let cluster = Cluster::start(1).await;
    let mut lines = String::new();
    for n in 0..300 {
        lines += &format!("{{\"index\":{{\"_index\":\"many\"}}}}\n{{\"f{n}\":{n}}}\n");
    }
    let answer = send(&cluster, Method::POST, "/_bulk", Value::String(lines)).await;
    assert_eq!(answer["errors"], false, "{answer}");
    let (_, body) = cluster.get(0, "/many/_mapping").await;
    let fields = body["many"]["mappings"]["properties"].as_object().unwrap();
    assert_eq!(fields.len(), 300);
    // What goes beyond the limit of the index fails by itself, and what does not is there.
    cluster
        .put(
            0,
            "/few",
            json!({"settings": {"index.mapping.total_fields.limit": 20}}),
        )
        .await;
    let mut lines = String::new();
    for n in 0..30 {
        lines += &format!("{{\"index\":{{\"_index\":\"few\"}}}}\n{{\"f{n}\":{n}}}\n");
    }
    let answer = send(&cluster, Method::POST, "/_bulk", Value::String(lines)).await;
    let items = answer["items"].as_array().unwrap();
    let created = items
        .iter()
        .filter(|item| item["index"]["status"] == 201)
        .count();
    assert_eq!(created, 20, "{answer}");
    cluster.stop().await;
}
