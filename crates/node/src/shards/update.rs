//! What an update makes of a document. Source: Elasticsearch reference, "Update API".

use std::sync::Arc;

use bytes::Bytes;
use ringwall_api::document::WriteItem;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::json;
use serde::Serialize;
use serde_json::{Map, Value};

/// The body of an update, checked.
#[derive(Debug)]
pub struct UpdateBody {
    body: Arc<Map<String, Value>>,
    doc_as_upsert: bool,
    detect_noop: bool,
}

/// The new content, or the news that nothing changes.
#[derive(Debug, PartialEq)]
pub enum Updated {
    Source(Bytes),
    Noop,
}

impl UpdateBody {
    /// Returns the body of an item, which is parsed unless this node has done so before.
    ///
    /// # Errors
    /// 400 for what is not an update, or asks for a script.
    pub fn of(item: &WriteItem) -> ApiResult<Self> {
        match &item.body {
            Some(body) => Self::checked(body.clone()),
            None => Self::parse(&item.source),
        }
    }

    fn parse(body: &[u8]) -> ApiResult<Self> {
        let body = json::parse(body).map_err(|error| {
            ApiError::new(
                ErrorCode::XContentParse,
                format!("cannot parse the update: {error}"),
            )
        })?;
        match body {
            Value::Object(body) => Self::checked(body.into()),
            _ => Err(parsing("expected an object with [doc] or [upsert]")),
        }
    }

    fn checked(body: Arc<Map<String, Value>>) -> ApiResult<Self> {
        let (mut doc_as_upsert, mut detect_noop) = (false, true);
        for (key, value) in body.iter() {
            match key.as_str() {
                "doc" | "upsert" => check_object(key, value)?,
                "doc_as_upsert" => doc_as_upsert = boolean(key, value)?,
                "detect_noop" => detect_noop = boolean(key, value)?,
                // What of the result to return, and the condition: taken from the request by the HTTP
                // edge.
                "_source" | "if_seq_no" | "if_primary_term" => {}
                "script" | "scripted_upsert" => {
                    return Err(ApiError::illegal_argument(format!(
                        "[{key}] is not supported: scripts cannot be run; send a partial [doc]"
                    )));
                }
                _ => return Err(parsing(&format!("[UpdateRequest] unknown field [{key}]"))),
            }
        }
        let update = Self {
            body,
            doc_as_upsert,
            detect_noop,
        };
        update.check()?;
        Ok(update)
    }

    fn doc(&self) -> Option<&Map<String, Value>> {
        self.body.get("doc")?.as_object()
    }

    fn upsert(&self) -> Option<&Map<String, Value>> {
        self.body.get("upsert")?.as_object()
    }

    fn check(&self) -> ApiResult<()> {
        if self.doc().is_none() && self.doc_as_upsert {
            return Err(ApiError::validation(&[
                "doc must be specified if doc_as_upsert is enabled",
            ]));
        }
        if self.doc().is_none() {
            return Err(ApiError::validation(&["script or doc is missing"]));
        }
        Ok(())
    }

    /// Refuses to insert under a condition on a document that is there.
    ///
    /// # Errors
    /// `action_request_validation_exception` for an upsert.
    pub fn check_conditional(&self) -> ApiResult<()> {
        let problem = match (self.upsert(), self.doc_as_upsert) {
            (Some(_), _) => "upsert requests don't support `if_seq_no` and `if_primary_term`",
            (None, true) => "compare and write operations can not be used with upsert",
            (None, false) => return Ok(()),
        };
        Err(ApiError::validation(&[problem]))
    }

    /// Returns the document to index where there is none.
    ///
    /// # Errors
    /// `document_missing_exception` without an upsert.
    pub fn insert(&self, index: &str, id: &str) -> ApiResult<Bytes> {
        let document = match self.doc_as_upsert {
            true => self.doc(),
            false => self.upsert(),
        };
        match document {
            Some(document) => encode(document),
            None => Err(ApiError::new(
                ErrorCode::DocumentMissing,
                format!("[{id}]: document missing"),
            )
            .with("index", index)),
        }
    }

    /// Merges `doc` into a document.
    pub fn merge(&self, current: &[u8]) -> ApiResult<Updated> {
        // Nothing changes, so that every byte stays.
        if !self.detect_noop && self.doc().is_some_and(Map::is_empty) {
            return Ok(Updated::Source(Bytes::copy_from_slice(current)));
        }
        let current = json::parse(current)
            .map_err(|error| ApiError::internal(format!("stored document: {error}")))?;
        let mut merged = current.clone();
        if let (Value::Object(target), Some(doc)) = (&mut merged, self.doc()) {
            merge_into(target, doc);
        }
        if self.detect_noop && json::same_value(&merged, &current) {
            return Ok(Updated::Noop);
        }
        encode(&merged).map(Updated::Source)
    }
}

fn merge_into(target: &mut Map<String, Value>, update: &Map<String, Value>) {
    for (key, value) in update {
        match (target.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge_into(old, new),
            (_, value) => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

fn encode(document: &impl Serialize) -> ApiResult<Bytes> {
    serde_json::to_vec(document)
        .map(Bytes::from)
        .map_err(|error| ApiError::internal(error.to_string()))
}

fn check_object(name: &str, value: &Value) -> ApiResult<()> {
    match value {
        Value::Object(_) => Ok(()),
        other => Err(parsing(&format!(
            "[{name}] must be an object, not [{other}]"
        ))),
    }
}

fn boolean(name: &str, value: &Value) -> ApiResult<bool> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(parsing(&format!(
            "[{name}] must be true or false, not [{other}]"
        ))),
    }
}

fn parsing(reason: &str) -> ApiError {
    ApiError::new(ErrorCode::XContentParse, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(body: &str, current: &str) -> String {
        match UpdateBody::parse(body.as_bytes())
            .unwrap()
            .merge(current.as_bytes())
            .unwrap()
        {
            Updated::Source(source) => String::from_utf8(source.to_vec()).unwrap(),
            Updated::Noop => "noop".into(),
        }
    }

    #[test]
    fn objects_merge_and_arrays_replace() {
        let current = r#"{"a":{"x":1,"y":2},"b":[1,2]}"#;
        assert_eq!(
            merge(r#"{"doc":{"a":{"y":3},"b":[9],"c":null}}"#, current),
            r#"{"a":{"x":1,"y":3},"b":[9],"c":null}"#
        );
        assert_eq!(merge(r#"{"doc":{"a":{"y":2}}}"#, current), "noop");
        assert_eq!(
            merge(r#"{"doc":{"a":{"y":2}},"detect_noop":false}"#, current),
            current
        );
    }

    #[test]
    fn a_missing_document_needs_an_upsert() {
        let insert = |body: &str| UpdateBody::parse(body.as_bytes()).unwrap().insert("i", "1");
        assert_eq!(
            insert(r#"{"doc":{"a":1},"doc_as_upsert":true}"#).unwrap(),
            r#"{"a":1}"#
        );
        assert_eq!(
            insert(r#"{"doc":{"a":1},"upsert":{"b":1}}"#).unwrap(),
            r#"{"b":1}"#
        );
        let error = insert(r#"{"doc":{"a":1}}"#).unwrap_err();
        assert_eq!(
            (error.status, error.reason.as_str()),
            (404, "[1]: document missing")
        );
    }

    #[test]
    fn what_is_no_update_is_refused() {
        for body in [
            "[]",
            "{}",
            r#"{"doc":1}"#,
            r#"{"script":{}}"#,
            r#"{"docs":{}}"#,
            "{",
        ] {
            let error = UpdateBody::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.status, 400, "{body}");
        }
    }
}
