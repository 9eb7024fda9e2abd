//! Words that stand near one another, as Elasticsearch finds and scores them.

use serde_json::{Value, json};

use super::harness::Index;

fn weather() -> Index {
    let texts = [
        "Some like it hot, some like it cold",
        "Its cold outside, theres no kind of atmosphere",
        "Baby its cold there outside",
        "Outside it is cold and wet",
        "the big big wolf",
        "the big bad wolf",
    ];
    let docs: Vec<Value> = (1..)
        .zip(texts)
        .map(|(id, text)| json!({"_id": format!("{id}"), "text": text, "k": text, "n": 1}))
        .collect();
    let mapping = json!({"properties": {
        "text": {"type": "text"}, "k": {"type": "keyword"}, "n": {"type": "long"},
    }});
    Index::new(mapping, &docs)
}

#[test]
fn rules_find_and_score_as_elasticsearch_does() {
    let index = weather();
    for (rule, expected) in [
        (
            json!({"match": {"query": "cold outside"}}),
            json!([["2", 0.5], ["3", 0.3333333], ["4", 0.25]]),
        ),
        (
            json!({"match": {"query": "cold outside", "ordered": true}}),
            json!([["2", 0.5], ["3", 0.3333333]]),
        ),
        (
            json!({"match": {"query": "cold outside", "max_gaps": 0}}),
            json!([["2", 0.5]]),
        ),
        (
            json!({"match": {"query": "cold outside", "max_gaps": 1, "ordered": true}}),
            json!([["2", 0.5], ["3", 0.3333333]]),
        ),
        (
            json!({"match": {"query": "outside"}}),
            json!([["2", 0.5], ["3", 0.5], ["4", 0.5]]),
        ),
        (
            json!({"match": {"query": "big big"}}),
            json!([["5", 0.3333333]]),
        ),
        (
            json!({"match": {"query": "big big", "ordered": true}}),
            json!([["5", 0.3333333]]),
        ),
        (
            json!({"match": {"query": "some some", "ordered": true}}),
            json!([["1", 0.16666669]]),
        ),
        (
            json!({"all_of": {"ordered": true, "intervals": [{"match": {"query": "some"}}, {"match": {"query": "cold"}}]}}),
            json!([["1", 0.25]]),
        ),
        (
            json!({"all_of": {"intervals": [{"match": {"query": "cold outside"}}, {"any_of": {"intervals": [{"match": {"query": "baby"}}, {"match": {"query": "wet"}}]}}]}}),
            json!([["3", 0.25], ["4", 0.19999999]]),
        ),
        (
            json!({"any_of": {"intervals": [{"match": {"query": "cold"}}, {"match": {"query": "outside"}}]}}),
            json!([
                ["2", 0.6666666],
                ["3", 0.6666666],
                ["4", 0.6666666],
                ["1", 0.5]
            ]),
        ),
        (
            json!({"match": {"query": "cold outside", "filter": {"not_containing": {"match": {"query": "there"}}}}}),
            json!([["2", 0.5], ["4", 0.25]]),
        ),
        (
            json!({"match": {"query": "cold", "filter": {"before": {"match": {"query": "outside"}}}}}),
            json!([["2", 0.5], ["3", 0.5]]),
        ),
        (
            json!({"match": {"query": "cold", "filter": {"after": {"match": {"query": "outside"}}}}}),
            json!([["4", 0.5]]),
        ),
        (
            json!({"prefix": {"prefix": "out"}}),
            json!([["2", 0.5], ["3", 0.5], ["4", 0.5]]),
        ),
        (
            json!({"wildcard": {"pattern": "o*de"}}),
            json!([["2", 0.5], ["3", 0.5], ["4", 0.5]]),
        ),
        (
            json!({"fuzzy": {"term": "outsid"}}),
            json!([["2", 0.5], ["3", 0.5], ["4", 0.5]]),
        ),
        (
            json!({"regexp": {"pattern": "o.*e"}}),
            json!([["2", 0.5], ["3", 0.5], ["4", 0.5]]),
        ),
        (
            json!({"range": {"gte": "a", "lt": "c"}}),
            json!([
                ["5", 0.6666666],
                ["6", 0.6666666],
                ["2", 0.5],
                ["3", 0.5],
                ["4", 0.5]
            ]),
        ),
        (
            json!({"prefix": {"prefix": "out"}, "boost": 2}),
            json!([["2", 1.0], ["3", 1.0], ["4", 1.0]]),
        ),
        (
            json!({"match": {"query": "cold"}, "boost": 3}),
            json!([["1", 1.5], ["2", 1.5], ["3", 1.5], ["4", 1.5]]),
        ),
        (json!({"all_of": {"intervals": []}}), json!([])),
        (json!({"any_of": {"intervals": []}}), json!([])),
        (json!({"match": {"query": ""}}), json!([])),
        (
            json!({"match": {"query": "cold", "analyzer": "keyword"}}),
            json!([["1", 0.5], ["2", 0.5], ["3", 0.5], ["4", 0.5]]),
        ),
        (json!({"match": {"query": "a", "max_gaps": -5}}), json!([])),
        (
            json!({"prefix": {"prefix": ""}}),
            json!([
                ["1", 0.8888889],
                ["2", 0.8888889],
                ["4", 0.85714287],
                ["3", 0.8333333],
                ["5", 0.8],
                ["6", 0.8]
            ]),
        ),
        (
            json!({"wildcard": {"pattern": "*"}}),
            json!([
                ["1", 0.8888889],
                ["2", 0.8888889],
                ["4", 0.85714287],
                ["3", 0.8333333],
                ["5", 0.8],
                ["6", 0.8]
            ]),
        ),
        (
            json!({"all_of": {"ordered": true, "max_gaps": 0, "intervals": [{"any_of": {"intervals": [{"match": {"query": "cold"}}, {"match": {"query": "cold and", "ordered": true, "max_gaps": 0}}]}}, {"match": {"query": "wet"}}]}}),
            json!([["4", 0.3333333]]),
        ),
        (
            json!({"all_of": {"ordered": true, "max_gaps": 0, "intervals": [{"any_of": {"intervals": [{"match": {"query": "cold"}}, {"match": {"query": "cold outside", "ordered": true}}]}}, {"match": {"query": "theres"}}]}}),
            json!([["2", 0.3333333]]),
        ),
    ] {
        let found = index.search(json!({"query": {"intervals": {"text": rule}}}));
        let found: Vec<(String, f64)> = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| {
                (
                    hit["_id"].as_str().unwrap().to_owned(),
                    hit["_score"].as_f64().unwrap(),
                )
            })
            .collect();
        let expected: Vec<(String, f64)> = serde_json::from_value(expected).unwrap();
        let ids =
            |hits: &[(String, f64)]| hits.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&expected), "{rule}");
        for ((id, score), (_, wanted)) in found.iter().zip(&expected) {
            assert!(
                (score - wanted).abs() < 1e-6,
                "{rule}: {id} has {score}, not {wanted}"
            );
        }
    }
}

#[test]
fn what_is_no_rule_is_refused() {
    let index = weather();
    let cold = json!({"match": {"query": "cold"}});
    for (field, rule, reason) in [
        (
            "text",
            json!({}),
            "Missing intervals from interval query definition",
        ),
        (
            "text",
            json!({"foo": {}}),
            "Unknown interval type [foo], expecting one of [",
        ),
        ("text", json!({"match": {}}), "Required [query]"),
        (
            "text",
            json!({"match": {"query": "a", "foo": 1}}),
            "[match] unknown field [foo]",
        ),
        (
            "text",
            json!({"match": {"query": "a"}, "prefix": {"prefix": "x"}}),
            "Only one interval rule can be specified, found [match] and [prefix]",
        ),
        (
            "text",
            json!({"match": {"query": "a", "filter": {"foo": {"match": {"query": "x"}}}}}),
            "Unknown filter type [foo]",
        ),
        (
            "text",
            json!({"match": {"query": "a", "filter": {"script": {"source": "true"}}}}),
            "[script] is not supported as a filter of [intervals]",
        ),
        ("text", json!({"all_of": {}}), "Required [intervals]"),
        (
            "text",
            json!({"range": {"gte": "a"}}),
            "Either [lte] or [lt], but not both, must be specified",
        ),
        (
            "text",
            json!("x"),
            "Expected [START_OBJECT] but got [VALUE_STRING]",
        ),
        (
            "text",
            json!({"match": {"query": "a", "analyzer": "nope"}}),
            "analyzer [nope] not found",
        ),
        (
            "text",
            json!({"match": {"query": "a", "use_field": "n"}}),
            "Can only use interval queries on text fields - not on [n] which is of type [long]",
        ),
        ("k", cold.clone(), "not on [k] which is of type [keyword]"),
        ("_index", cold, "not on [_index] which is of type [_index]"),
    ] {
        let error = index.error(json!({"query": {"intervals": {field: rule}}}));
        assert!(
            error.status == 400 && error.to_string().contains(reason),
            "{reason}: {error}"
        );
    }
    let deep = (0..80).fold(
        json!({"match": {"query": "a"}}),
        |inner, _| json!({"all_of": {"intervals": [inner]}}),
    );
    let error = index.error(json!({"query": {"intervals": {"text": deep}}}));
    assert!(error.to_string().contains("nest deeper than"), "{error}");
}

#[test]
fn choices_within_a_whole_are_bounded() {
    let index = weather();
    // Two ways each, and all of them together.
    let ways = json!({"any_of": {"intervals": [
        {"match": {"query": "cold outside"}}, {"match": {"query": "some like it"}},
    ]}});
    let rule = json!({"all_of": {"intervals": vec![ways; 24]}});
    let error = index.error(json!({"query": {"intervals": {"text": rule}}}));
    assert!(
        error.to_string().contains("combinations of [any_of]"),
        "{error}"
    );
}
