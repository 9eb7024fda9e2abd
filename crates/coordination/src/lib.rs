//! Cluster coordination: election of a master, replication of the cluster state by consensus,
//! discovery, founding of a cluster, joins, fault detection and the choice of voters.
//!
//! The entry point is [`Coordination`]. The crate replicates an opaque [`StateMachine`] over an
//! opaque [`PeerNetwork`]; it does not know what an index is. It is the only crate that names
//! openraft.
//!
//! Invariants:
//! * Votes, log entries and snapshots are on disk before anyone is told about them.
//! * A log is never purged beyond a durable snapshot, and a store in which it was is refused.
//! * A node raises its term only after a quorum of voters said they would vote for it.
//! * A command is applied at most once, however often it is submitted on the way.
//! * A write that the disk refuses is made again until it succeeds; nothing is acknowledged before. A master whose
//!   disk holds it up is none.
//! * Everything else waits with a deadline.

mod acknowledged;
pub mod blocking;
mod config;
mod coordination;
mod decide;
mod discovery;
mod election;
mod error;
mod follower_check;
mod handler;
mod master;
mod peer;
mod ports;
mod propose;
mod raft;
mod raft_network;
mod rpc;
mod shared;
mod status;
mod store;

pub use config::{Config, Timing};
pub use coordination::Coordination;
pub use decide::formation::nearly_named;
pub use error::{Error, NetworkError, ProposeError};
pub use peer::{PeerInfo, Sender};
pub use ports::{NotAdmitted, PeerNetwork, Seed, SeedHosts, StateMachine};
pub use rpc::{JOINING_RPCS, MEMBER_RPCS};
pub use status::{Role, Status};
