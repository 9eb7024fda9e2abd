//! What nodes have of shards on their disks. Source: Elasticsearch reference, "Index shard stores API".

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::cluster::HealthStatus;
use ringwall_api::indices::{
    ShardStore, ShardStores, ShardStoresRequest, ShardStoresResponse, StoreNode, StoreUse,
};
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_base::{AllocationId, ShardId};
use ringwall_cluster::{NodeRecord, ShardRouting};
use ringwall_index::engine::ShardIdentity;
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To every node with data: which copies of these have you on your disk? One answer each, in order.
const STORES: NodeAction<Vec<ShardId>, Vec<Option<AllocationId>>> =
    NodeAction::new("indices:monitor/shard_stores[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        STORES,
        |shards| needs(shards),
        async |services, _, shards| {
            let paths: Vec<_> = shards
                .iter()
                .map(|shard| services.shards.path(shard))
                .collect();
            let read = move || paths.iter().map(|path| on_disk(path)).collect::<Vec<_>>();
            services.pools.disk.run(read).await
        },
    )
}

fn needs(shards: &[ShardId]) -> Vec<Needs> {
    let indices: BTreeSet<String> = shards
        .iter()
        .map(|shard| shard.index.name.clone())
        .collect();
    let indices = indices.into_iter().collect();
    vec![Needs::Indices(ShardStoresRequest::NAME, indices)]
}

/// A copy that cannot be read is none.
fn on_disk(path: &std::path::Path) -> Option<AllocationId> {
    let identity = ShardIdentity::read(path).ok().flatten()?;
    Some(identity.allocation_id)
}

impl Handler<ShardStoresRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ShardStoresRequest>,
    ) -> ApiResult<ShardStoresResponse> {
        let state = services.cluster.state();
        let mut shards = Vec::new();
        for index in concrete(&state, request.indices())? {
            let routing = state.routing.get(&index.id.name);
            let routing = routing.into_iter().flat_map(|routing| &routing.shards);
            for (number, shard) in (0_u32..).zip(routing) {
                if request.statuses.contains(&status_of(shard)) {
                    let id = ShardId {
                        index: index.id.clone(),
                        shard: number,
                    };
                    shards.push((id, shard));
                }
            }
        }
        let ids: Vec<ShardId> = shards.iter().map(|(id, _)| id.clone()).collect();
        let limit = context.time_left(TIMEOUT);
        let (services, user, ids) = (&services, &context.authentication, &ids);
        let nodes = state.nodes.values().filter(|node| node.is_data());
        let asked = nodes.map(|node| async move {
            let answer: ApiResult<Vec<Option<AllocationId>>> = services
                .call_as(user, node.id, STORES, ids.clone(), limit)
                .await;
            (node, answer)
        });
        let mut response = ShardStoresResponse {
            shards: shards.iter().map(|(id, _)| empty(id)).collect(),
            failures: Vec::new(),
        };
        for (node, answer) in join_all(asked).await {
            let held = match answer {
                Ok(held) => held,
                Err(error) => {
                    response.failures.push((node.id.to_string(), error));
                    continue;
                }
            };
            let told = response.shards.iter_mut().zip(&shards).zip(held);
            for ((told, (_, shard)), held) in told {
                told.stores.extend(held.map(|id| store(node, shard, id)));
            }
        }
        for shard in &mut response.shards {
            shard.stores.sort_by_key(|store| store.use_of);
        }
        Ok(response)
    }
}

fn empty(id: &ShardId) -> ShardStores {
    ShardStores {
        index: id.index.name.clone(),
        shard: id.shard,
        stores: Vec::new(),
    }
}

fn status_of(shard: &ShardRouting) -> HealthStatus {
    let active = shard.active().count();
    match shard.active_primary() {
        None => HealthStatus::Red,
        Some(_) if active == shard.copies.len() => HealthStatus::Green,
        Some(_) => HealthStatus::Yellow,
    }
}

fn store(node: &NodeRecord, shard: &ShardRouting, allocation_id: AllocationId) -> ShardStore {
    let mut copies = shard.copies.iter();
    let copy = copies.find(|copy| copy.allocation_id.as_ref() == Some(&allocation_id));
    ShardStore {
        node: StoreNode {
            id: node.id.to_string(),
            name: node.name.clone(),
            ephemeral_id: node.ephemeral_id.clone(),
            transport_address: node.transport_address.clone(),
            attributes: node.attributes.clone(),
            roles: node.roles.clone(),
            version: node.version.clone(),
        },
        use_of: match copy {
            Some(copy) if copy.primary => StoreUse::Primary,
            Some(_) => StoreUse::Replica,
            None => StoreUse::Unused,
        },
        allocation_id: allocation_id.0,
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);
