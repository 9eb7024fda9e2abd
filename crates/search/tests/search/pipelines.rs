//! Aggregations of what other aggregations have answered.

use serde_json::{Value, json};

use super::harness::Index;

fn months() -> Index {
    let docs = [
        json!({"_id": "0", "at": "2024-01-05", "n": 10, "k": "a"}),
        json!({"_id": "1", "at": "2024-01-20", "n": 5, "k": "b"}),
        json!({"_id": "2", "at": "2024-02-03", "n": 7, "k": "a"}),
        json!({"_id": "3", "at": "2024-04-01", "n": 1, "k": "a"}),
        json!({"_id": "4", "at": "2024-04-02", "k": "b"}),
        json!({"_id": "5", "at": "2024-05-01", "k": "c"}),
        json!({"_id": "6", "at": "2024-06-01", "n": 100, "k": "a"}),
    ];
    let mapping = json!({"properties": {
        "at": {"type": "date"}, "n": {"type": "long"}, "k": {"type": "keyword"},
    }});
    // Merged first: they read what all shards have together.
    Index::split(mapping, &[&[&docs[..3]], &[&docs[3..]]])
}

/// A histogram of months with the sum and the mean of a number, and these inside it.
fn histogram(inside: Value) -> Value {
    let mut subs = json!({"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}});
    subs.as_object_mut()
        .unwrap()
        .extend(inside.as_object().unwrap().clone());
    json!({"h": {
        "date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": subs,
    }})
}

/// What the buckets have by a name; a name that is not there is null.
fn each(index: &Index, aggs: Value, name: &str) -> Vec<Value> {
    let found = index.aggs(aggs);
    let buckets = found["h"]["buckets"].as_array().unwrap();
    buckets.iter().map(|bucket| bucket[name].clone()).collect()
}

#[test]
fn they_answer_as_elasticsearch_does() {
    let index = months();
    for (name, aggs, expected) in [
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>a"}}}),
            json!({"value": 28.875}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"value": 19.25}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"value": 1.1666666666666667}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"value": 24.6, "value_as_string": "24.60"}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"max_bucket": {"buckets_path": "h>a"}}}),
            json!({"value": 100.0, "keys": ["2024-06-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"max_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"value": 100.0, "keys": ["2024-06-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"max_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"value": 2.0, "keys": ["2024-01-01T00:00:00.000Z", "2024-04-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"max_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"value": 100.0, "value_as_string": "100.00", "keys": ["2024-06-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"min_bucket": {"buckets_path": "h>a"}}}),
            json!({"value": 1.0, "keys": ["2024-04-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"min_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"value": 0.0, "keys": ["2024-03-01T00:00:00.000Z", "2024-05-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"min_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"value": 0.0, "keys": ["2024-03-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"min_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"value": 0.0, "value_as_string": "0.00", "keys": ["2024-05-01T00:00:00.000Z"]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"sum_bucket": {"buckets_path": "h>a"}}}),
            json!({"value": 115.5}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"sum_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"value": 115.5}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"sum_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"value": 7.0}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"sum_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"value": 123.0, "value_as_string": "123.00"}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"stats_bucket": {"buckets_path": "h>a"}}}),
            json!({"count": 4, "min": 1.0, "max": 100.0, "avg": 28.875, "sum": 115.5}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"stats_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"count": 6, "min": 0.0, "max": 100.0, "avg": 19.25, "sum": 115.5}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"stats_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"count": 6, "min": 0.0, "max": 2.0, "avg": 1.1666666666666667, "sum": 7.0}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"stats_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"count": 5, "min": 0.0, "max": 100.0, "avg": 24.6, "sum": 123.0, "min_as_string": "0.00", "max_as_string": "100.00", "avg_as_string": "24.60", "sum_as_string": "123.00"}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"extended_stats_bucket": {"buckets_path": "h>a"}}}),
            json!({"count": 4, "min": 1.0, "max": 100.0, "avg": 28.875, "sum": 115.5, "sum_of_squares": 10106.25, "variance": 1692.796875, "variance_population": 1692.796875, "variance_sampling": 2257.0625, "std_deviation": 41.14361280928062, "std_deviation_population": 41.14361280928062, "std_deviation_sampling": 47.5085518617438, "std_deviation_bounds": {"upper": 111.16222561856124, "lower": -53.41222561856124, "upper_population": 111.16222561856124, "lower_population": -53.41222561856124, "upper_sampling": 123.8921037234876, "lower_sampling": -66.1421037234876}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"extended_stats_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"count": 6, "min": 0.0, "max": 100.0, "avg": 19.25, "sum": 115.5, "sum_of_squares": 10106.25, "variance": 1313.8125, "variance_population": 1313.8125, "variance_sampling": 1576.575, "std_deviation": 36.246551560113964, "std_deviation_population": 36.246551560113964, "std_deviation_sampling": 39.706107842496976, "std_deviation_bounds": {"upper": 91.74310312022793, "lower": -53.24310312022793, "upper_population": 91.74310312022793, "lower_population": -53.24310312022793, "upper_sampling": 98.66221568499395, "lower_sampling": -60.16221568499395}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"extended_stats_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"count": 6, "min": 0.0, "max": 2.0, "avg": 1.1666666666666667, "sum": 7.0, "sum_of_squares": 11.0, "variance": 0.4722222222222223, "variance_population": 0.4722222222222223, "variance_sampling": 0.5666666666666668, "std_deviation": 0.6871842709362769, "std_deviation_population": 0.6871842709362769, "std_deviation_sampling": 0.7527726527090811, "std_deviation_bounds": {"upper": 2.5410352085392205, "lower": -0.207701875205887, "upper_population": 2.5410352085392205, "lower_population": -0.207701875205887, "upper_sampling": 2.672211972084829, "lower_sampling": -0.3388786387514955}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"extended_stats_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"count": 5, "min": 0.0, "max": 100.0, "avg": 24.6, "sum": 123.0, "min_as_string": "0.00", "max_as_string": "100.00", "avg_as_string": "24.60", "sum_as_string": "123.00", "sum_of_squares": 10275.0, "variance": 1449.84, "variance_population": 1449.84, "variance_sampling": 1812.3, "std_deviation": 38.07676456843465, "std_deviation_population": 38.07676456843465, "std_deviation_sampling": 42.571116969137655, "std_deviation_bounds": {"upper": 100.7535291368693, "lower": -51.553529136869294, "upper_population": 100.7535291368693, "lower_population": -51.553529136869294, "upper_sampling": 109.74223393827532, "lower_sampling": -60.54223393827531}, "sum_of_squares_as_string": "10275.00", "variance_as_string": "1449.84", "variance_population_as_string": "1449.84", "variance_sampling_as_string": "1812.30", "std_deviation_as_string": "38.08", "std_deviation_population_as_string": "38.08", "std_deviation_sampling_as_string": "42.57", "std_deviation_bounds_as_string": {"upper": "100.75", "lower": "-51.55", "upper_population": "100.75", "lower_population": "-51.55", "upper_sampling": "109.74", "lower_sampling": "-60.54"}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"percentiles_bucket": {"buckets_path": "h>a"}}}),
            json!({"values": {"1.0": 1.0, "5.0": 1.0, "25.0": 7.0, "50.0": 7.5, "75.0": 7.5, "95.0": 100.0, "99.0": 100.0}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"percentiles_bucket": {"buckets_path": "h>a", "gap_policy": "insert_zeros"}}}),
            json!({"values": {"1.0": 0.0, "5.0": 0.0, "25.0": 0.0, "50.0": 7.0, "75.0": 7.5, "95.0": 100.0, "99.0": 100.0}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"percentiles_bucket": {"buckets_path": "h>_count", "gap_policy": "keep_values"}}}),
            json!({"values": {"1.0": 0.0, "5.0": 0.0, "25.0": 1.0, "50.0": 1.0, "75.0": 2.0, "95.0": 2.0, "99.0": 2.0}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"percentiles_bucket": {"buckets_path": "h.s", "format": "0.00"}}}),
            json!({"values": {"1.0": 0.0, "1.0_as_string": "0.00", "5.0": 0.0, "5.0_as_string": "0.00", "25.0": 1.0, "25.0_as_string": "1.00", "50.0": 7.0, "50.0_as_string": "7.00", "75.0": 15.0, "75.0_as_string": "15.00", "95.0": 100.0, "95.0_as_string": "100.00", "99.0": 100.0, "99.0_as_string": "100.00"}}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"percentiles_bucket": {"buckets_path": "h>s", "percents": [50, 90], "keyed": false}}}),
            json!({"values": [{"key": 50.0, "value": 7.0}, {"key": 90.0, "value": 100.0}]}),
        ),
        (
            "x",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>s"}, "meta": {"a": 1}}}),
            json!({"meta": {"a": 1}, "value": 24.6}),
        ),
        (
            "x",
            json!({"h": {"filters": {"filters": {"x": {"term": {"k": "a"}}, "y": {"term": {"k": "b"}}}}, "aggs": {"s": {"sum": {"field": "n"}}}}, "x": {"max_bucket": {"buckets_path": "h>s"}}}),
            json!({"value": 118.0, "keys": ["x"]}),
        ),
        (
            "x",
            json!({"h": {"terms": {"field": "zz"}, "aggs": {"s": {"sum": {"field": "n"}}}}, "x": {"stats_bucket": {"buckets_path": "h>s"}}}),
            json!({"count": 0, "min": null, "max": null, "avg": null, "sum": 0.0}),
        ),
        (
            "h",
            json!({"h": {"terms": {"field": "k"}, "aggs": {"m": {"date_histogram": {"field": "at", "calendar_interval": "month"}, "aggs": {"s": {"sum": {"field": "n"}}}}, "mx": {"max_bucket": {"buckets_path": "m>s"}}}}, "best": {"max_bucket": {"buckets_path": "h>mx"}}}),
            json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [{"key": "a", "doc_count": 4, "m": {"buckets": [{"key_as_string": "2024-01-01T00:00:00.000Z", "key": 1704067200000_i64, "doc_count": 1, "s": {"value": 10.0}}, {"key_as_string": "2024-02-01T00:00:00.000Z", "key": 1706745600000_i64, "doc_count": 1, "s": {"value": 7.0}}, {"key_as_string": "2024-03-01T00:00:00.000Z", "key": 1709251200000_i64, "doc_count": 0, "s": {"value": 0.0}}, {"key_as_string": "2024-04-01T00:00:00.000Z", "key": 1711929600000_i64, "doc_count": 1, "s": {"value": 1.0}}, {"key_as_string": "2024-05-01T00:00:00.000Z", "key": 1714521600000_i64, "doc_count": 0, "s": {"value": 0.0}}, {"key_as_string": "2024-06-01T00:00:00.000Z", "key": 1717200000000_i64, "doc_count": 1, "s": {"value": 100.0}}]}, "mx": {"value": 100.0, "keys": ["2024-06-01T00:00:00.000Z"]}}, {"key": "b", "doc_count": 2, "m": {"buckets": [{"key_as_string": "2024-01-01T00:00:00.000Z", "key": 1704067200000_i64, "doc_count": 1, "s": {"value": 5.0}}, {"key_as_string": "2024-02-01T00:00:00.000Z", "key": 1706745600000_i64, "doc_count": 0, "s": {"value": 0.0}}, {"key_as_string": "2024-03-01T00:00:00.000Z", "key": 1709251200000_i64, "doc_count": 0, "s": {"value": 0.0}}, {"key_as_string": "2024-04-01T00:00:00.000Z", "key": 1711929600000_i64, "doc_count": 1, "s": {"value": 0.0}}]}, "mx": {"value": 5.0, "keys": ["2024-01-01T00:00:00.000Z"]}}, {"key": "c", "doc_count": 1, "m": {"buckets": [{"key_as_string": "2024-05-01T00:00:00.000Z", "key": 1714521600000_i64, "doc_count": 1, "s": {"value": 0.0}}]}, "mx": {"value": 0.0, "keys": ["2024-05-01T00:00:00.000Z"]}}]}),
        ),
        (
            "h",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}, "c": {"cumulative_sum": {"buckets_path": "s", "format": "000"}}}}}),
            json!({"buckets": [{"key_as_string": "2024-01-01T00:00:00.000Z", "key": 1704067200000_i64, "doc_count": 2, "a": {"value": 7.5}, "s": {"value": 15.0}, "c": {"value": 15.0, "value_as_string": "015"}}, {"key_as_string": "2024-02-01T00:00:00.000Z", "key": 1706745600000_i64, "doc_count": 1, "a": {"value": 7.0}, "s": {"value": 7.0}, "c": {"value": 22.0, "value_as_string": "022"}}, {"key_as_string": "2024-03-01T00:00:00.000Z", "key": 1709251200000_i64, "doc_count": 0, "s": {"value": 0.0}, "a": {"value": null}, "c": {"value": 22.0, "value_as_string": "022"}}, {"key_as_string": "2024-04-01T00:00:00.000Z", "key": 1711929600000_i64, "doc_count": 2, "a": {"value": 1.0}, "s": {"value": 1.0}, "c": {"value": 23.0, "value_as_string": "023"}}, {"key_as_string": "2024-05-01T00:00:00.000Z", "key": 1714521600000_i64, "doc_count": 1, "a": {"value": null}, "s": {"value": 0.0}, "c": {"value": 23.0, "value_as_string": "023"}}, {"key_as_string": "2024-06-01T00:00:00.000Z", "key": 1717200000000_i64, "doc_count": 1, "a": {"value": 100.0}, "s": {"value": 100.0}, "c": {"value": 123.0, "value_as_string": "123"}}]}),
        ),
        (
            "h",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}, "c": {"serial_diff": {"buckets_path": "c2"}}, "c2": {"cumulative_sum": {"buckets_path": "_count"}}}}}),
            json!({"buckets": [{"key_as_string": "2024-01-01T00:00:00.000Z", "key": 1704067200000_i64, "doc_count": 2, "a": {"value": 7.5}, "s": {"value": 15.0}, "c2": {"value": 2.0}}, {"key_as_string": "2024-02-01T00:00:00.000Z", "key": 1706745600000_i64, "doc_count": 1, "a": {"value": 7.0}, "s": {"value": 7.0}, "c2": {"value": 3.0}, "c": {"value": 1.0}}, {"key_as_string": "2024-03-01T00:00:00.000Z", "key": 1709251200000_i64, "doc_count": 0, "s": {"value": 0.0}, "a": {"value": null}, "c2": {"value": 3.0}}, {"key_as_string": "2024-04-01T00:00:00.000Z", "key": 1711929600000_i64, "doc_count": 2, "a": {"value": 1.0}, "s": {"value": 1.0}, "c2": {"value": 5.0}}, {"key_as_string": "2024-05-01T00:00:00.000Z", "key": 1714521600000_i64, "doc_count": 1, "a": {"value": null}, "s": {"value": 0.0}, "c2": {"value": 6.0}, "c": {"value": 1.0}}, {"key_as_string": "2024-06-01T00:00:00.000Z", "key": 1717200000000_i64, "doc_count": 1, "a": {"value": 100.0}, "s": {"value": 100.0}, "c2": {"value": 7.0}, "c": {"value": 1.0}}]}),
        ),
        (
            "h",
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}, "c": {"serial_diff": {"buckets_path": "a", "gap_policy": "insert_zeros", "lag": 2}}}}}),
            json!({"buckets": [{"key_as_string": "2024-01-01T00:00:00.000Z", "key": 1704067200000_i64, "doc_count": 2, "a": {"value": 7.5}, "s": {"value": 15.0}}, {"key_as_string": "2024-02-01T00:00:00.000Z", "key": 1706745600000_i64, "doc_count": 1, "a": {"value": 7.0}, "s": {"value": 7.0}}, {"key_as_string": "2024-03-01T00:00:00.000Z", "key": 1709251200000_i64, "doc_count": 0, "s": {"value": 0.0}, "a": {"value": null}, "c": {"value": -7.5}}, {"key_as_string": "2024-04-01T00:00:00.000Z", "key": 1711929600000_i64, "doc_count": 2, "a": {"value": 1.0}, "s": {"value": 1.0}, "c": {"value": -6.0}}, {"key_as_string": "2024-05-01T00:00:00.000Z", "key": 1714521600000_i64, "doc_count": 1, "a": {"value": null}, "s": {"value": 0.0}, "c": {"value": 0.0}}, {"key_as_string": "2024-06-01T00:00:00.000Z", "key": 1717200000000_i64, "doc_count": 1, "a": {"value": 100.0}, "s": {"value": 100.0}, "c": {"value": 99.0}}]}),
        ),
        (
            "x",
            json!({"h": {"terms": {"field": "k"}, "aggs": {"f": {"filter": {"match_all": {}}, "aggs": {"s": {"stats": {"field": "n"}}, "p": {"percentiles": {"field": "n", "percents": [50]}}}}}}, "x": {"max_bucket": {"buckets_path": "h>f>s.max"}}}),
            json!({"value": 100.0, "keys": ["a"]}),
        ),
        (
            "x",
            json!({"h": {"terms": {"field": "k"}, "aggs": {"f": {"filter": {"match_all": {}}, "aggs": {"s": {"stats": {"field": "n"}}, "p": {"percentiles": {"field": "n", "percents": [50]}}}}}}, "x": {"max_bucket": {"buckets_path": "h>f>p.50"}}}),
            json!({"value": 8.5, "keys": ["a"]}),
        ),
        (
            "x",
            json!({"h": {"terms": {"field": "k"}, "aggs": {"f": {"filter": {"match_all": {}}, "aggs": {"s": {"stats": {"field": "n"}}, "p": {"percentiles": {"field": "n", "percents": [50]}}}}}}, "x": {"max_bucket": {"buckets_path": "h>f._count"}}}),
            json!({"value": 4.0, "keys": ["a"]}),
        ),
        (
            "x",
            json!({"h": {"terms": {"field": "k"}, "aggs": {"f": {"filter": {"match_all": {}}, "aggs": {"s": {"stats": {"field": "n"}}, "p": {"percentiles": {"field": "n", "percents": [50]}}}}}}, "x": {"max_bucket": {"buckets_path": "h>f>_count"}}}),
            json!({"value": 4.0, "keys": ["a"]}),
        ),
    ] {
        let found = index.aggs(aggs.clone());
        assert_eq!(found[name], expected, "{aggs}");
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let index = months();
    for (aggs, reason) in [
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>nope"}}}),
            "Validation Failed: 1: No aggregation [nope] found for path [h>nope];",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "nope>x"}}}),
            "Validation Failed: 1: No aggregation found for path [nope>x];",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>s>z"}}}),
            "Validation Failed: 1: No aggregation [z] found for path [h>s>z];",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": ""}}}),
            "Validation Failed: 1: Invalid path [];",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": 5}}}),
            "Unexpected token VALUE_NUMBER [buckets_path] in [x]",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>s", "gap_policy": "foo"}}}),
            "Invalid gap policy: [foo], accepted values: [insert_zeros, skip, keep_values]",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {}}}),
            "Missing required field [buckets_path] for aggregation [x]",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"avg_bucket": {"buckets_path": "h>s"}, "aggs": {"z": {"sum": {"field": "n"}}}}}),
            "Aggregation [x] cannot define sub-aggregations",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"percentiles_bucket": {"buckets_path": "h>s", "percents": [-1]}}}),
            "percents must only contain non-null doubles from 0.0-100.0 inclusive",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}}}, "x": {"extended_stats_bucket": {"buckets_path": "h>s", "sigma": -1}}}),
            "sigma must be a non-negative double",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}, "x": {"serial_diff": {"buckets_path": "s", "lag": 0}}}}}),
            "Lag must be a positive, non-zero integer.  Value supplied was0 in [x]: [lag].",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}, "x": {"cumulative_sum": {"buckets_path": "s", "gap_policy": "skip"}}}}}),
            "[cumulative_sum] unknown field [gap_policy]",
        ),
        (
            json!({"h": {"date_histogram": {"field": "at", "calendar_interval": "month", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "n"}}, "a": {"avg": {"field": "n"}}, "x": {"cumulative_sum": {"buckets_path": "y"}}, "y": {"cumulative_sum": {"buckets_path": "x"}}}}}),
            "Validation Failed: 1: Cyclical dependency found with pipeline aggregator [x];",
        ),
        (
            json!({"h": {"terms": {"field": "k"}, "aggs": {"s": {"sum": {"field": "n"}}, "c": {"cumulative_sum": {"buckets_path": "s"}}}}}),
            "Validation Failed: 1: cumulative_sum aggregation [c] must have a histogram, date_histogram or auto_date_histogram as parent;",
        ),
    ] {
        let error = index.error(json!({"size": 0, "aggs": aggs}));
        assert!(
            error.status == 400 && error.reason.starts_with(reason),
            "{reason}: {error}"
        );
    }
}

#[test]
fn the_end_of_a_way_is_a_number() {
    let index = months();
    for path in ["h", "h>_key"] {
        let mut aggs = histogram(json!({}));
        aggs["x"] = json!({"max_bucket": {"buckets_path": path}});
        let found = index.try_search(&json!({"size": 0, "aggs": aggs}));
        match path {
            "h" => assert!(
                found
                    .unwrap_err()
                    .reason
                    .contains("must reference either a number value")
            ),
            _ => assert!(found.is_ok()),
        }
    }
    let mut aggs = histogram(json!({"t": {"stats": {"field": "n"}}}));
    aggs["x"] = json!({"max_bucket": {"buckets_path": "h>t"}});
    let error = index.error(json!({"size": 0, "aggs": aggs}));
    assert!(error.reason.contains("got: [several values]"), "{error}");
}

#[test]
fn derivatives() {
    let index = months();
    let of_sum = json!({"d": {"derivative": {"buckets_path": "s"}}});
    let value = |value: Value| json!({"value": value});
    // In March there is nothing, and so no way to it nor from it.
    assert_eq!(
        each(&index, histogram(of_sum), "d"),
        [
            Value::Null,
            value(json!(-8.0)),
            value(Value::Null),
            value(Value::Null),
            value(json!(-1.0)),
            value(json!(100.0)),
        ]
    );
    let second = json!({
        "d2": {"derivative": {"buckets_path": "d"}},
        "d": {"derivative": {"buckets_path": "_count", "format": "0.0", "unit": "day"}},
    });
    let found = each(&index, histogram(second.clone()), "d");
    assert_eq!(
        found[1],
        json!({
            "value": -1.0, "value_as_string": "-1.0",
            "normalized_value": -1.0 / 31.0, "normalized_value_as_string": "-0.0",
        })
    );
    let found = each(&index, histogram(second), "d2");
    assert_eq!(
        found[..3],
        [Value::Null, value(Value::Null), value(Value::Null)]
    );
    assert_eq!(found[4], value(json!(-3.0)), "{found:?}");
    let error = index.error(json!({"aggs": histogram(json!({
        "d": {"derivative": {"buckets_path": "s", "unit": "month"}},
    }))}));
    assert!(error.reason.contains("units of one length"), "{error}");
}

#[test]
fn buckets_are_sorted_and_cut() {
    let index = months();
    let names = |sort: Value| {
        let terms = json!({"h": {"terms": {"field": "k"}, "aggs": {
            "s": {"sum": {"field": "n"}}, "m": {"min": {"field": "n"}}, "o": {"bucket_sort": sort},
        }}});
        each(&index, terms, "key")
    };
    assert_eq!(names(json!({"sort": ["s"]})), ["c", "b", "a"]);
    assert_eq!(
        names(json!({"sort": [{"s": {"order": "desc"}}], "size": 2})),
        ["a", "b"]
    );
    assert_eq!(
        names(json!({"sort": [{"_count": "asc"}], "from": 1})),
        ["b", "a"]
    );
    assert_eq!(names(json!({"from": 1, "size": 1})), ["b"]);
    // [c] has no number.
    assert_eq!(names(json!({"sort": ["m"]})), ["a", "b"]);
    assert_eq!(
        names(json!({"sort": ["m"], "gap_policy": "insert_zeros"})),
        ["c", "a", "b"]
    );
    let nothing =
        json!({"aggs": {"h": {"terms": {"field": "k"}, "aggs": {"o": {"bucket_sort": {}}}}}});
    assert!(
        index
            .error(nothing)
            .reason
            .contains("is configured to perform nothing")
    );
    let top = json!({"aggs": {"o": {"bucket_sort": {"size": 1}}}});
    assert!(
        index
            .error(top)
            .reason
            .contains("must be declared inside of another aggregation")
    );
}

#[test]
fn names_with_types_are_found() {
    let index = months();
    let mut aggs = histogram(json!({
        "c": {"cumulative_sum": {"buckets_path": "s"}}, "d": {"derivative": {"buckets_path": "c"}},
    }));
    aggs["x"] = json!({"max_bucket": {"buckets_path": "h>c"}});
    let mut source = ringwall_search::parse_search(&json!({"size": 0, "aggs": aggs})).unwrap();
    source.typed_keys = true;
    let found = index.run(&source).unwrap();
    let found = &found["aggregations"];
    assert_eq!(found["bucket_metric_value#x"]["value"], 123.0, "{found}");
    let last = &found["date_histogram#h"]["buckets"][5];
    assert_eq!(last["simple_value#c"]["value"], 123.0, "{last}");
    assert_eq!(last["derivative#d"]["value"], 100.0, "{last}");
}

#[test]
fn a_long_chain_is_ordered_at_once() {
    // Each reads the one that is written after it.
    let chain: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| {
            let path = match n {
                19_999 => "_count".to_owned(),
                n => format!("p{}", n + 1),
            };
            (
                format!("p{n}"),
                json!({"cumulative_sum": {"buckets_path": path}}),
            )
        })
        .collect();
    let histogram = json!({"field": "n", "interval": 1});
    let body = json!({"aggs": {"h": {"histogram": histogram, "aggs": chain}}});
    ringwall_search::parse_search(&body).unwrap();
}
