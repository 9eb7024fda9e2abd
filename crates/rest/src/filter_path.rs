//! `filter_path`: keeps or drops parts of an answer. Source: data.md section 1.1.

use serde_json::{Map, Value};

/// Patterns over dotted paths: `*` within one level, `**` over any number, `-` to exclude.
#[derive(Debug, Default)]
pub struct FilterPath {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl FilterPath {
    /// Reads the comma-separated parameter.
    pub fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        for pattern in text.split(',').filter(|pattern| !pattern.is_empty()) {
            let (list, pattern) = match pattern.strip_prefix('-') {
                Some(excluded) => (&mut filter.excludes, excluded),
                None => (&mut filter.includes, pattern),
            };
            list.push(pattern.split('.').map(str::to_owned).collect());
        }
        filter
    }

    /// Returns whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.excludes.is_empty()
    }

    /// Returns what remains of an answer; an empty object if nothing does. Exclusions win.
    pub fn apply(&self, value: Value) -> Value {
        let mut kept = if self.includes.is_empty() {
            value
        } else {
            let paths: Vec<&[String]> = self.includes.iter().map(Vec::as_slice).collect();
            include(value, &paths).unwrap_or_else(|| Value::Object(Map::new()))
        };
        if !self.excludes.is_empty() {
            let paths: Vec<&[String]> = self.excludes.iter().map(Vec::as_slice).collect();
            exclude(&mut kept, &paths);
        }
        kept
    }
}

/// Returns the parts of a value that any of the paths reaches; `None` if there are none.
fn include(value: Value, paths: &[&[String]]) -> Option<Value> {
    if paths.iter().any(|path| is_match(path)) {
        return Some(value);
    }
    match value {
        Value::Object(object) => {
            let kept: Map<String, Value> = object
                .into_iter()
                .filter_map(|(key, child)| {
                    let deeper = descend(paths, &key);
                    let child = (!deeper.is_empty()).then(|| include(child, &deeper))??;
                    Some((key, child))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items
                .into_iter()
                .filter_map(|item| include(item, paths))
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn exclude(value: &mut Value, paths: &[&[String]]) {
    match value {
        Value::Object(object) => object.retain(|key, child| {
            let deeper = descend(paths, key);
            if deeper.iter().any(|path| is_match(path)) {
                return false;
            }
            let had_children = has_children(child);
            if !deeper.is_empty() {
                exclude(child, &deeper);
            }
            !had_children || has_children(child)
        }),
        Value::Array(items) => items.retain_mut(|item| {
            let had_children = has_children(item);
            exclude(item, paths);
            !had_children || has_children(item)
        }),
        _ => {}
    }
}

fn has_children(value: &Value) -> bool {
    match value {
        Value::Object(object) => !object.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// Returns what is left of the paths below a key. `**` stays, since it spans any number of levels.
fn descend<'a>(paths: &[&'a [String]], key: &str) -> Vec<&'a [String]> {
    let mut deeper = Vec::new();
    for path in paths {
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        if first == "**" {
            deeper.push(*path);
            deeper.extend(descend(&[rest], key));
        } else if segment_matches(first, key) {
            deeper.push(rest);
        }
    }
    deeper
}

fn is_match(path: &[String]) -> bool {
    path.iter().all(|segment| segment == "**") && path.len() <= 1
}

fn segment_matches(pattern: &str, key: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == key;
    };
    let Some(tail) = key.strip_prefix(prefix) else {
        return false;
    };
    (0..=tail.len())
        .filter(|start| tail.is_char_boundary(*start))
        .any(|start| segment_matches(rest, &tail[start..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_as_published() {
        let answer = json!({
            "took": 3,
            "errors": true,
            "items": [
                {"index": {"_id": "1", "status": 201}},
                {"index": {"_id": "2", "status": 400, "error": {"type": "x", "reason": "y"}}},
            ],
            "nodes": {"n1": {"version": "8", "http": {"publish_address": "a"}}},
        });
        for (filter, expected) in [
            ("took", json!({"took": 3})),
            (
                "errors,items.*.error",
                json!({"errors": true, "items": [{"index": {"error": {"type": "x", "reason": "y"}}}]}),
            ),
            (
                "items.*.status",
                json!({"items": [{"index": {"status": 201}}, {"index": {"status": 400}}]}),
            ),
            (
                "nodes.*.http.publish_address",
                json!({"nodes": {"n1": {"http": {"publish_address": "a"}}}}),
            ),
            (
                "**.type",
                json!({"items": [{"index": {"error": {"type": "x"}}}]}),
            ),
            ("err*", json!({"errors": true})),
            ("t*k", json!({"took": 3})),
            ("nothing", json!({})),
            ("-items,-nodes", json!({"took": 3, "errors": true})),
            (
                "items.*.error,-**.reason",
                json!({"items": [{"index": {"error": {"type": "x"}}}]}),
            ),
            (
                "nodes.**.version",
                json!({"nodes": {"n1": {"version": "8"}}}),
            ),
        ] {
            assert_eq!(
                FilterPath::parse(filter).apply(answer.clone()),
                expected,
                "{filter}"
            );
        }
    }
}
