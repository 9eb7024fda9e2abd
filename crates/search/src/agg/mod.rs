//! Aggregations: what is asked for, collecting on a segment, adding up, and the answer.
//!
//! A kind of aggregation lives in one room, a file that implements [`kind::Kind`]: what it reads of a request, how it collects,
//! what it answers. [`KINDS`] names them all. What rooms share stands beside them.

// What kinds share.
mod axis;
mod block;
mod buckets;
mod build;
mod collector;
mod decimal;
pub mod hdr;
mod kind;
mod order;
mod parse;
pub mod partial;
mod render;
pub mod sketch;
mod spec;
mod table;

// The rooms.
mod cardinality;
mod date_histogram;
mod filter;
mod geo_distance;
mod global;
mod histogram;
mod ip_range;
mod median_absolute_deviation;
mod metric;
mod missing;
mod percentiles;
mod pipeline;
mod range;
mod stats;
mod terms;
mod top_hits;
mod value_count;

use self::kind::Parse;
use self::metric::Value;
use self::pipeline::bucket_metric::{self, Figure};

pub(crate) use block::{Gatherer, Placed};
pub(crate) use build::build;
pub use parse::parse_aggs;
pub use partial::Partial;
pub(crate) use partial::{cut_for_shard, merge, merge_all};
pub use render::render;
pub use spec::Agg;
pub(crate) use top_hits::{resolve, uses_scores};

/// Every aggregation understood, by its name in a request, in the order of names.
const KINDS: &[(&str, Parse)] = &[
    ("avg", |given| metric::parse(given, Value::Avg)),
    ("avg_bucket", |given| {
        bucket_metric::parse(given, Figure::Avg)
    }),
    ("bucket_sort", pipeline::bucket_sort::parse),
    ("cardinality", cardinality::parse),
    ("cumulative_sum", pipeline::cumulative_sum::parse),
    ("date_histogram", date_histogram::parse),
    ("date_range", |given| range::parse(given, true)),
    ("derivative", pipeline::derivative::parse),
    ("extended_stats", |given| stats::parse(given, true)),
    ("extended_stats_bucket", |given| {
        bucket_metric::parse(given, Figure::ExtendedStats)
    }),
    ("filter", filter::parse),
    ("filters", filter::parse_filters),
    ("geo_distance", geo_distance::parse),
    ("global", global::parse),
    ("histogram", histogram::parse),
    ("ip_range", ip_range::parse),
    ("max", |given| metric::parse(given, Value::Max)),
    ("max_bucket", |given| {
        bucket_metric::parse(given, Figure::Max)
    }),
    (
        "median_absolute_deviation",
        median_absolute_deviation::parse,
    ),
    ("min", |given| metric::parse(given, Value::Min)),
    ("min_bucket", |given| {
        bucket_metric::parse(given, Figure::Min)
    }),
    ("missing", missing::parse),
    ("percentile_ranks", |given| percentiles::parse(given, true)),
    ("percentiles", |given| percentiles::parse(given, false)),
    ("percentiles_bucket", |given| {
        bucket_metric::parse(given, Figure::Percentiles)
    }),
    ("range", |given| range::parse(given, false)),
    ("serial_diff", pipeline::serial_diff::parse),
    ("stats", |given| stats::parse(given, false)),
    ("stats_bucket", |given| {
        bucket_metric::parse(given, Figure::Stats)
    }),
    ("sum", |given| metric::parse(given, Value::Sum)),
    ("sum_bucket", |given| {
        bucket_metric::parse(given, Figure::Sum)
    }),
    ("terms", terms::parse),
    ("top_hits", top_hits::parse),
    ("value_count", value_count::parse),
];

/// Returns the names of the aggregations, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _)| *name)
}
