//! `_security/service` and `_security/enroll`. Source: Elasticsearch reference, "Service accounts" and "Enroll node
//! API".

use http::StatusCode;
use ringwall_api::ApiResult;
use ringwall_api::security::{
    CreateServiceTokenRequest, DeleteServiceTokenRequest, EnrollKibanaRequest, EnrollNodeRequest,
    GetServiceAccountsRequest, GetServiceCredentialsRequest,
};
use serde_json::{Map, Value, json};

use crate::handlers::security::visible_at_once;
use crate::request::{RestRequest, RestResponse};

/// `GET /_security/service[/{namespace}[/{service}]]`.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let owned = |name| request.path(name).map(str::to_owned);
    let asked = GetServiceAccountsRequest {
        namespace: owned("namespace"),
        service: owned("service"),
    };
    let answer = request.execute(asked).await?;
    let accounts: Map<String, Value> = answer.accounts.into_iter().collect();
    Ok(RestResponse::json(accounts.into()))
}

/// `POST|PUT /_security/service/{namespace}/{service}/credential/token[/{name}]`.
pub async fn create_token(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let asked = CreateServiceTokenRequest {
        principal: principal(&request)?,
        name: request.path("name").map(str::to_owned),
    };
    let answer = request.execute(asked).await?;
    Ok(RestResponse::json(json!({
        "created": true,
        "token": {"name": answer.name, "value": answer.bearer.expose()},
    })))
}

/// `DELETE /_security/service/{namespace}/{service}/credential/token/{name}`.
pub async fn delete_token(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let asked = DeleteServiceTokenRequest {
        principal: principal(&request)?,
        name: request.required("name")?,
    };
    let found = request.execute(asked).await?.found;
    let status = match found {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    };
    Ok(RestResponse::json(json!({"found": found})).with_status(status))
}

/// `GET /_security/service/{namespace}/{service}/credential`.
pub async fn get_credentials(request: RestRequest) -> ApiResult<RestResponse> {
    let principal = principal(&request)?;
    let asked = GetServiceCredentialsRequest {
        principal: principal.clone(),
    };
    let answer = request.execute(asked).await?;
    let tokens: Map<String, Value> = answer
        .tokens
        .iter()
        .map(|name| (name.clone(), json!({})))
        .collect();
    let file_tokens: Map<String, Value> = answer
        .file_tokens
        .iter()
        .map(|(name, nodes)| (name.clone(), json!({"nodes": nodes})))
        .collect();
    Ok(RestResponse::json(json!({
        "service_account": principal,
        "count": tokens.len() + file_tokens.len(),
        "tokens": tokens,
        "nodes_credentials": {
            "_nodes": {
                "total": answer.nodes_asked,
                "successful": answer.nodes_asked - answer.nodes_failed,
                "failed": answer.nodes_failed,
            },
            "file_tokens": file_tokens,
        },
    })))
}

/// `GET /_security/enroll/node`.
pub async fn enroll_node(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(EnrollNodeRequest).await?;
    Ok(RestResponse::json(json!({
        "http_ca_key": answer.http_ca_key.expose(),
        "http_ca_cert": answer.http_ca_cert,
        "transport_ca_cert": answer.transport_ca_cert,
        "transport_key": answer.transport_key.expose(),
        "transport_cert": answer.transport_cert,
        "nodes_addresses": answer.nodes_addresses,
    })))
}

/// `GET /_security/enroll/kibana`.
pub async fn enroll_kibana(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(EnrollKibanaRequest).await?;
    Ok(RestResponse::json(json!({
        "token": {"name": answer.token_name, "value": answer.token.expose()},
        "http_ca": answer.http_ca,
    })))
}

fn principal(request: &RestRequest) -> ApiResult<String> {
    let (namespace, service) = (request.required("namespace")?, request.required("service")?);
    Ok(format!("{namespace}/{service}"))
}
