//! JSON bodies, read strictly and written the way Elasticsearch writes them.

use std::collections::HashSet;
use std::io;

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value};

/// Reads a JSON body. A key that occurs twice in an object is an error, not a choice.
///
/// Errors: 400 `json_parse_exception`, or `x_content_e_o_f_exception` for a body cut short.
pub fn parse(text: &[u8]) -> ApiResult<Value> {
    ringwall_base::json::parse_request(text).map_err(|e| parse_error(&e))
}

/// Reads a JSON body that has to be an object; an empty body is an empty object.
pub fn parse_object(text: &[u8]) -> ApiResult<Map<String, Value>> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match parse(text)? {
        Value::Object(object) => Ok(object),
        other => Err(ApiError::new(
            ErrorCode::Parsing,
            format!(
                "expected an object as the request body but found [{}]",
                kind(&other)
            ),
        )),
    }
}

/// Returns the 400 for text that is not JSON.
pub fn parse_error(error: &serde_json::Error) -> ApiError {
    let code = if error.is_eof() {
        ErrorCode::XContentEof
    } else {
        ErrorCode::JsonParse
    };
    ApiError::new(
        code,
        format!("[{}:{}] {error}", error.line(), error.column()),
    )
}

/// Returns Elasticsearch's word for the kind of a value.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// Returns a value as text, a string without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Writes a value on one line.
pub fn compact(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Writes a value for people: two spaces, ` : ` between key and value, a newline at the end.
pub fn pretty(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Spaced::default());
    // Invariant: a `Value` serializes, and writing to memory does not fail.
    value.serialize(&mut writer).expect("values are writable");
    out.push(b'\n');
    out
}

/// Appends a JSON string literal.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // Invariant: strings serialize, and writing to memory does not fail.
    serde_json::to_writer(out, text).expect("strings are writable");
}

/// A [`PrettyFormatter`] with a space before the colon.
#[derive(Default)]
struct Spaced {
    inner: PrettyFormatter<'static>,
}

impl Formatter for Spaced {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.begin_array(writer)
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_array(writer)
    }
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.inner.begin_array_value(w, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.begin_object(writer)
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_object(writer)
    }
    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.inner.begin_object_key(w, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_object_value(writer)
    }
}

/// Refuses keys outside the allowed ones, naming the nearest.
pub fn check_keys(what: &str, object: &Map<String, Value>, allowed: &[&str]) -> ApiResult<()> {
    let known: HashSet<&str> = allowed.iter().copied().collect();
    match object.keys().find(|key| !known.contains(key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ApiError::new(
            ErrorCode::XContentParse,
            format!(
                "[{what}] unknown field [{key}]{}",
                did_you_mean(key, allowed.iter().copied())
            ),
        )),
    }
}

/// Returns ` did you mean [x]?` if a known name is near, or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match ringwall_base::suggest::nearest(name, known).as_slice() {
        [] => String::new(),
        [one] => format!(" did you mean [{one}]?"),
        several => format!(" did you mean any of [{}]?", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn duplicates_and_damage_are_refused() {
        for (text, code) in [
            (&b"{\"a\":1,\"a\":2}"[..], ErrorCode::JsonParse),
            (b"{\"x\":{\"a\":1,\"b\":2,\"a\":2}}", ErrorCode::JsonParse),
            (b"[{\"a\":1,\"a\":2}]", ErrorCode::JsonParse),
            (b"{\"a\":", ErrorCode::XContentEof),
            (b"{a:1}", ErrorCode::JsonParse),
            (b"{} x", ErrorCode::JsonParse),
            (b"", ErrorCode::XContentEof),
            (b"\xff", ErrorCode::JsonParse),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.code, error.status), (code, 400), "{text:?}");
        }
        assert!(
            parse(b"{\"a\":1,\"a\":2}")
                .unwrap_err()
                .reason
                .contains("Duplicate field 'a'")
        );
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn pretty_has_a_space_before_the_colon() {
        let text = pretty(&json!({"a": {"b": [1, 2]}, "c": {}}));
        let expected =
            "{\n  \"a\" : {\n    \"b\" : [\n      1,\n      2\n    ]\n  },\n  \"c\" : {}\n}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn unknown_keys_come_with_a_suggestion() {
        let object = json!({"settngs": {}});
        let error =
            check_keys("create_index", object.as_object().unwrap(), &["settings"]).unwrap_err();
        assert_eq!(
            error.reason,
            "[create_index] unknown field [settngs] did you mean [settings]?"
        );
    }

    proptest! {
        #[test]
        fn what_serde_accepts_without_duplicates_is_accepted(text in "[\\[\\]{}\",:a1 ]{0,20}") {
            if let Ok(value) = parse(text.as_bytes()) {
                let plain: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(value, plain);
            }
        }
    }
}
