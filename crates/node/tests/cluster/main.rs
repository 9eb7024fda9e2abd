//! Documents in a cluster, through its HTTPS interface.

mod acting;
mod administration;
mod aliases;
mod analysis;
mod answers;
mod api_keys;
mod audit;
mod by_query;
mod cat;
mod certificates;
mod close;
mod costly_certificates;
mod disk;
mod field_caps;
mod formats;
mod levels;
mod maintenance;
mod membership;
mod memory;
mod numbers;
mod options;
mod pages;
mod pits;
mod profiles;
mod reads;
mod rejoin;
mod reload_passwords;
mod roles;
mod rolling_tls;
mod rollover;
mod routes;
mod scrolls;
mod settings;
mod storage;
mod tasks;
mod templates;
mod tls_view;
mod tokens;
mod users;

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_written_read_searched_and_deleted() {
    let cluster = Cluster::start(1).await;
    let (status, body) = cluster.get(0, "/").await;
    assert_eq!(
        (status, &body["cluster_name"]),
        (200, &json!("test")),
        "{body}"
    );
    let (status, body) = cluster
        .put(
            0,
            "/books",
            json!({
                "settings": {"number_of_shards": 2, "number_of_replicas": 0},
                "mappings": {"properties": {"title": {"type": "text"}, "year": {"type": "long"}}},
            }),
        )
        .await;
    assert_eq!(
        (status, &body["shards_acknowledged"]),
        (200, &json!(true)),
        "{body}"
    );
    let (status, body) = cluster
        .put(
            0,
            "/books/_doc/1",
            json!({"title": "The Sea", "year": 1970}),
        )
        .await;
    assert_eq!(
        (status, &body["result"]),
        (201, &json!("created")),
        "{body}"
    );
    assert_eq!(body["_version"], 1);
    let (status, body) = cluster.get(0, "/books/_doc/1").await;
    assert_eq!(
        (status, &body["_source"]["year"]),
        (200, &json!(1970)),
        "{body}"
    );
    let lines = "{\"index\":{\"_id\":\"2\"}}\n{\"title\":\"Sea and sand\",\"year\":1999,\"new\":{\"field\":\"x\"}}\n\
                 {\"create\":{\"_id\":\"1\"}}\n{\"title\":\"again\"}\n\
                 {\"update\":{\"_id\":\"1\"}}\n{\"doc\":{\"year\":1971}}\n\
                 {\"delete\":{\"_id\":\"9\"}}\n";
    let (status, body) = cluster
        .post(0, "/books/_bulk?refresh=true", Value::String(lines.into()))
        .await;
    assert_eq!((status, &body["errors"]), (200, &json!(true)), "{body}");
    let statuses: Vec<&Value> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item.as_object().unwrap().values().next().unwrap()["status"])
        .collect();
    assert_eq!(statuses, [201, 409, 200, 404], "{body}");
    let (status, body) = cluster
        .post(
            0,
            "/books/_search",
            json!({
                "query": {"match": {"title": "sea"}},
                "sort": [{"year": "desc"}],
                "aggs": {"years": {"stats": {"field": "year"}}, "x": {"terms": {"field": "new.field.keyword"}}},
            }),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["hits"]["total"], json!({"value": 2, "relation": "eq"}));
    assert_eq!(body["hits"]["hits"][0]["_id"], "2");
    assert_eq!(body["hits"]["hits"][1]["_source"]["year"], 1971);
    assert_eq!(body["aggregations"]["years"]["sum"], 3970.0);
    assert_eq!(body["aggregations"]["x"]["buckets"][0]["key"], "x");
    let (_, body) = cluster.get(0, "/books/_count").await;
    assert_eq!(body["count"], 2);
    let (status, body) = cluster.get(0, "/_cat/indices?format=json").await;
    assert_eq!(
        (status, &body[0]["docs.count"]),
        (200, &json!("2")),
        "{body}"
    );
    for (path, expected) in [
        ("/books/_doc/1?if_seq_no=5", 400),
        ("/books/_create/7?version=1&version_type=external", 400),
        ("/books/_doc/1?if_seq_no=500&if_primary_term=1", 409),
        ("/books/_doc/8?version=12&version_type=external", 201),
        ("/books/_doc/8?version=12&version_type=external", 409),
    ] {
        let (status, body) = cluster.put(0, path, json!({"year": 1})).await;
        assert_eq!(status, expected, "{path}: {body}");
    }
    let (status, _) = cluster.delete(0, "/books/_doc/1?refresh=true").await;
    assert_eq!(status, 200);
    let (status, body) = cluster.get(0, "/books/_doc/1").await;
    assert_eq!((status, &body["found"]), (404, &json!(false)));
    let (status, _) = cluster.delete(0, "/books").await;
    assert_eq!(status, 200);
    let (status, body) = cluster.get(0, "/books/_search").await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (404, &json!("index_not_found_exception"))
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_and_take_over() {
    let mut cluster = Cluster::start(3).await;
    let (status, body) = cluster
        .put(
            1,
            "/logs",
            json!({"settings": {"number_of_shards": 3, "number_of_replicas": 1}}),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    cluster.wait_for_status(0, "green").await;
    let mut lines = String::new();
    for n in 0..200 {
        lines.push_str(&format!(
            "{{\"index\":{{\"_id\":\"{n}\"}}}}\n{{\"n\":{n},\"text\":\"line {n}\"}}\n"
        ));
    }
    let (status, body) = cluster
        .post(2, "/logs/_bulk?refresh=true", Value::String(lines))
        .await;
    assert_eq!((status, &body["errors"]), (200, &json!(false)), "{body}");
    for number in 0..3 {
        let (_, body) = cluster.get(number, "/logs/_count").await;
        assert_eq!(body["count"], 200, "node {number}: {body}");
    }

    cluster.stop_node(1).await;
    cluster.wait_for_nodes(2).await;
    cluster.wait_for_status(0, "yellow").await;
    for n in 200..260 {
        let path = format!("/logs/_doc/{n}");
        let (status, body) = cluster.put(0, &path, json!({"n": n})).await;
        assert_eq!(status, 201, "{body}");
    }
    cluster.start_node(1).await;
    cluster.wait_for_nodes(3).await;
    cluster.wait_for_status(1, "green").await;
    let (_, body) = cluster.post(1, "/logs/_refresh", Value::Null).await;
    assert_eq!(body["_shards"]["failed"], 0, "{body}");

    // What the node that was away holds is complete: the others go.
    let before = counts_by_copy(&cluster, 1).await;
    assert!(
        before
            .iter()
            .all(|(_, counts)| counts.windows(2).all(|w| w[0] == w[1])),
        "{before:?}"
    );
    assert_eq!(
        before.iter().map(|(_, counts)| counts[0]).sum::<u64>(),
        260,
        "{before:?}"
    );
    cluster.stop().await;
}

/// Documents in each copy of each shard.
async fn counts_by_copy(cluster: &Cluster, number: usize) -> Vec<(String, Vec<u64>)> {
    let (_, rows) = cluster
        .get(number, "/_cat/shards/logs?format=json&h=shard,docs,prirep")
        .await;
    let mut shards: Vec<(String, Vec<u64>)> = Vec::new();
    for row in rows.as_array().unwrap() {
        let shard = row["shard"].as_str().unwrap().to_owned();
        let docs = row["docs"].as_str().unwrap_or("0").parse().unwrap();
        match shards.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, counts)) => counts.push(docs),
            None => shards.push((shard, vec![docs])),
        }
    }
    shards
}
