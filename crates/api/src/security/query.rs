//! Lists of users, roles and API keys that a query finds. Source: Elasticsearch reference, "Query API key information
//! API", "Query role API", "Query user API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which are wanted, of those that a query matches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ListRequest {
    pub query: Option<Value>,
    pub from: usize,
    pub size: usize,
    pub sort: Vec<SortKey>,
    /// The sort values that the first one comes after.
    pub search_after: Option<Vec<Value>>,
}

/// A field that orders a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    pub field: String,
    pub descending: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// How many match.
    pub total: u64,
    /// Those of the page, as they are shown.
    pub items: Vec<Value>,
}

/// `GET|POST /_security/_query/user`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryUsersRequest {
    pub list: ListRequest,
}

/// `GET|POST /_security/_query/role`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryRolesRequest {
    pub list: ListRequest,
}

/// `GET|POST /_security/_query/api_key`: the caller's own keys, or all for who may see all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryApiKeysRequest {
    pub list: ListRequest,
    pub with_limited_by: bool,
}
