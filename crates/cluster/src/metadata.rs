//! What the cluster remembers about indices and users.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_api::auth::User;
use ringwall_api::security::StoredApiKey;
use ringwall_api::security::StoredRole;
use ringwall_api::security::StoredRoleMapping;
use ringwall_api::security::{OfApplication, StoredPrivilege};
use ringwall_base::{AllocationId, IndexId, NodeId, Term};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SharedMap;
use crate::aliases::Aliases;
use crate::index_settings::IndexSettings;
use crate::tokens::Tokens;

/// An index: its settings, mapping, aliases, and per shard the term and the in-sync copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexMetadata {
    pub id: IndexId,
    pub creation_date_ms: u64,
    pub settings: IndexSettings,
    pub settings_version: u64,
    /// The mapping in the `index` crate's stored form.
    pub mapping: Value,
    /// Grows with every change of the mapping; the base of compare-and-set updates.
    pub mapping_version: u64,
    pub aliases: Aliases,
    /// One per shard.
    pub shards: Vec<ShardMetadata>,
    /// The block of writes was put on because a disk is full, and is taken off when it no longer is.
    #[serde(default)]
    pub is_flooded: bool,
    /// Nothing in it is read or written. Its copies stay where they are, and are replaced when one is lost.
    #[serde(default)]
    pub is_closed: bool,
}

/// What must survive for a shard to be found again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardMetadata {
    /// Grows each time another copy becomes primary, or the primary is assigned anew.
    pub primary_term: Term,
    /// The copies that hold every acknowledged write, with the node that has each. Only these
    /// may become primary. Source: Elasticsearch reference, "Reading and writing documents" (in-sync copies).
    pub in_sync: BTreeMap<AllocationId, NodeId>,
    /// Until when no copy is moved away, after an attempt that failed; milliseconds since the epoch.
    #[serde(default)]
    pub no_move_before_ms: Option<u64>,
}

/// Settings that the cluster settings API changed: flat keys, texts or lists of texts.
///
/// Transient ones win over persistent ones, both over those of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterSettings {
    pub persistent: BTreeMap<String, Value>,
    pub transient: BTreeMap<String, Value>,
    /// Grows with every change; the base of compare-and-set updates.
    pub version: u64,
}

impl ClusterSettings {
    /// Returns the values in force, those that win last.
    pub fn in_force(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.persistent.iter().chain(&self.transient)
    }

    /// Returns the value of a key in force.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.transient.get(key).or_else(|| self.persistent.get(key))
    }
}

/// Users, API keys and tokens, with the hashes of their secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SecurityMetadata {
    pub native_users: SharedMap<String, NativeUser>,
    pub reserved_users: BTreeMap<String, ReservedUser>,
    /// By id. Those that have ended are kept for a while.
    #[serde(default)]
    pub api_keys: SharedMap<String, Arc<StoredApiKey>>,
    /// When keys that had ended were looked for; milliseconds since the epoch.
    #[serde(default)]
    pub api_keys_swept_ms: u64,
    /// Hashes of the tokens of service accounts, by `namespace/service/name`.
    #[serde(default)]
    pub service_tokens: SharedMap<String, String>,
    /// Access and refresh tokens. Those that have ended are kept for a while.
    #[serde(default)]
    pub tokens: Tokens,
    /// Roles made through the API, by name.
    #[serde(default)]
    pub roles: SharedMap<String, Arc<StoredRole>>,
    /// Role mappings, by name.
    #[serde(default)]
    pub role_mappings: SharedMap<String, Arc<StoredRoleMapping>>,
    /// Privileges of applications, by application and name.
    #[serde(default)]
    pub privileges: BTreeMap<String, Arc<OfApplication<StoredPrivilege>>>,
    /// Grows with every change of a user or token, so that caches know to drop.
    pub generation: u64,
}

/// A user made through the API.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeUser {
    pub user: User,
    pub password_hash: String,
    /// [`SecurityMetadata::generation`] of its last change.
    #[serde(default)]
    pub generation: u64,
}

/// A built-in user: only its password and whether it is enabled can change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedUser {
    pub password_hash: Option<String>,
    pub enabled: bool,
    /// [`SecurityMetadata::generation`] of its last change.
    #[serde(default)]
    pub generation: u64,
}

impl Default for ReservedUser {
    fn default() -> Self {
        Self {
            password_hash: None,
            enabled: true,
            generation: 0,
        }
    }
}

impl std::fmt::Debug for NativeUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeUser")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReservedUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReservedUser")
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}
