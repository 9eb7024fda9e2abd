//! A document read by its id: `_doc`, `_source`.

use http::{Method, StatusCode};
use ringwall_api::document::{GetRequest, GetResult};
use ringwall_api::{ApiError, ApiResult, ErrorCode};

use crate::json;
use crate::params::Params;
use crate::request::{ResponseBody, RestRequest, RestResponse};

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
pub(crate) fn refreshes(params: &Params) -> ApiResult<bool> {
    params.flag("refresh", false)
}

pub(crate) fn write_get(out: &mut Vec<u8>, result: &GetResult) {
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
