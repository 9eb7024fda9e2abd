//! Every copy of every shard in a table.

use std::collections::HashMap;
use std::sync::Arc;

use ringwall_api::indices::{
    CopyNumbers, IndexRow, ShardRow, ShardTableRequest, ShardTableResponse,
};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_base::{NodeId, ShardId};
use ringwall_cluster::{ClusterState, CopyState, ShardCopy};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::broadcast::{Work, broadcast, copies};
use crate::actions::indices::concrete;
use crate::services::Services;

impl Handler<ShardTableRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ShardTableRequest>,
    ) -> ApiResult<ShardTableResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let answers = broadcast(
            &services,
            &context.authentication,
            &state,
            &indices,
            Work::Stats,
        )
        .await;
        let stats: HashMap<(ShardId, NodeId), CopyNumbers> = answers
            .into_iter()
            .filter_map(|answer| Some(((answer.shard, answer.node), answer.result.ok()?.numbers)))
            .collect();
        let rows = copies(&state, &indices)
            .map(|(shard, copy)| {
                let numbers = copy.node.and_then(|node| stats.get(&(shard.clone(), node)));
                shard_row(&state, &shard, copy, numbers)
            })
            .collect();
        let health = state.health(&[]);
        let indices = indices
            .iter()
            .map(|index| {
                let sum = |primaries_only: bool, field: fn(&CopyNumbers) -> u64| {
                    copies(&state, &[index])
                        .filter(|(_, copy)| copy.primary || !primaries_only)
                        .filter_map(|(shard, copy)| stats.get(&(shard, copy.node?)))
                        .map(field)
                        .sum()
                };
                IndexRow {
                    index: index.id.name.clone(),
                    uuid: index.id.uuid.clone(),
                    closed: index.is_closed,
                    health: health
                        .indices
                        .get(&index.id.name)
                        .map_or(ringwall_api::cluster::HealthStatus::Red, |h| h.status),
                    primaries: index.settings.number_of_shards(),
                    replicas: index.settings.number_of_replicas(),
                    docs: sum(true, |stats| stats.docs),
                    deleted_docs: sum(true, |stats| stats.deleted_docs),
                    store_bytes: sum(false, |stats| stats.store_bytes),
                    primary_store_bytes: sum(true, |stats| stats.store_bytes),
                }
            })
            .collect();
        Ok(ShardTableResponse { rows, indices })
    }
}

fn shard_row(
    state: &ClusterState,
    shard: &ShardId,
    copy: &ShardCopy,
    numbers: Option<&CopyNumbers>,
) -> ShardRow {
    let node = copy.node.and_then(|id| state.nodes.get(&id));
    let ip = |address: &str| {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    ShardRow {
        index: shard.index.name.clone(),
        shard: shard.shard,
        primary: copy.primary,
        state: match copy.state {
            CopyState::Unassigned => "UNASSIGNED",
            CopyState::Initializing => "INITIALIZING",
            CopyState::Started => "STARTED",
        }
        .to_owned(),
        node_id: copy.node.map(|node| node.to_string()),
        node_name: node.map(|node| node.name.clone()),
        node_ip: node.map(|node| ip(&node.transport_address)),
        docs: numbers.map(|numbers| numbers.docs),
        store_bytes: numbers.map(|numbers| numbers.store_bytes),
        unassigned_reason: copy
            .unassigned
            .as_ref()
            .map(|info| info.reason.as_str().to_owned()),
    }
}
