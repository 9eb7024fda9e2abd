//! Queries that decide which documents are seen: filters of aliases, and queries of roles.

use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_index::{DocumentFilter, Mapping, Searcher};
use serde_json::Value;

use crate::query::{DisMaxQuery, Query, compile_root, parse_query};
use crate::shard::{Shard, ShardContext};

/// Lets the documents through that match a query.
struct QueryFilter {
    query: Query,
    /// `None` when the query asks for the time.
    key: Option<String>,
    index: String,
    now_millis: i64,
    /// What a role asks is not told to who has it.
    is_secret: bool,
}

/// Returns a filter that lets the documents through that match any of the queries.
///
/// `index` is the name of the index and `now_millis` what `now` means, in milliseconds since the epoch.
///
/// # Errors
/// A query that does not parse.
pub fn any_of(
    queries: &[&Value],
    index: &str,
    now_millis: i64,
) -> Result<Arc<dyn DocumentFilter>, ApiError> {
    Ok(Arc::new(made_of(queries, index, now_millis)?))
}

fn made_of(queries: &[&Value], index: &str, now_millis: i64) -> Result<QueryFilter, ApiError> {
    let parsed = queries.iter().map(|query| parse_query(query));
    let parsed = parsed.collect::<Result<Vec<Query>, ApiError>>()?;
    let text = Value::from_iter(queries.iter().map(|query| (*query).clone())).to_string();
    Ok(QueryFilter {
        query: Query::DisMax(DisMaxQuery {
            queries: parsed,
            tie_breaker: 0.0,
            boost: 1.0,
        }),
        key: (!asks_for_the_time(&text)).then_some(text),
        index: index.to_owned(),
        now_millis,
        is_secret: false,
    })
}

/// Returns whether date math may be in the text of queries: it may stand anywhere in a query string, with backslashes in
/// it.
fn asks_for_the_time(text: &str) -> bool {
    let text = text.replace('\\', "").to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.any(|word| word == "now")
}

/// As [`any_of`], of queries that are those of roles or made with them: why one cannot be used is logged, and not told.
///
/// # Errors
/// A query that does not parse.
pub fn any_of_roles(
    queries: &[&Value],
    index: &str,
    now_millis: i64,
) -> Result<Arc<dyn DocumentFilter>, ApiError> {
    let mut filter =
        made_of(queries, index, now_millis).map_err(|error| unusable(index, &error))?;
    filter.is_secret = true;
    Ok(Arc::new(filter))
}

fn unusable(index: &str, error: &ApiError) -> ApiError {
    tracing::error!(index, %error, "the query of a role cannot be used on an index: none of its documents are shown");
    ApiError::illegal_argument(format!(
        "the query of a role cannot be used on [{index}], so that none of its documents are shown"
    ))
}

/// Checks that a query may be that of a role: of indices that are not known yet.
///
/// # Errors
/// It does not parse.
pub fn check_role_query(query: &Value) -> Result<(), ApiError> {
    parse_query(query).map(drop)
}

impl DocumentFilter for QueryFilter {
    fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn compile(&self, whole: &Searcher) -> Result<Box<dyn tantivy::query::Query>, ApiError> {
        let context = ShardContext {
            index: &self.index,
            now_millis: self.now_millis,
            ..ShardContext::default()
        };
        let compiled =
            Shard::new(whole, &context).and_then(|shard| compile_root(&shard, &self.query));
        match self.is_secret {
            true => compiled.map_err(|error| unusable(&self.index, &error)),
            false => compiled,
        }
    }
}

/// Checks that a query can be searched with.
///
/// # Errors
/// It does not parse, or does not fit the mapping.
pub fn check_query(query: &Value, mapping: &Arc<Mapping>, index: &str) -> Result<(), ApiError> {
    let query = parse_query(query)?;
    let nothing = Searcher::in_memory(Arc::clone(mapping), &[])?;
    let context = ShardContext {
        index,
        ..ShardContext::default()
    };
    compile_root(&Shard::new(&nothing, &context)?, &query).map(drop)
}

/// Checks that a query may be the filter of an alias.
///
/// # Errors
/// It does not parse, does not fit the mapping, or is about a field that is not mapped: it would let
/// nothing through, or everything, for a slip of the pen.
pub fn check_filter(query: &Value, mapping: &Arc<Mapping>, index: &str) -> Result<(), ApiError> {
    let query = parse_query(query)?;
    let nothing = Searcher::in_memory(Arc::clone(mapping), &[])?;
    let context = ShardContext {
        index,
        ..ShardContext::default()
    };
    let shard = Shard::new(&nothing, &context)?.knowing_every_field();
    compile_root(&shard, &query).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_asks_for_the_time_is_not_remembered() {
        for (query, is_remembered) in [
            (json!({"term": {"owner": "snow"}}), true),
            (json!({"term": {"known": "x"}}), true),
            (json!({"range": {"ts": {"gte": "now-5y"}}}), false),
            (json!({"range": {"ts": {"lt": "NOW/d"}}}), false),
            (
                json!({"query_string": {"query": "ts:[now-1d TO *]"}}),
                false,
            ),
            (json!({"query_string": {"query": "ts:>n\\ow"}}), false),
        ] {
            let filter = any_of(&[&query], "i", 0).unwrap();
            assert_eq!(filter.key().is_some(), is_remembered, "{query}");
        }
    }

    #[test]
    fn filters_must_parse_and_fit_the_mapping() {
        let mapping = json!({"properties": {"k": {"type": "keyword"}, "n": {"type": "long"},
            "o": {"properties": {"t": {"type": "text"}}}}});
        let mapping = Arc::new(Mapping::parse(&mapping).unwrap());
        for good in [
            json!({"term": {"k": "x"}}),
            json!({"match_all": {}}),
            json!({"bool": {"must_not": {"range": {"n": {"lt": 5}}}}}),
            json!({"exists": {"field": "o"}}),
            json!({"query_string": {"query": "k:x OR o.t:(red blue)"}}),
            json!({"multi_match": {"query": "x", "fields": ["k", "o.*"]}}),
            json!({"term": {"_index": "i"}}),
            json!({"ids": {"values": ["1"]}}),
        ] {
            check_filter(&good, &mapping, "i").unwrap();
        }
        for bad in [
            json!({"nonsense": {}}),
            json!({"term": {"unmapped": "x"}}),
            json!({"terms": {"unmapped": ["x"]}}),
            json!({"match": {"unmapped": "x"}}),
            json!({"range": {"n": {"gte": "abc"}}}),
            json!({"exists": {"field": "nowhere"}}),
            json!({"bool": {"must_not": {"term": {"unmapped": "x"}}}}),
            json!({"bool": {"should": [{"term": {"k": "x"}}, {"prefix": {"unmapped": "x"}}]}}),
            json!({"query_string": {"query": "unmapped:x"}}),
            json!({"multi_match": {"query": "x", "fields": ["k", "unmapped"]}}),
            json!({"match_phrase": {"unmapped": "x y"}}),
            json!({"fuzzy": {"unmapped": "x"}}),
        ] {
            assert_eq!(
                check_filter(&bad, &mapping, "i").unwrap_err().status,
                400,
                "{bad}"
            );
        }
    }
}
