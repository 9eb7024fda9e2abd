//! `_cluster/stats`. Sections of Elasticsearch that nothing is behind are there with zeros where clients read them.

use std::collections::BTreeMap;

use ringwall_api::ApiResult;
use ringwall_api::cluster::{ClusterStatsRequest, ClusterStatsResponse, IndexCounts, NodeTotals};
use ringwall_api::nodes::NodeInfo;
use serde_json::{Value, json};

use crate::handlers::nodes::percent;
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// Query parameters.
pub const PARAMS: &[&str] = &["timeout"];

/// `GET /_cluster/stats[/nodes/{node_id}]`.
pub async fn stats(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let human = request.params.flag("human", false)?;
    let nodes = request.path_list("node_id");
    let answer = request.execute(ClusterStatsRequest { nodes }).await?;
    let told: Vec<&NodeTotals> = answer
        .nodes
        .iter()
        .filter_map(|(_, told)| told.as_ref())
        .collect();
    let mut body = json!({
        "_nodes": {
            "total": answer.nodes.len(),
            "successful": told.len(),
            "failed": answer.nodes.len() - told.len(),
        },
        "cluster_name": answer.cluster_name,
        "cluster_uuid": answer.cluster_uuid,
        "timestamp": answer.timestamp_ms,
        "status": answer.status.as_str(),
        "indices": indices_json(&answer, &told),
        "nodes": nodes_json(&answer.nodes, &told),
    });
    if human {
        humanize(&mut body);
    }
    Ok(RestResponse::json(body))
}

fn indices_json(answer: &ClusterStatsResponse, told: &[&NodeTotals]) -> Value {
    let total = |of: fn(&NodeTotals) -> u64| told.iter().map(|node| of(node)).sum::<u64>();
    let types = answer.field_types.iter().map(|(name, (count, indices))| {
        json!({"name": name, "count": count, "index_count": indices, "script_count": 0})
    });
    let fields: u64 = answer.field_types.values().map(|(count, _)| count).sum();
    json!({
        "count": answer.indices.len(),
        "shards": shards_json(&answer.indices),
        "docs": {"count": total(|node| node.docs), "deleted": total(|node| node.deleted_docs)},
        "store": {
            "size_in_bytes": total(|node| node.stats.numbers.store_bytes),
            "total_data_set_size_in_bytes": total(|node| node.stats.numbers.store_bytes),
            "reserved_in_bytes": 0,
        },
        // Values are read from the files of the index, and no results of queries are kept.
        "fielddata": {"memory_size_in_bytes": 0, "evictions": 0},
        "query_cache": {
            "memory_size_in_bytes": 0, "total_count": 0, "hit_count": 0, "miss_count": 0, "cache_size": 0,
            "cache_count": 0, "evictions": 0,
        },
        "completion": {"size_in_bytes": 0},
        "segments": {"count": total(|node| node.segments)},
        "mappings": {"total_field_count": fields, "field_types": types.collect::<Vec<_>>()},
    })
}

/// Nothing of what there is none of: without indices the object is empty, as in Elasticsearch.
fn shards_json(indices: &[IndexCounts]) -> Value {
    if indices.is_empty() {
        return json!({});
    }
    let sum = |of: fn(&IndexCounts) -> u64| indices.iter().map(of).sum::<u64>();
    let (copies, primaries) = (sum(|index| index.copies), sum(|index| index.primaries));
    let replication = |copies: u64, primaries: u64| match primaries {
        0 => 0.0,
        _ => copies.saturating_sub(primaries) as f64 / primaries as f64,
    };
    let spread = |of: &dyn Fn(&IndexCounts) -> f64, whole: bool| {
        let values: Vec<f64> = indices.iter().map(of).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        let average = values.iter().sum::<f64>() / values.len() as f64;
        match whole {
            true => json!({"min": least as u64, "max": most as u64, "avg": average}),
            false => json!({"min": least, "max": most, "avg": average}),
        }
    };
    json!({
        "total": copies,
        "primaries": primaries,
        "replication": replication(copies, primaries),
        "index": {
            "shards": spread(&|index| index.copies as f64, true),
            "primaries": spread(&|index| index.primaries as f64, true),
            "replication": spread(&|index| replication(index.copies, index.primaries), false),
        },
    })
}

fn nodes_json(nodes: &[(NodeInfo, Option<NodeTotals>)], told: &[&NodeTotals]) -> Value {
    let total = |of: fn(&NodeTotals) -> u64| told.iter().map(|node| of(node)).sum::<u64>();
    let mut counts: BTreeMap<&str, u64> = ROLES.iter().map(|role| (*role, 0)).collect();
    counts.insert("total", nodes.len() as u64);
    for (node, _) in nodes {
        let roles = node.roles.iter().map(String::as_str);
        let known: Vec<&str> = roles.filter(|role| ROLES.contains(role)).collect();
        for role in known.iter().copied() {
            *counts.entry(role).or_default() += 1;
        }
        if known.is_empty() {
            *counts.entry("coordinating_only").or_default() += 1;
        }
    }
    let memory = total(|node| node.stats.total_memory_bytes);
    let used = total(|node| node.stats.resident_bytes);
    let files: Vec<u64> = told
        .iter()
        .map(|node| node.stats.open_file_descriptors)
        .collect();
    let uptime = told
        .iter()
        .map(|node| node.stats.uptime_ms)
        .max()
        .unwrap_or(0);
    let cpu: u64 = told
        .iter()
        .map(|node| u64::from(node.stats.cpu_percent))
        .sum();
    json!({
        "count": counts,
        "versions": [ringwall_base::COMPATIBLE_VERSION],
        "os": {"mem": {
            "total_in_bytes": memory,
            "used_in_bytes": used,
            "free_in_bytes": memory.saturating_sub(used),
            "used_percent": percent(used, memory),
            "free_percent": 100 - percent(used, memory),
        }},
        "process": {
            "cpu": {"percent": cpu},
            "open_file_descriptors": {
                "min": files.iter().min(),
                "max": files.iter().max(),
                "avg": files.iter().sum::<u64>().checked_div(files.len() as u64),
            },
        },
        // There is no Java heap; monitors that insist on one get the process's memory.
        "jvm": {
            "max_uptime_in_millis": uptime,
            "versions": [],
            "mem": {"heap_used_in_bytes": used, "heap_max_in_bytes": memory},
        },
        "fs": {
            "total_in_bytes": total(|node| node.stats.disk_total_bytes),
            "free_in_bytes": total(|node| node.stats.disk_free_bytes),
            "available_in_bytes": total(|node| node.stats.disk_free_bytes),
        },
        "plugins": [],
        "ingest": {"number_of_pipelines": 0, "processor_stats": {}},
    })
}

const ROLES: &[&str] = &[
    "coordinating_only",
    "data",
    "data_cold",
    "data_content",
    "data_frozen",
    "data_hot",
    "data_warm",
    "ingest",
    "master",
    "ml",
    "remote_cluster_client",
    "transform",
    "voting_only",
];
