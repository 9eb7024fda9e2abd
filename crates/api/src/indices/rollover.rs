//! The next index of an alias. Source: Elasticsearch reference, "Rollover API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

/// Makes a new index and has an alias write to it, if the index that it writes to now is as the conditions say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloverRequest {
    /// The alias.
    pub target: IndicesTarget,
    /// `None`: the name of the old index with its number grown by one.
    pub new_index: Option<String>,
    /// As of [`CreateIndexRequest`], like the next two.
    pub settings: Value,
    pub mappings: Value,
    pub aliases: Value,
    /// None at all: whatever the index is like.
    pub conditions: Vec<RolloverCondition>,
    /// Only tells what would be.
    pub dry_run: bool,
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
}

impl RolloverRequest {
    pub(crate) fn alias_names(&self) -> Vec<String> {
        let aliases = self.aliases.as_object();
        aliases.map_or_else(Vec::new, |aliases| aliases.keys().cloned().collect())
    }
}

/// One condition on the old index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloverCondition {
    pub measure: RolloverMeasure,
    /// It must hold, or the index is not rolled over; of all others one is enough.
    pub is_min: bool,
    /// Reached: milliseconds, documents or bytes.
    pub value: u64,
    /// As the client wrote it: `[max_age: 7d]`.
    pub shown: String,
}

/// What is measured of the old index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloverMeasure {
    /// Since its creation, milliseconds.
    Age,
    /// Documents in primaries.
    Docs,
    /// Bytes of primaries.
    Size,
    /// Documents of the primary that has most.
    PrimaryShardDocs,
    /// Bytes of the largest primary.
    PrimaryShardSize,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloverResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
    pub old_index: String,
    pub new_index: String,
    pub rolled_over: bool,
    /// Whether each condition holds, by its text.
    pub conditions: BTreeMap<String, bool>,
}
