//! What queries on text share: analyzers, scored and fuzzy terms, several fields. Source: Elasticsearch reference, "Full text
//! queries".

use std::collections::BTreeMap;

use ringwall_api::ApiError;
use ringwall_index::Analyzer;
use tantivy::Term;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;

use super::compile::{Compiled, at_least, boosted, constant};
use super::custom::{FieldStatistics, StatisticsQuery};
use super::fuzzy::FuzzyOptions;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::query_shard;
use crate::shard::Shard;

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
    Ok(scored(field, at_least(queries, 1)))
}

/// A term with the score of its field.
pub(super) fn scored_term(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    text: &str,
) -> Result<Compiled, ApiError> {
    let term = field.term(text);
    let statistics = statistics(shard, field, std::slice::from_ref(&term), false)?;
    let query = StatisticsQuery {
        inner: Box::new(TermQuery::new(term, field.record_option())),
        statistics,
    };
    Ok(scored(field, Box::new(query)))
}

/// Takes the score away from a query of a field whose matches score alike.
pub(super) fn scored(field: &FieldRef<'_>, query: Compiled) -> Compiled {
    match field.scores_alike() {
        true => constant(query, 1.0),
        false => query,
    }
}

/// Returns the statistics that the scores of terms are made of.
pub(super) fn statistics(
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
pub(super) fn for_each_term(
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
pub(super) fn analyzer_of(
    field: &FieldRef<'_>,
    named: Option<&str>,
) -> Result<Option<Analyzer>, ApiError> {
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
