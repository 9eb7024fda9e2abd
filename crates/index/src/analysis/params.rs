//! What the definition of a part of an analyzer says: its name, its type, and parameters, which are all read or refused.

use std::cell::RefCell;
use std::collections::BTreeSet;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

/// Bounds that the index sets. Source: Elasticsearch reference, `index.max_ngram_diff`, `index.max_shingle_diff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Between the sizes of the smallest and the largest gram of characters.
    pub ngrams: usize,
    /// Between those of words.
    pub shingles: usize,
    /// Bytes that each part of an analyzer may make of a text.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ngrams: 1,
            shingles: 3,
            bytes: 64 << 20,
        }
    }
}

/// The parameters of one part. Values are of JSON, or texts as settings have them.
pub(super) struct Params<'a> {
    /// What it is, such as `char_filter`.
    pub kind: &'static str,
    /// The type.
    pub part: &'a str,
    /// Of the part, for errors.
    pub name: &'a str,
    pub limits: Limits,
    /// Whether nobody has defined the part: it is one of those that are always there.
    pub is_plain: bool,
    given: &'a Map<String, Value>,
    read: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Params<'a> {
    pub(super) fn new(
        kind: &'static str,
        part: &'a str,
        name: &'a str,
        given: &'a Map<String, Value>,
        limits: Limits,
    ) -> Self {
        Self {
            kind,
            part,
            name,
            limits,
            is_plain: false,
            given,
            read: RefCell::default(),
        }
    }

    fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key);
        self.given.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Option<String>, ApiError> {
        self.value(key)
            .map(|value| self.as_text(key, value))
            .transpose()
    }

    fn as_text(&self, key: &str, value: &Value) -> Result<String, ApiError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
            _ => Err(self.wrong(format!("[{key}] must be a text, but is [{value}]"))),
        }
    }

    pub(super) fn flag(&self, key: &'static str, default: bool) -> Result<bool, ApiError> {
        match self.text(key)?.as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            ))),
        }
    }

    /// Returns a whole number.
    pub(super) fn number(&self, key: &'static str, default: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text(key)? else {
            return Ok(default);
        };
        let number = text.parse::<u32>().ok();
        let number = number.filter(|number| *number <= i32::MAX.cast_unsigned());
        let number = number.ok_or_else(|| {
            ApiError::illegal_argument(format!(
                "Failed to parse value [{text}] for setting [{key}]"
            ))
        })?;
        Ok(number as usize)
    }

    /// Returns a list: of JSON, or with commas between. `None` when it is not given.
    pub(super) fn list(&self, key: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let Value::Array(items) = value else {
            let text = self.as_text(key, value)?;
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            return Ok(Some(items.map(str::to_owned).collect()));
        };
        let items = items.iter().map(|item| self.as_text(key, item));
        items.collect::<Result<_, _>>().map(Some)
    }

    /// Returns a list whose items may have commas: only JSON has several.
    pub(super) fn lines(&self, key: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        match self.value(key) {
            Some(Value::Array(_)) => self.list(key),
            Some(one) => Ok(Some(vec![self.as_text(key, one)?])),
            None => Ok(None),
        }
    }

    /// Refuses what has not been read.
    pub(super) fn finish(&self) -> Result<(), ApiError> {
        let read = self.read.borrow();
        let unread = self.given.keys().find(|key| {
            !["type", "version"].contains(&key.as_str()) && !read.contains(key.as_str())
        });
        match unread {
            None => Ok(()),
            Some(key) => Err(self.wrong(format!(
                "the parameter [{key}] of {} type [{}] is not supported by Ringwall",
                self.kind, self.part
            ))),
        }
    }

    pub(super) fn wrong(&self, reason: impl std::fmt::Display) -> ApiError {
        ApiError::illegal_argument(format!("[{}]: {reason}", self.name))
    }
}
