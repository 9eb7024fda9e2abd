//! JSON to [`Query`]. Everything that is not understood is an error. Source: Elasticsearch reference, "Query DSL".

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use super::kind::Definition;
use super::{QUERIES, Query, query_names};
use crate::parse::{Object, did_you_mean, malformed, parsing, texts_of, token_name};

/// Parses a query object, which has exactly one member: the name of the query.
pub fn parse_query(value: &Value) -> Result<Query, ApiError> {
    parse_at(value, 0)
}

/// No query nests deeper, whatever `indices.query.bool.max_nested_depth` says: parsing and compiling
/// go as deep on the stack.
const MAX_DEPTH: usize = 64;

/// [`parse_query`] for a query within so many others.
pub(super) fn parse_at(value: &Value, depth: usize) -> Result<Query, ApiError> {
    if depth >= MAX_DEPTH {
        return Err(too_deep());
    }
    let Value::Object(members) = value else {
        return Err(parsing(format!(
            "[_na] query malformed, must start with start_object but found [{}]",
            token_name(value)
        )));
    };
    let mut entries = members.iter();
    let Some((name, body)) = entries.next() else {
        return Err(ApiError::illegal_argument(
            "query malformed, empty clause found",
        ));
    };
    if entries.next().is_some() {
        return Err(parsing(format!(
            "[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"
        )));
    }
    let known = QUERIES.iter().find(|(known, _)| known == name);
    let (name, parse) = known.ok_or_else(|| unknown_query(name))?;
    parse(&Definition { name, body, depth })
}

/// Refuses queries that nest deeper than `indices.query.bool.max_nested_depth`, leaves counted.
pub fn check_query_depth(query: &Query, most: usize) -> Result<(), ApiError> {
    if query.depth() > most {
        return Err(too_deep());
    }
    Ok(())
}

fn too_deep() -> ApiError {
    ApiError::illegal_argument(
        "The nested depth of the query exceeds the maximum nested depth for queries set in \
         [indices.query.bool.max_nested_depth]",
    )
}

fn unknown_query(name: &str) -> ApiError {
    parsing(format!(
        "unknown query [{name}]{}",
        did_you_mean(name, query_names())
    ))
    .caused_by(ApiError::new(
        ErrorCode::NamedObjectNotFound,
        format!("unknown field [{name}]"),
    ))
}

/// The body `{"field": X}` of most leaf queries; X is an object of options or the short form.
pub(super) fn single_field<'a>(
    name: &str,
    body: &'a Value,
) -> Result<(&'a str, &'a Value), ApiError> {
    let Value::Object(members) = body else {
        return Err(malformed(name, "START_OBJECT", body));
    };
    let mut entries = members.iter();
    let Some((field, value)) = entries.next() else {
        return Err(parsing(format!(
            "[{name}] query malformed, no field name given"
        )));
    };
    if let Some((second, _)) = entries.next() {
        return Err(parsing(format!(
            "[{name}] query doesn't support multiple fields, found [{field}] and [{second}]"
        )));
    }
    Ok((field, value))
}

/// Refuses null and arrays where one value is expected.
pub(super) fn scalar(name: &str, value: &Value) -> Result<Value, ApiError> {
    match value {
        Value::Array(_) => Err(parsing(format!(
            "[{name}] query does not support array of values"
        ))),
        Value::Object(_) => Err(parsing(format!(
            "[{name}] query does not support an object as value"
        ))),
        Value::Null => Err(ApiError::illegal_argument("value cannot be null")),
        other => Ok(other.clone()),
    }
}

/// Takes a phrase slop.
pub(super) fn slop(object: &mut Object<'_>, key: &'static str) -> Result<u32, ApiError> {
    let slop = object.usize(key)?.unwrap_or(0);
    u32::try_from(slop).map_err(|_| ApiError::illegal_argument(format!("[{key}] is too large")))
}

/// Takes `fields`: a text or a list of `name`, `name^boost` and patterns.
pub(super) fn field_list(
    object: &mut Object<'_>,
    name: &str,
) -> Result<Vec<(String, f32)>, ApiError> {
    let Some(value) = object.take("fields") else {
        return Ok(Vec::new());
    };
    if value
        .as_array()
        .is_some_and(|items| items.iter().any(Value::is_null))
    {
        return Err(parsing(format!(
            "[{name}] field name in [fields] cannot be null"
        )));
    }
    texts_of(name, "fields", value)?
        .iter()
        .map(|text| parse_field_boost(name, text))
        .collect()
}

fn parse_field_boost(name: &str, text: &str) -> Result<(String, f32), ApiError> {
    let Some((field, boost)) = text.rsplit_once('^') else {
        return Ok((text.to_owned(), 1.0));
    };
    match boost.parse::<f32>() {
        Ok(boost) if boost >= 0.0 && boost.is_finite() => Ok((field.to_owned(), boost)),
        _ => Err(ApiError::illegal_argument(format!(
            "[{name}] field [{text}] has a bad boost [{boost}], expected a positive number"
        ))),
    }
}

/// Takes `rewrite`, of which the forms that score every match alike are supported.
pub(super) fn constant_rewrite(object: &mut Object<'_>) -> Result<(), ApiError> {
    match object.text("rewrite")?.as_deref() {
        None | Some("constant_score" | "constant_score_blended" | "constant_score_boolean") => {
            Ok(())
        }
        Some(other) => Err(ApiError::illegal_argument(format!(
            "only [constant_score], [constant_score_blended] and [constant_score_boolean] are \
             supported for [rewrite], got [{other}]"
        ))),
    }
}

/// Reads a query or a list of queries.
pub(super) fn clauses(value: Option<&Value>, depth: usize) -> Result<Vec<Query>, ApiError> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|q| parse_at(q, depth + 1)).collect(),
        Some(one) => Ok(vec![parse_at(one, depth + 1)?]),
    }
}
