//! Named privileges and the actions behind them. Source: Elasticsearch reference, "Security privileges".

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ringwall_base::glob;

use super::pattern::wildcard_matches;
use super::privilege_tables::{CLUSTER_PRIVILEGES, INDEX_PRIVILEGES};
use crate::SecurityError;

/// A set of actions: what matches a grant and no exclusion.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    grants: Vec<String>,
    excludes: Vec<String>,
    /// Only where a request can touch nothing but API keys of the caller.
    own_api_keys: bool,
}

impl Actions {
    /// Returns whether the action is in the set, whatever the request is about.
    pub fn allow(&self, action: &str) -> bool {
        !self.own_api_keys && self.match_action(action)
    }

    /// Returns whether the action is in the set for a request about API keys of the caller alone.
    pub fn allow_on_own(&self, action: &str) -> bool {
        self.match_action(action)
    }

    fn match_action(&self, action: &str) -> bool {
        let matches = |pattern: &String| wildcard_matches(pattern, action);
        self.grants.iter().any(matches) && !self.excludes.iter().any(matches)
    }

    /// Returns sets that are this one together, so that each may be granted by another privilege.
    pub(super) fn parts(&self) -> impl Iterator<Item = Self> + '_ {
        self.grants.iter().map(|grant| Self {
            grants: vec![grant.clone()],
            excludes: self.excludes.clone(),
            own_api_keys: self.own_api_keys,
        })
    }

    /// Returns whether every action of `other` is in this set, judged by the patterns.
    pub(super) fn include(&self, other: &Self) -> bool {
        // What an exclusion may touch counts as touched, unless the other set leaves it out too.
        let touched = |pattern: &str| {
            self.excludes.iter().any(|excluded| {
                glob::overlap(excluded, pattern) && !other.excludes.contains(excluded)
            })
        };
        (!self.own_api_keys || other.own_api_keys)
            && other.grants.iter().all(|pattern| {
                self.grants
                    .iter()
                    .any(|granted| wildcard_matches(granted, pattern))
                    && !touched(pattern)
            })
    }
}

/// A row of a privilege table.
pub(super) struct NamedPrivilege {
    pub name: &'static str,
    pub grants: &'static [&'static str],
    pub excludes: &'static [&'static str],
    pub own_api_keys: bool,
}

impl NamedPrivilege {
    fn actions(&self) -> Actions {
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
        Actions {
            grants: owned(self.grants),
            excludes: owned(self.excludes),
            own_api_keys: self.own_api_keys,
        }
    }
}

/// Returns the actions of a cluster privilege: a name, or an action prefix such as
/// `cluster:monitor/health`.
pub fn cluster_privilege(name: &str) -> Result<Actions, SecurityError> {
    CLUSTER
        .resolve(
            name,
            &[
                "cluster:",
                "indices:admin/template/",
                "indices:admin/index_template/",
            ],
        )
        .ok_or_else(|| SecurityError::UnknownClusterPrivilege {
            name: name.to_owned(),
        })
}

/// Returns the actions of an index privilege: a name, or an action prefix such as
/// `indices:data/read/`.
pub fn index_privilege(name: &str) -> Result<Actions, SecurityError> {
    INDEX
        .resolve(name, &["indices:", "internal:transport/proxy/indices:"])
        .ok_or_else(|| SecurityError::UnknownIndexPrivilege {
            name: name.to_owned(),
        })
}

/// Returns the names of the cluster privileges, sorted.
pub fn cluster_privilege_names() -> Vec<&'static str> {
    CLUSTER.by_name.keys().copied().collect()
}

/// Returns the names of the index privileges, sorted.
pub fn index_privilege_names() -> Vec<&'static str> {
    INDEX.by_name.keys().copied().collect()
}

/// Returns the cluster privileges that grant an action, the least powerful first. `is_own` tells of a
/// request that is about API keys of the caller alone.
pub fn cluster_privileges_granting(action: &str, is_own: bool) -> Vec<&'static str> {
    CLUSTER.granting(action, is_own)
}

/// Returns the index privileges that grant an action, the least powerful first.
pub fn index_privileges_granting(action: &str) -> Vec<&'static str> {
    INDEX.granting(action, false)
}

/// Returns whether the action is decided by cluster privileges. Index templates are, in spite of
/// their names.
pub fn is_cluster_action(action: &str) -> bool {
    [
        "cluster:",
        "indices:admin/template/",
        "indices:admin/index_template/",
    ]
    .iter()
    .any(|prefix| action.starts_with(prefix))
}

struct Table {
    by_name: BTreeMap<&'static str, Actions>,
    /// Names by how many other privileges include them, most first.
    by_power: Vec<&'static str>,
}

impl Table {
    fn new(rows: &[NamedPrivilege]) -> Self {
        let by_name: BTreeMap<_, _> = rows.iter().map(|row| (row.name, row.actions())).collect();
        let included_in = |name: &str| {
            by_name
                .iter()
                .filter(|(other, actions)| **other != name && actions.include(&by_name[name]))
                .count()
        };
        let mut by_power: Vec<(usize, &'static str)> = by_name
            .keys()
            .map(|name| (included_in(name), *name))
            .collect();
        by_power.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        Self {
            by_power: by_power.into_iter().map(|(_, name)| name).collect(),
            by_name,
        }
    }

    fn resolve(&self, name: &str, action_prefixes: &[&str]) -> Option<Actions> {
        let lower = name.to_ascii_lowercase();
        if let Some(actions) = self.by_name.get(lower.as_str()) {
            return Some(actions.clone());
        }
        let is_action = action_prefixes
            .iter()
            .any(|prefix| lower.starts_with(prefix));
        is_action.then(|| Actions {
            grants: vec![format!("{lower}*")],
            excludes: Vec::new(),
            own_api_keys: false,
        })
    }

    fn granting(&self, action: &str, is_own: bool) -> Vec<&'static str> {
        self.by_power
            .iter()
            .filter(|name| {
                let actions = &self.by_name[**name];
                actions.allow(action) || (is_own && actions.allow_on_own(action))
            })
            .copied()
            .collect()
    }
}

static CLUSTER: LazyLock<Table> = LazyLock::new(|| Table::new(CLUSTER_PRIVILEGES));
static INDEX: LazyLock<Table> = LazyLock::new(|| Table::new(INDEX_PRIVILEGES));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn granting_lists_match_published_messages() {
        for (action, expected) in [
            ("indices:admin/create", "create_index,manage,all"),
            (
                "indices:admin/auto_create",
                "auto_configure,create_index,manage,all",
            ),
            ("indices:data/read/search", "read,all"),
            ("indices:data/write/delete/byquery", "delete,write,all"),
            (
                "indices:data/write/index:op_type/index",
                "create,index,write,all",
            ),
            (
                "indices:data/write/bulk[s]",
                "create_doc,create,delete,index,write,all",
            ),
            ("indices:admin/get", "view_index_metadata,manage,all"),
        ] {
            assert_eq!(
                index_privileges_granting(action).join(","),
                expected,
                "{action}"
            );
        }
        for (action, expected) in [
            ("cluster:monitor/health", "monitor,manage,all"),
            ("cluster:monitor/main", "monitor,manage,all"),
            (
                "cluster:admin/xpack/security/user/put",
                "manage_security,all",
            ),
            (
                "indices:admin/template/put",
                "manage_index_templates,manage,all",
            ),
        ] {
            assert_eq!(
                cluster_privileges_granting(action, false).join(","),
                expected,
                "{action}"
            );
        }
    }

    #[test]
    fn own_api_keys_take_a_lesser_privilege() {
        let create = "cluster:admin/xpack/security/api_key/create";
        for (is_own, expected) in [
            (false, "manage_api_key,manage_security,all"),
            (
                true,
                "manage_own_api_key,manage_api_key,manage_security,all",
            ),
        ] {
            assert_eq!(
                cluster_privileges_granting(create, is_own).join(","),
                expected
            );
        }
        let own = cluster_privilege("manage_own_api_key").unwrap();
        assert!(own.allow_on_own(create) && !own.allow(create));
        assert!(!own.allow_on_own("cluster:admin/xpack/security/api_key/grant"));
    }

    #[test]
    fn manage_leaves_security_out() {
        let manage = cluster_privilege("MANAGE").unwrap();
        assert!(manage.allow("cluster:admin/settings/update"));
        assert!(!manage.allow("cluster:admin/xpack/security/user/put"));
        let security = cluster_privilege("manage_security").unwrap();
        assert!(security.allow("cluster:admin/xpack/security/user/put"));
        assert!(!security.allow("cluster:admin/xpack/security/delegate_pki"));
    }

    #[test]
    fn create_doc_refuses_overwriting() {
        let create_doc = index_privilege("create_doc").unwrap();
        assert!(create_doc.allow("indices:data/write/index:op_type/create"));
        assert!(!create_doc.allow("indices:data/write/index:op_type/index"));
        assert!(!create_doc.allow("indices:data/write/update"));
    }

    #[test]
    fn raw_actions_are_prefixes_and_unknown_names_are_refused() {
        let raw = index_privilege("indices:admin/create").unwrap();
        assert!(raw.allow("indices:admin/create"));
        assert!(raw.allow("indices:admin/create_more"));
        assert!(!raw.allow("indices:admin/delete"));
        assert!(cluster_privilege("monitr").is_err());
        assert!(index_privilege("cluster:monitor/health").is_err());
    }
}
