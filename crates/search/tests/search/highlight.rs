//! Highlighting. `highlight.json` has requests with what Elasticsearch 8.19.4 answered.

use std::collections::HashMap;
use std::sync::Arc;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::{FieldMask, View};
use ringwall_search::{
    Interrupt, SearchControl, SearchLimits, ShardContext, fetch_phase, parse_search, query_phase,
};
use serde_json::{Map, Value, json};

use crate::harness::Index;

fn asked() -> Value {
    serde_json::from_str(include_str!("highlight.json")).unwrap()
}

fn index(described: &Value) -> Index {
    let docs = described["docs"].as_object().unwrap();
    let docs: Vec<Value> = docs
        .iter()
        .map(|(id, doc)| {
            let mut doc = doc.clone();
            doc["_id"] = id.clone().into();
            doc
        })
        .collect();
    Index::new(described["mappings"].clone(), &docs)
}

fn highlights(found: &Value) -> Value {
    let hits = found["hits"].as_array().unwrap().iter();
    let shown = hits.filter_map(|hit| {
        let highlight = hit.get("highlight")?.clone();
        Some((hit["_id"].as_str()?.to_owned(), highlight))
    });
    Value::Object(shown.collect::<Map<_, _>>())
}

#[test]
fn fragments_are_those_of_elasticsearch() {
    let asked = asked();
    let indices = asked["indices"].as_object().unwrap().iter();
    let indices: HashMap<&String, Index> = indices
        .map(|(name, described)| (name, index(described)))
        .collect();
    let mut differ = Vec::new();
    for case in asked["cases"].as_array().unwrap() {
        let index = &indices[&case["index"].as_str().unwrap().to_owned()];
        let body = &case["body"];
        match index.try_search(body) {
            Ok(found) => {
                let (ours, theirs) = (highlights(&found), &case["highlight"]);
                if ours != *theirs {
                    differ.push(format!("{body}\n  ours   {ours}\n  theirs {theirs}"));
                }
            }
            Err(error) => {
                let theirs = case["error"].as_str().unwrap_or("no error");
                let cause = error.caused_by.as_ref().map(|cause| &*cause.reason);
                let ours = [Some(&*error.reason), cause];
                if error.status != 400 || !ours.iter().flatten().any(|ours| *ours == theirs) {
                    differ.push(format!("{body}\n  ours   {ours:?}\n  theirs {theirs}"));
                }
            }
        }
    }
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
}

fn people() -> Index {
    let mapping = json!({"properties": {
        "open": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "secret": {"type": "text", "fields": {"raw": {"type": "keyword"}}, "copy_to": "all"},
        "name": {"type": "alias", "path": "secret"},
        "all": {"type": "text"}}});
    Index::new(
        mapping,
        &[json!({"open": "a red fox", "secret": "a red hen"})],
    )
}

#[test]
fn a_field_that_is_hidden_is_not_highlighted_by_any_name() {
    let body = json!({"query": {"match": {"open": "red"}}, "highlight": {"require_field_match": false,
        "no_match_size": 50, "fields": {"*": {}, "secret": {}, "secret.raw": {}, "name": {}, "all": {},
            "open": {"matched_fields": ["secret", "open"]}}}});
    let all = highlights(&people().search(body.clone()));
    for shown in ["open", "secret", "secret.raw", "name", "all"] {
        assert!(all["1"].get(shown).is_some(), "{shown}: {all}");
    }
    let hidden = |path: &str| path.starts_with("secret") || path == "name";
    let view = View::whole().masked(FieldMask::new(move |path| !hidden(path)));
    let seen = highlights(&people().seen_by(&view).search(body.clone()));
    let shown: Vec<&String> = seen["1"].as_object().unwrap().keys().collect();
    assert_eq!(shown, ["open", "open.raw"]);
    assert!(!seen.to_string().contains("hen"), "{seen}");
    // A multi-field alone shows nothing of the field around it.
    let view = View::whole().masked(FieldMask::new(|path| path != "secret"));
    let seen = highlights(&people().seen_by(&view).search(body));
    assert!(!seen.to_string().contains("hen"), "{seen}");
}

/// Is told to stop, or has no room, once a search highlights.
struct Told {
    state: Interrupt,
    room: u64,
}

impl SearchControl for Told {
    fn state(&self) -> Interrupt {
        self.state
    }

    fn charge(&self, bytes: u64) -> Result<(), ApiError> {
        match bytes <= self.room {
            true => Ok(()),
            false => Err(ApiError::new(ErrorCode::CircuitBreaking, "full")),
        }
    }
}

#[test]
fn highlighting_is_bounded_and_stops_with_the_search() {
    let text = "red fox ".repeat(2_000);
    let mapping = json!({"properties": {"t": {"type": "text"}}});
    let index = Index::new(mapping, &[json!({"t": text})]);
    let source = json!({"query": {"match": {"t": "red"}}, "_source": false, "highlight": {"fields": {"t": {}}}});
    let source = parse_search(&source).unwrap();
    let found = query_phase(index.shard(0), &source, &ShardContext::default()).unwrap();
    let docs: Vec<_> = found.docs.iter().map(|doc| doc.address).collect();
    let read = |state: Interrupt, room: u64, limits: SearchLimits| {
        let context = ShardContext {
            control: Arc::new(Told { state, room }),
            limits,
            ..ShardContext::default()
        };
        fetch_phase(index.shard(0), &source, &docs, &context)
    };
    let limits = SearchLimits::default();
    let plenty = u64::MAX;
    let hits = read(Interrupt::Continue, plenty, limits).unwrap();
    let shown = hits[0].highlight.clone().unwrap();
    assert_eq!(shown["t"].as_array().unwrap().len(), 5);
    // What was found in time is shown whole, however late it is.
    let late = read(Interrupt::TimedOut, plenty, limits).unwrap();
    assert_eq!(late[0].highlight, Some(shown));
    let refused = read(Interrupt::Cancelled, plenty, limits).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TaskCancelled);
    let refused = read(Interrupt::Continue, 16_000, limits).unwrap_err();
    assert_eq!(refused.code, ErrorCode::CircuitBreaking);
    let short = SearchLimits {
        max_analyzed_offset: 100,
        ..limits
    };
    let refused = read(Interrupt::Continue, plenty, short).unwrap_err();
    assert_eq!(
        refused.reason,
        "The length [16000] of field [t] in doc[0]/index[] exceeds the [index.highlight.max_analyzed_offset] limit \
         [100]. To avoid this error, set the query parameter [max_analyzed_offset] to a value less than index \
         setting [100] and this will tolerate long field values by truncating them."
    );
}

#[test]
fn what_a_match_is_written_with_is_bounded_and_charged() {
    let parsed = |highlight: Value| parse_search(&json!({"highlight": highlight}));
    let many: Vec<Value> = (0..1001)
        .map(|field| json!({format!("f{field}"): {}}))
        .collect();
    let refused = parsed(json!({"fields": many})).unwrap_err();
    assert!(
        refused.reason.contains("[1001] fields"),
        "{}",
        refused.reason
    );
    let tags = json!({"pre_tags": "x".repeat(16 << 10), "post_tags": "y", "fields": {"t": {}}});
    let refused = parsed(tags).unwrap_err();
    assert!(
        refused.reason.contains("[16385] bytes"),
        "{}",
        refused.reason
    );

    let mapping =
        json!({"properties": {"t": {"type": "text", "term_vector": "with_positions_offsets"}}});
    let index = Index::new(mapping, &[json!({"t": "red fox ".repeat(2_000)})]);
    for kind in ["unified", "plain", "fvh"] {
        let tag = "x".repeat(8 << 10);
        let source = json!({"query": {"match": {"t": "red"}}, "highlight": {"type": kind, "number_of_fragments": 0,
            "phrase_limit": 5_000, "pre_tags": tag, "post_tags": tag, "fields": {"t": {}}}});
        let source = parse_search(&source).unwrap();
        let found = query_phase(index.shard(0), &source, &ShardContext::default()).unwrap();
        let docs: Vec<_> = found.docs.iter().map(|doc| doc.address).collect();
        let context = ShardContext {
            control: Arc::new(Told {
                state: Interrupt::Continue,
                room: 8 << 20,
            }),
            ..ShardContext::default()
        };
        let refused = fetch_phase(index.shard(0), &source, &docs, &context).unwrap_err();
        assert_eq!(refused.code, ErrorCode::CircuitBreaking, "{kind}");
    }
}

#[test]
fn a_word_that_stands_for_nothing_of_the_text_is_not_marked() {
    let settings = json!({"analysis": {
        "char_filter": {"c": {"type": "mapping", "mappings": ["x => a b"]}},
        "analyzer": {"two": {"tokenizer": "standard", "char_filter": ["c"]}}}});
    let mapping = json!({"properties": {"t": {"type": "text", "analyzer": "two"}}});
    let index = Index::with_settings(&settings, &mapping, &[json!({"t": ["x", "y"]})]);
    for kind in ["unified", "plain"] {
        let body = json!({"query": {"match": {"t": "x y"}}, "highlight": {"type": kind, "fields": {"t": {}}}});
        let found = index.search(body);
        let shown = &found["hits"][0]["highlight"]["t"];
        assert_eq!(
            *shown,
            json!(["<em>x</em>", "<em>y</em>"]),
            "{kind}: {found}"
        );
    }
}

#[test]
fn what_the_top_of_a_bucket_shows_is_of_the_query_of_the_search() {
    let body = json!({"size": 0, "query": {"match": {"open": "red"}}, "aggs": {"h": {"top_hits": {"_source": false,
        "highlight": {"fields": {"open": {}}}}}}});
    let found = people().search(body);
    let hit = &found["aggregations"]["h"]["hits"]["hits"][0];
    assert_eq!(hit["highlight"], json!({"open": ["a <em>red</em> fox"]}));
}

#[test]
fn whole_matches_are_a_setting() {
    let index = people();
    let source = json!({"query": {"match_phrase": {"open": "red fox"}}, "highlight": {"fields": {"open": {}}}});
    let source = parse_search(&source).unwrap();
    for (weight_matches, expected) in [
        (true, "a <em>red fox</em>"),
        (false, "a <em>red</em> <em>fox</em>"),
    ] {
        let limits = SearchLimits {
            weight_matches,
            ..SearchLimits::default()
        };
        let context = ShardContext {
            limits,
            ..ShardContext::default()
        };
        let found = query_phase(index.shard(0), &source, &context).unwrap();
        let docs: Vec<_> = found.docs.iter().map(|doc| doc.address).collect();
        let hits = fetch_phase(index.shard(0), &source, &docs, &context).unwrap();
        let shown = hits[0].highlight.clone().unwrap();
        assert_eq!(shown, json!({"open": [expected]}));
    }
}
