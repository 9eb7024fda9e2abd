//! Memory that requests hold, over whole nodes: refused beyond the limits, told, and given back.

use ringwall_testkit::{Cluster, WITHIN};
use serde_json::{Value, json};

/// Returns the breakers of a node and its indexing pressure.
async fn stats(cluster: &Cluster, node: usize) -> (Value, Value) {
    let (status, stats) = cluster
        .get(node, "/_nodes/_local/stats/breaker,indexing_pressure")
        .await;
    assert_eq!(status, 200, "{stats}");
    let (_, own) = stats["nodes"].as_object().unwrap().iter().next().unwrap();
    assert!(own["fs"].is_null(), "only what was asked for: {own}");
    (
        own["breakers"].clone(),
        own["indexing_pressure"]["memory"].clone(),
    )
}

/// Waits until nothing is charged on a node but for the question itself.
async fn settled(cluster: &Cluster, node: usize) {
    let until = tokio::time::Instant::now() + WITHIN;
    loop {
        let (breakers, pressure) = stats(cluster, node).await;
        let held = [
            &breakers["request"]["estimated_size_in_bytes"],
            &breakers["inflight_requests"]["estimated_size_in_bytes"],
            &pressure["current"]["all_in_bytes"],
            &pressure["current"]["coordinating_in_bytes"],
        ];
        if held.iter().all(|bytes| **bytes == 0) {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{breakers} {pressure}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_charged_and_refused_beyond_the_limit() {
    let cluster = Cluster::start(1).await;
    let long = "x".repeat(20_000);
    for n in 0..20 {
        let path = format!("/docs/_doc/{n}?refresh=true");
        let (status, answer) = cluster.put(0, &path, json!({"n": n, "t": long})).await;
        assert_eq!(status, 201, "{answer}");
    }
    let wide = json!({"size": 20, "query": {"terms": {"n": (0..500).collect::<Vec<u32>>()}}});
    let (status, answer) = cluster.post(0, "/docs/_search", wide.clone()).await;
    assert_eq!(status, 200, "{answer}");
    settled(&cluster, 0).await;

    for (limit, words) in [
        // The hits are too much; the query is not.
        ("300kb", "data for [<search>]"),
        ("20kb", "data for [<parsed_request>]"),
    ] {
        let settings = json!({"transient": {"indices.breaker.request.limit": limit}});
        let (status, answer) = cluster.put(0, "/_cluster/settings", settings).await;
        assert_eq!(status, 200, "{answer}");
        let (status, refused) = cluster.post(0, "/docs/_search", wide.clone()).await;
        assert_eq!(status, 429, "{refused}");
        let text = refused.to_string();
        assert!(text.contains("circuit_breaking_exception"), "{text}");
        assert!(text.contains(words), "{text}");
        assert!(
            text.contains("bytes_wanted") && text.contains("bytes_limit"),
            "{text}"
        );
        settled(&cluster, 0).await;
    }
    // One small request for the same documents again and again.
    let limit = json!({"transient": {"indices.breaker.request.limit": "300kb"}});
    assert_eq!(cluster.put(0, "/_cluster/settings", limit).await.0, 200);
    let ids: Vec<&str> = vec!["1"; 30];
    let (status, refused) = cluster.post(0, "/docs/_mget", json!({"ids": ids})).await;
    assert_eq!(status, 200, "{refused}");
    let text = refused["docs"][0].to_string();
    assert!(text.contains("data for [<documents>]"), "{text}");
    settled(&cluster, 0).await;
    let (breakers, _) = stats(&cluster, 0).await;
    assert!(
        breakers["request"]["tripped"].as_u64() >= Some(2),
        "{breakers}"
    );
    assert_eq!(breakers["request"]["limit_size"], "300kb");
    assert_eq!(breakers["inflight_requests"]["overhead"], 2.0);
    assert!(breakers["parent"]["limit_size_in_bytes"].as_u64() > Some(0));
    let reset = json!({"transient": {"indices.breaker.request.limit": null}});
    assert_eq!(cluster.put(0, "/_cluster/settings", reset).await.0, 200);
    assert_eq!(cluster.post(0, "/docs/_search", wide).await.0, 200);
    settled(&cluster, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_count_at_every_stage_and_end() {
    let cluster = Cluster::start(2).await;
    for n in 0..10 {
        let path = format!("/docs/_doc/{n}?wait_for_active_shards=all");
        let (status, answer) = cluster.put(n % 2, &path, json!({"n": n})).await;
        assert_eq!(status, 201, "{answer}");
    }
    let mut replicas = 0;
    for node in 0..2 {
        settled(&cluster, node).await;
        let (_, pressure) = stats(&cluster, node).await;
        assert!(pressure["limit_in_bytes"].as_u64() > Some(0), "{pressure}");
        let coordinating = pressure["total"]["coordinating_in_bytes"].as_u64().unwrap();
        assert!(coordinating > 0, "{pressure}");
        replicas += pressure["total"]["replica_in_bytes"].as_u64().unwrap();
    }
    assert!(replicas > 0, "the copy took the writes");
}
