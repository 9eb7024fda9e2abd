//! An index made. Source: Elasticsearch reference, "Create index API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

/// Creates an index. The body parts are as the client sent them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateIndexRequest {
    /// Exactly one name; wildcards are not expanded.
    pub index: IndicesTarget,
    /// An object: nested (`{"index":{"number_of_shards":1}}`) or flat keys, with or without `index.`.
    pub settings: Value,
    pub mappings: Value,
    pub aliases: Value,
    /// Copies to wait for; `None` means the primary.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
    /// Made by a write to a missing index: an index that exists meanwhile is no error.
    pub auto: bool,
}

impl CreateIndexRequest {
    pub(crate) fn alias_names(&self) -> Vec<String> {
        let aliases = self.aliases.as_object();
        aliases.map_or_else(Vec::new, |aliases| aliases.keys().cloned().collect())
    }
}

/// The answer to creating an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateIndexResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
    pub index: String,
}
