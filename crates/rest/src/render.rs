//! From an answer to HTTP: media types, pretty printing, filtering, compression.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::ByteSizeValue;
use ringwall_base::breaker::{Breakers, Purpose, Tripped};
use ringwall_base::json_size::tree_size;
use serde_json::Value;

use crate::filter_path::FilterPath;
use crate::formats::{self, Format};
use crate::json;
use crate::params::Params;
use crate::request::{ResponseBody, RestResponse};

/// How the client wants the answer written.
#[derive(Debug, Default)]
pub struct Rendering {
    pub pretty: bool,
    pub filter: FilterPath,
    /// The `compatible-with` of a vendor media type in `Accept`.
    pub compatible_with: Option<u8>,
    /// The form of the answer.
    pub format: Format,
    pub prefers_json: bool,
    pub gzip: bool,
    pub opaque_id: Option<HeaderValue>,
}

/// Adds to numbers of bytes and of time what they are for people, as `human` asks for: `store.size` beside
/// `store.size_in_bytes`. Only for answers that hold nothing of the users' own.
pub fn humanize(value: &mut Value) {
    let object = match value {
        Value::Array(items) => return items.iter_mut().for_each(humanize),
        Value::Object(object) => object,
        _ => return,
    };
    let mut readable = Vec::new();
    for (key, child) in object.iter_mut() {
        match child.as_u64().and_then(|number| in_words(key, number)) {
            Some(pair) => readable.push(pair),
            None => humanize(child),
        }
    }
    for (key, text) in readable {
        object.entry(key).or_insert_with(|| text.into());
    }
}

fn in_words(key: &str, number: u64) -> Option<(String, String)> {
    if let Some(name) = key.strip_suffix("_in_bytes") {
        return Some((
            name.to_owned(),
            ByteSizeValue::from_bytes(number).to_string(),
        ));
    }
    if let "start_time_in_millis" | "stop_time_in_millis" = key {
        let at = i64::try_from(number)
            .ok()
            .map(jiff::Timestamp::from_millisecond)?;
        let name = key.trim_end_matches("_in_millis");
        return Some((name.to_owned(), format!("{:.3}", at.ok()?)));
    }
    if let Some(name) = key.strip_suffix("_in_millis") {
        return Some((
            name.to_owned(),
            duration_in_words(u128::from(number) * 1_000_000),
        ));
    }
    let name = key.strip_suffix("_in_nanos")?;
    Some((name.to_owned(), duration_in_words(number.into())))
}

/// Writes nanoseconds in the largest unit that they fill, to a tenth of it, cut off.
pub fn duration_in_words(nanos: u128) -> String {
    const UNITS: [(u128, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "micros"),
        (1, "nanos"),
    ];
    let fills = |(unit, _): &&(u128, &str)| nanos >= *unit;
    let Some((unit, name)) = UNITS.iter().find(fills) else {
        return "0s".to_owned();
    };
    let tenths = nanos * 10 / unit;
    match tenths % 10 {
        0 => format!("{}{name}", tenths / 10),
        tenth => format!("{}.{tenth}{name}", tenths / 10),
    }
}

impl Rendering {
    /// Reads the headers. The parameters are added once they are known to be wanted.
    pub fn from_headers(headers: &HeaderMap, compression: bool) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let accept = wish(headers);
        Self {
            compatible_with: accept.as_deref().and_then(compatible_with),
            format: accept
                .as_deref()
                .and_then(|accept| Format::of_media_type(essence(accept)))
                .unwrap_or_default(),
            prefers_json: accept.as_deref().is_some_and(is_structured),
            gzip: compression && text("accept-encoding").is_some_and(accepts_gzip),
            opaque_id: headers.get("x-opaque-id").cloned(),
            ..Self::default()
        }
    }

    /// Adds what the query string says.
    pub fn add_params(&mut self, params: &Params) -> ApiResult<()> {
        self.pretty = params.flag("pretty", false)?;
        // Errors have no stack traces to show.
        params.hint_flags(&["error_trace"])?;
        // Whoever has words for people beside its numbers asks again.
        params.hint_flags(&["human"])?;
        if let Some(format) = params.peek("format").and_then(Format::of_name) {
            self.format = format;
        }
        self.filter = FilterPath::parse(params.text("filter_path").unwrap_or_default());
        Ok(())
    }

    /// Returns the HTTP answer.
    pub fn response(&self, answer: RestResponse) -> Response<Full<Bytes>> {
        self.written(answer).map(full)
    }

    fn written(&self, answer: RestResponse) -> Response<Vec<u8>> {
        let (content_type, body) = self.body(answer.body);
        let mut response = self.assemble(answer.status, content_type, body);
        for (name, value) in answer.headers {
            append(response.headers_mut(), name, &value);
        }
        response
    }

    /// Returns the HTTP answer, or the refusal of one that there is no memory for. Its bytes are charged until the last
    /// of them is sent.
    pub fn charged(&self, answer: RestResponse, breakers: &Breakers) -> Response<Full<Bytes>> {
        match self.try_charged(answer, breakers) {
            Ok(response) => response,
            Err(tripped) => self.error(&tripped.into()),
        }
    }

    fn try_charged(
        &self,
        answer: RestResponse,
        breakers: &Breakers,
    ) -> Result<Response<Full<Bytes>>, Tripped> {
        const LABEL: &str = "<http_response>";
        let (built, tree) = match &answer.body {
            ResponseBody::RawJson(raw) if self.needs_tree() => {
                (raw.len() as u64, tree_size(raw).bytes)
            }
            ResponseBody::RawJson(raw) => (raw.len() as u64, 0),
            ResponseBody::Text(text) => (text.len() as u64, 0),
            ResponseBody::Json(_) | ResponseBody::Empty => (0, 0),
        };
        let mut charge = breakers.charge(Purpose::Request, built + tree, LABEL)?;
        let response = self.written(answer);
        let written = response.body().len() as u64;
        match charge.bytes().checked_sub(written) {
            Some(less) => charge.shrink(less),
            None => charge.grow(written - charge.bytes(), LABEL)?,
        }
        Ok(response.map(|body| Full::new(charge.hold(body))))
    }

    /// Returns the HTTP answer for a failure. Failures are never filtered.
    pub fn error(&self, error: &ApiError) -> Response<Full<Bytes>> {
        let status =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = self.plain_error(status, &error.to_json());
        for (name, value) in &error.headers {
            append(response.headers_mut(), name, value);
        }
        response
    }

    /// Returns a failure whose body has a shape of its own.
    pub fn plain_error(&self, status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
        let text = self.write_whole(body);
        self.assemble(status, Some(self.media_type()), text)
            .map(full)
    }

    /// Whether an answer that is JSON text is read to be written anew.
    fn needs_tree(&self) -> bool {
        self.pretty || self.filter.excludes() || self.format != Format::Json
    }

    fn write_whole(&self, value: &Value) -> Vec<u8> {
        match self.format {
            Format::Json if self.pretty => json::pretty(value),
            format => formats::write(format, value),
        }
    }

    fn body(&self, body: ResponseBody) -> (Option<String>, Vec<u8>) {
        match body {
            ResponseBody::Empty => (None, Vec::new()),
            ResponseBody::Text(text) => (
                Some("text/plain; charset=UTF-8".to_owned()),
                text.into_bytes(),
            ),
            ResponseBody::RawJson(raw) if !self.needs_tree() && self.filter.is_empty() => {
                (Some(self.media_type()), raw)
            }
            // What handlers write is JSON; if it ever is not, the client still sees it.
            ResponseBody::RawJson(raw) => {
                let body = self.rewritten(&raw).unwrap_or(raw);
                (Some(self.media_type()), body)
            }
            ResponseBody::Json(value) => (Some(self.media_type()), self.write(value)),
        }
    }

    fn rewritten(&self, raw: &[u8]) -> serde_json::Result<Vec<u8>> {
        let included = self.filter.included(raw)?;
        if !self.needs_tree() {
            return Ok(included);
        }
        ringwall_base::json::parse(&included).map(|value| self.write(value))
    }

    fn write(&self, value: Value) -> Vec<u8> {
        let value = if self.filter.is_empty() {
            value
        } else {
            self.filter.apply(value)
        };
        self.write_whole(&value)
    }

    fn media_type(&self) -> String {
        match self.compatible_with {
            Some(version) => {
                let name = self.format.name();
                format!("application/vnd.elasticsearch+{name};compatible-with={version}")
            }
            None => format!("application/{}", self.format.name()),
        }
    }

    fn assemble(
        &self,
        status: StatusCode,
        content_type: Option<String>,
        body: Vec<u8>,
    ) -> Response<Vec<u8>> {
        let (body, gzipped) = self.compress(body);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
        if let Some(id) = &self.opaque_id {
            headers.insert(OPAQUE_ID, id.clone());
        }
        if let Some(value) = content_type.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(CONTENT_TYPE, value);
        }
        if gzipped {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }

    fn compress(&self, body: Vec<u8>) -> (Vec<u8>, bool) {
        if !self.gzip || body.len() < COMPRESS_FROM_BYTES {
            return (body, false);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        match encoder.write_all(&body).and_then(|()| encoder.finish()) {
            Ok(compressed) => (compressed, true),
            Err(_) => (body, false),
        }
    }

    /// Returns whether rendering takes long enough to leave the I/O threads.
    pub fn is_heavy(&self, answer: &RestResponse) -> bool {
        let bytes = match &answer.body {
            ResponseBody::RawJson(raw) => raw.len(),
            ResponseBody::Text(text) => text.len(),
            ResponseBody::Json(_) | ResponseBody::Empty => 0,
        };
        bytes > HEAVY_BYTES && (self.gzip || self.needs_tree() || !self.filter.is_empty())
    }
}

/// The media type of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    Json,
    NdJson,
    /// Another form than JSON.
    Other(Format),
    Unknown,
}

/// Reads `Content-Type`, and checks that compatibility versions agree. Source: Elasticsearch reference, "REST API
/// compatibility".
///
/// Errors: 400 `media_type_header_exception` for what is no media type, and for a version we do not speak.
pub fn check_media_types(
    headers: &HeaderMap,
    rendering: &Rendering,
) -> ApiResult<Option<BodyType>> {
    check_shape(headers, ACCEPT, "Accept")?;
    check_shape(headers, CONTENT_TYPE, "Content-Type")?;
    if wish(headers)
        .is_some_and(|accept| accept.contains(VENDOR) && accept.contains("compatible-with"))
    {
        check_version("Accept", rendering.compatible_with)?;
    }
    let Some(content_type) = text(headers, &CONTENT_TYPE) else {
        return Ok(None);
    };
    if content_type.contains(VENDOR) && content_type.contains("compatible-with") {
        check_version("Content-Type", compatible_with(&content_type))?;
    }
    Ok(Some(match essence(&content_type) {
        "application/json" | "application/vnd.elasticsearch+json" => BodyType::Json,
        "application/x-ndjson" | "application/vnd.elasticsearch+x-ndjson" => BodyType::NdJson,
        other => match Format::of_media_type(other) {
            Some(format) => BodyType::Other(format),
            None => BodyType::Unknown,
        },
    }))
}

/// Returns the media type that a client asks for, in lower case. One that names several, or any, asks for none: the
/// answer is then what the endpoint prefers, whatever the weights say, as with Elasticsearch.
fn wish(headers: &HeaderMap) -> Option<String> {
    text(headers, &ACCEPT).filter(|accept| !is_list(accept))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
}

fn is_list(value: &str) -> bool {
    value.contains(',') || value.trim() == "*"
}

/// Whether a media type is of structured data, and not text for people.
fn is_structured(media_type: &str) -> bool {
    const JSON: [&str; 5] = [
        "application/json",
        "application/x-ndjson",
        "application/vnd.elasticsearch+json",
        "application/vnd.elasticsearch+x-ndjson",
        "application/*",
    ];
    let essence = essence(media_type);
    JSON.contains(&essence) || Format::of_media_type(essence).is_some()
}

/// Returns a media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Refuses a header given twice, and one that names no media type.
fn check_shape(headers: &HeaderMap, name: HeaderName, shown: &str) -> ApiResult<()> {
    let mut given = headers.get_all(&name).iter();
    let Some(first) = given.next() else {
        return Ok(());
    };
    let first = String::from_utf8_lossy(first.as_bytes());
    let is_token = |token: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+.^_`|~-".contains(c);
        !token.is_empty() && token.chars().all(is_allowed)
    };
    let names_one = |(kind, subtype)| is_token(kind) && is_token(subtype);
    let cause = if given.next().is_some() {
        format!("Incorrect header [{shown}]. Only one value should be provided")
    } else if is_list(&first) || essence(&first).split_once('/').is_some_and(names_one) {
        return Ok(());
    } else {
        format!("invalid media-type [{first}]")
    };
    let reason = format!("Invalid media-type value on headers [{shown}]");
    Err(ApiError::new(ErrorCode::MediaTypeHeader, reason)
        .caused_by(ApiError::illegal_argument(cause)))
}

fn check_version(header: &str, version: Option<u8>) -> ApiResult<()> {
    if version.is_some() {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::MediaTypeHeader,
        format!(
            "Invalid media-type value on headers [{header}]: compatible-with must be one of [7, 8, 9]"
        ),
    ))
}

/// Returns the version of a vendor type, if it is one we answer.
fn compatible_with(value: &str) -> Option<u8> {
    let after = value.split_once(VENDOR)?.1;
    let version = after.split_once("compatible-with=")?.1;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|n| (7..=9).contains(n))
}

fn accepts_gzip(value: &str) -> bool {
    value.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let coding = pieces.next().unwrap_or_default();
        let refused = pieces.any(|piece| {
            piece
                .strip_prefix("q=")
                .is_some_and(|q| q.parse::<f32>() == Ok(0.0))
        });
        coding.eq_ignore_ascii_case("gzip") && !refused
    })
}

fn full(body: Vec<u8>) -> Full<Bytes> {
    Full::new(Bytes::from(body))
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.append(name, value);
    }
}

const VENDOR: &str = "application/vnd.elasticsearch+";
const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
const OPAQUE_ID: HeaderName = HeaderName::from_static("x-opaque-id");
/// Below this, a packet is a packet.
const COMPRESS_FROM_BYTES: usize = 1_400;
const HEAVY_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_are_told_to_people_too() {
        let mut stats = serde_json::json!({"store": {"size_in_bytes": 2048}, "tasks": [
            {"running_time_in_nanos": 15_757_699, "start_time_in_millis": 0, "x_in_millis": 204_837}
        ]});
        humanize(&mut stats);
        assert_eq!(
            stats,
            serde_json::json!({"store": {"size_in_bytes": 2048, "size": "2kb"}, "tasks": [{
                "running_time_in_nanos": 15_757_699, "running_time": "15.7ms",
                "start_time_in_millis": 0, "start_time": "1970-01-01T00:00:00.000Z",
                "x_in_millis": 204_837, "x": "3.4m",
            }]})
        );
        assert_eq!(duration_in_words(0), "0s");
    }

    #[test]
    fn versions_and_encodings_are_read() {
        for (value, expected) in [
            (
                "application/vnd.elasticsearch+json; compatible-with=8",
                Some(8),
            ),
            (
                "application/vnd.elasticsearch+json;compatible-with=9",
                Some(9),
            ),
            (
                "application/vnd.elasticsearch+json; q=1; compatible-with=7",
                Some(7),
            ),
            (
                "application/vnd.elasticsearch+json; compatible-with=6",
                None,
            ),
            ("application/json; compatible-with=8", None),
            ("*/*", None),
        ] {
            assert_eq!(compatible_with(value), expected, "{value}");
        }
        let prefers_json = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            let rendering = Rendering::from_headers(&headers, false);
            let refused = check_media_types(&headers, &rendering).err();
            refused
                .map(|error| error.reason)
                .map_or(Ok((rendering.prefers_json, rendering.compatible_with)), Err)
        };
        for (accept, expected) in [
            ("application/json", (true, None)),
            ("APPLICATION/JSON; charset=UTF-8", (true, None)),
            ("application/json;q=0.5", (true, None)),
            ("application/*", (true, None)),
            (
                "application/vnd.elasticsearch+json; compatible-with=8",
                (true, Some(8)),
            ),
            ("text/plain", (false, None)),
            ("*/*", (false, None)),
            ("*", (false, None)),
            ("application/yaml", (true, None)),
            ("application/cbor", (true, None)),
            ("application/xml", (false, None)),
            ("application/problem+json", (false, None)),
            ("application/json, text/plain", (false, None)),
            ("text/plain;q=0.1, application/json", (false, None)),
            (
                "application/vnd.elasticsearch+json; compatible-with=8,text/plain",
                (false, None),
            ),
        ] {
            assert_eq!(prefers_json(accept), Ok(expected), "{accept}");
        }
        for accept in ["json", "", "a b/c", "text/"] {
            let reason = "Invalid media-type value on headers [Accept]";
            assert_eq!(prefers_json(accept).unwrap_err(), reason, "{accept}");
        }
        assert!(accepts_gzip("deflate, gzip"));
        assert!(accepts_gzip("gzip;q=0.5"));
        assert!(!accepts_gzip("gzip;q=0, identity"));
        assert!(!accepts_gzip("br"));
    }
}
