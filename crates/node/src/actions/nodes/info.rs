//! What nodes are.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::nodes::{
    NodeInfo, NodesInfoRequest, NodesInfoResponse, OwnInfo, ProfileAddresses,
};
use ringwall_api::{ActionRequest, ApiResult, Authentication, RequestContext};
use ringwall_base::NodeId;
use ringwall_base::glob::{self, Syntax};
use ringwall_cluster::{ClusterState, NodeRecord};
use ringwall_security::Resolved;
use ringwall_settings::RawValue;
use ringwall_settings::registry::network::HTTP_MAX_CONTENT_LENGTH;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde_json::Value;

use crate::actions::Handler;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To every node: what do only you know of yourself?
const NODE_INFO: NodeAction<(), OwnInfo> = NodeAction::new("cluster:monitor/nodes/info[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        NODE_INFO,
        |(): &()| vec![Needs::Cluster(NodesInfoRequest::NAME)],
        async |services, _, ()| Ok(own_info(&services)),
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

pub(crate) fn describe(
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
pub(crate) fn selected<'a>(
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

/// Shorter: clients ask for it again and again to find nodes.
const INFO_TIMEOUT: Duration = Duration::from_secs(3);
