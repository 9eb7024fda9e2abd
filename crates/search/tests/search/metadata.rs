//! Metadata fields and texts without tokens are found, not silently nothing.

use serde_json::{Value, json};

use super::harness::Index;

fn index() -> Index {
    let docs = [
        json!({"t": "word", "k": "abc"}),
        json!({"t": "", "k": "longer"}),
        json!({"t": "-", "n": "bad"}),
        json!({"t": null}),
        json!({"t": []}),
    ];
    Index::new(
        json!({"properties": {
            "t": {"type": "text"},
            "k": {"type": "keyword", "ignore_above": 3},
            "n": {"type": "long", "ignore_malformed": true},
            "d": {"type": "date"},
        }}),
        &docs,
    )
}

#[test]
fn a_text_without_tokens_exists() {
    let index = index();
    assert_eq!(
        index.set(json!({"exists": {"field": "t"}})),
        ["1", "2", "3"]
    );
    assert_eq!(
        index.set(json!({"exists": {"field": "*"}})),
        ["1", "2", "3"]
    );
    assert_eq!(
        index.set(json!({"query_string": {"query": "_exists_:t"}})),
        ["1", "2", "3"]
    );
    // It is in no statistics: the score of a word is that of the documents that have words.
    let found = index.search(json!({"query": {"match": {"t": "word"}}}));
    let alone = Index::new(
        json!({"properties": {"t": {"type": "text"}}}),
        &[json!({"t": "word"})],
    );
    let alone = alone.search(json!({"query": {"match": {"t": "word"}}}));
    assert_eq!(found["max_score"], alone["max_score"]);
}

#[test]
fn ignored_fields_are_searched_sorted_and_bucketed() {
    let index = index();
    assert_eq!(
        index.set(json!({"exists": {"field": "_ignored"}})),
        ["2", "3"]
    );
    assert_eq!(index.set(json!({"term": {"_ignored": "k"}})), ["2"]);
    assert_eq!(index.set(json!({"prefix": {"_ignored": "n"}})), ["3"]);
    let found = index.search(json!({
        "sort": ["_ignored"],
        "docvalue_fields": ["_ignored", "_index", "_seq_no"],
        "aggs": {"i": {"terms": {"field": "_ignored"}}},
    }));
    let hits = found["hits"].as_array().unwrap();
    let ids: Vec<&Value> = hits.iter().map(|hit| &hit["_id"]).collect();
    assert_eq!(&ids[..2], ["2", "3"]);
    assert_eq!(hits[0]["sort"], json!(["k"]));
    assert_eq!(hits[2]["sort"], json!([null]));
    assert_eq!(
        hits[0]["fields"],
        json!({"_ignored": ["k"], "_index": ["test"], "_seq_no": [1]})
    );
    assert_eq!(
        found["aggregations"]["i"]["buckets"],
        json!([{"key": "k", "doc_count": 1}, {"key": "n", "doc_count": 1}])
    );
}

#[test]
fn sequence_numbers_and_versions_are_numbers_of_every_document() {
    let index = index();
    let aggs = json!({
        "t": {"terms": {"field": "_seq_no", "size": 2}},
        "m": {"max": {"field": "_seq_no"}},
        "s": {"stats": {"field": "_seq_no"}},
        "h": {"histogram": {"field": "_seq_no", "interval": 2}},
        "r": {"range": {"field": "_seq_no", "ranges": [{"to": 2}]}},
        "c": {"cardinality": {"field": "_seq_no"}},
        "none": {"missing": {"field": "_seq_no"}},
        "v": {"terms": {"field": "_version"}},
        "p": {"max": {"field": "_primary_term"}},
    });
    let found = index.search(json!({"sort": [{"_seq_no": "desc"}], "size": 2, "aggs": aggs}));
    assert_eq!(found["hits"][0]["sort"], json!([4]));
    let aggs = &found["aggregations"];
    assert_eq!(
        aggs["t"]["buckets"],
        json!([{"key": 0, "doc_count": 1}, {"key": 1, "doc_count": 1}])
    );
    assert_eq!(aggs["m"]["value"], 4.0);
    assert_eq!(aggs["s"]["sum"], 10.0);
    assert_eq!(aggs["h"]["buckets"][1]["doc_count"], 2);
    assert_eq!(aggs["r"]["buckets"][0]["doc_count"], 2);
    assert_eq!(aggs["c"]["value"], 5);
    assert_eq!(aggs["none"]["doc_count"], 0);
    assert_eq!(aggs["v"]["buckets"], json!([{"key": 1, "doc_count": 5}]));
    // Of terms Elasticsearch knows no field.
    assert_eq!(aggs["p"]["value"], Value::Null);
    let after = json!({"sort": [{"_seq_no": "desc"}], "search_after": [2], "docvalue_fields": ["_version"]});
    let found = index.search(after);
    assert_eq!(found["hits"][0]["sort"], json!([1]));
    assert_eq!(found["hits"][0]["fields"], json!({"_version": [1]}));
    for (body, words) in [
        (
            json!({"sort": [{"_version": {"format": "yyyy"}}]}),
            "Field [_version] of type [_version] does not support custom formats",
        ),
        (
            json!({"sort": ["_primary_term"]}),
            "No mapping found for [_primary_term] in order to sort on",
        ),
        (
            json!({"query": {"term": {"_version": 1}}}),
            "The _version field is not searchable",
        ),
    ] {
        assert_eq!(index.error(body.clone()).reason, words, "{body}");
    }
}

#[test]
fn metadata_is_fetched_by_name() {
    let index = index();
    let shown = |field: &str, id: &str| {
        let query = json!({"ids": {"values": [id]}});
        index.search(json!({"query": query, "fields": [field]}))["hits"][0]["fields"].take()
    };
    for (field, values) in [
        ("_id", json!(["2"])),
        ("_index", json!(["test"])),
        ("_version", json!([1])),
        ("_ignored", json!(["k"])),
    ] {
        assert_eq!(shown(field, "2"), json!({field: values}));
    }
    for field in ["_routing", "_primary_term", "_*"] {
        assert_eq!(shown(field, "2"), Value::Null, "{field}");
    }
    for field in ["_seq_no", "_source", "_field_names"] {
        let error = index.error(json!({"fields": [field]}));
        let words =
            format!("error fetching [{field}]: Cannot fetch values for internal field [{field}].");
        assert_eq!(error.reason, words);
    }
    let error = index.error(json!({"fields": [{"field": "_version", "format": "yyyy"}]}));
    assert_eq!(
        error.reason,
        "error fetching [_version]: Field [_version] of type [_version] does not support custom formats"
    );
}

#[test]
fn what_fields_leave_out_is_shown_apart() {
    let index = Index::new(
        json!({"properties": {
            "t": {"type": "text", "fields": {"kw": {"type": "keyword", "ignore_above": 3}}},
            "d": {"type": "date", "ignore_malformed": true},
            "o": {"properties": {"n": {"type": "long", "ignore_malformed": true}}},
        }}),
        &[json!({"t": ["long text", "ab"], "d": ["x", "2020-01-01"], "o": {"n": [1, "u"]}})],
    );
    let shown = |body: Value| {
        let mut found = index.search(body);
        let hit = &mut found["hits"][0];
        (hit["fields"].take(), hit["ignored_field_values"].take())
    };
    let left_out = json!({"t.kw": ["long text"], "d": ["x"], "o.n": ["u"]});
    assert_eq!(shown(json!({"fields": ["*"]})).1, left_out);
    for (field, fields, left_out) in [
        (
            "t.kw",
            json!({"t.kw": ["ab"]}),
            json!({"t.kw": ["long text"]}),
        ),
        ("t", json!({"t": ["long text", "ab"]}), Value::Null),
        ("o.*", json!({"o.n": [1]}), json!({"o.n": ["u"]})),
    ] {
        assert_eq!(shown(json!({"fields": [field]})), (fields, left_out));
    }
    assert_eq!(shown(json!({"docvalue_fields": ["t.kw"]})).1, Value::Null);
    let aggs = json!({"h": {"top_hits": {"fields": ["*"]}}});
    let found = index.search(json!({"size": 0, "aggs": aggs}));
    let hit = &found["aggregations"]["h"]["hits"]["hits"][0];
    assert_eq!(hit["ignored_field_values"], left_out);
}

#[test]
fn the_name_of_the_index_is_a_value_of_every_document() {
    let index = index();
    assert_eq!(index.set(json!({"exists": {"field": "_index"}})).len(), 5);
    let found = index.search(json!({
        "size": 2,
        "sort": [{"_index": "desc"}, "_doc"],
        "aggs": {
            "names": {"terms": {"field": "_index"}},
            "other": {"terms": {"field": "_index", "include": ["x"]}},
            "not": {"terms": {"field": "_index", "exclude": "t.*"}},
            "distinct": {"cardinality": {"field": "_index"}},
            "count": {"value_count": {"field": "_index"}},
            "none": {"missing": {"field": "_index"}},
        },
    }));
    assert_eq!(found["hits"][0]["sort"][0], "test");
    let aggs = &found["aggregations"];
    assert_eq!(
        aggs["names"]["buckets"],
        json!([{"key": "test", "doc_count": 5}])
    );
    assert_eq!(aggs["other"]["buckets"], json!([]));
    assert_eq!(aggs["not"]["buckets"], json!([]));
    assert_eq!(aggs["distinct"]["value"], 1);
    assert_eq!(aggs["count"]["value"], 5);
    assert_eq!(aggs["none"]["doc_count"], 0);
    for (after, order, count) in [
        ("a", "asc", 5),
        ("z", "asc", 0),
        ("a", "desc", 0),
        ("z", "desc", 5),
        ("test", "asc", 0),
    ] {
        let found = index.search(json!({"sort": [{"_index": order}], "search_after": [after]}));
        assert_eq!(
            found["hits"].as_array().unwrap().len(),
            count,
            "{after} {order}"
        );
    }
    let error = index.error(json!({"query": {"range": {"_index": {"gte": "a"}}}}));
    assert_eq!(error.status, 400);
}

#[test]
fn fields_that_cannot_be_sorted_on_say_so() {
    let index = index();
    for (field, words) in [
        ("_id", "Fielddata access on the _id field is disallowed"),
        (
            "_routing",
            "Fielddata is not supported on field [_routing] of type [_routing]",
        ),
    ] {
        for body in [
            json!({"sort": [field]}),
            json!({"aggs": {"a": {"terms": {"field": field}}}}),
            json!({"docvalue_fields": [field]}),
        ] {
            let error = index.error(body);
            assert!(error.reason.starts_with(words), "{}", error.reason);
        }
    }
}

#[test]
fn a_bad_format_fails_the_search_before_any_hit() {
    let empty = Index::new(
        json!({"properties": {"d": {"type": "date"}, "k": {"type": "keyword"}}}),
        &[],
    );
    for body in [
        json!({"docvalue_fields": [{"field": "d", "format": "bad{"}]}),
        json!({"docvalue_fields": [{"field": "k", "format": "yyyy"}]}),
        json!({"fields": [{"field": "d", "format": "bad{"}]}),
        json!({"fields": [{"field": "k", "format": "yyyy"}]}),
        json!({"sort": [{"d": {"order": "asc", "format": "bad{"}}]}),
        json!({"docvalue_fields": ["_id"]}),
    ] {
        let error = empty.error(body.clone());
        assert_eq!(error.status, 400, "{body}");
    }
}
