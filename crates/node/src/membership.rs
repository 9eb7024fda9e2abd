//! Who is a member of the cluster, as far as this node knows.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ringwall_base::{NodeId, NodeKey};
use ringwall_coordination::{Coordination, MEMBER_RPCS};
use ringwall_transport::{Gate, NodeIdentity};

use crate::cluster_service::AppliedState;
use crate::peers::sender;

/// Answers the transport by the applied state and by consensus.
pub struct Members {
    pub applied: Arc<AppliedState>,
    pub coordination: Arc<Coordination>,
}

impl Gate for Members {
    fn key_of(&self, node: NodeId) -> Option<NodeKey> {
        let known = self
            .applied
            .load()
            .known_nodes
            .get(&node)
            .map(|node| node.key);
        known.or_else(|| self.coordination.key_of(node))
    }

    fn is_member(&self, peer: &NodeIdentity, action: &str) -> bool {
        let state = self.applied.load();
        if self.coordination.knows(sender(peer)) {
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
