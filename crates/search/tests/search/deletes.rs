//! Searches over a shard as the engine writes it: documents updated and deleted, segments with
//! holes in them.

use std::sync::Arc;

use bytes::Bytes;
use ringwall_base::{AllocationId, ShardId, ids::IndexId};
use ringwall_index::{
    Condition, Mapping, NewShard, Shard, ShardIdentity, ShardOptions, View, parse_document,
};
use serde_json::{Value, json};

use super::harness::{Index, ids_of};

struct Written {
    shard: Shard,
    mapping: Arc<Mapping>,
    _directory: tempfile::TempDir,
}

impl Written {
    fn new(mapping: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mapping = Arc::new(Mapping::parse(mapping).unwrap());
        let identity = ShardIdentity {
            shard: ShardId {
                index: IndexId {
                    name: "test".into(),
                    uuid: "u".into(),
                },
                shard: 0,
            },
            allocation_id: AllocationId("a".into()),
            lineage: Vec::new(),
            history_uuid: "h".into(),
            primary_term: 1,
        };
        Shard::create(directory.path(), NewShard { identity }, &mapping).unwrap();
        let options = ShardOptions::default();
        let shard = Shard::open(directory.path(), Arc::clone(&mapping), options).unwrap();
        Self {
            shard,
            mapping,
            _directory: directory,
        }
    }

    fn put(&self, id: &str, doc: Value) {
        let source = Bytes::from(doc.to_string());
        let parsed = parse_document(&self.mapping, id, None, source).unwrap();
        self.shard
            .index(1, parsed, Condition::default(), false)
            .unwrap();
    }

    fn delete(&self, id: &str) {
        self.shard.delete(1, id, Condition::default()).unwrap();
    }

    fn refresh(&self) {
        self.shard.refresh().unwrap();
    }

    fn index(&self) -> Index {
        Index::of(vec![self.shard.acquire_searcher(&View::whole()).unwrap()])
    }
}

fn mapping() -> Value {
    json!({"properties": {"t": {"type": "text"}, "k": {"type": "keyword"}, "n": {"type": "long"},
        "at": {"type": "date"}}})
}

/// Twenty documents of which those with an odd number are deleted and some others updated.
fn written() -> Written {
    let written = Written::new(&mapping());
    for n in 0..20 {
        let color = if n % 4 == 0 { "red" } else { "blue" };
        let doc = json!({"t": format!("{color} thing"), "k": color, "n": n, "at": n});
        written.put(&n.to_string(), doc);
        if n % 7 == 6 {
            written.refresh();
        }
    }
    written.refresh();
    for n in (1..20).step_by(2) {
        written.delete(&n.to_string());
    }
    written.put("2", json!({"t": "green thing", "k": "green", "n": 2}));
    written.put("20", json!({"t": "gone"}));
    written.delete("20");
    written.refresh();
    written
}

#[test]
fn what_is_deleted_is_not_found() {
    let written = written();
    let index = written.index();
    for (query, expected) in [
        (json!({"match_all": {}}), 10),
        (json!({"match": {"t": "thing"}}), 10),
        (json!({"match": {"t": "red"}}), 5),
        (json!({"match": {"t": "blue"}}), 4),
        (json!({"match": {"t": "blue green"}}), 5),
        (json!({"match": {"t": "gone"}}), 0),
        (json!({"match_phrase": {"t": "blue thing"}}), 4),
        (json!({"term": {"k": "green"}}), 1),
        (json!({"terms": {"k": ["blue", "green"]}}), 5),
        (json!({"prefix": {"k": "b"}}), 4),
        (json!({"range": {"n": {"gte": 10}}}), 5),
        (json!({"range": {"at": {"lt": 4}}}), 1),
        (json!({"exists": {"field": "at"}}), 9),
        (json!({"ids": {"values": ["1", "2", "20"]}}), 1),
        (json!({"bool": {"must_not": {"term": {"k": "red"}}}}), 5),
        (
            json!({"match": {"t": {"query": "gren", "fuzziness": 1}}}),
            1,
        ),
    ] {
        assert_eq!(index.set(query.clone()).len(), expected, "{query}");
        // The same count with hits, without, and on the way that looks at every document.
        for body in [
            json!({"query": query, "size": 0, "track_total_hits": true}),
            json!({"query": query, "size": 3}),
            json!({"query": query, "sort": "n", "size": 3}),
        ] {
            assert_eq!(index.search(body.clone())["total"], expected, "{body}");
        }
    }
    let found = index.search(json!({"size": 20, "sort": {"n": "desc"}}));
    let expected: Vec<String> = (0..10).rev().map(|n| (2 * n).to_string()).collect();
    assert_eq!(ids_of(&found), expected);
    let found = index.search(json!({"query": {"ids": {"values": ["2"]}}, "version": true}));
    assert_eq!(found["hits"][0]["_version"], 2);
    assert_eq!(found["hits"][0]["_source"]["k"], "green");
}

#[test]
fn what_is_deleted_is_not_counted_by_aggregations() {
    let written = written();
    let found = written.index().aggs(json!({
        "k": {"terms": {"field": "k"}}, "n": {"sum": {"field": "n"}},
        "distinct": {"cardinality": {"field": "n"}},
        "red": {"filter": {"term": {"k": "red"}}},
        "rest": {"filters": {"filters": [{"term": {"k": "red"}}], "other_bucket": true}},
        "undated": {"missing": {"field": "at"}},
        "all": {"global": {}, "aggs": {"max": {"max": {"field": "n"}}}},
        "h": {"histogram": {"field": "n", "interval": 10}},
        "hits": {"top_hits": {"sort": {"n": "desc"}, "size": 1}},
    }));
    assert_eq!(
        found["k"]["buckets"],
        json!([{"key": "red", "doc_count": 5}, {"key": "blue", "doc_count": 4},
            {"key": "green", "doc_count": 1}])
    );
    assert_eq!(found["n"], json!({"value": 90.0}));
    assert_eq!(found["distinct"], json!({"value": 10}));
    assert_eq!(found["red"], json!({"doc_count": 5}));
    assert_eq!(found["rest"]["buckets"][1], json!({"doc_count": 5}));
    assert_eq!(found["undated"], json!({"doc_count": 1}));
    assert_eq!(
        found["all"],
        json!({"doc_count": 10, "max": {"value": 18.0}})
    );
    assert_eq!(
        found["h"]["buckets"],
        json!([{"key": 0.0, "doc_count": 5}, {"key": 10.0, "doc_count": 5}])
    );
    assert_eq!(found["hits"]["hits"]["total"]["value"], 10);
    assert_eq!(found["hits"]["hits"]["hits"][0]["_id"], "18");
}

#[test]
fn scores_are_finite_when_most_of_a_term_is_deleted() {
    let written = Written::new(&mapping());
    for n in 0..10 {
        written.put(&n.to_string(), json!({"t": "rare"}));
        written.refresh();
    }
    for n in 0..9 {
        written.delete(&n.to_string());
    }
    written.refresh();
    let found = written
        .index()
        .search(json!({"query": {"match": {"t": "rare"}}}));
    let score = found["hits"][0]["_score"].as_f64().unwrap();
    assert!(score.is_finite() && score > 0.0, "{score}");
}

#[test]
fn an_empty_shard_finds_nothing() {
    let written = Written::new(&mapping());
    let index = written.index();
    for query in [
        json!({"match_all": {}}),
        json!({"match": {"t": "x"}}),
        json!({"exists": {"field": "k"}}),
        json!({"query_string": {"query": "x OR n:[1 TO 2]"}}),
    ] {
        let found = index.search(json!({"query": query, "sort": ["n", "_doc"]}));
        assert_eq!((&found["total"], &found["hits"]), (&json!(0), &json!([])));
        assert_eq!(
            index.search(json!({"query": query}))["max_score"],
            Value::Null
        );
    }
    // All of it deleted again.
    written.put("1", json!({"t": "x", "n": 1}));
    written.refresh();
    written.delete("1");
    written.refresh();
    let found = written
        .index()
        .search(json!({"aggs": {"n": {"stats": {"field": "n"}}}}));
    assert_eq!(found["total"], 0);
    assert_eq!(found["aggregations"]["n"]["count"], 0);
}
