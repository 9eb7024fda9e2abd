//! Values of the parameters of a mapping.

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::mapping_error;
use crate::Analyzer;

/// Source: Elasticsearch reference, "meta".
pub(crate) fn check_meta(value: &Value) -> Result<(), ApiError> {
    let entries = object("meta", value)?;
    if entries.len() > 5 {
        return Err(mapping_error(format!(
            "[meta] can't have more than 5 entries, but got {}",
            entries.len()
        )));
    }
    for (name, value) in entries {
        let (kept, most) = (name.encode_utf16().count(), 20);
        if kept > most {
            return Err(mapping_error(format!(
                "[meta] keys can't be longer than {most} chars, but got [{kept}]"
            )));
        }
        let Value::String(text) = value else {
            return Err(mapping_error(format!(
                "[meta] values can only be strings, but got {}[{}]",
                kind(value),
                java_text(value)
            )));
        };
        let (kept, most) = (text.encode_utf16().count(), 50);
        if kept > most {
            return Err(mapping_error(format!(
                "[meta] values can't be longer than {most} chars, but got [{kept}] for field [{name}]"
            )));
        }
    }
    Ok(())
}

pub(crate) fn analyzer(value: &Value, path: &str) -> Result<Analyzer, ApiError> {
    let name = string("analyzer", value, path)?;
    // Whether there is one is known when the analyzers of the index are.
    Ok(Analyzer::from_name(name).unwrap_or_else(|| Analyzer::Named(name.into())))
}

pub(crate) fn object<'a>(key: &str, value: &'a Value) -> Result<&'a Map<String, Value>, ApiError> {
    value
        .as_object()
        .ok_or_else(|| mapping_error(format!("[{key}] must be an object")))
}

pub(crate) fn boolean(key: &str, value: &Value) -> Result<bool, ApiError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(mapping_error(format!(
            "Could not convert [{key}] to boolean: Failed to parse value [{}] as only [true] or \
             [false] are allowed.",
            java_text(other)
        ))),
    }
}

pub(crate) fn whole(key: &str, value: &Value, path: &str) -> Result<usize, ApiError> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    number
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| *number <= i32::MAX as usize)
        .ok_or_else(|| {
            mapping_error(format!(
                "Failed to parse value [{}] of parameter [{key}] on field [{path}]: expected a \
                 whole number, zero or more",
                java_text(value)
            ))
        })
}

pub(crate) fn string<'a>(key: &str, value: &'a Value, path: &str) -> Result<&'a str, ApiError> {
    value.as_str().ok_or_else(|| {
        mapping_error(format!(
            "parameter [{key}] on field [{path}] must be a string"
        ))
    })
}

pub(crate) fn one_of(
    key: &str,
    value: &Value,
    allowed: &[&str],
    path: &str,
) -> Result<(), ApiError> {
    let text = string(key, value, path)?;
    if allowed.contains(&text) {
        return Ok(());
    }
    Err(mapping_error(format!(
        "Unknown value [{text}] for field [{key}] - accepted values are [{}]",
        allowed.join(", ")
    )))
}

pub(crate) fn string_list(key: &str, value: &Value, path: &str) -> Result<Vec<String>, ApiError> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| string(key, item, path).map(str::to_owned))
            .collect(),
        one => Ok(vec![string(key, one, path)?.to_owned()]),
    }
}

pub(crate) fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// The text Java shows for a value: strings without quotes.
pub(crate) fn java_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
