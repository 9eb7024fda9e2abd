//! `_security/_authenticate`.

use ringwall_api::ApiResult;
use ringwall_api::auth::{Authentication, AuthenticationType};
use ringwall_api::security::AuthenticateRequest;
use serde_json::{Value, json};

use crate::handlers::security::user_json;
use crate::request::{RestRequest, RestResponse};

/// `GET /_security/_authenticate`.
pub async fn authenticate(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(AuthenticateRequest).await?;
    Ok(RestResponse::json(authentication_json(
        &answer.authentication,
    )))
}

pub(crate) fn authentication_json(authentication: &Authentication) -> Value {
    let realm = json!({
        "name": authentication.realm.name,
        "type": authentication.realm.realm_type,
    });
    let kind = match authentication.authentication_type {
        AuthenticationType::Realm => "realm",
        AuthenticationType::ApiKey => "api_key",
        AuthenticationType::Token => "token",
        AuthenticationType::Anonymous => "anonymous",
        AuthenticationType::Internal => "internal",
    };
    let mut body = user_json(&authentication.user);
    let by = authentication.run_by.as_ref().map(|by| &by.realm);
    let by = by.map(|by| json!({"name": by.name, "type": by.realm_type}));
    body.insert(
        "authentication_realm".to_owned(),
        by.unwrap_or_else(|| realm.clone()),
    );
    body.insert("lookup_realm".to_owned(), realm);
    body.insert("authentication_type".to_owned(), kind.into());
    if let Some(token) = &authentication.token {
        let token = json!({"name": token.name, "type": token.token_type});
        body.insert("token".to_owned(), token);
    }
    if let Some(key) = &authentication.api_key {
        let key = json!({"id": key.id, "name": key.name});
        body.insert("api_key".to_owned(), key);
    }
    Value::Object(body)
}
