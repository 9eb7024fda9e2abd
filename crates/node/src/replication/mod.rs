//! Keeping the copies of a shard the same. See `docs/decisions/0003`.

pub mod group;
pub mod messages;
pub mod primary;
pub mod replica;

use std::collections::BTreeSet;
use std::sync::Arc;

use ringwall_api::{ApiError, ApiResult};
use ringwall_base::NodeId;
use ringwall_transport::{DuplicateAction, InboundContext, TypedHandler};

use self::messages::{
    CheckpointRequest, REFRESH_COPY, REPLICATE, RESYNC, RefreshCopyRequest, ReplicaRequest,
    ResyncRequest, SHARD_BULK, SYNC_CHECKPOINT, ShardBulkRequest, ShardBulkResponse,
};
use crate::services::Services;

/// Registers the actions with the transport.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    let transport = &services.transport;
    let shared = services.clone();
    transport.register(
        SHARD_BULK,
        TypedHandler::new(move |context: InboundContext, request: ShardBulkRequest| {
            let services = shared.clone();
            async move {
                recheck(&services, &context, &request)?;
                if let Some(node) = next_hop(&services, &request) {
                    return pass_on(&services, &context, node, request).await;
                }
                // A request that this node split up itself is counted already.
                let here_already = context.peer.id == services.local_node();
                let bytes = request.items.iter().map(|item| item.item.bytes()).sum();
                let pressure = services.indexing_pressure.primary(bytes, here_already)?;
                // Finishes even if the caller goes away: what is applied must reach every copy.
                let work = async move {
                    let _pressure = pressure;
                    primary::shard_bulk(&services, request).await
                };
                tokio::spawn(work).await.map_err(unfinished)?
            }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        REPLICATE,
        TypedHandler::new(move |_, request: ReplicaRequest| {
            let services = shared.clone();
            async move {
                let bytes = request.operations.len() as u64;
                let _pressure = services.indexing_pressure.replica(bytes)?;
                replica::replicate(&services, request).await
            }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        RESYNC,
        TypedHandler::new(move |_, request: ResyncRequest| {
            let services = shared.clone();
            async move { replica::resync(&services, request).await }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        REFRESH_COPY,
        TypedHandler::new(move |_, request: RefreshCopyRequest| {
            let services = shared.clone();
            async move { replica::refresh(&services, request).await }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        SYNC_CHECKPOINT,
        TypedHandler::new(move |_, request: CheckpointRequest| {
            let services = shared.clone();
            async move { replica::sync_checkpoint(&services, request).await }
        }),
    )
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
    context: &InboundContext,
    node: NodeId,
    mut request: ShardBulkRequest,
) -> ApiResult<ShardBulkResponse> {
    let user = context.authentication.as_ref().ok_or_else(no_user)?;
    request.relay = false;
    services
        .call_as(user, node, SHARD_BULK, &request, context.remaining())
        .await
}

fn no_user() -> ApiError {
    ApiError::internal("a write came without the identity of its user")
}

/// The coordinating node has authorized every item; this node does not take its word for it.
fn recheck(
    services: &Services,
    context: &InboundContext,
    request: &ShardBulkRequest,
) -> ApiResult<()> {
    let authentication = context.authentication.as_ref().ok_or_else(no_user)?;
    let index = &request.shard.index.name;
    let names = request
        .items
        .iter()
        .map(|item| item.alias.as_ref().unwrap_or(index));
    let names: Vec<String> = names
        .collect::<BTreeSet<_>>()
        .into_iter()
        .cloned()
        .collect();
    services
        .authorizer
        .recheck_names(authentication, BULK_ACTION, &names)
}

/// What a user needs for any write to an index by `_bulk`. Source: security.md section 3.3.
const BULK_ACTION: &str = "indices:data/write/bulk[s]";

fn unfinished(error: tokio::task::JoinError) -> ApiError {
    tracing::error!(%error, "shard bulk ended without an answer");
    ApiError::internal("the write ended without an answer")
}
