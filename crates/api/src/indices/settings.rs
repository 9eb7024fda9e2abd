//! Settings of indices. Source: Elasticsearch reference, "Update index settings API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

/// Changes settings of indices: the dynamic ones, and of closed indices those that are not final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateSettingsRequest {
    pub indices: IndicesTarget,
    pub settings: Value,
    /// Leaves settings as they are that somebody has set.
    #[serde(default)]
    pub preserve_existing: bool,
    /// Closes open indices for the change, if it needs that, and opens them again.
    #[serde(default)]
    pub reopen: bool,
    pub timeout_ms: u64,
}
