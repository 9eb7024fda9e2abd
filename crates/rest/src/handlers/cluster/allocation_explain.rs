//! `_cluster/allocation/explain`. Source: Elasticsearch reference, "Cluster allocation explain API".

use ringwall_api::cluster::{AllocationExplainRequest, ExplainedCopy};
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Map, Value};

use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters.
pub const PARAMS: &[&str] = &[
    "include_disk_info",
    "include_yes_decisions",
    "master_timeout",
];

/// `GET|POST /_cluster/allocation/explain`.
pub async fn explain(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    params.hint_times(&["master_timeout"])?;
    if params.flag("include_disk_info", false)? {
        return Err(ApiError::illegal_argument(
            "[include_disk_info] is not supported: the cluster knows which watermarks are crossed, and [GET \
             /_nodes/stats/fs] how much room there is",
        ));
    }
    let with_yes = params.flag("include_yes_decisions", false)?;
    let copy = copy_of(request.body_object()?)?;
    let answer = request
        .execute(AllocationExplainRequest { copy, with_yes })
        .await?;
    Ok(RestResponse::json(answer.explanation))
}

fn copy_of(body: Map<String, Value>) -> ApiResult<Option<ExplainedCopy>> {
    check_keys(
        "cluster/allocation/explain",
        &body,
        &["index", "shard", "primary", "current_node"],
    )?;
    if body.is_empty() {
        return Ok(None);
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let (index, primary) = (text("index"), body.get("primary").and_then(Value::as_bool));
    let shard = body
        .get("shard")
        .and_then(Value::as_u64)
        .and_then(|shard| u32::try_from(shard).ok());
    let mut missing = Vec::new();
    for (key, is_given) in [
        ("index", index.is_some()),
        ("shard", shard.is_some()),
        ("primary", primary.is_some()),
    ] {
        if !is_given {
            missing.push(format!("{key} must be specified"));
        }
    }
    match (index, shard, primary) {
        (Some(index), Some(shard), Some(primary)) => Ok(Some(ExplainedCopy {
            index,
            shard,
            primary,
            current_node: text("current_node"),
        })),
        _ => Err(ApiError::validation(&missing)),
    }
}
