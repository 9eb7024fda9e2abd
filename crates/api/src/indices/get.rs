//! What indices are. Source: Elasticsearch reference, "Get index API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

/// Describes indices: aliases, mappings and settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetIndexRequest {
    pub indices: IndicesTarget,
    /// Also the settings that nobody set.
    pub with_defaults: bool,
}

/// One entry per index, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetIndexResponse {
    pub indices: Vec<IndexDescription>,
}

/// What `GET /{index}` shows of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexDescription {
    pub name: String,
    pub aliases: Value,
    pub mappings: Value,
    /// `{"index": {...}}`, every leaf a string.
    pub settings: Value,
    /// As `settings`.
    pub defaults: Option<Value>,
}
