//! The mapping of a field that appears for the first time. Source: Elasticsearch reference, "Dynamic field mapping".

use serde_json::{Map, Value, json};

use crate::dates;
use crate::field::scalar::Scalar;
use crate::mapping::{Dynamic, Kind, RootOptions};

/// Returns the definition of the field at `path` for its first value.
pub(super) fn definition(options: &RootOptions, path: &str, scalar: &Scalar<'_>) -> Value {
    let seen = Seen::of(options, scalar);
    let Some(mut definition) = options.dynamic_templates.definition(path, seen.kind()) else {
        return seen.definition();
    };
    // What the text was recognised by, or it would be refused.
    if let Seen::Date(Some(format)) = seen
        && definition.get("type").is_some_and(|name| name == "date")
    {
        definition.entry("format").or_insert_with(|| format.into());
    }
    Value::Object(definition)
}

/// Returns whether a template defines objects at `path`.
pub(super) fn is_templated(options: &RootOptions, path: &str) -> bool {
    let templates = &options.dynamic_templates;
    templates.definition(path, Kind::Object).is_some()
}

/// Returns the definition of the object at `path`, and what becomes of what is in it.
pub(super) fn object(options: &RootOptions, path: &str, inherited: Dynamic) -> (Value, Dynamic) {
    let template = options.dynamic_templates.definition(path, Kind::Object);
    let Some(definition) = template else {
        return (json!({"type": "object"}), inherited);
    };
    let is = |key: &str, text: &str| match definition.get(key) {
        Some(Value::Bool(value)) => value.to_string() == text,
        Some(Value::String(value)) => value == text,
        _ => false,
    };
    // The document is read again with the new field, which then judges what is in it.
    let is_leaf = !is("type", "object") && !is("type", "nested");
    let dynamic = match is_leaf || is("enabled", "false") || definition.contains_key("dynamic") {
        true => Dynamic::False,
        false => inherited,
    };
    (Value::Object(definition), dynamic)
}

/// What a first value is taken for.
enum Seen<'f> {
    Boolean,
    Long,
    Double,
    /// With its format, if it is not the default one.
    Date(Option<&'f str>),
    Text,
}

impl<'f> Seen<'f> {
    fn of(options: &'f RootOptions, scalar: &Scalar<'_>) -> Self {
        match scalar {
            Scalar::Bool(_) => Self::Boolean,
            Scalar::Int(_) | Scalar::Unsigned(_) => Self::Long,
            // A whole number that no field holds is refused as one.
            Scalar::Number(text) if !text.contains(['.', 'e', 'E']) => Self::Long,
            Scalar::Number(_) => Self::Double,
            Scalar::Text(text) => Self::of_text(options, text),
        }
    }

    fn of_text(options: &'f RootOptions, text: &str) -> Self {
        if options.date_detection {
            if options.dynamic_date_formats.is_empty() {
                if dates::detect(text) {
                    return Self::Date(None);
                }
                if let Some(format) = default_slash_date(text) {
                    return Self::Date(Some(format));
                }
            }
            let mut formats = options.dynamic_date_formats.iter();
            if let Some(format) = formats.find(|format| format.parse(text).is_some()) {
                return Self::Date(Some(format.spec()));
            }
        }
        if options.numeric_detection {
            if text.parse::<i64>().is_ok() {
                return Self::Long;
            }
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                return Self::Double;
            }
        }
        Self::Text
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Long => Kind::Long,
            Self::Double => Kind::Double,
            Self::Date(_) => Kind::Date,
            Self::Text => Kind::String,
        }
    }

    fn definition(&self) -> Value {
        match self {
            Self::Boolean => json!({"type": "boolean"}),
            Self::Long => json!({"type": "long"}),
            Self::Double => json!({"type": "float"}),
            Self::Date(None) => json!({"type": "date"}),
            Self::Date(Some(format)) => json!({"type": "date", "format": format}),
            Self::Text => {
                json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}})
            }
        }
    }
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
