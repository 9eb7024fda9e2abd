//! `_source` filtering, for searches and for reads by id. Source: data.md section 2.10.

use bytes::Bytes;
use ringwall_api::ApiError;
use ringwall_api::document::SourceFilter;
use ringwall_base::glob::{self, Syntax};
use ringwall_base::json;
use serde_json::{Map, Value};

use crate::parse::{Object, text_of, texts_of, token_name};

/// Reads `_source` of a request: `true`, `false`, a pattern, patterns, or an object with
/// `includes` and `excludes`.
pub fn parse(value: &Value) -> Result<SourceFilter, ApiError> {
    match value {
        Value::Bool(enabled) => Ok(SourceFilter {
            enabled: *enabled,
            ..SourceFilter::default()
        }),
        Value::String(_) | Value::Array(_) => Ok(SourceFilter {
            includes: texts_of("_source", "includes", value)?,
            ..SourceFilter::default()
        }),
        Value::Object(_) => {
            let mut object = Object::new("_source", value)?;
            let includes = list(&mut object, ["includes", "include"])?;
            let excludes = list(&mut object, ["excludes", "exclude"])?;
            // There are no vectors to leave out.
            object.bool("exclude_vectors")?;
            object.finish()?;
            Ok(SourceFilter {
                enabled: true,
                includes,
                excludes,
            })
        }
        other => Err(crate::parse::parsing(format!(
            "Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found \
             [{}] in [_source]",
            token_name(other)
        ))),
    }
}

/// Returns the parts of a document that the filter selects, or `None` when it selects no
/// `_source` at all. Without patterns the text is returned as it is.
///
/// # Errors
/// `illegal_state_exception` when the stored document is not a JSON object.
pub fn apply(source: &[u8], filter: &SourceFilter) -> Result<Option<Bytes>, ApiError> {
    if !filter.enabled {
        return Ok(None);
    }
    if filter.includes.is_empty() && filter.excludes.is_empty() {
        return Ok(Some(Bytes::copy_from_slice(source)));
    }
    let Ok(Value::Object(document)) = json::parse(source) else {
        return Err(ApiError::internal(
            "the stored _source is not a JSON object",
        ));
    };
    let filtered = filter_object(document, "", filter, filter.includes.is_empty());
    let text = serde_json::to_vec(&Value::Object(filtered))
        .map_err(|_| ApiError::internal("the filtered _source cannot be written"))?;
    Ok(Some(text.into()))
}

/// Tells whether a name or path matches a pattern in which `*` stands for any characters.
pub(crate) fn name_matches(pattern: &str, text: &str) -> bool {
    glob::matches(pattern, text, Syntax::Star)
}

fn list(object: &mut Object<'_>, keys: [&'static str; 2]) -> Result<Vec<String>, ApiError> {
    for key in keys {
        if let Some(value) = object.take(key) {
            return match value {
                Value::Array(_) => texts_of("_source", key, value),
                one => Ok(vec![text_of("_source", key, one)?]),
            };
        }
    }
    Ok(Vec::new())
}

/// `included`: an include pattern matched an ancestor (or there are none).
fn filter_object(
    object: Map<String, Value>,
    path: &str,
    filter: &SourceFilter,
    included: bool,
) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in object {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        if let Some(value) = filter_value(value, &path, filter, included) {
            kept.insert(key, value);
        }
    }
    kept
}

fn filter_value(value: Value, path: &str, filter: &SourceFilter, included: bool) -> Option<Value> {
    if filter
        .excludes
        .iter()
        .any(|pattern| name_matches(pattern, path))
    {
        return None;
    }
    let included = included
        || filter
            .includes
            .iter()
            .any(|pattern| name_matches(pattern, path));
    match value {
        Value::Object(object) => {
            let object = filter_object(object, path, filter, included);
            (included || !object.is_empty()).then_some(Value::Object(object))
        }
        Value::Array(items) => {
            let was_empty = items.is_empty();
            let items: Vec<Value> = items
                .into_iter()
                .filter_map(|item| filter_value(item, path, filter, included))
                .collect();
            (!items.is_empty() || (was_empty && included)).then_some(Value::Array(items))
        }
        leaf => included.then_some(leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(filter: Value, expected: Value) {
        let source = json!({
            "a": 1,
            "b": {"c": 2, "d": {"e": 3}},
            "list": [{"x": 1, "y": 2}, {"x": 3}],
            "tags": ["p", "q"],
        });
        let filter = parse(&filter).unwrap();
        let bytes = serde_json::to_vec(&source).unwrap();
        let found = apply(&bytes, &filter).unwrap();
        let found: Value = found.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        assert_eq!(found, expected);
    }

    #[test]
    fn includes_and_excludes() {
        check(json!(false), Value::Null);
        check(json!("a"), json!({"a": 1}));
        check(json!(["b.d"]), json!({"b": {"d": {"e": 3}}}));
        check(json!("b.*"), json!({"b": {"c": 2, "d": {"e": 3}}}));
        check(json!("*.x"), json!({"list": [{"x": 1}, {"x": 3}]}));
        check(
            json!({"excludes": ["b", "list.y", "tags"]}),
            json!({"a": 1, "list": [{"x": 1}, {"x": 3}]}),
        );
        check(
            json!({"includes": ["b"], "excludes": ["b.d.*"]}),
            json!({"b": {"c": 2, "d": {}}}),
        );
        check(json!("nothing"), json!({}));
    }
}
