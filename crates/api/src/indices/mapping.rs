//! Fields of indices. Source: Elasticsearch reference, "Get field mapping API", "Update mapping API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::IndicesTarget;

/// Describes fields of indices by their paths and patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetFieldMappingsRequest {
    pub indices: IndicesTarget,
    pub fields: Vec<String>,
    /// Also the parameters that nobody set.
    pub with_defaults: bool,
}

/// Definitions by index and path; a metadata field has an empty one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetFieldMappingsResponse {
    pub indices: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
}

/// Adds fields to the mapping of indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutMappingRequest {
    pub indices: IndicesTarget,
    pub mappings: Value,
    pub timeout_ms: u64,
}
