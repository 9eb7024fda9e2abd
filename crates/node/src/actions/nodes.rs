//! The nodes: what they are and what they use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::cluster::{
    BreakerStats, HttpCounts, NodeInfo, NodeStats, NodesInfoRequest, NodesInfoResponse,
    NodesStatsRequest, NodesStatsResponse, OwnInfo, ProfileAddresses, TransportCounts,
};
use ringwall_api::search::SearchCounts;
use ringwall_api::{ActionRequest, ApiResult, Authentication, RequestContext};
use ringwall_base::NodeId;
use ringwall_base::glob::{self, Syntax};
use ringwall_cluster::{ClusterState, NodeRecord};
use ringwall_settings::RawValue;
use ringwall_settings::registry::network::HTTP_MAX_CONTENT_LENGTH;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde_json::Value;

use super::Handler;
use crate::node_actions::{Needs, for_users};
use crate::process;
use crate::services::Services;
use ringwall_security::Resolved;

/// To every node: what do you use?
const NODE_STATS: NodeAction<(), NodeStats> = NodeAction::new("cluster:monitor/nodes/stats[n]");
/// To every node: what do only you know of yourself?
const NODE_INFO: NodeAction<(), OwnInfo> = NodeAction::new("cluster:monitor/nodes/info[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        NODE_INFO,
        |(): &()| vec![Needs::Cluster(NodesInfoRequest::NAME)],
        async |services, _, ()| Ok(own_info(&services)),
    )?;
    for_users(
        services,
        NODE_STATS,
        |(): &()| vec![Needs::Cluster(NodesStatsRequest::NAME)],
        async |services, _, ()| local_stats(&services).await,
    )
}

impl Handler<NodesInfoRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<NodesInfoRequest>,
    ) -> ApiResult<NodesInfoResponse> {
        let state = services.cluster.state();
        let master = services.cluster.master();
        let (services, user, asks) = (&services, &context.authentication, request.asks);
        let limit = context.time_left(INFO_TIMEOUT);
        let nodes = selected(services, &state, &request.nodes).map(|node| async move {
            let own = match asks {
                true => ask_info(services, user, node, limit).await,
                false => None,
            };
            (node.id.to_string(), describe(node, master, own))
        });
        Ok(NodesInfoResponse {
            cluster_name: services.cluster_name.clone(),
            nodes: join_all(nodes).await.into_iter().collect(),
        })
    }
}

async fn ask_info(
    services: &Services,
    user: &Authentication,
    node: &NodeRecord,
    limit: Duration,
) -> Option<OwnInfo> {
    let answer: ApiResult<OwnInfo> = services.call_as(user, node.id, NODE_INFO, (), limit).await;
    // What the cluster state knows of it is told all the same.
    answer
        .inspect_err(
            |error| tracing::warn!(node = %node.name, %error, "node told nothing of itself"),
        )
        .ok()
}

fn own_info(services: &Services) -> OwnInfo {
    let profiles = services.transport.profiles().iter();
    let settings = services.settings.node();
    OwnInfo {
        profiles: profiles
            .map(|profile| {
                let addresses = ProfileAddresses {
                    bound: profile.addresses.iter().map(ToString::to_string).collect(),
                    published: profile.publish_address.clone(),
                };
                (profile.name.clone(), addresses)
            })
            .collect(),
        http_bound: services
            .clients
            .bound
            .iter()
            .map(ToString::to_string)
            .collect(),
        max_content_length: settings.get(&HTTP_MAX_CONTENT_LENGTH).bytes(),
        settings: settings
            .visible()
            // Which files a node's TLS is made of is nobody else's matter, as in Elasticsearch.
            .filter(|(key, _)| !key.contains(".ssl.") || key.ends_with(".ssl.enabled"))
            .map(|(key, value)| (key.to_owned(), shown(value)))
            .collect(),
    }
}

fn shown(value: &RawValue) -> Value {
    match value {
        RawValue::Text(text) => text.as_str().into(),
        RawValue::List(items) => items.as_slice().into(),
    }
}

pub(super) fn describe(
    node: &NodeRecord,
    master: Option<NodeId>,
    own: Option<OwnInfo>,
) -> NodeInfo {
    NodeInfo {
        name: node.name.clone(),
        transport_address: node.transport_address.clone(),
        http_address: node.http_address.clone(),
        version: node.version.clone(),
        roles: node.roles.clone(),
        attributes: node.attributes.clone(),
        is_master: master == Some(node.id),
        own,
    }
}

/// Returns the nodes that the filters name; without filters, all.
pub(super) fn selected<'a>(
    services: &Services,
    state: &'a ClusterState,
    filters: &'a [String],
) -> impl Iterator<Item = &'a NodeRecord> {
    let local = services.local_node();
    let master = services.cluster.master();
    state.nodes.values().filter(move |node| {
        filters.is_empty()
            || filters.iter().any(|filter| match filter.as_str() {
                "_all" | "*" => true,
                "_local" => node.id == local,
                "_master" => Some(node.id) == master,
                filter => {
                    filter == node.id.to_string()
                        || glob::matches(filter, &node.name, Syntax::Star)
                        || node.transport_address.split(':').next() == Some(filter)
                }
            })
    })
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
pub(super) async fn all_stats(
    services: &Arc<Services>,
    user: &Authentication,
    request: &NodesStatsRequest,
    limit: Duration,
) -> ApiResult<NodesStatsResponse> {
    let state = services.cluster.state();
    let asked = selected(services, &state, &request.nodes).map(|node| {
        let services = services.clone();
        async move {
            let answer: ApiResult<NodeStats> =
                services.call_as(user, node.id, NODE_STATS, (), limit).await;
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

pub(super) async fn local_stats(services: &Arc<Services>) -> ApiResult<NodeStats> {
    let shards = services.shards.all();
    let counts = shards.iter().map(|shard| shard.search_counts.read(0));
    let search = SearchCounts {
        open: services.readers.count() + services.searches.count(),
        ..counts.fold(SearchCounts::default(), |all, one| all + one)
    };
    let root = services.shards.root().to_owned();
    let (docs, store_bytes, usage) = services
        .pools
        .disk
        .run(move || {
            let stats = shards.iter().filter_map(|shard| shard.engine.stats().ok());
            let (docs, bytes) = stats.fold((0, 0), |(docs, bytes), stats| {
                (docs + stats.docs, bytes + stats.store_bytes)
            });
            (docs, bytes, process::usage(&root))
        })
        .await?;
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
        docs,
        store_bytes,
        search,
        http: HttpCounts {
            open: services.clients.counts.open(),
            opened: services.clients.counts.opened(),
            shed: services.clients.counts.shed(),
        },
        breakers: breakers(services),
        indexing_pressure: services.indexing_pressure.stats(),
        thread_pools: services.pools.stats(),
        transport: {
            let counts = services.transport.counts();
            TransportCounts {
                accepted: counts.accepted as u64,
                handshaking: counts.handshaking as u64,
                dialled: counts.dialled_total,
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

pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// Shorter: clients ask for it again and again to find nodes.
const INFO_TIMEOUT: Duration = Duration::from_secs(3);
