//! What crosses nodes arrives as it was sent.

use ringwall_base::encoding::{decode, encode};
use ringwall_search::agg::Partial;
use ringwall_search::agg::partial::{Bucket, Buckets, Key, KeyKind, Stats, ValueFormat};
use ringwall_search::{
    DocAddress, FetchedHit, ShardDoc, ShardQueryResult, SortValue, parse_search,
};
use serde_json::json;

use super::harness::Index;

#[test]
fn results_round_trip() {
    let address = DocAddress {
        segment: 3,
        doc: u32::MAX,
    };
    let mut empty_stats = Stats::default();
    empty_stats.merge(&Stats::of_count(u64::MAX));
    let result = ShardQueryResult {
        docs: vec![ShardDoc {
            address,
            score: Some(0.1),
            sort: vec![
                SortValue::Missing { first: true },
                SortValue::Long(i64::MIN),
                SortValue::Double(f64::NEG_INFINITY),
                SortValue::Double(-0.0),
                SortValue::Text("größe\u{0}".into()),
                SortValue::Ip("00".into()),
                SortValue::Formatted {
                    millis: -1,
                    text: "1969".into(),
                },
            ],
        }],
        total: u64::MAX,
        total_is_exact: true,
        max_score: Some(f32::MAX),
        // Minimum and maximum of nothing are infinite.
        aggs: vec![
            Partial::Empty,
            Partial::Stats {
                stats: empty_stats,
                format: ValueFormat::Bool,
            },
            Partial::Buckets(Buckets {
                buckets: vec![
                    Bucket {
                        key: Key::Double(1.0),
                        doc_count: 1,
                        subs: vec![Partial::Empty],
                    },
                    Bucket {
                        key: Key::Long(1),
                        doc_count: 2,
                        subs: vec![],
                    },
                    Bucket {
                        key: Key::Text("1".into()),
                        doc_count: 3,
                        subs: vec![],
                    },
                ],
                format: ValueFormat::Date {
                    format: "yyyy".into(),
                    zone: "Asia/Tokyo".into(),
                },
                mixed: true,
                other_doc_count: 7,
                error_bound: -1,
                sources: 1,
                keys: KeyKind::Double,
                bounds: vec![(None, Some(f64::INFINITY))],
            }),
        ],
        timed_out: true,
        terminated_early: true,
    };
    assert_eq!(
        decode::<ShardQueryResult>(&encode(&result)).unwrap(),
        result
    );
    let hit = FetchedHit {
        id: "1".into(),
        routing: Some("r".into()),
        version: Some(u64::MAX),
        seq_no: Some(-1),
        primary_term: Some(1),
        source: Some(br#"{"a":1.0}"#.to_vec().into()),
        fields: Some(json!({"a": [1, 1.0, u64::MAX, i64::MIN, "x", null, true, {"b": []}]})),
        ignored: vec!["a.b".into()],
        ignored_values: Some(json!({"a.b": ["x"]})),
        highlight: Some(json!({"a": ["<em>x</em>"]})),
    };
    assert_eq!(decode::<FetchedHit>(&encode(&hit)).unwrap(), hit);
}

#[test]
fn every_aggregation_round_trips() {
    let mapping = json!({"properties": {"k": {"type": "keyword"}, "n": {"type": "long"}}});
    let docs: Vec<_> = (0..3_000)
        .map(|n| json!({"k": format!("v{n}"), "n": n}))
        .collect();
    let index = Index::new(mapping, &docs);
    let body = json!({"size": 5, "sort": ["k", {"n": "desc"}], "aggs": {
        "exact": {"cardinality": {"field": "k"}},
        "estimated": {"cardinality": {"field": "k", "precision_threshold": 10}},
        "percentiles": {"percentiles": {"field": "n"}},
        "hdr": {"percentiles": {"field": "n", "hdr": {}}},
        "stats": {"extended_stats": {"field": "n"}},
        "hits": {"top_hits": {"sort": "n"}},
        "terms": {"terms": {"field": "k"}, "aggs": {"h": {"histogram": {"field": "n",
            "interval": 7}}}},
    }});
    let results = index.shard_results(&parse_search(&body).unwrap());
    for result in results {
        assert_eq!(
            decode::<ShardQueryResult>(&encode(&result)).unwrap(),
            result
        );
    }
}

#[test]
fn half_an_answer_is_refused() {
    let bytes = encode(&ShardQueryResult::default());
    assert!(decode::<ShardQueryResult>(&bytes[..bytes.len() - 1]).is_err());
    assert!(decode::<ShardQueryResult>(b"").is_err());
}
