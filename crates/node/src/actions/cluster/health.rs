//! How many copies are active, now or when it is as wanted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::cluster::{HealthRequest, HealthResponse, HealthStatus};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::NodeId;
use ringwall_cluster::{Change, ClusterState, Command};
use ringwall_security::{Existing, NamedIndices, Resolved};
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::actions::Handler;
use crate::cluster_service::now_ms;
use crate::node_actions::for_members;
use crate::services::Services;

/// Answers as soon as every condition holds, or with `timed_out` when the time is up.
impl Handler<HealthRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<HealthRequest>,
    ) -> ApiResult<HealthResponse> {
        let conditions = Conditions::of(&request)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        wait_for_master(&services, Duration::from_millis(request.master_timeout_ms)).await?;
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let mut changes = services.cluster.applied().subscribe();
            changes.borrow_and_update();
            let state = served(&services).await;
            let wanted = request.named();
            let holds = conditions.hold(&state, wanted);
            if holds || tokio::time::Instant::now() >= deadline {
                return Ok(response(&services, &state, wanted, !holds));
            }
            // Also without a change: whether nodes answer is no part of the state.
            let next = tokio::time::timeout(LOOK_AGAIN, changes.changed());
            let _ = tokio::time::timeout_at(deadline, next).await;
        }
    }
}

/// Returns the state as far as it is served. After a restart of many nodes the state still speaks of
/// their earlier processes: what those held is not there until the new ones have joined.
async fn served(services: &Arc<Services>) -> ClusterState {
    let mut state = ClusterState::clone(&services.cluster.state());
    let local = services.transport.local();
    let connected: HashMap<NodeId, String> = services
        .transport
        .connected_nodes()
        .into_iter()
        .map(|peer| (peer.id, peer.ephemeral_id.clone()))
        .collect();
    let looks = state.nodes.values().map(|node| {
        let known = match node.id == local.id {
            true => Some(&local.ephemeral_id),
            false => connected.get(&node.id),
        };
        let (id, expected) = (node.id, node.ephemeral_id.clone());
        let known = known.cloned();
        async move {
            let is_there = match known {
                Some(process) => process == expected,
                None => answers_as(services, id, &expected).await,
            };
            (!is_there).then_some(id)
        }
    });
    let gone: Vec<NodeId> = join_all(looks).await.into_iter().flatten().collect();
    for node in gone {
        state.apply(Command {
            now_ms: now_ms(),
            seed: String::new(),
            rules: ringwall_cluster::command::RULES,
            change: Change::NodeLeave {
                node,
                ephemeral_id: None,
                reason: "it is not there (any more)".to_owned(),
            },
        });
    }
    state
}

/// A node that does not answer in time counts as there: fault detection decides about it.
async fn answers_as(services: &Services, node: NodeId, process: &str) -> bool {
    match services.call(node, PING, (), PING_TIMEOUT).await {
        Ok(answered) => answered == process,
        Err(error) => error.code == ErrorCode::ReceiveTimeout,
    }
}

/// To any node: which process are you?
const PING: NodeAction<(), String> = NodeAction::new("internal:node/ping");

const PING_TIMEOUT: Duration = Duration::from_secs(1);

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_members(services, PING, async |services, _, ()| {
        Ok(services.transport.local().ephemeral_id.clone())
    })
}

async fn wait_for_master(services: &Services, timeout: Duration) -> ApiResult<()> {
    let mut status = services.coordination.status();
    let elected = status.wait_for(|status| status.master.is_some());
    match tokio::time::timeout(timeout, elected).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(services.cluster.no_master()),
    }
}

fn response(
    services: &Services,
    state: &ClusterState,
    wanted: &NamedIndices,
    timed_out: bool,
) -> HealthResponse {
    let names = selected(state, wanted);
    let mut health = state.health(&names);
    let nothing_matches = names.is_empty() && !wanted.is_empty();
    if nothing_matches {
        health.indices.clear();
        health.status = HealthStatus::Red;
    }
    let sum = |field: fn(&ringwall_api::cluster::IndexHealth) -> u32| {
        health.indices.values().map(field).sum()
    };
    HealthResponse {
        cluster_name: services.cluster_name.clone(),
        status: health.status,
        timed_out,
        number_of_nodes: health.number_of_nodes,
        number_of_data_nodes: health.number_of_data_nodes,
        active_primary_shards: sum(|index| index.active_primary_shards),
        active_shards: sum(|index| index.active_shards),
        relocating_shards: sum(|index| index.relocating_shards),
        initializing_shards: sum(|index| index.initializing_shards),
        unassigned_shards: sum(|index| index.unassigned_shards),
        delayed_unassigned_shards: health.delayed_unassigned_shards,
        number_of_pending_tasks: 0,
        indices: health.indices,
    }
}

/// Returns the names of the wanted indices; of none in particular when none is named, which means all.
pub(crate) fn selected(state: &ClusterState, wanted: &NamedIndices) -> Vec<String> {
    let indices = state.indices.iter();
    wanted.select(indices.map(|(name, index)| Existing {
        name,
        hidden: index.settings.hidden(),
        closed: index.is_closed,
    }))
}

/// What a health request waits for.
struct Conditions {
    status: Option<HealthStatus>,
    nodes: Option<NodeCount>,
    no_relocating: bool,
    no_initializing: bool,
    active_shards: Option<u32>,
}

impl Conditions {
    fn of(request: &HealthRequest) -> ApiResult<Self> {
        Ok(Self {
            status: request.wait_for_status,
            nodes: request
                .wait_for_nodes
                .as_deref()
                .map(NodeCount::parse)
                .transpose()?,
            no_relocating: request.wait_for_no_relocating_shards,
            no_initializing: request.wait_for_no_initializing_shards,
            active_shards: request.wait_for_active_shards,
        })
    }

    fn hold(&self, state: &ClusterState, wanted: &NamedIndices) -> bool {
        let names = selected(state, wanted);
        if wanted.missing(&names).is_some() {
            return false;
        }
        let health = state.health(&names);
        let active: u32 = health.indices.values().map(|i| i.active_shards).sum();
        let all_active = health
            .indices
            .values()
            .all(|i| i.active_shards == i.number_of_shards * (i.number_of_replicas + 1));
        let relocating = health.indices.values().any(|i| i.relocating_shards > 0);
        let initializing = health.indices.values().any(|i| i.initializing_shards > 0);
        self.status.is_none_or(|wanted| health.status <= wanted)
            && self
                .nodes
                .as_ref()
                .is_none_or(|wanted| wanted.holds(health.number_of_nodes))
            && !(self.no_relocating && relocating)
            && !(self.no_initializing && initializing)
            && match self.active_shards {
                None => true,
                Some(u32::MAX) => all_active,
                Some(wanted) => active >= wanted,
            }
    }
}

/// `3`, `>=3`, `<=3`, `>3`, `<3`, or `ge(3)`, `le(3)`, `gt(3)`, `lt(3)`.
struct NodeCount {
    compare: fn(&u32, &u32) -> bool,
    wanted: u32,
}

impl NodeCount {
    fn parse(text: &str) -> ApiResult<Self> {
        type Compare = fn(&u32, &u32) -> bool;
        let forms: [(&str, &str, Compare); 9] = [
            (">=", "", u32::ge),
            ("<=", "", u32::le),
            (">", "", u32::gt),
            ("<", "", u32::lt),
            ("ge(", ")", u32::ge),
            ("le(", ")", u32::le),
            ("gt(", ")", u32::gt),
            ("lt(", ")", u32::lt),
            ("", "", u32::eq),
        ];
        let parsed = forms.iter().find_map(|(head, tail, compare)| {
            let number = text.strip_prefix(head)?.strip_suffix(tail)?;
            Some(Self {
                compare: *compare,
                wanted: number.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| {
            ApiError::illegal_argument(format!(
                "[wait_for_nodes] is [{text}], but must be a number of nodes such as 3, >=3 or le(3)"
            ))
        })
    }

    fn holds(&self, nodes: u32) -> bool {
        (self.compare)(&nodes, &self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_counts_compare() {
        for (text, nodes, expected) in [
            ("3", 3, true),
            ("3", 4, false),
            (">=3", 4, true),
            ("<=3", 4, false),
            ("gt(3)", 4, true),
            ("lt(3)", 3, false),
        ] {
            assert_eq!(
                NodeCount::parse(text).unwrap().holds(nodes),
                expected,
                "{text}"
            );
        }
        assert!(NodeCount::parse("many").is_err());
    }
}
