//! Searches over indexes in memory, through the public API: parse, query, encode, reduce, fetch.

mod agg_requests;
mod aggs;
mod analysis;
mod deletes;
mod field_types;
mod harness;
mod highlight;
mod intervals;
mod limits;
mod metadata;
mod numbers;
mod paging;
mod phrases;
mod pipelines;
mod points;
mod properties;
mod queries;
mod query_strings;
mod ranges;
mod requests;
mod scoring;
mod scrolling;
mod text_parameters;
mod traps;
mod views;
mod wire;
