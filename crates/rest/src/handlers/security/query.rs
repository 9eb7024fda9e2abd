//! `_security/_query/*`: lists of users, roles and API keys. Source: Elasticsearch reference, "Query API key information
//! API", "Query role API", "Query user API".

use ringwall_api::security::{
    ApiKeyInfo, ListRequest, Listed, QueryApiKeysRequest, QueryRolesRequest, QueryUsersRequest,
    SortKey,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use crate::handlers::security::wrong_type;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of lists of users.
pub const USER_PARAMS: &[&str] = &["with_profile_uid"];
/// Query parameters of lists of API keys.
pub const API_KEY_PARAMS: &[&str] = &["with_limited_by", "with_profile_uid"];

/// `GET|POST /_security/_query/user`.
pub async fn users(request: RestRequest) -> ApiResult<RestResponse> {
    // Nobody has a profile.
    request.params.hint_flags(&["with_profile_uid"])?;
    let list = wanted(&request, "query_user_request_payload")?;
    let found = request.execute(QueryUsersRequest { list }).await?;
    Ok(answer(found, "users"))
}

/// `GET|POST /_security/_query/role`.
pub async fn roles(request: RestRequest) -> ApiResult<RestResponse> {
    let list = wanted(&request, "query_role_request_payload")?;
    let found = request.execute(QueryRolesRequest { list }).await?;
    Ok(answer(found, "roles"))
}

/// `GET|POST /_security/_query/api_key`.
pub async fn api_keys(request: RestRequest) -> ApiResult<RestResponse> {
    request.params.hint_flags(&["with_profile_uid"])?;
    let with_limited_by = request.params.flag("with_limited_by", false)?;
    let list = wanted(&request, "query_api_key_request_payload")?;
    let asked = QueryApiKeysRequest {
        list,
        with_limited_by,
    };
    let mut found = request.execute(asked).await?;
    for item in &mut found.items {
        let sort = item.as_object_mut().and_then(|item| item.remove("_sort"));
        let key: ApiKeyInfo = serde_json::from_value(item.take())
            .map_err(|error| ApiError::internal(error.to_string()))?;
        *item = crate::handlers::security::api_keys::key_json(key, with_limited_by);
        if let Some(sort) = sort {
            item["_sort"] = sort;
        }
    }
    Ok(answer(found, "api_keys"))
}

fn answer(found: Listed, name: &str) -> RestResponse {
    let mut body = json!({"total": found.total, "count": found.items.len()});
    body[name] = found.items.into();
    RestResponse::json(body)
}

fn wanted(request: &RestRequest, payload: &str) -> ApiResult<ListRequest> {
    let body = match request.body().is_empty() {
        true => Map::new(),
        false => request.body_object()?,
    };
    let mut list = ListRequest {
        size: DEFAULT_SIZE,
        ..ListRequest::default()
    };
    for (key, value) in body {
        match key.as_str() {
            "query" => list.query = Some(value),
            "from" => list.from = number("from", &value)?,
            "size" => list.size = number("size", &value)?,
            // Elasticsearch has them for API keys only.
            "aggs" | "aggregations" if payload.contains("api_key") => {
                return Err(ApiError::illegal_argument(format!(
                    "[{key}] is not supported for API keys"
                )));
            }
            "sort" => list.sort = sort_keys(value)?,
            "search_after" => match value {
                Value::Array(values) => list.search_after = Some(values),
                _ => return Err(wrong_type("search_after", "an array")),
            },
            _ => {
                return Err(ApiError::new(
                    ErrorCode::XContentParse,
                    format!("[{payload}] unknown field [{key}]"),
                ));
            }
        }
    }
    if list.search_after.is_some() && list.from > 0 {
        return Err(ApiError::validation(&[
            "[from] parameter must be set to 0 when [search_after] is used",
        ]));
    }
    Ok(list)
}

fn number(name: &str, value: &Value) -> ApiResult<usize> {
    if let Some(number) = value.as_i64().filter(|number| *number < 0) {
        return Err(ApiError::validation(&[format!(
            "[{name}] parameter cannot be negative but was [{number}]"
        )]));
    }
    let number = value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| wrong_type(name, "a whole number that is not negative"))
}

/// `"field"`, or `{"field": {"order": "desc"}}`, or several of them.
fn sort_keys(value: Value) -> ApiResult<Vec<SortKey>> {
    let keys = match value {
        Value::Array(keys) => keys,
        one => vec![one],
    };
    let read = |key: Value| match key {
        Value::String(field) => Ok(SortKey {
            field,
            descending: false,
        }),
        Value::Object(members) => {
            let mut members = members.into_iter();
            match (members.next(), members.next()) {
                (Some((field, options)), None) => sort_key(field, &options),
                _ => Err(wrong_type("sort", "the names of fields")),
            }
        }
        _ => Err(wrong_type("sort", "the names of fields")),
    };
    keys.into_iter().map(read).collect()
}

fn sort_key(field: String, options: &Value) -> ApiResult<SortKey> {
    let options = options
        .as_object()
        .ok_or_else(|| wrong_type("sort", "an object of options by field"))?;
    let mut descending = false;
    for (name, value) in options {
        match (name.as_str(), value.as_str()) {
            ("order", Some("asc")) => descending = false,
            ("order", Some("desc")) => descending = true,
            _ => {
                return Err(ApiError::illegal_argument(format!(
                    "[sort] does not support [{name}] with [{value}] in this context"
                )));
            }
        }
    }
    Ok(SortKey { field, descending })
}

const DEFAULT_SIZE: usize = 10;
