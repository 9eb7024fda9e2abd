//! `_cluster/health`.

use http::StatusCode;
use ringwall_api::cluster::{HealthRequest, HealthResponse, HealthStatus, IndexHealth};
use ringwall_api::{ApiError, ApiResult, IndicesOptions, IndicesTarget};
use serde_json::{Map, Value, json};

use crate::handlers::MASTER_TIMEOUT_MS;
use crate::params::Params;
use crate::request::{ResponseBody, RestRequest, RestResponse};

/// Query parameters of `_cluster/health`.
pub const HEALTH_PARAMS: &[&str] = &[
    "expand_wildcards",
    "level",
    "local",
    "master_timeout",
    "timeout",
    "wait_for_active_shards",
    "wait_for_events",
    "wait_for_nodes",
    "wait_for_no_initializing_shards",
    "wait_for_no_relocating_shards",
    "wait_for_status",
];

/// `GET /_cluster/health[/{index}]`: 408 when time ran out before the conditions held.
pub async fn health(request: RestRequest) -> ApiResult<RestResponse> {
    let wanted = health_request(&request.params, request.path_list("index"))?;
    let level = match request.params.text("level") {
        None | Some("cluster") => Level::Cluster,
        Some("indices") => Level::Indices,
        Some("shards") => Level::Shards,
        Some(other) => {
            return Err(ApiError::illegal_argument(format!(
                "unknown level parameter [{other}] is not one of [cluster, indices, shards]"
            )));
        }
    };
    let health = request.execute(wanted).await?;
    let status = if health.timed_out {
        StatusCode::REQUEST_TIMEOUT
    } else {
        StatusCode::OK
    };
    let body = ResponseBody::Json(health_json(&health, level));
    Ok(RestResponse::new(status, body))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Level {
    Cluster,
    Indices,
    Shards,
}

/// Returns a health request that waits for nothing.
pub(crate) fn health_now() -> HealthRequest {
    HealthRequest {
        indices: IndicesTarget::default(),
        wait_for_status: None,
        wait_for_nodes: None,
        wait_for_no_relocating_shards: false,
        wait_for_no_initializing_shards: false,
        wait_for_active_shards: None,
        timeout_ms: MASTER_TIMEOUT_MS,
        master_timeout_ms: MASTER_TIMEOUT_MS,
    }
}

/// Returns the share of shard copies that are active, 0 to 100.
pub(crate) fn active_percent(health: &HealthResponse) -> f64 {
    let active = f64::from(health.active_shards);
    let all = active + f64::from(health.unassigned_shards) + f64::from(health.initializing_shards);
    if all == 0.0 {
        100.0
    } else {
        active / all * 100.0
    }
}

/// Reads the name of a status.
pub(crate) fn health_status(text: &str) -> ApiResult<HealthStatus> {
    match text.to_ascii_lowercase().as_str() {
        "green" => Ok(HealthStatus::Green),
        "yellow" => Ok(HealthStatus::Yellow),
        "red" => Ok(HealthStatus::Red),
        _ => Err(ApiError::illegal_argument(format!(
            "unknown cluster health status [{text}]"
        ))),
    }
}

fn health_request(params: &Params, indices: Vec<String>) -> ApiResult<HealthRequest> {
    let wait_for_status = params.text("wait_for_status").map(health_status);
    // What has been submitted is applied before a health answer can show it.
    if let Some(priority) = params.text("wait_for_events") {
        check_priority(priority)?;
    }
    params.hint_flags(&["local"])?;
    let all = IndicesOptions {
        expand_hidden: true,
        ..IndicesOptions::open_and_closed()
    };
    Ok(HealthRequest {
        indices: IndicesTarget::new(indices, params.indices_options(all)?),
        wait_for_status: wait_for_status.transpose()?,
        wait_for_nodes: params.owned("wait_for_nodes"),
        wait_for_no_relocating_shards: params.flag("wait_for_no_relocating_shards", false)?,
        wait_for_no_initializing_shards: params.flag("wait_for_no_initializing_shards", false)?,
        wait_for_active_shards: params.active_shards()?.filter(|shards| *shards > 0),
        timeout_ms: params.time_ms("timeout", MASTER_TIMEOUT_MS)?,
        master_timeout_ms: params.time_ms("master_timeout", MASTER_TIMEOUT_MS)?,
    })
}

fn check_priority(text: &str) -> ApiResult<()> {
    let known = ["immediate", "urgent", "high", "normal", "low", "languid"];
    match known.contains(&text.to_ascii_lowercase().as_str()) {
        true => Ok(()),
        false => Err(ApiError::illegal_argument(format!(
            "[wait_for_events] is [{text}], but must be one of [{}]",
            known.join(", ")
        ))),
    }
}

fn health_json(health: &HealthResponse, level: Level) -> Value {
    let mut body = json!({
        "cluster_name": health.cluster_name,
        "status": health.status.as_str(),
        "timed_out": health.timed_out,
        "number_of_nodes": health.number_of_nodes,
        "number_of_data_nodes": health.number_of_data_nodes,
        "active_primary_shards": health.active_primary_shards,
        "active_shards": health.active_shards,
        "relocating_shards": health.relocating_shards,
        "initializing_shards": health.initializing_shards,
        "unassigned_shards": health.unassigned_shards,
        "delayed_unassigned_shards": health.delayed_unassigned_shards,
        "number_of_pending_tasks": health.number_of_pending_tasks,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": active_percent(health),
    });
    if level >= Level::Indices {
        let indices: Map<String, Value> = health
            .indices
            .iter()
            .map(|(name, index)| (name.clone(), index_json(index, level)))
            .collect();
        body["indices"] = Value::Object(indices);
    }
    body
}

fn index_json(index: &IndexHealth, level: Level) -> Value {
    let mut body = json!({
        "status": index.status.as_str(),
        "number_of_shards": index.number_of_shards,
        "number_of_replicas": index.number_of_replicas,
        "active_primary_shards": index.active_primary_shards,
        "active_shards": index.active_shards,
        "relocating_shards": index.relocating_shards,
        "initializing_shards": index.initializing_shards,
        "unassigned_shards": index.unassigned_shards,
    });
    if level == Level::Shards {
        let shards = index.shards.iter().enumerate().map(|(number, shard)| {
            let shard = json!({
                "status": shard.status.as_str(),
                "primary_active": shard.primary_active,
                "active_shards": shard.active_shards,
                "relocating_shards": shard.relocating_shards,
                "initializing_shards": shard.initializing_shards,
                "unassigned_shards": shard.unassigned_shards,
            });
            (number.to_string(), shard)
        });
        body["shards"] = Value::Object(shards.collect());
    }
    body
}
