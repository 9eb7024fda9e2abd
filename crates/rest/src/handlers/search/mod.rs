//! Finding documents, and what is done with what is found.

pub mod by_query;
mod count;
pub mod field_caps;
mod hits;
mod msearch;
pub mod pit;
mod query;
pub mod reindex;
pub mod scroll;
pub mod validate;

pub use count::*;
pub use msearch::*;
pub use query::*;

pub(crate) use hits::*;
