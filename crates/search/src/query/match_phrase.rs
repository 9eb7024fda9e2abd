//! `match_phrase` and `match_phrase_prefix`. Source: Elasticsearch reference, "Match phrase query" and "Match phrase prefix
//! query".

use std::collections::BTreeMap;

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Term;
use tantivy::query::{PhrasePrefixQuery, PhraseQuery as Phrase};
use tantivy::tokenizer::Token;

use super::Query;
use super::compile::{Compiled, all, at_least, boosted, none, with_field};
use super::custom::StatisticsQuery;
use super::graph;
use super::kind::{Definition, Kind};
use super::match_query::{ZeroTerms, zero_terms};
use super::parse::{scalar, single_field, slop};
use super::phrase::LoosePhrase;
use super::text::{self, analyzer_of, for_each_term, scored, scored_term, statistics};
use super::values;
use crate::fields::FieldRef;
use crate::highlight::{Sought, Test, What};
use crate::parse::{Object, failed_to_create, query_shard, scalar_text};
use crate::shard::Shard;

/// `match_phrase` and `match_phrase_prefix`.
#[derive(Debug, Clone, PartialEq)]
pub struct PhraseQuery {
    pub field: String,
    pub value: Value,
    pub slop: u32,
    pub analyzer: Option<String>,
    pub zero_terms: ZeroTerms,
    /// The last term is a prefix, expanded to at most so many terms.
    pub prefix_expansions: Option<usize>,
    pub lenient: bool,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>, prefix: bool) -> Result<Query, ApiError> {
    let name = given.name;
    let (field, value) = single_field(name, given.body)?;
    let mut query = PhraseQuery {
        field: field.to_owned(),
        value: Value::Null,
        slop: 0,
        analyzer: None,
        zero_terms: ZeroTerms::None,
        prefix_expansions: prefix.then_some(50),
        lenient: false,
        boost: 1.0,
    };
    if !value.is_object() {
        query.value = scalar(name, value)?;
        return Ok(Query::MatchPhrase(query));
    }
    let mut object = Object::new(name, value)?;
    query.value = scalar(name, object.require("query")?)?;
    query.slop = slop(&mut object, "slop")?;
    query.analyzer = object.text("analyzer")?;
    query.zero_terms = zero_terms(&mut object)?;
    query.boost = object.boost()?;
    if prefix && let Some(expansions) = object.usize("max_expansions")? {
        query.prefix_expansions = Some(expansions);
    }
    object.finish()?;
    Ok(Query::MatchPhrase(query))
}

impl Kind for PhraseQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        with_field(shard, &self.field, |field| {
            let text = scalar_text(&self.value).unwrap_or_default();
            let analyzer = match (self.analyzer.as_deref(), field.quote_analyzer()) {
                (None, Some(analyzer)) => Some(analyzer.clone()),
                (named, _) => analyzer_of(shard, field, named)?,
            };
            let Some(analyzer) = analyzer else {
                let compiled = match values::term(shard, field, &self.value, 1.0) {
                    Err(_) if self.lenient => none(),
                    result => result?,
                };
                return Ok(boosted(compiled, self.boost));
            };
            // Words of a phrase are no clauses; what an analyzer makes of a text is bounded.
            let tokens = analyzer.search_tokens(&text, usize::MAX)?;
            if let Some(places) = self.choices(&tokens) {
                let compiled = phrase_of_choices(shard, field, &places, self.slop)?;
                return Ok(boosted(compiled, self.boost));
            }
            let ways = graph::whole(shard, &tokens)?;
            let phrases = ways.iter().map(|way| self.phrase(shard, field, way));
            let phrases = phrases.collect::<Result<Vec<_>, _>>()?;
            Ok(boosted(at_least(phrases, 1), self.boost))
        })
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        let text = scalar_text(&self.value).unwrap_or_default();
        let analyzer = match (self.analyzer.as_deref(), field.quote_analyzer()) {
            (None, Some(analyzer)) => Some(analyzer.clone()),
            (named, _) => analyzer_of(shard, &field, named)?,
        };
        // Words of one place are a choice.
        let mut places: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        match &analyzer {
            Some(analyzer) => {
                for token in analyzer.search_tokens(&text, usize::MAX)? {
                    places.entry(token.position).or_default().push(token.text);
                }
            }
            None => {
                let text = field.normalized(&text)?.into_owned();
                places.insert(0, vec![text]);
            }
        }
        let ends_in_prefix = self.prefix_expansions.is_some() && analyzer.is_some();
        let last = places.keys().last().copied();
        let tests = places.into_iter();
        let mut tests: Vec<(u32, Test)> = tests
            .map(|(position, mut words)| {
                let test = match ends_in_prefix && Some(position) == last {
                    true => Test::passes(move |term| {
                        words.iter().any(|word| term.starts_with(word.as_str()))
                    }),
                    false if words.len() == 1 => Test::Is(words.remove(0)),
                    false => Test::passes(move |term| words.iter().any(|word| word == term)),
                };
                (u32::try_from(position).unwrap_or(u32::MAX), test)
            })
            .collect();
        let what = match tests.len() {
            0 => return Ok(()),
            1 => What::Word(tests.remove(0).1),
            _ => What::Phrase {
                words: tests,
                slop: self.slop,
            },
        };
        sought.boosted(self.boost, |sought| sought.add(shard, &field.name, what))
    }
}

impl PhraseQuery {
    /// Returns the words of each place, if there are several of one, several places, and no ways beside others.
    fn choices(&self, tokens: &[Token]) -> Option<Vec<(usize, Vec<String>)>> {
        let has_ways = tokens.iter().any(|token| token.position_length > 1);
        if has_ways || self.prefix_expansions.is_some() {
            return None;
        }
        let first = tokens.first()?.position;
        let places = tokens.chunk_by(|one, next| one.position == next.position);
        let places: Vec<(usize, Vec<String>)> = places
            .map(|place| {
                let words = place.iter().map(|token| token.text.clone());
                (place[0].position - first, words.collect())
            })
            .collect();
        let is_choice = places.len() > 1 && places.iter().any(|(_, words)| words.len() > 1);
        is_choice.then_some(places)
    }

    fn phrase(
        &self,
        shard: &Shard<'_>,
        field: &FieldRef<'_>,
        tokens: &[(usize, String)],
    ) -> Result<Compiled, ApiError> {
        match (tokens, self.prefix_expansions) {
            ([], _) if self.zero_terms == ZeroTerms::All => Ok(all(1.0)),
            ([], _) => Ok(none()),
            ([(_, token)], None) => scored_term(shard, field, token),
            ([(_, token)], Some(limit)) => prefix_expanded(shard, field, token, limit),
            (tokens, expansions) => phrase_of(shard, field, tokens, self.slop, expansions),
        }
    }
}

/// Words of a phrase that the engine's own scorer takes.
const MAX_STRICT_WORDS: usize = 16;

pub(super) fn phrase_of(
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
    let counted: Vec<Term> = match expansions {
        // The prefix itself is not a term to score.
        Some(_) => terms[..terms.len() - 1]
            .iter()
            .map(|t| t.1.clone())
            .collect(),
        None => terms.iter().map(|t| t.1.clone()).collect(),
    };
    check_positions(field)?;
    let scoring = text::scoring(field);
    let is_engines = text::is_engines(field, &scoring);
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
        None if slop > 0 || terms.len() > MAX_STRICT_WORDS || !is_engines => {
            let terms = terms.into_iter().map(|(at, term)| (at, vec![term]));
            Box::new(LoosePhrase::new(
                terms.collect(),
                slop,
                scoring,
                &shard.pulse,
            ))
        }
        None => Box::new(Phrase::new_with_offset(terms)),
    };
    let statistics = statistics(shard, field, &counted, false)?;
    Ok(scored(
        field,
        Box::new(StatisticsQuery { inner, statistics }),
    ))
}

/// A phrase that has one of several words at some places.
fn phrase_of_choices(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    places: &[(usize, Vec<String>)],
    slop: u32,
) -> Result<Compiled, ApiError> {
    check_positions(field)?;
    let terms: Vec<(usize, Vec<Term>)> = places
        .iter()
        .map(|(at, words)| (*at, words.iter().map(|word| field.term(word)).collect()))
        .collect();
    let every: Vec<Term> = terms.iter().flat_map(|(_, terms)| terms.clone()).collect();
    let statistics = statistics(shard, field, &every, false)?;
    let phrase = LoosePhrase::new(terms, slop, text::scoring(field), &shard.pulse);
    let inner: Compiled = Box::new(phrase);
    Ok(scored(
        field,
        Box::new(StatisticsQuery { inner, statistics }),
    ))
}

fn check_positions(field: &FieldRef<'_>) -> Result<(), ApiError> {
    if field.has_positions() {
        return Ok(());
    }
    Err(failed_to_create(format!(
        "field:[{}] was indexed without position data; cannot run PhraseQuery",
        field.name
    )))
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
    Ok(scored(field, at_least(queries, 1)))
}
