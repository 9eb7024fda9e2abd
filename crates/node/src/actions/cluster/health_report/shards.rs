//! Master, shards and disks.

use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_api::cluster::HealthStatus;
use ringwall_api::nodes::NodesStatsRequest;
use ringwall_cluster::{CopyState, DiskLevel};
use ringwall_security::system;
use serde_json::json;

use super::indicator::{Diagnosis, Impact, Indicator, Severity};
use crate::actions::nodes::stats;
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
                [] => services.coordination.summarize_formation(),
                errors => format!(
                    "{}; other nodes cannot be reached: {}",
                    services.coordination.summarize_formation(),
                    errors.join("; ")
                ),
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

/// Whether the disks have room, and answer.
pub async fn disk(services: &Arc<Services>) -> Indicator {
    let request = NodesStatsRequest {
        nodes: Vec::new(),
        by_copy: false,
    };
    let system = system::identity();
    let answers: ApiResult<_> = stats::all_stats(services, &system, &request, stats::TIMEOUT).await;
    let stats = answers.map(|answer| answer.nodes).unwrap_or_default();
    let state = services.cluster.state();
    let at = |level: DiskLevel| -> Vec<String> {
        let nodes = state.nodes.values();
        let found = nodes.filter(|node| state.disk_level(node.id) == level);
        found.map(|node| node.name.clone()).collect()
    };
    let (full, filling) = (at(DiskLevel::Flood), at(DiskLevel::High));
    let blocked: Vec<String> = state
        .indices
        .values()
        .filter(|index| index.is_flooded)
        .map(|index| index.id.name.clone())
        .collect();
    let failed: Vec<String> = stats
        .values()
        .filter_map(|node| Some(format!("{}: {}", node.name, node.unhealthy.as_ref()?)))
        .collect();
    let details = json!({
        "indices_with_readonly_block": blocked.len(),
        "nodes_with_enough_disk_space": state.nodes.len() - filling.len() - full.len(),
        "nodes_over_high_watermark": filling.len(),
        "nodes_over_flood_stage_watermark": full.len(),
        "nodes_with_unknown_disk_status": state.nodes.len().saturating_sub(stats.len()),
    });
    let mut indicator = Indicator::green("The cluster has enough available disk space.", details);
    if !blocked.is_empty() || !full.is_empty() {
        let symptom = match blocked.len() {
            0 => format!(
                "{} node with roles: [data] is out of disk or running low on disk space.",
                full.len()
            ),
            count => format!(
                "{count} indices are not allowed to be updated because they are on nodes out of disk space."
            ),
        };
        indicator.complain(
            HealthStatus::Red,
            symptom,
            Impact {
                id: "ingest_capability_unavailable",
                severity: Severity::Now,
                description: "Documents cannot be written into these indices until their nodes have room".to_owned(),
                areas: &["ingest"],
            },
            Diagnosis {
                id: "add_disk_capacity_data_nodes",
                cause: format!("The disks of [{}] are above the flood stage", full.join(", ")),
                action: "Delete indices, or give the nodes larger disks: writes go on by themselves once the disks are \
                         below the high watermark"
                    .to_owned(),
                resources: ("indices", blocked),
            },
        );
    }
    if !filling.is_empty() {
        indicator.complain(
            HealthStatus::Yellow,
            format!(
                "{} node with roles: [data] is running low on disk space.",
                filling.len()
            ),
            Impact {
                id: "ingest_capability_at_risk",
                severity: Severity::Soon,
                description: "No shard copies are assigned to these nodes, and writes will be refused when their disks \
                              are fuller"
                    .to_owned(),
                areas: &["ingest"],
            },
            Diagnosis {
                id: "add_disk_capacity_data_nodes",
                cause: "The disks are above the high watermark".to_owned(),
                action: "Delete indices, or give the nodes larger disks".to_owned(),
                resources: ("nodes", filling),
            },
        );
    }
    if !failed.is_empty() {
        indicator.complain(
            HealthStatus::Red,
            format!("{} node(s) have a disk that does not answer.", failed.len()),
            Impact {
                id: "disk_failed",
                severity: Severity::Now,
                description: "These nodes leave the cluster, and their shard copies with them".to_owned(),
                areas: &["ingest", "search"],
            },
            Diagnosis {
                id: "replace_disk",
                cause: "A write to the data path failed, or has not come back".to_owned(),
                action: "See to the disk or the mount; a node that only waited for it comes back by itself".to_owned(),
                resources: ("nodes", failed),
            },
        );
    }
    indicator
}
