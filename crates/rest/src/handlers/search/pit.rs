//! Points in time. Source: Elasticsearch 8.19, asked.

use ringwall_api::search::{ClosePitRequest, OpenPitRequest, PitSearchRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::search::scroll::{cleared_json, keep_alive_ms, unknown};
use crate::handlers::shards_json;
use crate::params::Params;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of opening.
pub const OPEN_PARAMS: &[&str] = &[
    "allow_partial_search_results",
    "expand_wildcards",
    "ignore_unavailable",
    "keep_alive",
    "max_concurrent_shard_requests",
    "preference",
    "routing",
];

/// `POST /{index}/_pit`.
pub async fn open(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let Some(keep_alive) = params.text("keep_alive") else {
        return Err(ApiError::validation(&["[keep_alive] is not specified"]));
    };
    params.hint_numbers(&["max_concurrent_shard_requests"], 1)?;
    if !request.body().is_empty() {
        let body = request.body_object()?;
        if let Some(name) = body.keys().find(|name| *name != "index_filter") {
            return Err(ApiError::new(
                ErrorCode::XContentParse,
                format!("[open_point_in_time_request] unknown field [{name}]"),
            ));
        }
        if body.contains_key("index_filter") {
            return Err(ApiError::illegal_argument(
                "[index_filter] is not supported: no index is left out of a point in time for what it holds",
            ));
        }
    }
    let opened = request
        .execute(OpenPitRequest {
            indices: request.indices(IndicesOptions::default())?,
            keep_alive_ms: keep_alive_ms(keep_alive)?,
            routing: params.owned("routing"),
            preference: params.owned("preference"),
            allow_partial: params.flag("allow_partial_search_results", false)?,
        })
        .await?;
    Ok(RestResponse::json(json!({
        "id": opened.id,
        "_shards": shards_json(opened.shards, &opened.failures, true),
    })))
}

/// `DELETE /_pit`.
pub async fn close(request: RestRequest) -> ApiResult<RestResponse> {
    if request.body().is_empty() {
        return Err(ApiError::new(
            ErrorCode::Parse,
            "request body or source parameter is required",
        ));
    }
    let mut id = String::new();
    for (name, value) in request.body_object()? {
        match (name.as_str(), value) {
            ("id", Value::String(text)) => id = text,
            ("id", _) => {
                return Err(ApiError::illegal_argument(
                    "the request must contain only [id] field",
                ));
            }
            (name, value) => return Err(unknown(name, &value)),
        }
    }
    if id.is_empty() {
        return Err(ApiError::illegal_argument(
            "search context id is is not provided",
        ));
    }
    let cleared = request.execute(ClosePitRequest { id }).await?;
    Ok(cleared_json(cleared, false))
}

/// Returns the search in a point in time that a body asks for; `None` for a search over indices.
///
/// # Errors
/// 400 for what a point in time has fixed.
pub(crate) fn search_of(
    params: &Params,
    body: &mut Map<String, Value>,
    given: Given,
    allow_partial_results: Option<bool>,
) -> ApiResult<Option<PitSearchRequest>> {
    if body.get("pit").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let mut problems = Vec::new();
    if given.scroll {
        problems.push("using [point in time] is not allowed in a scroll context");
    }
    if given.indices {
        problems.push(
            "[indices] cannot be used with point in time. Do not specify any index with point in time.",
        );
    }
    if given.options {
        problems.push("[indicesOptions] cannot be used with point in time");
    }
    if given.routing {
        problems.push("[routing] cannot be used with point in time");
    }
    if given.preference {
        problems.push("[preference] cannot be used with point in time");
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(&problems));
    }
    Ok(Some(PitSearchRequest {
        body: Value::Object(std::mem::take(body)),
        typed_keys: params.flag("typed_keys", false)?,
        allow_partial_results,
    }))
}

/// What was said beside the body of a search.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) scroll: bool,
    pub(crate) indices: bool,
    pub(crate) options: bool,
    pub(crate) routing: bool,
    pub(crate) preference: bool,
}
