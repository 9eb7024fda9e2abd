//! `_source` filtering, for searches and for reads by id. Source: Elasticsearch reference, "Retrieve selected fields
//! from a search".

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
    let filtered = filter_object(
        document,
        "",
        &Rules::new(filter),
        filter.includes.is_empty(),
    );
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

/// What a filter says of a path.
struct Rules<'f> {
    filter: &'f SourceFilter,
    /// An object of which nothing is left stays, as Elasticsearch does it where patterns have wildcards.
    keeps_empty: bool,
}

impl Rules<'_> {
    fn new(filter: &SourceFilter) -> Rules<'_> {
        let mut patterns = filter.includes.iter().chain(&filter.excludes);
        Rules {
            filter,
            keeps_empty: patterns.any(|pattern| pattern.contains('*')),
        }
    }

    /// A key with dots stands for a path: the patterns are held against each of its ends.
    fn matches(patterns: &[String], path: &str, key_start: usize) -> bool {
        let dots = path[key_start..].match_indices('.');
        let ends = dots
            .map(|(at, _)| key_start + at)
            .filter(|end| *end > key_start);
        ends.chain([path.len()]).any(|end| {
            patterns
                .iter()
                .any(|pattern| name_matches(pattern, &path[..end]))
        })
    }
}

/// `included`: an include pattern matched an ancestor (or there are none).
fn filter_object(
    object: Map<String, Value>,
    path: &str,
    rules: &Rules<'_>,
    included: bool,
) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in object {
        let (path, key_start) = if path.is_empty() {
            (key.clone(), 0)
        } else {
            (format!("{path}.{key}"), path.len() + 1)
        };
        if Rules::matches(&rules.filter.excludes, &path, key_start) {
            continue;
        }
        let included = included || Rules::matches(&rules.filter.includes, &path, key_start);
        if let Some(value) = filter_value(value, &path, rules, included) {
            kept.insert(key, value);
        }
    }
    kept
}

fn filter_value(value: Value, path: &str, rules: &Rules<'_>, included: bool) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let stays = included && (object.is_empty() || rules.keeps_empty);
            let object = filter_object(object, path, rules, included);
            (stays || !object.is_empty()).then_some(Value::Object(object))
        }
        Value::Array(items) => {
            let stays = included && (items.is_empty() || rules.keeps_empty);
            let inner = |item: Value| match item {
                // What is left of an item is an item only if something is.
                Value::Object(object) if !object.is_empty() => {
                    let object = filter_object(object, path, rules, included);
                    (!object.is_empty()).then_some(Value::Object(object))
                }
                other => filter_value(other, path, rules, included),
            };
            let items: Vec<Value> = items.into_iter().filter_map(inner).collect();
            (stays || !items.is_empty()).then_some(Value::Array(items))
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

    /// Asked of Elasticsearch 8.19.
    #[test]
    fn keys_with_dots_are_paths() {
        let source = json!({
            "a.b": 1,
            "a": {"b": 2, "c": 3, "d.e": {"f": 4, "g.h": 5}},
            "x": {"y.z": [{"p.q": 6, "r": 7}]},
            "e": {},
        });
        let all = || source.as_object().unwrap().clone();
        let without = |key: &str| {
            let mut rest = all();
            rest.shift_remove(key);
            rest
        };
        let mut changed = without("a.b");
        changed["a"].as_object_mut().unwrap().shift_remove("b");
        let mut shorter = all();
        shorter["a"].as_object_mut().unwrap().shift_remove("d.e");
        let mut inner = all();
        inner["x"]["y.z"][0]
            .as_object_mut()
            .unwrap()
            .shift_remove("p.q");
        for (filter, expected) in [
            (json!("a.b"), json!({"a.b": 1, "a": {"b": 2}})),
            (json!("a.d"), json!({"a": {"d.e": {"f": 4, "g.h": 5}}})),
            (json!("a.d.e.f"), json!({"a": {"d.e": {"f": 4}}})),
            (json!("a.d.e.g.h"), json!({"a": {"d.e": {"g.h": 5}}})),
            (json!("x.y.z.p.q"), json!({"x": {"y.z": [{"p.q": 6}]}})),
            (json!("x.y"), json!({"x": {"y.z": [{"p.q": 6, "r": 7}]}})),
            (json!("e"), json!({"e": {}})),
            (json!({"excludes": ["a.b"]}), changed.into()),
            (json!({"excludes": ["a.d"]}), shorter.into()),
            (json!({"excludes": ["x.y.z.p.q"]}), inner.into()),
            (json!({"excludes": ["x.y.z"]}), without("x").into()),
            (
                json!({"includes": ["a"], "excludes": ["a.b"]}),
                json!({"a": {"c": 3, "d.e": {"f": 4, "g.h": 5}}}),
            ),
        ] {
            let bytes = serde_json::to_vec(&source).unwrap();
            let found = apply(&bytes, &parse(&filter).unwrap()).unwrap().unwrap();
            let found: Value = serde_json::from_slice(&found).unwrap();
            assert_eq!(found, expected, "{filter}");
        }
    }

    /// Asked of Elasticsearch 8.19.
    #[test]
    fn what_is_emptied_stays_only_beside_wildcards() {
        check(
            json!({"excludes": ["b.d.e"]}),
            json!({"a": 1, "b": {"c": 2},
            "list": [{"x": 1, "y": 2}, {"x": 3}], "tags": ["p", "q"]}),
        );
        check(
            json!({"includes": ["b"], "excludes": ["b.c", "b.d.e"]}),
            json!({}),
        );
        check(
            json!({"includes": ["list"], "excludes": ["list.*"]}),
            json!({"list": []}),
        );
        check(
            json!({"includes": ["list", "a"], "excludes": ["list.x", "list.y"]}),
            json!({"a": 1}),
        );
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
