//! The cluster as a whole.

mod absent;
mod allocation_explain;
mod health;
mod health_report;
mod membership;
mod metrics;
mod pending_tasks;
mod reroute;
mod root;
mod settings;
mod state;
mod stats;
mod tasks;

pub use absent::*;
pub use allocation_explain::*;
pub use health::*;
pub use health_report::*;
pub use membership::*;
pub use metrics::*;
pub use pending_tasks::*;
pub use reroute::*;
pub use root::*;
pub use settings::*;
pub use state::*;
pub use stats::*;
pub use tasks::*;
