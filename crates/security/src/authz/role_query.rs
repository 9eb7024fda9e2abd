//! The query of a role, which may be a template that is filled in with what is known of the user. Source: Elasticsearch
//! reference, "Templating a role query".
//!
//! Of Mustache what such templates are made of: `{{_user.…}}` for a text, number or truth value, and
//! `{{#toJson}}_user.…{{/toJson}}` for anything. Where a value is filled in is known before it is: inside a JSON string
//! it cannot end the string, and outside of one a text is refused. So no user is able to change what a template asks.

use std::sync::Arc;

use ringwall_api::auth::User;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::json;
use serde_json::{Map, Value};

/// Which documents a group of privileges shows.
#[derive(Debug, Clone)]
pub enum RoleQuery {
    Fixed(Arc<Value>),
    Template(Vec<Piece>),
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    /// The value at a path below `_user`.
    Value {
        path: Vec<String>,
        place: Place,
    },
}

/// Where in the JSON text a value goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// Into a string.
    InString,
    /// Where a number or truth value may stand.
    Bare,
    /// Where any value may stand.
    Json,
}

impl RoleQuery {
    /// Reads the text of a query; `None` for an empty one, which is as good as none.
    ///
    /// # Errors
    /// Why it is no query.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut written = match json::parse(text.as_bytes()) {
            Ok(Value::Object(written)) => written,
            Ok(_) => return Err("a query is a JSON object".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        if written.len() != 1 || !written.contains_key("template") {
            return Ok(Some(Self::Fixed(Arc::new(Value::Object(written)))));
        }
        let template = match written.remove("template") {
            Some(Value::Object(template)) => template,
            _ => return Err("[template] must be an object".to_owned()),
        };
        template_source(template)
            .and_then(|source| pieces(&source))
            .map(|pieces| Some(Self::Template(pieces)))
    }

    /// Returns the query itself, if it is no template.
    pub fn fixed(&self) -> Option<&Value> {
        match self {
            Self::Fixed(query) => Some(query),
            Self::Template(_) => None,
        }
    }

    /// Returns the query for a user.
    ///
    /// # Errors
    /// 400 when what is known of the user does not fit the template.
    pub fn for_user(&self, user: &User) -> ApiResult<Arc<Value>> {
        let pieces = match self {
            Self::Fixed(query) => return Ok(Arc::clone(query)),
            Self::Template(pieces) => pieces,
        };
        let known = known_of(user);
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(part) => text += part,
                Piece::Value { path, place } => text += &filled(&known, path, *place)?,
            }
        }
        let query = json::parse(text.as_bytes()).map_err(|error| {
            let reason = "a role query template is no JSON when it is filled in for this user";
            tracing::error!(user.name = %user.username, %error, "{reason}");
            ApiError::illegal_argument(reason)
        })?;
        Ok(Arc::new(query))
    }
}

fn template_source(template: Map<String, Value>) -> Result<String, String> {
    let mut source = None;
    for (key, value) in template {
        match (key.as_str(), value) {
            ("source", Value::String(text)) => source = Some(text),
            ("source", value @ Value::Object(_)) => source = Some(value.to_string()),
            ("lang", Value::String(lang)) if lang == "mustache" => {}
            ("id", _) => {
                return Err("stored scripts cannot be templates of role queries".to_owned());
            }
            (key, _) => return Err(format!("[{key}] of a role query template is not supported")),
        }
    }
    source.ok_or_else(|| "a role query template needs a [source]".to_owned())
}

fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut quotes = Quotes::default();
    let mut rest = source;
    while let Some(start) = rest.find("{{") {
        let text = &rest[..start];
        quotes.read(text);
        pieces.push(Piece::Text(text.to_owned()));
        let unclosed = || "a role query template has a [{{] without [}}]".to_owned();
        let end = rest[start..].find("}}").ok_or_else(unclosed)? + start;
        let tag = rest[start + 2..end].trim();
        rest = &rest[end + 2..];
        let (path, place) = match tag {
            "#toJson" => {
                let close = rest.find("{{/toJson}}");
                let close = close.ok_or("a role query template has a [{{#toJson}}] without end")?;
                let inner = rest[..close].trim();
                rest = &rest[close + "{{/toJson}}".len()..];
                if quotes.open {
                    return Err(
                        "[{{#toJson}}] stands inside of a string in a role query template"
                            .to_owned(),
                    );
                }
                (inner, Place::Json)
            }
            tag if quotes.open => (tag, Place::InString),
            tag => (tag, Place::Bare),
        };
        pieces.push(Piece::Value {
            path: user_path(path)?,
            place,
        });
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// What stands between the braces: a path below `_user`.
fn user_path(tag: &str) -> Result<Vec<String>, String> {
    let unknown = || {
        format!(
            "[{{{{{tag}}}}}] of a role query template is not supported; use [{{{{_user.username}}}}], \
             [{{{{_user.full_name}}}}], [{{{{_user.email}}}}], [{{{{_user.metadata.NAME}}}}] or \
             [{{{{#toJson}}}}_user.roles{{{{/toJson}}}}]"
        )
    };
    let path = tag.strip_prefix("_user.").ok_or_else(unknown)?;
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let fits = match path.first().map(String::as_str) {
        Some("username" | "full_name" | "email" | "roles") => path.len() == 1,
        Some("metadata") => path.len() > 1 && path.iter().all(|part| !part.is_empty()),
        _ => false,
    };
    fits.then_some(path).ok_or_else(unknown)
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

fn known_of(user: &User) -> Value {
    serde_json::json!({
        "username": user.username, "full_name": user.full_name, "email": user.email, "roles": user.roles,
        "metadata": user.metadata,
    })
}

fn filled(known: &Value, path: &[String], place: Place) -> ApiResult<String> {
    let mut value = Some(known);
    for part in path {
        value = value.and_then(|value| value.get(part));
    }
    let value = value.unwrap_or(&Value::Null);
    let unfit = || {
        ApiError::illegal_argument(format!(
            "a role query template cannot be filled in for this user: [_user.{}] does not fit its place",
            path.join(".")
        ))
    };
    match (place, value) {
        (Place::Json, value) => Ok(value.to_string()),
        (Place::InString, Value::String(text)) => {
            let quoted = Value::from(text.as_str()).to_string();
            Ok(quoted[1..quoted.len() - 1].to_owned())
        }
        (Place::InString, Value::Null) => Ok(String::new()),
        (_, Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
        _ => Err(unfit()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(name: &str, metadata: Value) -> User {
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object")
        };
        User {
            username: name.to_owned(),
            roles: vec!["a".to_owned(), "b\"".to_owned()],
            full_name: None,
            email: None,
            metadata,
            enabled: true,
        }
    }

    fn of(source: &str, user: &User) -> ApiResult<Value> {
        let text = json!({"template": {"source": source}}).to_string();
        let query = RoleQuery::parse(&text).unwrap().unwrap();
        query.for_user(user).map(|query| (*query).clone())
    }

    #[test]
    fn templates_are_filled_in() {
        let ann = user(
            "ann",
            json!({"team": "red", "level": 3, "groups": ["x", "y"], "on": true}),
        );
        for (source, expected) in [
            (
                r#"{"term":{"owner":"{{_user.username}}"}}"#,
                json!({"term": {"owner": "ann"}}),
            ),
            (
                r#"{"term":{"team":"t-{{ _user.metadata.team }}/{{_user.metadata.level}}"}}"#,
                json!({"term": {"team": "t-red/3"}}),
            ),
            (
                r#"{"range":{"n":{"lte":{{_user.metadata.level}}}}}"#,
                json!({"range": {"n": {"lte": 3}}}),
            ),
            (
                r#"{"terms":{"r":{{#toJson}}_user.roles{{/toJson}}}}"#,
                json!({"terms": {"r": ["a", "b\""]}}),
            ),
            (
                r#"{"term":{"e":"{{_user.email}}"}}"#,
                json!({"term": {"e": ""}}),
            ),
        ] {
            assert_eq!(of(source, &ann).unwrap(), expected, "{source}");
        }
        let object =
            json!({"template": {"source": {"term": {"o": "{{_user.username}}"}}}}).to_string();
        let query = RoleQuery::parse(&object).unwrap().unwrap();
        assert_eq!(
            *query.for_user(&ann).unwrap(),
            json!({"term": {"o": "ann"}})
        );
    }

    #[test]
    fn nobody_changes_what_a_template_asks() {
        let evil = "x\"}},{\"match_all\":{";
        let eve = user(evil, json!({"n": "1}},{\"match_all\":{", "list": [1]}));
        let query = of(r#"{"term":{"owner":"{{_user.username}}"}}"#, &eve).unwrap();
        assert_eq!(query, json!({"term": {"owner": evil}}));
        for source in [
            r#"{"range":{"n":{"lte":{{_user.metadata.n}}}}}"#,
            r#"{"term":{"owner":"{{_user.metadata.list}}"}}"#,
            r#"{"term":{"owner":{{_user.metadata.none}}}}"#,
        ] {
            assert_eq!(of(source, &eve).unwrap_err().status, 400, "{source}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for (text, part) in [
            ("not json", "expected"),
            ("[]", "a query is a JSON object"),
            (r#"{"template":5}"#, "must be an object"),
            (r#"{"template":{}}"#, "needs a [source]"),
            (r#"{"template":{"id":"a"}}"#, "stored scripts"),
            (r#"{"template":{"source":"{}","params":{}}}"#, "[params]"),
            (r#"{"template":{"source":"{{x}}"}}"#, "[{{x}}]"),
            (
                r#"{"template":{"source":"{{{_user.username}}}"}}"#,
                "not supported",
            ),
            (
                r#"{"template":{"source":"{{#_user.roles}}a{{/_user.roles}}"}}"#,
                "not supported",
            ),
            (
                r#"{"template":{"source":"{{_user.metadata}}"}}"#,
                "not supported",
            ),
            (
                r#"{"template":{"source":"{{_user.username"}}"#,
                "without [}}]",
            ),
            (
                r#"{"template":{"source":"\"{{#toJson}}_user.roles{{/toJson}}\""}}"#,
                "inside of a string",
            ),
        ] {
            let error = RoleQuery::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(RoleQuery::parse("").unwrap().is_none());
    }
}
