//! `multi_match`. Source: Elasticsearch reference, "Multi-match query".

use ringwall_api::ApiError;
use serde_json::Value;

use super::Query;
use super::compile::{Compiled, boosted, dis_max};
use super::kind::{Definition, Kind};
use super::match_phrase::PhraseQuery;
use super::match_query::{MatchOptions, MatchQuery, Operator, match_options};
use super::parse::{field_list, scalar, slop};
use super::text::expand_fields;
use crate::highlight::Sought;
use crate::parse::{Object, f64_of, parsing};
use crate::shard::{Shard, too_many_nested_clauses};

/// `multi_match`.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiMatchQuery {
    /// Field patterns with their boosts; empty means every field.
    pub fields: Vec<(String, f32)>,
    pub value: Value,
    pub kind: MultiMatchKind,
    pub options: MatchOptions,
    pub slop: u32,
    pub max_expansions: usize,
    /// `None` is the default of the kind: 0 for best fields, 1 for most fields.
    pub tie_breaker: Option<f32>,
    pub boost: f32,
}

/// How `multi_match` combines its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiMatchKind {
    #[default]
    BestFields,
    MostFields,
    Phrase,
    PhrasePrefix,
    BoolPrefix,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let mut object = Object::new(name, given.body)?;
    let value = scalar(name, object.require("query")?)?;
    let fields = field_list(&mut object, name)?;
    let kind = match object.text("type")?.as_deref() {
        None | Some("best_fields") => MultiMatchKind::BestFields,
        Some("most_fields") => MultiMatchKind::MostFields,
        Some("phrase") => MultiMatchKind::Phrase,
        Some("phrase_prefix") => MultiMatchKind::PhrasePrefix,
        Some("bool_prefix") => MultiMatchKind::BoolPrefix,
        Some(other) => {
            return Err(parsing(format!(
                "[multi_match] supports [best_fields, most_fields, phrase, phrase_prefix, \
                 bool_prefix] as [type], got [{other}]"
            )));
        }
    };
    let max_expansions = match object.take("max_expansions") {
        Some(value) => f64_of(name, "max_expansions", value)?.max(0.0) as usize,
        None => 50,
    };
    let options = match_options(&mut object)?;
    let is_phrase = matches!(kind, MultiMatchKind::Phrase | MultiMatchKind::PhrasePrefix);
    if is_phrase && options.fuzziness.is_some() {
        return Err(parsing(
            "Fuzziness not allowed for type [phrase] and [phrase_prefix] in [multi_match]",
        ));
    }
    if kind == MultiMatchKind::BoolPrefix && object.take("slop").is_some() {
        return Err(parsing(
            "[slop] not allowed for type [bool_prefix] in [multi_match]",
        ));
    }
    let query = MultiMatchQuery {
        fields,
        value,
        kind,
        options,
        slop: slop(&mut object, "slop")?,
        max_expansions,
        tie_breaker: object.f64("tie_breaker")?.map(|t| t as f32),
        boost: object.boost()?,
    };
    object.finish()?;
    Ok(Query::MultiMatch(query))
}

impl Kind for MultiMatchQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        let mut queries = Vec::new();
        for query in self.of_fields(shard)? {
            queries.push(query.kind().compile(shard)?);
        }
        let tie_breaker = self.tie_breaker.unwrap_or(match self.kind {
            MultiMatchKind::MostFields | MultiMatchKind::BoolPrefix => 1.0,
            _ => 0.0,
        });
        Ok(boosted(dis_max(queries, tie_breaker), self.boost))
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }

    fn needs_several(&self) -> bool {
        self.options.operator == Operator::And || self.options.minimum_should_match.is_some()
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let queries = self.of_fields(shard)?;
        sought.boosted(self.boost, |sought| {
            let mut queries = queries.iter();
            queries.try_for_each(|query| sought.part(shard, query))
        })
    }
}

impl MultiMatchQuery {
    /// The query of each field.
    fn of_fields(&self, shard: &Shard<'_>) -> Result<Vec<Query>, ApiError> {
        let fields = expand_fields(shard, &self.fields);
        let most = shard.context.limits.max_clause_count;
        if fields.len() > most {
            return Err(too_many_nested_clauses(most));
        }
        let query = |(field, boost, from_pattern): (String, f32, bool)| {
            let lenient = self.options.lenient || from_pattern;
            match self.kind {
                MultiMatchKind::Phrase | MultiMatchKind::PhrasePrefix => {
                    Query::MatchPhrase(PhraseQuery {
                        field,
                        value: self.value.clone(),
                        slop: self.slop,
                        analyzer: self.options.analyzer.clone(),
                        zero_terms: self.options.zero_terms,
                        prefix_expansions: (self.kind == MultiMatchKind::PhrasePrefix)
                            .then_some(self.max_expansions),
                        lenient,
                        boost,
                    })
                }
                _ => Query::Match(MatchQuery {
                    field,
                    value: self.value.clone(),
                    options: MatchOptions {
                        lenient,
                        ..self.options.clone()
                    },
                    last_is_prefix: self.kind == MultiMatchKind::BoolPrefix,
                    boost,
                }),
            }
        };
        Ok(fields.into_iter().map(query).collect())
    }
}
