//! Queries on text: analysis, phrases, fuzzy terms and several fields. Source: Elasticsearch reference, "Full text
//! queries".

use std::collections::BTreeMap;

use ringwall_api::ApiError;
use ringwall_index::Analyzer;
use tantivy::Term;
use tantivy::query::{BooleanQuery, Occur, PhrasePrefixQuery, PhraseQuery as Phrase, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::ast::*;
use super::compile::{
    Compiled, all, at_least, boosted, constant, dis_max, none, terms_matching, with_field,
};
use super::custom::{FieldStatistics, StatisticsQuery};
use super::phrase::LoosePhrase;
use super::regexp::TermPattern;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::{query_shard, scalar_text};
use crate::shard::{Shard, too_many_nested_clauses};

/// Words of a phrase that the engine's own scorer takes.
const MAX_STRICT_WORDS: usize = 16;

/// Compiles `match` and `match_bool_prefix`.
pub(super) fn match_query(shard: &Shard<'_>, query: &MatchQuery) -> Result<Compiled, ApiError> {
    with_field(shard, &query.field, |field| {
        let compiled = match_field(shard, field, query)?;
        Ok(boosted(compiled, query.boost))
    })
}

fn match_field(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    query: &MatchQuery,
) -> Result<Compiled, ApiError> {
    let options = &query.options;
    let text = scalar_text(&query.value).unwrap_or_default();
    let analyzer = analyzer_of(field, options.analyzer.as_deref())?;
    let Some(analyzer) = analyzer else {
        return exact(shard, field, query, &text);
    };
    let tokens: Vec<String> = analyzer.tokens(&text).into_iter().map(|t| t.text).collect();
    shard.check_clauses(tokens.len())?;
    let last = tokens.len().saturating_sub(1);
    let queries = tokens
        .iter()
        .enumerate()
        .map(|(index, token)| match &options.fuzziness {
            _ if query.last_is_prefix && index == last => {
                shard.count_clause()?;
                let pattern = TermPattern::compile(PatternKind::Prefix, token, false)?;
                Ok(constant(terms_matching(shard, field, pattern), 1.0))
            }
            Some(fuzzy_options) => fuzzy(shard, field, token, fuzzy_options),
            None => {
                shard.count_clause()?;
                scored_term(shard, field, token)
            }
        })
        .collect::<Result<Vec<Compiled>, ApiError>>()?;
    Ok(combine(queries, options))
}

/// Combines the queries of the terms of a text.
fn combine(queries: Vec<Compiled>, options: &MatchOptions) -> Compiled {
    if queries.is_empty() {
        return match options.zero_terms {
            ZeroTerms::All => all(1.0),
            ZeroTerms::None => none(),
        };
    }
    let count = queries.len();
    match options.operator {
        Operator::And if count > 1 => Box::new(BooleanQuery::with_minimum_required_clauses(
            queries.into_iter().map(|q| (Occur::Must, q)).collect(),
            0,
        )),
        Operator::And => at_least(queries, 1),
        Operator::Or => {
            // At least one: with zero required the terms would match everything.
            let required = match &options.minimum_should_match {
                Some(minimum) => minimum.required(count).max(1),
                None => 1,
            };
            // A single term is no boolean query, to which the minimum would apply.
            if count == 1 {
                return at_least(queries, 1);
            }
            at_least(queries, required)
        }
    }
}

/// A field without analysis: the text is one exact term.
fn exact(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    query: &MatchQuery,
    text: &str,
) -> Result<Compiled, ApiError> {
    shard.count_clause()?;
    if query.last_is_prefix && field.has_terms() {
        let pattern = TermPattern::compile(PatternKind::Prefix, text, false)?;
        return Ok(constant(terms_matching(shard, field, pattern), 1.0));
    }
    if let Some(options) = &query.options.fuzziness
        && field.has_terms()
    {
        return fuzzy(shard, field, text, options);
    }
    match super::values::term(shard, field, &query.value, 1.0) {
        Err(_) if query.options.lenient => Ok(none()),
        result => result,
    }
}

/// Compiles `match_phrase` and `match_phrase_prefix`.
pub(super) fn phrase(shard: &Shard<'_>, query: &PhraseQuery) -> Result<Compiled, ApiError> {
    with_field(shard, &query.field, |field| {
        let text = scalar_text(&query.value).unwrap_or_default();
        let analyzer = match (query.analyzer.as_deref(), field.quote_analyzer()) {
            (None, Some(analyzer)) => Some(analyzer),
            (named, _) => analyzer_of(field, named)?,
        };
        let Some(analyzer) = analyzer else {
            let compiled = match super::values::term(shard, field, &query.value, 1.0) {
                Err(_) if query.lenient => none(),
                result => result?,
            };
            return Ok(boosted(compiled, query.boost));
        };
        let tokens: Vec<(usize, String)> = analyzer
            .tokens(&text)
            .into_iter()
            .map(|token| (token.position, token.text))
            .collect();
        let compiled = match (tokens.as_slice(), query.prefix_expansions) {
            ([], _) if query.zero_terms == ZeroTerms::All => all(1.0),
            ([], _) => none(),
            ([(_, token)], None) => scored_term(shard, field, token)?,
            ([(_, token)], Some(limit)) => prefix_expanded(shard, field, token, limit)?,
            (tokens, expansions) => phrase_of(shard, field, tokens, query.slop, expansions)?,
        };
        Ok(boosted(compiled, query.boost))
    })
}

fn phrase_of(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    tokens: &[(usize, String)],
    slop: u32,
    expansions: Option<usize>,
) -> Result<Compiled, ApiError> {
    let first = tokens.first().map_or(0, |(position, _)| *position);
    let terms: Vec<(usize, Term)> = tokens
        .iter()
        .map(|(position, token)| (position - first, field.term(token)))
        .collect();
    let scored: Vec<Term> = match expansions {
        // The prefix itself is not a term to score.
        Some(_) => terms[..terms.len() - 1]
            .iter()
            .map(|t| t.1.clone())
            .collect(),
        None => terms.iter().map(|t| t.1.clone()).collect(),
    };
    let inner: Compiled = match expansions {
        Some(_) if slop > 0 => {
            return Err(query_shard(format!(
                "[slop] is not supported by phrases with a prefix, on field [{}]",
                field.name
            )));
        }
        Some(limit) => {
            let limit = limit.min(shard.context.limits.max_clause_count);
            let mut query = PhrasePrefixQuery::new_with_offset(terms);
            query.set_max_expansions(u32::try_from(limit).unwrap_or(u32::MAX));
            Box::new(query)
        }
        None if slop > 0 || terms.len() > MAX_STRICT_WORDS => {
            Box::new(LoosePhrase::new(terms, slop, &shard.pulse))
        }
        None => Box::new(Phrase::new_with_offset(terms)),
    };
    let statistics = statistics(shard, field, &scored, false)?;
    Ok(Box::new(StatisticsQuery { inner, statistics }))
}

/// A lone prefix of a phrase: its terms, in the order of the dictionary.
fn prefix_expanded(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    prefix: &str,
    limit: usize,
) -> Result<Compiled, ApiError> {
    let limit = limit.min(shard.context.limits.max_clause_count);
    let mut terms = BTreeMap::new();
    for_each_term(shard, field, prefix, |term| {
        terms.insert(term.to_owned(), ());
        if terms.len() > limit {
            terms.pop_last();
        }
    })?;
    let queries = terms
        .keys()
        .map(|term| scored_term(shard, field, term))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(at_least(queries, 1))
}

/// Compiles `multi_match`.
pub(super) fn multi_match(
    shard: &Shard<'_>,
    query: &MultiMatchQuery,
) -> Result<Compiled, ApiError> {
    let fields = expand_fields(shard, &query.fields);
    let most = shard.context.limits.max_clause_count;
    if fields.len() > most {
        return Err(too_many_nested_clauses(most));
    }
    let mut queries = Vec::with_capacity(fields.len());
    for (field, boost, from_pattern) in fields {
        let lenient = query.options.lenient || from_pattern;
        let compiled = match query.kind {
            MultiMatchKind::Phrase | MultiMatchKind::PhrasePrefix => phrase(
                shard,
                &PhraseQuery {
                    field,
                    value: query.value.clone(),
                    slop: query.slop,
                    analyzer: query.options.analyzer.clone(),
                    zero_terms: query.options.zero_terms,
                    prefix_expansions: (query.kind == MultiMatchKind::PhrasePrefix)
                        .then_some(query.max_expansions),
                    lenient,
                    boost,
                },
            )?,
            _ => match_query(
                shard,
                &MatchQuery {
                    field,
                    value: query.value.clone(),
                    options: MatchOptions {
                        lenient,
                        ..query.options.clone()
                    },
                    last_is_prefix: query.kind == MultiMatchKind::BoolPrefix,
                    boost,
                },
            )?,
        };
        queries.push(compiled);
    }
    let tie_breaker = query.tie_breaker.unwrap_or(match query.kind {
        MultiMatchKind::MostFields | MultiMatchKind::BoolPrefix => 1.0,
        _ => 0.0,
    });
    Ok(boosted(dis_max(queries, tie_breaker), query.boost))
}

/// Resolves field patterns to fields, with their boosts and whether a pattern chose them. Ends soon after there
/// are more than a query may have clauses.
pub(super) fn expand_fields(
    shard: &Shard<'_>,
    patterns: &[(String, f32)],
) -> Vec<(String, f32, bool)> {
    let every = [("*".to_owned(), 1.0)];
    let patterns = if patterns.is_empty() {
        every.as_slice()
    } else {
        patterns
    };
    let mut fields = Vec::new();
    for (pattern, boost) in patterns {
        if fields.len() > shard.context.limits.max_clause_count {
            // More than a query may have: whoever asks refuses it.
            break;
        }
        if pattern.contains('*') {
            fields.extend(
                shard
                    .fields_matching(pattern)
                    .into_iter()
                    .map(|field| (field, *boost, true)),
            );
        } else {
            fields.push((pattern.clone(), *boost, false));
        }
    }
    fields
}

/// Compiles a fuzzy term: the nearest terms of the dictionary, scored as if equally frequent.
pub(super) fn fuzzy(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    text: &str,
    options: &FuzzyOptions,
) -> Result<Compiled, ApiError> {
    if !field.has_terms() {
        return Err(query_shard(format!(
            "Can only use fuzzy queries on keyword and text fields - not on [{}] which is of type \
             [{}]",
            field.name,
            field.type_name()
        )));
    }
    shard.pulse.proceed()?;
    let most = options
        .max_expansions
        .min(shard.context.limits.max_clause_count);
    let edits = usize::from(options.fuzziness.edits(text));
    if edits == 0 {
        return scored_term(shard, field, text);
    }
    let wanted: Vec<char> = text.chars().collect();
    let prefix: String = wanted.iter().take(options.prefix_length).collect();
    // Nearest first, then by term: the map's order is the order of preference.
    let mut found: BTreeMap<(usize, String), ()> = BTreeMap::new();
    for_each_term(shard, field, &prefix, |term| {
        let Some(distance) = super::edits::distance(&wanted, term, edits, options.transpositions)
        else {
            return;
        };
        found.insert((distance, term.to_owned()), ());
        if found.len() > most {
            found.pop_last();
        }
    })?;
    let terms: Vec<Term> = found.keys().map(|(_, term)| field.term(term)).collect();
    let statistics = statistics(shard, field, &terms, true)?;
    let queries = found
        .keys()
        .zip(terms)
        .map(|((distance, term), engine_term)| {
            let shorter = wanted.len().min(term.chars().count()).max(1);
            let similarity = 1.0 - *distance as f32 / shorter as f32;
            let query = StatisticsQuery {
                inner: Box::new(TermQuery::new(engine_term, field.record_option())),
                statistics,
            };
            boosted(Box::new(query), similarity.max(0.0))
        })
        .collect();
    Ok(at_least(queries, 1))
}

/// A term with the score of its field.
pub(super) fn scored_term(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    text: &str,
) -> Result<Compiled, ApiError> {
    let term = field.term(text);
    let statistics = statistics(shard, field, std::slice::from_ref(&term), false)?;
    Ok(Box::new(StatisticsQuery {
        inner: Box::new(TermQuery::new(term, field.record_option())),
        statistics,
    }))
}

fn statistics(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    terms: &[Term],
    blend: bool,
) -> Result<FieldStatistics, ApiError> {
    let searcher = shard.searcher();
    let mut most = 0;
    for term in terms {
        shard.pulse.proceed()?;
        most = most.max(searcher.doc_freq(term).map_err(|e| engine_error(&e))?);
    }
    // The field count may lag behind a term's (merged deletes), and N must not be below n.
    let docs = shard.docs_with(&field.name)?.max(most).max(1);
    let tokens = match field.has_norms() {
        true => {
            let tokens = searcher.token_count(field.dictionary().0);
            let tokens = tokens.map_err(|e| engine_error(&e))?;
            tokens.max(docs)
        }
        // Every length is taken as one; the mean counts the values of a document.
        false => field.value_count(searcher)?.max(docs),
    };
    Ok(FieldStatistics {
        docs,
        tokens,
        blended: blend.then_some(most),
    })
}

/// Visits the terms of a field that begin with `prefix`, segment by segment.
fn for_each_term(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    prefix: &str,
    mut visit: impl FnMut(&str),
) -> Result<(), ApiError> {
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let mut start = path;
    start.extend_from_slice(prefix.as_bytes());
    let mut beat = shard.pulse.beat();
    let visited = shard.searcher().visit_terms(tantivy_field, &start, |key| {
        if !beat.step() || !key.starts_with(&start) {
            return false;
        }
        if let Ok(term) = std::str::from_utf8(&key[path_len..]) {
            visit(term);
        }
        true
    });
    visited.map_err(|e| engine_error(&e))?;
    // Half of the terms are none.
    match shard.pulse.stopped() {
        true => shard.pulse.proceed(),
        false => Ok(()),
    }
}

/// The analyzer of a text field, or the one named in the query; `None` for other fields.
fn analyzer_of(field: &FieldRef<'_>, named: Option<&str>) -> Result<Option<Analyzer>, ApiError> {
    match (&field.kind, named) {
        (FieldKind::Text { analyzer }, None) => Ok(Some(*analyzer)),
        (FieldKind::Text { .. } | FieldKind::Keyword, Some(name)) => Analyzer::from_name(name)
            .map(Some)
            .ok_or_else(|| query_shard(format!("[match] analyzer [{name}] not found"))),
        _ => Ok(None),
    }
}

impl FieldRef<'_> {
    /// What postings of the field record.
    pub(crate) fn record_option(&self) -> IndexRecordOption {
        match self.kind {
            FieldKind::Text { .. } => IndexRecordOption::WithFreqs,
            _ => IndexRecordOption::Basic,
        }
    }
}
