//! However documents are spread over shards and segments, the answer is the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::harness::Index;

fn mapping() -> Value {
    json!({"properties": {
        "k": {"type": "keyword"}, "n": {"type": "long"}, "d": {"type": "double"},
        "at": {"type": "date"},
    }})
}

fn document() -> impl Strategy<Value = Value> {
    let keywords = prop::collection::vec("[a-e]", 0..3);
    let numbers = prop::collection::vec(-20i64..20, 0..3);
    (keywords, numbers, prop::option::of(-8i32..8), 0i64..400).prop_map(|(k, n, d, day)| {
        // Multiples of a quarter: sums are exact in any order.
        json!({"k": k, "n": n, "d": d.map(|d| f64::from(d) / 4.0),
            "at": 1_700_000_000_000i64 + day * 86_400_000})
    })
}

fn aggs() -> Value {
    let metrics = json!({
        "stats": {"stats": {"field": "d"}}, "distinct": {"cardinality": {"field": "n"}},
        "percentiles": {"percentiles": {"field": "n"}},
    });
    json!({
        "by_k": {"terms": {"field": "k", "size": 3, "missing": "none"}, "aggs": metrics},
        "by_n": {"terms": {"field": "n", "size": 50, "order": {"_key": "asc"}}},
        "by_sum": {"terms": {"field": "k", "order": {"s": "desc"}},
            "aggs": {"s": {"sum": {"field": "n"}}}},
        "hist": {"histogram": {"field": "n", "interval": 7}, "aggs": {
            "by_d": {"terms": {"field": "d", "size": 100}}}},
        "months": {"date_histogram": {"field": "at", "calendar_interval": "month",
            "time_zone": "America/New_York"}, "aggs": metrics},
        "ranges": {"range": {"field": "d", "ranges": [{"to": 0}, {"from": -1, "to": 1}]},
            "aggs": metrics},
        "filters": {"filters": {"filters": {"a": {"term": {"k": "a"}}}, "other_bucket": true}},
        "missing": {"missing": {"field": "d"}},
        "stats": {"extended_stats": {"field": "d"}},
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn reduce_of_one_is_reduce_of_many(
        docs in prop::collection::vec(document(), 1..60),
        cuts in (0usize..60, 0usize..60),
    ) {
        let one = Index::new(mapping(), &docs);
        let (low, high) = (cuts.0.min(cuts.1).min(docs.len()), cuts.0.max(cuts.1).min(docs.len()));
        let (a, b, c) = (&docs[..low], &docs[low..high], &docs[high..]);
        let many = Index::split(mapping(), &[&[a, b], &[c]]);
        let three = Index::split(mapping(), &[&[a], &[b], &[c]]);
        for body in [
            json!({"size": 0, "aggs": aggs()}),
            json!({"size": 0, "query": {"range": {"n": {"gte": 0}}}, "aggs": aggs()}),
            json!({"size": 20, "sort": [{"n": "desc"}, {"k": {"missing": "_first"}}, "d", "at"],
                "_source": false}),
            json!({"size": 5, "from": 2, "sort": ["k", {"at": "desc"}], "query": {"exists": {"field": "d"}},
                "_source": ["k"]}),
        ] {
            let expected = without_ids(one.search(body.clone()));
            prop_assert_eq!(&without_ids(many.search(body.clone())), &expected);
            prop_assert_eq!(&without_ids(three.search(body)), &expected);
        }
    }

    /// With one segment a shard chooses its terms before it reads them, with several afterwards.
    #[test]
    fn terms_are_cut_alike_in_one_segment_and_in_two(
        keys in prop::collection::vec(prop::collection::vec("[a-e]{1,2}", 0..3), 1..60),
        cut in 0usize..60,
        size in 1usize..4,
        more in 0usize..3,
    ) {
        let docs: Vec<Value> = keys.iter().enumerate().map(|(n, keys)| json!({"k": keys, "n": n})).collect();
        let mapping = json!({"properties": {"k": {"type": "keyword"}, "n": {"type": "long"}}});
        let cut = cut.min(docs.len());
        let one = Index::new(mapping.clone(), &docs);
        let two = Index::split(mapping, &[&[&docs[..cut], &docs[cut..]]]);
        for order in [json!({"_count": "desc"}), json!({"_key": "desc"}), json!([{"_count": "asc"}, {"_key": "desc"}]), json!({"m": "desc"})] {
            let terms = json!({"field": "k", "size": size, "shard_size": size + more, "order": order});
            let inner = json!({"terms": {"field": "k", "size": 1, "shard_size": size}});
            let aggs = json!({"a": {"terms": terms, "aggs": {"m": {"max": {"field": "n"}}, "t": inner}}});
            prop_assert_eq!(one.aggs(aggs.clone()), two.aggs(aggs), "{}", order);
        }
    }

    #[test]
    fn search_after_misses_and_repeats_nothing(
        docs in prop::collection::vec(document(), 1..40),
        cut in 0usize..40,
        page in 1usize..7,
    ) {
        let cut = cut.min(docs.len());
        let index = Index::split(mapping(), &[&[&docs[..cut], &docs[cut..]]]);
        let sort = json!([{"d": "desc"}, {"k": {"missing": "_first", "order": "desc"}}, "_doc"]);
        let all = index.search(json!({"sort": sort, "size": 100}));
        let mut walked = Vec::new();
        let mut body = json!({"sort": sort, "size": page});
        loop {
            let found = index.search(body.clone());
            let hits = found["hits"].as_array().unwrap();
            let Some(last) = hits.last() else { break };
            body["search_after"] = last["sort"].clone();
            walked.extend(hits.iter().cloned());
            prop_assert!(walked.len() <= docs.len());
        }
        prop_assert_eq!(Value::Array(walked), all["hits"].clone());
    }
}

/// Equal sort values may come in any order of documents.
fn without_ids(mut found: Value) -> Value {
    if let Some(hits) = found["hits"].as_array_mut() {
        for hit in hits {
            if let Some(hit) = hit.as_object_mut() {
                hit.remove("_id");
            }
        }
    }
    found
}
