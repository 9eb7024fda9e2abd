//! Master, shards and disks.

use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_api::cluster::{HealthStatus, NodeStats, NodesStatsRequest};
use ringwall_cluster::CopyState;
use serde_json::json;

use super::indicator::{Diagnosis, Impact, Indicator, Severity};
use crate::actions::nodes;
use crate::services::Services;

/// Whether somebody leads.
pub async fn master(services: &Arc<Services>) -> Indicator {
    let status = services.coordination.status().borrow().clone();
    if let Some(master) = &status.master {
        let details = json!({
            "current_master": {"node_id": master.id.to_string(), "name": master.name},
            "recent_masters": [{"node_id": master.id.to_string(), "name": master.name}],
        });
        return Indicator::green("The cluster has a stable master node", details);
    }
    let errors: Vec<String> = status
        .discovery_errors
        .iter()
        .map(|(address, error)| format!("[{address}]: {error}"))
        .chain(status.join_error.clone())
        .collect();
    let mut indicator = Indicator::green("", json!({"discovery_errors": errors}));
    indicator.complain(
        HealthStatus::Red,
        "No master node is elected or reachable from this node".to_owned(),
        Impact {
            id: "no_master",
            severity: Severity::Now,
            description: "Indices, settings and users cannot be changed, and documents cannot be written".to_owned(),
            areas: &["ingest", "deployment_management"],
        },
        Diagnosis {
            id: "no_master",
            cause: match errors.as_slice() {
                [] => "Fewer than half of the voting nodes answer".to_owned(),
                errors => format!("Other nodes cannot be reached: {}", errors.join("; ")),
            },
            action: "Start the missing master-eligible nodes, or mend the links to them: the log of each \
                     node says every ten seconds who is missing and why, and `ringwall doctor` explains a \
                     single link"
                .to_owned(),
            resources: ("nodes", Vec::new()),
        },
    );
    indicator
}

/// Whether every copy of every shard is there.
pub async fn availability(services: &Arc<Services>) -> Indicator {
    let state = services.cluster.state();
    let mut counts = [[0_u32; 3]; 2];
    let mut without_primary = Vec::new();
    let mut without_replica = Vec::new();
    for (id, shard) in state.shards() {
        for copy in &shard.copies {
            let column = match copy.state {
                CopyState::Unassigned => 0,
                _ if copy.is_active() => 2,
                _ => 1,
            };
            counts[usize::from(copy.primary)][column] += 1;
            if copy.is_active() {
                continue;
            }
            let missing = match copy.primary {
                true => &mut without_primary,
                false => &mut without_replica,
            };
            if !missing.contains(&id.index.name) {
                missing.push(id.index.name.clone());
            }
        }
    }
    let [replicas, primaries] = counts;
    let details = json!({
        "unassigned_primaries": primaries[0],
        "initializing_primaries": primaries[1],
        "creating_primaries": 0,
        "restarting_primaries": 0,
        "started_primaries": primaries[2],
        "unassigned_replicas": replicas[0],
        "initializing_replicas": replicas[1],
        "creating_replicas": 0,
        "restarting_replicas": 0,
        "started_replicas": replicas[2],
    });
    let mut indicator = Indicator::green("This cluster has all shards available.", details);
    if !without_primary.is_empty() {
        let missing = primaries[0] + primaries[1];
        indicator.complain(
            HealthStatus::Red,
            format!("This cluster has {missing} unavailable primary shards."),
            Impact {
                id: "primary_unassigned",
                severity: Severity::Now,
                description: format!(
                    "Documents of {} indices cannot be written, and searches of them are incomplete",
                    without_primary.len()
                ),
                areas: &["ingest", "search"],
            },
            Diagnosis {
                id: "no_copy",
                cause: "No node of the cluster holds an in-sync copy of these shards".to_owned(),
                action: "Start the nodes that held them; they are taken up again by themselves".to_owned(),
                resources: ("indices", without_primary),
            },
        );
    }
    if !without_replica.is_empty() {
        let missing = replicas[0] + replicas[1];
        indicator.complain(
            HealthStatus::Yellow,
            format!("This cluster has {missing} unavailable replica shards."),
            Impact {
                id: "replica_unassigned",
                severity: Severity::Soon,
                description: "The loss of one more node may make data unavailable".to_owned(),
                areas: &["search"],
            },
            Diagnosis {
                id: "too_few_nodes",
                cause:
                    "There are fewer data nodes than copies of a shard, or copies are being built"
                        .to_owned(),
                action: "Start more data nodes, or lower [index.number_of_replicas]".to_owned(),
                resources: ("indices", without_replica),
            },
        );
    }
    indicator
}

/// Whether the disks have room.
pub async fn disk(services: &Arc<Services>) -> Indicator {
    let request = NodesStatsRequest { nodes: Vec::new() };
    let stats: ApiResult<_> = nodes::all_stats(services, &request).await;
    let stats = stats.map(|answer| answer.nodes).unwrap_or_default();
    let used = |node: &NodeStats| {
        let total = node.disk_total_bytes.max(1) as f64;
        100.0 - node.disk_free_bytes as f64 / total * 100.0
    };
    let above = |percent: f64| -> Vec<String> {
        let full = stats.values().filter(|node| used(node) >= percent);
        full.map(|node| node.name.clone()).collect()
    };
    let (full, filling) = (above(95.0), above(90.0));
    let details = json!({
        "indices_with_readonly_block": 0,
        "nodes_with_enough_disk_space": stats.len() - filling.len(),
        "nodes_over_high_watermark": filling.len() - full.len(),
        "nodes_over_flood_stage_watermark": full.len(),
        "nodes_with_unknown_disk_status": services.cluster.state().nodes.len().saturating_sub(stats.len()),
    });
    let mut indicator = Indicator::green("The cluster has enough available disk space.", details);
    let stages = [
        (
            HealthStatus::Red,
            full,
            "less than 5 % of its disk left",
            Severity::Now,
        ),
        (
            HealthStatus::Yellow,
            filling,
            "less than 10 % of its disk left",
            Severity::Soon,
        ),
    ];
    for (status, nodes, what, severity) in stages {
        if nodes.is_empty() {
            continue;
        }
        indicator.complain(
            status,
            format!("{} node(s) have {what}.", nodes.len()),
            Impact {
                id: "no_room",
                severity,
                description: "A node whose disk is full stops, and its shards with it".to_owned(),
                areas: &["ingest", "search"],
            },
            Diagnosis {
                id: "add_disk",
                cause: format!("A node has {what}"),
                action: "Delete indices, or give the node a larger disk".to_owned(),
                resources: ("nodes", nodes),
            },
        );
    }
    indicator
}
