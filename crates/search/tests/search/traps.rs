//! Whatever a request says is executed or refused: nothing is ignored.

use ringwall_search::{agg, parse_query, parse_search, query_names};
use serde_json::{Value, json};

/// One good body for every query there is.
fn samples() -> Vec<(&'static str, Value)> {
    let inner = json!({"term": {"f": 1}});
    vec![
        ("bool", json!({"must": inner})),
        (
            "boosting",
            json!({"positive": inner, "negative": inner, "negative_boost": 0.5}),
        ),
        ("constant_score", json!({"filter": inner})),
        ("dis_max", json!({"queries": [inner]})),
        ("exists", json!({"field": "f"})),
        ("fuzzy", json!({"f": {"value": "x"}})),
        (
            "geo_bounding_box",
            json!({"f": {"top": 1, "left": 0, "bottom": 0, "right": 1}}),
        ),
        (
            "geo_distance",
            json!({"distance": "1km", "f": {"lat": 1, "lon": 1}}),
        ),
        ("ids", json!({"values": ["1"]})),
        ("intervals", json!({"f": {"match": {"query": "x"}}})),
        ("match", json!({"f": {"query": "x"}})),
        ("match_all", json!({})),
        ("match_bool_prefix", json!({"f": {"query": "x"}})),
        ("match_none", json!({})),
        ("match_phrase", json!({"f": {"query": "x"}})),
        ("match_phrase_prefix", json!({"f": {"query": "x"}})),
        ("multi_match", json!({"query": "x", "fields": ["f"]})),
        ("prefix", json!({"f": {"value": "x"}})),
        ("query_string", json!({"query": "x"})),
        ("range", json!({"f": {"gte": 1}})),
        ("regexp", json!({"f": {"value": "x"}})),
        ("simple_query_string", json!({"query": "x"})),
        ("term", json!({"f": {"value": "x"}})),
        ("terms", json!({"f": ["x"]})),
        ("wildcard", json!({"f": {"value": "x"}})),
    ]
}

#[test]
fn every_query_refuses_unknown_members() {
    let samples = samples();
    assert!(query_names().eq(samples.iter().map(|(name, _)| *name)));
    for (name, body) in samples {
        let query = |body: &Value| {
            let mut query = json!({});
            query[name] = body.clone();
            parse_query(&query)
        };
        query(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut outer = body.clone();
        outer["surprise"] = json!({"x": 1});
        assert!(query(&outer).is_err(), "{name} ignores a member");
        for member in ["surprise", "_name"] {
            let mut inner = body.clone();
            if let Some(Value::Object(options)) = inner.get_mut("f") {
                options.insert(member.to_owned(), json!("x"));
                assert!(
                    query(&inner).is_err(),
                    "{name} ignores [{member}] of its field"
                );
            }
        }
    }
}

#[test]
fn queries_must_be_well_formed() {
    for (query, reason) in [
        (json!({}), "query malformed, empty clause found"),
        (
            json!({"match": {"a": 1}, "term": {"b": 1}}),
            "[match] malformed query, expected [END_OBJECT] but found [FIELD_NAME]",
        ),
        (
            json!({"mach": {"a": 1}}),
            "unknown query [mach] did you mean [match]?",
        ),
        (
            json!({"term": {"a": 1, "b": 2}}),
            "[term] query doesn't support multiple fields, found [a] and [b]",
        ),
        (
            json!({"term": {"a": [1]}}),
            "[term] query does not support array of values",
        ),
        (json!({"term": {"a": null}}), "value cannot be null"),
        (
            json!({"range": {"a": {"gt": 1, "gte": 1}}}),
            "[range] query does not support both [gte] and [gt]",
        ),
        (
            json!({"match": {"a": {"query": "x", "oprator": "and"}}}),
            "[match] unknown field [oprator] did you mean [operator]?",
        ),
        (
            json!({"match_all": {"boost": -1}}),
            "negative [boost] are not allowed in [match_all], use a value between 0 and 1 to \
             deboost",
        ),
    ] {
        let error = parse_query(&query).unwrap_err();
        assert_eq!(
            (error.status, error.reason.as_str()),
            (400, reason),
            "{query}"
        );
    }
    let mut deep = json!({"match_all": {}});
    for _ in 0..200 {
        deep = json!({"bool": {"must": deep}});
    }
    assert!(parse_query(&deep).is_err());
}

#[test]
fn every_aggregation_refuses_unknown_members() {
    let bodies = [
        ("avg", json!({"field": "f"})),
        ("cardinality", json!({"field": "f"})),
        (
            "date_histogram",
            json!({"field": "f", "calendar_interval": "day"}),
        ),
        (
            "date_range",
            json!({"field": "f", "ranges": [{"from": "now"}]}),
        ),
        ("extended_stats", json!({"field": "f"})),
        ("filters", json!({"filters": {"a": {"match_all": {}}}})),
        (
            "geo_distance",
            json!({"field": "f", "origin": "1,2", "ranges": [{"to": 1}]}),
        ),
        ("global", json!({})),
        ("histogram", json!({"field": "f", "interval": 2})),
        (
            "ip_range",
            json!({"field": "f", "ranges": [{"to": "10.0.0.1"}]}),
        ),
        ("max", json!({"field": "f"})),
        ("median_absolute_deviation", json!({"field": "f"})),
        ("min", json!({"field": "f"})),
        ("missing", json!({"field": "f"})),
        ("percentile_ranks", json!({"field": "f", "values": [1]})),
        ("percentiles", json!({"field": "f"})),
        ("range", json!({"field": "f", "ranges": [{"to": 1}]})),
        ("stats", json!({"field": "f"})),
        ("sum", json!({"field": "f"})),
        ("terms", json!({"field": "f"})),
        ("top_hits", json!({"size": 1})),
        ("value_count", json!({"field": "f"})),
    ];
    // They read others, beside or around them.
    let of_buckets = [
        ("avg_bucket", json!({"buckets_path": "h>_count"})),
        ("bucket_sort", json!({"size": 1})),
        ("cumulative_sum", json!({"buckets_path": "_count"})),
        ("derivative", json!({"buckets_path": "_count"})),
        ("extended_stats_bucket", json!({"buckets_path": "h>_count"})),
        ("max_bucket", json!({"buckets_path": "h>_count"})),
        ("min_bucket", json!({"buckets_path": "h>_count"})),
        ("percentiles_bucket", json!({"buckets_path": "h>_count"})),
        ("serial_diff", json!({"buckets_path": "_count"})),
        ("stats_bucket", json!({"buckets_path": "h>_count"})),
        ("sum_bucket", json!({"buckets_path": "h>_count"})),
    ];
    // The body of `filter` is a query.
    let named = agg::names().filter(|name| *name != "filter");
    let mut tried: Vec<&str> = bodies
        .iter()
        .chain(&of_buckets)
        .map(|(name, _)| *name)
        .collect();
    tried.sort_unstable();
    assert!(named.eq(tried));
    for (name, body) in of_buckets {
        let search = |body: &Value| {
            let mut agg = json!({});
            agg[name] = body.clone();
            let histogram = json!({"field": "f", "interval": 1});
            parse_search(&match body["buckets_path"] == "h>_count" {
                true => json!({"aggs": {"h": {"histogram": histogram}, "x": agg}}),
                false => json!({"aggs": {"h": {"histogram": histogram, "aggs": {"x": agg}}}}),
            })
        };
        search(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut wrong = body;
        wrong["surprise"] = json!(1);
        assert!(search(&wrong).is_err(), "{name} ignores a member");
    }
    for (name, body) in bodies {
        let search = |body: &Value| {
            let mut agg = json!({});
            agg[name] = body.clone();
            parse_search(&json!({"aggs": {"x": agg}}))
        };
        search(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut wrong = body;
        wrong["surprise"] = json!(1);
        assert!(search(&wrong).is_err(), "{name} ignores a member");
    }
}

#[test]
fn aggregations_must_be_well_formed() {
    for (aggs, reason) in [
        (json!({"a": {}}), "Missing definition for aggregation [a]"),
        (
            json!({"a": {"tems": {"field": "f"}}}),
            "Unknown aggregation type [tems] did you mean [terms]?",
        ),
        (
            json!({"a": {"avg": {"field": "f"}, "max": {"field": "f"}}}),
            "Found two aggregation type definitions in [a]: [avg] and [max]",
        ),
        (
            json!({"a[0]": {"avg": {"field": "f"}}}),
            "Invalid aggregation name [a[0]]. Aggregation names cannot contain '[', ']' or '>'",
        ),
        (
            json!({"a": {"avg": {"field": "f"}, "aggs": {"b": {"max": {"field": "f"}}}}}),
            "Aggregator [a] of type [avg] cannot accept sub-aggregations",
        ),
        (
            json!({"a": {"terms": {"field": "f", "size": 0}}}),
            "[size] must be greater than 0. Found [0] in [terms]",
        ),
        (
            json!({"a": {"terms": {"field": "f", "order": {"b": "asc"}}}}),
            "Invalid aggregation order path [b]. The provided aggregation [b] either does not \
             exist, or is a pipeline aggregation and cannot be used to sort the buckets.",
        ),
        (
            json!({"a": {"date_histogram": {"field": "f", "calendar_interval": "2d"}}}),
            "The supplied interval [2d] could not be parsed as a calendar interval.",
        ),
        (
            json!({"a": {"date_histogram": {"field": "f"}}}),
            "Invalid interval specified, must be non-null and non-empty",
        ),
    ] {
        let error = parse_search(&json!({"aggs": aggs})).unwrap_err();
        assert_eq!(
            (error.status, error.reason.as_str()),
            (400, reason),
            "{aggs}"
        );
    }
}
