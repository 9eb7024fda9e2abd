//! Aggregations: what is asked for, collecting on a segment, adding up, and the answer.

mod block;
mod build;
mod collect;
mod gaps;
mod keyer;
mod order;
mod parse;
mod parse_date;
pub mod partial;
mod render;
pub mod sketch;
pub mod spec;
mod table;
mod top_hits;

pub(crate) use block::Gatherer;
pub(crate) use build::{build, uses_scores};
pub(crate) use collect::Node;
pub use parse::parse_aggs;
pub use partial::Partial;
pub(crate) use partial::{cut_for_shard, merge, merge_all};
pub use render::render;
pub use spec::Agg;
pub(crate) use top_hits::resolve;
