//! Searches with analyzers of the settings of an index. Hits and scores are those of a running OpenSearch, whose analysis is that
//! of Elasticsearch.

use serde_json::{Value, json};

use super::harness::Index;

fn settings() -> Value {
    json!({"analysis": {
        "filter": {
            "edges": {"type": "edge_ngram", "min_gram": 1, "max_gram": 4},
            "same": {"type": "synonym", "synonyms": ["fast, quick", "tv => television set"]},
            "graph": {"type": "synonym_graph", "synonyms": ["dns, domain name system", "fast, quick"]},
            "parts": {"type": "ngram", "min_gram": 2, "max_gram": 3},
        },
        "analyzer": {
            "edge": {"tokenizer": "standard", "filter": ["lowercase", "edges"]},
            "syn": {"tokenizer": "standard", "filter": ["lowercase", "same"]},
            "gr": {"tokenizer": "standard", "filter": ["lowercase", "graph"]},
            "pairs": {"tokenizer": "standard", "filter": ["lowercase", "shingle"]},
            "parts": {"tokenizer": "standard", "filter": ["lowercase", "parts"]},
        },
        "normalizer": {"low": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
    }})
}

fn index() -> Index {
    let mapping = json!({"properties": {
        "e": {"type": "text", "analyzer": "edge", "search_analyzer": "standard"},
        "s": {"type": "text", "analyzer": "standard", "search_analyzer": "syn"},
        "si": {"type": "text", "analyzer": "syn", "search_analyzer": "standard"},
        "g": {"type": "text", "analyzer": "standard", "search_analyzer": "gr"},
        "p": {"type": "text", "analyzer": "pairs"},
        "n": {"type": "text", "analyzer": "parts"},
        "k": {"type": "keyword", "normalizer": "low"},
        "c": {"type": "token_count", "analyzer": "pairs"},
    }});
    let texts = [
        "quick brown fox",
        "a fast fast car and a quick dog",
        "the domain name system is slow",
        "dns is fast",
        "television set",
        "Quickly Domain system",
    ];
    let fields = ["e", "s", "si", "g", "p", "n", "k", "c"];
    let docs = texts.map(|text| {
        let members = fields.map(|field| (field.to_owned(), Value::from(text)));
        Value::Object(members.into_iter().collect())
    });
    Index::with_settings(&settings(), &mapping, &docs)
}

/// Ids and scores.
fn found(index: &Index, query: &Value) -> Vec<(String, f64)> {
    let found = index.search(json!({"query": query}));
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| {
        let id = hit["_id"].as_str().unwrap();
        (id.to_owned(), hit["_score"].as_f64().unwrap())
    })
    .collect()
}

#[track_caller]
pub fn assert_found(index: &Index, query: &Value, expected: &[(&str, f64)]) {
    let found = found(index, query);
    let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    let wanted: Vec<&str> = expected.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, wanted, "{query}: {found:?}");
    for ((_, score), (id, wanted)) in found.iter().zip(expected) {
        assert!(
            (score - wanted).abs() <= wanted * 1e-5,
            "{query}: {id} scores {score}, not {wanted}"
        );
    }
}

#[test]
fn hits_and_scores_are_those_of_a_peer() {
    let index = index();
    for (query, expected) in [
        (
            json!({"match": {"e": "qui"}}),
            vec![("1", 1.0198927), ("6", 1.0198927), ("2", 0.8376484)],
        ),
        (
            json!({"match": {"e": "do sy"}}),
            vec![("6", 2.5348687), ("3", 2.2421753), ("2", 0.8376484)],
        ),
        (
            json!({"match_phrase": {"e": "qui bro"}}),
            vec![("1", 3.2864945)],
        ),
        (
            json!({"match": {"s": "fast"}}),
            vec![("2", 1.3515292), ("1", 1.1628146), ("4", 1.1628146)],
        ),
        (json!({"match": {"s": "tv"}}), vec![("5", 3.9133708)]),
        (
            json!({"match": {"s": {"query": "quick fox", "operator": "and"}}}),
            vec![("1", 2.9025369)],
        ),
        (json!({"match_phrase": {"s": "fast fox"}}), vec![]),
        (
            json!({"match_phrase": {"s": "fast brown"}}),
            vec![("1", 4.0653515)],
        ),
        (
            json!({"match": {"si": "fast"}}),
            vec![("2", 0.9651416), ("1", 0.82876295), ("4", 0.82876295)],
        ),
        (
            json!({"match": {"si": "quick dog"}}),
            vec![("2", 2.2019951), ("1", 0.82876295), ("4", 0.82876295)],
        ),
        (
            json!({"match": {"g": "dns"}}),
            vec![("3", 3.0505795), ("4", 1.7397224)],
        ),
        (
            json!({"match": {"g": {"query": "dns is", "operator": "and"}}}),
            vec![("3", 3.9231386), ("4", 2.9025369)],
        ),
        (
            json!({"match": {"g": {"query": "dns is", "auto_generate_synonyms_phrase_query": false}}}),
            vec![("3", 3.9231386), ("4", 2.9025369)],
        ),
        (
            json!({"match": {"g": "fast"}}),
            vec![("2", 1.3515292), ("1", 1.1628146), ("4", 1.1628146)],
        ),
        (
            json!({"match": {"p": "quick brown"}}),
            vec![("1", 3.7294483), ("2", 0.99270093)],
        ),
        (
            json!({"match": {"n": "qui"}}),
            vec![("1", 1.336947), ("6", 1.336947), ("2", 1.2909921)],
        ),
        (
            json!({"term": {"k": "QUICK BROWN FOX"}}),
            vec![("1", 1.540445)],
        ),
        (json!({"terms": {"k": ["DNS is fast"]}}), vec![("4", 1.0)]),
        (
            json!({"prefix": {"k": "Quick"}}),
            vec![("1", 1.0), ("6", 1.0)],
        ),
        (json!({"wildcard": {"k": "DNS*"}}), vec![("4", 1.0)]),
        (json!({"regexp": {"k": "DNS.*"}}), vec![("4", 1.0)]),
        (
            json!({"range": {"k": {"gte": "TEL", "lt": "U"}}}),
            vec![("3", 1.0), ("5", 1.0)],
        ),
        (
            json!({"match": {"k": "Dns IS fast"}}),
            vec![("4", 1.540445)],
        ),
        (
            json!({"query_string": {"query": "k:DNS*"}}),
            vec![("4", 1.0)],
        ),
        (json!({"range": {"c": {"gte": 7}}}), vec![("2", 1.0)]),
        (
            json!({"query_string": {"query": "s:tv"}}),
            vec![("5", 3.9133708)],
        ),
        (
            json!({"simple_query_string": {"query": "fast", "fields": ["s"]}}),
            vec![("2", 1.3515292), ("1", 1.1628146), ("4", 1.1628146)],
        ),
        (
            json!({"multi_match": {"query": "fast", "fields": ["s", "g"]}}),
            vec![("2", 1.3515292), ("1", 1.1628146), ("4", 1.1628146)],
        ),
        (
            json!({"intervals": {"s": {"match": {"query": "fast brown"}}}}),
            vec![("1", 0.5)],
        ),
    ] {
        assert_found(&index, &query, &expected);
    }
}

/// A phrase of several ways finds what each of them finds.
#[test]
fn phrases_follow_every_way_of_a_graph() {
    let index = index();
    for (text, mut expected) in [
        ("dns is", vec!["3", "4"]),
        ("domain name system is slow", vec!["3"]),
        ("domain name system is fast", vec!["4"]),
        ("dns slow", vec![]),
    ] {
        let mut ids: Vec<String> = found(&index, &json!({"match_phrase": {"g": text}}))
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        ids.sort();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{text}");
    }
}

#[test]
fn normalized_keywords_are_shown_and_counted_as_they_are_kept() {
    let index = index();
    let found = index.search(
        json!({"query": {"term": {"k": "quickly domain SYSTEM"}}, "fields": ["k", "c"],
        "aggs": {"k": {"terms": {"field": "k"}}}}),
    );
    assert_eq!(
        found["hits"][0]["fields"],
        json!({"k": ["quickly domain system"], "c": [3]})
    );
    let key = &found["aggregations"]["k"]["buckets"][0]["key"];
    assert_eq!(key, "quickly domain system");
}
