//! `_refresh` and `_flush`.

use http::StatusCode;
use ringwall_api::indices::{BroadcastResponse, FlushRequest, RefreshRequest};
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::{Value, json};

use crate::handlers::shards_json;
use crate::request::{RestRequest, RestResponse};

/// `GET|POST [/{index}]/_refresh`.
pub async fn refresh(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = request.indices(IndicesOptions::default())?;
    let answer = request.execute(RefreshRequest { indices }).await?;
    Ok(broadcast(&answer))
}

/// `GET|POST [/{index}]/_flush`.
pub async fn flush(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = request.indices(IndicesOptions::default())?;
    // A flush waits for one that is under way, and leaves nothing out that a forced one would do.
    let force = request.params.flag("force", false)?;
    if !request.params.flag("wait_if_ongoing", true)? && force {
        return Err(ApiError::validation(&[
            "wait_if_ongoing must be true for a force flush",
        ]));
    }
    let answer = request.execute(FlushRequest { indices }).await?;
    Ok(broadcast(&answer))
}

pub(crate) fn broadcast(answer: &BroadcastResponse) -> RestResponse {
    let status = answer
        .failures
        .first()
        .filter(|_| answer.shards.successful == 0)
        .and_then(|failure| StatusCode::from_u16(failure.reason.status).ok())
        .unwrap_or(StatusCode::OK);
    RestResponse::json(broadcast_json(answer)).with_status(status)
}

pub(crate) fn broadcast_json(answer: &BroadcastResponse) -> Value {
    json!({"_shards": shards_json(answer.shards, &answer.failures, false)})
}
