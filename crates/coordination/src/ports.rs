//! What the crate needs from outside: a network, a state machine and addresses to start from.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use ringwall_base::{NodeId, NodeKey};

use crate::error::NetworkError;
use crate::peer::PeerInfo;

/// Sends messages to other nodes. The implementation authenticates both ends.
pub trait PeerNetwork: Send + Sync + 'static {
    /// Connects to an address and returns who is there, or a text saying why nobody answered.
    fn probe(&self, address: String, timeout: Duration) -> BoxFuture<'_, Result<PeerInfo, String>>;

    /// Sends a request and returns the answer.
    ///
    /// The implementation connects to `to.transport_address` when it has no connection to
    /// `to.id`, and must fail with [`NetworkError::Unreachable`] when another node answers there.
    fn send(
        &self,
        to: &PeerInfo,
        rpc: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, NetworkError>>;

    /// Returns the key that a node, as this process, has proved to hold on a connection to it.
    fn proven_key(&self, _peer: &PeerInfo) -> Option<NodeKey> {
        None
    }
}

/// How a node that asks to join is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAdmitted {
    /// For the operator, with what to do.
    pub reason: String,
}

/// The replicated state. Calls to `apply` and `restore` never overlap and come from a thread that
/// may block.
pub trait StateMachine: Send + Sync + 'static {
    /// Says why a command cannot be applied by any node of this version. Asked by the master before the command enters
    /// the log, where it would be for good.
    fn check(&self, _command: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// Applies a committed command and returns its result. Must be deterministic: every node
    /// applies the same commands in the same order and must reach the same state. An error text
    /// stops the node: without the command, its state would no longer be that of the others.
    fn apply(&self, log_index: u64, command: &[u8]) -> Result<Vec<u8>, String>;

    /// Returns the whole state in a form that `restore` understands.
    fn snapshot(&self) -> Vec<u8>;

    /// Replaces the whole state. An error text stops the node.
    fn restore(&self, snapshot: &[u8]) -> Result<(), String>;

    /// Returns the command that adds a node to the state, or replaces its earlier life.
    fn join_command(&self, peer: &PeerInfo) -> Vec<u8>;

    /// As [`Self::join_command`], for a node that has another key than it is known by and nobody above it: the only voter.
    fn rekey_command(&self, peer: &PeerInfo) -> Vec<u8> {
        self.join_command(peer)
    }

    /// Returns the command that removes a node from the state.
    fn leave_command(&self, node: NodeId, reason: &str) -> Vec<u8>;

    /// Returns the nodes in the applied state.
    fn members(&self) -> Vec<PeerInfo>;

    /// Returns whether a node is in the applied state, as the one that holds this key.
    fn has_member(&self, node: NodeId, _key: Option<NodeKey>) -> bool {
        self.members().iter().any(|member| member.id == node)
    }

    /// Returns whether the state knows this node by another key.
    fn is_foreign(&self, _node: NodeId, _key: Option<NodeKey>) -> bool {
        false
    }

    /// Decides whether a node may join that proved to hold `peer.key`. `founder` tells that it is one of those that
    /// the cluster was founded with.
    fn judge_join(&self, _peer: &PeerInfo, _founder: bool) -> Result<(), NotAdmitted> {
        Ok(())
    }

    /// Returns the command that gives a new cluster its UUID.
    fn bootstrap_command(&self, cluster_uuid: &str) -> Vec<u8>;

    /// Returns the UUID in the applied state, if it has one.
    fn cluster_uuid(&self) -> Option<String>;
}

/// What a round of naming seeds finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seed {
    /// An address to dial: `host:port`, or `name/address:port` where TLS verifies the name.
    Address(String),
    /// A seed that has no address now, and why.
    Unresolved { seed: String, reason: String },
}

/// Names addresses at which other nodes may be found; asked again in every discovery round, so that
/// DNS changes and an edited `unicast_hosts.txt` take effect.
pub trait SeedHosts: Send + Sync + 'static {
    /// Names each seed as soon as it is known, so that a slow one delays no other. The implementation
    /// sees to it that the round ends.
    fn round(self: Arc<Self>) -> BoxStream<'static, Seed>;
}

impl SeedHosts for Vec<String> {
    fn round(self: Arc<Self>) -> BoxStream<'static, Seed> {
        let seeds: Vec<Seed> = self.iter().cloned().map(Seed::Address).collect();
        futures::stream::iter(seeds).boxed()
    }
}
