//! The members of `query_string` and `simple_query_string`. Source: Elasticsearch reference, "Query string query" and
//! "Simple query string query".

use ringwall_api::ApiError;
use serde_json::Value;

use super::ast::*;
use super::min_match::MinimumShouldMatch;
use super::parse::{constant_rewrite, field_list, operator, parse_fuzziness, slop};
use crate::parse::{Object, text_of};

/// Reads the body of `query_string`.
pub(super) fn query_string(body: &Value) -> Result<Query, ApiError> {
    let name = "query_string";
    let mut object = Object::new(name, body)?;
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
pub(super) fn simple_query_string(body: &Value) -> Result<Query, ApiError> {
    let name = "simple_query_string";
    let mut object = Object::new(name, body)?;
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
    object.bool("auto_generate_synonyms_phrase_query")?;
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
