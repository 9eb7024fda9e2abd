//! The cluster as a whole.

pub mod absent;
pub mod allocation_explain;
mod health;
mod health_report;
pub mod membership;
mod metrics;
mod pending_tasks;
pub mod reroute;
pub mod root;
mod settings;
mod state;
pub mod stats;
pub mod tasks;

pub use health::*;
pub use health_report::*;
pub use metrics::*;
pub use pending_tasks::*;
pub use settings::*;
pub use state::*;
