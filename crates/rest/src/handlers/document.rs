//! `_doc`, `_create`, `_update`, `_source`, `_mget`. Source: Elasticsearch reference, "Document APIs".

use std::sync::Arc;

use http::{Method, StatusCode};
use ringwall_api::document::{
    BulkRequest, GetRequest, GetResult, MultiGetItem, MultiGetRequest, OpType, SourceFilter,
    WriteItem, WriteOutcome,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, Unauthorized};
use serde_json::{Map, Value};

use super::WRITE_TIMEOUT_MS;
use crate::bulk::{outcome_status, set_condition, source_filter, write_outcome};
use crate::json;
use crate::params::{Params, parse_version_type, split_list};
use crate::request::{ResponseBody, RestRequest, RestResponse, single_index};

/// Query parameters of single writes.
pub const WRITE_PARAMS: &[&str] = &[
    "if_primary_term",
    "if_seq_no",
    "include_source_on_error",
    "op_type",
    "pipeline",
    "refresh",
    "require_alias",
    "routing",
    "timeout",
    "version",
    "version_type",
    "wait_for_active_shards",
];

/// Query parameters of deletions.
pub const DELETE_PARAMS: &[&str] = &[
    "if_primary_term",
    "if_seq_no",
    "refresh",
    "routing",
    "timeout",
    "version",
    "version_type",
    "wait_for_active_shards",
];

/// Query parameters of `_update`.
pub const UPDATE_PARAMS: &[&str] = &[
    "_source",
    "_source_excludes",
    "_source_includes",
    "if_primary_term",
    "if_seq_no",
    "include_source_on_error",
    "refresh",
    "require_alias",
    "retry_on_conflict",
    "routing",
    "timeout",
    "wait_for_active_shards",
];

/// Query parameters of reads.
pub const READ_PARAMS: &[&str] = &[
    "_source",
    "_source_excludes",
    "_source_includes",
    "preference",
    "realtime",
    "refresh",
    "routing",
    "version",
    "version_type",
];

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

/// `PUT|POST /{index}/_doc[/{id}]`.
pub async fn index(request: RestRequest) -> ApiResult<RestResponse> {
    let id = request.path("id").map(str::to_owned);
    let op = match (request.params.text("op_type"), &id) {
        // An id of the cluster's own making is new by construction.
        (None | Some("create"), None) | (Some("create"), Some(_)) => OpType::Create,
        (None | Some("index"), _) => OpType::Index,
        (Some(other), _) => {
            return Err(ApiError::illegal_argument(format!(
                "opType must be 'create' or 'index', found: [{other}]"
            )));
        }
    };
    write(request, op, id).await
}

/// `PUT|POST /{index}/_create/{id}`.
pub async fn create(request: RestRequest) -> ApiResult<RestResponse> {
    let id = request.required("id")?;
    if let Some(other) = request.params.text("op_type").filter(|op| *op != "create") {
        return Err(ApiError::illegal_argument(format!(
            "opType must be 'create', found: [{other}]"
        )));
    }
    write(request, OpType::Create, Some(id)).await
}

/// `DELETE /{index}/_doc/{id}`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    let id = request.required("id")?;
    let item = write_item(&request, OpType::Delete, Some(id))?;
    execute_one(&request, item).await
}

/// `POST /{index}/_update/{id}`.
pub async fn update(request: RestRequest) -> ApiResult<RestResponse> {
    let id = request.required("id")?;
    require_body(&request)?;
    let body = request.body_object()?;
    let returned = check_update(&body)?;
    let mut item = write_item(&request, OpType::Update, Some(id))?;
    set_condition(&mut item, &body)?;
    item.source = request.body().clone();
    item.body = Some(Arc::new(body));
    item.retry_on_conflict = request.params.number("retry_on_conflict")?.unwrap_or(0);
    item.return_source = request.params.source_filter().or(returned);
    execute_one(&request, item).await
}

/// `GET|HEAD /{index}/_doc/{id}`: a missing document is a 404 without an error object.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let result = request.execute(get_request(&request)?).await?;
    if request.method == Method::HEAD {
        return Ok(RestResponse::exists(result.found));
    }
    let mut out = Vec::with_capacity(128);
    write_get(&mut out, &result);
    let status = found_status(result.found);
    Ok(RestResponse::new(status, ResponseBody::RawJson(out)))
}

/// `GET|HEAD /{index}/_source/{id}`: the bare document.
pub async fn source(request: RestRequest) -> ApiResult<RestResponse> {
    let result = request.execute(get_request(&request)?).await?;
    if request.method == Method::HEAD {
        return Ok(RestResponse::exists(
            result.found && result.source.is_some(),
        ));
    }
    match result.source {
        Some(source) if result.found => Ok(RestResponse::raw(source.to_vec())),
        _ => Err(ApiError::new(
            ErrorCode::ResourceNotFound,
            format!("Document not found [{}]/[{}]", result.index, result.id),
        )),
    }
}

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

/// Refuses `pipeline`: storing what should have been transformed would be silent damage.
pub(super) fn refuse_pipeline(params: &Params) -> ApiResult<()> {
    match params.text("pipeline") {
        None | Some("_none") => Ok(()),
        Some(pipeline) => Err(ApiError::illegal_argument(format!(
            "pipeline with id [{pipeline}] does not exist"
        ))),
    }
}

async fn write(request: RestRequest, op: OpType, id: Option<String>) -> ApiResult<RestResponse> {
    require_body(&request)?;
    let mut item = write_item(&request, op, id)?;
    item.source = request.body().clone();
    execute_one(&request, item).await
}

fn write_item(request: &RestRequest, op: OpType, id: Option<String>) -> ApiResult<WriteItem> {
    let params = &request.params;
    refuse_pipeline(params)?;
    // Errors never quote the document.
    params.hint_flags(&["include_source_on_error"])?;
    Ok(WriteItem {
        body: None,
        routing: params.owned("routing"),
        if_seq_no: params.number("if_seq_no")?,
        if_primary_term: params.number("if_primary_term")?,
        version: params.number("version")?,
        version_type: params.version_type()?,
        require_alias: params.flag("require_alias", false)?,
        ..WriteItem::new(op, request.required("index")?, id, bytes::Bytes::new())
    })
}

/// Executes a bulk of one.
async fn execute_one(request: &RestRequest, item: WriteItem) -> ApiResult<RestResponse> {
    let bulk = BulkRequest {
        items: Unauthorized::new(vec![item]),
        refresh: request.params.refresh_policy()?,
        timeout_ms: request.params.time_ms("timeout", WRITE_TIMEOUT_MS)?,
        wait_for_active_shards: request.params.active_shards()?,
    };
    let response = request.execute(bulk).await?;
    let item = response
        .items
        .into_iter()
        .next()
        .ok_or_else(|| ApiError::internal("the answer to a write has no item"))?;
    let outcome = item.outcome?;
    Ok(outcome_response(&item.index, item.id.as_deref(), &outcome))
}

fn outcome_response(index: &str, id: Option<&str>, outcome: &WriteOutcome) -> RestResponse {
    let mut out = vec![b'{'];
    write_outcome(&mut out, index, id, outcome);
    out.push(b'}');
    let status = StatusCode::from_u16(outcome_status(outcome)).unwrap_or(StatusCode::OK);
    let response = RestResponse::new(status, ResponseBody::RawJson(out));
    match id {
        Some(id) if status == StatusCode::CREATED => {
            let location = format!("/{}/_doc/{}", encode_segment(index), encode_segment(id));
            response.with_header("location", location)
        }
        _ => response,
    }
}

fn require_body(request: &RestRequest) -> ApiResult<()> {
    if request.body().is_empty() {
        return Err(ApiError::new(ErrorCode::Parse, "request body is required"));
    }
    Ok(())
}

/// Checks the shape of an update, and returns what it wants back of the new document.
fn check_update(body: &Map<String, Value>) -> ApiResult<Option<SourceFilter>> {
    json::check_keys("UpdateRequest", body, UPDATE_KEYS)?;
    match (body.contains_key("script"), body.contains_key("doc")) {
        (true, true) => return Err(ApiError::validation(&["can't provide both script and doc"])),
        (false, false) => return Err(ApiError::validation(&["script or doc is missing"])),
        _ => {}
    }
    body.get("_source").map(source_filter).transpose()
}

fn get_request(request: &RestRequest) -> ApiResult<GetRequest> {
    let params = &request.params;
    params.version_type()?;
    Ok(GetRequest {
        index: request.one_index()?,
        id: request.required("id")?,
        routing: params.owned("routing"),
        preference: params.owned("preference"),
        realtime: params.flag("realtime", true)?,
        refresh: refreshes(params)?,
        source: params.source_filter().unwrap_or_default(),
        version: params.number("version")?,
    })
}

/// A read refreshes first or it does not; it has nothing to wait for.
fn refreshes(params: &Params) -> ApiResult<bool> {
    params.flag("refresh", false)
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

fn write_get(out: &mut Vec<u8>, result: &GetResult) {
    out.extend_from_slice(b"{\"_index\":");
    json::push_string(out, &result.index);
    out.extend_from_slice(b",\"_id\":");
    json::push_string(out, &result.id);
    if !result.found {
        out.extend_from_slice(b",\"found\":false}");
        return;
    }
    let numbers = format!(
        ",\"_version\":{},\"_seq_no\":{},\"_primary_term\":{}",
        result.version, result.seq_no, result.primary_term
    );
    out.extend_from_slice(numbers.as_bytes());
    if let Some(routing) = &result.routing {
        out.extend_from_slice(b",\"_routing\":");
        json::push_string(out, routing);
    }
    out.extend_from_slice(b",\"found\":true");
    if let Some(source) = &result.source {
        out.extend_from_slice(b",\"_source\":");
        out.extend_from_slice(source);
    }
    out.push(b'}');
}

fn found_status(found: bool) -> StatusCode {
    if found {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns a path segment with everything escaped that is not plain.
fn encode_segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Returns the list of names in a path part or parameter.
pub(super) fn names(text: Option<&str>) -> Vec<String> {
    text.map(split_list).unwrap_or_default()
}

const UPDATE_KEYS: &[&str] = &[
    "doc",
    "script",
    "upsert",
    "doc_as_upsert",
    "scripted_upsert",
    "detect_noop",
    "_source",
    "if_seq_no",
    "if_primary_term",
];
const MGET_KEYS: &[&str] = &[
    "_index",
    "_id",
    "routing",
    "_routing",
    "_source",
    "version",
    "version_type",
];
