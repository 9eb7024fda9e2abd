//! API keys. Source: Elasticsearch reference, "Create API key API".

use std::collections::BTreeMap;

use ringwall_base::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ApiError;
use crate::auth::{Authentication, RealmRef};

/// What is known of a key, beside its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyInfo {
    /// 20 characters of URL-safe base64.
    pub id: String,
    pub name: String,
    /// Milliseconds since the epoch, as the other moments here.
    pub creation_ms: u64,
    /// `None` for a key that does not end by itself.
    pub expiration_ms: Option<u64>,
    pub invalidation_ms: Option<u64>,
    /// By name, in their normal form; empty for a key that may do what its owner could.
    pub role_descriptors: Map<String, Value>,
    /// What the owner could do when the key was made; the key never can do more.
    pub limited_by: Map<String, Value>,
    pub metadata: Map<String, Value>,
    pub owner: ApiKeyOwner,
}

impl ApiKeyInfo {
    /// Returns whether the key lets anybody in at that moment, in milliseconds since the epoch.
    pub fn is_active(&self, now_ms: u64) -> bool {
        self.invalidation_ms.is_none() && !self.is_expired(now_ms)
    }

    /// Returns whether the key's time is over.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expiration_ms.is_some_and(|end| end <= now_ms)
    }
}

/// Who made a key. It goes on working when this user is disabled or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyOwner {
    pub principal: String,
    pub full_name: Option<String>,
    pub email: Option<String>,
    pub metadata: Map<String, Value>,
    pub realm: RealmRef,
}

/// A key as the cluster keeps it: with the hash of its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredApiKey {
    pub info: ApiKeyInfo,
    pub hash: String,
}

impl std::fmt::Debug for StoredApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredApiKey")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// `POST /_security/api_key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateApiKeyRequest {
    /// Random. Made with the request, so that the audit log tells it before there is a key.
    pub id: String,
    pub name: String,
    /// Milliseconds from now.
    pub lifetime_ms: Option<u64>,
    /// As the caller wrote them.
    pub role_descriptors: Map<String, Value>,
    pub metadata: Map<String, Value>,
}

/// Credentials of somebody else than the caller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Grant {
    Password {
        username: String,
        #[serde(with = "crate::secret_text")]
        password: SecretString,
    },
    /// A bearer token.
    AccessToken {
        #[serde(with = "crate::secret_text")]
        token: SecretString,
        /// What the client proves itself with, for tokens that others have issued.
        #[serde(with = "crate::secret_text::optional")]
        client_secret: Option<SecretString>,
    },
}

/// `POST /_security/api_key/grant`: makes a key for the user whose credentials these are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrantApiKeyRequest {
    pub grant: Grant,
    /// Whom that user acts as, and whose the key will be.
    pub run_as: Option<String>,
    pub key: CreateApiKeyRequest,
}

/// The only time that the secret is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateApiKeyResponse {
    pub id: String,
    pub name: String,
    pub expiration_ms: Option<u64>,
    #[serde(with = "crate::secret_text")]
    pub secret: SecretString,
}

/// Which keys are meant. Every criterion that is there must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiKeyFilter {
    /// Any of these.
    pub ids: Vec<String>,
    /// May have wildcards.
    pub name: Option<String>,
    pub realm_name: Option<String>,
    pub username: Option<String>,
    /// The caller's own.
    pub owner: bool,
}

impl ApiKeyFilter {
    /// Returns whether nothing but keys of the caller can be meant, which takes less of a privilege.
    pub(crate) fn is_own(&self, caller: &Authentication) -> bool {
        if self.owner {
            return true;
        }
        if let Some(key) = &caller.api_key {
            return self.ids == [key.id.as_str()];
        }
        self.username.as_deref() == Some(&caller.user.username)
            && self.realm_name.as_deref() == Some(&caller.realm.name)
    }
}

/// `GET /_security/api_key`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GetApiKeysRequest {
    pub filter: ApiKeyFilter,
    pub active_only: bool,
}

/// The keys, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetApiKeysResponse {
    pub keys: Vec<ApiKeyInfo>,
}

/// `DELETE /_security/api_key`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InvalidateApiKeysRequest {
    pub filter: ApiKeyFilter,
}

/// Ids of the keys meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidateApiKeysResponse {
    pub invalidated: Vec<String>,
    pub previously_invalidated: Vec<String>,
}

/// `PUT /_security/api_key/{id}`, for the key's owner alone. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateApiKeyRequest {
    pub id: String,
    pub lifetime_ms: Option<u64>,
    pub role_descriptors: Option<Map<String, Value>>,
    pub metadata: Option<Map<String, Value>>,
}

/// `updated: false` when nothing was different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateApiKeyResponse {
    pub updated: bool,
}

/// `POST /_security/api_key/_bulk_update`, for the keys' owner alone. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BulkUpdateApiKeysRequest {
    pub ids: Vec<String>,
    pub lifetime_ms: Option<u64>,
    pub role_descriptors: Option<Map<String, Value>>,
    pub metadata: Option<Map<String, Value>>,
}

/// What became of each key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BulkUpdateApiKeysResponse {
    pub updated: Vec<String>,
    /// Those that were so already.
    pub noops: Vec<String>,
    /// By id.
    pub errors: BTreeMap<String, ApiError>,
}
