//! Finding documents, and what is done with what is found. Source: Elasticsearch reference, "Search APIs".

mod by_query;
mod field_caps;
mod pit;
mod query;
mod scroll;
mod validate;

pub use by_query::*;
pub use field_caps::*;
pub use pit::*;
pub use query::*;
pub use scroll::*;
pub use validate::*;
