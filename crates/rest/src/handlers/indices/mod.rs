//! Creating, describing and maintaining indices.

pub mod aliases;
pub mod analyze;
pub mod close;
mod create;
mod delete;
mod get;
mod mapping;
mod params;
mod refresh;
pub mod resolve;
pub mod rollover;
mod settings;
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
