//! `_security/user`, and passwords.

use http::StatusCode;
use ringwall_api::auth::User;
use ringwall_api::security::{
    ChangePasswordRequest, DeleteUserRequest, GetUsersRequest, NewPassword, PutUserRequest,
    SetUserEnabledRequest,
};
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Map, Value, json};

use crate::handlers::document::names;
use crate::handlers::security::{strings, text, visible_at_once, wrong_type};
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of reading users.
pub const GET_PARAMS: &[&str] = &["with_profile_uid"];

/// `PUT|POST /_security/user/{username}`.
pub async fn put_user(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let username = request.required("username")?;
    let mut body = request.body_object()?;
    check_keys("put_user", &body, USER_KEYS)?;
    if let Some(given) = text(&mut body, "username")?
        && given != username
    {
        return Err(ApiError::illegal_argument(format!(
            "expected username [{username}] to match the username in the body [{given}]"
        )));
    }
    let password = new_password(&mut body)?;
    let roles = match body.remove("roles") {
        Some(value) => strings("roles", value)?,
        None => return Err(ApiError::validation(&["roles is missing"])),
    };
    let metadata = match body.remove("metadata") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(wrong_type("metadata", "an object")),
    };
    let enabled = match body.remove("enabled") {
        None => true,
        Some(Value::Bool(enabled)) => enabled,
        Some(_) => return Err(wrong_type("enabled", "a boolean")),
    };
    let answer = request
        .execute(PutUserRequest {
            username,
            password,
            roles,
            full_name: text(&mut body, "full_name")?,
            email: text(&mut body, "email")?,
            metadata,
            enabled,
        })
        .await?;
    Ok(RestResponse::json(json!({"created": answer.created})))
}

/// `GET /_security/user[/{username}]`: 404 with `{}` when none of the named users exists.
pub async fn get_users(request: RestRequest) -> ApiResult<RestResponse> {
    // Nobody has a profile.
    request.params.hint_flags(&["with_profile_uid"])?;
    let usernames = names(request.path("username"));
    let named = !usernames.is_empty();
    let answer = request.execute(GetUsersRequest { usernames }).await?;
    let status = if named && answer.users.is_empty() {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    };
    let users: Map<String, Value> = answer
        .users
        .iter()
        .map(|user| (user.username.clone(), Value::Object(user_json(user))))
        .collect();
    Ok(RestResponse::json(Value::Object(users)).with_status(status))
}

/// `DELETE /_security/user/{username}`.
pub async fn delete_user(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let username = request.required("username")?;
    let answer = request.execute(DeleteUserRequest { username }).await?;
    let status = if answer.found {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    Ok(RestResponse::json(json!({"found": answer.found})).with_status(status))
}

/// `PUT|POST /_security/user[/{username}]/_password`; without a name, the caller's own.
pub async fn change_password(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let username = match request.path("username") {
        Some(name) => name.to_owned(),
        None => request.context.authentication.user.username.clone(),
    };
    let mut body = request.body_object()?;
    check_keys("change_password", &body, &["password", "password_hash"])?;
    let password =
        new_password(&mut body)?.ok_or_else(|| ApiError::validation(&["password is missing"]))?;
    request
        .execute(ChangePasswordRequest { username, password })
        .await?;
    Ok(RestResponse::json(json!({})))
}

/// `PUT|POST /_security/user/{username}/_enable`.
pub async fn enable(request: RestRequest) -> ApiResult<RestResponse> {
    set_enabled(request, true).await
}

/// `PUT|POST /_security/user/{username}/_disable`.
pub async fn disable(request: RestRequest) -> ApiResult<RestResponse> {
    set_enabled(request, false).await
}

async fn set_enabled(request: RestRequest, enabled: bool) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let username = request.required("username")?;
    request
        .execute(SetUserEnabledRequest { username, enabled })
        .await?;
    Ok(RestResponse::json(json!({})))
}

fn new_password(body: &mut Map<String, Value>) -> ApiResult<Option<NewPassword>> {
    let plain = text(body, "password")?;
    let hash = text(body, "password_hash")?;
    match (plain, hash) {
        (Some(_), Some(_)) => Err(ApiError::validation(&[
            "only one of [password, password_hash] can be specified",
        ])),
        (Some(plain), None) => Ok(Some(NewPassword::Plain(plain.into()))),
        (None, Some(hash)) => Ok(Some(NewPassword::Hash(hash.into()))),
        (None, None) => Ok(None),
    }
}

pub(crate) fn user_json(user: &User) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("username".to_owned(), user.username.clone().into());
    body.insert("roles".to_owned(), user.roles.clone().into());
    body.insert("full_name".to_owned(), user.full_name.clone().into());
    body.insert("email".to_owned(), user.email.clone().into());
    body.insert("metadata".to_owned(), Value::Object(user.metadata.clone()));
    body.insert("enabled".to_owned(), user.enabled.into());
    body
}

const USER_KEYS: &[&str] = &[
    "username",
    "password",
    "password_hash",
    "roles",
    "full_name",
    "email",
    "metadata",
    "enabled",
];
