//! The page of a search over shards of several nodes.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

/// Every document has so many bytes: those of a node have no place in one message.
const BYTES: usize = 400 << 10;
const DOCS: usize = 12;

async fn filled() -> Cluster {
    let limits = [
        ("http.max_content_length", "1mb"),
        ("transport.max_message_size", "2mb"),
    ];
    let cluster = Cluster::start_with(2, &limits).await;
    let settings = json!({"settings": {"number_of_shards": 16, "number_of_replicas": 0}});
    let (status, body) = cluster.put(0, "/long", settings).await;
    assert_eq!(status, 200, "{body}");
    for id in 0..DOCS {
        let document = json!({"n": id, "text": "x".repeat(BYTES)});
        let (status, body) = cluster.put(0, &format!("/long/_doc/{id}"), document).await;
        assert_eq!(status, 201, "{body}");
    }
    let (status, body) = cluster.post(0, "/long/_refresh", Value::Null).await;
    assert_eq!(status, 200, "{body}");
    cluster
}

async fn search(cluster: &Cluster, node: usize, body: Value) -> (u16, Value) {
    let path = "/long/_search?allow_partial_search_results=false";
    cluster.post(node, path, body).await
}

/// Waits until no searcher is between its phases; of what is not ended one waits for minutes.
async fn nothing_is_open(cluster: &Cluster) {
    loop {
        let (_, stats) = cluster.get(0, "/long/_stats/search").await;
        if stats["_all"]["total"]["search"]["open_contexts"] == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_too_long_for_one_message_comes_in_several() {
    let cluster = filled().await;
    for node in 0..2 {
        let body = json!({"size": DOCS, "sort": ["n"]});
        let (status, page) = search(&cluster, node, body).await;
        assert_eq!(status, 200, "{}", page["error"]);
        let hits = page["hits"]["hits"].as_array().unwrap();
        let found: Vec<&Value> = hits.iter().map(|hit| &hit["_source"]["n"]).collect();
        assert_eq!(json!(found), json!((0..DOCS).collect::<Vec<_>>()));
        nothing_is_open(&cluster).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_open_of_what_is_not_in_the_page() {
    let cluster = filled().await;
    for (size, status) in [(1, 200), (2, 200), (0, 200)] {
        let (answered, page) = search(&cluster, 1, json!({"size": size, "sort": ["n"]})).await;
        assert_eq!(answered, status, "{page}");
        nothing_is_open(&cluster).await;
    }
    // A search that fails between its phases: each shard has few buckets, all of them have too many.
    let buckets = json!({"persistent": {"search.max_buckets": 3}});
    let (status, body) = cluster.put(0, "/_cluster/settings", buckets).await;
    assert_eq!(status, 200, "{body}");
    let aggregation = json!({"size": 5, "aggs": {"n": {"terms": {"field": "n", "size": 20}}}});
    let (status, answer) = search(&cluster, 1, aggregation).await;
    let cause = &answer["error"]["type"];
    assert!(
        status >= 400 && cause == "too_many_buckets_exception",
        "{answer}"
    );
    nothing_is_open(&cluster).await;
    cluster.stop().await;
}
