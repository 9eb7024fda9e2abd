//! Why copies are where they are. Source: Elasticsearch reference, "Cluster allocation explain API".

use std::sync::Arc;

use ringwall_api::cluster::{AllocationExplainRequest, AllocationExplainResponse, ExplainedCopy};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::ShardId;
use ringwall_cluster::explain::{Decision, Explanation, NodeDecision, Verdict};
use ringwall_cluster::{ClusterState, CopyState, NodeRecord, ShardCopy};
use ringwall_security::Resolved;
use serde_json::{Value, json};

use crate::actions::Handler;
use crate::cluster_service::now_ms;
use crate::services::Services;

impl Handler<AllocationExplainRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<AllocationExplainRequest>,
    ) -> ApiResult<AllocationExplainResponse> {
        let state = services.cluster.state();
        let (id, position) = match &request.copy {
            Some(copy) => named(&state, copy)?,
            None => unassigned(&state)?,
        };
        let explained = state.explain(&id, position, now_ms());
        let (Some(explained), Some(shard)) = (explained, state.shard(&id)) else {
            return Err(ApiError::index_not_found(&id.index.name));
        };
        let told = Told {
            state: &state,
            explained,
            copy: &shard.copies[position],
            with_yes: request.with_yes,
        };
        let mut explanation = json!({
            "index": id.index.name,
            "shard": id.shard,
            "primary": told.copy.primary,
        });
        if request.copy.is_none() {
            explanation["note"] =
                "No shard was named, so this is about one of those that are not assigned.".into();
        }
        told.add_to(&mut explanation);
        Ok(AllocationExplainResponse { explanation })
    }
}

/// Finds the copy that a request names.
fn named(state: &ClusterState, wanted: &ExplainedCopy) -> ApiResult<(ShardId, usize)> {
    let metadata = state
        .indices
        .get(&wanted.index)
        .ok_or_else(|| ApiError::index_not_found(&wanted.index))?;
    let id = ShardId {
        index: metadata.id.clone(),
        shard: wanted.shard,
    };
    let shard = state.shard(&id).ok_or_else(|| {
        ApiError::new(ErrorCode::ShardNotFound, "no such shard")
            .with("index_uuid", metadata.id.uuid.clone())
            .with("shard", wanted.shard.to_string())
            .with("index", wanted.index.clone())
    })?;
    let is_on = |copy: &ShardCopy| {
        wanted.current_node.as_deref().is_none_or(|named| {
            let node = copy.node.and_then(|node| state.nodes.get(&node));
            node.is_some_and(|node| node.name == named || node.id.to_string() == named)
        })
    };
    let is_meant = |copy: &&ShardCopy| copy.primary == wanted.primary && is_on(copy);
    let copies = || shard.copies.iter().enumerate();
    // Of several replicas one that is not assigned, as there something is to be explained.
    let idle = copies().find(|(_, copy)| is_meant(copy) && copy.state == CopyState::Unassigned);
    let found = idle.or_else(|| copies().find(|(_, copy)| is_meant(copy)));
    let what = if wanted.primary { "primary" } else { "replica" };
    match (found, &wanted.current_node) {
        (Some((position, _)), _) => Ok((id, position)),
        (None, Some(node)) => Err(ApiError::illegal_argument(format!(
            "unable to find a {what} shard assigned to node [{node}]"
        ))),
        (None, None) => Err(ApiError::illegal_argument(format!(
            "No {what} shards found for index [{}], shard [{}]",
            wanted.index, wanted.shard
        ))),
    }
}

/// Finds a copy that is on no node, a primary first.
fn unassigned(state: &ClusterState) -> ApiResult<(ShardId, usize)> {
    let find = |primary: bool| {
        state.shards().find_map(|(id, shard)| {
            let position = shard
                .copies
                .iter()
                .position(|copy| copy.state == CopyState::Unassigned && copy.primary == primary)?;
            Some((id, position))
        })
    };
    find(true).or_else(|| find(false)).ok_or_else(|| {
        ApiError::illegal_argument(
            "No shard was specified in the request which means the response should explain a randomly-chosen unassigned \
             shard, but there are no unassigned shards in this cluster. To explain the allocation of an assigned shard \
             you must specify the target shard in the request.",
        )
    })
}

struct Told<'a> {
    state: &'a ClusterState,
    explained: Explanation,
    copy: &'a ShardCopy,
    with_yes: bool,
}

impl Told<'_> {
    fn add_to(&self, body: &mut Value) {
        body["current_state"] = match self.copy.state {
            CopyState::Unassigned => "unassigned",
            CopyState::Initializing => "initializing",
            CopyState::Started => "started",
        }
        .into();
        if let Some(info) = &self.copy.unassigned {
            let at = i64::try_from(info.since_ms).ok();
            let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
            body["unassigned_info"] = json!({
                "reason": info.reason.as_str(),
                "at": at.map(|at| format!("{at:.3}")),
                "failed_allocation_attempts": info.failed_allocations,
                "details": info.details,
                "last_allocation_status": "no_attempt",
            });
        }
        let node = self.copy.node.and_then(|node| self.state.nodes.get(&node));
        if let Some(node) = node {
            body["current_node"] = json!({
                "id": node.id.to_string(),
                "name": node.name,
                "transport_address": node.transport_address,
                "attributes": node.attributes,
                "roles": node.roles,
            });
        }
        match self.copy.state {
            CopyState::Unassigned => self.add_allocation(body),
            CopyState::Initializing => {}
            CopyState::Started => self.add_stay(body),
        }
        let nodes = self.explained.nodes.iter();
        let shown = nodes.filter_map(|decided| {
            let node = self.state.nodes.get(&decided.node)?;
            Some(self.node_json(node, decided))
        });
        let shown: Vec<Value> = shown.collect();
        if !shown.is_empty() && self.copy.state != CopyState::Initializing {
            body["node_allocation_decisions"] = shown.into();
        }
    }

    fn add_allocation(&self, body: &mut Value) {
        let best = self.explained.nodes.iter().map(NodeDecision::verdict).min();
        let (can, why) = match best {
            _ if self.explained.no_valid_copy => (
                "no_valid_shard_copy",
                "No node that is in the cluster holds a copy with every acknowledged write. Bring back the node that \
                 does.",
            ),
            _ if self.explained.delayed_until_ms.is_some() => (
                "allocation_delayed",
                "The node that held the copy has left and may come back, which is waited for.",
            ),
            Some(Verdict::Yes) => ("yes", "A node may take this copy and will be given it."),
            Some(Verdict::Throttle) => (
                "throttled",
                "Nodes may take this copy once others have recovered on them.",
            ),
            Some(Verdict::No) | None => (
                "no",
                "No node may take this copy. See which node should have it, and what the rules say of that one.",
            ),
        };
        body["can_allocate"] = can.into();
        body["allocate_explanation"] = why.into();
        if let Some(until) = self.explained.delayed_until_ms {
            body["remaining_delay_in_millis"] = until.saturating_sub(now_ms()).into();
        }
    }

    fn add_stay(&self, body: &mut Value) {
        let Some(stay) = &self.explained.may_stay else {
            return;
        };
        body["can_remain_on_current_node"] = word(stay.verdict()).into();
        match stay.verdict() {
            Verdict::Yes => {
                // Copies are moved where they may not stay, and for no other reason.
                body["can_rebalance_cluster"] = "no".into();
                body["can_rebalance_to_other_node"] = "no".into();
                body["rebalance_explanation"] =
                    "Copies are moved only from nodes that they may not stay on.".into();
            }
            Verdict::No | Verdict::Throttle => {
                body["can_remain_decisions"] = self.decisions_json(&stay.decisions);
                let best = self.explained.nodes.iter().map(NodeDecision::verdict).min();
                let can = best.unwrap_or(Verdict::No);
                body["can_move_to_other_node"] = word(can).into();
                body["move_explanation"] = match can {
                    Verdict::Yes => "Another node may take the copy and will be given it.",
                    Verdict::Throttle => {
                        "Other nodes may take the copy once others have recovered on them."
                    }
                    Verdict::No => "No other node may take the copy.",
                }
                .into();
            }
        }
    }

    fn node_json(&self, node: &NodeRecord, decided: &NodeDecision) -> Value {
        let mut told = json!({
            "node_id": node.id.to_string(),
            "node_name": node.name,
            "transport_address": node.transport_address,
            "node_attributes": node.attributes,
            "roles": node.roles,
            "node_decision": match decided.verdict() {
                Verdict::Throttle => "throttled",
                verdict => word(verdict),
            },
        });
        let decisions = self.decisions_json(&decided.decisions);
        if decisions.as_array().is_some_and(|list| !list.is_empty()) {
            told["deciders"] = decisions;
        }
        told
    }

    fn decisions_json(&self, decisions: &[Decision]) -> Value {
        let shown = decisions
            .iter()
            .filter(|decision| self.with_yes || decision.verdict != Verdict::Yes);
        let shown = shown.map(|decision| {
            json!({
                "decider": decision.decider,
                "decision": word(decision.verdict).to_ascii_uppercase(),
                "explanation": decision.explanation,
            })
        });
        shown.collect()
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::Throttle => "throttle",
        Verdict::No => "no",
    }
}
