//! Templates that are filled in with what is known of a user: of role queries, and of role mappings. Source: Elasticsearch
//! reference, "Templating a role query", "Create or update role mappings API".
//!
//! Of Mustache what such templates are made of: `{{name}}` for a text, number or truth value, and
//! `{{#toJson}}name{{/toJson}}` for anything. Where a value goes is known before it is filled in: inside a JSON string
//! it cannot end the string, and outside of one a text is refused. So no user is able to change what a template says.

use serde_json::{Map, Value};

/// A template, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Piece>);

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    Json,
    Text,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Value { path: Vec<String>, place: Place },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Into a JSON string.
    InString,
    /// Where a number or truth value of JSON may stand.
    Bare,
    /// Where any JSON value may stand.
    Json,
    /// Into text that is no JSON.
    Text,
}

/// Returns the source of `{"source": ..., "lang": "mustache"}`.
///
/// # Errors
/// What of it is not supported.
pub fn source(script: Map<String, Value>) -> Result<String, String> {
    let mut source = None;
    for (key, value) in script {
        match (key.as_str(), value) {
            ("source", Value::String(text)) => source = Some(text),
            ("source", value @ Value::Object(_)) => source = Some(value.to_string()),
            ("lang", Value::String(lang)) if lang == "mustache" => {}
            ("id", _) => return Err("a stored script cannot be a template".to_owned()),
            (key, _) => return Err(format!("[{key}] of a template is not supported")),
        }
    }
    source.ok_or_else(|| "a template needs a [source]".to_owned())
}

impl Template {
    /// Reads a template. `path_of` returns where the value of a name is found.
    ///
    /// # Errors
    /// A name that is not known, or what else of Mustache is not supported.
    pub fn parse(
        source: &str,
        makes: Makes,
        path_of: fn(&str) -> Option<Vec<String>>,
    ) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut quotes = Quotes::default();
        let mut rest = source;
        while let Some(start) = rest.find("{{") {
            let text = &rest[..start];
            quotes.read(text);
            pieces.push(Piece::Text(text.to_owned()));
            let end = rest[start..].find("}}");
            let end = end.ok_or("a template has a [{{] without [}}]")? + start;
            let tag = rest[start + 2..end].trim();
            rest = &rest[end + 2..];
            let (name, place) = match tag {
                "#toJson" | "#tojson" => {
                    let close = format!("{{{{/{}}}}}", &tag[1..]);
                    let end = rest.find(&close);
                    let end = end.ok_or_else(|| format!("a template has no [{close}]"))?;
                    let inner = rest[..end].trim();
                    rest = &rest[end + close.len()..];
                    if makes == Makes::Json && quotes.open {
                        return Err(format!(
                            "[{{{{{tag}}}}}] stands inside of a string in a template"
                        ));
                    }
                    (inner, Place::Json)
                }
                tag if makes == Makes::Text => (tag, Place::Text),
                tag if quotes.open => (tag, Place::InString),
                tag => (tag, Place::Bare),
            };
            let path = path_of(name);
            let path =
                path.ok_or_else(|| format!("[{{{{{name}}}}}] of a template is not supported"))?;
            pieces.push(Piece::Value { path, place });
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// Returns the text with the values filled in.
    ///
    /// # Errors
    /// The name whose value does not fit its place.
    pub fn fill(&self, values: &Value) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(part) => text += part,
                Piece::Value { path, place } => {
                    let mut value = Some(values);
                    for part in path {
                        value = value.and_then(|value| value.get(part));
                    }
                    let value = value.unwrap_or(&Value::Null);
                    text += &filled(value, *place).ok_or_else(|| path.join("."))?;
                }
            }
        }
        Ok(text)
    }
}

fn filled(value: &Value, place: Place) -> Option<String> {
    match (place, value) {
        (Place::Json, value) => Some(value.to_string()),
        (Place::InString, Value::String(text)) => {
            let quoted = Value::from(text.as_str()).to_string();
            Some(quoted[1..quoted.len() - 1].to_owned())
        }
        (Place::Text, Value::String(text)) => Some(text.clone()),
        (Place::InString | Place::Text, Value::Null) => Some(String::new()),
        (_, Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether the text so far ends inside a JSON string.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        for symbol in text.chars() {
            match symbol {
                _ if self.escaped => self.escaped = false,
                '\\' if self.open => self.escaped = true,
                '"' => self.open = !self.open,
                _ => {}
            }
        }
    }
}
