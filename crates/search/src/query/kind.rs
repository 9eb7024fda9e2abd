//! What a kind of query is to all that parses, looks into and compiles queries.

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;

use super::Query;
use super::compile::Compiled;
use crate::shard::Shard;

/// A query as it was asked for.
pub(super) trait Kind {
    /// Compiles it for a shard.
    ///
    /// # Errors
    /// `query_shard_exception` and other 400s when it does not fit the mapping.
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError>;

    /// The queries inside it.
    fn parts(&self) -> Vec<&Query> {
        Vec::new()
    }

    /// Whether its clauses are counted where its parts are compiled; else it is one.
    fn counts_its_clauses(&self) -> bool {
        false
    }

    /// Returns the score of every match, when it is the same and known without running the query.
    fn constant_score(&self) -> Option<Score> {
        None
    }
}

/// Reads the body of a query.
pub(super) type Parse = fn(&Definition<'_>) -> Result<Query, ApiError>;

/// A query in a request: `name: body`.
pub(super) struct Definition<'a> {
    pub(super) name: &'a str,
    pub(super) body: &'a Value,
    /// How many queries it stands in.
    pub(super) depth: usize,
}
