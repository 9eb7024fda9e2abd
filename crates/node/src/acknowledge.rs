//! A change that a user asked for is acknowledged when every node has applied it: whoever asks any node
//! next sees it, as with Elasticsearch's `acknowledged`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::ApiResult;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};

use crate::node_actions::for_members;
use crate::services::Services;

/// Registers what the other nodes call.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_members(
        services,
        WAIT_APPLIED,
        async |services, _, request: WaitApplied| Ok(has_applied(&services, &request).await),
    )
}

/// Waits until every node of the cluster has applied what this node has. Returns whether all did in time;
/// a node that leaves the cluster meanwhile is not waited for.
pub async fn by_all(services: &Services, timeout: Duration) -> bool {
    let state = services.cluster.state();
    let request = WaitApplied {
        version: state.version,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let local = services.local_node();
    let others = state.nodes.keys().copied().filter(|node| *node != local);
    let request = &request;
    let asked = others.map(|node| async move {
        let answer: ApiResult<bool> = services
            .call(node, WAIT_APPLIED, request.clone(), timeout)
            .await;
        match answer {
            Ok(applied) => applied,
            Err(error) => {
                tracing::debug!(%error, node.id = %node, "a node did not acknowledge a change");
                !services.cluster.state().nodes.contains_key(&node)
            }
        }
    });
    join_all(asked).await.into_iter().all(|applied| applied)
}

async fn has_applied(services: &Services, request: &WaitApplied) -> bool {
    let timeout = Duration::from_millis(request.timeout_ms);
    let applied = services.cluster.applied();
    applied
        .wait_for(timeout, |state| {
            (state.version >= request.version).then_some(())
        })
        .await
        .is_some()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WaitApplied {
    /// Version of the cluster state.
    version: u64,
    timeout_ms: u64,
}

const WAIT_APPLIED: NodeAction<WaitApplied, bool> =
    NodeAction::new("internal:cluster/wait_applied");
