//! `_security/api_key`. Source: Elasticsearch reference, "Create API key API".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use ringwall_api::api_keys::{
    ApiKeyFilter, ApiKeyInfo, CreateApiKeyRequest, GetApiKeysRequest, InvalidateApiKeysRequest,
    UpdateApiKeyRequest,
};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::TimeValue;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::security::{strings, text, visible_at_once, wrong_type};
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of reading keys.
pub const GET_PARAMS: &[&str] = &[
    "id",
    "name",
    "realm_name",
    "username",
    "owner",
    "with_limited_by",
    "active_only",
    "with_profile_uid",
];

/// `POST|PUT /_security/api_key`.
pub async fn create(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let mut body = request.body_object()?;
    check_keys(
        "create_api_key",
        &body,
        &["name", "expiration", "role_descriptors", "metadata"],
    )?;
    let name = text(&mut body, "name")?;
    let answer = request
        .execute(CreateApiKeyRequest {
            name: name.ok_or_else(|| ApiError::validation(&["api key name is required"]))?,
            lifetime_ms: lifetime(&mut body)?,
            role_descriptors: object(&mut body, "role_descriptors")?.unwrap_or_default(),
            metadata: metadata(&mut body)?.unwrap_or_default(),
        })
        .await?;
    let mut json = json!({"id": answer.id, "name": answer.name});
    if let Some(expiration) = answer.expiration_ms {
        json["expiration"] = expiration.into();
    }
    let secret = answer.secret.expose();
    json["api_key"] = secret.into();
    let pair = Zeroizing::new(format!("{}:{secret}", answer.id));
    json["encoded"] = STANDARD.encode(pair.as_bytes()).into();
    Ok(RestResponse::json(json))
}

/// `GET /_security/api_key`: 404 when a key asked for by its id does not exist.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let id = params.owned("id");
    let is_by_id = id.is_some();
    let filter = ApiKeyFilter {
        ids: id.into_iter().collect(),
        name: params.owned("name"),
        realm_name: params.owned("realm_name"),
        username: params.owned("username"),
        owner: params.flag("owner", false)?,
    };
    let with_limit = params.flag("with_limited_by", false)?;
    // Nobody has a profile.
    params.hint_flags(&["with_profile_uid"])?;
    let active_only = params.flag("active_only", false)?;
    let answer = request
        .execute(GetApiKeysRequest {
            filter,
            active_only,
        })
        .await?;
    let status = match is_by_id && answer.keys.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let keys: Vec<Value> = answer
        .keys
        .into_iter()
        .map(|key| key_json(key, with_limit))
        .collect();
    Ok(RestResponse::json(json!({"api_keys": keys})).with_status(status))
}

/// `DELETE /_security/api_key`.
pub async fn invalidate(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    let known = ["ids", "id", "name", "realm_name", "username", "owner"];
    check_keys("invalidate_api_key", &body, &known)?;
    let mut ids = match body.remove("ids") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => strings("ids", value)?,
    };
    ids.extend(text(&mut body, "id")?);
    let owner = match body.remove("owner") {
        None => false,
        Some(Value::Bool(owner)) => owner,
        Some(_) => return Err(wrong_type("owner", "a boolean")),
    };
    let filter = ApiKeyFilter {
        ids,
        name: text(&mut body, "name")?,
        realm_name: text(&mut body, "realm_name")?,
        username: text(&mut body, "username")?,
        owner,
    };
    let answer = request.execute(InvalidateApiKeysRequest { filter }).await?;
    Ok(RestResponse::json(json!({
        "invalidated_api_keys": answer.invalidated,
        "previously_invalidated_api_keys": answer.previously_invalidated,
        "error_count": 0,
    })))
}

/// `PUT /_security/api_key/{id}`.
pub async fn update(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let id = request.required("id")?;
    let mut body = match request.body().is_empty() {
        true => Map::new(),
        false => request.body_object()?,
    };
    check_keys(
        "update_api_key",
        &body,
        &["role_descriptors", "metadata", "expiration"],
    )?;
    let answer = request
        .execute(UpdateApiKeyRequest {
            id,
            lifetime_ms: lifetime(&mut body)?,
            role_descriptors: object(&mut body, "role_descriptors")?,
            metadata: metadata(&mut body)?,
        })
        .await?;
    Ok(RestResponse::json(json!({"updated": answer.updated})))
}

fn lifetime(body: &mut Map<String, Value>) -> ApiResult<Option<u64>> {
    let Some(written) = text(body, "expiration")? else {
        return Ok(None);
    };
    let value: TimeValue = written.parse().map_err(|error| {
        ApiError::illegal_argument(format!("failed to parse [expiration]: {error}"))
    })?;
    let millis = value.duration().map_or(0, |duration| duration.as_millis());
    Ok(Some(u64::try_from(millis).unwrap_or(u64::MAX)))
}

fn metadata(body: &mut Map<String, Value>) -> ApiResult<Option<Map<String, Value>>> {
    let metadata = object(body, "metadata")?;
    match metadata
        .iter()
        .flat_map(Map::keys)
        .find(|key| key.starts_with('_'))
    {
        None => Ok(metadata),
        Some(key) => Err(ApiError::validation(&[format!(
            "API key metadata keys may not start with [_] but [{key}] does"
        )])),
    }
}

fn object(body: &mut Map<String, Value>, name: &str) -> ApiResult<Option<Map<String, Value>>> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(wrong_type(name, "an object")),
    }
}

fn key_json(key: ApiKeyInfo, with_limit: bool) -> Value {
    let mut json = json!({
        "id": key.id, "name": key.name, "type": "rest", "creation": key.creation_ms,
    });
    if let Some(expiration) = key.expiration_ms {
        json["expiration"] = expiration.into();
    }
    json["invalidated"] = key.invalidation_ms.is_some().into();
    if let Some(invalidation) = key.invalidation_ms {
        json["invalidation"] = invalidation.into();
    }
    json["username"] = key.owner.principal.into();
    json["realm"] = key.owner.realm.name.into();
    json["realm_type"] = key.owner.realm.realm_type.into();
    json["metadata"] = key.metadata.into();
    json["role_descriptors"] = key.role_descriptors.into();
    if with_limit {
        json["limited_by"] = json!([key.limited_by]);
    }
    json
}
