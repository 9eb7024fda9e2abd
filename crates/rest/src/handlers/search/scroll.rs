//! `_search/scroll`. Source: Elasticsearch 8.19, asked.

use http::StatusCode;
use ringwall_api::search::{
    ClearAllScrollsRequest, ClearScrollRequest, ClearedContexts, ScrollRequest,
};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::TimeValue;
use serde_json::{Value, json};

use crate::handlers::search::write_search;
use crate::json;
use crate::params::split_list;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `GET|POST /_search/scroll`.
pub const PARAMS: &[&str] = &["rest_total_hits_as_int", "scroll", "scroll_id"];

/// `GET|POST /_search/scroll[/{scroll_id}]`. What the body says counts.
pub async fn next(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let as_int = params.flag("rest_total_hits_as_int", false)?;
    let mut id = request.path("scroll_id").map(str::to_owned);
    id = id.or_else(|| params.owned("scroll_id"));
    params.text("scroll_id");
    let mut keep_alive_ms = params.text("scroll").map(keep_alive_ms).transpose()?;
    if !request.body().is_empty() {
        for (name, value) in request.body_object()? {
            match (name.as_str(), &value) {
                ("scroll_id", Value::String(text)) => id = Some(text.clone()),
                ("scroll", Value::String(text)) => keep_alive_ms = Some(self::keep_alive_ms(text)?),
                _ => return Err(unknown(&name, &value)),
            }
        }
    }
    let Some(scroll_id) = id else {
        return Err(ApiError::validation(&["scrollId is missing"]));
    };
    let next = ScrollRequest {
        scroll_id,
        keep_alive_ms,
    };
    let response = request.execute(next).await?;
    let mut out = Vec::with_capacity(256);
    write_search(&mut out, &response, as_int, None);
    Ok(RestResponse::raw(out))
}

/// `DELETE /_search/scroll/_all`: those of everybody.
pub async fn clear_all(request: RestRequest) -> ApiResult<RestResponse> {
    let cleared = request.execute(ClearAllScrollsRequest {}).await?;
    let body = json!({"succeeded": true, "num_freed": cleared.freed});
    Ok(RestResponse::json(body))
}

/// `DELETE /_search/scroll[/{scroll_id}]`: those of the caller.
pub async fn clear(request: RestRequest) -> ApiResult<RestResponse> {
    let mut ids = request.path_list("scroll_id");
    if !request.body().is_empty() {
        ids.clear();
        for (name, value) in request.body_object()? {
            match (name.as_str(), &value) {
                ("scroll_id", Value::String(text)) => ids.extend(split_list(text)),
                ("scroll_id", Value::Array(items)) => {
                    for item in items {
                        let text = item.as_str().ok_or_else(|| {
                            ApiError::illegal_argument(
                                "scroll_id array element should only contain scroll_id",
                            )
                        })?;
                        ids.push(text.to_owned());
                    }
                }
                _ => return Err(unknown(&name, &value)),
            }
        }
    }
    if ids.is_empty() {
        return Err(ApiError::validation(&["no scroll ids specified"]));
    }
    if ids == ["_all"] {
        return clear_all(request).await;
    }
    let cleared = request
        .execute(ClearScrollRequest { scroll_ids: ids })
        .await?;
    Ok(cleared_json(cleared, true))
}

/// Nothing that was open is 404. Of that Elasticsearch says of scrolls that it succeeded, of points in time not.
pub(crate) fn cleared_json(cleared: ClearedContexts, succeeds: bool) -> RestResponse {
    let found = cleared.freed > 0;
    let body = json!({"succeeded": found || succeeds, "num_freed": cleared.freed});
    RestResponse::json(body).with_status(match found {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    })
}

/// Reads for how long something is kept open. What is negative ends at once.
pub(crate) fn keep_alive_ms(text: &str) -> ApiResult<u64> {
    if text.is_empty() {
        return Err(ApiError::illegal_argument(
            "failed to parse setting [scroll] with value [] as a time value: unit is missing or unrecognized",
        ));
    }
    let value: TimeValue = text
        .parse()
        .map_err(|_| ApiError::illegal_argument(format!("failed to parse [{text}]")))?;
    let millis = value.duration().map_or(0, |duration| duration.as_millis());
    Ok(u64::try_from(millis).unwrap_or(u64::MAX))
}

pub(crate) fn unknown(name: &str, value: &Value) -> ApiError {
    ApiError::illegal_argument(format!(
        "Unknown parameter [{name}] in request body or parameter is of the wrong type[{}] ",
        json::kind(value)
    ))
}
