//! Creating, describing and maintaining indices.

pub mod aliases;
pub mod analyze;
pub mod cache;
pub mod close;
mod create;
mod delete;
pub mod forcemerge;
mod get;
mod mapping;
mod params;
pub mod recovery;
mod refresh;
pub mod resolve;
pub mod resolve_cluster;
pub mod rollover;
pub mod segments;
mod settings;
pub mod shard_stores;
mod stats;
pub mod templates;

pub use create::*;
pub use delete::*;
pub use get::*;
pub use mapping::*;
pub use params::*;
pub use refresh::*;
pub use settings::*;
pub use stats::*;
