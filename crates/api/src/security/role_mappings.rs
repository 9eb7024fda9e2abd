//! Role mappings. Source: Elasticsearch reference, "Create or update role mappings API".

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A role mapping as the cluster keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoleMapping {
    /// In its normal form.
    pub mapping: Map<String, Value>,
}

/// `PUT /_security/role_mapping/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutRoleMappingRequest {
    pub name: String,
    /// As the caller wrote it.
    pub mapping: Map<String, Value>,
}

/// Whether it is new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutRoleMappingResponse {
    pub created: bool,
}

/// `DELETE /_security/role_mapping/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteRoleMappingRequest {
    pub name: String,
}

/// Whether it was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteRoleMappingResponse {
    pub found: bool,
}

/// `GET /_security/role_mapping[/{names}]`; empty means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetRoleMappingsRequest {
    pub names: Vec<String>,
}

/// Mappings in normal form, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetRoleMappingsResponse {
    pub mappings: Map<String, Value>,
}
