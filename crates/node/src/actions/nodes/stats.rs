//! How nodes fare.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::indices::{CopyNumbers, ShardStats};
use ringwall_api::nodes::{
    BreakerStats, HttpCounts, NodeStats, NodesStatsRequest, NodesStatsResponse, TransportCounts,
};
use ringwall_api::{ActionRequest, ApiResult, Authentication, RequestContext};
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::actions::Handler;
use crate::actions::indices::broadcast::numbers_of;
use crate::actions::nodes::info::selected;
use crate::node_actions::{Needs, for_users};
use crate::process;
use crate::services::Services;

/// To every node: what do you use?
const NODE_STATS: NodeAction<NodesStatsRequest, NodeStats> =
    NodeAction::new("cluster:monitor/nodes/stats[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        NODE_STATS,
        |_: &NodesStatsRequest| vec![Needs::Cluster(NodesStatsRequest::NAME)],
        async |services, _, request| local_stats(&services, request.by_copy).await,
    )
}

impl Handler<NodesStatsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<NodesStatsRequest>,
    ) -> ApiResult<NodesStatsResponse> {
        let limit = context.time_left(TIMEOUT);
        all_stats(&services, &context.authentication, &request, limit).await
    }
}

/// Asks the nodes that the request names, for a user.
pub(crate) async fn all_stats(
    services: &Arc<Services>,
    user: &Authentication,
    request: &NodesStatsRequest,
    limit: Duration,
) -> ApiResult<NodesStatsResponse> {
    let state = services.cluster.state();
    let asked = selected(services, &state, &request.nodes).map(|node| {
        let services = services.clone();
        async move {
            let asked = request.clone();
            let answer: ApiResult<NodeStats> = services
                .call_as(user, node.id, NODE_STATS, asked, limit)
                .await;
            match answer {
                Ok(stats) => Some((node.id.to_string(), stats)),
                // Left out, as clients expect of a node that does not answer.
                Err(error) => {
                    tracing::warn!(node = %node.name, %error, "node gave no statistics");
                    None
                }
            }
        }
    });
    let nodes: BTreeMap<String, NodeStats> = join_all(asked).await.into_iter().flatten().collect();
    Ok(NodesStatsResponse {
        cluster_name: services.cluster_name.clone(),
        nodes,
    })
}

pub(crate) async fn local_stats(services: &Arc<Services>, by_copy: bool) -> ApiResult<NodeStats> {
    let root = services.shards.root().to_owned();
    let shards = services.shards.all();
    let open: Vec<u64> = shards
        .iter()
        .map(|shard| services.readers.open_on(&shard.id) + services.searches.open_on(&shard.id))
        .collect();
    let node = services.local_node();
    let (copies, usage) = services
        .pools
        .disk
        .run(move || {
            let copies = shards.iter().zip(open).filter_map(|(shard, open)| {
                let stats = shard.engine.stats().ok()?;
                Some(ShardStats {
                    index: shard.id.index.name.clone(),
                    shard: shard.id.shard,
                    primary: shard.is_primary(),
                    node: node.to_string(),
                    numbers: CopyNumbers {
                        search: shard.search_counts.read(open),
                        ..numbers_of(&stats)
                    },
                })
            });
            (copies.collect::<Vec<_>>(), process::usage(&root))
        })
        .await?;
    let mut numbers: CopyNumbers = copies.iter().map(|copy| copy.numbers).sum();
    numbers.search.open = services.readers.count() + services.searches.count();
    let local = services.transport.local();
    Ok(NodeStats {
        name: local.name.clone(),
        transport_address: local.publish_address.clone(),
        roles: local.roles.clone(),
        resident_bytes: usage.resident_bytes,
        total_memory_bytes: usage.total_memory_bytes,
        cpu_percent: usage.cpu_percent,
        load_average: usage.load_average,
        uptime_ms: services.started_at.elapsed().as_millis() as u64,
        open_file_descriptors: usage.open_file_descriptors,
        disk_total_bytes: usage.disk_total_bytes,
        disk_free_bytes: usage.disk_free_bytes,
        disk_watermarks: services.disk.watermarks(),
        unhealthy: services.coordination.status().borrow().unhealthy.clone(),
        numbers,
        copies: if by_copy { copies } else { Vec::new() },
        http: HttpCounts {
            open: services.clients.counts.open(),
            opened: services.clients.counts.opened(),
            shed: services.clients.counts.shed(),
        },
        breakers: breakers(services),
        indexing_pressure: services.indexing_pressure.stats(),
        audit: services.audit.as_ref().map(|audit| audit.stats()),
        thread_pools: services.pools.stats(),
        transport: {
            let counts = services.transport.counts();
            TransportCounts {
                accepted: counts.accepted as u64,
                handshaking: counts.handshaking as u64,
                dialled: counts.dialled_total,
                received: counts.received,
                received_bytes: counts.received_bytes,
                sent: counts.sent,
                sent_bytes: counts.sent_bytes,
            }
        },
    })
}

fn breakers(services: &Services) -> Vec<BreakerStats> {
    let stats = services.breakers.stats().into_iter();
    stats
        .map(|breaker| BreakerStats {
            name: breaker.name.to_owned(),
            limit: breaker.limit,
            estimated: breaker.estimated,
            overhead: breaker.overhead,
            tripped: breaker.tripped,
        })
        .collect()
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
