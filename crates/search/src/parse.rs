//! Strict reading of JSON objects: every member is taken by name, and what is left is an error.

use std::collections::BTreeSet;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{decimal, java, suggest};
use serde_json::{Map, Value};

/// An object being read. [`Object::finish`] refuses members nobody asked for, so that no part of a
/// request is ever ignored.
pub(crate) struct Object<'a> {
    /// The clause the object belongs to, for messages: `match`, `terms`.
    name: &'a str,
    members: &'a Map<String, Value>,
    taken: BTreeSet<&'a str>,
    /// Every name asked for, for suggestions.
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Starts to read `value`, which must be an object.
    pub(crate) fn new(name: &'a str, value: &'a Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self::of(name, members)),
            other => Err(malformed(name, "START_OBJECT", other)),
        }
    }

    /// Starts to read the members of an object.
    pub(crate) fn of(name: &'a str, members: &'a Map<String, Value>) -> Self {
        Self {
            name,
            members,
            taken: BTreeSet::new(),
            known: Vec::new(),
        }
    }

    /// Takes a member; JSON null counts as absent.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        let (name, value) = self.members.get_key_value(key)?;
        self.taken.insert(name);
        (!value.is_null()).then_some(value)
    }

    /// Takes a member that must be present.
    pub(crate) fn require(&mut self, key: &'static str) -> Result<&'a Value, ApiError> {
        self.take(key).ok_or_else(|| {
            ApiError::new(
                ErrorCode::Parsing,
                format!("[{}] requires [{key}], which is missing", self.name),
            )
        })
    }

    /// Takes a text; numbers and booleans are read as their text.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<String>, ApiError> {
        let name = self.name;
        self.take(key).map(|v| text_of(name, key, v)).transpose()
    }

    /// Takes a boolean, or its text.
    pub(crate) fn bool(&mut self, key: &'static str) -> Result<Option<bool>, ApiError> {
        let name = self.name;
        self.take(key).map(|v| bool_of(name, key, v)).transpose()
    }

    /// Takes a number, or its text.
    pub(crate) fn f64(&mut self, key: &'static str) -> Result<Option<f64>, ApiError> {
        let name = self.name;
        self.take(key).map(|v| f64_of(name, key, v)).transpose()
    }

    /// Takes a whole number, or its text.
    pub(crate) fn i64(&mut self, key: &'static str) -> Result<Option<i64>, ApiError> {
        let name = self.name;
        self.take(key).map(|v| i64_of(name, key, v)).transpose()
    }

    /// Takes a whole number that is not negative.
    pub(crate) fn usize(&mut self, key: &'static str) -> Result<Option<usize>, ApiError> {
        let name = self.name;
        self.i64(key)?
            .map(|n| {
                usize::try_from(n).map_err(|_| {
                    ApiError::illegal_argument(format!(
                        "[{key}] must be positive or zero, got [{n}] in [{name}]"
                    ))
                })
            })
            .transpose()
    }

    /// Takes `boost`, 1 by default; negative values are refused.
    pub(crate) fn boost(&mut self) -> Result<f32, ApiError> {
        let boost = self.f64("boost")?.unwrap_or(1.0) as f32;
        if boost < 0.0 || !boost.is_finite() {
            return Err(ApiError::illegal_argument(format!(
                "negative [boost] are not allowed in [{}], use a value between 0 and 1 to deboost",
                self.name
            )));
        }
        Ok(boost)
    }

    /// Takes an option whose only supported value is its default, given as text.
    pub(crate) fn only(&mut self, key: &'static str, default: &str) -> Result<(), ApiError> {
        match self.text(key)? {
            Some(other) if other != default => Err(ApiError::illegal_argument(format!(
                "[{}] supports only [{default}] for [{key}], got [{other}]",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the members not taken yet.
    pub(crate) fn rest(&self) -> Vec<(&'a str, &'a Value)> {
        self.members
            .iter()
            .filter(|(key, _)| !self.taken.contains(key.as_str()))
            .map(|(key, value)| (key.as_str(), value))
            .collect()
    }

    /// Marks every member as taken: the caller reads [`Object::rest`] itself.
    pub(crate) fn take_rest(&mut self) -> Vec<(&'a str, &'a Value)> {
        let rest = self.rest();
        self.taken.extend(rest.iter().map(|(key, _)| *key));
        rest
    }

    /// Refuses members nobody took.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let Some((key, _)) = self.rest().first().copied() else {
            return Ok(());
        };
        Err(ApiError::new(
            ErrorCode::XContentParse,
            format!(
                "[{}] unknown field [{key}]{}",
                self.name,
                did_you_mean(key, self.known.iter().copied())
            ),
        ))
    }
}

/// Returns ` did you mean [x]?` with the nearest known names, or nothing.
pub(crate) fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match suggest::nearest(name, known).as_slice() {
        [] => String::new(),
        [one] => format!(" did you mean [{one}]?"),
        several => format!(" did you mean any of [{}]?", several.join(", ")),
    }
}

/// Returns the 400 of a request that does not parse.
pub(crate) fn parsing(reason: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::Parsing, reason)
}

/// Returns the 400 of a query that cannot run against the mapping of a shard.
pub(crate) fn query_shard(reason: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::QueryShard, reason)
}

/// Returns [`query_shard`] with its cause, as limits of an index are told.
pub(crate) fn failed_to_create(reason: String) -> ApiError {
    query_shard(format!("failed to create query: {reason}"))
        .caused_by(ApiError::illegal_argument(reason))
}

/// Returns the name that parsers give to the kind of a value, for messages.
pub(crate) fn token_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// Returns the 400 of a clause whose body has the wrong kind.
pub(crate) fn malformed(name: &str, expected: &str, found: &Value) -> ApiError {
    parsing(format!(
        "[{name}] query malformed, expected [{expected}] but found [{}]",
        token_name(found)
    ))
}

/// Reads a text; numbers and booleans give their JSON text.
pub(crate) fn text_of(name: &str, key: &str, value: &Value) -> Result<String, ApiError> {
    scalar_text(value).ok_or_else(|| wrong_type(name, key, "a text", value))
}

/// Returns the text of a scalar value as Elasticsearch makes one of it, `None` for null, arrays and objects.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(java::number_text(number.as_str())),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads a boolean, or the texts `true` and `false`.
pub(crate) fn bool_of(name: &str, key: &str, value: &Value) -> Result<bool, ApiError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(wrong_type(name, key, "a boolean", other)),
    }
}

/// Reads a finite number, or its text.
pub(crate) fn f64_of(name: &str, key: &str, value: &Value) -> Result<f64, ApiError> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|n| n.is_finite())
        .ok_or_else(|| wrong_type(name, key, "a number", value))
}

/// Reads a whole number, or its text.
pub(crate) fn i64_of(name: &str, key: &str, value: &Value) -> Result<i64, ApiError> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong_type(name, key, "a whole number", value))
}

/// Reads a number, or its text, as a whole number: fractions are cut, and what is beyond every integer type becomes
/// the greatest or least.
pub(crate) fn whole_of(name: &str, key: &str, value: &Value) -> Result<i128, ApiError> {
    let text = match value {
        Value::Number(number) => number.as_str(),
        Value::String(text) => text.trim(),
        other => return Err(wrong_type(name, key, "a whole number", other)),
    };
    let whole = decimal::whole(text).ok_or_else(|| wrong_type(name, key, "a number", value))?;
    let beyond = if text.starts_with('-') {
        i128::MIN
    } else {
        i128::MAX
    };
    Ok(whole.value.unwrap_or(beyond))
}

/// Reads a list of texts; one text counts as a list of one.
pub(crate) fn texts_of(name: &str, key: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    match value {
        Value::Array(items) => items.iter().map(|v| text_of(name, key, v)).collect(),
        one => Ok(vec![text_of(name, key, one)?]),
    }
}

fn wrong_type(name: &str, key: &str, expected: &str, found: &Value) -> ApiError {
    ApiError::new(
        ErrorCode::XContentParse,
        format!(
            "[{name}] {key} doesn't support values of type: {}, expected {expected}",
            token_name(found)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_members_are_refused_with_a_suggestion() {
        let value = json!({"operator": "and", "analyser": "x"});
        let mut object = Object::new("match", &value).unwrap();
        object.text("operator").unwrap();
        object.text("analyzer").unwrap();
        let error = object.finish().unwrap_err();
        assert_eq!(
            error.reason,
            "[match] unknown field [analyser] did you mean [analyzer]?"
        );
    }

    #[test]
    fn scalars_are_read_leniently_but_not_blindly() {
        let value = json!({"a": "12", "b": 3.5, "c": "true", "d": []});
        let mut object = Object::new("x", &value).unwrap();
        assert_eq!(object.i64("a").unwrap(), Some(12));
        assert!(object.i64("b").is_err());
        assert_eq!(object.bool("c").unwrap(), Some(true));
        assert!(object.text("d").is_err());
        object.finish().unwrap();
    }
}
