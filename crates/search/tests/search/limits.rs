//! What a search may ask for, and what stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::{Mapping, Searcher};
use ringwall_search::{
    Interrupt, SearchControl, SearchLimits, ShardContext, ShardQueryResult, check_depth,
    parse_search, query_phase,
};
use serde_json::{Value, json};

/// Says stop at the nth question.
struct StopAt {
    left: AtomicU32,
    state: Interrupt,
}

impl SearchControl for StopAt {
    fn state(&self) -> Interrupt {
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                Some(n.saturating_sub(1))
            });
        match before {
            Ok(0) | Err(_) => self.state,
            _ => Interrupt::Continue,
        }
    }
}

/// So many documents of unlike words.
fn searcher(count: usize) -> Searcher {
    let mapping = json!({"properties": {"t": {"type": "text"}, "k": {"type": "keyword"},
        "n": {"type": "long"}, "d": {"type": "date"}, "ip": {"type": "ip"}}});
    let mapping = Arc::new(Mapping::parse(&mapping).unwrap());
    let docs: Vec<(String, String)> = (0..count)
        .map(|i| {
            let doc = json!({"t": format!("word{i} common words in every text"), "k": format!("key{i}"),
                "n": i, "d": i * 86_400_000, "ip": format!("10.0.{}.{}", i / 250, i % 250)});
            (i.to_string(), doc.to_string())
        })
        .collect();
    let docs: Vec<(&str, &str)> = docs.iter().map(|(i, d)| (i.as_str(), d.as_str())).collect();
    Searcher::in_memory(mapping, &[&docs]).unwrap()
}

fn run(
    searcher: &Searcher,
    body: &Value,
    left: u32,
    state: Interrupt,
) -> Result<ShardQueryResult, ApiError> {
    let context = ShardContext {
        control: Arc::new(StopAt {
            left: AtomicU32::new(left),
            state,
        }),
        ..ShardContext::default()
    };
    query_phase(searcher, &parse_search(body).unwrap(), &context)
}

/// Requests that look at many documents, terms or positions, each in its own loop.
fn heavy() -> Vec<Value> {
    let queries = [
        json!({"match": {"t": "common words"}}),
        json!({"match": {"t": {"query": "wird", "fuzziness": 2}}}),
        json!({"fuzzy": {"k": {"value": "kez1", "fuzziness": 2}}}),
        json!({"match_phrase": {"t": {"query": "words common", "slop": 5}}}),
        json!({"match_phrase": {"t": "common words"}}),
        json!({"match_phrase_prefix": {"t": "w"}}),
        json!({"match_bool_prefix": {"t": "w"}}),
        json!({"prefix": {"k": "k"}}),
        json!({"wildcard": {"k": "*9"}}),
        json!({"regexp": {"k": ".*9"}}),
        json!({"term": {"k": {"value": "KEY1", "case_insensitive": true}}}),
        json!({"range": {"n": {"gte": 1}}}),
        json!({"range": {"k": {"gte": "a"}}}),
        json!({"terms": {"d": (0..9).map(|day| day * 86_400_000).collect::<Vec<i64>>()}}),
        json!({"terms": {"ip": ["10.0.0.0/8", "10.0.1.1"]}}),
        json!({"query_string": {"query": "t:w* OR k:/.*9/ OR t:word1~"}}),
        json!({"simple_query_string": {"query": "w* | word1~2", "fields": ["t"]}}),
        json!({"multi_match": {"query": "common word1", "fields": ["t", "k"]}}),
        json!({"bool": {"must": [{"match": {"t": "common"}}], "must_not": [{"prefix": {"k": "z"}}]}}),
    ];
    let mut bodies: Vec<Value> = queries
        .into_iter()
        .map(|query| json!({"query": query}))
        .collect();
    let aggs = [
        json!({"terms": {"field": "k"}, "aggs": {"m": {"max": {"field": "n"}}}}),
        json!({"terms": {"field": "k", "include": ".*9"}}),
        json!({"filters": {"filters": [{"prefix": {"k": "k"}}]}}),
        json!({"filter": {"match": {"t": "common"}}}),
        json!({"global": {}, "aggs": {"c": {"cardinality": {"field": "k"}}}}),
        json!({"date_histogram": {"field": "d", "fixed_interval": "1d"}}),
        json!({"histogram": {"field": "n", "interval": 1}}),
        json!({"range": {"field": "n", "ranges": [{"from": 1}]}}),
        json!({"top_hits": {"size": 2}}),
        json!({"percentiles": {"field": "n"}}),
    ];
    bodies.extend(
        aggs.into_iter()
            .map(|agg| json!({"size": 0, "aggs": {"a": agg}})),
    );
    bodies.push(json!({"sort": "k", "post_filter": {"prefix": {"k": "k"}}}));
    bodies.push(json!({"min_score": 0.1, "query": {"match": {"t": "common"}}}));
    bodies
}

/// How often a search asks whether to go on. At each question a stop is a stop.
fn questions(searcher: &Searcher, body: &Value) -> u32 {
    let mut questions = 0;
    loop {
        let Err(error) = run(searcher, body, questions, Interrupt::Cancelled) else {
            break;
        };
        assert_eq!(error.code, ErrorCode::TaskCancelled, "{body}");
        let found = run(searcher, body, questions, Interrupt::TimedOut);
        let found = found.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(found.timed_out, "{body} at question {questions}");
        questions += 1;
    }
    let found = run(searcher, body, u32::MAX, Interrupt::TimedOut).unwrap();
    assert!(!found.timed_out, "{body}");
    questions
}

#[test]
fn every_loop_asks_whether_to_go_on() {
    let (many, few) = (searcher(9_000), searcher(9));
    for body in heavy() {
        let (of_many, of_few) = (questions(&many, &body), questions(&few, &body));
        assert!(
            of_few > 0 && of_many > of_few,
            "{body} asked {of_many} and {of_few} times"
        );
    }
}

#[test]
fn what_was_found_in_time_is_the_answer() {
    let searcher = searcher(9_000);
    let body = json!({"query": {"match": {"t": "common"}}, "sort": "n",
        "aggs": {"n": {"value_count": {"field": "n"}}}});
    let found = run(&searcher, &body, 4, Interrupt::TimedOut).unwrap();
    assert!(
        found.timed_out && found.total > 0 && found.total < 9_000,
        "{}",
        found.total
    );
    assert_eq!(found.docs.len(), 10);
}

/// Has room for so many bytes.
struct Budget(AtomicU64);

impl SearchControl for Budget {
    fn state(&self) -> Interrupt {
        Interrupt::Continue
    }

    fn charge(&self, bytes: u64) -> Result<(), ApiError> {
        let left = |left: u64| left.checked_sub(bytes);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        let refused = |_| ApiError::new(ErrorCode::CircuitBreaking, "no room");
        taken.map(|_| ()).map_err(refused)
    }
}

#[test]
fn what_a_search_holds_is_charged() {
    let searcher = searcher(9_000);
    let clauses: Vec<Value> = (0..50).map(|_| json!({"prefix": {"k": "k"}})).collect();
    let body = json!({"query": {"bool": {"should": clauses}}});
    let found = |bytes: u64| {
        let context = ShardContext {
            control: Arc::new(Budget(AtomicU64::new(bytes))),
            ..ShardContext::default()
        };
        query_phase(&searcher, &parse_search(&body).unwrap(), &context)
    };
    assert_eq!(found(u64::MAX).unwrap().total, 9_000);
    let error = found(10_000).unwrap_err();
    assert_eq!((error.status, error.reason.as_str()), (429, "no room"));
}

#[test]
fn sketches_are_charged_for_their_values() {
    let searcher = searcher(3_000);
    let fits = |compression: u32, room: u64| {
        let agg = json!({"percentiles": {"field": "n", "tdigest": {"compression": compression}}});
        let body = json!({"size": 0, "aggs": {"a": agg}});
        let context = ShardContext {
            control: Arc::new(Budget(AtomicU64::new(room))),
            ..ShardContext::default()
        };
        query_phase(&searcher, &parse_search(&body).unwrap(), &context).is_ok()
    };
    // 16 bytes for each value, and no more than the compression allows.
    assert!(!fits(1_000, 3_000 * 16) && fits(1_000, 3_000 * 32));
    assert!(!fits(10, 3_000) && fits(10, 5_000));
}

fn error(body: &Value, limits: SearchLimits) -> (String, Option<ErrorCode>) {
    let searcher = searcher(3);
    let context = ShardContext {
        limits,
        ..ShardContext::default()
    };
    let source = parse_search(body).unwrap();
    match query_phase(&searcher, &source, &context) {
        Ok(found) => panic!("{body} found {found:?}"),
        Err(error) => (error.reason, error.caused_by.map(|cause| cause.code)),
    }
}

#[test]
fn clauses_are_bounded_in_a_group_and_in_all() {
    let limits = SearchLimits {
        max_clause_count: 10,
        ..SearchLimits::default()
    };
    let term = |n: usize| json!({"term": {"k": n.to_string()}});
    let terms = |n: usize| (0..n).map(term).collect::<Vec<_>>();
    let words = |n: usize| {
        (0..n)
            .map(|i| format!("w{i}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let group = "failed to create query: maxClauseCount is set to 10";
    let whole = "Query rewrite failed: too many clauses";
    for (query, reason, cause) in [
        (
            json!({"bool": {"should": terms(11)}}),
            group,
            ErrorCode::TooManyClauses,
        ),
        (
            json!({"match": {"t": words(11)}}),
            group,
            ErrorCode::TooManyClauses,
        ),
        (
            json!({"simple_query_string": {"query": words(12), "fields": ["t"]}}),
            group,
            ErrorCode::TooManyClauses,
        ),
        (
            json!({"dis_max": {"queries": terms(11)}}),
            whole,
            ErrorCode::TooManyNestedClauses,
        ),
        (
            json!({"bool": {"must": [{"bool": {"should": terms(6)}}, {"bool": {"should": terms(6)}}]}}),
            whole,
            ErrorCode::TooManyNestedClauses,
        ),
        (
            json!({"query_string": {"query": "a* b* c*"}}),
            whole,
            ErrorCode::TooManyNestedClauses,
        ),
        (
            json!({"multi_match": {"query": "a", "fields": vec!["t"; 11]}}),
            whole,
            ErrorCode::TooManyNestedClauses,
        ),
        (
            json!({"multi_match": {"query": words(6), "fields": ["t", "t"]}}),
            whole,
            ErrorCode::TooManyNestedClauses,
        ),
    ] {
        let body = json!({"query": query});
        assert_eq!(
            error(&body, limits),
            (reason.to_owned(), Some(cause)),
            "{body}"
        );
        let as_filter = json!({"aggs": {"f": {"filter": query}}});
        assert_eq!(error(&as_filter, limits).1, Some(cause), "{as_filter}");
    }
    let searcher = searcher(3);
    for query in [
        json!({"bool": {"should": terms(10)}}),
        json!({"match": {"t": words(10)}}),
        json!({"match_phrase": {"t": words(50)}}),
        json!({"query_string": {"query": words(10), "fields": ["t"], "lenient": true}}),
        json!({"query_string": {"query": "a* b* c* d*", "fields": ["t", "k"], "lenient": true}}),
    ] {
        let context = ShardContext {
            limits,
            ..ShardContext::default()
        };
        let source = parse_search(&json!({"query": query})).unwrap();
        assert!(query_phase(&searcher, &source, &context).is_ok(), "{query}");
    }
}

#[test]
fn limits_of_an_index_are_in_force() {
    let limits = SearchLimits {
        max_terms_count: 2,
        max_regex_length: 3,
        max_docvalue_fields: 1,
        ..SearchLimits::default()
    };
    for (body, reason) in [
        (
            json!({"query": {"terms": {"k": ["a", "b", "c"]}}}),
            "failed to create query: The number of terms [3] used in the Terms Query request has \
             exceeded the allowed maximum of [2]. This maximum can be set by changing the \
             [index.max_terms_count] index level setting.",
        ),
        (
            json!({"query": {"regexp": {"k": "abcd"}}}),
            "failed to create query: The length of regex [4] used in the Regexp Query request has \
             exceeded the allowed maximum of [3]. This maximum can be set by changing the \
             [index.max_regex_length] index level setting.",
        ),
        (
            json!({"docvalue_fields": ["k", "n", "no"]}),
            "Trying to retrieve too many docvalue_fields. Must be less than or equal to: [1] but \
             was [2]. This limit can be set by changing the [index.max_docvalue_fields_search] \
             index level setting.",
        ),
    ] {
        assert_eq!(error(&body, limits).0, reason);
    }
}

#[test]
fn queries_nest_so_deep_and_no_deeper() {
    let nested = |levels: usize, wrap: fn(Value) -> Value| {
        (1..levels).fold(json!({"match_all": {}}), |query, _| wrap(query))
    };
    let wraps: [fn(Value) -> Value; 4] = [
        |query| json!({"bool": {"must": [query]}}),
        |query| json!({"constant_score": {"filter": query}}),
        |query| json!({"dis_max": {"queries": [query]}}),
        |query| json!({"boosting": {"positive": query, "negative": {"match_none": {}}, "negative_boost": 0}}),
    ];
    for wrap in wraps {
        let (fits, deep) = (nested(30, wrap), nested(31, wrap));
        for place in [
            |query: &Value| json!({"query": query}),
            |query: &Value| json!({"post_filter": query}),
            |query: &Value| json!({"aggs": {"f": {"filter": query}}}),
            |query: &Value| json!({"aggs": {"g": {"global": {}, "aggs": {"f": {"filters": {"filters": [query]}}}}}}),
        ] {
            assert!(check_depth(&parse_search(&place(&fits)).unwrap(), 30).is_ok());
            let error = check_depth(&parse_search(&place(&deep)).unwrap(), 30).unwrap_err();
            assert_eq!(error.code, ErrorCode::IllegalArgument);
        }
    }
}
