//! What queries on text share: analyzers, scored and fuzzy terms, several fields. Source: Elasticsearch reference, "Full text
//! queries".

use std::collections::BTreeMap;

use ringwall_api::ApiError;
use ringwall_index::schema::length_column;
use ringwall_index::{Analyzer, Similarity};
use tantivy::Term;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::Token;

use super::compile::{Compiled, at_least, boosted, constant};
use super::custom::{FieldStatistics, StatisticsQuery};
use super::fuzzy::FuzzyOptions;
use super::similarity::{LengthsOf, Scoring};
use super::words::WordsQuery;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::highlight::Test;
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
            let query = of_statistics(field, vec![engine_term], statistics);
            boosted(query, similarity.max(0.0))
        })
        .collect();
    Ok(scored(field, at_least(queries, 1)))
}

/// What finds the words that a fuzzy term stands for.
pub(super) fn near_word(text: &str, options: &FuzzyOptions) -> Test {
    let edits = usize::from(options.fuzziness.edits(text));
    if edits == 0 {
        return Test::Is(text.to_owned());
    }
    let wanted: Vec<char> = text.chars().collect();
    let prefix: String = wanted.iter().take(options.prefix_length).collect();
    let transpositions = options.transpositions;
    Test::passes(move |term| {
        term.starts_with(&prefix)
            && super::edits::distance(&wanted, term, edits, transpositions).is_some()
    })
}

/// A term with the score of its field.
pub(super) fn scored_term(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    text: &str,
) -> Result<Compiled, ApiError> {
    scored_words(shard, field, &[text])
}

/// Terms that stand for each other, with the score of their field.
pub(super) fn scored_words(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    texts: &[&str],
) -> Result<Compiled, ApiError> {
    let terms: Vec<Term> = texts.iter().map(|text| field.term(text)).collect();
    let statistics = statistics(shard, field, &terms, false)?;
    Ok(scored(field, of_statistics(field, terms, statistics)))
}

/// The engine has a way of its own for one term of a field that scores as most do.
fn of_statistics(field: &FieldRef<'_>, terms: Vec<Term>, statistics: FieldStatistics) -> Compiled {
    let scoring = scoring(field);
    let inner: Compiled = match terms.as_slice() {
        [term] if is_engines(field, &scoring) => {
            Box::new(TermQuery::new(term.clone(), field.record_option()))
        }
        _ => Box::new(WordsQuery::new(terms, scoring)),
    };
    Box::new(StatisticsQuery { inner, statistics })
}

/// Returns how matches of a field score.
pub(super) fn scoring(field: &FieldRef<'_>) -> Scoring {
    let (FieldKind::Text | FieldKind::Keyword, Some(mapping)) = (&field.kind, field.mapping())
    else {
        return Scoring::default();
    };
    let (k1, b) = match mapping.similarity {
        Similarity::Bm25 { k1, b } => (k1, b),
        Similarity::Boolean => return Scoring::default(),
    };
    let lengths = match (mapping.norms, &mapping.analyzer) {
        (false, _) => LengthsOf::Nothing,
        (true, Analyzer::Custom(_)) => LengthsOf::Column(length_column(mapping)),
        (true, _) => LengthsOf::Engine,
    };
    Scoring { k1, b, lengths }
}

/// Returns whether the engine scores the field alike.
pub(super) fn is_engines(field: &FieldRef<'_>, scoring: &Scoring) -> bool {
    let default = Scoring::default();
    let lengths = match scoring.lengths {
        LengthsOf::Engine => true,
        // It has none to count.
        LengthsOf::Nothing => !field.has_norms(),
        LengthsOf::Column(_) => false,
    };
    lengths && (scoring.k1, scoring.b) == (default.k1, default.b)
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

/// Returns the tokens of a text that is searched for.
///
/// # Errors
/// There are more than a query may have clauses, or the analyzer makes more than it may.
pub(super) fn tokens(
    shard: &Shard<'_>,
    analyzer: &Analyzer,
    text: &str,
) -> Result<Vec<Token>, ApiError> {
    let most = shard.context.limits.max_clause_count;
    let tokens = analyzer.search_tokens(text, most.saturating_add(1))?;
    shard.check_clauses(tokens.len())?;
    Ok(tokens)
}

/// The analyzer of a text field, or the one named in the query; `None` for other fields.
pub(super) fn analyzer_of(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    named: Option<&str>,
) -> Result<Option<Analyzer>, ApiError> {
    match (&field.kind, named) {
        (FieldKind::Text, None) => Ok(field.search_analyzer().cloned()),
        (FieldKind::Text | FieldKind::Keyword, Some(name)) => named_analyzer(shard, name).map(Some),
        _ => Ok(None),
    }
}

/// Returns the analyzer that a query names.
///
/// # Errors
/// The index does not have it.
pub(super) fn named_analyzer(shard: &Shard<'_>, name: &str) -> Result<Analyzer, ApiError> {
    let found = shard.mapping().analysis().analyzer(name);
    found.ok_or_else(|| query_shard(format!("[match] analyzer [{name}] not found")))
}

impl FieldRef<'_> {
    /// What postings of the field record.
    pub(crate) fn record_option(&self) -> IndexRecordOption {
        match self.kind {
            FieldKind::Text => IndexRecordOption::WithFreqs,
            _ => IndexRecordOption::Basic,
        }
    }
}
