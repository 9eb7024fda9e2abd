//! Secure settings read anew. Source: Elasticsearch reference, "Nodes reload secure settings API".

use std::collections::BTreeMap;
use std::fmt;

use ringwall_base::SecretString;
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// `POST /_nodes[/{node_id}]/reload_secure_settings`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadSecureSettingsRequest {
    /// Node filters as of `GET /_nodes`; empty means all.
    pub nodes: Vec<String>,
    /// Of the keystores, where they have one.
    #[serde(with = "crate::secret_text")]
    pub password: SecretString,
}

impl fmt::Debug for ReloadSecureSettingsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadSecureSettingsRequest")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// One entry per node, by node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadSecureSettingsResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, ReloadedNode>,
}

/// What a node read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadedNode {
    pub name: String,
    /// Why the node goes on with what it had.
    pub error: Option<ApiError>,
    pub setting_names: Vec<String>,
    pub keystore_path: String,
    /// SHA-256 of the file, lower-case hex.
    pub keystore_digest: Option<String>,
    /// Milliseconds since the epoch.
    pub keystore_modified_ms: Option<u64>,
}
