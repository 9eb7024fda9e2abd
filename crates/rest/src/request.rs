//! What a handler gets and gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use ringwall_api::action::BoxFuture;
use ringwall_api::{
    ActionRequest, ApiError, ApiResult, Client, ClientExt, ErrorCode, IndicesOptions,
    IndicesTarget, RequestContext,
};
use serde_json::{Map, Value};

use crate::json;
use crate::memory::Parsed;
use crate::params::{Params, split_list};

/// An authenticated, routed request whose parameters are known ones.
pub struct RestRequest {
    pub method: Method,
    /// As it was sent, for refusals.
    pub uri_path: String,
    /// Variables of the path template, decoded.
    pub path_params: Vec<(&'static str, String)>,
    pub params: Arc<Params>,
    pub body: RequestBody,
    /// What was read of the body into trees, for as long as the request lives.
    pub parsed: Parsed,
    pub context: RequestContext,
    pub names: IndexNames,
    pub client: Arc<dyn Client>,
    /// Whether `Accept` prefers JSON over plain text, for the cat APIs.
    pub prefers_json: bool,
}

/// How names of indices with date math are read, and at which moment. The language is another crate's.
#[derive(Debug, Clone, Copy)]
pub struct IndexNames {
    pub math: NameMath,
    /// What `now` means, milliseconds since 1970: the same for the whole request.
    pub now_ms: i64,
}

/// Replaces the date math in a name, by the time in milliseconds since 1970.
pub type NameMath = fn(&str, i64) -> ApiResult<String>;

impl IndexNames {
    /// Returns the name that an expression stands for.
    ///
    /// Errors: 400 for date math that is none.
    pub fn resolve(&self, name: String) -> ApiResult<String> {
        if !name.contains('<') {
            return Ok(name);
        }
        (self.math)(&name, self.now_ms)
    }

    /// Returns a list of names, separated by commas, with each resolved.
    ///
    /// Errors: as [`IndexNames::resolve`].
    pub fn resolve_list(&self, names: String) -> ApiResult<String> {
        if !names.contains('<') {
            return Ok(names);
        }
        let names = names.split(',').map(|name| self.resolve(name.to_owned()));
        Ok(names.collect::<ApiResult<Vec<_>>>()?.join(","))
    }
}

/// A handler: translates, executes through the client, translates back.
pub type Handler = fn(RestRequest) -> BoxFuture<'static, ApiResult<RestResponse>>;

impl RestRequest {
    /// Returns a variable of the path, or `None` where the matching template has none of the name.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.path_params
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a variable of the path that the route always has.
    pub fn required(&self, name: &str) -> ApiResult<String> {
        self.path(name)
            .map(str::to_owned)
            .ok_or_else(|| ApiError::internal(format!("the route has no path variable [{name}]")))
    }

    /// Returns a variable of the path as a list; empty when absent.
    pub fn path_list(&self, name: &str) -> Vec<String> {
        self.path(name).map(split_list).unwrap_or_default()
    }

    /// Returns the indices of the path with the options of the parameters.
    pub fn indices(&self, defaults: IndicesOptions) -> ApiResult<IndicesTarget> {
        let target = IndicesTarget::parse(self.path("index").unwrap_or_default());
        Ok(target.with_options(self.params.indices_options(defaults)?))
    }

    /// Returns the one index of the path; wildcards stay as they are.
    pub fn one_index(&self) -> ApiResult<IndicesTarget> {
        Ok(single_index(self.required("index")?))
    }

    /// Returns the body, decompressed.
    pub fn body(&self) -> &Bytes {
        self.body.is_read.store(true, Ordering::Relaxed);
        &self.body.bytes
    }

    /// Refuses what nothing has read: parameters by name, and a body.
    pub fn refuse_unread(&self) -> ApiResult<()> {
        refuse_unread(&self.params, &self.uri_path)?;
        match self.body.bytes.is_empty() || self.body.is_read.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(takes_no_body(&self.method, &self.uri_path)),
        }
    }

    /// Returns the body as an object, empty when there is no body. `source` may hold it instead.
    pub fn body_object(&self) -> ApiResult<Map<String, Value>> {
        if !self.body().is_empty() {
            return self.object_of(self.body());
        }
        match self.params.text("source") {
            Some(source) => {
                self.check_source_type()?;
                self.object_of(source.as_bytes())
            }
            None => Ok(Map::new()),
        }
    }

    /// Returns the body as an object; `expected` names what must be there.
    pub fn required_object(&self, expected: &str) -> ApiResult<Map<String, Value>> {
        if self.body().is_empty() {
            let reason = format!("{expected} is required");
            return Err(ApiError::new(ErrorCode::Parse, reason));
        }
        self.object_of(self.body())
    }

    /// `source` says by `source_content_type` what it is.
    fn check_source_type(&self) -> ApiResult<()> {
        let given = self.params.text("source_content_type");
        let essence = |text: &str| {
            text.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        };
        match given.map(essence).as_deref() {
            Some("application/json" | "application/vnd.elasticsearch+json") => Ok(()),
            None => Err(ApiError::illegal_argument(
                "source and source_content_type parameters are required",
            )),
            Some(_) => Err(ApiError::illegal_argument(format!(
                "[source_content_type] is [{}], but only [application/json] is supported",
                given.unwrap_or_default()
            ))),
        }
    }

    /// Returns a part of the body as an object.
    pub fn object_of(&self, text: &[u8]) -> ApiResult<Map<String, Value>> {
        self.parsed.admit(text)?;
        json::parse_object(text)
    }

    /// Lets nothing that the request does take longer than the duration in a parameter.
    pub fn limit_time(&mut self, name: &str) -> ApiResult<()> {
        if self.params.text(name).is_some() {
            let limit = Duration::from_millis(self.params.time_ms(name, 0)?);
            self.context.deadline = Instant::now().checked_add(limit);
        }
        Ok(())
    }

    /// Executes an action as the caller. All parameters and the body have been read by then: what is not known to be in
    /// force must not be taken.
    pub async fn execute<R: ActionRequest>(&self, request: R) -> ApiResult<R::Response> {
        self.refuse_unread()?;
        self.client.execute(self.context.clone(), request).await
    }
}

/// What came with a request.
#[derive(Debug, Default)]
pub struct RequestBody {
    bytes: Bytes,
    is_read: AtomicBool,
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            is_read: AtomicBool::new(false),
        }
    }
}

/// Returns the 400 for a body where there is no use for one.
pub fn takes_no_body(method: &Method, path: &str) -> ApiError {
    ApiError::illegal_argument(format!(
        "request [{method} {path}] does not support having a body"
    ))
}

/// Refuses a query parameter that nothing has read: by its name it may be known, but it would change nothing.
///
/// # Errors
/// 400 with the names.
pub fn refuse_unread(params: &Params, path: &str) -> ApiResult<()> {
    let unread: Vec<String> = params.unread().map(|name| format!("[{name}]")).collect();
    match unread.is_empty() {
        true => Ok(()),
        false => Err(unrecognized(path, &unread)),
    }
}

/// Returns the 400 for parameters that an endpoint does not take, or not with the others given.
pub fn unrecognized(path: &str, described: &[String]) -> ApiError {
    let noun = match described.len() {
        1 => "parameter",
        _ => "parameters",
    };
    ApiError::illegal_argument(format!(
        "request [{path}] contains unrecognized {noun}: {}",
        described.join(", ")
    ))
}

/// Returns a target of one index whose name is taken literally.
pub fn single_index(index: impl Into<String>) -> IndicesTarget {
    IndicesTarget::one(index).with_options(IndicesOptions {
        expand_wildcards: false,
        ..IndicesOptions::default()
    })
}

/// An answer before rendering.
#[derive(Debug)]
pub struct RestResponse {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub body: ResponseBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ResponseBody {
    Empty,
    Json(Value),
    /// JSON already written, compact.
    RawJson(Vec<u8>),
    Text(String),
}

impl RestResponse {
    /// Returns a 200 with a JSON body.
    pub fn json(value: Value) -> Self {
        Self::new(StatusCode::OK, ResponseBody::Json(value))
    }

    /// Returns a 200 with a body of JSON text.
    pub fn raw(json: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, ResponseBody::RawJson(json))
    }

    /// Returns a 200 with plain text.
    pub fn text(text: String) -> Self {
        Self::new(StatusCode::OK, ResponseBody::Text(text))
    }

    /// Returns 200 or 404 without a body, as `HEAD` endpoints do.
    pub fn exists(exists: bool) -> Self {
        let status = if exists {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        Self::new(status, ResponseBody::Empty)
    }

    /// Returns an answer.
    pub fn new(status: StatusCode, body: ResponseBody) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// Sets the status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
