//! The types with which we instantiate openraft.

use std::fmt;
use std::io::Cursor;

use ringwall_base::NodeId;
use serde::{Deserialize, Serialize};

use crate::peer::PeerInfo;

openraft::declare_raft_types!(
    /// Our choice of types for openraft.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Reply,
        NodeId = RaftId,
        Node = PeerInfo,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type LogId = openraft::LogId<RaftId>;
pub(crate) type Vote = openraft::Vote<RaftId>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type StoredMembership = openraft::StoredMembership<RaftId, PeerInfo>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<RaftId, PeerInfo>;
pub(crate) type Snapshot = openraft::Snapshot<TypeConfig>;
pub(crate) type StorageError = openraft::StorageError<RaftId>;
pub(crate) type Metrics = openraft::RaftMetrics<RaftId, PeerInfo>;

/// A node id in the form openraft and its test suite want it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(crate) struct RaftId(pub(crate) NodeId);

impl fmt::Display for RaftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u64> for RaftId {
    fn from(bits: u64) -> Self {
        Self(NodeId::from_bits(u128::from(bits)))
    }
}

impl From<NodeId> for RaftId {
    fn from(id: NodeId) -> Self {
        Self(id)
    }
}

/// Names one command from submission to application, however often it is submitted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct ProposalId(u64, u64);

impl ProposalId {
    pub(crate) fn random() -> Self {
        Self(rand::random(), rand::random())
    }
}

/// A log entry's content: a command of the state machine and its name.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) id: ProposalId,
    #[serde(with = "serde_bytes")]
    pub(crate) command: Vec<u8>,
}

impl fmt::Debug for Proposal {
    /// Shows the size only: commands may hold hashes of credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.command.len())
    }
}

/// The state machine's answer to a command.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reply(#[serde(with = "serde_bytes")] pub(crate) Vec<u8>);

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} bytes)", self.0.len())
    }
}
