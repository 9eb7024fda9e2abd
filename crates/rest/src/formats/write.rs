//! From JSON to another form.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

use super::Format;
use crate::json;

/// Writes a value in a form.
pub fn write(format: Format, value: &Value) -> Vec<u8> {
    match format {
        Format::Json => json::compact(value),
        Format::Yaml => yaml(value),
        Format::Cbor => {
            let mut out = Vec::new();
            // Invariant: values are writable, and writing to memory does not fail.
            ciborium::into_writer(&Plain(value), &mut out).expect("values are writable");
            out
        }
        // Invariant: as above.
        Format::Smile => serde_smile::to_vec(&Plain(value)).expect("values are writable"),
    }
}

/// A value whose numbers are numbers. Those of [`Value`] are texts, see decision 0009.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => serializer.serialize_i64(number),
                (None, Some(number)) => serializer.serialize_u64(number),
                // One that is too great even for that is told as its text.
                (None, None) => match number.as_f64().filter(|number| number.is_finite()) {
                    Some(number) => serializer.serialize_f64(number),
                    None => serializer.collect_str(number),
                },
            },
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Plain(item))?;
                }
                list.end()
            }
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, member) in members {
                    map.serialize_entry(key, &Plain(member))?;
                }
                map.end()
            }
        }
    }
}

/// Writes YAML as Elasticsearch does: a member or an item on each line, every text in quotes.
fn yaml(value: &Value) -> Vec<u8> {
    let mut out = b"---".to_vec();
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push(b'\n');
            yaml_members(&mut out, members, 0, false);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push(b'\n');
            yaml_items(&mut out, items, 0, false);
        }
        scalar => yaml_scalar(&mut out, scalar),
    }
    out
}

/// `is_begun`: the first stands on the line that is being written.
fn yaml_members(out: &mut Vec<u8>, members: &Map<String, Value>, indent: usize, is_begun: bool) {
    for (number, (key, member)) in members.iter().enumerate() {
        if number > 0 || !is_begun {
            out.resize(out.len() + indent, b' ');
        }
        match is_plain(key) {
            true => out.extend_from_slice(key.as_bytes()),
            false => json::push_string(out, key),
        }
        out.push(b':');
        match member {
            Value::Object(inner) if !inner.is_empty() && indent < DEEPEST => {
                out.push(b'\n');
                yaml_members(out, inner, indent + 2, false);
            }
            Value::Array(items) if !items.is_empty() && indent < DEEPEST => {
                out.push(b'\n');
                yaml_items(out, items, indent, false);
            }
            scalar => yaml_scalar(out, scalar),
        }
    }
}

fn yaml_items(out: &mut Vec<u8>, items: &[Value], indent: usize, is_begun: bool) {
    for (number, item) in items.iter().enumerate() {
        if number > 0 || !is_begun {
            out.resize(out.len() + indent, b' ');
        }
        out.push(b'-');
        match item {
            Value::Object(inner) if !inner.is_empty() && indent < DEEPEST => {
                out.push(b' ');
                yaml_members(out, inner, indent + 2, true);
            }
            Value::Array(inner) if !inner.is_empty() && indent < DEEPEST => {
                out.push(b' ');
                yaml_items(out, inner, indent + 2, true);
            }
            scalar => yaml_scalar(out, scalar),
        }
    }
}

/// A text of JSON is one of YAML, and so is what is empty.
fn yaml_scalar(out: &mut Vec<u8>, value: &Value) {
    out.push(b' ');
    out.extend_from_slice(&json::compact(value));
    out.push(b'\n');
}

/// Whether a key without quotes is a text to everybody who reads YAML.
fn is_plain(key: &str) -> bool {
    let begins = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    begins && key.chars().all(goes_on) && !WORDS.contains(&key.to_ascii_lowercase().as_str())
}

/// What is deeper stands on one line, which is JSON and YAML: blanks before each item would be most of the answer.
const DEEPEST: usize = 40;

/// Words that are no texts in YAML 1.1 or 1.2. Source: yaml.org, types `bool` and `null`.
const WORDS: &[&str] = &["y", "n", "yes", "no", "true", "false", "on", "off", "null"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_written_as_elasticsearch_writes_it() {
        let value = json!({
            "error": {
                "root_cause": [{"type": "a", "x.y": "_na_"}, {"type": "b"}],
                "list": [1, [2, 3], []], "none": {}, "no": null, "1": true,
            },
            "status": 404,
        });
        let expected = r#"---
error:
  root_cause:
  - type: "a"
    x.y: "_na_"
  - type: "b"
  list:
  - 1
  - - 2
    - 3
  - []
  none: {}
  "no": null
  "1": true
status: 404
"#;
        assert_eq!(String::from_utf8(yaml(&value)).unwrap(), expected);
        assert_eq!(yaml(&json!({})), b"--- {}\n");
        assert_eq!(yaml(&json!(["x"])), b"---\n- \"x\"\n");
    }
}
