//! [`Query`] to an executable query on one shard. Source: Elasticsearch reference, "Query DSL" and "Similarity
//! settings".

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur,
    Query as Executable,
};
use tantivy::schema::IndexRecordOption;

use super::ast::*;
use super::custom::{BoostingQuery, SetQuery};
use super::regexp::TermPattern;
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
    if !has_clauses_of_its_own(query) {
        shard.count_clause()?;
    }
    match query {
        Query::MatchAll { boost } => Ok(all(*boost)),
        Query::MatchNone => Ok(none()),
        Query::Term {
            field,
            value,
            boost,
            ..
        } if field == INDEX => Ok(index_name(shard, std::slice::from_ref(value), *boost)),
        Query::Terms {
            field,
            values,
            boost,
        } if field == INDEX => Ok(index_name(shard, values, *boost)),
        Query::Match(query) if query.field == INDEX => Ok(index_name(
            shard,
            std::slice::from_ref(&query.value),
            query.boost,
        )),
        Query::Match(query) => super::text::match_query(shard, query),
        Query::MatchPhrase(query) => super::text::phrase(shard, query),
        Query::MultiMatch(query) => super::text::multi_match(shard, query),
        Query::Term {
            field,
            value,
            case_insensitive,
            boost,
        } => with_field(shard, field, |field| {
            if *case_insensitive {
                term_ignoring_case(shard, field, value, *boost)
            } else {
                super::values::term(shard, field, value, *boost)
            }
        }),
        Query::Terms {
            field,
            values,
            boost,
        } => with_field(shard, field, |field| {
            super::values::terms(shard, field, values, *boost)
        }),
        Query::Range(query) => with_field(shard, &query.field, |field| {
            super::values::range(shard, field, query)
        }),
        Query::Exists { field, boost } => exists(shard, field, *boost),
        Query::Pattern(query) => pattern(shard, query),
        Query::Fuzzy(query) => with_field(shard, &query.field, |field| {
            super::text::fuzzy(shard, field, &query.value, &query.options)
                .map(|compiled| boosted(compiled, query.boost))
        }),
        Query::Ids { values, boost } => with_field(shard, "_id", |field| {
            let values: Vec<Value> = values.iter().map(|id| id.clone().into()).collect();
            super::values::terms(shard, field, &values, *boost)
        }),
        Query::Bool(query) => bool_query(shard, query),
        Query::ConstantScore { filter, boost } => Ok(constant(compile(shard, filter)?, *boost)),
        Query::DisMax {
            queries,
            tie_breaker,
            boost,
        } => {
            let disjuncts = queries
                .iter()
                .map(|query| compile(shard, query))
                .collect::<Result<_, _>>()?;
            Ok(boosted(dis_max(disjuncts, *tie_breaker), *boost))
        }
        Query::Boosting {
            positive,
            negative,
            negative_boost,
            boost,
        } => {
            let query = BoostingQuery {
                positive: compile(shard, positive)?,
                negative: compile(shard, negative)?,
                factor: *negative_boost,
            };
            Ok(boosted(Box::new(query), *boost))
        }
        Query::Geo(query) => super::geo::compile(shard, query),
        Query::QueryString(query) => {
            let lowered = super::lower::lower(shard, query)?;
            compile(shard, &lowered)
        }
    }
}

/// Whether the leaves of a query are counted where its parts are compiled.
fn has_clauses_of_its_own(query: &Query) -> bool {
    matches!(
        query,
        Query::Match(_)
            | Query::MultiMatch(_)
            | Query::Bool(_)
            | Query::ConstantScore { .. }
            | Query::DisMax { .. }
            | Query::Boosting { .. }
            | Query::QueryString(_)
    )
}

/// Returns the score of every match, when it is the same and known without running the query.
pub(crate) fn constant_score(query: &Query) -> Option<Score> {
    match query {
        Query::MatchAll { boost }
        | Query::Terms { boost, .. }
        | Query::Exists { boost, .. }
        | Query::Ids { boost, .. }
        | Query::ConstantScore { boost, .. } => Some(*boost),
        Query::Range(range) => Some(range.boost),
        Query::Geo(query) => Some(query.boost),
        Query::Pattern(pattern) => Some(pattern.boost),
        Query::Bool(query) => {
            let only_filters = query.must.is_empty()
                && query.should.is_empty()
                && !(query.filter.is_empty() && query.must_not.is_empty());
            only_filters.then_some(0.0)
        }
        _ => None,
    }
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
fn index_name(shard: &Shard<'_>, values: &[Value], boost: f32) -> Compiled {
    let index = shard.context.index;
    let matches = values
        .iter()
        .filter_map(scalar_text)
        .any(|pattern| name_matches(&pattern, index));
    if matches { all(boost) } else { none() }
}

fn bool_query(shard: &Shard<'_>, query: &BoolQuery) -> Result<Compiled, ApiError> {
    let groups = [&query.must, &query.filter, &query.should, &query.must_not];
    shard.check_clauses(groups.iter().map(|clauses| clauses.len()).sum())?;
    let mut clauses: Vec<(Occur, Compiled)> = Vec::new();
    for must in &query.must {
        clauses.push((Occur::Must, compile(shard, must)?));
    }
    for filter in &query.filter {
        clauses.push((Occur::Must, constant(compile(shard, filter)?, 0.0)));
    }
    let should = query.should.len();
    for clause in &query.should {
        clauses.push((Occur::Should, compile(shard, clause)?));
    }
    for clause in &query.must_not {
        clauses.push((Occur::MustNot, compile(shard, clause)?));
    }
    let boost = query.boost.unwrap_or(1.0);
    if clauses.is_empty() {
        return Ok(all(boost));
    }
    let required_clauses = !query.must.is_empty() || !query.filter.is_empty();
    // Of optional clauses alone at least one matches, even with a minimum of zero.
    let least = usize::from(should > 0 && !required_clauses);
    let required = match &query.minimum_should_match {
        Some(minimum) if should > 0 => minimum.required(should).max(least),
        _ => least,
    };
    if required > should {
        return Ok(none());
    }
    if !required_clauses && required == 0 {
        // Only exclusions, or nothing that must match: everything else does.
        clauses.push((Occur::Must, all(0.0)));
    }
    let compiled = BooleanQuery::with_minimum_required_clauses(clauses, required);
    Ok(boosted(Box::new(compiled), boost))
}

fn exists(shard: &Shard<'_>, name: &str, boost: f32) -> Result<Compiled, ApiError> {
    if shard.is_metadata_of_every_document(name) {
        return Ok(all(boost));
    }
    let names = shard.names_for_exists(name);
    if names.is_empty() {
        shard.unmapped(name)?;
    }
    let queries: Vec<Compiled> = names
        .iter()
        .flat_map(|name| shard.exists_terms(name))
        .map(|term| -> Compiled {
            Box::new(tantivy::query::TermQuery::new(
                term,
                IndexRecordOption::Basic,
            ))
        })
        .collect();
    Ok(constant(at_least(queries, 1), boost))
}

fn pattern(shard: &Shard<'_>, query: &PatternQuery) -> Result<Compiled, ApiError> {
    super::regexp::check_length(query, shard.context.limits.max_regex_length)?;
    let pattern = TermPattern::compile(query.kind, &query.value, query.case_insensitive)?;
    if query.field == INDEX {
        let matches = pattern.is_match(shard.context.index);
        return Ok(if matches { all(query.boost) } else { none() });
    }
    with_field(shard, &query.field, |field| {
        if !field.has_terms() {
            let name = match query.kind {
                PatternKind::Prefix => "prefix",
                PatternKind::Wildcard => "wildcard",
                PatternKind::Regexp => "regexp",
            };
            return Err(query_shard(format!(
                "Can only use {name} queries on keyword, text and wildcard fields - not on [{}] \
                 which is of type [{}]",
                field.name,
                field.type_name()
            )));
        }
        Ok(constant(terms_matching(shard, field, pattern), query.boost))
    })
}

/// Returns a query for the documents that have a term of the pattern.
pub(super) fn terms_matching(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    pattern: TermPattern,
) -> Compiled {
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let mut start = path;
    start.extend_from_slice(pattern.prefix.as_bytes());
    Box::new(SetQuery::terms(
        &shard.pulse,
        tantivy_field,
        start,
        path_len,
        move |term| pattern.is_match(term),
    ))
}

fn term_ignoring_case(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    value: &Value,
    boost: f32,
) -> Result<Compiled, ApiError> {
    let text = scalar_text(value).unwrap_or_default();
    if !field.has_terms() {
        return Err(query_shard(format!(
            "[{}] field which is of type [{}], does not support case insensitive term queries",
            field.name,
            field.type_name()
        )));
    }
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let wanted = text.to_lowercase();
    let query = SetQuery::terms(&shard.pulse, tantivy_field, path, path_len, move |term| {
        term.to_lowercase() == wanted
    });
    Ok(constant(Box::new(query), boost))
}
