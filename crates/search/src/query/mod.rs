//! Queries: the DSL as a tree, its parsers, and its execution on a shard.

pub mod ast;
mod compile;
mod custom;
mod edits;
mod geo;
mod lower;
mod lucene;
pub mod min_match;
mod parse;
mod phrase;
mod regexp;
mod simple;
mod string_options;
mod syntax;
mod text;
mod values;

pub use ast::Query;
pub(crate) use compile::{Compiled, compile_root, constant_score};
pub(crate) use custom::counts_fast;
pub use parse::{QUERY_NAMES, check_query_depth, parse_query};
pub(crate) use regexp::TermPattern;
pub(crate) use values::date_value;
