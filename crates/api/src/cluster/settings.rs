//! Settings of the whole cluster. Source: Elasticsearch reference, "Cluster update settings API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /_cluster/settings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetClusterSettingsRequest {
    pub include_defaults: bool,
}

/// Flat keys; values are texts or lists of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetClusterSettingsResponse {
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
    /// Those of the node that answers, if asked for.
    pub defaults: Option<BTreeMap<String, Value>>,
}

/// `PUT /_cluster/settings`: flat keys; null resets, and a key may be a pattern with `*` then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutClusterSettingsRequest {
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
    pub timeout_ms: u64,
}

/// What was set, not what was reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutClusterSettingsResponse {
    pub acknowledged: bool,
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
}
