//! Closing, opening and blocking indices. Source: Elasticsearch reference, "Index APIs".

use ringwall_api::indices::{AddIndexBlockRequest, CloseIndexRequest, OpenIndexRequest};
use ringwall_api::{ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::indices::ack_timeout;
use crate::request::{RestRequest, RestResponse};

/// `POST /{index}/_close`.
pub async fn close(request: RestRequest) -> ApiResult<RestResponse> {
    request.required("index")?;
    let answer = request
        .execute(CloseIndexRequest {
            indices: request.indices(IndicesOptions::of_metadata())?,
            wait_for_active_shards: request.params.active_shards()?,
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    let indices = answer.indices.into_iter();
    let indices: Map<String, Value> = indices
        .map(|name| (name, json!({"closed": true})))
        .collect();
    Ok(RestResponse::json(json!({
        "acknowledged": answer.acknowledged,
        "shards_acknowledged": answer.shards_acknowledged,
        "indices": indices,
    })))
}

/// `POST /{index}/_open`.
pub async fn open(request: RestRequest) -> ApiResult<RestResponse> {
    request.required("index")?;
    // What is open already needs no opening.
    let closed = IndicesOptions {
        expand_wildcards: false,
        ..IndicesOptions::open_and_closed()
    };
    let answer = request
        .execute(OpenIndexRequest {
            indices: request.indices(closed)?,
            wait_for_active_shards: request.params.active_shards()?,
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    Ok(RestResponse::json(json!({
        "acknowledged": answer.acknowledged,
        "shards_acknowledged": answer.shards_acknowledged,
    })))
}

/// `PUT /{index}/_block/{block}`. A node that has applied a block refuses what it refuses, on every copy.
pub async fn add_block(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request
        .execute(AddIndexBlockRequest {
            indices: request.indices(IndicesOptions::of_metadata())?,
            block: request.required("block")?,
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    let indices = answer.indices.iter();
    let indices: Vec<Value> = indices
        .map(|name| json!({"name": name, "blocked": true}))
        .collect();
    Ok(RestResponse::json(json!({
        "acknowledged": answer.acknowledged,
        "shards_acknowledged": answer.shards_acknowledged && !indices.is_empty(),
        "indices": indices,
    })))
}
