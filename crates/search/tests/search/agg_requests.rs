//! Aggregations as requests: nesting, time zones, empty shards, limits, and that the number of
//! shards changes nothing.

use ringwall_search::parse_search;
use serde_json::{Value, json};

use super::harness::Index;

fn mapping() -> Value {
    json!({"properties": {
        "k": {"type": "keyword"}, "n": {"type": "long"}, "d": {"type": "double"},
        "at": {"type": "date"}, "ok": {"type": "boolean"}, "t": {"type": "text"},
        "ip": {"type": "ip"}, "seconds": {"type": "date", "format": "epoch_second"},
        "where": {"type": "geo_point"},
    }})
}

fn docs() -> Vec<Value> {
    (0..40i64)
        .map(|n| {
            let colors = ["red", "green", "blue"];
            json!({"k": (colors[n as usize % 3]), "n": n * n % 17,
                "d": n as f64 / 4.0, "at": 1_704_067_200_000 + n * 37 * 3_600_000,
                "ok": n % 4 == 0, "ip": format!("10.0.0.{}", n % 5),
                "where": {"lat": 0.1 * n as f64, "lon": 0}})
        })
        .collect()
}

/// The same documents in one shard, in three shards, and in a shard beside an empty one.
fn indexes() -> [Index; 3] {
    let docs = docs();
    [
        Index::new(mapping(), &docs),
        Index::split(
            mapping(),
            &[
                &[&docs[..5], &docs[5..12]],
                &[&docs[12..13]],
                &[&docs[13..30], &docs[30..]],
            ],
        ),
        Index::split(mapping(), &[&[], &[&docs]]),
    ]
}

/// Every aggregation there is.
fn every() -> Value {
    json!({
        "avg": {"avg": {"field": "n"}}, "sum": {"sum": {"field": "d"}},
        "min": {"min": {"field": "at"}}, "max": {"max": {"field": "ok"}},
        "count": {"value_count": {"field": "k"}}, "stats": {"stats": {"field": "n"}},
        "extended": {"extended_stats": {"field": "n", "sigma": 1.5}},
        "distinct": {"cardinality": {"field": "ip"}},
        "distinct_n": {"cardinality": {"field": "n", "missing": 99}},
        "percentiles": {"percentiles": {"field": "d", "percents": [0, 50, 99.9]}},
        "ranks": {"percentile_ranks": {"field": "d", "values": [2.5, 100], "keyed": false}},
        "hdr": {"percentiles": {"field": "n", "hdr": {}}},
        "deviation": {"median_absolute_deviation": {"field": "d", "missing": 3, "compression": 50}},
        "terms": {"terms": {"field": "k"}}, "flags": {"terms": {"field": "ok"}},
        "numbers": {"terms": {"field": "n", "size": 4, "order": {"_key": "desc"}}},
        "addresses": {"terms": {"field": "ip", "include": ["10.0.0.1", "10.0.0.3"]}},
        "histogram": {"histogram": {"field": "d", "interval": 2.5, "keyed": true}},
        "days": {"date_histogram": {"field": "at", "calendar_interval": "week",
            "time_zone": "America/New_York"}},
        "hours": {"date_histogram": {"field": "at", "fixed_interval": "100h", "offset": "-7h"}},
        "range": {"range": {"field": "n", "ranges": [{"to": 3}, {"from": 2, "to": 9}]}},
        "dates": {"date_range": {"field": "at", "format": "yyyy-MM-dd", "ranges": [
            {"from": "2024-01-05||-1d", "to": "now/M"}]}},
        "blocks": {"ip_range": {"field": "ip", "ranges": [{"to": "10.0.0.2"}, {"mask": "10.0.0.0/30"}]}},
        "rings": {"geo_distance": {"field": "where", "origin": "0,0", "unit": "km",
            "ranges": [{"to": 200}, {"from": 100}]}},
        "filter": {"filter": {"term": {"k": "red"}}},
        "filters": {"filters": {"other_bucket_key": "rest", "filters": {
            "low": {"range": {"n": {"lt": 4}}}, "red": {"term": {"k": "red"}}}}},
        "without": {"missing": {"field": "t2"}}, "all": {"global": {}},
        "hits": {"top_hits": {"size": 2, "sort": [{"n": "desc"}, {"d": "asc"}]}},
        "sums": {"histogram": {"field": "n", "interval": 3}, "aggs": {
            "sum": {"sum": {"field": "d"}}, "so_far": {"cumulative_sum": {"buckets_path": "sum"}},
            "step": {"derivative": {"buckets_path": "so_far"}}, "back": {"serial_diff": {"buckets_path": "sum"}},
            "first": {"bucket_sort": {"size": 2}}}},
        "most": {"max_bucket": {"buckets_path": "sums>sum"}}, "least": {"min_bucket": {"buckets_path": "sums>sum"}},
        "mean": {"avg_bucket": {"buckets_path": "sums>sum"}}, "total": {"sum_bucket": {"buckets_path": "sums>sum"}},
        "all_of": {"stats_bucket": {"buckets_path": "sums>sum"}},
        "more_of": {"extended_stats_bucket": {"buckets_path": "sums>sum"}},
        "points": {"percentiles_bucket": {"buckets_path": "sums>sum"}},
    })
}

#[test]
fn shards_change_nothing() {
    let [one, many, beside_empty] = indexes();
    let query = json!({"range": {"n": {"gte": 1}}});
    let mut nested = every();
    nested.as_object_mut().unwrap().shift_remove("all");
    for aggs in [
        every(),
        // Everything within buckets, and those within others.
        json!({"by": {"terms": {"field": "k"}, "aggs": nested}}),
        json!({"by": {"date_histogram": {"field": "at", "calendar_interval": "month"},
            "aggs": {"f": {"filter": {"term": {"ok": true}}, "aggs": nested}}}}),
        json!({"by": {"global": {}, "aggs": {"r": {"range": {"field": "n",
            "ranges": [{"from": 5}]}, "aggs": nested}}}}),
    ] {
        let body = json!({"size": 0, "query": query, "aggs": aggs});
        let expected = one.search(body.clone());
        assert_eq!(
            round(&many.search(body.clone())),
            round(&expected),
            "{aggs}"
        );
        assert_eq!(round(&beside_empty.search(body)), round(&expected));
    }
}

/// Sums of squares may differ in the last digits by the order of adding.
fn round(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!(format!("{:.9e}", number.as_f64().unwrap()))
        }
        Value::Array(items) => items.iter().map(round).collect(),
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), round(v))).collect(),
        other => other.clone(),
    }
}

#[test]
fn buckets_within_buckets() {
    let docs = [
        json!({"k": "a", "ok": true, "n": 1, "at": "2024-01-10"}),
        json!({"k": "a", "ok": false, "n": 5, "at": "2024-01-20"}),
        json!({"k": "a", "ok": true, "n": 9, "at": "2024-03-01"}),
        json!({"k": "b", "ok": true, "n": 100, "at": "2024-02-01"}),
        json!({"k": "c", "ok": false, "n": 3, "at": "2024-02-01"}),
    ];
    let aggs = json!({"k": {
        "terms": {"field": "k", "order": {"good>s.max": "desc"}},
        "meta": {"color": "blue"},
        "aggs": {
            "good": {"filter": {"term": {"ok": true}}, "aggs": {"s": {"stats": {"field": "n"}}}},
            "m": {"date_histogram": {"field": "at", "calendar_interval": "month",
                "format": "yyyy-MM"}, "aggs": {"sum": {"sum": {"field": "n"}}}},
        },
    }});
    for index in [
        Index::new(mapping(), &docs),
        Index::split(mapping(), &[&[&docs[..2], &docs[2..3]], &[&docs[3..]]]),
    ] {
        let found = index.aggs(aggs.clone());
        assert_eq!(found["k"]["meta"], json!({"color": "blue"}));
        let buckets = found["k"]["buckets"].as_array().unwrap();
        let keys: Vec<&Value> = buckets.iter().map(|bucket| &bucket["key"]).collect();
        // No good document makes no maximum: last, whatever the direction.
        assert_eq!(keys, ["b", "a", "c"]);
        assert_eq!(
            buckets[1],
            json!({"key": "a", "doc_count": 3,
                "good": {"doc_count": 2, "s": {"count": 2, "min": 1.0, "max": 9.0, "avg": 5.0,
                    "sum": 10.0}},
                "m": {"buckets": [
                    {"key_as_string": "2024-01", "key": 1704067200000i64, "doc_count": 2,
                        "sum": {"value": 6.0}},
                    {"key_as_string": "2024-02", "key": 1706745600000i64, "doc_count": 0,
                        "sum": {"value": 0.0}},
                    {"key_as_string": "2024-03", "key": 1709251200000i64, "doc_count": 1,
                        "sum": {"value": 9.0}}]}})
        );
    }
}

#[test]
fn clocks_that_change() {
    // In Paris the clock goes from 03:00 back to 02:00 on 2024-10-27, at 01:00 UTC.
    let docs: Vec<Value> = [
        "2024-10-26T22:30:00Z",
        "2024-10-27T00:30:00Z",
        "2024-10-27T01:30:00Z",
        "2024-10-27T22:30:00Z",
        "2024-10-27T23:30:00Z",
    ]
    .iter()
    .map(|at| json!({"at": at}))
    .collect();
    let index = Index::new(mapping(), &docs);
    let buckets = |options: Value| -> Vec<(String, u64)> {
        let mut spec = json!({"field": "at", "time_zone": "Europe/Paris", "min_doc_count": 1});
        spec.as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        let found = index.aggs(json!({"x": {"date_histogram": spec}}));
        let buckets = found["x"]["buckets"].as_array().unwrap();
        let read = |b: &Value| {
            (
                b["key_as_string"].as_str().unwrap().to_owned(),
                b["doc_count"].as_u64().unwrap(),
            )
        };
        buckets.iter().map(read).collect()
    };
    // The day has 25 hours.
    assert_eq!(
        buckets(json!({"calendar_interval": "day"})),
        [
            ("2024-10-27T00:00:00.000+02:00".into(), 4),
            ("2024-10-28T00:00:00.000+01:00".into(), 1)
        ]
    );
    // The hour that comes twice is two buckets.
    assert_eq!(
        buckets(json!({"calendar_interval": "hour", "format": "HH:mm XXX"}))[1..3],
        [("02:00 +02:00".into(), 1), ("02:00 +01:00".into(), 1)]
    );
    assert_eq!(
        buckets(json!({"calendar_interval": "day", "offset": "+1h", "format": "dd HH"})),
        [("26 01".into(), 1), ("27 01".into(), 4)]
    );
    // Quarters and weeks begin where they do on the wall, not at a multiple of their length.
    assert_eq!(
        buckets(json!({"calendar_interval": "quarter", "format": "yyyy-MM-dd"})),
        [("2024-10-01".into(), 5)]
    );
    assert_eq!(
        buckets(json!({"calendar_interval": "week", "format": "yyyy-MM-dd"})),
        [("2024-10-21".into(), 4), ("2024-10-28".into(), 1)]
    );
}

#[test]
fn empty_shards_answer_in_shape() {
    let index = Index::split(mapping(), &[&[]]);
    let found = index.search(json!({"size": 0, "aggs": every()}));
    let aggs = &found["aggregations"];
    assert_eq!(aggs["avg"], json!({"value": null}));
    assert_eq!(
        aggs["stats"],
        json!({"count": 0, "min": null, "max": null, "avg": null, "sum": 0.0})
    );
    assert_eq!(
        aggs["range"]["buckets"][0],
        json!({"key": "*-3.0", "to": 3.0, "doc_count": 0})
    );
    assert_eq!(aggs["dates"]["buckets"][0]["key"], "2024-01-04-2024-03-01");
    assert_eq!(aggs["filters"]["buckets"]["rest"], json!({"doc_count": 0}));
    assert_eq!(aggs["hits"]["hits"]["hits"], json!([]));
    // The bounds of a graph are there without data, mapped or not.
    for field in ["at", "nope"] {
        let found = index.aggs(json!({"x": {"date_histogram": {"field": field,
            "fixed_interval": "1d", "format": "yyyy-MM-dd",
            "extended_bounds": {"min": "2024-01-01", "max": "2024-01-02"}}}}));
        assert_eq!(
            found["x"]["buckets"],
            json!([{"key_as_string": "2024-01-01", "key": 1704067200000i64, "doc_count": 0},
                {"key_as_string": "2024-01-02", "key": 1704153600000i64, "doc_count": 0}]),
            "{field}"
        );
    }
    // What does not fit the mapping is an error without documents too.
    let error = index.error(json!({"aggs": {"x": {"terms": {"field": "t"}}}}));
    assert!(error.reason.starts_with("Fielddata is disabled on [t]"));
    assert_eq!(
        index
            .error(json!({"aggs": {"x": {"avg": {"field": "k"}}}}))
            .status,
        400
    );
}

#[test]
fn types_are_named_without_documents() {
    let index = Index::split(mapping(), &[&[]]);
    let body = json!({"size": 0, "aggs": {"k": {"terms": {"field": "k"}},
        "n": {"terms": {"field": "n"}}, "d": {"terms": {"field": "d"}},
        "u": {"terms": {"field": "nope"}}}});
    let mut source = parse_search(&body).unwrap();
    source.typed_keys = true;
    let found = index.run(&source).unwrap();
    let names: Vec<&String> = found["aggregations"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["sterms#k", "lterms#n", "dterms#d", "umterms#u"]);
}

#[test]
fn what_stands_for_missing_joins_its_like() {
    let docs = [
        json!({"k": "none"}),
        json!({"n": 1}),
        json!({"k": "a", "ip": "10.0.0.9"}),
    ];
    let index = Index::new(mapping(), &docs);
    let found = index.aggs(json!({
        "k": {"terms": {"field": "k", "missing": "none"}},
        "ip": {"terms": {"field": "ip", "missing": "10.0.0.9"}},
        "distinct": {"cardinality": {"field": "ip", "missing": "10.0.0.9"}},
        "count": {"value_count": {"field": "k", "missing": "x"}},
    }));
    assert_eq!(
        found["k"]["buckets"],
        json!([{"key": "none", "doc_count": 2}, {"key": "a", "doc_count": 1}])
    );
    assert_eq!(
        found["ip"]["buckets"],
        json!([{"key": "10.0.0.9", "doc_count": 3}])
    );
    assert_eq!(found["distinct"]["value"], 1);
    assert_eq!(found["count"]["value"], 3);
    // A text that a document repeats is one value.
    let index = Index::new(mapping(), &[json!({"k": ["a", "a", "b"]})]);
    let found = index.aggs(json!({"v": {"value_count": {"field": "k"}},
        "t": {"terms": {"field": "k"}}}));
    assert_eq!(found["v"]["value"], 2);
    assert_eq!(
        found["t"]["buckets"][0],
        json!({"key": "a", "doc_count": 1})
    );
}

#[test]
fn numbers_in_date_ranges_are_read_by_the_format() {
    let docs = [1000, 2000, 3000].map(|seconds| json!({"seconds": seconds}));
    let index = Index::new(mapping(), &docs);
    let found = index.aggs(json!({"x": {"date_range": {"field": "seconds",
        "ranges": [{"from": 1000, "to": 3000}, {"from": 3000, "to": 4000}]}}}));
    assert_eq!(
        found["x"]["buckets"],
        json!([{"key": "1000-3000", "from": 1000000.0, "from_as_string": "1000",
            "to": 3000000.0, "to_as_string": "3000", "doc_count": 2},
            {"key": "3000-4000", "from": 3000000.0, "from_as_string": "3000",
            "to": 4000000.0, "to_as_string": "4000", "doc_count": 1}])
    );
}

#[test]
fn hard_bounds_are_bounds_of_keys() {
    let docs: Vec<Value> = (0..10)
        .map(|n| json!({"n": n, "at": n * 86_400_000i64}))
        .collect();
    let index = Index::new(mapping(), &docs);
    let found = index.aggs(json!({
        "n": {"histogram": {"field": "n", "interval": 3, "hard_bounds": {"min": 1, "max": 6}}},
        "at": {"date_histogram": {"field": "at", "fixed_interval": "3d", "format": "dd",
            "hard_bounds": {"min": "03", "max": "07"}}},
    }));
    // The bucket of 0 begins before the bound; that of 6 begins at it.
    assert_eq!(
        found["n"]["buckets"],
        json!([{"key": 3.0, "doc_count": 3}, {"key": 6.0, "doc_count": 3}])
    );
    let keys: Vec<&Value> = found["at"]["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| &bucket["key_as_string"])
        .collect();
    assert_eq!(keys, ["04"]);
}

#[test]
fn buckets_are_limited() {
    let index = Index::new(mapping(), &docs());
    let limited = |aggs: Value, limit: usize| {
        let source = parse_search(&json!({"size": 0, "aggs": aggs})).unwrap();
        index.run_limited(&source, limit)
    };
    let terms = json!({"x": {"terms": {"field": "k"}}});
    assert!(limited(terms.clone(), 3).is_ok());
    let error = limited(terms, 2).unwrap_err();
    assert_eq!(error.status, 400);
    assert!(
        error.reason.starts_with(
            "Trying to create too many buckets. Must be less than or equal to: [2] but"
        )
    );
    // Buckets in buckets count; single buckets do not.
    let nested = json!({"x": {"filter": {"match_all": {}}, "aggs": {"y": {"terms": {"field": "k"},
        "aggs": {"z": {"terms": {"field": "ok"}}}}}}});
    assert!(limited(nested.clone(), 9).is_ok());
    assert!(limited(nested, 8).is_err());
    // Gaps are not filled for ever.
    let gaps = json!({"x": {"date_histogram": {"field": "at", "fixed_interval": "1ms"}}});
    assert!(limited(gaps, 65_536).is_err());
    let docs = [json!({"d": 1e300}), json!({"d": -1e300}), json!({"d": 0})];
    let index = Index::new(mapping(), &docs);
    let aggs = |count: u64| {
        json!({"x": {"histogram": {"field": "d", "interval": 1e-300,
        "min_doc_count": count}}})
    };
    assert_eq!(index.error(json!({"aggs": aggs(0)})).status, 400);
    assert_eq!(
        index.aggs(aggs(1))["x"]["buckets"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn options_out_of_range_name_the_aggregation() {
    let index = Index::new(mapping(), &[]);
    for (agg, reason) in [
        (
            json!({"extended_stats": {"field": "n", "sigma": -1}}),
            "[sigma] must be greater than or equal to 0. Found [-1.0] in [x]",
        ),
        (
            json!({"cardinality": {"field": "n", "precision_threshold": -1}}),
            "[precisionThreshold] must be greater than or equal to 0. Found [-1] in [x]",
        ),
    ] {
        assert_eq!(index.error(json!({"aggs": {"x": agg}})).reason, reason);
    }
}

#[test]
fn many_distinct_values_are_estimated_alike_by_any_number_of_shards() {
    let docs: Vec<Value> = (0..6_000)
        .map(|n| json!({"n": n % 5_000, "k": format!("v{n}")}))
        .collect();
    let aggs = json!({
        "n": {"cardinality": {"field": "n", "precision_threshold": 100}},
        "k": {"cardinality": {"field": "k", "precision_threshold": 40000}}});
    let one = Index::new(mapping(), &docs).aggs(aggs.clone());
    let many = Index::split(
        mapping(),
        &[&[&docs[..100]], &[&docs[100..4_000]], &[&docs[4_000..]]],
    );
    assert_eq!(one, many.aggs(aggs));
    assert_eq!(one["k"]["value"], 6_000);
    let estimate = one["n"]["value"].as_f64().unwrap();
    assert!((estimate - 5_000.0).abs() < 150.0, "{estimate}");
}
