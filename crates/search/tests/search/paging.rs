//! Sorting, paging, counting and what hits show.

use serde_json::{Value, json};

use super::harness::{Index, ids_of};

fn mapping() -> Value {
    json!({"properties": {
        "k": {"type": "keyword"}, "n": {"type": "integer"}, "d": {"type": "double"},
        "at": {"type": "date"}, "ok": {"type": "boolean"}, "t": {"type": "text"},
        "ip": {"type": "ip"},
    }})
}

/// Two shards, the first of two segments.
fn index() -> Index {
    let a = [
        json!({"_id": "1", "k": "b", "n": 3, "d": 1.5, "at": "2024-01-02", "ok": true, "t": "x y"}),
        json!({"_id": "2", "k": ["a", "z"], "n": [9, 1], "d": -2.0, "t": "x", "ip": "9.0.0.1"}),
    ];
    let b = [json!({"_id": "3", "n": 3, "at": "2024-01-01", "ip": "10.0.0.1", "t": "x x z"})];
    let c = [
        json!({"_id": "4", "k": "c", "d": 7.25, "ok": false, "t": "y"}),
        json!({"_id": "5", "k": "b", "n": -4, "at": "2023-06-01"}),
    ];
    Index::split(mapping(), &[&[&a, &b], &[&c]])
}

fn sorted(index: &Index, sort: Value) -> Vec<String> {
    ids_of(&index.search(json!({"sort": sort})))
}

#[test]
fn sort_keys() {
    let index = index();
    for (sort, expected) in [
        (json!("k"), ["2", "1", "5", "4", "3"]),
        (json!({"k": "desc"}), ["2", "4", "1", "5", "3"]),
        (
            json!({"k": {"order": "desc", "mode": "min"}}),
            ["4", "1", "5", "2", "3"],
        ),
        (
            json!({"k": {"missing": "_first"}}),
            ["3", "2", "1", "5", "4"],
        ),
        (json!({"k": {"missing": "bb"}}), ["2", "1", "5", "3", "4"]),
        (json!("n"), ["5", "2", "1", "3", "4"]),
        (json!({"n": "desc"}), ["2", "1", "3", "5", "4"]),
        (
            json!({"n": {"mode": "avg", "order": "desc"}}),
            ["2", "1", "3", "5", "4"],
        ),
        (
            json!({"n": {"mode": "sum", "missing": 4}}),
            ["5", "1", "3", "4", "2"],
        ),
        (json!("d"), ["2", "1", "4", "3", "5"]),
        (
            json!({"d": {"order": "desc", "missing": "_first"}}),
            ["3", "5", "4", "1", "2"],
        ),
        (json!("at"), ["5", "3", "1", "2", "4"]),
        (
            json!([{"ok": "desc"}, {"n": "asc"}]),
            ["1", "4", "5", "2", "3"],
        ),
        (json!("ip"), ["2", "3", "1", "4", "5"]),
        (
            json!([{"nope": {"unmapped_type": "long"}}, {"k": "asc"}]),
            ["2", "1", "5", "4", "3"],
        ),
        (json!("_doc"), ["1", "4", "2", "5", "3"]),
    ] {
        assert_eq!(sorted(&index, sort.clone()), expected, "{sort}");
    }
}

#[test]
fn sort_values_in_hits() {
    let index = index();
    let found = index.search(json!({"sort": ["n", {"d": "desc"}, "k", "at", "ip"]}));
    let sorts: Vec<&Value> = (0..5).map(|i| &found["hits"][i]["sort"]).collect();
    let date = 1_704_153_600_000i64;
    assert_eq!(sorts[1], &json!([1, -2.0, "a", i64::MAX, "9.0.0.1"]));
    assert_eq!(sorts[2], &json!([3, 1.5, "b", date, null]));
    assert_eq!(
        sorts[3],
        &json!([3, "-Infinity", null, date - 86_400_000, "10.0.0.1"])
    );
    assert_eq!(found["max_score"], Value::Null);
    assert_eq!(found["hits"][0]["_score"], Value::Null);
    let found = index.search(json!({"sort": {"at": {"format": "yyyy/MM/dd"}}, "size": 1}));
    assert_eq!(found["hits"][0]["sort"], json!(["2023/06/01"]));
    // A sort by score alone is no sort: no values, and the score and its maximum are there.
    let found =
        index.search(json!({"query": {"match": {"t": "x"}}, "sort": ["_score"], "size": 1}));
    assert_eq!(found["hits"][0]["sort"], Value::Null);
    assert_eq!(found["max_score"], found["hits"][0]["_score"]);
    let found = index.search(json!({"query": {"match": {"t": "x"}}, "sort": ["_score", "n"]}));
    assert_eq!(found["max_score"], Value::Null);
    let (score, sort) = (&found["hits"][0]["_score"], &found["hits"][0]["sort"][0]);
    assert_eq!(
        score.as_f64().unwrap() as f32,
        sort.as_f64().unwrap() as f32
    );
    let found =
        index.search(json!({"query": {"term": {"t": "y"}}, "sort": "n", "track_scores": true}));
    assert!(found["max_score"].as_f64().unwrap() > 0.0);
}

#[test]
fn search_after_walks_through_everything() {
    let index = index();
    for sort in [
        json!(["k", "n"]),
        json!([{"k": "desc"}, {"n": "desc"}]),
        json!([{"d": {"missing": "_first"}}, "_doc"]),
        json!([{"at": {"order": "desc", "format": "yyyy-MM-dd"}}, {"k": {"missing": "_first"}}, "n"]),
        json!(["ip", "n", "d"]),
        json!([{"_score": "desc"}, "n", "k"]),
    ] {
        let query = json!({"bool": {"should": [{"match": {"t": "x"}}, {"match_all": {}}]}});
        let all = index.search(json!({"query": query, "sort": sort, "size": 10}));
        let mut walked = Vec::new();
        let mut after = None;
        while walked.len() < 10 {
            let mut body = json!({"query": query, "sort": sort, "size": 1});
            if let Some(values) = after {
                body["search_after"] = values;
            }
            let page = index.search(body);
            let Some(id) = ids_of(&page).pop() else { break };
            walked.push(id);
            after = Some(page["hits"][0]["sort"].clone());
        }
        assert_eq!(walked, ids_of(&all), "{sort}");
    }
    // A text that is no term of any document.
    let found = index.search(json!({"sort": "k", "search_after": ["bb"]}));
    assert_eq!(ids_of(&found), ["4", "3"]);
    let found = index.search(json!({"sort": {"k": "desc"}, "search_after": ["bb"]}));
    assert_eq!(ids_of(&found), ["1", "5", "3"]);
    let found = index.search(json!({"sort": "k", "search_after": ["zzz"]}));
    assert_eq!(ids_of(&found), ["3"]);
}

#[test]
fn pages_follow_one_another() {
    let index = index();
    let body = |from: usize, size: usize| json!({"sort": "n", "from": from, "size": size});
    assert_eq!(ids_of(&index.search(body(0, 2))), ["5", "2"]);
    assert_eq!(ids_of(&index.search(body(2, 2))), ["1", "3"]);
    assert_eq!(ids_of(&index.search(body(4, 2))), ["4"]);
    assert!(ids_of(&index.search(body(9, 2))).is_empty());
    let error = index.error(json!({"from": 9_991}));
    assert!(error.reason.starts_with("Result window is too large"));
}

#[test]
fn totals() {
    let docs: Vec<Value> = (0..50).map(|i| json!({"n": i, "k": "x"})).collect();
    let index = Index::split(mapping(), &[&[&docs[..20], &docs[20..30]], &[&docs[30..]]]);
    let total = |body: Value| {
        let found = index.search(body);
        (found["total"].clone(), found["relation"].clone())
    };
    let query = json!({"range": {"n": {"gte": 10}}});
    for aggs in [json!({}), json!({"m": {"max": {"field": "n"}}})] {
        for size in [0, 5] {
            let body = |track: Value| json!({"query": query, "size": size, "track_total_hits": track, "aggs": aggs});
            assert_eq!(total(body(json!(true))), (json!(40), json!("eq")));
            assert_eq!(total(body(json!(40))), (json!(40), json!("eq")));
            assert_eq!(total(body(json!(39))), (json!(39), json!("gte")));
            assert_eq!(total(body(json!(false))), (Value::Null, Value::Null));
        }
    }
    let all = json!({"size": 3, "track_total_hits": 12});
    assert_eq!(total(all), (json!(12), json!("gte")));
    let found = index.search(json!({"terminate_after": 4}));
    assert_eq!(
        (&found["total"], &found["terminated_early"]),
        (&json!(8), &json!(true))
    );
}

#[test]
fn filters_after_and_by_score() {
    let index = index();
    let found = index.search(json!({"post_filter": {"term": {"k": "b"}},
        "aggs": {"n": {"value_count": {"field": "n"}}}}));
    assert_eq!(ids_of(&found), ["1", "5"]);
    assert_eq!(found["total"], 2);
    assert_eq!(found["aggregations"]["n"]["value"], 5);
    let query = json!({"bool": {"should": [{"match_all": {}}, {"term": {"ok": true}}]}});
    let found = index.search(json!({"query": query, "min_score": 1.5}));
    assert_eq!(
        (ids_of(&found), &found["total"]),
        (vec!["1".to_owned()], &json!(1))
    );
}

#[test]
fn what_hits_show() {
    let index = index();
    let found = index.search(json!({"query": {"ids": {"values": ["2"]}}, "version": true,
        "seq_no_primary_term": true, "_source": ["k"], "docvalue_fields": ["n", "k", "d", "ip"]}));
    assert_eq!(
        found["hits"][0],
        json!({"_id": "2", "_score": 1.0, "_source": {"k": ["a", "z"]}, "_version": 1,
            "_seq_no": 1, "_primary_term": 1,
            "fields": {"n": [1, 9], "k": ["a", "z"], "d": [-2.0], "ip": ["9.0.0.1"]}})
    );
    let found = index.search(
        json!({"query": {"ids": {"values": ["1"]}}, "_source": false,
        "fields": ["n", {"field": "at", "format": "dd.MM.yyyy"}, "o*"],
        "docvalue_fields": [{"field": "at", "format": "epoch_second"}]}),
    );
    let expected = json!({"n": [3], "at": ["02.01.2024"], "ok": [true]});
    assert_eq!(found["hits"][0]["fields"], expected);
    assert!(found["hits"][0].get("_source").is_none());
}

#[test]
fn bad_sorts_are_refused() {
    let index = index();
    for (sort, reason) in [
        (
            json!("nope"),
            "No mapping found for [nope] in order to sort on",
        ),
        (
            json!("t"),
            "Fielddata is disabled on [t] in [t]. Text fields are not optimised for operations \
             that require per-document field data like aggregations and sorting, so these \
             operations are disabled by default. Please use a keyword field instead.",
        ),
        (
            json!({"k": {"mode": "avg"}}),
            "we only support MIN and MAX sort modes on string field [k]",
        ),
    ] {
        let error = index.error(json!({"sort": sort}));
        assert_eq!((error.status, error.reason.as_str()), (400, reason));
    }
}

#[test]
fn ties_go_to_the_earlier_write() {
    // Segments have random names: with an order of their own this would fail now and then.
    let docs: Vec<Value> = (0..12)
        .map(|n| json!({"_id": format!("{n:02}"), "n": 1}))
        .collect();
    let segments: Vec<&[Value]> = docs.chunks(2).collect();
    let index = Index::split(json!({"properties": {"n": {"type": "long"}}}), &[&segments]);
    let ids: Vec<String> = (0..12).map(|n| format!("{n:02}")).collect();
    for body in [
        json!({"size": 12}),
        json!({"size": 12, "sort": "_doc"}),
        json!({"size": 12, "sort": "n"}),
        json!({"size": 12, "query": {"term": {"n": 1}}}),
        json!({"size": 12, "query": {"match_all": {}}, "min_score": 0.5}),
    ] {
        assert_eq!(ids_of(&index.search(body.clone())), ids, "{body}");
    }
    let found = index.aggs(json!({"h": {"top_hits": {"size": 12}}}));
    let hits = found["h"]["hits"]["hits"].as_array().unwrap();
    let found: Vec<&str> = hits
        .iter()
        .map(|hit| hit["_id"].as_str().unwrap())
        .collect();
    assert_eq!(found, ids);
}
