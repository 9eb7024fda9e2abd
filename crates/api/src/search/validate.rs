//! Whether a query could be searched with.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ApiError, IndicesTarget};

/// Asks whether a query fits the mappings of indices. Nothing is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidateQueryRequest {
    pub indices: IndicesTarget,
    pub query: Value,
    /// One answer for each shard, not for each index.
    pub all_shards: bool,
}

/// See [`ValidateQueryRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ValidateQueryResponse {
    /// It is no query, of whatever index.
    Malformed(ApiError),
    /// One for each index or shard.
    Checked(Vec<QueryCheck>),
}

/// Whether a query fits an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryCheck {
    pub index: String,
    pub uuid: String,
    /// `None` of an index as a whole.
    pub shard: Option<u32>,
    /// Why it does not fit.
    pub error: Option<ApiError>,
}
