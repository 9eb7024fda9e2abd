//! `_mapping`, also of single fields.

use http::StatusCode;
use ringwall_api::indices::{GetFieldMappingsRequest, PutMappingRequest};
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::indices::{ack_timeout, acknowledged, describe};
use crate::request::{RestRequest, RestResponse};

/// `GET [/{index}]/_mapping`.
pub async fn mapping(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = describe(&request, false).await?;
    let by_name = indices
        .into_iter()
        .map(|index| (index.name, json!({"mappings": index.mappings})));
    Ok(RestResponse::json(Value::Object(by_name.collect())))
}

/// `GET [/{index}]/_mapping/field/{fields}`. A field is shown by its path, with its definition under its own name.
pub async fn field_mapping(request: RestRequest) -> ApiResult<RestResponse> {
    let asked = GetFieldMappingsRequest {
        indices: request.indices(IndicesOptions::of_metadata())?,
        fields: request.path_list("fields"),
        with_defaults: request.params.flag("include_defaults", false)?,
    };
    let answer = request.execute(asked).await?;
    let status = match answer.indices.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let by_index = answer.indices.into_iter().map(|(index, fields)| {
        let fields = fields.into_iter().map(|(path, definition)| {
            let name = path.rsplit('.').next().unwrap_or(&path).to_owned();
            let mapping = match definition.is_empty() {
                true => Map::new(),
                false => Map::from_iter([(name, Value::Object(definition))]),
            };
            let shown = json!({"full_name": path.clone(), "mapping": mapping});
            (path, shown)
        });
        let fields: Map<String, Value> = fields.collect();
        (index, json!({"mappings": fields}))
    });
    Ok(RestResponse::json(Value::Object(by_index.collect())).with_status(status))
}

/// `PUT|POST /{index}/_mapping`.
pub async fn put_mapping(request: RestRequest) -> ApiResult<RestResponse> {
    let body = request.body_object()?;
    if request.body().is_empty() {
        return Err(ApiError::validation(&["mapping source is missing"]));
    }
    if is_typed(&body) {
        return Err(ApiError::illegal_argument(
            "Types cannot be provided in put mapping requests",
        ));
    }
    let answer = request
        .execute(PutMappingRequest {
            indices: request.indices(IndicesOptions::open_and_closed())?,
            mappings: Value::Object(body),
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    Ok(acknowledged(answer.acknowledged))
}

/// Whether a mapping stands under the name of the type that older versions had.
pub(crate) fn is_typed(mapping: &Map<String, Value>) -> bool {
    mapping.len() == 1 && mapping.contains_key("_doc")
}
