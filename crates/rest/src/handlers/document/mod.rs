//! Writing and reading documents by id.

pub mod bulk;
mod get;
mod mget;
mod write;

pub use get::*;
pub use mget::*;
pub use write::*;
