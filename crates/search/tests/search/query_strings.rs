//! The two textual query languages: what a text finds, and that no part of it is ignored.

use serde_json::{Value, json};

use super::harness::Index;

fn index() -> Index {
    let mapping = json!({"properties": {
        "title": {"type": "text"}, "body": {"type": "text"}, "city": {"type": "keyword"},
        "n": {"type": "long"}, "at": {"type": "date"},
        "en": {"type": "text", "analyzer": "stop"},
    }});
    let docs = [
        json!({"_id": "1", "title": "brown fox", "body": "a well known animal", "city": "New York",
            "n": 1, "at": "2024-03-15", "en": "quick fox"}),
        json!({"_id": "2", "title": "brown bear", "body": "fox hunters", "city": "York", "n": 7}),
        json!({"_id": "3", "title": "red fox", "body": "well knitted", "n": 200, "en": "slow"}),
    ];
    Index::new(mapping, &docs)
}

#[track_caller]
fn check(options: Value, expected: &[&str]) {
    assert_eq!(
        index().set(json!({"query_string": options})),
        expected,
        "{options}"
    );
}

#[track_caller]
fn simple(options: Value, expected: &[&str]) {
    let query = json!({"simple_query_string": options});
    assert_eq!(index().set(query), expected, "{options}");
}

#[test]
fn words_side_by_side_are_one_text() {
    // Both words must be in the same field, as they are analyzed together.
    let both = json!({"query": "brown fox", "fields": ["title", "body"],
        "default_operator": "and"});
    check(both, &["1"]);
    // Written with an operator they are apart.
    let apart = json!({"query": "brown AND fox", "fields": ["title", "body"]});
    check(apart, &["1", "2"]);
    // A keyword sees the whole text.
    check(json!({"query": "city:(New York)"}), &["1"]);
    check(
        json!({"query": "New York", "default_field": "city"}),
        &["1"],
    );
    check(
        json!({"query": "New OR York", "default_field": "city"}),
        &["2"],
    );
    // Numbers have no words to join.
    check(json!({"query": "n:(1 7)"}), &["1", "2"]);
    // On one text field the words stay clauses, which a minimum counts.
    check(
        json!({"query": "brown fox red", "default_field": "title", "minimum_should_match": 2}),
        &["1", "3"],
    );
}

#[test]
fn wildcards_can_be_analyzed() {
    // Dashboards always send `analyze_wildcard`.
    check(
        json!({"query": "*", "analyze_wildcard": true}),
        &["1", "2", "3"],
    );
    check(
        json!({"query": "title:BRO*", "analyze_wildcard": true}),
        &["1", "2"],
    );
    // Without it no term begins with `well-kn`; with it the parts are looked for.
    check(json!({"query": "body:well-kno*"}), &[]);
    check(
        json!({"query": "body:well-kno*", "analyze_wildcard": true, "default_operator": "and"}),
        &["1"],
    );
    check(
        json!({"query": "body:well-kno*", "analyze_wildcard": true}),
        &["1", "3"],
    );
    check(
        json!({"query": "city:New*", "analyze_wildcard": true}),
        &["1"],
    );
}

#[test]
fn leniency_forgives_values_and_not_ranges() {
    check(json!({"query": "n:[1 TO 7]", "lenient": true}), &["1", "2"]);
    check(json!({"query": "n:foo", "lenient": true}), &[]);
    check(json!({"query": "n:[a TO b]", "lenient": true}), &[]);
    let error = index().error(json!({"query": {"query_string": {"query": "n:foo"}}}));
    assert_eq!(error.status, 400);
    // Without fields every field is tried, numbers too, and what does not fit is left out.
    check(json!({"query": "[100 TO 300]"}), &["3"]);
    check(json!({"query": "200"}), &["3"]);
    check(json!({"query": "bear"}), &["2"]);
}

#[test]
fn words_that_analysis_removes_do_not_count() {
    // `the` is a stop word of the field: as if it were not written.
    check(json!({"query": "en:(the AND quick)"}), &["1"]);
    check(json!({"query": "en:the"}), &[]);
    check(json!({"query": "en:(+the +quick)"}), &["1"]);
    check(json!({"query": "title:(\"!\" AND fox)"}), &["1", "3"]);
}

#[test]
fn dates_and_time_zones() {
    check(json!({"query": "at:2024-03-15"}), &["1"]);
    check(json!({"query": "at:{* TO 2024-03-15}"}), &[]);
    // The 15th begins an hour earlier in Paris.
    check(
        json!({"query": "at:[2024-03-15T01:00:00 TO *]", "time_zone": "+01:00"}),
        &["1"],
    );
    check(json!({"query": "at:[2024-03-15T01:00:00 TO *]"}), &[]);
    check(
        json!({"query": "at:[2024-03-15T01:00:00 TO *] AND n:[1 TO 2]", "time_zone": "+01:00"}),
        &["1"],
    );
}

#[test]
fn a_negation_alone_matches_the_rest() {
    check(json!({"query": "-title:fox"}), &["2"]);
    check(json!({"query": "title:brown AND (NOT title:fox)"}), &["2"]);
    // In the classic syntax a negation excludes, also beside an `or`: 3 is a fox.
    check(json!({"query": "!title:fox || n:200"}), &[]);
    check(json!({"query": "!title:fox || n:7"}), &["2"]);
}

#[test]
fn simple_operators_are_read_from_left_to_right() {
    let title = |query: &str| json!({"query": query, "fields": ["title"]});
    simple(title("brown + fox"), &["1"]);
    simple(title("brown + fox | red"), &["1", "3"]);
    simple(title("red | brown + fox"), &["1", "3"]);
    simple(title("red | (brown + bear)"), &["2", "3"]);
    // A negated word is one more way to match where the default is `or`.
    simple(title("red -brown"), &["3"]);
    simple(title("bear -brown"), &["2", "3"]);
    simple(
        json!({"query": "fox -brown", "fields": ["title"], "default_operator": "and"}),
        &["3"],
    );
    simple(title("bro*"), &["1", "2"]);
    simple(title("brwn~1"), &["1", "2"]);
    simple(title("\"brown fox\""), &["1"]);
    simple(title("\"fox brown\"~3"), &["1"]);
    simple(title("*"), &["1", "2", "3"]);
    simple(title(""), &[]);
    simple(title("| + ) ("), &[]);
}

#[test]
fn simple_has_no_syntax_errors_but_has_wrong_values() {
    let query = json!({"simple_query_string": {"query": "foo", "fields": ["n"]}});
    assert_eq!(index().error(json!({"query": query})).status, 400);
    simple(
        json!({"query": "foo", "fields": ["n"], "lenient": true}),
        &[],
    );
    // All fields, by pattern, are lenient.
    simple(json!({"query": "bear"}), &["2"]);
    simple(json!({"query": "bear 7"}), &["2"]);
    simple(
        json!({"query": "fo* +BROWN", "fields": ["title^2", "b*"]}),
        &["1", "2"],
    );
}

#[test]
fn every_option_is_executed_or_refused() {
    for (name, options) in [
        (
            "query_string",
            json!({"query": "a", "analyse_wildcard": true}),
        ),
        (
            "query_string",
            json!({"query": "a", "quote_field_suffix": ".exact"}),
        ),
        (
            "query_string",
            json!({"query": "a", "type": "cross_fields"}),
        ),
        (
            "query_string",
            json!({"query": "a", "rewrite": "scoring_boolean"}),
        ),
        ("query_string", json!({"query": "a", "fields": ["x", null]})),
        (
            "query_string",
            json!({"query": "a", "fields": ["x"], "default_field": "y"}),
        ),
        ("query_string", json!({"fields": ["x"]})),
        (
            "simple_query_string",
            json!({"query": "a", "flags": "AND|PREFIX"}),
        ),
        (
            "simple_query_string",
            json!({"query": "a", "phrase_slop": 1}),
        ),
    ] {
        let error = index().error(json!({"query": {name: options}}));
        assert_eq!(error.status, 400, "{name} {options}");
    }
    // Nothing of a text is dropped: each of these has a part that is no syntax.
    for text in [
        "title:",
        "title:fox^",
        "title:fox^-1",
        "title:(fox",
        "title:fox)",
        "[1 TO",
        "n:>",
        "title:/fox",
        "title:\"fox",
        "fox AND",
        "OR fox",
        "AND",
        "a:b:c",
        "fox~5",
        "fox\\",
    ] {
        let error = index().error(json!({"query": {"query_string": {"query": text}}}));
        assert!(
            error.reason.starts_with("Failed to parse query ["),
            "{text}: {}",
            error.reason
        );
    }
    // Escaped, all of it is text.
    for (text, expected) in [("(fox", &["1", "3"][..]), ("en:fox", &[])] {
        check(
            json!({"query": text, "default_field": "title", "escape": true}),
            expected,
        );
    }
}
