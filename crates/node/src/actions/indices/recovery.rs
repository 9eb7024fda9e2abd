//! Recoveries: each node tells of those of its copies. Source: Elasticsearch reference, "Index recovery API".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::indices::{CopyRecovery, RecoveryNode, RecoveryRequest, RecoveryResponse};
use ringwall_api::search::ShardFailure;
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_base::{AllocationId, NodeId, ShardId};
use ringwall_cluster::ClusterState;
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::actions::Handler;
use crate::actions::indices::broadcast::copies;
use crate::actions::indices::concrete;
use crate::node_actions::{Needs, for_users};
use crate::recovery::progress::Told;
use crate::services::Services;

/// To every node with copies: how did these come to be? One answer each, in order.
const RECOVERIES: NodeAction<Vec<Asked>, Vec<Option<Told>>> =
    NodeAction::new("indices:monitor/recovery[n]");

type Asked = (ShardId, AllocationId);

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        RECOVERIES,
        |asked| needs(asked),
        async |services, _, asked| {
            let told = asked
                .iter()
                .map(|(shard, allocation_id)| services.recovery_log.of(shard, allocation_id));
            Ok(told.collect())
        },
    )
}

fn needs(asked: &[Asked]) -> Vec<Needs> {
    let indices: BTreeSet<String> = asked
        .iter()
        .map(|(shard, _)| shard.index.name.clone())
        .collect();
    vec![Needs::Indices(
        RecoveryRequest::NAME,
        indices.into_iter().collect(),
    )]
}

impl Handler<RecoveryRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<RecoveryRequest>,
    ) -> ApiResult<RecoveryResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let mut by_node: BTreeMap<NodeId, Vec<(Asked, bool)>> = BTreeMap::new();
        for (shard, copy) in copies(&state, &indices) {
            if let (Some(node), Some(id)) = (copy.node, &copy.allocation_id) {
                let asked = ((shard, id.clone()), copy.primary);
                by_node.entry(node).or_default().push(asked);
            }
        }
        let limit = context.time_left(TIMEOUT);
        let (services, user) = (&services, &context.authentication);
        let asked = by_node.into_iter().map(|(node, copies)| async move {
            let message = copies.iter().map(|(asked, _)| asked.clone()).collect();
            let answer: ApiResult<Vec<Option<Told>>> = services
                .call_as(user, node, RECOVERIES, message, limit)
                .await;
            (node, copies, answer)
        });
        let mut response = RecoveryResponse {
            copies: Vec::new(),
            failures: Vec::new(),
        };
        for (node, copies, answer) in join_all(asked).await {
            match answer {
                Ok(told) => {
                    let told = copies.into_iter().zip(told);
                    let told = told.filter_map(|(copy, told)| Some((copy, told?)));
                    response
                        .copies
                        .extend(told.map(|(copy, told)| describe(&state, node, copy, told)));
                }
                Err(error) => {
                    let failures = copies
                        .into_iter()
                        .map(|((shard, _), _)| failure(node, shard, &error));
                    response.failures.extend(failures);
                }
            }
        }
        response
            .copies
            .retain(|copy| copy.stopped_ms.is_none() || !request.active_only);
        response
            .copies
            .sort_by_key(|copy| (copy.index.clone(), copy.shard, !copy.primary));
        Ok(response)
    }
}

fn failure(node: NodeId, shard: ShardId, error: &ringwall_api::ApiError) -> ShardFailure {
    ShardFailure {
        index: shard.index.name,
        shard: shard.shard,
        node: Some(node.to_string()),
        reason: error.clone(),
    }
}

fn describe(
    state: &ClusterState,
    node: NodeId,
    ((shard, _), primary): (Asked, bool),
    told: Told,
) -> CopyRecovery {
    CopyRecovery {
        index: shard.index.name,
        shard: shard.shard,
        primary,
        kind: told.kind,
        counts: told.counts,
        started_ms: told.started_ms,
        stopped_ms: told.stopped_ms,
        took_ms: told.took_ms,
        source: told.source.map(|source| named(state, source)),
        target: named(state, node),
    }
}

/// One that has left is known by its id alone.
fn named(state: &ClusterState, id: NodeId) -> RecoveryNode {
    let node = state.nodes.get(&id);
    RecoveryNode {
        id: id.to_string(),
        name: node.map(|node| node.name.clone()).unwrap_or_default(),
        transport_address: node
            .map(|node| node.transport_address.clone())
            .unwrap_or_default(),
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);
