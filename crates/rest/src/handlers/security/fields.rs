//! Fields and parameters that bodies of security have in common.

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value};

use crate::request::RestRequest;

/// Query parameters of changes to users. Changes are visible at once, whatever is asked for.
pub const CHANGE_PARAMS: &[&str] = &["refresh"];

/// Changes to security are in force when they are acknowledged, whatever `refresh` says.
pub(crate) fn visible_at_once(request: &RestRequest) -> ApiResult<()> {
    request.params.refresh_policy().map(drop)
}

pub(crate) fn text(body: &mut Map<String, Value>, name: &str) -> ApiResult<Option<String>> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(name, "a string")),
    }
}

pub(crate) fn strings(name: &str, value: Value) -> ApiResult<Vec<String>> {
    match value {
        Value::String(one) => Ok(vec![one]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong_type(name, "an array of strings")),
            })
            .collect(),
        _ => Err(wrong_type(name, "an array of strings")),
    }
}

/// The value is never quoted: it may be a password in the wrong place.
pub(crate) fn wrong_type(name: &str, expected: &str) -> ApiError {
    ApiError::new(
        ErrorCode::Parsing,
        format!("field [{name}] must be {expected}"),
    )
}
