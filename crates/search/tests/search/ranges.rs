//! Fields of ranges, and aggregations over addresses and points. The answers are those of a real Elasticsearch; see
//! `tests/oracle/ranges.txt` and `tests/oracle/range-aggregations.txt`.

use ringwall_index::{FieldMask, View};
use ringwall_search::filter::any_of;
use serde_json::{Value, json};

use super::harness::{Index, NOW};

fn mapping() -> Value {
    json!({"properties": {
        "i": {"type": "integer_range"}, "l": {"type": "long_range"}, "f": {"type": "float_range"},
        "d": {"type": "double_range"}, "t": {"type": "date_range", "format": "yyyy-MM-dd||epoch_millis"},
        "p": {"type": "ip_range"}, "x": {"type": "integer_range", "index": false, "doc_values": false},
    }})
}

fn docs() -> Vec<Value> {
    vec![
        json!({"_id": "1", "i": {"gte": 10, "lt": 20}, "l": {"gt": 5, "lte": 9}, "f": {"gte": 1.5, "lt": 2.5},
            "d": {"gt": 1.5}, "t": {"gte": "2020-01-01", "lt": "2020-02-01"}, "p": "10.0.0.0/8"}),
        json!({"_id": "2", "i": [{"gte": 1, "lte": 2}, {"gte": 100}], "p": {"gte": "::1", "lte": "::ff"}}),
        json!({"_id": "3", "i": null}),
        json!({"_id": "4", "i": {"gte": "1", "lt": 9.7}}),
        json!({"_id": "5", "i": {"gte": null, "lte": 5}, "t": {"gte": "2020-03-01", "lte": "2020-03-04"},
            "x": {"gte": 1}}),
    ]
}

#[test]
fn ranges_are_found_by_what_they_hold() {
    let index = Index::new(mapping(), &docs());
    for (query, expected) in [
        (json!({"term": {"i": 15}}), &["1"][..]),
        (json!({"term": {"i": "20"}}), &[]),
        (json!({"terms": {"i": [9, 101]}}), &["2"]),
        (json!({"terms": {"i": [8, 101]}}), &["2", "4"]),
        (json!({"match": {"i": 2}}), &["2", "4", "5"]),
        (json!({"range": {"i": {"gte": 12, "lte": 30}}}), &["1"]),
        (
            json!({"range": {"i": {"gte": 0, "lte": 30, "relation": "within"}}}),
            &["1", "2", "4"],
        ),
        (
            json!({"range": {"i": {"gte": 11, "lte": 12, "relation": "CONTAINS"}}}),
            &["1"],
        ),
        (json!({"range": {"i": {"gt": 19, "lt": 20}}}), &[]),
        (json!({"range": {"i": {"gt": 19}}}), &["2"]),
        (json!({"term": {"l": 5}}), &[]),
        (json!({"term": {"l": 9}}), &["1"]),
        (json!({"term": {"f": 2.5}}), &[]),
        (json!({"term": {"f": 2.49}}), &["1"]),
        (json!({"term": {"d": 1.5}}), &[]),
        (json!({"range": {"d": {"lte": 1.5}}}), &[]),
        (json!({"term": {"d": 1e300}}), &["1"]),
        (json!({"term": {"t": "2020-01-31"}}), &["1"]),
        (json!({"term": {"t": "2020-02-01"}}), &[]),
        // The whole of its last day.
        (json!({"term": {"t": 1_583_366_399_999i64}}), &["5"]),
        (
            json!({"range": {"t": {"gte": "01/31/2020", "format": "MM/dd/yyyy", "time_zone": "+01:00"}}}),
            &["1", "5"],
        ),
        (json!({"term": {"p": "10.1.2.3"}}), &["1"]),
        (json!({"term": {"p": "::80"}}), &["2"]),
        (
            json!({"range": {"p": {"gte": "9.0.0.0", "lt": "10.0.0.0"}}}),
            &[],
        ),
        (json!({"exists": {"field": "i"}}), &["1", "2", "4", "5"]),
        (json!({"query_string": {"query": "i:[12 TO 13]"}}), &["1"]),
        (json!({"query_string": {"query": "i:12"}}), &["1"]),
    ] {
        assert_eq!(index.set(query.clone()), expected, "{query}");
    }
}

#[test]
fn ranges_are_shown_as_they_were_given() {
    let index = Index::new(mapping(), &docs());
    let found = index.search(json!({"query": {"ids": {"values": ["1"]}},
        "fields": ["i", "p", {"field": "t", "format": "yyyy/MM/dd"}]}));
    assert_eq!(
        found["hits"][0]["fields"],
        json!({"i": [{"gte": 10, "lt": 20}], "p": ["10.0.0.0/8"],
            "t": [{"gte": "2020/01/01", "lt": "2020/02/01"}]})
    );
}

#[test]
fn what_ranges_do_not_answer_is_refused() {
    let index = Index::new(mapping(), &docs());
    for (body, expected) in [
        (
            json!({"query": {"term": {"i": 15.5}}}),
            "failed to create query: Value [15.5] has a decimal part",
        ),
        (
            json!({"query": {"prefix": {"i": "1"}}}),
            "Can only use prefix queries on keyword, text and wildcard fields - not on [i] which is \
             of type [integer_range]",
        ),
        (
            json!({"query": {"term": {"p": "10.0.0.0/8"}}}),
            "failed to create query: '10.0.0.0/8' is not an IP string literal.",
        ),
        (
            json!({"query": {"range": {"i": {"gte": 1, "relation": "disjoint"}}}}),
            "[range] query does not support relation [disjoint]",
        ),
        (
            json!({"sort": ["i"]}),
            "Field [i] of type [integer_range] is not supported for sorting, aggregations and docvalue_fields",
        ),
        (
            json!({"docvalue_fields": ["i"]}),
            "Field [i] of type [integer_range] is not supported for sorting, aggregations and docvalue_fields",
        ),
        (
            json!({"aggs": {"a": {"terms": {"field": "i"}}}}),
            "Field [i] of type [integer_range] is not supported for aggregation [terms]",
        ),
        (
            json!({"aggs": {"a": {"cardinality": {"field": "i"}}}}),
            "Field [i] of type [integer_range] is not supported for aggregation [cardinality]",
        ),
        (
            json!({"aggs": {"a": {"missing": {"field": "i"}}}}),
            "Field [i] of type [integer_range] is not supported for aggregation [missing]",
        ),
    ] {
        assert_eq!(index.error(body.clone()).reason, expected, "{body}");
    }
    assert!(
        index
            .error(json!({"query": {"term": {"x": 1}}}))
            .reason
            .contains("Cannot search")
    );
}

#[test]
fn a_view_hides_ranges() {
    let index = Index::new(mapping(), &docs());
    let masked = index.seen_by(&View::whole().masked(FieldMask::new(|path| path != "i")));
    assert_eq!(masked.set(json!({"term": {"i": 15}})), [""; 0]);
    assert_eq!(masked.set(json!({"exists": {"field": "i"}})), [""; 0]);
    assert_eq!(masked.set(json!({"term": {"p": "10.1.2.3"}})), ["1"]);
    let shown = masked.search(json!({"fields": ["*"], "query": {"term": {"p": "10.1.2.3"}}}));
    assert_eq!(shown["hits"][0]["fields"].get("i"), None);
    let filter = any_of(&[&json!({"term": {"i": 15}})], "test", NOW).unwrap();
    let filtered = index.seen_by(&View::whole().filtered(filter));
    assert_eq!(filtered.set(json!({"exists": {"field": "i"}})), ["1"]);
}

fn places() -> (Value, Vec<Value>) {
    (
        json!({"properties": {"p": {"type": "geo_point"}, "ip": {"type": "ip"},
            "k": {"type": "keyword"}, "n": {"type": "long"}}}),
        vec![
            json!({"p": {"lat": 52.37, "lon": 4.91}, "ip": "10.0.0.5", "k": "a", "n": 1}),
            json!({"p": [{"lat": 48.85, "lon": 2.35}, {"lat": 52.3, "lon": 4.9}],
                "ip": ["10.0.0.130", "192.168.0.1"], "k": "b", "n": 2}),
            json!({"k": "c", "n": 3}),
        ],
    )
}

#[test]
fn points_are_counted_by_their_distance() {
    let (mapping, docs) = places();
    let one = Index::new(mapping.clone(), &docs);
    let many = Index::split(mapping, &[&[&docs[..1]], &[&docs[1..2], &docs[2..]], &[]]);
    let ranges = json!([{"from": 300}, {"to": 100, "key": "near"}, {"from": 100, "to": 300}]);
    for index in [one, many] {
        let found = index.aggs(json!({
            "list": {"geo_distance": {"field": "p", "origin": "52.3760, 4.894",
                "ranges": [{"to": 100_000}, {"from": 100_000, "to": 300_000}, {"from": 300_000}]}},
            "keyed": {"geo_distance": {"field": "p", "origin": [4.894, 52.376], "unit": "km",
                "keyed": true, "ranges": ranges}, "aggs": {"m": {"max": {"field": "n"}}}},
            "missing": {"geo_distance": {"field": "p", "origin": "52,4", "missing": "52,4", "ranges": [{"to": 1}]}},
            "nowhere": {"geo_distance": {"field": "nope", "origin": "52,4", "ranges": [{"to": 1}]}},
        }));
        assert_eq!(
            found,
            json!({
                "list": {"buckets": [
                    {"key": "*-100000.0", "from": 0.0, "to": 100000.0, "doc_count": 2},
                    {"key": "100000.0-300000.0", "from": 100000.0, "to": 300000.0, "doc_count": 0},
                    {"key": "300000.0-*", "from": 300000.0, "doc_count": 1}]},
                "keyed": {"buckets": {
                    "near": {"from": 0.0, "to": 100.0, "doc_count": 2, "m": {"value": 2.0}},
                    "100.0-300.0": {"from": 100.0, "to": 300.0, "doc_count": 0, "m": {"value": null}},
                    "300.0-*": {"from": 300.0, "doc_count": 1, "m": {"value": 2.0}}}},
                "missing": {"buckets": [{"key": "*-1.0", "from": 0.0, "to": 1.0, "doc_count": 1}]},
                "nowhere": {"buckets": [{"key": "*-1.0", "from": 0.0, "to": 1.0, "doc_count": 0}]},
            })
        );
    }
}

#[test]
fn addresses_are_counted_by_ranges() {
    let (mapping, docs) = places();
    let one = Index::new(mapping.clone(), &docs);
    let many = Index::split(mapping, &[&[&docs[..1]], &[&docs[1..2], &docs[2..]], &[]]);
    for index in [one, many] {
        let found = index.aggs(json!({
            "list": {"ip_range": {"field": "ip", "ranges": [{"to": "10.0.0.100"}, {"from": "10.0.0.100"},
                {"mask": "10.0.0.0/25"}, {"mask": "10.0.0.128/25", "key": "m"},
                {"from": "192.0.0.0", "to": "193.0.0.0"}]}},
            "keyed": {"ip_range": {"field": "ip", "keyed": true,
                "ranges": [{"to": "10.0.0.100"}]}, "aggs": {"m": {"max": {"field": "n"}}}},
            "all": {"ip_range": {"field": "ip", "ranges": [{}, {"mask": "::/0"}, {"mask": "0.0.0.0/0"}]}},
            "missing": {"ip_range": {"field": "ip", "missing": "10.0.0.1", "ranges": [{"to": "10.0.0.100"}]}},
            "nowhere": {"ip_range": {"field": "nope", "ranges": [{"to": "10.0.0.100"}]}},
        }));
        assert_eq!(
            found,
            json!({
                "list": {"buckets": [
                    {"key": "*-10.0.0.100", "to": "10.0.0.100", "doc_count": 1},
                    {"key": "10.0.0.0/25", "from": "10.0.0.0", "to": "10.0.0.128", "doc_count": 1},
                    {"key": "10.0.0.100-*", "from": "10.0.0.100", "doc_count": 1},
                    {"key": "m", "from": "10.0.0.128", "to": "10.0.1.0", "doc_count": 1},
                    {"key": "192.0.0.0-193.0.0.0", "from": "192.0.0.0", "to": "193.0.0.0", "doc_count": 1}]},
                "keyed": {"buckets": {
                    "*-10.0.0.100": {"to": "10.0.0.100", "doc_count": 1, "m": {"value": 1.0}}}},
                "all": {"buckets": [
                    {"key": "*-*", "doc_count": 2}, {"key": "::/0", "doc_count": 2},
                    {"key": "0.0.0.0/0", "from": "0.0.0.0", "to": "::1:0:0:0", "doc_count": 2}]},
                "missing": {"buckets": [{"key": "*-10.0.0.100", "to": "10.0.0.100", "doc_count": 2}]},
                "nowhere": {"buckets": [{"key": "*-10.0.0.100", "to": "10.0.0.100", "doc_count": 0}]},
            })
        );
    }
}

#[test]
fn aggregations_of_ranges_refuse_what_they_do_not_take() {
    let (mapping, docs) = places();
    let index = Index::new(mapping, &docs);
    let near = |extra: Value| {
        let mut body = json!({"field": "p", "origin": "52,4", "ranges": [{"to": 1}]});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({"aggs": {"a": {"geo_distance": body}}})
    };
    let addresses =
        |range: Value| json!({"aggs": {"a": {"ip_range": {"field": "ip", "ranges": [range]}}}});
    for (body, expected) in [
        (
            near(json!({"field": "k"})),
            "Field [k] of type [keyword] is not supported for aggregation [geo_distance]",
        ),
        (
            near(json!({"origin": null})),
            "Aggregation [a] must define an [origin].",
        ),
        (near(json!({"unit": "foo"})), "No distance unit match [foo]"),
        (
            near(json!({"distance_type": "foo"})),
            "No geo distance for [foo]",
        ),
        (
            near(json!({"ranges": []})),
            "No [ranges] specified for the [a] aggregation",
        ),
        (
            json!({"aggs": {"a": {"ip_range": {"field": "k", "ranges": [{"to": "10.0.0.1"}]}}}}),
            "Field [k] of type [keyword] is not supported for aggregation [ip_range]",
        ),
        (
            json!({"aggs": {"a": {"ip_range": {"field": "ip", "ranges": []}}}}),
            "No [ranges] specified for the [a] aggregation",
        ),
    ] {
        assert_eq!(index.error(body.clone()).reason, expected, "{body}");
    }
    assert!(index.error(near(json!({"foo": 1}))).reason.contains("foo"));
    for (range, expected) in [
        (json!({"to": "x"}), "'x' is not an IP string literal."),
        (
            json!({"mask": "10.0.0.0/44"}),
            "Illegal prefix length [44] in [10.0.0.0/44]. Must be 0-32 for IPv4 ranges, 0-128 for IPv6 ranges",
        ),
        (
            json!({"mask": "10.0.0.0"}),
            "Expected [ip/prefix] but was [10.0.0.0]",
        ),
        (
            json!({"to": "10.0.0.1", "foo": 1}),
            "Unexpected ip range parameter: [foo]",
        ),
    ] {
        let error = index.error(addresses(range));
        assert_eq!(error.reason, "[ip_range] failed to parse field [ranges]");
        assert_eq!(error.caused_by.unwrap().reason, expected);
    }
}
