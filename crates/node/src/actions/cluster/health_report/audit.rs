//! Whether the audit logs of all nodes are written.

use std::sync::Arc;

use ringwall_api::cluster::HealthStatus;
use ringwall_api::nodes::{AuditStats, NodesStatsRequest};
use ringwall_security::system;
use serde_json::json;

use super::indicator::{Diagnosis, Impact, Indicator, Severity};
use crate::actions::nodes::stats;
use crate::services::Services;

/// Whether events of the audit log wait for a disk, or are lost.
pub async fn log(services: &Arc<Services>) -> Indicator {
    let request = NodesStatsRequest {
        nodes: Vec::new(),
        by_copy: false,
    };
    let system = system::identity();
    let answers = stats::all_stats(services, &system, &request, stats::TIMEOUT).await;
    let nodes = answers.map(|answer| answer.nodes).unwrap_or_default();
    let logs = nodes
        .values()
        .filter_map(|node| Some((node.name.clone(), node.audit.clone()?)));
    of_logs(&logs.collect::<Vec<_>>(), nodes.len())
}

fn of_logs(logs: &[(String, AuditStats)], nodes: usize) -> Indicator {
    let named = |is_meant: fn(&AuditStats) -> bool| -> Vec<String> {
        let found = logs.iter().filter(|(_, log)| is_meant(log));
        found.map(|(name, _)| name.clone()).collect()
    };
    let (failing, losing) = (
        named(|log| log.failure.is_some()),
        named(|log| log.lost > 0),
    );
    let details = json!({
        "nodes_with_audit_log": logs.len(),
        "nodes_without_audit_log": nodes.saturating_sub(logs.len()),
        "nodes_that_cannot_write": failing.len(),
        "events_lost": logs.iter().map(|(_, log)| log.lost).sum::<u64>(),
    });
    let symptom = match (logs.is_empty(), logs.len() == nodes) {
        (true, _) => "There is no audit log.",
        (false, true) => "The audit log is written on all nodes.",
        (false, false) => "The audit log is written on some nodes.",
    };
    let mut indicator = Indicator::green(symptom, details);
    if !failing.is_empty() {
        let reasons = logs.iter().filter_map(|(_, log)| log.failure.clone());
        let reasons: Vec<String> = reasons.collect();
        indicator.complain(
            HealthStatus::Red,
            format!("{} node(s) cannot write the audit log.", failing.len()),
            Impact {
                id: "events_wait",
                severity: Severity::Now,
                description: "Events wait in memory; when that is full they are lost, or requests are refused".to_owned(),
                areas: &["deployment_management"],
            },
            Diagnosis {
                id: "make_room",
                cause: reasons.join("; "),
                action: "Make room on the disk of the logs, or mend it".to_owned(),
                resources: ("nodes", failing),
            },
        );
    }
    if !losing.is_empty() {
        indicator.complain(
            HealthStatus::Yellow,
            format!("{} node(s) have lost events of the audit log.", losing.len()),
            Impact {
                id: "events_lost",
                severity: Severity::Soon,
                description: "What happened meanwhile is not in the audit log".to_owned(),
                areas: &["deployment_management"],
            },
            Diagnosis {
                id: "look_for_events_lost",
                cause: "A disk took no events for too long since the start of these nodes".to_owned(),
                action: "Look for events of the type [events_lost], which tell when and how many; to lose none, set \
                         [xpack.security.audit.logfile.queue.when_full] to [refuse]"
                    .to_owned(),
                resources: ("nodes", losing),
            },
        );
    }
    indicator
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lost: u64, failure: Option<&str>) -> (String, AuditStats) {
        let stats = AuditStats {
            written: 1,
            lost,
            queued_bytes: 0,
            failure: failure.map(str::to_owned),
        };
        ("n1".to_owned(), stats)
    }

    #[test]
    fn a_log_that_is_not_written_is_red_and_one_that_lost_something_yellow() {
        for (logs, expected) in [
            (vec![], HealthStatus::Green),
            (vec![log(0, None)], HealthStatus::Green),
            (vec![log(0, None), log(3, None)], HealthStatus::Yellow),
            (vec![log(0, Some("no space left"))], HealthStatus::Red),
        ] {
            assert_eq!(of_logs(&logs, 2).status, expected, "{logs:?}");
        }
    }
}
