//! Numbers keep their value and their text, whichever way they take.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use ringwall_base::json;
use ringwall_testkit::{Method, PASSWORD};

use super::*;

/// Doubles of 17 digits, integers beyond 64 bits, and decimals as people write them.
fn numbers() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let texts = prop_oneof![
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|number| format!("{number:.16e}").replace('e', "E")),
        "-?[1-9][0-9]{2}\\.[0-9]{15}",
        "-?[1-9][0-9]{18,25}",
        "-?(0|[1-9][0-9]{0,4})\\.[0-9]{0,3}0",
        Just("-0".to_owned()),
        Just("-0.0".to_owned()),
        Just("1e5".to_owned()),
    ];
    let list = prop::collection::vec(texts, 80);
    let mut numbers = list.new_tree(&mut runner).unwrap().current();
    numbers.sort();
    numbers.dedup();
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_keep_their_text() {
    let cluster = Cluster::start(1).await;
    let (status, body) = cluster
        .put(
            0,
            "/n",
            json!({
                "settings": {"number_of_shards": 1, "number_of_replicas": 0},
                "mappings": {"dynamic": false, "properties": {
                    "k": {"type": "keyword"},
                    "d": {"type": "double"},
                }},
            }),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    let numbers = numbers();
    let mut bulk = String::new();
    for number in &numbers {
        // The number is the id, too: no two of them are one document.
        bulk.push_str(&format!("{{\"index\":{{\"_id\":{number}}}}}\n"));
        bulk.push_str(&format!(
            "{{\"k\":{number},\"d\":{number},\"o\":{{\"u\":[{number}]}}}}\n"
        ));
    }
    let (status, body) = cluster
        .post(0, "/n/_bulk?refresh=true", Value::String(bulk))
        .await;
    assert_eq!((status, &body["errors"]), (200, &json!(false)), "{body}");

    let text = async |method: Method, path: &str, body: Value| {
        let login = Some(("elastic", PASSWORD));
        let response = cluster.send_as(login, 0, method, path, body).await;
        assert_eq!(response.status.as_u16(), 200, "{path}");
        String::from_utf8(response.body.to_vec()).unwrap()
    };
    for number in &numbers {
        let document = format!("{{\"k\":{number},\"d\":{number},\"o\":{{\"u\":[{number}]}}}}");
        let source = text(Method::GET, &format!("/n/_source/{number}"), Value::Null).await;
        assert_eq!(source, document);
        let filtered = format!("/n/_source/{number}?_source_includes=o");
        let filtered = text(Method::GET, &filtered, Value::Null).await;
        assert_eq!(filtered, format!("{{\"o\":{{\"u\":[{number}]}}}}"));
        // An update of another field leaves every number as it was.
        let path = format!("/n/_update/{number}?refresh=true&_source=true");
        let update = text(Method::POST, &path, json!({"doc": {"new": 1}})).await;
        let updated = document.replace("]}}", "]},\"new\":1}");
        assert!(
            update.contains(&format!("\"_source\":{updated}")),
            "{update}"
        );
        let source = text(Method::GET, &format!("/n/_source/{number}"), Value::Null).await;
        assert_eq!(source, updated);
        // The same value in other words is no change.
        let other = format!("{{\"doc\":{{\"d\":{}}}}}", in_other_words(number));
        let other = json::parse(other.as_bytes()).unwrap();
        let again = text(Method::POST, &format!("/n/_update/{number}"), other).await;
        assert!(again.contains("\"result\":\"noop\""), "{number}: {again}");
        // The keyword holds the text, and shows it.
        let search = json!({
            "query": {"term": {"k": number}},
            "fields": ["k"],
            "docvalue_fields": ["k", "d"],
            "aggs": {"k": {"terms": {"field": "k"}}},
        });
        let found = text(Method::POST, "/n/_search", search).await;
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["hits"]["total"]["value"], 1, "{number}: {found}");
        let hit = &found["hits"]["hits"][0];
        assert_eq!(hit["_id"], json!(number));
        assert_eq!(hit["fields"]["k"], json!([number]));
        let double: f64 = number.parse().unwrap();
        let shown = hit["fields"]["d"][0].as_f64().unwrap();
        assert_eq!(shown, double, "{number}");
        let bucket = &found["aggregations"]["k"]["buckets"][0];
        assert_eq!(bucket["key"], json!(number));
    }
    cluster.stop().await;
}

/// The same double or integer in another text.
fn in_other_words(number: &str) -> String {
    match number {
        "-0" => "0".to_owned(),
        whole if json::is_whole(whole) => whole.to_owned(),
        decimal if decimal.contains(['e', 'E']) => decimal.replace('E', "e"),
        decimal => format!("{decimal}00"),
    }
}

/// What Elasticsearch takes beyond the standard is taken, and kept as plain JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_byte_order_marks_and_lone_surrogates_are_taken() {
    let cluster = Cluster::start(1).await;
    let bulk = concat!(
        "\u{feff}{\"index\":{\"_index\":\"l\",\"_id\":\"1\" /* c */}}\n",
        "\u{feff}{\"a\":\"x\\ud800y\", // tail\r\n",
        "// a line of its own\n",
        "{\"index\":{\"_index\":\"l\",\"_id\":\"2\"}}\n",
        "{\"a\":\"http://x/*y*/\"/**/}\n",
    )
    .replace(", // tail\r", " /* tail */ }\r");
    let (status, body) = cluster.post(0, "/_bulk", Value::String(bulk)).await;
    assert_eq!((status, &body["errors"]), (200, &json!(false)), "{body}");
    let (_, first) = cluster.get(0, "/l/_source/1").await;
    assert_eq!(first, json!({"a": "x\u{fffd}y"}));
    let (_, second) = cluster.get(0, "/l/_source/2").await;
    assert_eq!(second, json!({"a": "http://x/*y*/"}));
    cluster.stop().await;
}
