//! What this crate needs to know of the cluster, behind a trait that the node implements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_api::auth::User;
use ringwall_api::security::StoredApiKey;
use ringwall_api::security::StoredRole;
use ringwall_api::security::StoredRoleMapping;
use ringwall_api::security::StoredToken;
use ringwall_api::security::{OfApplication, StoredPrivilege};

/// Users and index names, as of the node's current cluster state. Every call is answered from
/// memory.
pub trait SecurityStore: Send + Sync + 'static {
    /// Returns a native user with its password hash.
    fn native_user(&self, username: &str) -> Option<StoredUser>;

    /// Returns what is stored about a reserved user; `None` when nothing is.
    fn reserved_user(&self, username: &str) -> Option<StoredReserved>;

    /// Returns an API key; also one that has ended, for as long as it is kept.
    fn api_key(&self, id: &str) -> Option<Arc<StoredApiKey>>;

    /// Returns the hash of a token that was made through the API for a service account.
    fn service_token(&self, principal: &str, name: &str) -> Option<String>;

    /// Returns a pair of access and refresh tokens; also one that has ended, for as long as it is kept.
    fn token(&self, id: &str) -> Option<Arc<StoredToken>>;

    /// Returns a role made through the API.
    fn role(&self, name: &str) -> Option<Arc<StoredRole>>;

    /// Returns the role mappings, by name.
    fn role_mappings(&self) -> Vec<(String, Arc<StoredRoleMapping>)>;

    /// Returns the privileges of an application, by name.
    fn application_privileges(
        &self,
        application: &str,
    ) -> Option<Arc<OfApplication<StoredPrivilege>>>;

    /// Returns a number that changes whenever any user changes.
    fn generation(&self) -> u64;

    /// Returns the names of all indices. Build them once per cluster state: every request asks.
    fn index_names(&self) -> Arc<IndexNames>;
}

/// A native user as stored.
#[derive(Debug, Clone)]
pub struct StoredUser {
    pub user: User,
    pub password_hash: String,
}

/// What is stored about a reserved user. Source: Elasticsearch reference, "Built-in users".
#[derive(Debug, Clone)]
pub struct StoredReserved {
    /// `None` until a password has been set.
    pub password_hash: Option<String>,
    pub enabled: bool,
}

/// One index as name resolution sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexNameInfo {
    pub name: String,
    /// `index.hidden`. Names that begin with a dot are treated as hidden whatever this says.
    pub hidden: bool,
    /// The UUID of one that is closed.
    pub closed: Option<String>,
    pub aliases: Vec<String>,
    /// Those of its aliases that wildcards pass over.
    pub hidden_aliases: Vec<String>,
}

/// All index names, sorted, with the aliases turned round.
#[derive(Debug, Default)]
pub struct IndexNames {
    indices: BTreeMap<String, IndexNameInfo>,
    aliases: BTreeMap<String, Vec<String>>,
    hidden_aliases: BTreeSet<String>,
}

impl IndexNames {
    /// Returns the names of the given indices.
    pub fn new(indices: impl IntoIterator<Item = IndexNameInfo>) -> Self {
        let mut names = Self::default();
        for index in indices {
            for alias in &index.aliases {
                names
                    .aliases
                    .entry(alias.clone())
                    .or_default()
                    .push(index.name.clone());
            }
            names
                .hidden_aliases
                .extend(index.hidden_aliases.iter().cloned());
            names.indices.insert(index.name.clone(), index);
        }
        names
    }

    /// Returns the indices by name.
    pub fn indices(&self) -> impl Iterator<Item = &IndexNameInfo> {
        self.indices.values()
    }

    /// Returns an index.
    pub fn index(&self, name: &str) -> Option<&IndexNameInfo> {
        self.indices.get(name)
    }

    /// Returns the aliases by name, each with the indices behind it.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.aliases
            .iter()
            .map(|(alias, indices)| (alias.as_str(), indices.as_slice()))
    }

    /// Returns whether wildcards pass the alias over.
    pub fn is_hidden_alias(&self, name: &str) -> bool {
        self.hidden_aliases.contains(name)
    }

    /// Returns the indices behind an alias.
    pub fn alias(&self, name: &str) -> Option<&[String]> {
        self.aliases.get(name).map(Vec::as_slice)
    }
}
