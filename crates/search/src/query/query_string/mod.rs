//! `query_string` and `simple_query_string`. Source: Elasticsearch reference, "Query string query" and "Simple query string
//! query".

mod lower;
mod lucene;
mod simple;
mod syntax;

use ringwall_api::ApiError;

use super::Query;
use super::compile::{Compiled, compile};
use super::fuzzy::{FuzzyOptions, parse_fuzziness};
use super::kind::{Definition, Kind};
use super::match_query::{MatchOptions, Operator, operator};
use super::min_match::MinimumShouldMatch;
use super::parse::{constant_rewrite, field_list, slop};
use crate::highlight::Sought;
use crate::parse::{Object, text_of};
use crate::shard::Shard;

/// `query_string` and `simple_query_string`: the text stays text until the mapping is known,
/// because field names with wildcards and default fields depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryStringQuery {
    pub query: String,
    /// Field patterns with their boosts; empty means every field.
    pub fields: Vec<(String, f32)>,
    /// The forgiving syntax of `simple_query_string`.
    pub simple: bool,
    pub default_operator: Operator,
    pub allow_leading_wildcard: bool,
    /// Prefixes on text fields are analyzed: `well-kn*` is `well` and a prefix `kn`.
    pub analyze_wildcard: bool,
    pub phrase_slop: u32,
    pub fuzzy: FuzzyOptions,
    pub options: MatchOptions,
    pub most_fields: bool,
    pub tie_breaker: f32,
    pub time_zone: Option<String>,
    pub boost: f32,
}

/// Reads the body of `query_string`.
pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let mut object = Object::new(name, given.body)?;
    let mut query = common(name, &mut object)?;
    if let Some(field) = object.text("default_field")? {
        if !query.fields.is_empty() {
            return Err(ApiError::illegal_argument(
                "[query_string] cannot have both [fields] and [default_field]",
            ));
        }
        query.fields = vec![(field, 1.0)];
    }
    query.most_fields = match object.text("type")?.as_deref() {
        None | Some("best_fields") => false,
        Some("most_fields") => true,
        Some(other) => {
            return Err(ApiError::illegal_argument(format!(
                "[query_string] supports [best_fields, most_fields] as [type], got [{other}]"
            )));
        }
    };
    query.allow_leading_wildcard = object.bool("allow_leading_wildcard")?.unwrap_or(true);
    query.phrase_slop = slop(&mut object, "phrase_slop")?;
    if let Some(value) = object.take("fuzziness") {
        query.fuzzy.fuzziness = parse_fuzziness(value)?;
    }
    query.tie_breaker = object.f64("tie_breaker")?.unwrap_or(0.0) as f32;
    query.time_zone = object.text("time_zone")?;
    if object.bool("escape")?.unwrap_or(false) {
        query.query = escape(&query.query);
    }
    object.usize("max_determinized_states")?;
    constant_rewrite(&mut object)?;
    object.only("enable_position_increments", "true")?;
    object.only("quote_analyzer", "")?;
    object.finish()?;
    Ok(Query::QueryString(query))
}

/// Reads the body of `simple_query_string`.
pub(super) fn parse_simple(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let mut object = Object::new(name, given.body)?;
    let mut query = common(name, &mut object)?;
    query.simple = true;
    query.most_fields = true;
    object.only("flags", "ALL")?;
    object.finish()?;
    Ok(Query::QueryString(query))
}

fn common(name: &str, object: &mut Object<'_>) -> Result<QueryStringQuery, ApiError> {
    let defaults = FuzzyOptions::default();
    let query = text_of(name, "query", object.require("query")?)?;
    let fuzzy = FuzzyOptions {
        fuzziness: defaults.fuzziness,
        prefix_length: object
            .usize("fuzzy_prefix_length")?
            .unwrap_or(defaults.prefix_length),
        max_expansions: object
            .usize("fuzzy_max_expansions")?
            .unwrap_or(defaults.max_expansions),
        transpositions: object.bool("fuzzy_transpositions")?.unwrap_or(true),
    };
    let analyze_wildcard = object.bool("analyze_wildcard")?.unwrap_or(false);
    object.only("quote_field_suffix", "")?;
    let phrases_of_synonyms = object.bool("auto_generate_synonyms_phrase_query")?;
    let default_operator = operator(object, "default_operator")?;
    Ok(QueryStringQuery {
        query,
        fields: field_list(object, name)?,
        simple: false,
        default_operator,
        allow_leading_wildcard: true,
        analyze_wildcard,
        phrase_slop: 0,
        fuzzy,
        options: MatchOptions {
            minimum_should_match: object
                .take("minimum_should_match")
                .map(MinimumShouldMatch::parse)
                .transpose()?,
            analyzer: object.text("analyzer")?,
            lenient: object.bool("lenient")?.unwrap_or(false),
            phrases_of_synonyms: phrases_of_synonyms.unwrap_or(true),
            ..MatchOptions::default()
        },
        most_fields: false,
        tie_breaker: 0.0,
        time_zone: None,
        boost: object.boost()?,
    })
}

/// Escapes every character with a meaning.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "+-=!(){}[]^\"~*?:\\/&|<>".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

impl Kind for QueryStringQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        compile(shard, &lower::lower(shard, self)?)
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }

    fn needs_several(&self) -> bool {
        true
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        lower::lower(shard, self)?.seek(shard, sought)
    }
}
