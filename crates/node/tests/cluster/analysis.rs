//! Analyzers that the settings of an index define.

use ringwall_testkit::Cluster;
use serde_json::{Value, json};

/// The ids that a node finds, which asks its own copy.
async fn found(cluster: &Cluster, node: usize, query: &Value) -> Vec<String> {
    let (status, answer) = cluster
        .post(node, "/shop/_search", json!({"query": query}))
        .await;
    assert_eq!(status, 200, "{query}: {answer}");
    let hits = answer["hits"]["hits"].as_array().unwrap().iter();
    let mut ids: Vec<String> = hits
        .map(|hit| hit["_id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

async fn tokens(cluster: &Cluster, path: &str, body: Value) -> Vec<String> {
    let (status, answer) = cluster.post(0, path, body.clone()).await;
    assert_eq!(status, 200, "{body}: {answer}");
    let tokens = answer["tokens"].as_array().unwrap().iter();
    tokens
        .map(|token| token["token"].as_str().unwrap().to_owned())
        .collect()
}

fn shop() -> Value {
    json!({
        "settings": {"number_of_shards": 1, "number_of_replicas": 0, "max_ngram_diff": 8, "analysis": {
            "analyzer": {
                "prefixes": {"tokenizer": "standard", "filter": ["lowercase", "edges"]},
                "same": {"tokenizer": "standard", "filter": ["lowercase", "same"]},
                "html": {"tokenizer": "standard", "char_filter": "html_strip", "filter": ["lowercase", "stemmer"]},
            },
            "filter": {
                "edges": {"type": "edge_ngram", "min_gram": 2, "max_gram": 8},
                "same": {"type": "synonym", "synonyms": ["laptop, notebook", "tv => television set"]},
            },
        }},
        "mappings": {"properties": {
            "name": {"type": "text", "analyzer": "prefixes", "search_analyzer": "standard"},
            "kind": {"type": "text", "analyzer": "standard", "search_analyzer": "same"},
            "page": {"type": "text", "analyzer": "html"},
        }},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_has_analyzers_of_its_own() {
    let cluster = Cluster::start(2).await;
    let (status, answer) = cluster.put(0, "/shop", shop()).await;
    assert_eq!(status, 200, "{answer}");
    for (id, name, kind, page) in [
        ("1", "Thinking Pad", "a notebook", "<p>the <b>fox</b>es</p>"),
        ("2", "Bravia", "television set", "jumping"),
        ("3", "Set", "television", "<jumped>fox"),
    ] {
        let document = json!({"name": name, "kind": kind, "page": page});
        let (status, answer) = cluster
            .put(0, &format!("/shop/_doc/{id}?refresh=true"), document)
            .await;
        assert_eq!(status, 201, "{answer}");
    }
    // A copy that opens later has the analyzers, too, and a field that comes later.
    let more = json!({"properties": {"count": {"type": "token_count", "analyzer": "prefixes"},
        "code": {"type": "keyword", "normalizer": "lowercase"}}});
    let (status, answer) = cluster.put(1, "/shop/_mapping", more).await;
    assert_eq!(status, 200, "{answer}");
    let replicas = json!({"index": {"number_of_replicas": 1}});
    let (status, answer) = cluster.put(0, "/shop/_settings", replicas).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = cluster
        .get(0, "/_cluster/health/shop?wait_for_status=green&timeout=60s")
        .await;
    assert_eq!(status, 200, "{answer}");
    let document = json!({"name": "Third Thing", "count": "Thinking Pad", "code": "AB"});
    let (status, answer) = cluster.put(0, "/shop/_doc/4?refresh=true", document).await;
    assert_eq!(status, 201, "{answer}");
    for (query, expected) in [
        (json!({"match": {"name": "third"}}), vec!["4"]),
        (json!({"term": {"count": 2}}), vec!["4"]),
        (json!({"term": {"code": "Ab"}}), vec!["4"]),
        (json!({"match": {"name": "think"}}), vec!["1"]),
        (json!({"match": {"name": "hin"}}), vec![]),
        (json!({"match": {"kind": "laptop"}}), vec!["1"]),
        (
            json!({"match": {"kind": {"query": "a laptop", "operator": "and"}}}),
            vec!["1"],
        ),
        (json!({"match_phrase": {"kind": "a laptop"}}), vec!["1"]),
        (
            json!({"match": {"kind": {"query": "tv", "operator": "and"}}}),
            vec!["2"],
        ),
        (
            json!({"match": {"kind": {"query": "laptop", "analyzer": "standard"}}}),
            vec![],
        ),
        (json!({"match": {"page": "foxes"}}), vec!["1", "3"]),
        (json!({"match": {"page": "jump"}}), vec!["2"]),
        (
            json!({"query_string": {"query": "page:JUMPS", "analyzer": "html"}}),
            vec!["2"],
        ),
    ] {
        for node in 0..2 {
            assert_eq!(
                found(&cluster, node, &query).await,
                expected,
                "{node}: {query}"
            );
        }
    }

    // The copies agree, and the settings are shown as they were given.
    let (_, shown) = cluster.get(1, "/shop/_settings").await;
    let analysis = &shown["shop"]["settings"]["index"]["analysis"];
    assert_eq!(
        analysis["analyzer"]["prefixes"]["filter"],
        json!(["lowercase", "edges"])
    );
    assert_eq!(analysis["filter"]["edges"]["max_gram"], "8");
    let (_, shown) = cluster.get(1, "/shop/_mapping").await;
    let name = &shown["shop"]["mappings"]["properties"]["name"];
    assert_eq!(
        name,
        &json!({"type": "text", "analyzer": "prefixes", "search_analyzer": "standard"})
    );

    for (body, expected) in [
        (
            json!({"analyzer": "same", "text": "TV"}),
            vec!["television", "set"],
        ),
        (
            json!({"field": "page", "text": "<b>Foxes</b>"}),
            vec!["fox"],
        ),
        (json!({"field": "none", "text": "A b"}), vec!["a", "b"]),
        (
            json!({"normalizer": "lowercase", "text": ["A b"]}),
            vec!["a b"],
        ),
        (
            json!({"tokenizer": "keyword", "filter": ["edges"], "text": "abc"}),
            vec!["ab", "abc"],
        ),
        (
            json!({"tokenizer": "whitespace", "filter": [{"type": "length", "min": 2}], "text": "a bc"}),
            vec!["bc"],
        ),
    ] {
        assert_eq!(
            tokens(&cluster, "/shop/_analyze", body.clone()).await,
            expected,
            "{body}"
        );
    }
    assert_eq!(
        tokens(&cluster, "/_analyze", json!({"text": "A b"})).await,
        ["a", "b"]
    );
    let body = json!({"tokenizer": "standard", "filter": ["lowercase"], "text": ["É b", "C"], "explain": true});
    let (_, answer) = cluster.post(0, "/_analyze", body).await;
    let detail = &answer["detail"];
    assert_eq!(
        detail["tokenizer"]["tokens"][0]["bytes"], "[c3 89]",
        "{answer}"
    );
    let last = json!({"token": "c", "start_offset": 4, "end_offset": 5, "type": "<ALPHANUM>", "position": 102,
        "bytes": "[63]", "positionLength": 1, "termFrequency": 1});
    assert_eq!(detail["tokenfilters"][0]["tokens"][2], last, "{answer}");
    for (path, body, status) in [
        ("/_analyze", json!({"analyzer": "same", "text": "a"}), 400),
        ("/_analyze", json!({"analyzer": "standard"}), 400),
        ("/_analyze", json!({"field": "a", "text": "a"}), 400),
        (
            "/shop/_analyze",
            json!({"analyzer": "standard", "filter": ["lowercase"], "text": "a"}),
            400,
        ),
        (
            "/shop/_analyze",
            json!({"tokenizer": "nope", "text": "a"}),
            400,
        ),
        ("/none/_analyze", json!({"text": "a"}), 404),
    ] {
        let (answered, answer) = cluster.post(0, path, body.clone()).await;
        assert_eq!(answered, status, "{body}: {answer}");
    }
    // A text of which the analyzer makes too much is refused before it is acknowledged.
    let bounded = json!({"settings": {"mapping": {"analyzed_bytes": {"limit": "1kb"}}, "number_of_replicas": 1, "analysis": {
        "analyzer": {"edges": {"tokenizer": "keyword", "filter": ["edges"]}},
        "filter": {"edges": {"type": "edge_ngram", "min_gram": 1, "max_gram": 1000}}}},
        "mappings": {"properties": {"t": {"type": "text", "analyzer": "edges"}}}});
    let (status, answer) = cluster.put(0, "/bounded", bounded).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = cluster
        .put(0, "/bounded/_doc/1", json!({"t": "x".repeat(500)}))
        .await;
    assert_eq!(status, 400, "{answer}");
    let reason = answer["error"]["reason"].to_string();
    assert!(
        reason.contains("[index.mapping.analyzed_bytes.limit]"),
        "{answer}"
    );
    let (status, answer) = cluster.put(0, "/bounded/_doc/1", json!({"t": "few"})).await;
    assert_eq!(status, 201, "{answer}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analyzers_change_while_an_index_is_closed() {
    let cluster = Cluster::start(1).await;
    let words = |list: &str| json!({"analysis": {"analyzer": {"a": {"type": "stop", "stopwords": [list]}}}});
    let body = json!({
        "settings": {"number_of_replicas": 0, "index": words("old")},
        "mappings": {"properties": {"t": {"type": "text", "analyzer": "a"}}},
    });
    let (status, answer) = cluster.put(0, "/w", body).await;
    assert_eq!(status, 200, "{answer}");
    let ask = || {
        tokens(
            &cluster,
            "/w/_analyze",
            json!({"field": "t", "text": "old new"}),
        )
    };
    assert_eq!(ask().await, ["new"]);
    let (status, answer) = cluster.put(0, "/w/_settings", words("new")).await;
    let reason = answer["error"]["reason"].to_string();
    assert_eq!(status, 400, "{answer}");
    assert!(
        reason.contains("Can't update non dynamic settings"),
        "{reason}"
    );
    // Its copies would take it at different times.
    let reopened = cluster.put(0, "/w/_settings?reopen=true", words("new"));
    let (status, answer) = reopened.await;
    let reason = answer["error"]["reason"].to_string();
    assert_eq!(status, 400, "{answer}");
    assert!(reason.contains("Close the indices"), "{reason}");
    assert_eq!(ask().await, ["new"]);
    let (status, answer) = cluster.post(0, "/w/_close", Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    let bad = json!({"analysis": {"analyzer": {"a": {"tokenizer": "standard", "filter": ["nope"], "type": "custom"}}}});
    let (status, answer) = cluster.put(0, "/w/_settings", bad).await;
    assert_eq!(status, 400, "{answer}");
    let (status, answer) = cluster.put(0, "/w/_settings", words("new")).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = cluster.post(0, "/w/_open", Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ask().await, ["old"]);
    let (status, answer) = cluster
        .put(0, "/w/_doc/1?refresh=true", json!({"t": "old new"}))
        .await;
    assert_eq!(status, 201, "{answer}");
    for (text, hits) in [("old", 1), ("new", 0)] {
        let (_, found) = cluster.get(0, &format!("/w/_search?q=t:{text}")).await;
        assert_eq!(found["hits"]["total"]["value"], hits, "{text}: {found}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_supported_is_refused_when_an_index_is_made() {
    let cluster = Cluster::start(1).await;
    for (body, reason) in [
        (
            json!({"settings": {"analysis": {"filter": {"f": {"type": "phonetic"}}}}}),
            "filter type [phonetic] of [f] is not supported by Ringwall",
        ),
        (
            json!({"settings": {"analysis": {"analyzer": {"a": {"tokenizer": "standard", "filter": ["none"]}}}}}),
            "Custom Analyzer [a] failed to find filter under name [none]",
        ),
        (
            json!({"mappings": {"properties": {"t": {"type": "text", "analyzer": "mine"}}}}),
            "Failed to parse mapping: analyzer [mine] has not been configured in mappings",
        ),
    ] {
        let (status, answer) = cluster.put(0, "/x", body.clone()).await;
        assert_eq!(
            (status, answer["error"]["reason"].as_str()),
            (400, Some(reason)),
            "{body}"
        );
    }
    cluster.stop().await;
}
