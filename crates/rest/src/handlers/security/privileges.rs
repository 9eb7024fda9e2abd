//! `_security/privilege`: privileges of applications. Source: Elasticsearch reference, "Application privileges APIs".

use std::collections::BTreeMap;

use http::StatusCode;
use ringwall_api::security::{
    DeletePrivilegesRequest, GetPrivilegesRequest, OfApplication, PutPrivilegesRequest,
    StoredPrivilege,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use crate::handlers::document::names;
use crate::handlers::security::{strings, visible_at_once, wrong_type};
use crate::request::{RestRequest, RestResponse};

/// `PUT|POST /_security/privilege`.
pub async fn put(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let body = request.required_object("request body")?;
    let mut privileges = BTreeMap::new();
    for (application, written) in body {
        let Value::Object(written) = written else {
            return Err(wrong_type(&application, "an object"));
        };
        let read = written
            .into_iter()
            .map(|(name, written)| privilege(&application, name, written));
        let read: OfApplication<StoredPrivilege> = read.collect::<ApiResult<_>>()?;
        privileges.insert(application, read);
    }
    let answer = request.execute(PutPrivilegesRequest { privileges }).await?;
    let shown = |created: OfApplication<bool>| -> Map<String, Value> {
        let each = created.into_iter();
        each.map(|(name, created)| (name, json!({"created": created})))
            .collect()
    };
    let body: Map<String, Value> = answer
        .created
        .into_iter()
        .map(|(application, created)| (application, shown(created).into()))
        .collect();
    Ok(RestResponse::json(body.into()))
}

fn privilege(
    application: &str,
    name: String,
    written: Value,
) -> ApiResult<(String, StoredPrivilege)> {
    let Value::Object(written) = written else {
        return Err(wrong_type(&name, "an object"));
    };
    let mut privilege = StoredPrivilege {
        actions: Vec::new(),
        metadata: Map::new(),
    };
    for (key, value) in written {
        match key.as_str() {
            "actions" => privilege.actions = strings("actions", value)?,
            "metadata" => match value {
                Value::Object(metadata) => privilege.metadata = metadata,
                _ => return Err(wrong_type("metadata", "an object")),
            },
            "application" | "name" => {
                let provided = if key == "name" { &name } else { application };
                if value.as_str() != Some(provided) {
                    let given = value.as_str().unwrap_or_default();
                    return Err(ApiError::illegal_argument(format!(
                        "privilege {key} [{given}] in source does not match the provided {key} [{provided}]"
                    )));
                }
            }
            _ => {
                return Err(ApiError::new(
                    ErrorCode::XContentParse,
                    format!("[application-privilege] unknown field [{key}]"),
                ));
            }
        }
    }
    Ok((name, privilege))
}

/// `GET /_security/privilege[/{application}[/{privilege}]]`: 404 with `{}` when nothing of what is named exists.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let applications = names(request.path("application"));
    let named = !applications.is_empty();
    let names = names(request.path("privilege"));
    let asked = GetPrivilegesRequest {
        applications,
        names,
    };
    let found = request.execute(asked).await?.privileges;
    let status = match named && found.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let body: Map<String, Value> = found
        .into_iter()
        .map(|(application, privileges)| {
            let each = privileges.into_iter().map(|(name, privilege)| {
                let shown = json!({
                    "application": application, "name": name, "actions": privilege.actions,
                    "metadata": privilege.metadata,
                });
                (name, shown)
            });
            let each: Map<String, Value> = each.collect();
            (application.clone(), each.into())
        })
        .collect();
    Ok(RestResponse::json(body.into()).with_status(status))
}

/// `DELETE /_security/privilege/{application}/{privilege}`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let application = request.required("application")?;
    let names = names(request.path("privilege"));
    let asked = DeletePrivilegesRequest {
        application: application.clone(),
        names,
    };
    let found = request.execute(asked).await?.found;
    let status = match found.values().any(|found| *found) {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    };
    let each = found.into_iter();
    let each: Map<String, Value> = each
        .map(|(name, found)| (name, json!({"found": found})))
        .collect();
    let mut body = Map::new();
    body.insert(application, each.into());
    Ok(RestResponse::json(body.into()).with_status(status))
}
