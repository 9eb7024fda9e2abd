//! The cluster as a whole.

mod absent;
mod allocation_explain;
pub mod health;
pub mod health_report;
pub mod membership;
pub mod metrics;
pub mod pending_tasks;
pub mod reroute;
pub mod root;
pub mod settings;
pub mod state;
pub mod stats;
pub mod tasks;
