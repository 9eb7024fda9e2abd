//! Reading a shard page by page finds what one search finds, in its order.

use ringwall_index::Searcher;
use ringwall_search::{Scroll, SearchLimits, ShardContext, ShardPlace, parse_search};
use serde_json::{Value, json};

use super::harness::Index;

fn index() -> Index {
    let doc = |n: u32| match n % 5 {
        0 => json!({"n": n % 3, "k": format!("k{}", n % 4), "t": "red"}),
        1 => json!({"n": n % 3, "t": "red red blue", "d": "2024-01-01T10:00:00Z"}),
        2 => json!({"k": format!("k{}", n % 2), "t": "blue", "d": "2024-01-01T20:00:00Z"}),
        3 => json!({"n": 1.5, "k": ["k0", "z"], "ip": "10.0.0.1"}),
        _ => json!({"t": "green"}),
    };
    let docs: Vec<Value> = (0..60).map(doc).collect();
    let mapping = json!({"properties": {"n": {"type": "double"}, "k": {"type": "keyword"}, "t": {"type": "text"},
        "d": {"type": "date"}, "ip": {"type": "ip"}}});
    // Segments of which one has no value of some fields.
    let bare: Vec<Value> = (0..9)
        .map(|n| json!({"t": if n % 2 == 0 { "red" } else { "x" }}))
        .collect();
    Index::split(
        mapping,
        &[&[&docs[..25], &bare, &docs[25..26], &docs[26..]]],
    )
}

fn pages(searcher: &Searcher, body: &Value, context: &ShardContext<'_>) -> Vec<(u32, u32)> {
    let source = parse_search(body).unwrap();
    let size = source.size;
    let (mut scroll, first) = Scroll::begin(searcher, source, context).unwrap();
    let (total, most) = (first.total, first.max_score);
    assert!(first.total_is_exact);
    let mut found = Vec::new();
    let mut page = first.docs;
    while let Some(last) = page.last().cloned() {
        assert!(page.len() <= size);
        found.extend(
            page.iter()
                .map(|doc| (doc.address.segment, doc.address.doc)),
        );
        scroll.pass(last);
        let next = scroll.page(searcher, context).unwrap();
        assert_eq!(
            (next.total, next.max_score, next.aggs.len()),
            (total, most, 0)
        );
        page = next.docs;
    }
    assert_eq!(found.len() as u64, total, "{body}");
    found
}

#[test]
fn pages_make_the_whole() {
    let index = index();
    let searcher = index.shard(0);
    let queries = [
        json!({"match_all": {}}),
        json!({"match": {"t": "red blue"}}),
        json!({"term": {"k": "k0"}}),
        json!({"range": {"n": {"gte": 1}}}),
        json!({"bool": {"filter": [{"exists": {"field": "k"}}]}}),
        json!({"match_none": {}}),
    ];
    let sorts = [
        Value::Null,
        json!(["_doc"]),
        json!([{"_doc": "desc"}]),
        json!(["_shard_doc"]),
        json!(["_score"]),
        json!([{"_score": "asc"}]),
        json!(["n"]),
        json!([{"n": {"order": "desc", "missing": "_first"}}]),
        json!([{"n": {"missing": 1}}, {"k": "desc"}]),
        json!(["k"]),
        json!([{"k": {"order": "desc", "missing": "_first"}}]),
        json!([{"k": {"missing": "k1"}}]),
        json!([{"k": {"order": "desc", "missing": "k05"}}, "n"]),
        // Shown to the day, which is less than what it sorts by.
        json!([{"d": {"order": "desc", "format": "yyyy-MM-dd"}}]),
        json!(["ip", "_score"]),
        json!([{"_index": "asc"}, "n"]),
    ];
    for query in &queries {
        for sort in &sorts {
            let body = |size: usize| json!({"query": query, "sort": sort, "size": size, "min_score": null});
            let context = ShardContext::default();
            let whole = parse_search(&body(1_000)).unwrap();
            let whole = ringwall_search::query_phase(searcher, &whole, &context).unwrap();
            let whole: Vec<(u32, u32)> = whole
                .docs
                .iter()
                .map(|doc| (doc.address.segment, doc.address.doc))
                .collect();
            for size in [1, 4, 7, 100] {
                assert_eq!(
                    pages(searcher, &body(size), &context),
                    whole,
                    "{query} {sort} {size}"
                );
            }
        }
    }
}

#[test]
fn filters_of_hits_hold_on_every_page() {
    let index = index();
    let searcher = index.shard(0);
    let filtered = json!({"query": {"term": {"k": "k0"}}});
    let expected = pages(searcher, &filtered, &ShardContext::default());
    for sort in [json!(["_doc"]), json!(["_shard_doc"]), Value::Null] {
        let body = json!({"post_filter": {"term": {"k": "k0"}}, "size": 3, "sort": sort});
        assert_eq!(
            pages(searcher, &body, &ShardContext::default()),
            expected,
            "{sort}"
        );
    }
}

#[test]
fn in_the_order_of_the_shard_nothing_is_searched_again() {
    let index = index();
    let searcher = index.shard(0);
    for (sort, streams) in [
        (json!(["_doc"]), true),
        (Value::Null, true),
        (json!(["n"]), false),
    ] {
        let query = json!({"terms": {"k": ["k0", "k1"]}});
        let source = parse_search(&json!({"query": query, "size": 2, "sort": sort})).unwrap();
        let context = ShardContext::default();
        let (scroll, _) = Scroll::begin(searcher, source, &context).unwrap();
        assert_eq!(scroll.bytes() > 0, streams);
        // A query could not be compiled any more.
        let limits = SearchLimits {
            max_clause_count: 0,
            ..SearchLimits::default()
        };
        let context = ShardContext {
            limits,
            ..ShardContext::default()
        };
        assert_eq!(scroll.page(searcher, &context).is_ok(), streams, "{sort}");
    }
}

#[test]
fn aggregations_are_of_the_first_page_and_of_all_hits() {
    let index = index();
    let searcher = index.shard(0);
    for sort in [json!(["_doc"]), json!(["n"])] {
        let aggs = json!({"c": {"value_count": {"field": "t"}}, "m": {"max": {"field": "n"}}});
        let aggs = json!({"m": aggs["m"]});
        let source = parse_search(&json!({"aggs": aggs, "size": 2, "sort": sort})).unwrap();
        let whole =
            ringwall_search::query_phase(searcher, &source, &ShardContext::default()).unwrap();
        let (_, first) = Scroll::begin(searcher, source, &ShardContext::default()).unwrap();
        assert_eq!(first.aggs, whole.aggs);
        assert_eq!(first.docs, whole.docs);
    }
}

#[test]
fn slices_of_a_shard_have_every_document_once() {
    let index = index();
    let searcher = index.shard(0);
    for (pit, field) in [
        (false, None),
        (false, Some("n")),
        (false, Some("_seq_no")),
        (true, None),
    ] {
        let mut found = Vec::new();
        for id in 0..4 {
            let mut body = json!({"slice": {"id": id, "max": 4}, "size": 100, "sort": ["_doc"]});
            if let Some(field) = field {
                body["slice"]["field"] = field.into();
            }
            if pit {
                body["pit"] = json!({"id": "x"});
            }
            let source = parse_search(&body).unwrap();
            let part =
                ringwall_search::query_phase(searcher, &source, &ShardContext::default()).unwrap();
            assert!(field == Some("n") || part.total < 60, "{}", part.total);
            assert_eq!(part.total as usize, part.docs.len());
            found.extend(part.docs.into_iter().map(|doc| doc.address));
            if !pit {
                let context = ShardContext::default();
                assert_eq!(pages(searcher, &body, &context).len() as u64, part.total);
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 69, "{pit} {field:?}");
    }
}

#[test]
fn places_in_a_search_tell_documents_apart() {
    let index = index();
    let searcher = index.shard(0);
    let context = ShardContext {
        place: ShardPlace { ordinal: 3, of: 5 },
        ..ShardContext::default()
    };
    let body = json!({"pit": {"id": "x"}, "sort": ["n"], "size": 100});
    let source = parse_search(&body).unwrap();
    let found = ringwall_search::query_phase(searcher, &source, &context).unwrap();
    let mut places: Vec<i64> = found
        .docs
        .iter()
        .map(|doc| doc.sort[1].to_json().as_i64().unwrap())
        .collect();
    places.sort_unstable();
    let first = 3_i64 << 32;
    assert_eq!(places, (first..first + 69).collect::<Vec<i64>>());
    // After a value and a place, and after a value alone.
    let after = |values: Value| {
        let mut body = body.clone();
        body["search_after"] = values;
        let source = parse_search(&body).unwrap();
        let found = ringwall_search::query_phase(searcher, &source, &context).unwrap();
        found.docs
    };
    let tenth = &found.docs[9];
    let values: Vec<Value> = tenth.sort.iter().map(|value| value.to_json()).collect();
    assert_eq!(after(values.clone().into()), found.docs[10..]);
    let alone = after(json!([values[0]]));
    assert!(
        alone
            .iter()
            .all(|doc| doc.sort.len() == 1 && doc.sort[0].to_json() != values[0])
    );
}
