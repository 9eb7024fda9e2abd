//! `_security/api_key`. Source: Elasticsearch reference, "Create API key API".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use ringwall_api::security::{
    ApiKeyFilter, ApiKeyInfo, BulkUpdateApiKeysRequest, CreateApiKeyRequest, CreateApiKeyResponse,
    GetApiKeysRequest, Grant, GrantApiKeyRequest, InvalidateApiKeysRequest, UpdateApiKeyRequest,
};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::{SecretString, TimeValue};
use ringwall_security::api_keys::new_id;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::handlers::security::{strings, text, visible_at_once, wrong_type};
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
    let key = new_key(request.body_object()?)?;
    Ok(created(request.execute(key).await?))
}

/// `POST /_security/api_key/grant`.
pub async fn grant(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let mut body = request.body_object()?;
    check_keys(
        "grant_api_key_request",
        &body,
        &[
            "grant_type",
            "username",
            "password",
            "access_token",
            "client_authentication",
            "run_as",
            "api_key",
        ],
    )?;
    let grant = credentials(&mut body)?;
    let run_as = text(&mut body, "run_as")?;
    let key = new_key(object(&mut body, "api_key")?.unwrap_or_default())?;
    let asked = GrantApiKeyRequest { grant, run_as, key };
    Ok(created(request.execute(asked).await?))
}

/// Reads the credentials of a user from a body. Errors: 400 naming each that is missing or too much.
fn credentials(body: &mut Map<String, Value>) -> ApiResult<Grant> {
    let grant_type = text(body, "grant_type")?;
    let username = text(body, "username")?;
    let password = text(body, "password")?.map(SecretString::from);
    let token = text(body, "access_token")?.map(SecretString::from);
    let client = client_authentication(body)?;
    let Some(grant_type) = grant_type else {
        return Err(ApiError::validation(&["[grant_type] is required"]));
    };
    let by_password = match grant_type.as_str() {
        "password" => true,
        "access_token" => false,
        other => {
            return Err(ApiError::validation(&[format!(
                "grant_type [{other}] is not supported"
            )]));
        }
    };
    let mut problems = Vec::new();
    for (name, is_given, is_needed) in [
        ("username", username.is_some(), by_password),
        ("password", password.is_some(), by_password),
        ("access_token", token.is_some(), !by_password),
        // May be there, and need not.
        (
            "client_authentication",
            client.is_some(),
            client.is_some() && !by_password,
        ),
    ] {
        match (is_given, is_needed) {
            (false, true) => {
                problems.push(format!(
                    "[{name}] is required for grant_type [{grant_type}]"
                ));
            }
            (true, false) => {
                problems.push(format!(
                    "[{name}] is not supported for grant_type [{grant_type}]"
                ));
            }
            _ => {}
        }
    }
    match (username, password, token) {
        (Some(username), Some(password), None) if problems.is_empty() => {
            Ok(Grant::Password { username, password })
        }
        (None, None, Some(token)) if problems.is_empty() => Ok(Grant::AccessToken {
            token,
            client_secret: client,
        }),
        _ => Err(ApiError::validation(&problems)),
    }
}

/// Reads what a client proves itself with.
fn client_authentication(body: &mut Map<String, Value>) -> ApiResult<Option<SecretString>> {
    let Some(mut client) = object(body, "client_authentication")? else {
        return Ok(None);
    };
    check_keys("client_authentication", &client, &["scheme", "value"])?;
    let required = |value: Option<String>, name| {
        value.ok_or_else(|| ApiError::illegal_argument(format!("Required [{name}]")))
    };
    let scheme = required(text(&mut client, "scheme")?, "scheme")?;
    let value = required(text(&mut client, "value")?, "value")?;
    match scheme.eq_ignore_ascii_case("SharedSecret") {
        true => Ok(Some(value.into())),
        false => Err(ApiError::validation(&[
            "[client_authentication.scheme] must be set to [SharedSecret]",
        ])),
    }
}

fn new_key(mut body: Map<String, Value>) -> ApiResult<CreateApiKeyRequest> {
    check_keys(
        "create_api_key",
        &body,
        &["name", "expiration", "role_descriptors", "metadata"],
    )?;
    let name = text(&mut body, "name")?;
    Ok(CreateApiKeyRequest {
        id: new_id(),
        name: name.ok_or_else(|| ApiError::validation(&["api key name is required"]))?,
        lifetime_ms: lifetime(&mut body)?,
        role_descriptors: object(&mut body, "role_descriptors")?.unwrap_or_default(),
        metadata: metadata(&mut body)?.unwrap_or_default(),
    })
}

fn created(answer: CreateApiKeyResponse) -> RestResponse {
    let mut json = json!({"id": answer.id, "name": answer.name});
    if let Some(expiration) = answer.expiration_ms {
        json["expiration"] = expiration.into();
    }
    let secret = answer.secret.expose();
    json["api_key"] = secret.into();
    let pair = Zeroizing::new(format!("{}:{secret}", answer.id));
    json["encoded"] = STANDARD.encode(pair.as_bytes()).into();
    RestResponse::json(json)
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

/// `POST /_security/api_key/_bulk_update`.
pub async fn bulk_update(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let mut body = request.body_object()?;
    check_keys(
        "bulk_update_api_key_request",
        &body,
        &["ids", "role_descriptors", "metadata", "expiration"],
    )?;
    let ids = match body.remove("ids") {
        Some(ids) => strings("ids", ids)?,
        None => return Err(ApiError::illegal_argument("Required [ids]")),
    };
    let answer = request
        .execute(BulkUpdateApiKeysRequest {
            ids,
            lifetime_ms: lifetime(&mut body)?,
            role_descriptors: object(&mut body, "role_descriptors")?,
            metadata: metadata(&mut body)?,
        })
        .await?;
    let mut json = json!({"updated": answer.updated, "noops": answer.noops});
    if !answer.errors.is_empty() {
        let count = answer.errors.len();
        let details = answer.errors.into_iter();
        let details: Map<String, Value> = details
            .map(|(id, error)| {
                let told = json!({"type": error.code.type_name(), "reason": error.reason});
                (id, told)
            })
            .collect();
        json["errors"] = json!({"count": count, "details": details});
    }
    Ok(RestResponse::json(json))
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

pub(crate) fn key_json(key: ApiKeyInfo, with_limit: bool) -> Value {
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
