//! Keeping the copies of a shard the same. See `docs/decisions/0003`.

pub mod group;
pub mod messages;
pub mod primary;
pub mod replica;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_api::document::item_action;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::NodeId;
use ringwall_transport::DuplicateAction;

use self::messages::{
    CheckpointRequest, REFRESH_COPY, REPLICATE, RESYNC, RefreshCopyRequest, ReplicaRequest,
    ResyncRequest, SHARD_BULK, SYNC_CHECKPOINT, ShardBulkRequest, ShardBulkResponse,
};
use crate::node_actions::{ForUser, Needs, for_members, for_users};
use crate::services::Services;
use crate::shards::writes::ShardItem;

/// Registers the actions with the transport.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(services, SHARD_BULK, needs, shard_bulk)?;
    for_members(
        services,
        REPLICATE,
        async |services, _, request: ReplicaRequest| {
            let bytes = request.operations.len() as u64;
            let _pressure = services.indexing_pressure.replica(bytes)?;
            replica::replicate(&services, request).await
        },
    )?;
    for_members(
        services,
        RESYNC,
        async |services, _, request: ResyncRequest| replica::resync(&services, request).await,
    )?;
    for_members(
        services,
        REFRESH_COPY,
        async |services, _, request: RefreshCopyRequest| replica::refresh(&services, request).await,
    )?;
    for_members(
        services,
        SYNC_CHECKPOINT,
        async |services, _, request: CheckpointRequest| {
            replica::sync_checkpoint(&services, request).await
        },
    )
}

async fn shard_bulk(
    services: Arc<Services>,
    caller: ForUser,
    request: ShardBulkRequest,
) -> ApiResult<ShardBulkResponse> {
    if let Some(node) = next_hop(&services, &request) {
        return pass_on(&services, &caller, node, request).await;
    }
    // A request that this node split up itself is counted already.
    let here_already = caller.node.peer.id == services.local_node();
    let bytes = request.items.iter().map(|item| item.item.bytes()).sum();
    let pressure = services.indexing_pressure.primary(bytes, here_already)?;
    // Finishes even if the caller goes away: what is applied must reach every copy.
    let work = async move {
        let _pressure = pressure;
        primary::shard_bulk(&services, request, &caller.user).await
    };
    tokio::spawn(work).await.map_err(unfinished)?
}

/// Returns the node to pass a write on to, if the asker could not reach it and this node does not have the primary.
fn next_hop(services: &Services, request: &ShardBulkRequest) -> Option<NodeId> {
    if !request.relay {
        return None;
    }
    let state = services.cluster.state();
    let (node, _) = state.shard(&request.shard)?.active_primary()?;
    (node != services.local_node()).then_some(node)
}

async fn pass_on(
    services: &Services,
    caller: &ForUser,
    node: NodeId,
    mut request: ShardBulkRequest,
) -> ApiResult<ShardBulkResponse> {
    request.relay = false;
    let time_left = caller.node.remaining();
    services
        .call_as(&caller.user, node, SHARD_BULK, request, time_left)
        .await
}

/// Each item is checked again where it is written, as what it is: an index, a create, an update or a delete.
fn needs(request: &ShardBulkRequest) -> Vec<Needs> {
    let index = &request.shard.index.name;
    let name = |item: &ShardItem| item.alias.as_ref().unwrap_or(index).clone();
    let mut by_action: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for item in request.items.iter() {
        for action in [BULK_ACTION, item_action(item.item.op)] {
            by_action.entry(action).or_default().insert(name(item));
        }
    }
    // One without items is a write all the same.
    by_action.entry(BULK_ACTION).or_default();
    by_action
        .into_iter()
        .map(|(action, names)| Needs::Names(action, names.into_iter().collect()))
        .collect()
}

/// What a user needs for any write to an index by `_bulk`. Source: Elasticsearch reference, "Security privileges".
const BULK_ACTION: &str = "indices:data/write/bulk[s]";

fn unfinished(error: tokio::task::JoinError) -> ApiError {
    tracing::error!(%error, "shard bulk ended without an answer");
    ApiError::internal("the write ended without an answer")
}
