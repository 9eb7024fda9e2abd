//! `_nodes/stats`.

use ringwall_api::nodes::{
    AuditStats, BreakerStats, IndexingPressureStats, NodeStats, NodesStatsRequest, ThreadPoolStats,
};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::ByteSizeValue;
use serde_json::{Map, Value, json};

use crate::handlers::indices::{NodeLevel, of_node};
use crate::handlers::nodes::{envelope, host_of, section};
use crate::handlers::stats_metrics;
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_nodes/stats`.
pub const STATS_PARAMS: &[&str] = &["timeout", "level"];

/// `GET /_nodes[/{node_id}]/stats[/{metric}[/{index_metric}]]`.
pub async fn stats(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let human = request.params.flag("human", false)?;
    let level = NodeLevel::of(request.params.text("level"))?;
    let nodes = request.path_list("node_id");
    let metrics = request.path_list("metric");
    let of_indices = request.path_list("metric_of_indices");
    let path = request.uri_path.clone();
    let shown = stats_metrics::NODE.check(&path, &metrics)?;
    if !(of_indices.is_empty() || shown.contains(&"indices")) {
        return Err(ApiError::illegal_argument(format!(
            "request [{path}] contains index metrics [{}] but indices stats not requested",
            of_indices.join(",")
        )));
    }
    let of_indices = stats_metrics::NODE_INDEX.check(&path, &of_indices)?;
    let by_copy = level != NodeLevel::Node;
    let stats = request
        .execute(NodesStatsRequest { nodes, by_copy })
        .await?;
    let nodes: Map<String, Value> = stats
        .nodes
        .iter()
        .map(|(id, node)| {
            let mut json = stats_json(node);
            let copies = (&node.numbers, node.copies.as_slice());
            json["indices"] = of_node(copies, level, &of_indices);
            stats_metrics::keep(&mut json, &stats_metrics::NODE, &shown, section);
            if human {
                humanize(&mut json);
            }
            (id.clone(), json)
        })
        .collect();
    Ok(RestResponse::json(envelope(&stats.cluster_name, nodes)))
}

fn stats_json(node: &NodeStats) -> Value {
    let host = host_of(&node.transport_address);
    let used = node.total_memory_bytes.min(node.resident_bytes);
    let [one, five, fifteen] = node.load_average;
    json!({
        "name": node.name,
        "transport_address": node.transport_address,
        "host": host,
        "ip": node.transport_address,
        "roles": node.roles,
        "os": {
            "cpu": {
                "percent": node.cpu_percent,
                "load_average": {"1m": one, "5m": five, "15m": fifteen},
            },
            "mem": {"total_in_bytes": node.total_memory_bytes},
        },
        "process": {
            "open_file_descriptors": node.open_file_descriptors,
            "cpu": {"percent": node.cpu_percent},
            "mem": {"resident_in_bytes": node.resident_bytes},
        },
        // There is no Java heap; monitors that insist on one get the process's memory.
        "jvm": {
            "uptime_in_millis": node.uptime_ms,
            "mem": {
                "heap_used_in_bytes": used,
                "heap_used_percent": percent(used, node.total_memory_bytes),
                "heap_max_in_bytes": node.total_memory_bytes,
            },
        },
        "transport": {
            "server_open": node.transport.accepted,
            "server_handshaking": node.transport.handshaking,
            "total_outbound_connections": node.transport.dialled,
            "rx_count": node.transport.received,
            "rx_size_in_bytes": node.transport.received_bytes,
            "tx_count": node.transport.sent,
            "tx_size_in_bytes": node.transport.sent_bytes,
        },
        "http": {
            "current_open": node.http.open,
            "total_opened": node.http.opened,
            "total_shed": node.http.shed,
        },
        "fs": {
            "total": {
                "total_in_bytes": node.disk_total_bytes,
                "free_in_bytes": node.disk_free_bytes,
                "available_in_bytes": node.disk_free_bytes,
            },
            "data": [fs_data(node)],
        },
        // Nodes agree on changes, each of which is applied at once: no states wait, and none is sent whole.
        "discovery": {
            "cluster_state_queue": {"total": 0, "pending": 0, "committed": 0},
            "published_cluster_states": {
                "full_states": 0, "incompatible_diffs": 0, "compatible_diffs": 0,
            },
        },
        "breakers": breakers_json(&node.breakers),
        "indexing_pressure": pressure_json(&node.indexing_pressure),
        "audit": audit_json(node.audit.as_ref()),
        "thread_pool": thread_pools_json(&node.thread_pools),
        // There are no pipelines, scripts and repositories, nor does anything rank nodes: nothing was ever counted.
        "ingest": {
            "total": {"count": 0, "time_in_millis": 0, "current": 0, "failed": 0},
            "pipelines": {},
        },
        "script": {"compilations": 0, "cache_evictions": 0, "compilation_limit_triggered": 0, "contexts": []},
        "script_cache": {
            "sum": {"compilations": 0, "cache_evictions": 0, "compilation_limit_triggered": 0},
        },
        "repositories": {},
        "adaptive_selection": {},
    })
}

fn thread_pools_json(pools: &[ThreadPoolStats]) -> Map<String, Value> {
    let json = |pool: &ThreadPoolStats| {
        json!({
            "threads": pool.threads,
            "queue": pool.queue,
            "active": pool.active,
            "rejected": pool.rejected,
            "largest": pool.largest,
            "completed": pool.completed,
        })
    };
    pools
        .iter()
        .map(|pool| (pool.name.clone(), json(pool)))
        .collect()
}

fn breakers_json(breakers: &[BreakerStats]) -> Map<String, Value> {
    let size = |bytes: u64| ByteSizeValue::from_bytes(bytes).to_string();
    let json = |breaker: &BreakerStats| {
        json!({
            "limit_size_in_bytes": breaker.limit,
            "limit_size": size(breaker.limit),
            "estimated_size_in_bytes": breaker.estimated,
            "estimated_size": size(breaker.estimated),
            "overhead": breaker.overhead,
            "tripped": breaker.tripped,
        })
    };
    let named = breakers.iter().map(|b| (b.name.clone(), json(b)));
    named.collect()
}

/// Ours; `null` where there is no audit log.
fn audit_json(audit: Option<&AuditStats>) -> Value {
    let json = |audit: &AuditStats| {
        json!({
            "written": audit.written,
            "lost": audit.lost,
            "queued_in_bytes": audit.queued_bytes,
            "failure": audit.failure,
        })
    };
    audit.map_or(Value::Null, json)
}

fn pressure_json(pressure: &IndexingPressureStats) -> Value {
    let bytes = |combined: u64, [coordinating, primary, replica]: [u64; 3]| {
        json!({
            "combined_coordinating_and_primary_in_bytes": combined,
            "coordinating_in_bytes": coordinating,
            "primary_in_bytes": primary,
            "replica_in_bytes": replica,
            "all_in_bytes": combined + replica,
        })
    };
    let mut total = bytes(pressure.total_combined, pressure.total);
    let [coordinating, primary, replica] = pressure.rejections;
    total["coordinating_rejections"] = coordinating.into();
    total["primary_rejections"] = primary.into();
    total["replica_rejections"] = replica.into();
    json!({"memory": {
        "current": bytes(pressure.current_combined, pressure.current),
        "total": total,
        "limit_in_bytes": pressure.limit,
    }})
}

/// The one data path.
fn fs_data(node: &NodeStats) -> Value {
    let mut data = json!({
        "total_in_bytes": node.disk_total_bytes,
        "free_in_bytes": node.disk_free_bytes,
        "available_in_bytes": node.disk_free_bytes,
    });
    let names = ["low", "high", "flood_stage"];
    for (name, bytes) in names.iter().zip(node.disk_watermarks.into_iter().flatten()) {
        // As in Elasticsearch the last has no word `watermark`.
        let key = match *name {
            "flood_stage" => "flood_stage_free_space_in_bytes".to_owned(),
            name => format!("{name}_watermark_free_space_in_bytes"),
        };
        data[key] = bytes.into();
    }
    if let Some(reason) = &node.unhealthy {
        data["unhealthy"] = reason.clone().into();
    }
    data
}

/// Returns a share in whole percent; 0 of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100)
        .checked_div(u128::from(whole))
        .map_or(0, |percent| percent.min(100) as u64)
}
