//! A mapping as one sees it from whom some fields are hidden.

use serde_json::{Map, Value};

use super::Mapping;

impl Mapping {
    /// Returns the mapping as clients see it, with the fields of which `shows` holds, by full dotted path. Objects stay
    /// for what is inside of them.
    pub fn to_json_of(&self, shows: impl Fn(&str) -> bool) -> Value {
        let mut json = self.to_json();
        if let Some(Value::Object(properties)) = json.get_mut("properties") {
            retain(properties, "", &shows);
        }
        json
    }
}

/// Returns the definition of a field, which is shown, without what it says of hidden ones.
pub fn shown_of(
    definition: Map<String, Value>,
    path: &str,
    shows: impl Fn(&str) -> bool,
) -> Map<String, Value> {
    let mut definition = Value::Object(definition);
    is_shown(&mut definition, path, &shows);
    match definition {
        Value::Object(definition) => definition,
        _ => Map::new(),
    }
}

fn retain(fields: &mut Map<String, Value>, parent: &str, shows: &dyn Fn(&str) -> bool) {
    let named = std::mem::take(fields).into_iter();
    *fields = named
        .filter_map(|(name, mut field)| {
            let path = match parent {
                "" => name.clone(),
                parent => format!("{parent}.{name}"),
            };
            is_shown(&mut field, &path, shows).then_some((name, field))
        })
        .collect();
}

/// Takes out of a field what is hidden below it. Returns whether something is left to be seen.
fn is_shown(field: &mut Value, path: &str, shows: &dyn Fn(&str) -> bool) -> bool {
    if let Some(Value::Object(inside)) = field.get_mut("properties")
        && !inside.is_empty()
    {
        retain(inside, path, shows);
        return !inside.is_empty();
    }
    if !shows(path) {
        return false;
    }
    let Some(field) = field.as_object_mut() else {
        return true;
    };
    // It names a field, and there is nothing else to it.
    if field.get("type").is_some_and(|name| name == "alias") {
        let target = field.get("path").and_then(Value::as_str);
        return target.is_none_or(shows);
    }
    if let Some(Value::Object(multi_fields)) = field.get_mut("fields") {
        retain(multi_fields, path, shows);
    }
    if let Some(Value::Array(targets)) = field.get_mut("copy_to") {
        targets.retain(|target| target.as_str().is_some_and(shows));
    }
    let is_empty = |value: &Value| match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(target) => !shows(target),
        _ => false,
    };
    for name in ["fields", "copy_to"] {
        if field.get(name).is_some_and(is_empty) {
            field.remove(name);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_definition_of_a_field_does_not_tell_of_hidden_ones() {
        let Value::Object(definition) = json!({
            "type": "text", "copy_to": ["sec", "k"],
            "fields": {"raw": {"type": "keyword"}, "kw": {"type": "keyword"}},
        }) else {
            unreachable!()
        };
        let shown = shown_of(definition, "t", |path| ["t", "k", "t.kw"].contains(&path));
        assert_eq!(
            Value::Object(shown),
            json!({"type": "text", "copy_to": ["k"], "fields": {"kw": {"type": "keyword"}}})
        );
    }

    #[test]
    fn hidden_fields_are_in_no_part_of_the_mapping() {
        let mapping = json!({"properties": {
            "k": {"type": "keyword", "copy_to": ["n", "t"]},
            "n": {"type": "keyword", "copy_to": ["k"]},
            "t": {"type": "text", "fields": {"raw": {"type": "keyword"}, "len": {"type": "keyword"}}},
            "o": {"properties": {"a": {"type": "keyword"}, "b": {"type": "keyword"}}},
            "p": {"properties": {"q": {"type": "keyword"}}},
        }});
        let mapping = Mapping::parse(&mapping).unwrap();
        let seen = mapping.to_json_of(|path| ["k", "t", "t.raw", "o.a"].contains(&path));
        assert_eq!(
            seen["properties"],
            json!({
                "k": {"type": "keyword", "copy_to": ["t"]},
                "o": {"properties": {"a": {"type": "keyword"}}},
                "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
            })
        );
        assert_eq!(mapping.to_json_of(|_| true), mapping.to_json());
        let mapping = Mapping::parse(&json!({"properties": {"k": {"type": "keyword"},
            "o": {"properties": {"other": {"type": "alias", "path": "k"}}}}}))
        .unwrap();
        let hidden = mapping.to_json_of(|path| path == "o.other");
        assert_eq!(
            hidden,
            json!({"properties": {}}),
            "an alias names its field"
        );
    }
}
