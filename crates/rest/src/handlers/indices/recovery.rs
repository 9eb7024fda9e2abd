//! `_recovery`. Source: Elasticsearch reference, "Index recovery API".

use std::collections::BTreeMap;

use ringwall_api::indices::{CopyRecovery, RecoveryKind, RecoveryNode, RecoveryRequest};
use ringwall_api::{ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::nodes::host_of;
use crate::render::{duration_in_words, humanize};
use crate::request::{RestRequest, RestResponse};

/// Query parameters, besides those of indices.
pub const PARAMS: &[&str] = &["active_only", "detailed"];

/// `GET [/{index}]/_recovery`.
pub async fn recovery(request: RestRequest) -> ApiResult<RestResponse> {
    let human = request.params.flag("human", false)?;
    let detailed = request.params.flag("detailed", false)?;
    let mut by_index: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for copy in recoveries(&request).await? {
        let mut told = copy_json(&copy, detailed);
        if human {
            humanize(&mut told);
        }
        by_index.entry(copy.index).or_default().push(told);
    }
    let body: Map<String, Value> = by_index
        .into_iter()
        .map(|(index, shards)| (index, json!({"shards": shards})))
        .collect();
    Ok(RestResponse::json(Value::Object(body)))
}

/// Asks for the recoveries of the indices in the path.
///
/// # Errors
/// A node did not answer: less would be told than there is.
pub(crate) async fn recoveries(request: &RestRequest) -> ApiResult<Vec<CopyRecovery>> {
    let answer = request
        .execute(RecoveryRequest {
            indices: request.indices(IndicesOptions::open_and_closed())?,
            active_only: request.params.flag("active_only", false)?,
        })
        .await?;
    match answer.failures.into_iter().next() {
        Some(failure) => Err(failure.reason),
        None => Ok(answer.copies),
    }
}

fn copy_json(copy: &CopyRecovery, detailed: bool) -> Value {
    let counts = &copy.counts;
    let mut told = json!({
        "id": copy.shard,
        "type": copy.kind.as_str(),
        "stage": counts.stage.as_str(),
        "primary": copy.primary,
        "start_time_in_millis": copy.started_ms,
    });
    if let Some(stopped) = copy.stopped_ms {
        told["stop_time_in_millis"] = stopped.into();
    }
    told["total_time_in_millis"] = copy.took_ms.into();
    told["source"] = match (&copy.source, copy.kind) {
        (Some(source), _) => node_json(source),
        (None, RecoveryKind::ExistingStore) => json!({"bootstrap_new_history_uuid": false}),
        (None, _) => json!({}),
    };
    told["target"] = node_json(&copy.target);
    let mut files = json!({
        "total": counts.files,
        "reused": 0,
        "recovered": counts.files_copied,
        "percent": percent(counts.files_copied, counts.files),
    });
    if detailed {
        // Files are not told one by one: they are copied whole.
        files["details"] = json!([]);
    }
    told["index"] = json!({
        "size": {
            "total_in_bytes": counts.bytes,
            "reused_in_bytes": 0,
            "recovered_in_bytes": counts.bytes_copied,
            "recovered_from_snapshot_in_bytes": 0,
            "percent": percent(counts.bytes_copied, counts.bytes),
        },
        "files": files,
        "total_time_in_millis": counts.index_ms,
        "source_throttle_time_in_millis": 0,
        "target_throttle_time_in_millis": 0,
    });
    told["translog"] = json!({
        "recovered": counts.operations,
        "total": counts.operations,
        "percent": "100.0%",
        "total_on_start": counts.operations,
        "total_time_in_millis": counts.translog_ms,
    });
    told["verify_index"] = json!({"check_index_time_in_millis": 0, "total_time_in_millis": 0});
    told
}

fn node_json(node: &RecoveryNode) -> Value {
    let host = host_of(&node.transport_address);
    json!({
        "id": node.id,
        "host": host,
        "transport_address": node.transport_address,
        "ip": host,
        "name": node.name,
    })
}

/// Of nothing, nothing is done. Source: Elasticsearch 8.19, asked.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1_000)
        .checked_div(u128::from(whole))
        .unwrap_or_default();
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// A duration for people.
pub(crate) fn took(copy: &CopyRecovery) -> String {
    duration_in_words(u128::from(copy.took_ms) * 1_000_000)
}
