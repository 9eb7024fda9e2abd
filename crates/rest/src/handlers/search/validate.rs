//! `_validate/query`. Source: Elasticsearch reference, "Validate API".

use ringwall_api::search::{QueryCheck, ValidateQueryRequest, ValidateQueryResponse};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::search::merge_query;
use crate::request::{RestRequest, RestResponse};

/// Query parameters, besides those of indices.
pub const PARAMS: &[&str] = &[
    "all_shards",
    "analyze_wildcard",
    "analyzer",
    "default_operator",
    "df",
    "explain",
    "lenient",
    "q",
    "rewrite",
    "source",
    "source_content_type",
];

/// `GET|POST [/{index}]/_validate/query`.
pub async fn validate(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let explain = params.flag("explain", false)?;
    let rewrite = params.flag("rewrite", false)?;
    let all_shards = params.flag("all_shards", false)?;
    let indices = request.indices(IndicesOptions::default())?;
    let query = match asked(&request)? {
        Ok(query) => query,
        Err(error) => return Ok(malformed(&error, explain)),
    };
    let shown = query.to_string();
    let answer = request
        .execute(ValidateQueryRequest {
            indices,
            query,
            all_shards,
        })
        .await?;
    let checks = match answer {
        ValidateQueryResponse::Malformed(error) => return Ok(malformed(&error, explain)),
        ValidateQueryResponse::Checked(checks) => checks,
    };
    let mut body = json!({
        "_shards": {"total": checks.len(), "successful": checks.len(), "failed": 0},
        "valid": checks.iter().all(|check| check.error.is_none()),
    });
    if (explain || rewrite || all_shards) && !checks.is_empty() {
        body["explanations"] = checks
            .iter()
            .map(|check| explanation(check, &shown))
            .collect();
    }
    Ok(RestResponse::json(body))
}

/// Returns the query, or why what was sent is none.
fn asked(request: &RestRequest) -> ApiResult<Result<Value, ApiError>> {
    let mut body = match request.body_object() {
        Ok(body) => body,
        // There is no room for it, or it says not what it is: that is no matter of the query.
        Err(error) if error.status != 400 || request.body().is_empty() => return Err(error),
        Err(error) => return Ok(Err(error)),
    };
    let is_given = !request.body().is_empty();
    merge_query(&request.params, &mut body)?;
    if let Some(key) = body.keys().find(|key| *key != "query") {
        let reason = format!("request does not support [{key}]");
        return Ok(Err(ApiError::new(ErrorCode::Parsing, reason)));
    }
    match body.remove("query") {
        Some(query) => Ok(Ok(query)),
        None if is_given => Err(ApiError::validation(&["query cannot be null"])),
        None => Ok(Ok(json!({"match_all": {}}))),
    }
}

fn malformed(error: &ApiError, explain: bool) -> RestResponse {
    let mut body = json!({"valid": false});
    if explain {
        body["error"] = in_words(error).into();
    }
    RestResponse::json(body)
}

/// A query that fits is told as it is read: there is no other form of it.
fn explanation(check: &QueryCheck, query: &str) -> Value {
    let mut told = Map::new();
    told.insert("index".to_owned(), check.index.as_str().into());
    if let Some(shard) = check.shard {
        told.insert("shard".to_owned(), shard.into());
    }
    told.insert("valid".to_owned(), check.error.is_none().into());
    match &check.error {
        None => told.insert("explanation".to_owned(), query.into()),
        Some(error) => {
            let text = format!("[{}/{}] {}", check.index, check.uuid, in_words(error));
            told.insert("error".to_owned(), text.into())
        }
    };
    Value::Object(told)
}

/// An error and its causes on one line.
fn in_words(error: &ApiError) -> String {
    let told = error.object_with_cause();
    let mut words = Vec::new();
    let mut next = Some(&told);
    while let Some(error) = next {
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        words.push(format!("{}: {}", text("type"), text("reason")));
        next = error.get("caused_by").and_then(Value::as_object);
    }
    words.join("; ")
}
