//! What the whole cluster holds and uses: each node tells of itself, and the cluster state of the indices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use ringwall_api::cluster::{ClusterStatsRequest, ClusterStatsResponse, IndexCounts, NodeTotals};
use ringwall_api::indices::CopyNumbers;
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_cluster::{ClusterState, CopyState};
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::actions::Handler;
use crate::actions::nodes::info::{describe, selected};
use crate::actions::nodes::stats::{TIMEOUT, local_stats};
use crate::cluster_service::now_ms;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To every node: what do you hold and use?
const TOTALS: NodeAction<(), NodeTotals> = NodeAction::new("cluster:monitor/stats[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        TOTALS,
        |(): &()| vec![Needs::Cluster(ClusterStatsRequest::NAME)],
        async |services, _, ()| totals(&services).await,
    )
}

async fn totals(services: &Arc<Services>) -> ApiResult<NodeTotals> {
    let mut stats = local_stats(services, true).await?;
    let primaries = std::mem::take(&mut stats.copies);
    let primaries: CopyNumbers = primaries
        .iter()
        .filter(|copy| copy.primary)
        .map(|copy| copy.numbers)
        .sum();
    Ok(NodeTotals {
        docs: primaries.docs,
        deleted_docs: primaries.deleted_docs,
        segments: stats.numbers.segments,
        stats,
    })
}

impl Handler<ClusterStatsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ClusterStatsRequest>,
    ) -> ApiResult<ClusterStatsResponse> {
        let state = services.cluster.state();
        let master = services.cluster.master();
        let limit = context.time_left(TIMEOUT);
        let (services, user) = (&services, &context.authentication);
        let asked = selected(services, &state, &request.nodes).map(|node| async move {
            let answer: ApiResult<NodeTotals> =
                services.call_as(user, node.id, TOTALS, (), limit).await;
            let totals = answer.inspect_err(
                |error| tracing::warn!(node = %node.name, %error, "node gave no statistics"),
            );
            (describe(node, master, None), totals.ok())
        });
        let health = state.health(&[]);
        Ok(ClusterStatsResponse {
            cluster_name: services.cluster_name.clone(),
            cluster_uuid: state
                .cluster_uuid
                .clone()
                .unwrap_or_else(|| "_na_".to_owned()),
            timestamp_ms: now_ms(),
            status: health.status,
            indices: state
                .indices
                .keys()
                .map(|name| counts(&state, name))
                .collect(),
            field_types: field_types(services, &state)?,
            nodes: join_all(asked).await,
        })
    }
}

pub(crate) fn counts(state: &ClusterState, name: &str) -> IndexCounts {
    let shards = state.routing.get(name).into_iter();
    let copies = shards
        .flat_map(|routing| &routing.shards)
        .flat_map(|shard| &shard.copies);
    let mut counts = IndexCounts {
        primaries: 0,
        copies: 0,
    };
    for copy in copies.filter(|copy| copy.state == CopyState::Started) {
        counts.copies += 1;
        counts.primaries += u64::from(copy.primary);
    }
    counts
}

fn field_types(
    services: &Services,
    state: &ClusterState,
) -> ApiResult<BTreeMap<String, (u64, u64)>> {
    let mut types: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for index in state.indices.values() {
        let (_, mapping) = services.shards.mapping_in(state, &index.id)?;
        let mut here = BTreeSet::new();
        for field in mapping.fields() {
            let name = field.field_type.name();
            let counts = types.entry(name.to_owned()).or_default();
            counts.0 += 1;
            counts.1 += u64::from(here.insert(name));
        }
    }
    Ok(types)
}
