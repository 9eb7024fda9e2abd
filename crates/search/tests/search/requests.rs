//! Whole requests: fields mapped as they appear, the parts of a hit, and what clients send.

use serde_json::{Value, json};

use super::harness::{Index, ids_of};

fn dynamic() -> Index {
    Index::dynamic(&[
        json!({"_id": "1", "name": "Snow Crash", "author": {"name": "Neal Stephenson"},
            "year": 1992, "price": 9.5, "sold": true, "at": "1992-06-01", "tags": ["a", "b"]}),
        json!({"_id": "2", "name": "Starship Troopers", "year": 1959, "sold": false,
            "at": "1959-12-01T10:00:00Z", "tags": "b"}),
    ])
}

#[test]
fn fields_mapped_as_they_appear() {
    let index = dynamic();
    for (query, expected) in [
        (json!({"match": {"name": "snow"}}), &["1"][..]),
        (json!({"term": {"name": "Snow Crash"}}), &[]),
        (json!({"term": {"name.keyword": "Snow Crash"}}), &["1"]),
        (json!({"match": {"name.keyword": "snow crash"}}), &[]),
        (json!({"terms": {"tags.keyword": ["a", "zz"]}}), &["1"]),
        (json!({"prefix": {"author.name.keyword": "Neal"}}), &["1"]),
        (json!({"range": {"year": {"lt": 1960}}}), &["2"]),
        (json!({"range": {"at": {"lte": "1959-12-01"}}}), &["2"]),
        (json!({"term": {"sold": true}}), &["1"]),
        (json!({"exists": {"field": "author"}}), &["1"]),
        (json!({"exists": {"field": "author.name.keyword"}}), &["1"]),
        (
            json!({"multi_match": {"query": "neal troopers", "fields": ["*name"]}}),
            &["1", "2"],
        ),
        (json!({"query_string": {"query": "snow"}}), &["1"]),
    ] {
        assert_eq!(index.set(query.clone()), expected, "{query}");
    }
    let found = index.search(json!({"sort": "name.keyword", "size": 0,
        "aggs": {"t": {"terms": {"field": "tags.keyword"}}}}));
    assert_eq!(
        found["aggregations"]["t"]["buckets"],
        json!([{"key": "b", "doc_count": 2}, {"key": "a", "doc_count": 1}])
    );
    let found = index.search(json!({"sort": [{"name.keyword": "desc"}]}));
    assert_eq!(ids_of(&found), ["2", "1"]);
    assert_eq!(found["hits"][0]["sort"], json!(["Starship Troopers"]));
    let error = index.error(json!({"sort": "name"}));
    assert_eq!(error.status, 400);
    assert!(error.reason.starts_with("Fielddata is disabled on [name]"));
}

#[test]
fn multi_fields_have_an_analyzer_each() {
    let mapping = json!({"properties": {"t": {"type": "text", "fields": {
        "raw": {"type": "keyword"}, "ws": {"type": "text", "analyzer": "whitespace"}}}}});
    let index = Index::new(mapping, &[json!({"_id": "1", "t": "Quick-Brown Fox"})]);
    for (query, count) in [
        (json!({"match": {"t": "brown"}}), 1),
        (json!({"match": {"t.ws": "brown"}}), 0),
        (json!({"match": {"t.ws": "Quick-Brown"}}), 1),
        (json!({"term": {"t.raw": "Quick-Brown Fox"}}), 1),
        (json!({"term": {"t.raw": "quick-brown fox"}}), 0),
        (
            json!({"term": {"t.raw": {"value": "quick-brown fox", "case_insensitive": true}}}),
            1,
        ),
        (
            json!({"match": {"t": {"query": "Quick-Brown", "analyzer": "keyword"}}}),
            0,
        ),
    ] {
        assert_eq!(index.count(&query), count, "{query}");
    }
}

#[test]
fn fields_that_only_have_a_column_can_be_searched() {
    let mapping = json!({"properties": {"k": {"type": "keyword", "index": false},
        "n": {"type": "long", "index": false}, "at": {"type": "date", "index": false}}});
    let index = Index::new(
        mapping,
        &[json!({"_id": "1", "k": "x", "n": 3, "at": "2024-01-01"})],
    );
    for query in [
        json!({"term": {"k": "x"}}),
        json!({"term": {"n": 3}}),
        json!({"range": {"n": {"gte": 3}}}),
        json!({"term": {"at": "2024-01-01"}}),
        json!({"exists": {"field": "k"}}),
    ] {
        assert_eq!(index.count(&query), 1, "{query}");
    }
}

#[test]
fn stored_fields_turn_the_source_off() {
    let mapping = json!({"properties": {"a": {"type": "keyword", "store": true},
        "b": {"type": "keyword"}}});
    let index = Index::new(mapping, &[json!({"_id": "1", "a": "x", "b": "y"})]);
    let hit = |body: Value| index.search(body)["hits"][0].clone();
    assert_eq!(hit(json!({}))["_source"], json!({"a": "x", "b": "y"}));
    let found = hit(json!({"stored_fields": []}));
    assert_eq!(
        (&found["_id"], &found["_source"]),
        (&json!("1"), &Value::Null)
    );
    let found = hit(json!({"stored_fields": ["a", "b"]}));
    assert_eq!(found["fields"], json!({"a": ["x"]}));
    assert_eq!(found["_source"], Value::Null);
    assert_eq!(
        hit(json!({"stored_fields": ["*"]}))["fields"],
        json!({"a": ["x"]})
    );
    let found = hit(json!({"stored_fields": ["a", "_source"]}));
    assert_eq!(found["_source"], json!({"a": "x", "b": "y"}));
    let found = hit(json!({"stored_fields": ["a"], "_source": ["b"]}));
    assert_eq!(found["_source"], json!({"b": "y"}));
    assert_eq!(index.error(json!({"stored_fields": "_none_"})).status, 400);
}

#[test]
fn fields_can_show_what_the_mapping_does_not_know() {
    let mapping = json!({"dynamic": false, "properties": {"known": {"type": "long"}}});
    let doc = json!({"_id": "1", "known": "5", "other": {"deep": [1, {"er": "x"}]}, "no": null});
    let index = Index::new(mapping, &[doc]);
    let fields = |body: Value| index.search(body)["hits"][0]["fields"].clone();
    assert_eq!(fields(json!({"fields": ["*"]})), json!({"known": [5]}));
    assert_eq!(
        fields(json!({"fields": [{"field": "*", "include_unmapped": "true"}]})),
        json!({"known": [5], "other.deep": [1], "other.deep.er": ["x"]})
    );
    assert_eq!(
        fields(json!({"fields": [{"field": "other.*", "include_unmapped": true}]})),
        json!({"other.deep": [1], "other.deep.er": ["x"]})
    );
}

#[test]
fn what_dashboards_send() {
    let mapping = json!({"properties": {"@timestamp": {"type": "date"}, "m": {"type": "text"}}});
    let docs = [
        json!({"_id": "1", "@timestamp": "2024-03-15T10:00:00Z", "m": "one"}),
        json!({"_id": "2", "@timestamp": "2024-03-15T12:00:00Z", "m": "two"}),
        json!({"_id": "3", "m": "no time"}),
    ];
    let index = Index::new(mapping, &docs);
    // A log view.
    let found = index.search(json!({
        "size": 500, "track_total_hits": false, "version": true, "_source": false,
        "sort": [{"@timestamp": {"order": "desc", "format": "strict_date_optional_time",
            "unmapped_type": "boolean"}}, {"_doc": {"order": "desc", "unmapped_type": "boolean"}}],
        "fields": [{"field": "*", "include_unmapped": "true"},
            {"field": "@timestamp", "format": "strict_date_optional_time"}],
        "stored_fields": ["*"], "script_fields": {}, "runtime_mappings": {}, "ext": {},
        "query": {"bool": {"must": [], "filter": [
            {"range": {"@timestamp": {"format": "strict_date_optional_time",
                "gte": "2024-03-15T09:00:00.000Z", "lte": "2024-03-15T13:00:00.000Z"}}}],
            "should": [], "must_not": []}},
    }));
    assert_eq!(ids_of(&found), ["2", "1"]);
    assert_eq!(found["total"], Value::Null);
    assert_eq!(found["hits"][0]["sort"][0], "2024-03-15T12:00:00.000Z");
    assert_eq!(found["hits"][0]["fields"]["m"], json!(["two"]));
    // A graph.
    let found = index.search(json!({
        "size": 0,
        "query": {"bool": {"filter": [
            {"range": {"@timestamp": {"gte": 1710489600000i64, "lte": 1710511200000i64,
                "format": "epoch_millis"}}},
            {"query_string": {"analyze_wildcard": true, "query": "*"}}]}},
        "aggs": {"2": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h",
            "min_doc_count": 0, "format": "epoch_millis",
            "extended_bounds": {"min": 1710489600000i64, "max": 1710504000000i64}}, "aggs": {}}},
    }));
    let buckets = found["aggregations"]["2"]["buckets"].as_array().unwrap();
    let counts: Vec<u64> = buckets
        .iter()
        .map(|b| b["doc_count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [0, 0, 1, 0, 1]);
    assert_eq!(buckets[2]["key_as_string"], "1710496800000");
}

#[test]
fn modes_of_sorting_integers() {
    let mapping = json!({"properties": {"f": {"type": "long"}}});
    let docs = [
        json!({"_id": "1", "f": [i64::MAX, 1]}),
        json!({"_id": "2", "f": [i64::MAX / 10, 2]}),
        json!({"_id": "3", "f": [2147483647, 3, 4]}),
        json!({"_id": "4", "f": [2147483648i64, 5, -1, -2]}),
    ];
    let index = Index::split(mapping, &[&[&docs[..2], &docs[2..]]]);
    for (mode, order, ids, values) in [
        (
            "max",
            "desc",
            ["1", "2", "4", "3"],
            [i64::MAX, i64::MAX / 10, 2147483648, 2147483647],
        ),
        ("min", "desc", ["3", "2", "1", "4"], [3, 2, 1, -2]),
        // Sums wrap around, means are rounded half up.
        (
            "sum",
            "asc",
            ["1", "4", "3", "2"],
            [i64::MIN, 2147483650, 2147483654, i64::MAX / 10 + 2],
        ),
        (
            "avg",
            "desc",
            ["2", "3", "4", "1"],
            [461168601842738790, 715827885, 536870913, i64::MIN / 2],
        ),
        (
            "median",
            "asc",
            ["4", "3", "2", "1"],
            [2, 4, 461168601842738790, 1 << 62],
        ),
    ] {
        let found = index.search(json!({"sort": {"f": {"mode": mode, "order": order}}}));
        assert_eq!(ids_of(&found), ids, "{mode}");
        for (hit, value) in found["hits"].as_array().unwrap().iter().zip(values) {
            let shown = hit["sort"][0].as_i64().unwrap();
            // Means pass through doubles.
            assert!(
                (shown - value).abs() <= 64,
                "{mode}: {shown} is not {value}"
            );
        }
    }
}

#[test]
fn names_of_indexes_are_a_field() {
    let index = Index::new(json!({}), &[json!({"_id": "1"})]);
    for (query, count) in [
        (json!({"term": {"_index": "test"}}), 1),
        (json!({"terms": {"_index": ["other"]}}), 0),
        (json!({"match": {"_index": "test"}}), 1),
        (json!({"prefix": {"_index": "te"}}), 1),
        (json!({"wildcard": {"_index": "o*"}}), 0),
        (json!({"query_string": {"query": "_index:test"}}), 1),
    ] {
        assert_eq!(index.count(&query), count, "{query}");
    }
    assert_eq!(
        index
            .error(json!({"query": {"range": {"_index": {"gt": "a"}}}}))
            .status,
        400
    );
}

#[test]
fn nothing_of_a_body_is_ignored() {
    let index = dynamic();
    for body in [
        json!({"quer": null}),
        json!({"match": {"name": "x"}}),
        json!({"highlight": {"options": {"a": 1}}}),
        json!({"highlight": {"boundary_scanner_locale": "th-TH"}}),
        json!({"script_fields": {"x": {}}}),
        json!({"runtime_mappings": {"x": {"type": "long"}}}),
        json!({"indices_boost": [{"a": 2}]}),
        json!({"profile": true}),
        json!({"explain": true}),
        json!({"sort": {"_doc": {"nested": {}}}}),
        json!({"sort": {"year": {"numeric_type": "double"}}}),
        json!({"sort": "_score", "search_after": [1.0]}),
        json!({"search_after": [1]}),
        json!({"query": {"match_all": {"_name": "x"}}}),
        json!({"docvalue_fields": [{"field": "year", "include_unmapped": true}]}),
        json!({"query": {"multi_match": {"query": "x", "type": "phrase", "fuzziness": 1}}}),
        json!({"query": {"prefix": {"name": {"value": "x", "rewrite": "top_terms_10"}}}}),
    ] {
        assert_eq!(index.error(body.clone()).status, 400, "{body}");
    }
    let negative = index.error(json!({"from": -5}));
    assert!(
        negative
            .reason
            .contains("[from] parameter cannot be negative")
    );
}

#[test]
fn early_termination_counts_what_the_query_matches() {
    let docs: Vec<Value> = (0..20).map(|n| json!({"n": n})).collect();
    let mapping = json!({"properties": {"n": {"type": "long"}}});
    let index = Index::split(mapping, &[&[&docs[..10], &docs[10..]]]);
    let found = index.search(json!({"terminate_after": 12,
        "post_filter": {"range": {"n": {"gte": 8}}}}));
    assert_eq!(found["terminated_early"], true);
    // Twelve were looked at, 0 to 11, of which four pass.
    assert_eq!(found["total"], 4);
    let found = index.search(json!({"terminate_after": 50}));
    assert_eq!(found["terminated_early"], false);
}
