//! `_security/role`, `_security/privilege` and what users may do. Source: Elasticsearch reference, "Security APIs".

use http::StatusCode;
use ringwall_api::security::{
    ApplicationPrivilegesCheck, ClearSecurityCacheRequest, DeleteRolesRequest,
    GetBuiltinPrivilegesRequest, GetRolesRequest, GetUserPrivilegesRequest, HasPrivilegesRequest,
    IndexPrivilegesCheck, PutRolesRequest,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use crate::handlers::document::names;
use crate::handlers::security::visible_at_once;
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// `PUT|POST /_security/role/{name}`.
pub async fn put(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let name = request.required("name")?;
    let written = Value::Object(request.required_object("request body")?);
    let roles = [(name.clone(), written)].into_iter().collect();
    let mut answer = request.execute(PutRolesRequest { roles }).await?;
    if let Some(error) = answer.errors.remove(&name) {
        return Err(error);
    }
    let created = !answer.created.is_empty();
    Ok(RestResponse::json(json!({"role": {"created": created}})))
}

/// `POST /_security/role`: many at once.
pub async fn put_many(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let mut body = request.required_object("request body")?;
    check_keys("bulk_put_roles", &body, &["roles"])?;
    let roles = match body.remove("roles") {
        Some(Value::Object(roles)) => roles,
        _ => return Err(missing("roles", "an object of role descriptors by name")),
    };
    let answer = request.execute(PutRolesRequest { roles }).await?;
    let lists = [
        ("noop", answer.noop),
        ("created", answer.created),
        ("updated", answer.updated),
    ];
    Ok(outcome(lists, answer.errors))
}

/// `DELETE /_security/role/{name}`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let name = request.required("name")?;
    let asked = DeleteRolesRequest {
        names: vec![name.clone()],
    };
    let mut answer = request.execute(asked).await?;
    if let Some(error) = answer.errors.remove(&name) {
        return Err(error);
    }
    let found = !answer.deleted.is_empty();
    let status = match found {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    };
    Ok(RestResponse::json(json!({"found": found})).with_status(status))
}

/// `DELETE /_security/role`: many at once.
pub async fn delete_many(request: RestRequest) -> ApiResult<RestResponse> {
    visible_at_once(&request)?;
    let mut body = request.required_object("request body")?;
    check_keys("bulk_delete_roles", &body, &["names"])?;
    let names = match body.remove("names") {
        Some(value) => crate::handlers::security::strings("names", value)?,
        None => return Err(missing("names", "an array of names")),
    };
    let answer = request.execute(DeleteRolesRequest { names }).await?;
    let lists = [("deleted", answer.deleted), ("not_found", answer.not_found)];
    Ok(outcome(lists, answer.errors))
}

/// `GET /_security/role[/{name}]`: 404 with `{}` when none of the named roles exists.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let names = names(request.path("name"));
    let named = !names.is_empty();
    let answer = request.execute(GetRolesRequest { names }).await?;
    let status = match named && answer.roles.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    Ok(RestResponse::json(Value::Object(answer.roles)).with_status(status))
}

/// `GET /_security/privilege/_builtin`.
pub async fn builtin_privileges(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(GetBuiltinPrivilegesRequest).await?;
    Ok(RestResponse::json(
        json!({"cluster": answer.cluster, "index": answer.index}),
    ))
}

/// `GET /_security/user/_privileges`.
pub async fn user_privileges(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(GetUserPrivilegesRequest).await?;
    Ok(RestResponse::json(Value::Object(answer.privileges)))
}

/// `GET|POST /_security/user[/{username}]/_has_privileges`.
pub async fn has_privileges(request: RestRequest) -> ApiResult<RestResponse> {
    let caller = request.context.authentication.user.username.clone();
    if request.path("username").is_some_and(|name| name != caller) {
        return Err(ApiError::illegal_argument(
            "users may only check the privileges of their own account",
        ));
    }
    let mut body = request.required_object("request body or source parameter")?;
    let role = format!("{caller}/has_privileges");
    let known = ["cluster", "index", "application"];
    if let Some(unknown) = body.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(parse_error(format!(
            "failed to parse privileges check [{role}]. unexpected field [{unknown}]"
        )));
    }
    if body.is_empty() {
        return Err(parse_error(format!(
            "failed to parse privileges check [{role}]. All privilege fields [cluster,index,applications] are missing"
        )));
    }
    let asked = HasPrivilegesRequest {
        cluster: texts(&mut body, "cluster")?,
        index: groups(&mut body, "index")?
            .into_iter()
            .map(|group| index_check(group, &role))
            .collect::<ApiResult<_>>()?,
        application: groups(&mut body, "application")?
            .into_iter()
            .map(|group| application_check(group, &role))
            .collect::<ApiResult<_>>()?,
    };
    let held = request.execute(asked).await?;
    let application = held.application.values().flat_map(|by| by.values());
    let all = [&held.cluster]
        .into_iter()
        .chain(held.index.values())
        .chain(application);
    let has_all = all.flat_map(|held| held.values()).all(|held| *held);
    Ok(RestResponse::json(json!({
        "username": held.username, "has_all_requested": has_all, "cluster": held.cluster, "index": held.index,
        "application": held.application,
    })))
}

/// `POST /_security/{realm,role,api_key,privilege,service}/…/_clear_cache`.
pub async fn clear_cache(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(ClearSecurityCacheRequest).await?;
    let count = answer.nodes.len();
    let nodes: Map<String, Value> = answer
        .nodes
        .into_iter()
        .map(|(id, name)| (id, json!({"name": name})))
        .collect();
    Ok(RestResponse::json(json!({
        "_nodes": {"total": count, "successful": count, "failed": 0}, "cluster_name": answer.cluster_name,
        "nodes": nodes,
    })))
}

fn index_check(mut group: Map<String, Value>, role: &str) -> ApiResult<IndexPrivilegesCheck> {
    for field in ["query", "field_security"] {
        if group.contains_key(field) {
            return Err(parse_error(format!(
                "Field [{field}] is not supported in a has_privileges request"
            )));
        }
    }
    let kind = "indices";
    let allow_restricted_indices = match group.remove("allow_restricted_indices") {
        None => false,
        Some(Value::Bool(allow)) => allow,
        Some(_) => {
            return Err(crate::handlers::security::wrong_type(
                "allow_restricted_indices",
                "a boolean",
            ));
        }
    };
    let check = IndexPrivilegesCheck {
        names: required(&mut group, (kind, role), "names")?,
        privileges: required(&mut group, (kind, role), "privileges")?,
        allow_restricted_indices,
    };
    nothing_else(&group, (kind, role))?;
    Ok(check)
}

fn application_check(
    mut group: Map<String, Value>,
    role: &str,
) -> ApiResult<ApplicationPrivilegesCheck> {
    let kind = "application";
    let application = match group.remove("application") {
        Some(Value::String(name)) => name,
        _ => return Err(missing_of((kind, role), "application")),
    };
    let check = ApplicationPrivilegesCheck {
        application,
        privileges: required(&mut group, (kind, role), "privileges")?,
        resources: required(&mut group, (kind, role), "resources")?,
    };
    nothing_else(&group, (kind, role))?;
    Ok(check)
}

fn groups(body: &mut Map<String, Value>, field: &str) -> ApiResult<Vec<Map<String, Value>>> {
    let items = match body.remove(field) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => {
            return Err(crate::handlers::security::wrong_type(
                field,
                "an array of objects",
            ));
        }
    };
    let objects = items.into_iter().map(|item| match item {
        Value::Object(object) => Ok(object),
        _ => Err(crate::handlers::security::wrong_type(
            field,
            "an array of objects",
        )),
    });
    objects.collect()
}

fn texts(body: &mut Map<String, Value>, field: &str) -> ApiResult<Vec<String>> {
    body.remove(field).map_or(Ok(Vec::new()), |value| {
        crate::handlers::security::strings(field, value)
    })
}

fn required(
    group: &mut Map<String, Value>,
    of: (&str, &str),
    field: &str,
) -> ApiResult<Vec<String>> {
    let texts = texts(group, field)?;
    match texts.is_empty() {
        true => Err(missing_of(of, field)),
        false => Ok(texts),
    }
}

fn nothing_else(group: &Map<String, Value>, (kind, role): (&str, &str)) -> ApiResult<()> {
    match group.keys().next() {
        None => Ok(()),
        Some(field) => Err(parse_error(format!(
            "failed to parse {kind} privileges for role [{role}]. unexpected field [{field}]"
        ))),
    }
}

fn missing_of((kind, role): (&str, &str), field: &str) -> ApiError {
    parse_error(format!(
        "failed to parse {kind} privileges for role [{role}]. missing required [{field}] field"
    ))
}

fn missing(field: &str, expected: &str) -> ApiError {
    parse_error(format!("field [{field}] is missing; expected {expected}"))
}

fn parse_error(reason: String) -> ApiError {
    ApiError::new(ErrorCode::Parse, reason)
}

/// The lists that are not empty, and what was refused.
fn outcome<const N: usize>(
    lists: [(&str, Vec<String>); N],
    errors: std::collections::BTreeMap<String, ApiError>,
) -> RestResponse {
    let mut body = Map::new();
    for (name, list) in lists {
        if !list.is_empty() {
            body.insert(name.to_owned(), list.into());
        }
    }
    if !errors.is_empty() {
        let details: Map<String, Value> = errors
            .iter()
            .map(|(name, error)| (name.clone(), error.object_with_cause().into()))
            .collect();
        let errors = json!({"count": details.len(), "details": details});
        body.insert("errors".to_owned(), errors);
    }
    RestResponse::json(Value::Object(body))
}
