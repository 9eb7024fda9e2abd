//! A search through a view answers as if what the view hides were not there.

use std::collections::BTreeSet;

use proptest::prelude::*;
use ringwall_index::{FieldMask, View};
use ringwall_search::filter::any_of;
use serde_json::{Value, json};

use super::harness::{Index, NOW};

fn mapping() -> Value {
    json!({"properties": {
        "k": {"type": "keyword"}, "n": {"type": "long"}, "d": {"type": "double"}, "t": {"type": "text"},
        "at": {"type": "date"}, "o": {"properties": {"k": {"type": "keyword"}}},
    }})
}

fn document() -> impl Strategy<Value = Value> {
    let keywords = prop::collection::vec("[a-e]", 0..3);
    let numbers = prop::collection::vec(-20i64..20, 0..3);
    let text = prop::collection::vec("(red|blue|green)", 0..5);
    (keywords, numbers, prop::option::of(-8i32..8), 0i64..400, text).prop_map(|(k, n, d, day, t)| {
        json!({"k": k, "n": n, "d": d.map(|d| f64::from(d) / 4.0), "t": t.join(" "), "o": {"k": k},
            "at": 1_700_000_000_000i64 + day * 86_400_000})
    })
}

fn filter() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-f]".prop_map(|k| json!({"term": {"k": k}})),
        (-20i64..20).prop_map(|n| json!({"range": {"n": {"gte": n}}})),
        Just(json!({"exists": {"field": "d"}})),
        Just(json!({"match": {"t": "red"}})),
        Just(json!({"query_string": {"query": "o.k:a OR t:blue"}})),
        Just(json!({"range": {"at": {"lt": "now-1d"}}})),
        Just(json!({"match_all": {}})),
        Just(json!({"match_none": {}})),
        Just(json!({"ids": {"values": ["1", "3", "5", "8"]}})),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), inner, 0..3).prop_map(|(one, two, kind)| match kind {
            0 => json!({"bool": {"filter": [one, two]}}),
            1 => json!({"bool": {"should": [one, two]}}),
            _ => json!({"bool": {"must_not": one, "must": two}}),
        })
    })
}

/// Everything a search can be asked for whose answer does not depend on statistics.
fn bodies() -> Vec<Value> {
    let aggs = json!({
        "k": {"terms": {"field": "k", "size": 10, "min_doc_count": 0},
            "aggs": {"n": {"stats": {"field": "n"}}, "top": {"top_hits": {"sort": ["at", "n"], "_source": ["n"]}}}},
        "numbers": {"terms": {"field": "n", "min_doc_count": 0, "size": 100, "order": {"_key": "asc"}}},
        "some": {"terms": {"field": "k", "include": "[a-c]", "exclude": ["b"], "min_doc_count": 0}},
        "distinct": {"cardinality": {"field": "k"}},
        "everything": {"global": {}, "aggs": {"k": {"terms": {"field": "k", "min_doc_count": 0}},
            "sum": {"sum": {"field": "n"}}, "count": {"value_count": {"field": "d"}}}},
        "histogram": {"histogram": {"field": "n", "interval": 5, "min_doc_count": 0}},
        "dates": {"date_histogram": {"field": "at", "calendar_interval": "month"}},
        "filters": {"filters": {"filters": {"a": {"term": {"k": "a"}}, "d": {"exists": {"field": "d"}}},
            "other_bucket": true}},
        "missing": {"missing": {"field": "d"}},
        "percentiles": {"percentiles": {"field": "n"}},
    });
    let sort = json!(["at", {"n": "desc"}, "k"]);
    vec![
        json!({"size": 0, "track_total_hits": true}),
        json!({"size": 0, "aggs": aggs}),
        json!({"size": 0, "query": {"range": {"n": {"lt": 5}}}, "aggs": aggs}),
        json!({"size": 0, "query": {"match_none": {}}, "aggs": aggs}),
        json!({"size": 50, "sort": sort}),
        json!({"size": 5, "from": 2, "sort": sort, "query": {"exists": {"field": "k"}},
            "docvalue_fields": ["k", "n"], "fields": ["t", "at"], "_source": ["o.*"]}),
        json!({"size": 50, "query": {"bool": {"filter": {"wildcard": {"k": "*"}}}}}),
        json!({"size": 50, "query": {"constant_score": {"filter": {"fuzzy": {"k": "a"}}}}}),
        json!({"size": 3, "sort": sort, "post_filter": {"term": {"k": "b"}}, "aggs": {"s": {"sum": {"field": "n"}}}}),
        json!({"size": 50, "query": {"bool": {"must_not": {"match": {"t": "green"}}}}}),
        json!({"size": 50, "query": {"constant_score": {"filter": {"query_string": {"query": "red"}}}}}),
    ]
}

fn with_ids(docs: &[Value]) -> Vec<Value> {
    let with_id = |(number, doc): (usize, &Value)| {
        let mut doc = doc.clone();
        doc["_id"] = number.to_string().into();
        doc
    };
    docs.iter().enumerate().map(with_id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_is_as_good_as_absence(
        docs in prop::collection::vec(document(), 1..40),
        filters in prop::collection::vec(filter(), 1..3),
        cut in 0usize..40,
    ) {
        let docs = with_ids(&docs);
        let cut = cut.min(docs.len());
        let whole = Index::split(mapping(), &[&[&docs[..cut], &docs[cut..]]]);
        let any = any_of(&filters.iter().collect::<Vec<_>>(), "test", NOW).unwrap();
        let seen = whole.seen_by(&View::whole().filtered(any));
        let query = json!({"bool": {"should": filters, "minimum_should_match": 1}});
        let passing: BTreeSet<String> = whole.set(query.clone()).into_iter().collect();
        let passes = |doc: &&Value| passing.contains(doc["_id"].as_str().unwrap());
        let (before, after): (Vec<Value>, Vec<Value>) = (
            docs[..cut].iter().filter(passes).cloned().collect(),
            docs[cut..].iter().filter(passes).cloned().collect(),
        );
        let part = Index::split(mapping(), &[&[&before, &after]]);
        for body in bodies() {
            prop_assert_eq!(seen.search(body.clone()), part.search(body.clone()), "{}", body);
        }
        for query in [json!({"match_all": {}}), json!({"term": {"k": "a"}}), json!({"match": {"t": "red blue"}})] {
            prop_assert_eq!(seen.count(&query), part.count(&query));
        }
        // Scores are those of the whole, as a filter in the query gives them.
        for text in ["red", "red blue", "green red"] {
            let scored = json!({"match": {"t": text}});
            let narrowed = json!({"bool": {"must": scored, "filter": query}});
            let through = seen.search(json!({"query": scored, "size": 50, "track_total_hits": true}));
            let direct = whole.search(json!({"query": narrowed, "size": 50, "track_total_hits": true}));
            prop_assert_eq!(through, direct);
        }
    }

    #[test]
    fn a_masked_field_is_as_good_as_unmapped(docs in prop::collection::vec(document(), 1..20)) {
        let docs = with_ids(&docs);
        let hidden = |path: &str| path == "n" || path == "o.k" || path == "d";
        let mask = FieldMask::new(move |path| !hidden(path));
        let seen = Index::new(mapping(), &docs).seen_by(&View::whole().masked(mask));
        let mut bare_mapping = mapping();
        let mut bare = docs.clone();
        for name in ["n", "o", "d"] {
            bare_mapping["properties"].as_object_mut().unwrap().shift_remove(name);
            for doc in &mut bare {
                doc.as_object_mut().unwrap().shift_remove(name);
            }
        }
        let bare = Index::new(bare_mapping, &bare);
        for body in [
            json!({"size": 50, "sort": "_doc"}),
            json!({"size": 50, "query": {"range": {"n": {"gte": 0}}}}),
            json!({"size": 50, "query": {"exists": {"field": "o"}}}),
            json!({"size": 50, "query": {"exists": {"field": "*"}}}),
            json!({"size": 50, "query": {"constant_score": {"filter": {"query_string": {"query": "a OR 3"}}}}}),
            json!({"size": 50, "query": {"constant_score": {"filter": {"multi_match": {"query": "a", "fields": ["*"]}}}}}),
            json!({"size": 50, "sort": [{"n": {"unmapped_type": "long"}}, "_doc"]}),
            json!({"size": 50, "sort": "_doc", "fields": ["*"], "docvalue_fields": ["*"]}),
            json!({"size": 50, "sort": "_doc", "fields": [{"field": "*", "include_unmapped": true}]}),
            json!({"size": 0, "aggs": {"n": {"terms": {"field": "n"}}, "k": {"terms": {"field": "o.k"}},
                "d": {"sum": {"field": "d"}}}}),
        ] {
            prop_assert_eq!(seen.try_search(&body), bare.try_search(&body), "{}", body);
        }
    }
}
