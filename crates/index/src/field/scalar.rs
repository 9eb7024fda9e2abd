//! JSON scalars, of which most types read their values.

use std::borrow::Cow;

use ringwall_api::ApiError;
use serde_json::Value;

use crate::analysis::{Exceeded, Unfit};

/// A JSON scalar other than null.
#[derive(Debug, Clone)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Unsigned(u64),
    /// Every other number, as it is written: text and value both matter.
    Number(Cow<'a, str>),
    Bool(bool),
}

/// Why a scalar is not a value of a field.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Dropped quietly under `ignore_malformed`.
    Malformed(String),
    /// Refused always, for the reason.
    Refused(String),
    /// Refused always.
    Immense { bytes: usize },
}

impl From<Exceeded> for Rejection {
    fn from(exceeded: Exceeded) -> Self {
        Self::Refused(ApiError::from(exceeded).reason)
    }
}

impl From<Unfit> for Rejection {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Exceeded(exceeded) => exceeded.into(),
            Unfit::Immense(bytes) => Self::Immense { bytes },
        }
    }
}

impl Scalar<'_> {
    /// Returns the scalar of a JSON value, or `None` for null, arrays and objects.
    pub(crate) fn of(value: &Value) -> Option<Scalar<'_>> {
        Some(match value {
            Value::String(text) => Scalar::Text(text.into()),
            Value::Bool(flag) => Scalar::Bool(*flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Scalar::Int(int),
                (None, Some(unsigned)) => Scalar::Unsigned(unsigned),
                (None, None) => Scalar::Number(number.as_str().into()),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }

    /// Returns the scalar as text: a number as it is written, which is what a keyword holds.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) | Self::Number(text) => Cow::Borrowed(text),
            Self::Int(int) => int.to_string().into(),
            Self::Unsigned(unsigned) => unsigned.to_string().into(),
            Self::Bool(flag) => if *flag { "true" } else { "false" }.into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// Returns a scalar as it is written, which is also what a keyword is indexed as.
pub(super) fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn malformed(reason: impl Into<String>) -> Rejection {
    Rejection::Malformed(reason.into())
}
