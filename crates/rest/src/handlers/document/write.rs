//! One document written: `_doc`, `_create`, `_update`.

use std::sync::Arc;

use http::StatusCode;
use ringwall_api::document::{BulkRequest, OpType, SourceFilter, WriteItem, WriteOutcome};
use ringwall_api::{ApiError, ApiResult, ErrorCode, Unauthorized};
use serde_json::{Map, Value};

use crate::bulk::{outcome_status, set_condition, source_filter, write_outcome};
use crate::handlers::WRITE_TIMEOUT_MS;
use crate::json;
use crate::params::Params;
use crate::request::{ResponseBody, RestRequest, RestResponse};

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

/// Refuses `pipeline`: storing what should have been transformed would be silent damage.
pub(crate) fn refuse_pipeline(params: &Params) -> ApiResult<()> {
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
