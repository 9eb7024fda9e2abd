//! `match` and `match_bool_prefix`. Source: Elasticsearch reference, "Match query" and "Match boolean prefix query".

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::query::{BooleanQuery, Occur};

use super::Query;
use super::compile::{Compiled, all, at_least, boosted, constant, index_name, none, with_field};
use super::fuzzy::{FuzzyOptions, fuzzy_options};
use super::graph;
use super::kind::{Definition, Kind};
use super::match_phrase::phrase_of;
use super::min_match::MinimumShouldMatch;
use super::parse::{scalar, single_field};
use super::pattern::{PatternKind, terms_matching};
use super::regexp::TermPattern;
use super::text::{self, analyzer_of, fuzzy, near_word, scored_term, scored_words};
use super::values;
use crate::fields::{FieldRef, INDEX};
use crate::highlight::{Sought, Test, What};
use crate::parse::{Object, parsing, scalar_text};
use crate::shard::Shard;

/// `match` and `match_bool_prefix`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchQuery {
    pub field: String,
    pub value: Value,
    pub options: MatchOptions,
    /// The last term is a prefix (`match_bool_prefix`).
    pub last_is_prefix: bool,
    pub boost: f32,
}

/// How the terms of an analyzed text combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    #[default]
    Or,
    And,
}

/// What a text without terms matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroTerms {
    #[default]
    None,
    All,
}

/// The options that `match` and the queries built on it share.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchOptions {
    pub operator: Operator,
    pub minimum_should_match: Option<MinimumShouldMatch>,
    pub fuzziness: Option<FuzzyOptions>,
    pub analyzer: Option<String>,
    pub zero_terms: ZeroTerms,
    /// A value of the wrong type matches nothing instead of being an error.
    pub lenient: bool,
    /// Several words that stand for others are a phrase; otherwise each must be there.
    pub phrases_of_synonyms: bool,
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self {
            operator: Operator::default(),
            minimum_should_match: None,
            fuzziness: None,
            analyzer: None,
            zero_terms: ZeroTerms::default(),
            lenient: false,
            phrases_of_synonyms: true,
        }
    }
}

pub(super) fn parse(given: &Definition<'_>, last_is_prefix: bool) -> Result<Query, ApiError> {
    let name = given.name;
    let (field, value) = single_field(name, given.body)?;
    let field = field.to_owned();
    if !value.is_object() {
        return Ok(Query::Match(MatchQuery {
            field,
            value: scalar(name, value)?,
            options: MatchOptions::default(),
            last_is_prefix,
            boost: 1.0,
        }));
    }
    let mut object = Object::new(name, value)?;
    let value = scalar(name, object.require("query")?)?;
    let options = match_options(&mut object)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Match(MatchQuery {
        field,
        value,
        options,
        last_is_prefix,
        boost,
    }))
}

/// Takes the members shared by `match` and `multi_match`.
pub(super) fn match_options(object: &mut Object<'_>) -> Result<MatchOptions, ApiError> {
    let operator = operator(object, "operator")?;
    let minimum_should_match = object
        .take("minimum_should_match")
        .map(MinimumShouldMatch::parse)
        .transpose()?;
    let fuzziness = fuzzy_options(object, false)?;
    let phrases_of_synonyms = object.bool("auto_generate_synonyms_phrase_query")?;
    Ok(MatchOptions {
        phrases_of_synonyms: phrases_of_synonyms.unwrap_or(true),
        operator,
        minimum_should_match,
        fuzziness,
        analyzer: object.text("analyzer")?,
        zero_terms: zero_terms(object)?,
        lenient: object.bool("lenient")?.unwrap_or(false),
    })
}

/// Takes an `and`/`or` member.
pub(super) fn operator(object: &mut Object<'_>, key: &'static str) -> Result<Operator, ApiError> {
    match object.text(key)?.map(|t| t.to_ascii_lowercase()).as_deref() {
        None | Some("or") => Ok(Operator::Or),
        Some("and") => Ok(Operator::And),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "No enum constant org.elasticsearch.index.query.Operator.{}, expected [and] or [or] \
             for [{key}]",
            other.to_ascii_uppercase()
        ))),
    }
}

/// Takes `zero_terms_query`.
pub(super) fn zero_terms(object: &mut Object<'_>) -> Result<ZeroTerms, ApiError> {
    match object.text("zero_terms_query")?.as_deref() {
        None | Some("none" | "NONE") => Ok(ZeroTerms::None),
        Some("all" | "ALL") => Ok(ZeroTerms::All),
        Some(other) => Err(parsing(format!(
            "Unsupported zero_terms_query value [{other}], expected [none] or [all]"
        ))),
    }
}

impl Kind for MatchQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        if self.field == INDEX {
            let values = std::slice::from_ref(&self.value);
            return Ok(index_name(shard, values, self.boost));
        }
        with_field(shard, &self.field, |field| {
            let compiled = match_field(shard, field, self)?;
            Ok(boosted(compiled, self.boost))
        })
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }

    fn needs_several(&self) -> bool {
        self.options.operator == Operator::And || self.options.minimum_should_match.is_some()
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        let text = scalar_text(&self.value).unwrap_or_default();
        let analyzer = analyzer_of(shard, &field, self.options.analyzer.as_deref())?;
        let words: Vec<String> = match analyzer {
            Some(analyzer) => {
                let tokens = analyzer.search_tokens(&text, usize::MAX)?.into_iter();
                tokens.map(|token| token.text).collect()
            }
            None => vec![field.normalized(&text)?.into_owned()],
        };
        let last = words.len().saturating_sub(1);
        sought.boosted(self.boost, |sought| {
            for (place, word) in words.into_iter().enumerate() {
                let test = match &self.options.fuzziness {
                    _ if self.last_is_prefix && place == last => {
                        Test::passes(move |term| term.starts_with(&word))
                    }
                    Some(options) => near_word(&word, options),
                    None => Test::Is(word),
                };
                sought.add(shard, &field.name, What::Word(test))?;
            }
            Ok(())
        })
    }
}

fn match_field(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    query: &MatchQuery,
) -> Result<Compiled, ApiError> {
    let options = &query.options;
    let text = scalar_text(&query.value).unwrap_or_default();
    let analyzer = analyzer_of(shard, field, options.analyzer.as_deref())?;
    let Some(analyzer) = analyzer else {
        return exact(shard, field, query, &text);
    };
    let tokens = text::tokens(shard, &analyzer, &text)?;
    let segments = graph::segments(shard, &tokens)?;
    let last = segments.len().saturating_sub(1);
    let one = |index: usize, token: &str| match &options.fuzziness {
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
    };
    let mut queries = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        // Words that stand for each other are as one.
        if let Some(words) = segment.words()
            && words.len() > 1
            && options.fuzziness.is_none()
            && !(query.last_is_prefix && index == last)
        {
            shard.count_clause()?;
            queries.push(scored_words(shard, field, &words)?);
            continue;
        }
        let ways = segment.ways.iter().map(|way| match way.as_slice() {
            [(_, word)] => one(index, word),
            way if options.phrases_of_synonyms => {
                shard.count_clause()?;
                phrase_of(shard, field, way, 0, None)
            }
            way => {
                let words = way.iter().map(|(_, word)| one(index, word));
                let words = words.map(|query| Ok((Occur::Must, query?)));
                let words = words.collect::<Result<Vec<_>, ApiError>>()?;
                let all: Compiled = Box::new(BooleanQuery::new(words));
                Ok(all)
            }
        });
        let ways = ways.collect::<Result<Vec<Compiled>, ApiError>>()?;
        queries.push(at_least(ways, 1));
    }
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
        let text = field.normalized(text)?;
        let pattern = TermPattern::compile(PatternKind::Prefix, &text, false)?;
        return Ok(constant(terms_matching(shard, field, pattern), 1.0));
    }
    if let Some(options) = &query.options.fuzziness
        && field.has_terms()
    {
        return fuzzy(shard, field, &field.normalized(text)?, options);
    }
    match values::term(shard, field, &query.value, 1.0) {
        Err(_) if query.options.lenient => Ok(none()),
        result => result,
    }
}
