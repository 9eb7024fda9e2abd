//! Mappings of several templates as one. Source: Elasticsearch reference, "Index templates": where two define the same
//! field, the later one defines it.

use serde_json::{Map, Value};

/// Lays a mapping over another. Objects are merged field by field; a field that both define, and each named dynamic
/// template, is as the later one has it.
pub fn lay_over(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        if key == "properties" {
            base.entry("properties")
                .or_insert_with(|| Value::Object(Map::new()));
        }
        match (key.as_str(), base.get_mut(&key), value) {
            ("properties", Some(Value::Object(base)), Value::Object(over)) => {
                lay_fields_over(base, over);
            }
            ("dynamic_templates", Some(Value::Array(base)), Value::Array(over)) => {
                lay_templates_over(base, over);
            }
            ("_meta", Some(Value::Object(base)), Value::Object(over)) => lay_deep(base, over),
            (_, _, value) => drop(base.insert(key, value)),
        }
    }
}

fn lay_fields_over(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (name, definition) in over {
        // `a.b` is `b` in the object `a`.
        let (first, rest) = match name.split_once('.') {
            // Such a name is refused by who reads the mapping.
            _ if name.matches('.').count() > super::MAX_NAME_PARTS => (name, None),
            Some((first, rest)) => (first.to_owned(), Some(rest.to_owned())),
            None => (name, None),
        };
        let definition = match rest {
            None => definition,
            Some(rest) => {
                let inner = Map::from_iter([(rest, definition)]);
                Value::Object(Map::from_iter([("properties".to_owned(), inner.into())]))
            }
        };
        match (base.get_mut(&first), definition) {
            (Some(Value::Object(base)), Value::Object(over))
                if is_object(base) && is_object(&over) =>
            {
                lay_over(base, over);
            }
            (_, definition) => drop(base.insert(first, definition)),
        }
    }
}

fn is_object(definition: &Map<String, Value>) -> bool {
    match definition.get("type").and_then(Value::as_str) {
        None => true,
        Some(name) => name == "object",
    }
}

fn lay_templates_over(base: &mut Vec<Value>, over: Vec<Value>) {
    let name = |template: &Value| {
        let named = template.as_object()?;
        named.keys().next().cloned()
    };
    for template in over {
        let place = base.iter_mut().find(|there| name(there) == name(&template));
        match place {
            Some(there) => *there = template,
            None => base.push(template),
        }
    }
}

fn lay_deep(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(base)), Value::Object(over)) => lay_deep(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_later_mapping_wins_field_by_field() {
        let mut composed = Map::new();
        for layer in [
            json!({"dynamic": "strict", "_meta": {"a": {"x": 1}}, "properties": {
                "a": {"type": "keyword", "ignore_above": 5}, "o": {"properties": {"x": {"type": "long"}}},
                "p.q": {"type": "long"}, "leaf": {"type": "long"},
            }, "dynamic_templates": [{"s": {"match": "a", "mapping": {}}}, {"t": {"match": "b", "mapping": {}}}]}),
            json!({"_meta": {"a": {"y": 2}}, "properties": {
                "a": {"type": "text"}, "o.y": {"type": "date"}, "p": {"properties": {"r": {"type": "long"}}},
                "leaf": {"properties": {"in": {"type": "long"}}},
            }, "dynamic_templates": [{"s": {"match": "c", "mapping": {}}}, {"u": {"match": "d", "mapping": {}}}]}),
            json!({"dynamic": false}),
        ] {
            let Value::Object(layer) = layer else {
                panic!()
            };
            lay_over(&mut composed, layer);
        }
        let expected = json!({
            "dynamic": false, "_meta": {"a": {"x": 1, "y": 2}},
            "properties": {
                "a": {"type": "text"},
                "o": {"properties": {"x": {"type": "long"}, "y": {"type": "date"}}},
                "p": {"properties": {"q": {"type": "long"}, "r": {"type": "long"}}},
                "leaf": {"properties": {"in": {"type": "long"}}},
            },
            "dynamic_templates": [
                {"s": {"match": "c", "mapping": {}}}, {"t": {"match": "b", "mapping": {}}}, {"u": {"match": "d", "mapping": {}}},
            ],
        });
        assert_eq!(Value::Object(composed), expected);
    }
}
