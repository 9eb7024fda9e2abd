//! Which nodes the cluster knows by their keys, and which are let in.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::cluster::{
    ApproveNodeRequest, ForgetNodeRequest, MemberInfo, MembershipChanged, MembershipRequest,
    MembershipResponse, WaitingNode,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::{NodeId, NodeKey};
use ringwall_cluster::{Change, ClusterState};
use ringwall_security::Resolved;
use ringwall_settings::registry::cluster::MEMBERSHIP_APPROVAL;
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::acknowledge;
use crate::actions::Handler;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To the master: who waits to be let in?
const WAITING: NodeAction<(), Vec<WaitingNode>> =
    NodeAction::new("cluster:monitor/nodes/membership[m]");
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Registers the master's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        WAITING,
        |(): &()| vec![Needs::Cluster(MembershipRequest::NAME)],
        async |services, _, ()| Ok(services.cluster.applied().waiting()),
    )
}

impl Handler<MembershipRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        _request: Resolved<MembershipRequest>,
    ) -> ApiResult<MembershipResponse> {
        let master = services.cluster.master();
        let master = master.ok_or_else(|| services.cluster.no_master())?;
        let user = &context.authentication;
        let timeout = context.time_left(TIMEOUT);
        let waiting: Vec<WaitingNode> =
            services.call_as(user, master, WAITING, (), timeout).await?;
        let state = services.cluster.state();
        Ok(MembershipResponse {
            approval: services.settings.get(&MEMBERSHIP_APPROVAL),
            nodes: members(&state),
            waiting,
        })
    }
}

fn members(state: &ClusterState) -> Vec<MemberInfo> {
    let known = state.known_nodes.iter().map(|(id, node)| MemberInfo {
        id: id.to_string(),
        name: node.name.clone(),
        key: Some(node.key.to_string()),
        since_ms: Some(node.since_ms),
        away_since_ms: node.away_since_ms,
    });
    let without = state.nodes.values();
    let without = without
        .filter(|node| !state.known_nodes.contains_key(&node.id))
        .map(|node| MemberInfo {
            id: node.id.to_string(),
            name: node.name.clone(),
            key: None,
            since_ms: None,
            away_since_ms: None,
        });
    known.chain(without).collect()
}

impl Handler<ApproveNodeRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<ApproveNodeRequest>,
    ) -> ApiResult<MembershipChanged> {
        let node = node_id(&request.id)?;
        let key: NodeKey = request
            .key
            .parse()
            .map_err(|error| ApiError::illegal_argument(format!("[key]: {error}")))?;
        every_node_has_a_key(&services.cluster.state())?;
        let change = Change::ApproveNode {
            node,
            // It tells its name when it joins.
            name: String::new(),
            key,
        };
        submit(&services, change, request.timeout_ms).await
    }
}

impl Handler<ForgetNodeRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<ForgetNodeRequest>,
    ) -> ApiResult<MembershipChanged> {
        let node = node_id(&request.id)?;
        every_node_has_a_key(&services.cluster.state())?;
        if services.coordination.is_in_consensus(node) {
            let reason = format!(
                "node [{node}] is in the cluster or still in its voting configuration; stop it, and see that \
                 [cluster.auto_shrink_voting_configuration] lets another node take its place"
            );
            return Err(ApiError::illegal_argument(reason));
        }
        submit(&services, Change::ForgetNode { node }, request.timeout_ms).await
    }
}

async fn submit(
    services: &Arc<Services>,
    change: Change,
    timeout_ms: u64,
) -> ApiResult<MembershipChanged> {
    let timeout = Duration::from_millis(timeout_ms);
    services.cluster.submit(change, timeout).await?;
    Ok(MembershipChanged {
        acknowledged: acknowledge::by_all(services, timeout).await,
    })
}

/// A node of a version without keys does not understand the change, and would have another state than the others.
fn every_node_has_a_key(state: &ClusterState) -> ApiResult<()> {
    let mut nodes = state.nodes.values();
    match nodes.find(|node| !state.known_nodes.contains_key(&node.id)) {
        None => Ok(()),
        Some(node) => Err(ApiError::new(
            ErrorCode::IllegalState,
            format!(
                "node [{}] has no key yet: every node of the cluster has to run a version with keys first",
                node.name
            ),
        )),
    }
}

fn node_id(text: &str) -> ApiResult<NodeId> {
    text.parse()
        .map_err(|error: ringwall_base::ids::InvalidNodeId| {
            ApiError::illegal_argument(error.to_string())
        })
}
