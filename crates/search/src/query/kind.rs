//! What a kind of query is to all that parses, looks into and compiles queries.

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;

use super::Query;
use super::compile::Compiled;
use crate::highlight::Sought;
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

    /// Adds what a document that matches is found by: the words that highlighting shows. By default what its parts add.
    ///
    /// # Errors
    /// As [`Kind::compile`].
    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let mut parts = self.parts().into_iter();
        parts.try_for_each(|part| part.seek(shard, sought))
    }

    /// Whether a document may have some of what it looks for and yet not match.
    fn needs_several(&self) -> bool {
        self.parts().into_iter().any(Query::needs_several)
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
