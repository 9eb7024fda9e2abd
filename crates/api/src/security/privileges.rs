//! Privileges of applications such as Kibana. Source: Elasticsearch reference, "Create or update application privileges
//! API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A privilege of an application, as the cluster keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPrivilege {
    pub actions: Vec<String>,
    pub metadata: Map<String, Value>,
}

/// The privileges of an application, by name.
pub type OfApplication<T> = BTreeMap<String, T>;

/// `PUT /_security/privilege`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutPrivilegesRequest {
    /// By application.
    pub privileges: BTreeMap<String, OfApplication<StoredPrivilege>>,
}

impl PutPrivilegesRequest {
    /// Returns the names of the applications.
    pub fn applications(&self) -> Vec<String> {
        self.privileges.keys().cloned().collect()
    }
}

/// Whether each is new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutPrivilegesResponse {
    pub created: BTreeMap<String, OfApplication<bool>>,
}

/// `DELETE /_security/privilege/{application}/{names}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeletePrivilegesRequest {
    pub application: String,
    pub names: Vec<String>,
}

impl DeletePrivilegesRequest {
    /// Returns the names of the applications.
    pub fn applications(&self) -> Vec<String> {
        vec![self.application.clone()]
    }
}

/// Whether each was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeletePrivilegesResponse {
    pub found: OfApplication<bool>,
}

/// `GET /_security/privilege[/{applications}[/{names}]]`; empty means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetPrivilegesRequest {
    /// May have wildcards.
    pub applications: Vec<String>,
    pub names: Vec<String>,
}

impl GetPrivilegesRequest {
    /// Returns the names of the applications, with all as a wildcard.
    pub fn applications(&self) -> Vec<String> {
        match self.applications.is_empty() {
            true => vec!["*".to_owned()],
            false => self.applications.clone(),
        }
    }
}

/// By application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetPrivilegesResponse {
    pub privileges: BTreeMap<String, OfApplication<StoredPrivilege>>,
}
