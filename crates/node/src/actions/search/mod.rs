//! Finding documents, and what is done with what is found.

pub mod by_query;
pub mod field_caps;
pub mod opened;
pub mod pit;
pub mod query;
pub mod scroll;
mod validate;
