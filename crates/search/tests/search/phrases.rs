//! Phrases with slop, against every way to place their words.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::Index;

/// Tells whether each word can stand at a place of its own so that the phrase would begin at places
/// at most `slop` apart.
fn matches(phrase: &[u8], text: &[u8], slop: i64) -> bool {
    fn place(phrase: &[u8], text: &[u8], slop: i64, at: usize, taken: &mut Vec<usize>) -> bool {
        if at == phrase.len() {
            let starts = taken.iter().enumerate();
            let starts: Vec<i64> = starts.map(|(word, p)| *p as i64 - word as i64).collect();
            return starts.iter().max().unwrap() - starts.iter().min().unwrap() <= slop;
        }
        (0..text.len()).any(|position| {
            if text[position] != phrase[at] || taken.contains(&position) {
                return false;
            }
            taken.push(position);
            let found = place(phrase, text, slop, at + 1, taken);
            taken.pop();
            found
        })
    }
    place(phrase, text, slop, 0, &mut Vec::new())
}

fn text(words: &[u8]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
    words.join(" ")
}

fn phrase(words: &[u8], slop: i64) -> Value {
    json!({"match_phrase": {"t": {"query": text(words), "slop": slop}}})
}

fn index(texts: &[Vec<u8>]) -> Index {
    let docs: Vec<Value> = texts
        .iter()
        .map(|words| json!({"t": text(words)}))
        .collect();
    Index::new(json!({"properties": {"t": {"type": "text"}}}), &docs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn slop_finds_what_any_placing_finds(
        texts in prop::collection::vec(prop::collection::vec(0u8..4, 1..8), 1..6),
        words in prop::collection::vec(0u8..4, 2..5),
        slop in 1i64..6,
    ) {
        let expected: Vec<String> = (1..)
            .zip(&texts)
            .filter(|(_, text)| matches(&words, text, slop))
            .map(|(id, _): (usize, _)| id.to_string())
            .collect();
        prop_assert_eq!(index(&texts).set(phrase(&words, slop)), expected);
    }

    /// Long phrases have a scorer of their own: it must agree with the engine's, scores included.
    #[test]
    fn long_phrases_are_as_short_ones(start in 0usize..4, length in 17usize..30) {
        let cycle = |from: usize, length: usize| -> Vec<u8> {
            (from..from + length).map(|i| (i % 5) as u8).collect()
        };
        let index = index(&[cycle(0, 40), cycle(1, 20), vec![1, 2]]);
        let words = cycle(start, length);
        let expected: Vec<String> = [(1, cycle(0, 40)), (2, cycle(1, 20))]
            .into_iter()
            .filter(|(_, text)| text.windows(length).any(|window| window == words))
            .map(|(id, _)| id.to_string())
            .collect();
        prop_assert_eq!(index.set(phrase(&words, 0)), expected);
    }
}

#[test]
fn nearer_matches_score_more_as_in_elasticsearch() {
    // Scores that Elasticsearch 8.19 gives five documents of four words.
    let docs: Vec<Value> = (0..5).map(|i| json!({"t": format!("a b c {i}")})).collect();
    let index = Index::new(json!({"properties": {"t": {"type": "text"}}}), &docs);
    for (words, score) in [("a c", 0.112_602_95), ("c a", 0.066_008_63)] {
        let query = json!({"match_phrase": {"t": {"query": words, "slop": 3}}});
        let found = index.search(json!({"query": query}));
        let top = found["max_score"].as_f64().unwrap();
        assert!((top - score).abs() < 1e-6, "{words}: {top}");
    }
}

#[test]
fn a_phrase_of_thousands_of_words_ends() {
    // Two words in turn: the engine's scorer would multiply its candidates with every word.
    let words = |n: usize| (0..n).map(|i| (i % 2) as u8).collect::<Vec<u8>>();
    let index = index(&[words(4_000), words(100)]);
    assert_eq!(index.set(phrase(&words(2_000), 50)), ["1"]);
}

/// As Elasticsearch counts places: 100 lie between the values of an array, unless the mapping says otherwise.
#[test]
fn phrases_do_not_reach_into_the_next_value() {
    let field = |gap: Value| match gap {
        Value::Null => json!({"type": "text"}),
        gap => json!({"type": "text", "position_increment_gap": gap}),
    };
    let mapping = json!({"properties": {
        "hundred": field(Value::Null), "two": field(json!(2)), "none": field(json!(0)),
        "stop": {"type": "text", "analyzer": "stop", "position_increment_gap": 2},
    }});
    let names = json!(["John Abraham", "Lincoln Smith", "née O’Hara", "x"]);
    let doc = json!({"hundred": names, "two": names, "none": names, "stop": names});
    let index = Index::new(mapping, &[doc]);
    let least_slop = |field: &str, words: &str| {
        (0..250).find(|slop| {
            let query = json!({"match_phrase": {field: {"query": words, "slop": slop}}});
            !index.set(query).is_empty()
        })
    };
    for (field, slop) in [("hundred", 100), ("two", 2), ("stop", 2), ("none", 0)] {
        assert_eq!(least_slop(field, "abraham lincoln"), Some(slop), "{field}");
        assert_eq!(least_slop(field, "john abraham"), Some(0), "{field}");
        assert_eq!(least_slop(field, "smith née"), Some(slop), "{field}");
        let over_two = 2 * slop + 2;
        assert_eq!(least_slop(field, "abraham née"), Some(over_two), "{field}");
    }
}

#[test]
fn a_phrase_has_its_own_analyzer() {
    let mapping = json!({"properties": {"t": {
        "type": "text", "analyzer": "whitespace", "search_quote_analyzer": "simple",
    }}});
    let index = Index::new(mapping, &[json!({"t": "Red Sea"}), json!({"t": "red sea"})]);
    assert_eq!(index.set(json!({"match": {"t": "Red"}})), ["1"]);
    assert_eq!(index.set(phrase_text("Red Sea")), ["2"]);
    let quoted = json!({"query_string": {"query": "t:\"Red Sea\""}});
    assert_eq!(index.set(quoted), ["2"]);
}

fn phrase_text(text: &str) -> Value {
    json!({"match_phrase": {"t": text}})
}
