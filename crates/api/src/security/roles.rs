//! Roles, and what a user may do by them. Source: Elasticsearch reference, "Create or update roles API", "Has
//! privileges API", "Get user privileges API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ApiError;

/// A role made through the API, as the cluster keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRole {
    /// In its normal form.
    pub descriptor: Map<String, Value>,
}

/// `PUT /_security/role/{name}`, and many at once by `POST /_security/role`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutRolesRequest {
    /// Descriptors by name, as the caller wrote them.
    pub roles: Map<String, Value>,
}

/// What became of each role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PutRolesResponse {
    pub created: Vec<String>,
    pub updated: Vec<String>,
    /// Those that were so already.
    pub noop: Vec<String>,
    /// Those that cannot be, by name; the others are stored all the same.
    pub errors: BTreeMap<String, ApiError>,
}

/// `DELETE /_security/role/{name}`, and many at once by `DELETE /_security/role`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteRolesRequest {
    pub names: Vec<String>,
}

/// What became of each role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeleteRolesResponse {
    pub deleted: Vec<String>,
    pub not_found: Vec<String>,
    pub errors: BTreeMap<String, ApiError>,
}

/// `GET /_security/role[/{names}]`; empty means all, reserved ones too. Roles of `roles.yml` are not shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetRolesRequest {
    pub names: Vec<String>,
}

/// Descriptors in normal form, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetRolesResponse {
    pub roles: Map<String, Value>,
}

/// `GET /_security/privilege/_builtin`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetBuiltinPrivilegesRequest;

/// Names of the privileges that roles may grant, sorted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetBuiltinPrivilegesResponse {
    pub cluster: Vec<String>,
    pub index: Vec<String>,
}

/// `POST /_security/user/_has_privileges`: may I?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HasPrivilegesRequest {
    pub cluster: Vec<String>,
    pub index: Vec<IndexPrivilegesCheck>,
    pub application: Vec<ApplicationPrivilegesCheck>,
}

/// Whether each of the privileges is held on each of the names, which may be patterns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexPrivilegesCheck {
    pub names: Vec<String>,
    pub privileges: Vec<String>,
    pub allow_restricted_indices: bool,
}

/// Whether each of the privileges is held on each of the resources of an application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ApplicationPrivilegesCheck {
    pub application: String,
    pub privileges: Vec<String>,
    pub resources: Vec<String>,
}

/// Whether a privilege is held, by privilege.
pub type Held = BTreeMap<String, bool>;

/// What was asked for and whether it is held.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HasPrivilegesResponse {
    pub username: String,
    pub cluster: Held,
    /// By index.
    pub index: BTreeMap<String, Held>,
    /// By application and resource.
    pub application: BTreeMap<String, BTreeMap<String, Held>>,
}

/// `GET /_security/user/_privileges`: what may I do?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetUserPrivilegesRequest;

/// The union of the caller's roles, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetUserPrivilegesResponse {
    pub privileges: Map<String, Value>,
}

/// `POST /_security/{realm,role,api_key,privilege,service}/{names}/_clear_cache`. There is nothing to clear: what is
/// cached of users, roles and keys is dropped with every change of them, and files are polled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClearSecurityCacheRequest;

/// The nodes, by id and name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClearSecurityCacheResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, String>,
}
