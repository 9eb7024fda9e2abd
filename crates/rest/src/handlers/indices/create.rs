//! `PUT /{index}`.

use ringwall_api::indices::CreateIndexRequest;
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Value, json};

use crate::handlers::indices::{ack_timeout, is_typed};
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// `PUT /{index}`.
pub async fn create(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    check_keys("create_index", &body, &["settings", "mappings", "aliases"])?;
    if body
        .get("mappings")
        .and_then(Value::as_object)
        .is_some_and(is_typed)
    {
        return Err(ApiError::illegal_argument(
            "The mapping definition cannot be nested under a type [_doc] unless include_type_name is set to true.",
        ));
    }
    let mut part = |name: &str| body.remove(name).unwrap_or_else(|| json!({}));
    let created = request
        .execute(CreateIndexRequest {
            settings: part("settings"),
            mappings: part("mappings"),
            aliases: part("aliases"),
            index: request.one_index()?,
            wait_for_active_shards: request.params.active_shards()?,
            timeout_ms: ack_timeout(&request)?,
            auto: false,
        })
        .await?;
    Ok(RestResponse::json(json!({
        "acknowledged": created.acknowledged,
        "shards_acknowledged": created.shards_acknowledged,
        "index": created.index,
    })))
}
