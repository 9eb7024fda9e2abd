//! Points on the earth: in which forms they are written, found and shown. The answers are those of a real Elasticsearch.

use serde_json::{Value, json};

use super::harness::Index;

fn index() -> Index {
    let place = json!({"lat": 41.12, "lon": -71.34});
    Index::new(
        json!({"properties": {
            "p": {"type": "geo_point"}, "q": {"type": "geo_point", "ignore_malformed": true},
            "n": {"type": "geo_point", "null_value": "1,2"}, "k": {"type": "keyword"},
            "x": {"type": "geo_point", "index": false, "doc_values": false},
        }}),
        &[
            json!({"_id": "1", "p": place}),
            json!({"_id": "2", "p": "41.12,-71.34", "x": place}),
            json!({"_id": "3", "p": [-71.34, 41.12]}),
            json!({"_id": "4", "p": {"type": "Point", "coordinates": [-71.34, 4.112e1]}, "k": "a"}),
            json!({"_id": "5", "p": [[10, 20], {"lat": 1, "lon": 2}, "3,4"]}),
            json!({"_id": "6", "p": [], "n": null}),
            json!({"_id": "7", "q": {"lat": 91, "lon": 0}}),
        ],
    )
}

#[test]
fn documents_are_found_by_their_points() {
    let index = index();
    let near = ["1", "2", "3", "4"];
    let box_of = |left: i32| json!({"top": 42, "left": left, "bottom": 40, "right": -70});
    for (query, expected) in [
        (
            json!({"exists": {"field": "p"}}),
            &["1", "2", "3", "4", "5"][..],
        ),
        (json!({"exists": {"field": "n"}}), &["6"]),
        (json!({"exists": {"field": "x"}}), &[]),
        (json!({"term": {"_ignored": "q"}}), &["7"]),
        (
            json!({"geo_distance": {"distance": "200km", "p": {"lat": 40, "lon": -70}}}),
            &near,
        ),
        (
            json!({"geo_distance": {"distance": "12km", "p": "41.1,-71.3"}}),
            &near,
        ),
        (
            json!({"geo_distance": {"distance": 4000, "p": [-71.34, 41.1]}}),
            &near,
        ),
        (
            json!({"geo_distance": {"distance": 2, "unit": "km", "p": [-71.34, 41.1]}}),
            &[],
        ),
        (
            json!({"geo_distance": {"distance": "2mi", "p": [-71.34, 41.1]}}),
            &near,
        ),
        // One of several points is enough.
        (
            json!({"geo_distance": {"distance": "1km", "p": [4, 3]}}),
            &["5"],
        ),
        (
            json!({"geo_distance": {"distance": "1km", "nope": [4, 3], "ignore_unmapped": true}}),
            &[],
        ),
        (json!({"geo_bounding_box": {"p": box_of(-72)}}), &near),
        // Across the date line.
        (json!({"geo_bounding_box": {"p": box_of(170)}}), &near),
        (
            json!({"geo_bounding_box": {"p": {"wkt": "BBOX (-72, -70, 42, 40)"}}}),
            &near,
        ),
        (
            json!({"geo_bounding_box": {"p": {"top_left": [-72, 42], "bottom_right": "40,-70"}}}),
            &near,
        ),
        (
            json!({"geo_bounding_box": {"p": {"top_right": "42,-70", "bottom_left": "40,-72"}}}),
            &near,
        ),
        (
            json!({"bool": {"filter": {"geo_distance": {"distance": "1km", "p": [-71.34, 41.12]}}, "must": {"term": {"k": "a"}}}}),
            &["4"],
        ),
    ] {
        assert_eq!(index.set(query.clone()), expected, "{query}");
    }
}

#[test]
fn what_points_do_not_answer_is_refused() {
    let index = index();
    for (body, part) in [
        (
            json!({"query": {"term": {"p": "41.12,-71.34"}}}),
            "use dedicated geometry queries instead: [p]",
        ),
        (
            json!({"query": {"range": {"p": {"gte": 1}}}}),
            "Field [p] of type [geo_point] does not support range queries",
        ),
        (
            json!({"sort": ["p"]}),
            "can't sort on geo_point or point field",
        ),
        (
            json!({"aggs": {"a": {"terms": {"field": "p"}}}}),
            "Field [p] of type [geo_point] is not supported for aggregation [terms]",
        ),
        (
            json!({"aggs": {"a": {"avg": {"field": "p"}}}}),
            "Field [p] of type [geo_point] is not supported for aggregation [avg]",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "x", "p": [0, 0]}}}),
            "For input string: \"x\"",
        ),
        (
            json!({"query": {"geo_distance": {"p": [0, 0]}}}),
            "geo_distance requires 'distance' to be specified",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "1km"}}}),
            "fieldName must not be null or empty",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "-1km", "p": [0, 0]}}}),
            "distance must be greater than zero",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "1km", "p": [0, 0], "foo": 1}}}),
            "unexpected field [foo]",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "1km", "nope": [0, 0]}}}),
            "failed to find geo field [nope]",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "1km", "k": [0, 0]}}}),
            "Field [k] is of unsupported type [keyword] for [geo_distance] query",
        ),
        (
            json!({"query": {"geo_distance": {"distance": "1km", "p": [0, 91]}}}),
            "couldn't validate latitude/ longitude values",
        ),
        (
            json!({"query": {"geo_bounding_box": {"p": {"top": 40, "left": -72, "bottom": 42, "right": -70}}}}),
            "top is below bottom corner: 40.0 vs. 42.0",
        ),
        (
            json!({"query": {"geo_bounding_box": {"p": {"top": 42, "left": -72, "bottom": 40}}}}),
            "right longitude is invalid: NaN",
        ),
        (
            json!({"docvalue_fields": [{"field": "p", "format": "x"}]}),
            "does not support custom formats",
        ),
        (
            json!({"fields": [{"field": "p", "format": "x"}]}),
            "Unrecognized geometry format [x]",
        ),
    ] {
        let error = index.try_search(&body).unwrap_err();
        let told = format!("{} {:?}", error.reason, error.caused_by);
        assert!(error.status == 400 && told.contains(part), "{body}: {told}");
    }
    let lenient = json!({"geo_distance": {"distance": "1km", "p": [0, 91], "validation_method": "IGNORE_MALFORMED"}});
    assert_eq!(index.set(lenient).len(), 0);
}

#[test]
fn points_are_shown_as_kept_and_as_written() {
    let found = index().search(json!({
        "query": {"ids": {"values": ["1", "5"]}}, "sort": ["_doc"], "_source": false,
        "docvalue_fields": ["p"], "fields": ["p"],
    }));
    let hits = &found["hits"];
    let point = |lon: f64, lat: f64| json!({"coordinates": [lon, lat], "type": "Point"});
    assert_eq!(hits[0]["fields"]["p"][0], point(-71.34, 41.12), "{found}");
    let found = index().search(json!({
        "query": {"ids": {"values": ["1"]}}, "_source": false, "docvalue_fields": ["p"],
    }));
    let kept = &found["hits"][0]["fields"]["p"];
    assert_eq!(*kept, json!(["41.1199999647215, -71.34000004269183"]));
    let found = index().search(json!({
        "query": {"ids": {"values": ["5"]}}, "_source": false, "fields": [{"field": "p", "format": "wkt"}],
    }));
    let shown = &found["hits"][0]["fields"]["p"];
    assert_eq!(
        *shown,
        json!(["POINT (10.0 20.0)", "POINT (2.0 1.0)", "POINT (4.0 3.0)"])
    );
    let found: Value = index().search(json!({"size": 0, "aggs": {
        "a": {"value_count": {"field": "p"}}, "c": {"cardinality": {"field": "p"}}, "m": {"missing": {"field": "p"}},
    }}));
    let aggs = &found["aggregations"];
    assert_eq!(
        (
            &aggs["a"]["value"],
            &aggs["c"]["value"],
            &aggs["m"]["doc_count"]
        ),
        (&json!(7), &json!(4), &json!(2))
    );
}
