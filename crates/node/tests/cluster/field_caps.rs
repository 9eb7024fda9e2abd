//! What can be done with the fields of several indices.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

async fn ok(answer: impl Future<Output = (u16, Value)>) -> Value {
    let (status, answer) = answer.await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn caps(type_name: &str, searchable: bool, aggregatable: bool) -> Value {
    json!({"type": type_name, "metadata_field": false, "searchable": searchable, "aggregatable": aggregatable})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_told_with_where_they_differ() {
    let cluster = Cluster::start(1).await;
    let first = json!({"properties": {
        "t": {"type": "text", "fields": {"k": {"type": "keyword"}}},
        "n": {"type": "long"},
        "o": {"properties": {"x": {"type": "date"}, "y": {"type": "wildcard"}}},
        "d": {"type": "keyword", "doc_values": false},
        "b": {"type": "binary"},
        "s": {"type": "keyword", "index": false, "doc_values": false},
    }});
    let second = json!({"properties": {
        "n": {"type": "keyword"}, "d": {"type": "keyword"}, "t": {"type": "text"}, "s": {"type": "keyword"},
    }});
    for (name, mappings) in [("fc1", first), ("fc2", second)] {
        let index = json!({"settings": {"number_of_replicas": 0}, "mappings": mappings});
        ok(cluster.put(0, &format!("/{name}"), index)).await;
    }
    let get = async |path: &str| ok(cluster.get(0, path)).await;

    let all = get("/fc1/_field_caps?fields=*&filters=-metadata").await;
    let fields = all["fields"].as_object().unwrap();
    let names: Vec<&String> = fields.keys().collect();
    assert_eq!(names, ["b", "d", "n", "o", "o.x", "o.y", "s", "t", "t.k"]);
    for (name, type_name, searchable, aggregatable) in [
        ("b", "binary", false, false),
        ("d", "keyword", true, false),
        ("n", "long", true, true),
        ("o", "object", false, false),
        ("o.x", "date", true, true),
        ("o.y", "keyword", true, true),
        ("s", "keyword", false, false),
        ("t", "text", true, false),
        ("t.k", "keyword", true, true),
    ] {
        let expected = json!({type_name: caps(type_name, searchable, aggregatable)});
        assert_eq!(fields[name], expected, "{name}");
    }
    let names = async |path: &str| {
        let found = get(path).await;
        let names = found["fields"].as_object().unwrap().keys();
        names.cloned().collect::<Vec<String>>().join(",")
    };
    let found =
        names("/fc1/_field_caps?fields=*&filters=-metadata,-parent,-multifield,-nested").await;
    assert_eq!(found, "b,d,n,o.x,o.y,s,t");
    assert_eq!(
        names("/fc1/_field_caps?fields=o*,nothing").await,
        "o,o.x,o.y"
    );
    assert_eq!(names("/fc1/_field_caps?fields=*&types=long").await, "n,o");
    let metadata = get("/fc1/_field_caps?fields=*&filters=%2Bmetadata").await;
    let id = json!({"_id": {"type": "_id", "metadata_field": true, "searchable": true, "aggregatable": false}});
    assert_eq!(metadata["fields"]["_id"], id);

    let both = get("/fc1,fc2/_field_caps?fields=n,t,d,s").await;
    let mut keyword = caps("keyword", true, true);
    keyword["indices"] = json!(["fc2"]);
    let mut long = caps("long", true, true);
    long["indices"] = json!(["fc1"]);
    let mut partly = caps("keyword", true, false);
    partly["non_aggregatable_indices"] = json!(["fc1"]);
    let mut nowhere = caps("keyword", false, false);
    nowhere["non_searchable_indices"] = json!(["fc1"]);
    nowhere["non_aggregatable_indices"] = json!(["fc1"]);
    let expected = json!({"indices": ["fc1", "fc2"], "fields": {
        "n": {"keyword": keyword, "long": long}, "t": {"text": caps("text", true, false)},
        "d": {"keyword": partly}, "s": {"keyword": nowhere},
    }});
    assert_eq!(both, expected);

    let unmapped = get("/fc*/_field_caps?fields=b,zz&include_unmapped").await;
    let mut binary = caps("binary", false, false);
    binary["indices"] = json!(["fc1"]);
    let mut missing = caps("unmapped", false, false);
    missing["indices"] = json!(["fc2"]);
    assert_eq!(
        unmapped["fields"],
        json!({"b": {"binary": binary, "unmapped": missing}})
    );

    let (_, answer) = cluster
        .post(0, "/fc1/_field_caps", json!({"fields": ["n"]}))
        .await;
    assert_eq!(
        answer["fields"],
        json!({"n": {"long": caps("long", true, true)}})
    );
    assert_eq!(
        get("/none*/_field_caps?fields=n").await,
        json!({"indices": [], "fields": {}})
    );
    for (path, body, reason) in [
        (
            "/fc1/_field_caps",
            json!({}),
            "Validation Failed: 1: no fields specified;",
        ),
        (
            "/fc1/_field_caps?fields=n",
            json!({"fields": ["n"]}),
            "can't specify a request body and [fields] request parameter",
        ),
        (
            "/fc1/_field_caps?fields=n&filters=foo",
            json!({}),
            "Unknown field caps filter [foo]",
        ),
        (
            "/fc1/_field_caps?fields=n",
            json!({"index_filter": {}}),
            "[index_filter] is not supported",
        ),
        (
            "/none/_field_caps?fields=n",
            json!({}),
            "no such index [none]",
        ),
    ] {
        let (status, answer) = cluster.post(0, path, body).await;
        assert!([400, 404].contains(&status), "{path}: {answer}");
        let told = answer["error"]["reason"].as_str().unwrap();
        assert!(told.starts_with(reason), "{path}: {told}");
    }
    cluster.stop().await;
}
