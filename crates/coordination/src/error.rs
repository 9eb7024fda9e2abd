//! The errors of this crate.

use std::path::PathBuf;

/// Coordination cannot start, or cannot answer a request of another node.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The timing settings contradict one another.
    #[error("invalid timing: [{setting}] is {actual} ms but must be {expected}")]
    InvalidTiming {
        setting: &'static str,
        actual: u128,
        expected: String,
    },
    /// The store cannot be opened or read.
    #[error(
        "cannot open the cluster state store [{path}]: {reason}; check that no other node uses \
         this data path and that the disk is healthy"
    )]
    OpenStore { path: PathBuf, reason: String },
    /// The store belongs to another node.
    #[error(
        "the cluster state store [{path}] belongs to node [{stored}] but this node is [{local}]; \
         a data path must not be shared between nodes or copied from one to another"
    )]
    ForeignStore {
        path: PathBuf,
        stored: String,
        local: String,
    },
    /// Log entries were removed that no snapshot holds: the cluster state is lost on this node.
    #[error(
        "the cluster state store [{path}] is damaged: log entries up to [{purged}] were removed \
         but the newest snapshot ends at [{snapshot}]; starting would lose cluster state. Restore \
         the file from a backup, or empty this node's data path to let it rejoin as a new node"
    )]
    SnapshotMissing {
        path: PathBuf,
        purged: String,
        snapshot: String,
    },
    /// The stored snapshot cannot be turned back into a state.
    #[error("cannot restore the cluster state from its snapshot: {reason}")]
    Restore { reason: String },
    /// `discovery.type: single-node` on a node that is part of a larger cluster.
    #[error(
        "cannot start with [discovery.type] set to [single-node] when local node [{local}] does \
         not have quorum in voting configuration {voters}"
    )]
    SingleNodeWithoutQuorum { local: String, voters: String },
    /// The consensus engine stopped.
    #[error("cluster coordination stopped: {reason}")]
    Stopped { reason: String },
    /// The store failed while running.
    #[error("cluster state store failed while {doing}: {reason}")]
    Store { doing: &'static str, reason: String },
    /// The request names no known action.
    #[error("no handler for action [{action}]")]
    UnknownAction { action: String },
    /// The request cannot be decoded.
    #[error("malformed request [{action}]: {reason}")]
    MalformedRequest { action: String, reason: String },
    /// The sender claims to be another node than the one the connection authenticated.
    #[error("request [{action}] from node [{from}] speaks in the name of node [{claimed}]")]
    Impersonation {
        action: String,
        from: String,
        claimed: String,
    },
    /// The sender is not a node of this cluster.
    #[error("request [{action}] refused: node [{from}] is not a member of this cluster")]
    NotMember { action: String, from: String },
    /// The sender belongs to a cluster with another UUID.
    #[error(
        "request [{action}] refused: it comes from cluster UUID [{remote}] but this node belongs \
         to cluster UUID [{local}]"
    )]
    OtherCluster {
        action: String,
        local: String,
        remote: String,
    },
    /// The request needs the elected master and this node is not it.
    #[error("not the elected master")]
    NotMaster,
    /// The master refused a joining node, or the joining node refused the master.
    #[error("{reason}")]
    JoinRefused { reason: String },
    /// The answer did not come within the deadline.
    #[error("timed out while {doing}")]
    Timeout { doing: &'static str },
}

/// A proposed command was not, or may not have been, applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No master was known until the deadline; the command was never submitted.
    #[error("no master known within the timeout; the command was not submitted")]
    NoMaster,
    /// The deadline passed after the command was submitted: it may still be applied.
    #[error("timed out waiting for the command to be committed; its outcome is unknown")]
    Timeout,
    /// The node is shutting down or its store failed; the outcome is unknown.
    #[error("cluster coordination stopped: {reason}")]
    Stopped { reason: String },
}

/// A message to another node got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is no connection and none could be made, or it broke.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No connection came up in time: whether somebody is there is unknown.
    #[error("not connected: {0}")]
    NoConnection(String),
    /// No answer within the timeout.
    #[error("timed out")]
    Timeout,
    /// The other node answered with an error.
    #[error("remote error: {0}")]
    Remote(String),
}
