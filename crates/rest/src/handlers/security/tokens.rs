//! `_security/oauth2/token`. Source: Elasticsearch reference, "Get token API" and "Invalidate token API"; RFC 6749
//! section 5.2.

use http::StatusCode;
use ringwall_api::security::{
    CreateTokenRequest, InvalidateTokensRequest, IssuedTokens, RefreshTokenRequest,
    RefreshTokenResponse, TokenKind,
};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::SecretString;
use serde_json::{Map, Value, json};

use crate::handlers::security::{authentication_json, text};
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// `POST /_security/oauth2/token`.
pub async fn create(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    let asked = match TokenRequest::read(&mut body)? {
        Ok(asked) => asked,
        Err(refused) => return Ok(refused),
    };
    let issued = match asked.grant {
        Granting::Create(wanted) => request.execute(wanted).await?,
        Granting::Refresh(refresh_token) => {
            let answer = request
                .execute(RefreshTokenRequest { refresh_token })
                .await?;
            match answer {
                RefreshTokenResponse::Issued(issued) => *issued,
                RefreshTokenResponse::InvalidGrant(why) => {
                    return Ok(refusal("invalid_grant", &why));
                }
            }
        }
    };
    Ok(RestResponse::json(issued_json(&issued, asked.has_scope)))
}

struct TokenRequest {
    grant: Granting,
    /// A scope was asked for; there is one.
    has_scope: bool,
}

enum Granting {
    Create(CreateTokenRequest),
    Refresh(SecretString),
}

impl TokenRequest {
    /// Reads a body, or says what is wrong with it in the words of OAuth.
    fn read(body: &mut Map<String, Value>) -> ApiResult<Result<Self, RestResponse>> {
        let known = ["grant_type", "scope"].into_iter().chain(FIELDS);
        check_keys("token_request", body, &known.collect::<Vec<_>>())?;
        let grant_type = text(body, "grant_type")?.unwrap_or_default();
        let has_scope = text(body, "scope")?.is_some();
        let mut given = Vec::new();
        for field in FIELDS {
            let value = text(body, field)?.filter(|value| !value.is_empty());
            given.push((field, value.map(SecretString::from)));
        }
        let needed: &[&str] = match grant_type.as_str() {
            "password" => &["username", "password"],
            "refresh_token" => &["refresh_token"],
            "client_credentials" => &[],
            "_kerberos" => {
                let why = "grant_type [_kerberos] is not supported: there is no Kerberos realm";
                return Ok(Err(refusal("unsupported_grant_type", why)));
            }
            _ => {
                let why = "grant_type only supports the values: [password, refresh_token, client_credentials]";
                return Ok(Err(refused_for(
                    "unsupported_grant_type",
                    &[why.to_owned()],
                )));
            }
        };
        let is_given = |value: &Option<SecretString>| value.is_some();
        let extra = given
            .iter()
            .filter(|(field, value)| is_given(value) && !needed.contains(field));
        let extra: Vec<String> = extra
            .map(|(field, _)| format!("{field} is not supported with the {grant_type} grant_type"))
            .collect();
        let missing = given
            .iter()
            .filter(|(field, value)| !is_given(value) && needed.contains(field));
        let missing: Vec<String> = missing
            .map(|(field, _)| format!("{field} is missing"))
            .collect();
        if !extra.is_empty() {
            let problems: Vec<String> = missing.into_iter().chain(extra).collect();
            return Ok(Err(refused_for("unsupported_grant_type", &problems)));
        }
        let values: Vec<SecretString> = given.into_iter().filter_map(|(_, value)| value).collect();
        let grant = match (needed, values.as_slice()) {
            ([], _) => Granting::Create(CreateTokenRequest::ClientCredentials),
            ([_], [token]) => Granting::Refresh(token.clone()),
            ([_, _], [username, password]) => Granting::Create(CreateTokenRequest::Password {
                username: username.expose().to_owned(),
                password: password.clone(),
            }),
            _ => return Ok(Err(refused_for("invalid_request", &missing))),
        };
        Ok(Ok(Self { grant, has_scope }))
    }
}

fn issued_json(issued: &IssuedTokens, has_scope: bool) -> Value {
    let mut json = json!({
        "access_token": issued.access_token.expose(),
        "type": "Bearer",
        "expires_in": issued.expires_in_s,
    });
    if let Some(token) = &issued.refresh_token {
        json["refresh_token"] = token.expose().into();
    }
    if has_scope {
        json["scope"] = "full".into();
    }
    json["authentication"] = authentication_json(&issued.authentication);
    json
}

fn refused_for(error: &str, problems: &[String]) -> RestResponse {
    refusal(error, &ApiError::validation(problems).reason)
}

/// The errors of OAuth have a form of their own.
fn refusal(error: &str, description: &str) -> RestResponse {
    let json = json!({"error": error, "error_description": description});
    RestResponse::json(json).with_status(StatusCode::BAD_REQUEST)
}

/// `DELETE /_security/oauth2/token`: 404 when the one token meant is not there.
pub async fn invalidate(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    let known = ["token", "refresh_token", "realm_name", "username"];
    check_keys("invalidate_token", &body, &known)?;
    let mut given = |name: &str| {
        let value = text(&mut body, name)?;
        Ok::<_, ApiError>(value.filter(|value| !value.is_empty()))
    };
    let (token, refresh_token) = (given("token")?, given("refresh_token")?);
    let (realm_name, username) = (given("realm_name")?, given("username")?);
    let is_of = realm_name.is_some() || username.is_some();
    let asked = match (token, refresh_token) {
        (Some(_), Some(_)) => {
            return Err(ApiError::illegal_argument(
                "only one of [token, refresh_token] may be sent per request",
            ));
        }
        (None, None) if is_of => InvalidateTokensRequest::Of {
            username,
            realm_name,
        },
        (None, None) => {
            return Err(ApiError::validation(&[
                "token string must be provided when not specifying a realm name or a username",
            ]));
        }
        _ if is_of => {
            return Err(ApiError::validation(&[
                "token string must not be provided when realm name or username is specified",
                "token type must not be provided when realm name or username is specified",
            ]));
        }
        (Some(token), None) => one(TokenKind::Access, token),
        (None, Some(token)) => one(TokenKind::Refresh, token),
    };
    let answer = request.execute(asked).await?;
    let status = match answer.found {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    };
    Ok(RestResponse::json(json!({
        "invalidated_tokens": answer.invalidated,
        "previously_invalidated_tokens": answer.previously_invalidated,
        "error_count": 0,
    }))
    .with_status(status))
}

fn one(kind: TokenKind, token: String) -> InvalidateTokensRequest {
    let token = SecretString::from(token);
    InvalidateTokensRequest::One { kind, token }
}

/// Beside the type of the grant, in the order in which problems are told.
const FIELDS: [&str; 4] = ["username", "password", "kerberos_ticket", "refresh_token"];
