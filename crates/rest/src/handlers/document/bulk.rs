//! `_bulk`.

use ringwall_api::document::{BulkRequest, WriteItem};
use ringwall_api::{ApiError, ApiResult, Unauthorized};

use crate::bulk::{BulkDefaults, parse, write_response};
use crate::handlers::WRITE_TIMEOUT_MS;
use crate::request::{IndexNames, RestRequest, RestResponse};

/// Query parameters of `_bulk`.
pub const PARAMS: &[&str] = &[
    "_source",
    "_source_excludes",
    "_source_includes",
    "include_source_on_error",
    "list_executed_pipelines",
    "pipeline",
    "refresh",
    "require_alias",
    "routing",
    "timeout",
    "wait_for_active_shards",
];

/// `POST|PUT [/{index}]/_bulk`: 200 even when every item failed.
pub async fn bulk(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    crate::handlers::document::refuse_pipeline(params)?;
    // Errors never quote the document.
    params.hint_flags(&["include_source_on_error"])?;
    if params.flag("list_executed_pipelines", false)? {
        return Err(ApiError::illegal_argument(
            "[list_executed_pipelines] is not supported: there are no ingest pipelines",
        ));
    }
    let defaults = BulkDefaults {
        index: request.path("index").map(str::to_owned),
        routing: params.owned("routing"),
        require_alias: params.flag("require_alias", false)?,
        return_source: params.source_filter(),
    };
    let items = with_names(parse(request.body(), &defaults)?, &request.names)?;
    let bulk = BulkRequest {
        items: Unauthorized::new(items),
        refresh: params.refresh_policy()?,
        timeout_ms: params.time_ms("timeout", WRITE_TIMEOUT_MS)?,
        wait_for_active_shards: params.active_shards()?,
    };
    let response = request.execute(bulk).await?;
    Ok(RestResponse::raw(write_response(&response)))
}

/// Resolves the names of the items' indices.
fn with_names(mut items: Vec<WriteItem>, names: &IndexNames) -> ApiResult<Vec<WriteItem>> {
    for item in &mut items {
        item.index = names.resolve(std::mem::take(&mut item.index))?;
    }
    Ok(items)
}
