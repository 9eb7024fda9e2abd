//! What the queries of all kinds compile to, and with. Source: Elasticsearch reference, "Query DSL" and "Similarity settings".

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur,
    Query as Executable,
};

use super::Query;
use crate::fields::{FieldRef, INDEX};
use crate::parse::{query_shard, scalar_text};
use crate::shard::Shard;
use crate::source_filter::name_matches;

/// A query ready to run.
pub(crate) type Compiled = Box<dyn Executable>;

/// Compiles a whole query for a shard.
///
/// # Errors
/// `query_shard_exception` and other 400s when the query does not fit the mapping.
pub(crate) fn compile_root(shard: &Shard<'_>, query: &Query) -> Result<Compiled, ApiError> {
    shard.begin_query();
    compile(shard, query)
}

/// Compiles a part of a query.
pub(super) fn compile(shard: &Shard<'_>, query: &Query) -> Result<Compiled, ApiError> {
    let kind = query.kind();
    if !kind.counts_its_clauses() {
        shard.count_clause()?;
    }
    kind.compile(shard)
}

/// Returns a query that matches everything with this score.
pub(super) fn all(score: Score) -> Compiled {
    // Not a bare `AllQuery`: inside a boolean query the engine drops that, with its score.
    constant(Box::new(AllQuery), score)
}

/// Returns a query that matches nothing.
pub(super) fn none() -> Compiled {
    Box::new(EmptyQuery)
}

/// Returns a query that scores every match alike.
pub(super) fn constant(query: Compiled, score: Score) -> Compiled {
    Box::new(ConstScoreQuery::new(query, score))
}

/// Returns a query whose scores are multiplied.
pub(super) fn boosted(query: Compiled, boost: Score) -> Compiled {
    // Without a wrapper the engine can skip blocks of documents that score too low.
    if boost == 1.0 {
        query
    } else {
        Box::new(BoostQuery::new(query, boost))
    }
}

/// Returns the best of several queries.
pub(super) fn dis_max(mut queries: Vec<Compiled>, tie_breaker: Score) -> Compiled {
    match queries.len() {
        0 => none(),
        1 => queries.remove(0),
        _ => Box::new(DisjunctionMaxQuery::with_tie_breaker(queries, tie_breaker)),
    }
}

/// Returns a query of optional clauses, of which so many must match.
pub(super) fn at_least(mut queries: Vec<Compiled>, required: usize) -> Compiled {
    match queries.len() {
        count if count == 0 || required > count => none(),
        1 if required == 1 => queries.remove(0),
        _ => {
            let clauses = queries.into_iter().map(|q| (Occur::Should, q)).collect();
            Box::new(BooleanQuery::with_minimum_required_clauses(
                clauses, required,
            ))
        }
    }
}

/// Compiles for a field, or matches nothing when the field is not mapped.
pub(super) fn with_field(
    shard: &Shard<'_>,
    name: &str,
    compile: impl FnOnce(&FieldRef<'_>) -> Result<Compiled, ApiError>,
) -> Result<Compiled, ApiError> {
    if name == INDEX {
        return Err(query_shard(
            "Field [_index] is searched by [term], [terms], [match], [prefix], [wildcard] and [regexp] \
             queries only",
        ));
    }
    match shard.searchable(name)? {
        Some(field) => compile(&field),
        None => Ok(none()),
    }
}

/// The name of the index is the same for all documents; patterns are allowed.
pub(super) fn index_name(shard: &Shard<'_>, values: &[Value], boost: f32) -> Compiled {
    let index = shard.context.index;
    let matches = values
        .iter()
        .filter_map(scalar_text)
        .any(|pattern| name_matches(&pattern, index));
    if matches { all(boost) } else { none() }
}
