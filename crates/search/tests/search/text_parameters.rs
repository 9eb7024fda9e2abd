//! What parameters of texts change. Hits and scores are those of a running Elasticsearch 8.19: `tests/oracle/text-parameters.txt`.

use serde_json::{Value, json};

use super::analysis::assert_found;
use super::harness::Index;

fn index() -> Index {
    let settings = json!({"similarity": {"mine": {"type": "BM25", "k1": "2.0", "b": "0.1"}}});
    let mapping = json!({"properties": {
        "plain": {"type": "text", "fields": {
            "docs": {"type": "text", "index_options": "docs"},
            "freqs": {"type": "text", "index_options": "freqs"},
            "offsets": {"type": "text", "index_options": "offsets"},
            "bare": {"type": "text", "norms": false},
            "same": {"type": "text", "similarity": "boolean"},
            "mine": {"type": "text", "similarity": "mine"},
        }},
        "nothing": {"type": "keyword", "null_value": "none", "fields": {
            "sub": {"type": "keyword"},
            "own": {"type": "keyword", "null_value": "mine"},
            "words": {"type": "text"},
        }},
    }});
    let docs = [
        json!({"plain": "the quick brown fox jumps over the lazy dog"}),
        json!({"plain": ["quick quick quick", "brown brown fox"]}),
        json!({"plain": "a brown dog and a quick cat and a quick fox in a very long text about quick animals"}),
        json!({"plain": "fox", "nothing": null}),
    ];
    Index::with_settings(&settings, &mapping, &docs)
}

#[test]
fn scores_are_those_of_the_parameters() {
    let index = index();
    let plain = vec![
        ("2", 0.7218677),
        ("3", 0.51925266),
        ("1", 0.4566974),
        ("4", 0.16522932),
    ];
    for (field, expected) in [
        ("plain", plain.clone()),
        ("plain.freqs", plain.clone()),
        ("plain.offsets", plain),
        (
            "plain.docs",
            vec![
                ("2", 0.58688104),
                ("1", 0.41455054),
                ("3", 0.32045335),
                ("4", 0.16052157),
            ],
        ),
        (
            "plain.bare",
            vec![
                ("2", 0.85701704),
                ("3", 0.85701704),
                ("1", 0.724577),
                ("4", 0.16522932),
            ],
        ),
        (
            "plain.same",
            vec![("1", 2.0), ("2", 2.0), ("3", 2.0), ("4", 1.0)],
        ),
        (
            "plain.mine",
            vec![
                ("2", 0.757804),
                ("3", 0.71100676),
                ("1", 0.46115714),
                ("4", 0.11197221),
            ],
        ),
    ] {
        assert_found(&index, &json!({"match": {field: "quick fox"}}), &expected);
    }
    for (query, expected) in [
        (
            json!({"match_phrase": {"plain": "quick brown"}}),
            vec![("1", 0.70510834)],
        ),
        (
            json!({"match_phrase": {"plain.bare": "quick brown"}}),
            vec![("1", 1.1186954)],
        ),
        (
            json!({"match_phrase": {"plain.same": "quick brown"}}),
            vec![("1", 1.0)],
        ),
        (
            json!({"match_phrase": {"plain.mine": "quick brown"}}),
            vec![("1", 0.7119938)],
        ),
        (
            json!({"match_phrase": {"plain.mine": {"query": "quick fox", "slop": 3}}}),
            vec![("3", 0.42856646), ("1", 0.27658904)],
        ),
        (
            json!({"match_phrase": {"plain.docs": "fox"}}),
            vec![
                ("4", 0.16052157),
                ("2", 0.13382974),
                ("1", 0.094532266),
                ("3", 0.07307476),
            ],
        ),
        (
            json!({"fuzzy": {"plain.mine": "quack"}}),
            vec![("2", 0.520151), ("3", 0.49062276), ("1", 0.28479755)],
        ),
    ] {
        assert_found(&index, &query, &expected);
    }
}

#[test]
fn phrases_need_positions() {
    let index = index();
    for field in ["plain.docs", "plain.freqs"] {
        let refused = |query: Value| {
            index
                .try_search(&json!({"query": query}))
                .unwrap_err()
                .reason
        };
        for query in [
            json!({"match_phrase": {field: "quick fox"}}),
            json!({"match_phrase_prefix": {field: "quick fo"}}),
            json!({"multi_match": {"query": "quick fox", "type": "phrase", "fields": ["plain", field]}}),
        ] {
            let expected = format!(
                "failed to create query: field:[{field}] was indexed without position data; cannot run PhraseQuery"
            );
            assert_eq!(refused(query), expected);
        }
        let expected = format!(
            "failed to create query: Cannot create intervals over field [{field}] with no positions indexed"
        );
        let query = json!({"intervals": {field: {"match": {"query": "quick fox"}}}});
        assert_eq!(refused(query), expected);
    }
}

#[test]
fn what_stands_for_null_is_the_own_of_each_field() {
    let index = index();
    let score = 0.2876821;
    for (query, expected) in [
        (json!({"term": {"nothing": "none"}}), vec![("4", score)]),
        (json!({"term": {"nothing.own": "mine"}}), vec![("4", score)]),
        (json!({"term": {"nothing.sub": "none"}}), vec![]),
        (json!({"exists": {"field": "nothing.sub"}}), vec![]),
        (json!({"match": {"nothing.words": "none"}}), vec![]),
        (json!({"exists": {"field": "nothing.words"}}), vec![]),
    ] {
        assert_found(&index, &query, &expected);
    }
}
