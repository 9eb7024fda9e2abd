//! Writing and reading documents by id. Source: Elasticsearch reference, "Document APIs".

mod bulk;
mod get;
mod mget;
mod write;

pub use bulk::*;
pub use get::*;
pub use mget::*;
pub use write::*;
