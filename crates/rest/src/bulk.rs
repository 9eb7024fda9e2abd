//! The `_bulk` format: actions and documents, one JSON text a line. Source: Elasticsearch reference, "Bulk API".

use std::fmt;

use bytes::Bytes;
use memchr::{memchr, memmem};
use ringwall_api::document::{
    BulkItemResponse, BulkResponse, OpType, SourceFilter, VersionType, WriteItem, WriteOutcome,
    WriteResult,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::json;
use crate::params::{parse_version_type, split_list};

/// What items that say nothing of their own get.
#[derive(Debug, Default)]
pub struct BulkDefaults {
    pub index: Option<String>,
    pub routing: Option<String>,
    pub require_alias: bool,
    /// What updates return of the new document.
    pub return_source: Option<SourceFilter>,
}

/// Reads a bulk body. Documents are slices of it, not copies.
///
/// Errors: 400 for the whole request when a line is malformed, the last newline is missing, or an
/// item has no index.
pub fn parse(body: &Bytes, defaults: &BulkDefaults) -> ApiResult<Vec<WriteItem>> {
    if body.is_empty() {
        return Err(ApiError::new(ErrorCode::Parse, "request body is required"));
    }
    if body.last() != Some(&b'\n') {
        return Err(unterminated());
    }
    let mut lines = Lines {
        body,
        at: 0,
        number: 0,
    };
    let mut items = Vec::new();
    while let Some(line) = lines.next_line() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = lines.number;
        let Some(action) = read_action(line, number)? else {
            continue;
        };
        let mut item = action.item(defaults, number)?;
        if item.op != OpType::Delete {
            let source = lines.next_line().ok_or_else(unterminated)?;
            item.source = body.slice_ref(source);
            if item.op == OpType::Update {
                set_body_options(&mut item, source, defaults)?;
            }
        }
        items.push(item);
    }
    if items.is_empty() {
        return Err(ApiError::validation(&["no requests added"]));
    }
    let nameless =
        |item: &&WriteItem| item.id.is_none() && matches!(item.op, OpType::Delete | OpType::Update);
    let missing = items.iter().filter(nameless).count();
    if missing > 0 {
        return Err(ApiError::validation(&vec!["id is missing"; missing]));
    }
    Ok(items)
}

/// Writes the answer: compact, `took`, `errors`, `items` in this order, which shippers search as text.
pub fn write_response(response: &BulkResponse) -> Vec<u8> {
    let errors = response.items.iter().any(|item| item.outcome.is_err());
    let mut out = Vec::with_capacity(64 + response.items.len() * 160);
    push(
        &mut out,
        format_args!(
            "{{\"took\":{},\"errors\":{errors},\"items\":[",
            response.took_ms
        ),
    );
    for (position, item) in response.items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push(&mut out, format_args!("{{\"{}\":", item.op.as_str()));
        write_item(&mut out, item);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// Writes what a write did, without the braces: the members that single and bulk writes share.
pub fn write_outcome(out: &mut Vec<u8>, index: &str, id: Option<&str>, outcome: &WriteOutcome) {
    write_identity(out, index, id);
    push(
        out,
        format_args!(
            ",\"_version\":{},\"result\":\"{}\"",
            outcome.version,
            outcome.result.as_str()
        ),
    );
    if outcome.forced_refresh {
        out.extend_from_slice(b",\"forced_refresh\":true");
    }
    let shards = outcome.shards;
    push(
        out,
        format_args!(
            ",\"_shards\":{{\"total\":{},\"successful\":{},\"failed\":{}}},\"_seq_no\":{},\"_primary_term\":{}",
            shards.total, shards.successful, shards.failed, outcome.seq_no, outcome.primary_term
        ),
    );
    if let Some(get) = &outcome.get {
        push(
            out,
            format_args!(
                ",\"get\":{{\"_seq_no\":{},\"_primary_term\":{},\"found\":{}",
                get.seq_no, get.primary_term, get.found
            ),
        );
        if let Some(source) = &get.source {
            out.extend_from_slice(b",\"_source\":");
            out.extend_from_slice(source);
        }
        out.push(b'}');
    }
}

/// Returns the HTTP status of a write that was acknowledged.
pub fn outcome_status(outcome: &WriteOutcome) -> u16 {
    match outcome.result {
        WriteResult::Created => 201,
        WriteResult::NotFound => 404,
        WriteResult::Updated | WriteResult::Deleted | WriteResult::Noop => 200,
    }
}

fn write_item(out: &mut Vec<u8>, item: &BulkItemResponse) {
    out.push(b'{');
    match &item.outcome {
        Ok(outcome) => {
            write_outcome(out, &item.index, item.id.as_deref(), outcome);
            push(
                out,
                format_args!(",\"status\":{}}}", outcome_status(outcome)),
            );
        }
        Err(error) => {
            write_identity(out, &item.index, item.id.as_deref());
            let object = Value::Object(error.object_with_cause());
            push(
                out,
                format_args!(",\"status\":{},\"error\":{object}}}", error.status),
            );
        }
    }
}

fn write_identity(out: &mut Vec<u8>, index: &str, id: Option<&str>) {
    out.extend_from_slice(b"\"_index\":");
    json::push_string(out, index);
    out.extend_from_slice(b",\"_id\":");
    match id {
        Some(id) => json::push_string(out, id),
        None => out.extend_from_slice(b"null"),
    }
}

fn push(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    use std::io::Write;
    // Invariant: writing to memory does not fail.
    out.write_fmt(text).expect("memory takes the text");
}

struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    /// Of the line last returned, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.body[self.at..];
        let length = memchr(b'\n', rest)?;
        self.at += length + 1;
        self.number += 1;
        let line = &rest[..length];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// An action line: `{"index":{"_index":"i","_id":"1"}}`.
struct Action {
    op: OpType,
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metadata {
    _index: Option<Text>,
    _id: Option<Text>,
    /// Accepted for shippers of the old days, and ignored.
    _type: Option<String>,
    #[serde(alias = "_routing")]
    routing: Option<Text>,
    version: Option<u64>,
    version_type: Option<String>,
    if_seq_no: Option<i64>,
    if_primary_term: Option<u64>,
    require_alias: Option<bool>,
    require_data_stream: Option<bool>,
    retry_on_conflict: Option<u32>,
    pipeline: Option<String>,
    dynamic_templates: Option<Map<String, Value>>,
    list_executed_pipelines: Option<bool>,
    op_type: Option<String>,
    /// What an update returns of the new document; its body may say it too.
    _source: Option<Value>,
}

impl Action {
    fn item(self, defaults: &BulkDefaults, number: usize) -> ApiResult<WriteItem> {
        let metadata = self.metadata;
        let unsupported = |reason: String| Err(ApiError::illegal_argument(reason));
        if let Some(pipeline) = metadata.pipeline.filter(|name| name != "_none") {
            return unsupported(format!("pipeline with id [{pipeline}] does not exist"));
        }
        if metadata.require_data_stream == Some(true) {
            return unsupported(format!(
                "line [{number}]: [require_data_stream] is not supported"
            ));
        }
        if metadata
            .dynamic_templates
            .is_some_and(|templates| !templates.is_empty())
        {
            return unsupported(format!(
                "line [{number}]: [dynamic_templates] is not supported"
            ));
        }
        let index = metadata
            ._index
            .map(|index| index.0)
            .or_else(|| defaults.index.clone())
            .ok_or_else(|| ApiError::validation(&["index is missing"]))?;
        let version_type = metadata
            .version_type
            .map_or(Ok(VersionType::Internal), |name| parse_version_type(&name))?;
        Ok(WriteItem {
            op: effective_op(self.op, metadata.op_type.as_deref())?,
            index,
            id: metadata._id.map(|id| id.0),
            routing: metadata
                .routing
                .map(|routing| routing.0)
                .or_else(|| defaults.routing.clone()),
            if_seq_no: metadata.if_seq_no,
            if_primary_term: metadata.if_primary_term,
            version: metadata.version,
            version_type,
            source: Bytes::new(),
            body: None,
            retry_on_conflict: metadata.retry_on_conflict.unwrap_or(0),
            require_alias: metadata.require_alias.unwrap_or(defaults.require_alias),
            return_source: metadata._source.as_ref().map(source_filter).transpose()?,
        })
    }
}

fn effective_op(op: OpType, op_type: Option<&str>) -> ApiResult<OpType> {
    match (op, op_type) {
        (OpType::Index, Some("create")) => Ok(OpType::Create),
        (OpType::Index, None | Some("index")) | (_, None) => Ok(op),
        (_, Some(other)) => Err(ApiError::illegal_argument(format!(
            "opType must be 'create' or 'index', found: [{other}]"
        ))),
    }
}

/// An update may say in its body what to return of the new document, and on what condition.
fn set_body_options(item: &mut WriteItem, line: &[u8], defaults: &BulkDefaults) -> ApiResult<()> {
    if item.return_source.is_none() {
        item.return_source.clone_from(&defaults.return_source);
    }
    let says = |key: &[u8]| memmem::find(line, key).is_some();
    if !(says(b"\"_source\"") || says(b"\"if_seq_no\"") || says(b"\"if_primary_term\"")) {
        return Ok(());
    }
    let body = body_options(line)?;
    if let Some(source) = body.get("_source") {
        item.return_source = Some(source_filter(source)?);
    }
    set_condition(item, &body)
}

/// Reads the options among the members of an update, and passes over the document: the primary reads it.
fn body_options(line: &[u8]) -> ApiResult<Map<String, Value>> {
    let is_object = line.trim_ascii_start().first() == Some(&b'{');
    let found = serde_json::from_slice::<BodyOptions<'_>>(line).ok();
    let Some(found) = found.filter(|_| is_object) else {
        // Either it is mended, or this says what is wrong.
        return json::parse_object(line);
    };
    let found = [
        ("_source", found._source),
        ("if_seq_no", found.if_seq_no),
        ("if_primary_term", found.if_primary_term),
    ];
    let mut options = Map::new();
    for (name, text) in found {
        if let Some(text) = text {
            options.insert(name.to_owned(), json::parse(text.get().as_bytes())?);
        }
    }
    Ok(options)
}

#[derive(Deserialize)]
struct BodyOptions<'a> {
    #[serde(borrow, default, deserialize_with = "text_of")]
    _source: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "text_of")]
    if_seq_no: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "text_of")]
    if_primary_term: Option<&'a RawValue>,
}

/// Reads a value as its text, `null` too.
fn text_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Takes the condition that the body of an update may hold.
///
/// Errors: 400 for what is no number.
pub fn set_condition(item: &mut WriteItem, body: &Map<String, Value>) -> ApiResult<()> {
    let number = |name: &str| -> ApiResult<Option<i64>> {
        let Some(value) = body.get(name) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        text.parse().map(Some).map_err(|_| {
            ApiError::new(
                ErrorCode::XContentParse,
                format!("[UpdateRequest] failed to parse field [{name}]: [{text}] is not a number"),
            )
        })
    };
    if let Some(seq_no) = number("if_seq_no")? {
        item.if_seq_no = Some(seq_no);
    }
    if let Some(term) = number("if_primary_term")? {
        item.if_primary_term = Some(term.try_into().unwrap_or(0));
    }
    Ok(())
}

/// Reads the `_source` of a request body. Source: Elasticsearch reference, "Retrieve selected fields from a search".
pub fn source_filter(value: &Value) -> ApiResult<SourceFilter> {
    let bad = || {
        ApiError::new(
            ErrorCode::Parsing,
            "[_source] must be a boolean, a string, an array of strings, or an object with [includes] and [excludes]",
        )
    };
    let strings = |value: &Value| -> ApiResult<Vec<String>> {
        match value {
            Value::String(text) => Ok(split_list(text)),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(bad))
                .collect(),
            _ => Err(bad()),
        }
    };
    let mut filter = SourceFilter::default();
    match value {
        Value::Bool(enabled) => filter.enabled = *enabled,
        Value::Object(object) => {
            for (key, list) in object {
                match key.as_str() {
                    "include" | "includes" => filter.includes = strings(list)?,
                    "exclude" | "excludes" => filter.excludes = strings(list)?,
                    _ => return Err(bad()),
                }
            }
        }
        other => filter.includes = strings(other)?,
    }
    Ok(filter)
}

/// Reads an action; a line with nothing but a comment is none.
fn read_action(line: &[u8], number: usize) -> ApiResult<Option<Action>> {
    let error = match serde_json::from_slice(line) {
        Ok(action) => return Ok(Some(action)),
        Err(error) => error,
    };
    let mended = ringwall_base::json::lenient(line);
    let line = mended.as_deref().unwrap_or(line);
    if mended.is_some() && line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    match read_exactly(line) {
        Some(action) => Ok(Some(action)),
        None => Err(diagnose(line, number, &error)),
    }
}

/// Reads an action whose names may be numbers with an exponent, which stay as they are written.
fn read_exactly(line: &[u8]) -> Option<Action> {
    let mut tree = ringwall_base::json::parse(line).ok()?;
    for metadata in tree.as_object_mut()?.values_mut() {
        for value in metadata.as_object_mut()?.values_mut() {
            if let Value::Number(number) = value
                && !ringwall_base::json::is_whole(number.as_str())
            {
                *value = number.to_string().into();
            }
        }
    }
    Action::deserialize(tree).ok()
}

/// Finds the words for a line that the fast reader refused.
fn diagnose(line: &[u8], number: usize, error: &serde_json::Error) -> ApiError {
    let malformed = |expected: &str, found: &str| {
        ApiError::illegal_argument(format!(
            "Malformed action/metadata line [{number}], expected {expected} but found [{found}]"
        ))
    };
    let value = match json::parse(line) {
        Ok(value) => value,
        Err(error) => return error,
    };
    let Value::Object(object) = &value else {
        return malformed("START_OBJECT", json::kind(&value));
    };
    let mut entries = object.iter();
    let Some((action, metadata)) = entries.next() else {
        return malformed("FIELD_NAME", "END_OBJECT");
    };
    if op_type(action).is_none() {
        return malformed("field [create], [delete], [index] or [update]", action);
    }
    let Value::Object(metadata) = metadata else {
        return malformed("START_OBJECT", json::kind(metadata));
    };
    if entries.next().is_some() {
        return malformed("END_OBJECT", "FIELD_NAME");
    }
    for (key, value) in metadata {
        let alone: Map<String, Value> = [(key.clone(), value.clone())].into_iter().collect();
        match serde_json::from_value::<Metadata>(Value::Object(alone)) {
            Ok(_) => {}
            Err(inner) if inner.to_string().starts_with("unknown field") => {
                return ApiError::illegal_argument(format!(
                    "Action/metadata line [{number}] contains an unknown parameter [{key}]"
                ));
            }
            Err(inner) => {
                return ApiError::illegal_argument(format!(
                    "Malformed action/metadata line [{number}], field [{key}]: {inner}"
                ));
            }
        }
    }
    ApiError::illegal_argument(format!(
        "Malformed action/metadata line [{number}]: {error}"
    ))
}

fn op_type(name: &str) -> Option<OpType> {
    match name {
        "index" => Some(OpType::Index),
        "create" => Some(OpType::Create),
        "update" => Some(OpType::Update),
        "delete" => Some(OpType::Delete),
        _ => None,
    }
}

fn unterminated() -> ApiError {
    ApiError::illegal_argument("The bulk request must be terminated by a newline [\\n]")
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ActionVisitor)
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an action")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Action, A::Error> {
        let Some(op) = entries.next_key::<OpName>()? else {
            return Err(A::Error::custom("no action"));
        };
        let metadata = entries.next_value()?;
        if entries.next_key::<OpName>()?.is_some() {
            return Err(A::Error::custom("more than one action"));
        }
        Ok(Action { op: op.0, metadata })
    }
}

/// The name of an action, read without copying it.
struct OpName(OpType);

impl<'de> Deserialize<'de> for OpName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = OpName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[create], [delete], [index] or [update]")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<OpName, E> {
                op_type(name)
                    .map(OpName)
                    .ok_or_else(|| E::custom("unknown action"))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// A text that may have been written as a number.
#[derive(Debug, Serialize)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Text, E> {
                Ok(Text(text))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Text, E> {
                Ok(Text(flag.to_string()))
            }
            /// Any other number, which keeps its text.
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
                let number = Number::deserialize(MapAccessDeserializer::new(map))?;
                // Its form is lost: see `read_exactly`.
                if number.as_str().contains('e') {
                    return Err(A::Error::custom("a number with an exponent"));
                }
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringwall_api::document::{GetResult, ShardCounts};

    use super::*;

    fn read(text: &str) -> ApiResult<Vec<WriteItem>> {
        parse(&Bytes::from(text.to_owned()), &BulkDefaults::default())
    }

    #[test]
    fn actions_and_documents_are_read_in_order() {
        let body = Bytes::from(concat!(
            "{\"index\":{\"_index\":\"a\",\"_id\":\"1\",\"routing\":7}}\r\n",
            "{\"f\":1}\r\n",
            "{\"create\":{\"_index\":\"b\",\"_id\":2}}\n",
            "{}\n",
            "\n",
            "{\"delete\":{\"_id\":\"3\",\"if_seq_no\":4,\"if_primary_term\":1}}\n",
            "{\"update\":{\"_id\":\"5\",\"retry_on_conflict\":3,\"_type\":\"_doc\"}}\n",
            "{\"doc\":{},\"_source\":[\"x\"]}\n",
            "{\"index\":{\"op_type\":\"create\",\"version\":3,\"version_type\":\"external\"}}\n",
            "{\"z\":1}\n",
        ));
        let defaults = BulkDefaults {
            index: Some("d".to_owned()),
            require_alias: true,
            ..BulkDefaults::default()
        };
        let items = parse(&body, &defaults).unwrap();
        let summary: Vec<String> = items
            .iter()
            .map(|item| {
                format!(
                    "{} {} {:?} {}",
                    item.op.as_str(),
                    item.index,
                    item.id,
                    String::from_utf8_lossy(&item.source)
                )
            })
            .collect();
        assert_eq!(
            summary,
            [
                "index a Some(\"1\") {\"f\":1}",
                "create b Some(\"2\") {}",
                "delete d Some(\"3\") ",
                "update d Some(\"5\") {\"doc\":{},\"_source\":[\"x\"]}",
                "create d None {\"z\":1}",
            ]
        );
        assert_eq!(items[0].routing.as_deref(), Some("7"));
        assert_eq!(
            (items[2].if_seq_no, items[2].if_primary_term),
            (Some(4), Some(1))
        );
        assert_eq!(items[3].return_source.as_ref().unwrap().includes, ["x"]);
        assert_eq!(items[4].version_type, VersionType::External);
        assert!(items[0].require_alias);
        // A slice of the body, not a copy.
        let document = items[0].source.as_ptr() as usize;
        let range = body.as_ptr() as usize..body.as_ptr() as usize + body.len();
        assert!(range.contains(&document));
    }

    #[test]
    fn the_options_of_an_update_are_found_wherever_they_stand() {
        let body =
            |line: &str| format!("{{\"update\":{{\"_index\":\"a\",\"_id\":\"1\"}}}}\n{line}\n");
        let found = |line: &str| -> ApiResult<_> {
            let item = read(&body(line))?.remove(0);
            let condition = item.if_seq_no.zip(item.if_primary_term);
            Ok((item.return_source.map(|filter| filter.enabled), condition))
        };
        for (line, expected) in [
            (r#"{"doc":{"_source":1,"if_seq_no":"x"}}"#, (None, None)),
            (
                r#" {"if_primary_term":"2","doc":{"a":[{}]},"_source":true,"if_seq_no":3}"#,
                (Some(true), Some((3, 2))),
            ),
            // Mended, as everywhere.
            (
                r#"{"_source":false, /* all of it */ "doc":{}}"#,
                (Some(false), None),
            ),
        ] {
            assert_eq!(found(line), Ok(expected), "{line}");
        }
        for line in [
            r#"["_source"]"#,
            r#"{"_source":true,"_source":true,"doc":{}}"#,
            r#"{"_source":null,"doc":{}}"#,
            r#"{"if_seq_no":"#,
        ] {
            assert_eq!(found(line).unwrap_err().status, 400, "{line}");
        }
    }

    #[test]
    fn malformed_requests_have_elasticsearchs_words() {
        for (text, part) in [
            ("", "request body is required"),
            (
                "{\"index\":{\"_index\":\"a\"}}\n{}",
                "must be terminated by a newline",
            ),
            (
                "{\"index\":{\"_index\":\"a\"}}\n",
                "must be terminated by a newline",
            ),
            ("\n", "no requests added"),
            (
                "{}\n",
                "Malformed action/metadata line [1], expected FIELD_NAME but found [END_OBJECT]",
            ),
            (
                "[]\n",
                "Malformed action/metadata line [1], expected START_OBJECT but found [START_ARRAY]",
            ),
            (
                "\n\"x\"\n",
                "Malformed action/metadata line [2], expected START_OBJECT but found [VALUE_STRING]",
            ),
            (
                "{\"index\":\"x\"}\n",
                "Malformed action/metadata line [1], expected START_OBJECT but found [VALUE_STRING]",
            ),
            (
                "{\"upsert\":{}}\n",
                "expected field [create], [delete], [index] or [update] but found [upsert]",
            ),
            (
                "{\"index\":{},\"create\":{}}\n",
                "expected END_OBJECT but found [FIELD_NAME]",
            ),
            (
                "{\"index\":{\"_index\":\"a\",\"colour\":1}}\n{}\n",
                "Action/metadata line [1] contains an unknown parameter [colour]",
            ),
            ("{\"index\":{\"_index\":[]}}\n{}\n", "field [_index]"),
            ("{\"index\":{\"_id\":\"1\"}}\n{}\n", "index is missing"),
            (
                "{\"delete\":{\"_index\":\"a\"}}\n{\"update\":{\"_index\":\"a\"}}\n{\"doc\":{}}\n",
                "Validation Failed: 1: id is missing;2: id is missing;",
            ),
            (
                "{\"update\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"doc\":{},\"if_seq_no\":\"x\"}\n",
                "failed to parse field [if_seq_no]",
            ),
            (
                "{\"index\":{\"_index\":\"a\",\"_index\":\"b\"}}\n{}\n",
                "Duplicate field '_index'",
            ),
            ("{\"index\":\n{}\n", "EOF"),
            (
                "{\"index\":{\"_index\":\"a\",\"pipeline\":\"p\"}}\n{}\n",
                "pipeline with id [p] does not exist",
            ),
            (
                "{\"index\":{\"_index\":\"a\",\"version_type\":\"x\"}}\n{}\n",
                "No version type match [x]",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.reason.contains(part), "{text:?}: {}", error.reason);
            assert_eq!(error.status, 400);
        }
    }

    #[test]
    fn answers_keep_the_key_order_shippers_rely_on() {
        let outcome = WriteOutcome {
            version: 1,
            seq_no: 0,
            primary_term: 1,
            result: WriteResult::NotFound,
            shards: ShardCounts {
                total: 2,
                successful: 1,
                skipped: 0,
                failed: 0,
            },
            forced_refresh: true,
            get: Some(GetResult {
                index: "i".to_owned(),
                id: "1".to_owned(),
                found: true,
                version: 1,
                seq_no: 0,
                primary_term: 1,
                routing: None,
                source: Some(Bytes::from_static(b"{\"a\":1}")),
            }),
        };
        let response = |outcome| BulkResponse {
            took_ms: 3,
            items: vec![BulkItemResponse {
                op: OpType::Delete,
                index: "i\"".to_owned(),
                id: Some("1".to_owned()),
                outcome,
            }],
        };
        let text = String::from_utf8(write_response(&response(Ok(outcome)))).unwrap();
        assert_eq!(
            text,
            "{\"took\":3,\"errors\":false,\"items\":[{\"delete\":{\"_index\":\"i\\\"\",\"_id\":\"1\",\
             \"_version\":1,\"result\":\"not_found\",\"forced_refresh\":true,\"_shards\":{\"total\":2,\
             \"successful\":1,\"failed\":0},\"_seq_no\":0,\"_primary_term\":1,\"get\":{\"_seq_no\":0,\
             \"_primary_term\":1,\"found\":true,\"_source\":{\"a\":1}},\"status\":404}}]}"
        );
        let failed = response(Err(ApiError::illegal_argument("no")));
        let text = String::from_utf8(write_response(&failed)).unwrap();
        assert!(text.starts_with("{\"took\":3,\"errors\":true,\"items\":["));
        assert!(text.contains(
            "\"status\":400,\"error\":{\"type\":\"illegal_argument_exception\",\"reason\":\"no\"}"
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(text in "[\\PC\n\r]{0,60}") {
            let _ = read(&text);
        }

        #[test]
        fn damaged_lines_never_panic(cut in 0usize..60, junk in "[{}\\[\\]\":,a1\n]{0,8}") {
            let whole = "{\"index\":{\"_index\":\"a\",\"_id\":\"1\",\"routing\":\"r\"}}\n{\"f\":1}\n";
            let cut = cut.min(whole.len());
            let text = format!("{}{junk}{}", &whole[..cut], &whole[cut..]);
            let _ = read(&text);
        }
    }
}
