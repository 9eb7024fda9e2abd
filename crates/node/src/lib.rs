//! The node: the only crate that knows all the others.

pub mod bootstrap_checks;
pub mod cluster_service;
pub mod identity;
pub mod node;
pub mod peers;
pub mod pools;
pub mod replication;
