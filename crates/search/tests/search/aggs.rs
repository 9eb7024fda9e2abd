//! What aggregations answer, in the shape that clients parse.

use serde_json::{Value, json};

use super::harness::Index;

fn mapping() -> Value {
    json!({"properties": {
        "k": {"type": "keyword"}, "n": {"type": "long"}, "d": {"type": "double"},
        "at": {"type": "date"}, "ok": {"type": "boolean"}, "t": {"type": "text"},
        "ip": {"type": "ip"},
    }})
}

fn docs() -> Vec<Value> {
    vec![
        json!({"k": "a", "n": 1, "d": 1.5, "at": "2024-01-31T23:30:00Z", "ok": true}),
        json!({"k": ["a", "b"], "n": 4, "d": 2.5, "at": "2024-02-01T00:30:00Z", "ok": false}),
        json!({"k": "b", "n": [4, 6], "at": "2024-04-15T12:00:00Z", "ip": "10.0.0.1"}),
        json!({"k": "c", "d": -1.0, "ok": true, "t": "quick"}),
        json!({"n": 10}),
    ]
}

/// The documents in one shard of one segment, and spread over three segments of two shards.
fn indexes() -> [Index; 2] {
    let docs = docs();
    [
        Index::new(mapping(), &docs),
        Index::split(mapping(), &[&[&docs[..1], &docs[1..3]], &[&docs[3..]]]),
    ]
}

#[track_caller]
fn check(agg: Value, expected: Value) {
    for index in indexes() {
        let found = index.aggs(json!({"x": agg.clone()}));
        assert_eq!(found["x"], expected, "{agg}");
    }
}

#[test]
fn metrics() {
    check(json!({"avg": {"field": "n"}}), json!({"value": 5.0}));
    check(json!({"sum": {"field": "d"}}), json!({"value": 3.0}));
    check(json!({"min": {"field": "d"}}), json!({"value": -1.0}));
    check(json!({"max": {"field": "n"}}), json!({"value": 10.0}));
    check(json!({"max": {"field": "nope"}}), json!({"value": null}));
    check(json!({"sum": {"field": "nope"}}), json!({"value": 0.0}));
    check(
        json!({"sum": {"field": "nope", "missing": 2}}),
        json!({"value": 10.0}),
    );
    check(
        json!({"avg": {"field": "d", "missing": 0}}),
        json!({"value": 0.6}),
    );
    check(json!({"value_count": {"field": "k"}}), json!({"value": 5}));
    check(json!({"value_count": {"field": "n"}}), json!({"value": 5}));
    check(json!({"cardinality": {"field": "k"}}), json!({"value": 3}));
    check(json!({"cardinality": {"field": "n"}}), json!({"value": 4}));
    check(
        json!({"cardinality": {"field": "n", "missing": 6}}),
        json!({"value": 4}),
    );
    check(
        json!({"stats": {"field": "n"}}),
        json!({"count": 5, "min": 1.0, "max": 10.0, "avg": 5.0, "sum": 25.0}),
    );
    check(
        json!({"stats": {"field": "nope"}}),
        json!({"count": 0, "min": null, "max": null, "avg": null, "sum": 0.0}),
    );
    check(
        json!({"max": {"field": "at"}}),
        json!({"value": 1713182400000.0, "value_as_string": "2024-04-15T12:00:00.000Z"}),
    );
    check(
        json!({"percentiles": {"field": "n", "percents": [0, 50, 100]}}),
        json!({"values": {"0.0": 1.0, "50.0": 4.0, "100.0": 10.0}}),
    );
    check(
        json!({"percentiles": {"field": "n", "percents": [50], "keyed": false}}),
        json!({"values": [{"key": 50.0, "value": 4.0}]}),
    );
    check(
        json!({"percentile_ranks": {"field": "n", "values": [0, 10]}}),
        json!({"values": {"0.0": 0.0, "10.0": 100.0}}),
    );
}

#[test]
fn extended_stats() {
    for index in indexes() {
        let found = index.aggs(json!({"x": {"extended_stats": {"field": "n", "sigma": 1}}}));
        let found = &found["x"];
        assert_eq!(found["sum_of_squares"], 169.0);
        // 169 / 5 - 25
        assert!((found["variance"].as_f64().unwrap() - 8.8).abs() < 1e-12);
        assert!((found["variance_sampling"].as_f64().unwrap() - 11.0).abs() < 1e-12);
        let upper = found["std_deviation_bounds"]["upper"].as_f64().unwrap();
        assert!((upper - (5.0 + 8.8f64.sqrt())).abs() < 1e-12);
    }
}

#[test]
fn terms() {
    let none = |buckets: Value| json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": buckets});
    check(
        json!({"terms": {"field": "k"}}),
        none(
            json!([{"key": "a", "doc_count": 2}, {"key": "b", "doc_count": 2},
            {"key": "c", "doc_count": 1}]),
        ),
    );
    check(
        json!({"terms": {"field": "k", "size": 1}}),
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 3,
            "buckets": [{"key": "a", "doc_count": 2}]}),
    );
    check(
        json!({"terms": {"field": "k", "order": {"_key": "desc"}, "missing": "none"}}),
        none(
            json!([{"key": "none", "doc_count": 1}, {"key": "c", "doc_count": 1},
            {"key": "b", "doc_count": 2}, {"key": "a", "doc_count": 2}]),
        ),
    );
    check(
        json!({"terms": {"field": "k", "include": ["a", "c", "zz"], "exclude": "c.*"}}),
        none(json!([{"key": "a", "doc_count": 2}])),
    );
    check(
        json!({"terms": {"field": "n", "min_doc_count": 2}}),
        none(json!([{"key": 4, "doc_count": 2}])),
    );
    check(
        json!({"terms": {"field": "d", "order": {"_key": "asc"}}}),
        none(
            json!([{"key": -1.0, "doc_count": 1}, {"key": 1.5, "doc_count": 1},
            {"key": 2.5, "doc_count": 1}]),
        ),
    );
    check(
        json!({"terms": {"field": "ok"}}),
        none(json!([{"key": 1, "key_as_string": "true", "doc_count": 2},
            {"key": 0, "key_as_string": "false", "doc_count": 1}])),
    );
    check(
        json!({"terms": {"field": "at", "size": 1, "order": {"_key": "asc"}, "format": "yyyy"}}),
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 2, "buckets":
            [{"key": 1706743800000i64, "key_as_string": "2024", "doc_count": 1}]}),
    );
    check(
        json!({"terms": {"field": "ip"}}),
        none(json!([{"key": "10.0.0.1", "doc_count": 1}])),
    );
    check(json!({"terms": {"field": "nope"}}), none(json!([])));
    check(
        json!({"terms": {"field": "k", "order": {"m": "desc"}},
            "aggs": {"m": {"max": {"field": "d"}}}}),
        none(json!([{"key": "a", "doc_count": 2, "m": {"value": 2.5}},
            {"key": "b", "doc_count": 2, "m": {"value": 2.5}},
            {"key": "c", "doc_count": 1, "m": {"value": -1.0}}])),
    );
}

#[test]
fn terms_count_what_shards_cut_off() {
    // Shard 1: a 3, b 2. Shard 2: b 2, c 1. Each sends one term.
    let doc = |k: &str| json!({"k": k});
    let one = [doc("a"), doc("a"), doc("a"), doc("b"), doc("b")];
    let two = [doc("b"), doc("b"), doc("c")];
    let index = Index::split(mapping(), &[&[&one], &[&two]]);
    let found = index.aggs(json!({"x": {"terms": {"field": "k", "size": 1, "shard_size": 1}}}));
    assert_eq!(
        found["x"],
        json!({"doc_count_error_upper_bound": 5, "sum_other_doc_count": 5,
            "buckets": [{"key": "a", "doc_count": 3}]})
    );
    let zero = index.search(json!({"size": 0, "query": {"term": {"k": "c"}},
        "aggs": {"x": {"terms": {"field": "k", "min_doc_count": 0}}}}));
    assert_eq!(
        zero["aggregations"]["x"]["buckets"],
        json!([{"key": "c", "doc_count": 1}, {"key": "a", "doc_count": 0},
            {"key": "b", "doc_count": 0}])
    );
}

#[test]
fn histograms() {
    let bucket = |key: f64, count: u64| json!({"key": key, "doc_count": count});
    check(
        json!({"histogram": {"field": "n", "interval": 3}}),
        json!({"buckets": [bucket(0.0, 1), bucket(3.0, 2), bucket(6.0, 1), bucket(9.0, 1)]}),
    );
    check(
        json!({"histogram": {"field": "d", "interval": 1, "offset": 0.5}}),
        json!({"buckets": [bucket(-1.5, 1), bucket(-0.5, 0), bucket(0.5, 0), bucket(1.5, 1),
            bucket(2.5, 1)]}),
    );
    check(
        json!({"histogram": {"field": "n", "interval": 5, "keyed": true, "min_doc_count": 1}}),
        json!({"buckets": {"0.0": bucket(0.0, 3), "5.0": bucket(5.0, 1), "10.0": bucket(10.0, 1)}}),
    );
    check(
        json!({"histogram": {"field": "n", "interval": 5, "extended_bounds": {"min": -5, "max": 19},
            "order": {"_key": "desc"}}}),
        json!({"buckets": [bucket(15.0, 0), bucket(10.0, 1), bucket(5.0, 1), bucket(0.0, 3),
            bucket(-5.0, 0)]}),
    );
    check(
        json!({"histogram": {"field": "n", "interval": 5, "hard_bounds": {"max": 7}}}),
        json!({"buckets": [bucket(0.0, 3), bucket(5.0, 1)]}),
    );
    check(
        json!({"histogram": {"field": "nope", "interval": 1}}),
        json!({"buckets": []}),
    );
}

#[test]
fn date_histograms() {
    let bucket = |text: &str, key: i64, count: u64| json!({"key_as_string": text, "key": key, "doc_count": count});
    check(
        json!({"date_histogram": {"field": "at", "calendar_interval": "month", "format": "yyyy-MM"}}),
        json!({"buckets": [bucket("2024-01", 1704067200000, 1), bucket("2024-02", 1706745600000, 1),
            bucket("2024-03", 1709251200000, 0), bucket("2024-04", 1711929600000, 1)]}),
    );
    // In Paris both of the first two are in February; summer time began in March.
    check(
        json!({"date_histogram": {"field": "at", "calendar_interval": "1M",
            "time_zone": "Europe/Paris"}}),
        json!({"buckets": [bucket("2024-02-01T00:00:00.000+01:00", 1706742000000, 2),
            bucket("2024-03-01T00:00:00.000+01:00", 1709247600000, 0),
            bucket("2024-04-01T00:00:00.000+02:00", 1711922400000, 1)]}),
    );
    check(
        json!({"date_histogram": {"field": "at", "fixed_interval": "30d", "min_doc_count": 1,
            "format": "epoch_second"}}),
        json!({"buckets": [bucket("1705536000", 1705536000000, 2), bucket("1710720000", 1710720000000, 1)]}),
    );
    check(
        json!({"date_histogram": {"field": "at", "calendar_interval": "day", "offset": "+1h",
            "min_doc_count": 1, "format": "dd HH"}}),
        json!({"buckets": [bucket("31 01", 1706662800000, 2), bucket("15 01", 1713142800000, 1)]}),
    );
    check(
        json!({"date_histogram": {"field": "at", "calendar_interval": "year", "format": "yyyy",
            "extended_bounds": {"min": "2023", "max": "2025"}}}),
        json!({"buckets": [bucket("2023", 1672531200000, 0), bucket("2024", 1704067200000, 3),
            bucket("2025", 1735689600000, 0)]}),
    );
}

#[test]
fn ranges() {
    check(
        json!({"range": {"field": "n", "ranges": [{"from": 4, "to": 10}, {"to": 4},
            {"key": "big", "from": 10}]}}),
        json!({"buckets": [{"key": "*-4.0", "to": 4.0, "doc_count": 1},
            {"key": "4.0-10.0", "from": 4.0, "to": 10.0, "doc_count": 2},
            {"key": "big", "from": 10.0, "doc_count": 1}]}),
    );
    check(
        json!({"date_range": {"field": "at", "format": "yyyy-MM", "keyed": true,
            "ranges": [{"to": "2024-02"}, {"from": "now-1M/M"}]}}),
        json!({"buckets": {
            "*-2024-02": {"to": 1706745600000.0, "to_as_string": "2024-02", "doc_count": 1},
            "2024-02-*": {"from": 1706745600000.0, "from_as_string": "2024-02", "doc_count": 2}}}),
    );
}

#[test]
fn single_buckets_and_filters() {
    let m = json!({"m": {"sum": {"field": "n"}}});
    check(
        json!({"filter": {"term": {"k": "b"}}, "aggs": m}),
        json!({"doc_count": 2, "m": {"value": 14.0}}),
    );
    check(
        json!({"missing": {"field": "k"}, "aggs": m}),
        json!({"doc_count": 1, "m": {"value": 10.0}}),
    );
    check(
        json!({"filters": {"filters": {"x": {"term": {"k": "a"}}, "y": {"term": {"k": "zz"}}},
            "other_bucket": true}}),
        json!({"buckets": {"x": {"doc_count": 2}, "y": {"doc_count": 0}, "_other_": {"doc_count": 3}}}),
    );
    check(
        json!({"filters": {"filters": [{"match_all": {}}]}}),
        json!({"buckets": [{"doc_count": 5}]}),
    );
    for index in indexes() {
        let found = index.search(json!({"size": 0, "query": {"term": {"k": "c"}}, "aggs": {
            "all": {"global": {}, "aggs": m}, "here": {"value_count": {"field": "d"}}}}));
        assert_eq!(
            found["aggregations"],
            json!({"all": {"doc_count": 5, "m": {"value": 25.0}}, "here": {"value": 1}})
        );
    }
}

#[test]
fn aggregations_nest() {
    check(
        json!({"meta": {"a": 1}, "terms": {"field": "k", "size": 2},
            "aggs": {"h": {"histogram": {"field": "n", "interval": 5},
                "aggs": {"ok": {"terms": {"field": "ok"}}}}}}),
        json!({"meta": {"a": 1}, "doc_count_error_upper_bound": 0, "sum_other_doc_count": 1,
            "buckets": [
                {"key": "a", "doc_count": 2, "h": {"buckets": [{"key": 0.0, "doc_count": 2,
                    "ok": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [
                        {"key": 0, "key_as_string": "false", "doc_count": 1},
                        {"key": 1, "key_as_string": "true", "doc_count": 1}]}}]}},
                {"key": "b", "doc_count": 2, "h": {"buckets": [{"key": 0.0, "doc_count": 2,
                    "ok": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [
                        {"key": 0, "key_as_string": "false", "doc_count": 1}]}},
                    {"key": 5.0, "doc_count": 1,
                    "ok": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0,
                        "buckets": []}}]}}]}),
    );
}

#[test]
fn top_hits() {
    for index in indexes() {
        let found = index.aggs(json!({"x": {"terms": {"field": "k", "size": 1}, "aggs": {
            "top": {"top_hits": {"size": 1, "sort": [{"n": "desc"}], "_source": ["n"]}}}}}));
        assert_eq!(
            found["x"]["buckets"][0]["top"]["hits"],
            json!({"total": {"value": 2, "relation": "eq"}, "max_score": null, "hits": [
                {"_index": "test", "_id": "2", "_source": {"n": 4}, "_score": null, "sort": [4]}]})
        );
    }
}

#[test]
fn typed_keys_name_the_types() {
    for index in indexes() {
        let body = json!({"size": 0, "aggs": {
            "a": {"terms": {"field": "k"}, "aggs": {"b": {"avg": {"field": "n"}}}},
            "c": {"terms": {"field": "n"}}, "d": {"terms": {"field": "d"}},
            "e": {"terms": {"field": "nope"}}, "f": {"percentiles": {"field": "n"}},
            "g": {"date_histogram": {"field": "at", "calendar_interval": "year"}}}});
        let mut source = ringwall_search::parse_search(&body).unwrap();
        source.typed_keys = true;
        let found = index.run(&source).unwrap();
        let names: Vec<&String> = found["aggregations"].as_object().unwrap().keys().collect();
        let expected = [
            "sterms#a",
            "lterms#c",
            "dterms#d",
            "umterms#e",
            "tdigest_percentiles#f",
            "date_histogram#g",
        ];
        assert_eq!(names, expected);
        assert!(
            found["aggregations"]["sterms#a"]["buckets"][0]
                .get("avg#b")
                .is_some()
        );
    }
}

#[test]
fn what_cannot_be_aggregated_is_refused() {
    for index in indexes() {
        for (agg, status, start) in [
            (
                json!({"terms": {"field": "t"}}),
                400,
                "Fielddata is disabled on [t]",
            ),
            (
                json!({"avg": {"field": "k"}}),
                400,
                "Field [k] of type [keyword] is not supported for aggregation [avg]",
            ),
            (
                json!({"terms": {"field": "n", "include": "1.*"}}),
                400,
                "Aggregation [x] cannot support regular expression style include/exclude",
            ),
            (
                json!({"date_histogram": {"field": "at", "fixed_interval": "1ms"}}),
                400,
                "Trying to create too many buckets. Must be less than or equal to: [65536]",
            ),
        ] {
            let error = index.error(json!({"size": 0, "aggs": {"x": agg}}));
            assert_eq!(error.status, status);
            assert!(error.reason.starts_with(start), "{}", error.reason);
        }
    }
}

#[test]
fn numbers_read_by_a_format() {
    check(
        json!({"avg": {"field": "n", "format": "0.00"}}),
        json!({"value": 5.0, "value_as_string": "5.00"}),
    );
    check(
        json!({"max": {"field": "at", "format": "yyyy"}}),
        json!({"value": 1713182400000.0, "value_as_string": "2024"}),
    );
    check(
        json!({"max": {"field": "ok"}}),
        json!({"value": 1.0, "value_as_string": "true"}),
    );
    check(
        json!({"max": {"field": "nope", "format": "0.0"}}),
        json!({"value": null}),
    );
    check(
        json!({"max": {"field": "nope", "format": "0.0", "missing": 2}}),
        json!({"value": 2.0, "value_as_string": "2.0"}),
    );
    check(
        json!({"stats": {"field": "n", "format": "#,##0.0"}}),
        json!({"count": 5, "min": 1.0, "max": 10.0, "avg": 5.0, "sum": 25.0, "min_as_string": "1.0",
            "max_as_string": "10.0", "avg_as_string": "5.0", "sum_as_string": "25.0"}),
    );
    check(
        json!({"percentiles": {"field": "n", "format": "0.0", "percents": [50], "keyed": false}}),
        json!({"values": [{"key": 50.0, "value": 4.0, "value_as_string": "4.0"}]}),
    );
    check(
        json!({"percentile_ranks": {"field": "n", "format": "0.0", "values": [100]}}),
        json!({"values": {"100.0": 100.0, "100.0_as_string": "100.0"}}),
    );
    check(
        json!({"histogram": {"field": "d", "interval": 5, "format": "0.00", "keyed": true}}),
        json!({"buckets": {"-5.00": {"key_as_string": "-5.00", "key": -5.0, "doc_count": 1},
            "0.00": {"key_as_string": "0.00", "key": 0.0, "doc_count": 2}}}),
    );
    check(
        json!({"range": {"field": "d", "ranges": [{"from": 1, "to": 2}], "format": "0.00"}}),
        json!({"buckets": [{"key": "1.00-2.00", "from": 1.0, "from_as_string": "1.00", "to": 2.0,
            "to_as_string": "2.00", "doc_count": 1}]}),
    );
    check(
        json!({"terms": {"field": "d", "format": "0.00", "order": {"_key": "asc"}, "size": 1}}),
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 2,
            "buckets": [{"key": -1.0, "key_as_string": "-1.00", "doc_count": 1}]}),
    );
    let [index, _] = indexes();
    let refused = |agg: Value| {
        let body = json!({"size": 0, "aggs": {"x": agg}});
        index.try_search(&body).unwrap_err().reason
    };
    assert_eq!(
        refused(json!({"max": {"field": "n", "format": "bad'"}})),
        "Malformed pattern \"bad'\""
    );
    assert_eq!(
        refused(json!({"max": {"field": "nope", "format": "0#"}})),
        "Malformed pattern \"0#\""
    );
    for field in ["ok", "k"] {
        let kind = if field == "ok" { "max" } else { "terms" };
        let mut agg = json!({});
        agg[kind] = json!({"field": field, "format": "0.0"});
        assert!(refused(agg).ends_with("does not support custom formats"));
    }
}

#[test]
fn median_absolute_deviation() {
    let mad = |body: Value| json!({"median_absolute_deviation": body});
    // n: 1, 4, 4, 6, 10; 3, 0, 0, 2, 6 off the median.
    check(mad(json!({"field": "n"})), json!({"value": 2.0}));
    check(
        mad(json!({"field": "n", "missing": 100})),
        json!({"value": 2.5}),
    );
    check(
        mad(json!({"field": "d", "format": "0.00"})),
        json!({"value": 1.0, "value_as_string": "1.00"}),
    );
    check(mad(json!({"field": "nope"})), json!({"value": null}));
    check(
        mad(json!({"field": "nope", "missing": 3})),
        json!({"value": 0.0}),
    );
    check(
        json!({"terms": {"field": "k", "order": {"m": "desc"}}, "aggs": {"m": mad(json!({"field": "n"}))}}),
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [
            {"key": "a", "doc_count": 2, "m": {"value": 1.5}},
            {"key": "b", "doc_count": 2, "m": {"value": 0.0}},
            {"key": "c", "doc_count": 1, "m": {"value": null}}]}),
    );
    let [index, _] = indexes();
    for (body, reason) in [
        (
            json!({"field": "at"}),
            "Field [at] of type [date] is not supported for aggregation [median_absolute_deviation]",
        ),
        (
            json!({"field": "n", "compression": 0}),
            "[compression] must be greater than 0. Found [0.0] in [x]",
        ),
        (
            json!({"field": "n", "execution_hint": "high_accuracy"}),
            "[median_absolute_deviation] supports only [default] for [execution_hint], got [high_accuracy]",
        ),
    ] {
        let error = index.error(json!({"size": 0, "aggs": {"x": mad(body)}}));
        assert_eq!((error.status, error.reason.as_str()), (400, reason));
    }
}

#[test]
fn percentiles_by_a_histogram() {
    check(
        json!({"percentiles": {"field": "n", "hdr": {}, "percents": [0, 50, 100]}}),
        json!({"values": {"0.0": 1.0, "50.0": 4.0029296875, "100.0": 10.0068359375}}),
    );
    check(
        json!({"percentiles": {"field": "n", "hdr": {"number_of_significant_value_digits": 1}, "percents": [99],
            "keyed": false, "format": "0.0"}}),
        json!({"values": [{"key": 99.0, "value": 10.4375, "value_as_string": "10.4"}]}),
    );
    check(
        json!({"percentile_ranks": {"field": "n", "hdr": {}, "values": [4, 100]}}),
        json!({"values": {"4.0": 60.0, "100.0": 100.0}}),
    );
    check(
        json!({"percentiles": {"field": "nope", "hdr": {}, "percents": [50]}}),
        json!({"values": {"50.0": null}}),
    );
    let [index, _] = indexes();
    for (body, reason) in [
        (
            json!({"field": "d", "hdr": {}}),
            "[hdr] takes no negative values: use [tdigest]",
        ),
        (
            json!({"field": "n", "hdr": {}, "tdigest": {}}),
            "Only one percentiles method should be declared.",
        ),
        (
            json!({"field": "n", "hdr": {"number_of_significant_value_digits": 6}}),
            "[numberOfSignificantValueDigits] must be between 0 and 5",
        ),
        (
            json!({"field": "n", "percents": [101]}),
            "percent must be in [0,100], got [101.0]: [x]",
        ),
        (
            json!({"field": "n", "percents": []}),
            "[percents] must not be empty: [x]",
        ),
        (
            json!({"field": "n", "tdigest": {"compression": -1}}),
            "[compression] must be greater than or equal to 0. Found [-1.0]",
        ),
    ] {
        let error = index.error(json!({"size": 0, "aggs": {"x": {"percentiles": body}}}));
        assert_eq!((error.status, error.reason.as_str()), (400, reason));
    }
}
