//! `_mget`.

use ringwall_api::document::{GetRequest, MultiGetItem, MultiGetRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::Value;

use crate::bulk::source_filter;
use crate::handlers::document::{refreshes, write_get};
use crate::json;
use crate::params::{parse_version_type, split_list};
use crate::request::{RestRequest, RestResponse, single_index};

/// Query parameters of `_mget`.
pub const MGET_PARAMS: &[&str] = &[
    "_source",
    "_source_excludes",
    "_source_includes",
    "preference",
    "realtime",
    "refresh",
    "routing",
];

/// `GET|POST [/{index}]/_mget`.
pub async fn mget(request: RestRequest) -> ApiResult<RestResponse> {
    let items = mget_items(&request)?;
    let preference = request.params.owned("preference");
    let response = request
        .execute(MultiGetRequest { items, preference })
        .await?;
    let mut out = b"{\"docs\":[".to_vec();
    for (position, item) in response.items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_mget_item(&mut out, item);
    }
    out.extend_from_slice(b"]}");
    Ok(RestResponse::raw(out))
}

fn mget_items(request: &RestRequest) -> ApiResult<Vec<GetRequest>> {
    let body = request.body_object()?;
    json::check_keys("mget", &body, &["docs", "ids"])?;
    let malformed = |what: &str| ApiError::new(ErrorCode::Parsing, format!("[mget] {what}"));
    let mut items = Vec::new();
    if let Some(docs) = body.get("docs") {
        for doc in docs
            .as_array()
            .ok_or_else(|| malformed("[docs] must be an array"))?
        {
            items.push(mget_doc(request, doc)?);
        }
    }
    if let Some(ids) = body.get("ids") {
        for id in ids
            .as_array()
            .ok_or_else(|| malformed("[ids] must be an array"))?
        {
            let id = text_of(id).ok_or_else(|| malformed("[ids] must hold strings"))?;
            items.push(mget_item(request, request.path("index"), id)?);
        }
    }
    if items.is_empty() {
        return Err(ApiError::validation(&["no documents to get"]));
    }
    Ok(items)
}

fn mget_doc(request: &RestRequest, doc: &Value) -> ApiResult<GetRequest> {
    let malformed = |what: &str| ApiError::new(ErrorCode::Parsing, format!("[mget] {what}"));
    let object = doc
        .as_object()
        .ok_or_else(|| malformed("[docs] must hold objects"))?;
    json::check_keys("multi_get", object, MGET_KEYS)?;
    let text = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => text_of(value)
            .map(Some)
            .ok_or_else(|| malformed(&format!("[{name}] must be a string"))),
    };
    let id = text("_id")?.ok_or_else(|| ApiError::validation(&["id is missing"]))?;
    let index = text("_index")?;
    let mut item = mget_item(request, index.as_deref().or(request.path("index")), id)?;
    if let Some(routing) = text("routing")?.or(text("_routing")?) {
        item.routing = Some(routing);
    }
    if let Some(filter) = object.get("_source") {
        item.source = source_filter(filter)?;
    }
    if let Some(version) = object.get("version").filter(|version| !version.is_null()) {
        let number = version.as_u64();
        let number = number.ok_or_else(|| malformed("[version] must be a whole number"))?;
        item.version = Some(number);
    }
    if let Some(kind) = text("version_type")? {
        parse_version_type(&kind)?;
    }
    Ok(item)
}

fn mget_item(request: &RestRequest, index: Option<&str>, id: String) -> ApiResult<GetRequest> {
    let params = &request.params;
    let index = index.ok_or_else(|| ApiError::validation(&["index is missing for doc 0"]))?;
    Ok(GetRequest {
        index: single_index(request.names.resolve(index.to_owned())?),
        id,
        routing: params.owned("routing"),
        preference: None,
        realtime: params.flag("realtime", true)?,
        refresh: refreshes(params)?,
        source: params.source_filter().unwrap_or_default(),
        version: None,
    })
}

fn write_mget_item(out: &mut Vec<u8>, item: &MultiGetItem) {
    match &item.outcome {
        Ok(result) => write_get(out, result),
        Err(error) => {
            out.extend_from_slice(b"{\"_index\":");
            json::push_string(out, &item.index);
            out.extend_from_slice(b",\"_id\":");
            json::push_string(out, &item.id);
            out.extend_from_slice(b",\"error\":");
            out.extend_from_slice(error.to_json()["error"].to_string().as_bytes());
            out.push(b'}');
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the list of names in a path part or parameter.
pub(crate) fn names(text: Option<&str>) -> Vec<String> {
    text.map(split_list).unwrap_or_default()
}

const MGET_KEYS: &[&str] = &[
    "_index",
    "_id",
    "routing",
    "_routing",
    "_source",
    "version",
    "version_type",
];
