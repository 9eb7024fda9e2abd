//! What a handler gets and gives.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use ringwall_api::action::BoxFuture;
use ringwall_api::{
    ActionRequest, ApiResult, Client, ClientExt, IndicesOptions, IndicesTarget, RequestContext,
};
use ringwall_base::breaker::Charge;
use serde_json::{Map, Value};

use crate::json;
use crate::memory::Parsed;
use crate::params::{Params, split_list};

/// An authenticated, routed request whose parameters are known ones.
pub struct RestRequest {
    pub method: Method,
    /// Variables of the path template, decoded.
    pub path_params: Vec<(&'static str, String)>,
    pub params: Params,
    /// Decompressed.
    pub body: Bytes,
    /// What was read of the body into trees, for as long as the request lives.
    pub parsed: Parsed,
    /// For the body itself.
    pub _body_charge: Charge,
    pub context: RequestContext,
    pub client: Arc<dyn Client>,
    /// Whether `Accept` prefers JSON over plain text, for the cat APIs.
    pub prefers_json: bool,
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
        self.path(name).map(str::to_owned).ok_or_else(|| {
            ringwall_api::ApiError::internal(format!("the route has no path variable [{name}]"))
        })
    }

    /// Returns a variable of the path as a list; empty when absent.
    pub fn path_list(&self, name: &str) -> Vec<String> {
        self.path(name).map(split_list).unwrap_or_default()
    }

    /// Returns the indices of the path with the options of the parameters.
    pub fn indices(&self, defaults: IndicesOptions) -> ApiResult<IndicesTarget> {
        Ok(IndicesTarget {
            options: self.params.indices_options(defaults)?,
            ..IndicesTarget::parse(self.path("index").unwrap_or_default())
        })
    }

    /// Returns the one index of the path; wildcards stay as they are.
    pub fn one_index(&self) -> ApiResult<IndicesTarget> {
        Ok(single_index(self.required("index")?))
    }

    /// Returns the body as an object, empty when there is no body. `source` may hold it instead.
    pub fn body_object(&self) -> ApiResult<Map<String, Value>> {
        match self.params.text("source") {
            Some(source) if self.body.is_empty() => self.object_of(source.as_bytes()),
            _ => self.object_of(&self.body),
        }
    }

    /// Returns a part of the body as an object.
    pub fn object_of(&self, text: &[u8]) -> ApiResult<Map<String, Value>> {
        self.parsed.admit(text)?;
        json::parse_object(text)
    }

    /// Executes an action as the caller.
    pub async fn execute<R: ActionRequest>(&self, request: R) -> ApiResult<R::Response> {
        self.client.execute(self.context.clone(), request).await
    }
}

/// Returns a target of one index whose name is taken literally.
pub fn single_index(index: impl Into<String>) -> IndicesTarget {
    IndicesTarget {
        options: IndicesOptions {
            expand_wildcards: false,
            ..IndicesOptions::default()
        },
        ..IndicesTarget::one(index)
    }
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
