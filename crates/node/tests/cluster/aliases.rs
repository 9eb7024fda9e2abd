//! Aliases, through the HTTPS interface.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

/// A name stands for one thing: an index, or an alias of indices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_aliases_are_checked_and_taken_once() {
    let cluster = Cluster::start(1).await;
    let create = async |index: &str, aliases: Value| {
        let path = format!("/{index}");
        cluster.put(0, &path, json!({"aliases": aliases})).await
    };
    let (status, body) = create("base", json!({"w": {"is_write_index": true}})).await;
    assert_eq!(status, 200, "{body}");
    for (index, aliases, status, kind, reason) in [
        (
            "n",
            json!({"base": {}}),
            400,
            "invalid_alias_name_exception",
            "Invalid alias name [base]: an index or data stream exists with the same name as the alias",
        ),
        (
            "n",
            json!({"a*": {}}),
            400,
            "invalid_alias_name_exception",
            "Invalid alias name [a*]: must not contain the following characters \
          [' ','\"','*',',','/','<','>','?','\\','|']",
        ),
        (
            "n",
            json!({"_all": {}}),
            400,
            "invalid_alias_name_exception",
            "Invalid alias name [_all]: must not start with '_', '-', or '+'",
        ),
        (
            "n",
            json!({"": {}}),
            400,
            "illegal_argument_exception",
            "alias name is required",
        ),
        (
            "n",
            json!({"n": {}}),
            400,
            "illegal_argument_exception",
            "alias name [n] self-conflicts with index name",
        ),
        (
            "n",
            json!({"w": {"is_write_index": true}}),
            500,
            "illegal_state_exception",
            "alias [w] has more than one write index [base,n]",
        ),
        (
            "n",
            json!({"w": {"is_hidden": true}}),
            500,
            "illegal_state_exception",
            "alias [w] has is_hidden set to true on indices [n] but does not have is_hidden set to true on indices \
          [base]; alias must have the same is_hidden setting on all indices",
        ),
        (
            "n",
            json!({"a": {"x": 1}}),
            400,
            "illegal_argument_exception",
            "Unknown field [x] in alias [a]",
        ),
        (
            "n",
            json!([]),
            400,
            "parse_exception",
            "key [aliases] must be an object",
        ),
        (
            "w",
            json!({}),
            400,
            "invalid_index_name_exception",
            "Invalid index name [w], already exists as alias",
        ),
    ] {
        let (answered, body) = create(index, aliases.clone()).await;
        let error = &body["error"];
        assert_eq!(
            (answered, error["type"].as_str(), error["reason"].as_str()),
            (status, Some(kind), Some(reason)),
            "{index} {aliases}: {body}"
        );
        assert_eq!(cluster.get(0, "/n").await.0, 404);
    }
    // A refused index leaves nothing behind, and a write to the alias goes to its index.
    let (status, body) = cluster.put(0, "/w/_doc/1", json!({"k": "x"})).await;
    assert_eq!((status, &body["_index"]), (201, &json!("base")), "{body}");
    cluster.stop().await;
}
