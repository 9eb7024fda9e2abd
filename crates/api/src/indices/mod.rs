//! Creating, describing and maintaining indices. Source: Elasticsearch reference, "Index APIs".

mod acknowledged;
mod aliases;
mod analyze;
mod blocks;
mod close;
mod create;
mod delete;
mod get;
mod mapping;
mod refresh;
mod resolve;
mod rollover;
mod settings;
mod shard_table;
mod stats;
mod templates;

pub use acknowledged::*;
pub use aliases::*;
pub use analyze::*;
pub use blocks::*;
pub use close::*;
pub use create::*;
pub use delete::*;
pub use get::*;
pub use mapping::*;
pub use refresh::*;
pub use resolve::*;
pub use rollover::*;
pub use settings::*;
pub use shard_table::*;
pub use stats::*;
pub use templates::*;
