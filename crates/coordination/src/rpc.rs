//! The messages between nodes, and the client half of sending them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::error::InstallSnapshotError;
use parking_lot::Mutex;
use ringwall_base::encoding::{decode, encode};
use ringwall_base::{NodeId, NodeKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::NetworkError;
use crate::peer::PeerInfo;
use crate::ports::PeerNetwork;
use crate::raft::{ProposalId, RaftId, Reply, SnapshotMeta, Vote};
use crate::store::Machine;

/// The requests that `Coordination::handle_rpc` answers to any node: by them nodes find each other and join.
pub const JOINING_RPCS: [&str; 3] = [REQUEST_PEERS, JOIN, VALIDATE_JOIN];

/// The requests that it answers to members of the cluster only, see [`Coordination::knows`](crate::Coordination::knows).
pub const MEMBER_RPCS: [&str; 7] = [
    PRE_VOTE,
    VOTE,
    APPEND_ENTRIES,
    INSTALL_SNAPSHOT,
    FOLLOWER_CHECK,
    PROPOSE,
    READ_INDEX,
];

pub(crate) const REQUEST_PEERS: &str = "internal:cluster/request_peers";
pub(crate) const JOIN: &str = "internal:cluster/join";
pub(crate) const VALIDATE_JOIN: &str = "internal:cluster/join/validate";
pub(crate) const PRE_VOTE: &str = "internal:cluster/pre_vote";
pub(crate) const VOTE: &str = "internal:cluster/raft/vote";
pub(crate) const APPEND_ENTRIES: &str = "internal:cluster/raft/append_entries";
/// Not `internal:cluster/`: its pieces are large, and heartbeats must not wait behind them.
pub(crate) const INSTALL_SNAPSHOT: &str = "internal:cluster_snapshot/install";
pub(crate) const FOLLOWER_CHECK: &str = "internal:cluster/fault_detection/follower_check";
pub(crate) const PROPOSE: &str = "internal:cluster/propose";
pub(crate) const READ_INDEX: &str = "internal:cluster/read_index";

/// Every request travels with the UUID of the sender's cluster, so that nodes of two clusters never
/// replicate to one another.
#[derive(Serialize, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) cluster_uuid: Option<String>,
    pub(crate) body: T,
}

/// "Who are you and whom do you know?"
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PeersRequest {
    pub(crate) from: PeerInfo,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeersResponse {
    /// Whether the node holds cluster state.
    pub(crate) initialized: bool,
    pub(crate) term: u64,
    /// The living master, as far as the node knows.
    pub(crate) master: Option<PeerInfo>,
    pub(crate) known: Vec<PeerInfo>,
    /// Of the cluster that it is a member of.
    #[serde(default)]
    pub(crate) cluster_uuid: Option<String>,
    /// Those of them that are members of the cluster, for an asker that has been away.
    #[serde(default)]
    pub(crate) members: Vec<PeerInfo>,
    /// Why the node has no master, if it has none.
    #[serde(default)]
    pub(crate) waits: Option<String>,
    /// Why the node does not reach the asker at the address that the asker publishes.
    #[serde(default)]
    pub(crate) cannot_reach: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) peer: PeerInfo,
}

/// The master asks a joining node whether it may join this cluster (named in the envelope).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ValidateJoinRequest {}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {}

/// The answer of a joining node that may join.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Validated {
    /// Index of the last entry of its log, 0 if that is empty.
    #[serde(default)]
    pub(crate) last_log: Option<u64>,
}

/// A refusal that the asker should show to the operator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// Whether the same request may succeed soon without anyone's doing.
    pub(crate) transient: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FollowerCheckRequest {
    pub(crate) term: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FollowerCheckResponse {
    pub(crate) ephemeral_id: String,
    /// Why the node must not be relied on, if it must not.
    #[serde(default)]
    pub(crate) unhealthy: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProposeRequest {
    pub(crate) id: ProposalId,
    #[serde(with = "serde_bytes")]
    pub(crate) command: Vec<u8>,
    pub(crate) timeout_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ProposeResponse {
    Applied {
        index: u64,
        reply: Reply,
    },
    /// The receiver is not the master; nothing was submitted.
    NotMaster,
    /// The master lost its office or the deadline passed; the outcome is unknown.
    Unknown,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadIndexRequest {
    pub(crate) timeout_ms: u64,
}

/// Index that a state must have applied to be current, or `None` from a node that is not the master
/// of a quorum.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadIndexResponse {
    pub(crate) index: Option<u64>,
}

/// One piece of a snapshot.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotChunk {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) offset: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) data: Vec<u8>,
    pub(crate) done: bool,
}

pub(crate) type SnapshotAnswer =
    Result<openraft::raft::InstallSnapshotResponse<RaftId>, InstallSnapshotError>;

/// Nodes whose addresses are remembered beside those of members.
const MAX_LEARNED: usize = 10_000;

/// Sends requests to other nodes.
pub(crate) struct Messenger {
    network: Arc<dyn PeerNetwork>,
    machine: Arc<Machine>,
    book: Mutex<BTreeMap<NodeId, PeerInfo>>,
}

impl Messenger {
    pub(crate) fn new(network: Arc<dyn PeerNetwork>, machine: Arc<Machine>) -> Self {
        Self {
            network,
            machine,
            book: Mutex::default(),
        }
    }

    /// Connects to an address and returns who is there.
    pub(crate) async fn probe(
        &self,
        address: String,
        timeout: Duration,
    ) -> Result<PeerInfo, String> {
        match tokio::time::timeout(timeout, self.network.probe(address, timeout)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
        }
    }

    /// Returns the key that a node has proved to hold on a connection to it.
    pub(crate) fn proven_key(&self, peer: &PeerInfo) -> Option<NodeKey> {
        self.network.proven_key(peer)
    }

    /// Remembers where a node was met, which may differ from what the membership says.
    pub(crate) fn learn(&self, peer: &PeerInfo) {
        let mut book = self.book.lock();
        // Anybody with a certificate may introduce himself, under ever new ids.
        if book.len() < MAX_LEARNED || book.contains_key(&peer.id) {
            book.insert(peer.id, peer.clone());
        }
    }

    /// Sends a request and returns the decoded answer.
    pub(crate) async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        to: &PeerInfo,
        rpc: &'static str,
        body: Q,
        timeout: Duration,
    ) -> Result<A, NetworkError> {
        let request = Bytes::from(encode(&Envelope {
            cluster_uuid: self.machine.cluster_uuid(),
            body,
        }));
        let met = self.book.lock().get(&to.id).cloned();
        let send = async {
            if let Some(met) = met.filter(|met| met.transport_address != to.transport_address) {
                match self.network.send(&met, rpc, request.clone(), timeout).await {
                    Err(NetworkError::Unreachable(_) | NetworkError::NoConnection(_)) => {
                        self.book.lock().remove(&to.id)
                    }
                    other => return other,
                };
            }
            self.network.send(to, rpc, request, timeout).await
        };
        let answer = tokio::time::timeout(timeout, send)
            .await
            .map_err(|_| NetworkError::Timeout)??;
        decode(&answer).map_err(|error| NetworkError::Remote(error.to_string()))
    }
}
