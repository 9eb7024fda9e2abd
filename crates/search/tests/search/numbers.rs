//! Numbers that no double holds are found, ordered and counted as they are.

use serde_json::{Value, json};

use super::harness::Index;

const BIG: [u64; 5] = [
    u64::MAX,
    u64::MAX - 1,
    (1 << 63) + 1,
    1 << 63,
    (1 << 53) + 1,
];

fn unsigned() -> Index {
    let docs: Vec<Value> = BIG.iter().map(|n| json!({"u": n})).collect();
    let (left, right) = docs.split_at(2);
    Index::split(
        json!({"properties": {"u": {"type": "unsigned_long"}}}),
        &[&[left], &[right, &[json!({})]]],
    )
}

fn ids(answer: &Value) -> Vec<&str> {
    let hits = answer["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit["_id"].as_str().unwrap())
        .collect()
}

#[test]
fn unsigned_longs_sort_exactly_and_page_by_search_after() {
    let index = unsigned();
    let sorted = index
        .try_search(&json!({"sort": [{"u": "desc"}], "docvalue_fields": ["u"]}))
        .unwrap();
    assert_eq!(ids(&sorted), ["1", "2", "3", "4", "5", "6"]);
    let keys: Vec<&Value> = sorted["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| &hit["sort"][0])
        .collect();
    // A document without a value shows the end of the type.
    let expected: Vec<Value> = BIG.iter().map(|n| json!(n)).chain([json!(0)]).collect();
    assert_eq!(keys, expected.iter().collect::<Vec<_>>());
    assert_eq!(sorted["hits"][0]["fields"]["u"], json!([u64::MAX]));
    for (place, after) in BIG.iter().enumerate() {
        let page = index
            .try_search(&json!({"size": 1, "sort": [{"u": "desc"}], "search_after": [after]}))
            .unwrap();
        assert_eq!(ids(&page), [(place + 2).to_string()], "after {after}");
    }
}

#[test]
fn unsigned_longs_are_counted_and_bucketed_exactly() {
    let answer = unsigned()
        .try_search(&json!({"size": 0, "aggs": {
            "terms": {"terms": {"field": "u", "order": {"_key": "desc"}}},
            "some": {"terms": {"field": "u", "include": [BIG[1], "9007199254740993"]}},
            "not": {"terms": {"field": "u", "exclude": [u64::MAX, 1u64 << 63]}},
            "lacks": {"terms": {"field": "u", "missing": BIG[2]}},
            "distinct": {"cardinality": {"field": "u"}},
            "stats": {"stats": {"field": "u"}},
        }}))
        .unwrap();
    let aggs = &answer["aggregations"];
    let keys = |name: &str| -> Vec<Value> {
        let buckets = aggs[name]["buckets"].as_array().unwrap();
        buckets.iter().map(|bucket| bucket["key"].clone()).collect()
    };
    assert_eq!(keys("terms"), BIG.map(Value::from));
    assert_eq!(keys("some"), [json!(BIG[4]), json!(BIG[1])]);
    assert_eq!(keys("not").len(), 3);
    let lacks = &aggs["lacks"]["buckets"][0];
    assert_eq!(
        (&lacks["key"], &lacks["doc_count"]),
        (&json!(BIG[2]), &json!(2))
    );
    assert_eq!(aggs["distinct"]["value"], 5);
    assert_eq!(aggs["stats"]["max"], u64::MAX as f64);
}

#[test]
fn ends_of_ranges_and_terms_are_exact() {
    let index = unsigned();
    for (query, expected) in [
        (json!({"term": {"u": u64::MAX}}), vec!["1"]),
        (json!({"term": {"u": "18446744073709551614"}}), vec!["2"]),
        (
            json!({"terms": {"u": [1u64 << 63, "9223372036854775809"]}}),
            vec!["3", "4"],
        ),
        (
            json!({"range": {"u": {"gt": 1u64 << 63}}}),
            vec!["1", "2", "3"],
        ),
        (
            json!({"range": {"u": {"gte": "9223372036854775807.5", "lt": "18446744073709551615"}}}),
            vec!["2", "3", "4"],
        ),
        (
            json!({"range": {"u": {"lte": "9400111899223197428490000"}}}),
            vec!["1", "2", "3", "4", "5"],
        ),
        (
            json!({"range": {"u": {"lt": 9_007_199_254_740_993u64}}}),
            vec![],
        ),
        (
            json!({"range": {"u": {"gte": -1.5, "lte": "9007199254740993.9"}}}),
            vec!["5"],
        ),
    ] {
        let answer = index.try_search(&json!({"query": query})).unwrap();
        let mut found = ids(&answer);
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn longs_beyond_2_to_the_53_are_told_apart_in_aggregations() {
    let docs: Vec<Value> = (0..4)
        .map(|n| json!({"l": 9_007_199_254_740_992i64 + n}))
        .collect();
    let index = Index::new(json!({"properties": {"l": {"type": "long"}}}), &docs);
    let answer = index
        .try_search(&json!({"size": 0, "aggs": {
            "some": {"terms": {"field": "l", "include": [9_007_199_254_740_993i64]}},
            "distinct": {"cardinality": {"field": "l", "missing": 9_007_199_254_740_993i64}},
        }}))
        .unwrap();
    let buckets = &answer["aggregations"]["some"]["buckets"];
    assert_eq!(
        buckets,
        &json!([{"key": 9_007_199_254_740_993i64, "doc_count": 1}])
    );
    assert_eq!(answer["aggregations"]["distinct"]["value"], 4);
}

#[test]
fn a_number_of_a_query_is_the_text_that_elasticsearch_makes_of_it() {
    let docs = [
        json!({"k": "1.1"}),
        json!({"k": "9400111899223197428490"}),
        json!({"k": "1.0E7"}),
        json!({"k": "0"}),
    ];
    let index = Index::new(json!({"properties": {"k": {"type": "keyword"}}}), &docs);
    for (number, id) in [
        ("1.10", "1"),
        ("9400111899223197428490", "2"),
        ("1e7", "3"),
        ("-0", "4"),
    ] {
        let number: Value = serde_json::from_str(number).unwrap();
        let answer = index
            .try_search(&json!({"query": {"term": {"k": number}}}))
            .unwrap();
        assert_eq!(ids(&answer), [id], "{number}");
    }
}

#[test]
fn terms_of_longs_and_doubles_are_one_list_of_doubles() {
    let longs = Index::new(
        json!({"properties": {"x": {"type": "long"}}}),
        &[json!({"x": 1}), json!({"x": 2})],
    );
    let doubles = Index::new(
        json!({"properties": {"x": {"type": "double"}}}),
        &[json!({"x": 1.0}), json!({"x": 2.5})],
    );
    for both in [longs.and(&doubles), doubles.and(&longs)] {
        let answer = both
            .try_search(&json!({"size": 0, "aggs": {"x": {"terms": {"field": "x", "order": [{"_count": "desc"}, {"_key": "asc"}]}}}}))
            .unwrap();
        assert_eq!(
            answer["aggregations"]["x"]["buckets"],
            json!([{"key": 1.0, "doc_count": 2}, {"key": 2.0, "doc_count": 1}, {"key": 2.5, "doc_count": 1}])
        );
    }
}

#[test]
fn terms_of_texts_and_numbers_are_no_list() {
    let longs = Index::new(
        json!({"properties": {"x": {"type": "long"}}}),
        &[json!({"x": 1})],
    );
    let texts = Index::new(
        json!({"properties": {"x": {"type": "keyword"}}}),
        &[json!({"x": "1"})],
    );
    for both in [longs.and(&texts), texts.and(&longs)] {
        for body in [
            json!({"aggs": {"x": {"terms": {"field": "x"}}}}),
            json!({"aggs": {"all": {"global": {}, "aggs": {"x": {"terms": {"field": "x"}}}}}}),
        ] {
            let error = both.error(body);
            assert_eq!(error.status, 400);
            assert!(
                error.reason.contains("[x] because the field you gave"),
                "{error}"
            );
        }
    }
    // A shard without values of the field has no say.
    let none = Index::new(
        json!({"properties": {"x": {"type": "keyword"}}}),
        &[json!({})],
    );
    let answer = none
        .and(&longs)
        .search(json!({"aggs": {"x": {"terms": {"field": "x"}}}}));
    assert_eq!(answer["aggregations"]["x"]["buckets"][0]["key"], 1);
}
