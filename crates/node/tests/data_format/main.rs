//! Data paths of earlier versions open, whole: the format of files never changes unseen.
//!
//! `format-1.tar.gz` was written by version 0.1.0, of one node that was killed: documents 1 to 5 in a commit, then 2
//! indexed again, 3 deleted and 6 indexed, all in the translog only; and one cluster setting. A fixture is never made anew.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http::Method;
use ringwall_node::node::Node;
use ringwall_rest::http_client::HttpClient;
use ringwall_settings::Settings;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_path_of_format_1_opens_whole() {
    let home = tempfile::tempdir().unwrap();
    unpack("format-1.tar.gz", home.path());
    let node = start(home.path()).await;
    let client = client(&node);
    let health = "/_cluster/health/books?wait_for_status=green&timeout=60s";
    let (_, health) = get(&client, health).await;
    assert_eq!(health["timed_out"], false, "{health}");
    // A version without keys wrote it; the node is known by one from now on.
    let local = node.local();
    let known = node.cluster().state().known_nodes.clone();
    assert_eq!(known.get(&local.id).map(|known| known.key), local.key);
    let (_, root) = get(&client, "/").await;
    assert_eq!(root["cluster_uuid"], "3WkcW-gIqYgsUTA56XreZA");
    for (id, title, version) in [
        ("1", "book number 1", 1),
        ("2", "second again", 2),
        ("6", "after the flush", 1),
    ] {
        let (status, document) = get(&client, &format!("/books/_doc/{id}")).await;
        assert_eq!(status, 200, "{document}");
        assert_eq!(document["_source"]["title"], title);
        assert_eq!(document["_version"], version);
    }
    assert_eq!(get(&client, "/books/_doc/3").await.0, 404);
    send(&client, Method::POST, "/books/_refresh", Value::Null).await;
    let search = json!({"query": {"match": {"title": "again"}}, "track_total_hits": true});
    let (_, found) = send(&client, Method::POST, "/books/_search", search).await;
    assert_eq!(found["hits"]["total"]["value"], 1, "{found}");
    assert_eq!(get(&client, "/books/_count").await.1["count"], 5);
    let (_, settings) = get(&client, "/_cluster/settings?flat_settings=true").await;
    let limit = &settings["persistent"]["indices.recovery.max_bytes_per_sec"];
    assert_eq!(limit, "50mb", "{settings}");
    // And goes on.
    let (status, written) = send(&client, Method::PUT, "/books/_doc/3", json!({})).await;
    assert_eq!(status, 201, "{written}");
    node.stop().await;
    let node = start(home.path()).await;
    let client = self::client(&node);
    get(
        &client,
        "/_cluster/health/books?wait_for_status=green&timeout=60s",
    )
    .await;
    assert_eq!(get(&client, "/books/_doc/3").await.0, 200);
    node.stop().await;
}

/// A version that came after this one is refused with words, and nothing is touched.
#[tokio::test]
async fn a_data_path_of_a_later_format_is_refused() {
    let home = tempfile::tempdir().unwrap();
    unpack("format-1.tar.gz", home.path());
    let later = r#"{"format": 1000, "written_by": "9.9.9"}"#;
    std::fs::write(home.path().join("data/_state/format"), later).unwrap();
    let Err(error) = Node::start(settings(home.path()), home.path()).await else {
        panic!("started");
    };
    let error = error.to_string();
    assert!(
        error.contains("has format [1000], written by version [9.9.9]"),
        "{error}"
    );
    assert!(
        error.contains("start the node with that version or a later one"),
        "{error}"
    );
}

fn unpack(fixture: &str, home: &Path) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data_format")
        .join(fixture);
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(file)
        .arg("-C")
        .arg(home)
        .status();
    assert!(unpacked.unwrap().success());
}

fn settings(home: &Path) -> Settings {
    let yml = "cluster.name: fixture\nnode.name: node-1\ndiscovery.type: single-node\nhttp.port: 0\n\
               transport.port: 0\nxpack.security.enabled: false\n";
    let config = home.join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    Settings::load(&config, &[], None).unwrap()
}

async fn start(home: &Path) -> Node {
    let node = Node::start(settings(home), home).await.unwrap();
    let led = node.wait_until(WITHIN, |state| !state.nodes.is_empty());
    assert!(led.await);
    node
}

fn client(node: &Node) -> HttpClient {
    let url = format!("http://{}", node.http_addresses()[0]);
    HttpClient::new(&url, None, None).unwrap()
}

async fn get(client: &HttpClient, path: &str) -> (u16, Value) {
    send(client, Method::GET, path, Value::Null).await
}

async fn send(client: &HttpClient, method: Method, path: &str, body: Value) -> (u16, Value) {
    let (kind, text) = match body {
        Value::Null => (None, String::new()),
        body => (Some("application/json"), body.to_string()),
    };
    let response = client.request(method, path, kind, text).await.unwrap();
    (response.status.as_u16(), response.json())
}

const WITHIN: Duration = Duration::from_secs(120);
