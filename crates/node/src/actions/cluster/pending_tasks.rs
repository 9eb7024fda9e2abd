//! Changes of the cluster state that wait on the master.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::cluster::{PendingTask, PendingTasksRequest, PendingTasksResponse};
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};

use crate::actions::Handler;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;

/// To every node: which changes of the cluster state have you asked for that are not made yet?
const PENDING: NodeAction<(), Vec<PendingTask>> = NodeAction::new("cluster:monitor/task[n]");

/// Registers each node's side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        PENDING,
        |(): &()| vec![Needs::Cluster(PendingTasksRequest::NAME)],
        async |services, _, ()| Ok(services.cluster.pending()),
    )
}

/// A change waits where it was asked for, whichever node is the master meanwhile.
impl Handler<PendingTasksRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        _request: Resolved<PendingTasksRequest>,
    ) -> ApiResult<PendingTasksResponse> {
        let limit = context.time_left(PENDING_TIMEOUT);
        let state = services.cluster.state();
        let (services, user) = (&services, &context.authentication);
        let asked = state.nodes.values().map(|node| async move {
            let answer: ApiResult<Vec<PendingTask>> =
                services.call_as(user, node.id, PENDING, (), limit).await;
            answer.unwrap_or_else(|error| {
                tracing::warn!(node = %node.name, %error, "node told of no pending changes");
                Vec::new()
            })
        });
        let mut tasks: Vec<PendingTask> = join_all(asked).await.into_iter().flatten().collect();
        tasks.sort_by_key(|task| Reverse(task.in_queue_ms));
        Ok(PendingTasksResponse { tasks })
    }
}

const PENDING_TIMEOUT: Duration = Duration::from_secs(15);
