//! Writing and reading documents by id.

pub mod bulk;
pub mod get;
pub mod mget;
