//! Searches over indexes in memory, through the public API: parse, query, encode, reduce, fetch.

mod aggs;
mod harness;
mod paging;
mod properties;
mod queries;
mod scoring;
mod traps;
