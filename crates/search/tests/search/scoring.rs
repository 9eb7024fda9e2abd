//! Scores against the formula, worked out by hand. Source: Lucene's `BM25Similarity`.

use serde_json::{Value, json};

use super::harness::Index;

fn idf(docs: f64, frequency: f64) -> f64 {
    (1.0 + (docs - frequency + 0.5) / (frequency + 0.5)).ln()
}

fn bm25(idf: f64, frequency: f64, length: f64, average: f64) -> f64 {
    2.2 * idf * frequency / (frequency + 1.2 * (0.25 + 0.75 * length / average))
}

fn score(index: &Index, query: Value, id: &str) -> f64 {
    let found = index.search(json!({"query": query, "size": 100}));
    let hits = found["hits"].as_array().unwrap();
    let hit = hits.iter().find(|hit| hit["_id"] == id);
    let hit = hit.unwrap_or_else(|| panic!("{query} does not find {id}"));
    let best = hits[0]["_score"].as_f64();
    assert_eq!(found["max_score"].as_f64(), best);
    hit["_score"].as_f64().unwrap()
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= expected.abs() * 2e-6,
        "{found} is not {expected}"
    );
}

fn index() -> Index {
    let mapping = json!({"properties": {
        "t": {"type": "text"}, "other": {"type": "text"}, "k": {"type": "keyword"},
        "n": {"type": "long"},
    }});
    let first = [
        json!({"_id": "1", "t": "red red blue", "k": "x", "n": 1}),
        json!({"_id": "2", "t": "blue green", "other": "red", "k": "y"}),
    ];
    let second = [
        json!({"_id": "3", "t": "red and a lot of other words here", "k": "x"}),
        // No `t`: these must not count into N.
        json!({"_id": "4", "other": "nothing much to see"}),
        json!({"_id": "5", "n": 2}),
    ];
    // Two segments: statistics are those of the shard.
    Index::split(mapping, &[&[&first, &second]])
}

const T_DOCS: f64 = 3.0;
const T_AVERAGE: f64 = (3.0 + 2.0 + 8.0) / 3.0;

#[test]
fn terms_of_text() {
    let index = index();
    let red = idf(T_DOCS, 2.0);
    let query = json!({"match": {"t": "red"}});
    assert_close(
        score(&index, query.clone(), "1"),
        bm25(red, 2.0, 3.0, T_AVERAGE),
    );
    assert_close(score(&index, query, "3"), bm25(red, 1.0, 8.0, T_AVERAGE));
    let boosted = json!({"match": {"t": {"query": "red", "boost": 2.5}}});
    assert_close(
        score(&index, boosted, "1"),
        2.5 * bm25(red, 2.0, 3.0, T_AVERAGE),
    );
    let both = json!({"match": {"t": "red blue"}});
    let expected = bm25(red, 2.0, 3.0, T_AVERAGE) + bm25(idf(T_DOCS, 2.0), 1.0, 3.0, T_AVERAGE);
    assert_close(score(&index, both, "1"), expected);
}

#[test]
fn phrases_add_the_weights_of_their_terms() {
    let index = index();
    let query = json!({"match_phrase": {"t": "red blue"}});
    let expected = bm25(idf(T_DOCS, 2.0) + idf(T_DOCS, 2.0), 1.0, 3.0, T_AVERAGE);
    assert_close(score(&index, query, "1"), expected);
}

#[test]
fn keywords_have_no_length() {
    let index = index();
    // Three documents have k, two of them x.
    assert_close(
        score(&index, json!({"term": {"k": "x"}}), "1"),
        idf(3.0, 2.0),
    );
    assert_close(
        score(&index, json!({"match": {"k": "y"}}), "2"),
        idf(3.0, 1.0),
    );
}

#[test]
fn constant_scores() {
    let index = index();
    for (query, id, expected) in [
        (json!({"match_all": {}}), "5", 1.0),
        (json!({"match_all": {"boost": 3}}), "5", 3.0),
        (json!({"range": {"n": {"gte": 1, "boost": 2}}}), "5", 2.0),
        (json!({"exists": {"field": "n"}}), "1", 1.0),
        (json!({"term": {"n": {"value": 1, "boost": 4}}}), "1", 4.0),
        (json!({"terms": {"k": ["x"], "boost": 1.5}}), "1", 1.5),
        (json!({"prefix": {"k": "x"}}), "1", 1.0),
        (json!({"ids": {"values": ["2"]}}), "2", 1.0),
        (
            json!({"constant_score": {"filter": {"match": {"t": "red"}}, "boost": 1.2}}),
            "1",
            1.2,
        ),
        (
            json!({"bool": {"filter": {"match": {"t": "red"}}}}),
            "1",
            0.0,
        ),
        (
            json!({"bool": {"must_not": {"match": {"t": "red"}}}}),
            "2",
            0.0,
        ),
        (
            json!({"bool": {"must": {"match_all": {}}, "filter": {"term": {"k": "x"}}}}),
            "1",
            1.0,
        ),
        (
            json!({"bool": {"should": [{"match_all": {}}, {"term": {"n": 1}}]}}),
            "1",
            2.0,
        ),
        (
            json!({"bool": {"should": [{"match_all": {}}, {"term": {"n": 1}}], "boost": 2}}),
            "1",
            4.0,
        ),
    ] {
        assert_close(score(&index, query, id), expected);
    }
}

#[test]
fn dis_max_and_boosting() {
    let index = index();
    let queries = json!([{"match_all": {"boost": 3}}, {"term": {"n": 1}}]);
    let best = json!({"dis_max": {"queries": queries}});
    assert_close(score(&index, best, "1"), 3.0);
    let tied = json!({"dis_max": {"queries": queries, "tie_breaker": 0.5}});
    assert_close(score(&index, tied, "1"), 3.5);
    let demoted = json!({"boosting": {"positive": {"match_all": {}},
        "negative": {"term": {"k": "x"}}, "negative_boost": 0.25}});
    assert_close(score(&index, demoted.clone(), "3"), 0.25);
    assert_close(score(&index, demoted, "2"), 1.0);
}

#[test]
fn fields_of_multi_match() {
    let index = index();
    let in_t = bm25(idf(T_DOCS, 2.0), 2.0, 3.0, T_AVERAGE);
    let in_other = bm25(idf(2.0, 1.0), 1.0, 1.0, 2.5);
    let fields = json!(["t", "other^3"]);
    let best = json!({"multi_match": {"query": "red", "fields": fields}});
    assert_close(score(&index, best.clone(), "1"), in_t);
    assert_close(score(&index, best, "2"), 3.0 * in_other);
}

#[test]
fn fuzzy_terms_are_worth_less_the_farther_they_are() {
    let index = index();
    let query = json!({"match": {"t": {"query": "rad", "fuzziness": 1}}});
    // "red" is one edit from a term of three characters.
    let expected = (1.0 - 1.0 / 3.0) * bm25(idf(T_DOCS, 2.0), 2.0, 3.0, T_AVERAGE);
    assert_close(score(&index, query, "1"), expected);
}

#[test]
fn skipping_finds_the_same_as_looking_at_everything() {
    let words = ["red", "blue", "green", "long", "words", "here"];
    let docs: Vec<Value> = (0..3_000usize)
        .map(|i| {
            let text: Vec<&str> = (0..(i * 7) % 13 + 1)
                .map(|j| words[(i * 31 + j * 17 + i / 7) % words.len()])
                .collect();
            json!({"t": text.join(" "), "n": i})
        })
        .collect();
    let index = Index::split(
        json!({"properties": {"t": {"type": "text"}, "n": {"type": "long"}}}),
        &[&[&docs[..1_700], &docs[1_700..]]],
    );
    for text in ["red", "red blue", "green long words"] {
        let query = json!({"match": {"t": text}});
        let fast = index.search(json!({"query": query, "size": 25}));
        // An aggregation forces every document to be scored.
        let slow = index.search(json!({"query": query, "size": 25,
            "aggs": {"m": {"max": {"field": "n"}}}}));
        assert_eq!(fast["hits"], slow["hits"], "{text}");
        assert_eq!(fast["total"], slow["total"], "{text}");
        assert_eq!(fast["max_score"], slow["max_score"], "{text}");
    }
}

#[test]
fn several_keywords_in_a_document_lengthen_the_mean() {
    // Three documents, five values: the mean length is 5/3, and each term counts as length one.
    let docs = [
        json!({"_id": "1", "k": ["x", "y", "z"]}),
        json!({"_id": "2", "k": "x"}),
        json!({"_id": "3", "k": "z"}),
        json!({"_id": "4", "t": "no k"}),
    ];
    let mapping = json!({"properties": {"k": {"type": "keyword"}, "t": {"type": "text"}}});
    let index = Index::split(mapping, &[&[&docs[..2], &docs[2..]]]);
    let expected = bm25(idf(3.0, 2.0), 1.0, 1.0, 5.0 / 3.0);
    for id in ["1", "2"] {
        assert_close(score(&index, json!({"term": {"k": "x"}}), id), expected);
    }
}

#[test]
fn the_minimum_that_should_match_does_not_change_scores() {
    let index = index();
    let (red, blue) = (idf(T_DOCS, 2.0), idf(T_DOCS, 2.0));
    let expected = bm25(red, 2.0, 3.0, T_AVERAGE) + bm25(blue, 1.0, 3.0, T_AVERAGE);
    for minimum in [
        json!(1),
        json!(2),
        json!("-1"),
        json!("100%"),
        json!("1<50%"),
    ] {
        let query = json!({"match": {"t": {"query": "red blue", "minimum_should_match": minimum}}});
        assert_close(score(&index, query, "1"), expected);
    }
    // Optional clauses add to what must match.
    let query = json!({"bool": {"must": {"match": {"t": "red"}},
        "should": [{"match": {"t": "blue"}}, {"range": {"n": {"gte": 1, "boost": 0.5}}}],
        "filter": {"exists": {"field": "t"}}, "boost": 2}});
    assert_close(score(&index, query, "1"), 2.0 * (expected + 0.5));
}

#[test]
fn several_shards_have_statistics_of_their_own() {
    let mapping = json!({"properties": {"t": {"type": "text"}}});
    let one = [
        json!({"_id": "1", "t": "red"}),
        json!({"_id": "2", "t": "blue sky"}),
    ];
    let two = [json!({"_id": "3", "t": "red"})];
    let index = Index::split(mapping, &[&[&one], &[&two]]);
    let query = json!({"match": {"t": "red"}});
    assert_close(
        score(&index, query.clone(), "1"),
        bm25(idf(2.0, 1.0), 1.0, 1.0, 1.5),
    );
    assert_close(
        score(&index, query, "3"),
        bm25(idf(1.0, 1.0), 1.0, 1.0, 1.0),
    );
}
