//! `_security/role_mapping`. Source: Elasticsearch reference, "Role mapping APIs".

use http::StatusCode;
use ringwall_api::ApiResult;
use ringwall_api::security::{
    DeleteRoleMappingRequest, GetRoleMappingsRequest, PutRoleMappingRequest,
};
use serde_json::{Value, json};

use crate::handlers::document::names;
use crate::handlers::security::visible_at_once;
use crate::request::{RestRequest, RestResponse};

/// `PUT|POST /_security/role_mapping/{name}`.
pub async fn put(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let name = request.required("name")?;
    let mapping = request.required_object("request body")?;
    let answer = request
        .execute(PutRoleMappingRequest { name, mapping })
        .await?;
    Ok(RestResponse::json(
        json!({"role_mapping": {"created": answer.created}}),
    ))
}

/// `GET /_security/role_mapping[/{name}]`: 404 with `{}` when none of the named ones exists.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let names = names(request.path("name"));
    let named = !names.is_empty();
    let answer = request.execute(GetRoleMappingsRequest { names }).await?;
    let status = match named && answer.mappings.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    Ok(RestResponse::json(Value::Object(answer.mappings)).with_status(status))
}

/// `DELETE /_security/role_mapping/{name}`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let name = request.required("name")?;
    let found = request
        .execute(DeleteRoleMappingRequest { name })
        .await?
        .found;
    let status = match found {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    };
    Ok(RestResponse::json(json!({"found": found})).with_status(status))
}
