//! The node: the only crate that knows all the others.

mod acknowledge;
mod actions;
pub mod bootstrap_checks;
pub mod cluster_service;
mod first_password;
mod follow_settings;
mod http;
pub mod identity;
mod live_settings;
mod network;
pub mod node;
pub mod peers;
mod pki_realms;
pub mod pools;
pub mod preflight;
mod process;
mod profiles;
mod read;
mod recovery;
pub mod replication;
mod reverse_names;
mod routing;
mod search;
mod security_store;
mod seed_hosts;
pub mod services;
mod shards;
