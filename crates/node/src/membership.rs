//! Who is a member of the cluster, as far as this node knows.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ringwall_coordination::{Coordination, MEMBER_RPCS};
use ringwall_transport::{Gate, NodeIdentity};

use crate::cluster_service::AppliedState;

/// Answers the transport by the applied state and by consensus.
pub struct Members {
    pub applied: Arc<AppliedState>,
    pub coordination: Arc<Coordination>,
}

impl Gate for Members {
    fn is_member(&self, peer: &NodeIdentity, action: &str) -> bool {
        let state = self.applied.load();
        if state.nodes.contains_key(&peer.id) || self.coordination.knows(peer.id) {
            return true;
        }
        // A node without a cluster knows nobody, and holds nothing: it becomes part of the first one it is asked into.
        state.cluster_uuid.is_none() && MEMBER_RPCS.contains(&action)
    }

    fn becomes_member<'a>(&'a self, peer: &'a NodeIdentity, action: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut changes = self.applied.subscribe();
            while !self.is_member(peer, action) {
                // The other sources have no signal of their own.
                let changed = tokio::time::timeout(LOOK_AGAIN, changes.changed());
                if let Ok(Err(_)) = changed.await {
                    std::future::pending::<()>().await;
                }
            }
        })
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(100);
