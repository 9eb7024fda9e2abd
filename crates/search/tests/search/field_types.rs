//! `alias`, `token_count` and `match_only_text`. The answers are those of a real Elasticsearch or OpenSearch; see `tests/oracle/field-alias.txt`,
//! `token-count.txt` and `match-only-text.txt` beside it.

use ringwall_index::{FieldMask, Mapping, View, parse_document};
use serde_json::{Value, json};

use super::harness::Index;

fn aliased() -> Index {
    Index::new(
        json!({"properties": {
            "o": {"properties": {"n": {"type": "long"}}}, "k": {"type": "keyword"},
            "a": {"type": "alias", "path": "o.n"}, "b": {"type": "alias", "path": "k"},
        }}),
        &[
            json!({"_id": "1", "o": {"n": 5}, "k": "x"}),
            json!({"_id": "2", "k": "y"}),
        ],
    )
}

#[test]
fn an_alias_is_searched_as_its_field() {
    let index = aliased();
    for query in [
        json!({"term": {"a": 5}}),
        json!({"range": {"a": {"gte": 1}}}),
        json!({"exists": {"field": "a"}}),
        json!({"exists": {"field": "a*"}}),
        json!({"terms": {"b": ["x"]}}),
        json!({"prefix": {"b": "x"}}),
        json!({"multi_match": {"query": "x", "fields": ["b"]}}),
        json!({"query_string": {"query": "b:x"}}),
    ] {
        assert_eq!(index.set(query.clone()), ["1"], "{query}");
    }
    let found = index.search(
        json!({"query": {"term": {"b": "x"}}, "sort": ["a"], "fields": ["*"],
        "docvalue_fields": ["a"], "aggs": {"t": {"terms": {"field": "b"}}}}),
    );
    let hit = &found["hits"][0];
    assert_eq!(hit["sort"], json!([5]));
    assert_eq!(
        hit["fields"],
        json!({"a": [5], "b": ["x"], "k": ["x"], "o.n": [5]})
    );
    assert_eq!(found["aggregations"]["t"]["buckets"][0]["key"], "x");
}

#[test]
fn an_alias_shows_nothing_that_is_hidden() {
    let index = aliased();
    let queries = [
        json!({"term": {"b": "x"}}),
        json!({"exists": {"field": "b"}}),
    ];
    for hidden in ["k", "b"] {
        let mask = FieldMask::new(move |path| path != hidden);
        let seen = index.seen_by(&View::whole().masked(mask));
        for query in &queries {
            assert_eq!(seen.set(query.clone()), [""; 0], "{hidden}: {query}");
        }
        let found = seen.search(json!({"fields": ["*"], "docvalue_fields": ["b"],
            "aggs": {"t": {"terms": {"field": "b"}}}}));
        for hit in found["hits"].as_array().unwrap() {
            assert_eq!(hit["fields"].get("b"), None, "{hidden}");
        }
        assert_eq!(found["aggregations"]["t"]["buckets"], json!([]));
    }
}

#[test]
fn an_alias_is_not_written() {
    let mapping = Mapping::parse(&json!({"properties": {"k": {"type": "keyword"},
        "b": {"type": "alias", "path": "k"}, "c": {"type": "keyword", "copy_to": "b"}}}))
    .unwrap();
    for document in [json!({"b": "x"}), json!({"b": {"c": 1}}), json!({"c": "x"})] {
        let text = document.to_string().into_bytes();
        let error = parse_document(&mapping, "1", None, text.into()).unwrap_err();
        assert!(
            error.reason.ends_with("Cannot write to a field alias [b]."),
            "{}",
            error.reason
        );
    }
}

fn counted() -> Index {
    Index::new(
        json!({"properties": {
            "t": {"type": "text", "fields": {"len": {"type": "token_count", "analyzer": "standard"},
                "st": {"type": "token_count", "analyzer": "stop"},
                "sn": {"type": "token_count", "analyzer": "stop", "enable_position_increments": false}}},
            "c": {"type": "token_count", "analyzer": "standard", "null_value": 7},
        }}),
        &[
            json!({"_id": "1", "t": "The quick brown fox the", "c": "a b c"}),
            json!({"_id": "2", "t": ["one two", "three"], "c": null}),
            json!({"_id": "3", "t": "", "c": 12}),
            json!({"_id": "4", "c": true}),
        ],
    )
}

#[test]
fn tokens_are_counted() {
    let index = counted();
    assert_eq!(index.set(json!({"term": {"t.len": 5}})), ["1"]);
    assert_eq!(
        index.set(json!({"range": {"t.len": {"gte": 2}}})),
        ["1", "2"]
    );
    assert_eq!(
        index.set(json!({"exists": {"field": "t.len"}})),
        ["1", "2", "3"]
    );
    assert_eq!(index.set(json!({"term": {"c": 7}})), ["2"]);
    let found =
        index.search(json!({"sort": ["_doc"], "docvalue_fields": ["t.len", "t.st", "t.sn", "c"]}));
    let fields = |at: usize| found["hits"][at]["fields"].clone();
    let expected: [Value; 4] = [
        json!({"t.len": [5], "t.st": [5], "t.sn": [3], "c": [3]}),
        json!({"t.len": [1, 2], "t.st": [1, 2], "t.sn": [1, 2], "c": [7]}),
        json!({"t.len": [0], "t.st": [0], "t.sn": [0], "c": [1]}),
        json!({"c": [1]}),
    ];
    for (at, expected) in expected.into_iter().enumerate() {
        assert_eq!(fields(at), expected);
    }
    let sums = index.aggs(json!({"a": {"sum": {"field": "t.len"}}}));
    assert_eq!(sums["a"]["value"], 8.0);
}

#[test]
fn a_count_needs_an_analyzer() {
    for (definition, expected) in [
        (
            json!({"type": "token_count"}),
            "Analyzer must be set for field [z] but wasn't.",
        ),
        (
            json!({"type": "token_count", "analyzer": "standard", "ignore_malformed": true}),
            "unknown parameter [ignore_malformed] on mapper [z] of type [token_count]",
        ),
    ] {
        let error = Mapping::parse(&json!({"properties": {"z": definition}})).unwrap_err();
        assert_eq!(error.reason, format!("Failed to parse mapping: {expected}"));
    }
}

#[test]
fn matches_of_a_text_that_only_matches_score_alike() {
    let index = Index::new(
        json!({"properties": {"m": {"type": "match_only_text"}}}),
        &[
            json!({"_id": "1", "m": "the quick quick brown fox"}),
            json!({"_id": "2", "m": ["quick dog", "brown"]}),
            json!({"_id": "3", "m": "slow"}),
        ],
    );
    for (query, ids, score) in [
        (json!({"match": {"m": "quick"}}), &["1", "2"][..], 1.0),
        (json!({"match": {"m": "quick brown"}}), &["1", "2"], 2.0),
        (
            json!({"match": {"m": {"query": "quick", "boost": 3}}}),
            &["1", "2"],
            3.0,
        ),
        (json!({"term": {"m": "brown"}}), &["1", "2"], 1.0),
        (json!({"match_phrase": {"m": "quick brown"}}), &["1"], 1.0),
        (
            json!({"match_phrase_prefix": {"m": "quick br"}}),
            &["1"],
            1.0,
        ),
        (
            json!({"match": {"m": {"query": "quack", "fuzziness": 1}}}),
            &["1", "2"],
            1.0,
        ),
        (json!({"fuzzy": {"m": "quack"}}), &["1", "2"], 1.0),
        (json!({"exists": {"field": "m"}}), &["1", "2", "3"], 1.0),
    ] {
        assert_eq!(index.set(query.clone()), ids, "{query}");
        let found = index.search(json!({"query": query}));
        for hit in found["hits"].as_array().unwrap() {
            assert_eq!(hit["_score"], score, "{query}");
        }
    }
    assert!(
        index
            .error(json!({"sort": ["m"]}))
            .reason
            .contains("Fielddata is disabled on [m]")
    );
    for parameter in ["norms", "store", "index", "analyzer"] {
        let mapping = json!({"properties": {"m": {"type": "match_only_text", parameter: true}}});
        let reason = Mapping::parse(&mapping).unwrap_err().reason;
        assert!(
            reason.contains(&format!("unknown parameter [{parameter}]")),
            "{reason}"
        );
    }
}

#[test]
fn of_binary_is_known_whether_it_is_there() {
    let index = Index::new(
        json!({"properties": {"b": {"type": "binary"}, "d": {"type": "binary", "doc_values": true},
            "s": {"type": "binary", "store": true}, "k": {"type": "keyword"}}}),
        &[
            json!({"_id": "1", "b": "AAA=", "d": "AAA=", "s": "AAA=", "k": "x"}),
            json!({"_id": "2", "b": ["AAA="]}),
        ],
    );
    for (query, ids) in [
        (json!({"exists": {"field": "b"}}), &[][..]),
        (json!({"exists": {"field": "d"}}), &["1"]),
        (json!({"exists": {"field": "s"}}), &["1"]),
        (
            json!({"multi_match": {"query": "x", "fields": ["*"]}}),
            &["1"],
        ),
        (json!({"query_string": {"query": "x"}}), &["1"]),
    ] {
        assert_eq!(index.set(query.clone()), ids, "{query}");
    }
    for (body, expected) in [
        (
            json!({"query": {"term": {"b": "AAA="}}}),
            "Binary fields do not support searching",
        ),
        (
            json!({"query": {"range": {"d": {"gte": "AAA="}}}}),
            "Binary fields do not support searching",
        ),
        (
            json!({"query": {"match": {"d": "AAA="}}}),
            "Binary fields do not support searching",
        ),
        (json!({"sort": ["b"]}), "Can't load fielddata on [b]"),
        (
            json!({"docvalue_fields": ["b"]}),
            "Can't load fielddata on [b]",
        ),
        (
            json!({"sort": ["d"]}),
            "[d] of type [binary] is not supported for sorting",
        ),
        (
            json!({"docvalue_fields": ["d"]}),
            "[d] of type [binary] is not supported for sorting",
        ),
        (
            json!({"aggs": {"a": {"terms": {"field": "d"}}}}),
            "[d] of type [binary] is not supported",
        ),
    ] {
        let reason = index.error(body.clone()).reason;
        assert!(reason.contains(expected), "{body}: {reason}");
    }
    let found = index.search(json!({"fields": ["*"], "query": {"term": {"k": "x"}}}));
    let shown = json!({"b": ["AAA="], "d": ["AAA="], "s": ["AAA="], "k": ["x"]});
    assert_eq!(found["hits"][0]["fields"], shown);
}
