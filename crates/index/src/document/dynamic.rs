//! The mapping of a field that appears for the first time. Source: Elasticsearch reference, "Dynamic field mapping".

use serde_json::{Map, Value, json};

use super::scalar::Scalar;
use crate::dates;
use crate::mapping::RootOptions;

/// Returns the definition for a first value.
pub(super) fn definition(options: &RootOptions, scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Bool(_) => json!({"type": "boolean"}),
        Scalar::Int(_) | Scalar::Unsigned(_) => json!({"type": "long"}),
        // A whole number that no field holds is refused as one.
        Scalar::Number(text) if !text.contains(['.', 'e', 'E']) => json!({"type": "long"}),
        Scalar::Number(_) => json!({"type": "float"}),
        Scalar::Text(text) => for_text(options, text),
    }
}

fn for_text(options: &RootOptions, text: &str) -> Value {
    if options.date_detection {
        if options.dynamic_date_formats.is_empty() {
            if dates::detect(text) {
                return json!({"type": "date"});
            }
            if let Some(format) = default_slash_date(text) {
                return json!({"type": "date", "format": format});
            }
        }
        let matching = options
            .dynamic_date_formats
            .iter()
            .find(|format| format.parse(text).is_some());
        if let Some(format) = matching {
            return json!({"type": "date", "format": format.spec()});
        }
    }
    if options.numeric_detection {
        if text.parse::<i64>().is_ok() {
            return json!({"type": "long"});
        }
        if text.parse::<f64>().is_ok_and(f64::is_finite) {
            return json!({"type": "float"});
        }
    }
    json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}})
}

/// The second of the default `dynamic_date_formats`.
fn default_slash_date(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'/' || !bytes[0].is_ascii_digit() {
        return None;
    }
    let format = dates::DateFormat::compile(SLASH_FORMAT).ok()?;
    format.parse(text).map(|_| SLASH_FORMAT)
}

/// Adds `definition` at a dotted path to an update under construction. The first definition of a
/// path stands.
pub(super) fn add(update: &mut Map<String, Value>, path: &str, definition: Value) {
    let properties = update
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(properties) = properties else {
        return;
    };
    match path.split_once('.') {
        None => {
            let there = properties
                .entry(path)
                .or_insert_with(|| Value::Object(Map::new()));
            if let (Value::Object(there), Value::Object(new)) = (there, definition)
                && (there.is_empty()
                    || (there.contains_key("properties") && !new.contains_key("type")))
            {
                there.extend(new);
            }
        }
        Some((first, rest)) => {
            let inner = properties
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner
                && !inner.get("type").is_some_and(|name| name != "object")
            {
                inner.remove("type");
                add(inner, rest, definition);
            }
        }
    }
}

/// Returns the update if it adds anything.
pub(super) fn finish(update: Map<String, Value>) -> Option<Value> {
    (!update.is_empty()).then_some(Value::Object(update))
}

/// What the mapping shows; moments in milliseconds are not detected. Source: Elasticsearch 8.19, asked.
const SLASH_FORMAT: &str = "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis";
