//! What the pages need of a user. It decides what is linked and which forms are shown; the cluster decides what is done.

use std::collections::BTreeSet;

use serde_json::Value;

/// Privileges that a page needs: all of one of these groups. No group: everybody may use it.
pub type Needs = &'static [&'static [&'static str]];

pub const NOTHING: Needs = &[];
pub const MONITOR: Needs = &[&["monitor"]];
pub const READ_SECURITY: Needs = &[&["read_security"], &["manage_security"]];
pub const MANAGE_SECURITY: Needs = &[&["manage_security"]];
pub const API_KEYS: Needs = &[&["manage_api_key"], &["manage_own_api_key"]];
pub const INDICES: Needs = &[&["monitor", MONITOR_INDEX]];
pub const CREATE_INDICES: Needs = &[&[CREATE_INDEX]];
pub const DISCOVER: Needs = &[&[READ_INDEX]];
pub const TEMPLATES: Needs = &[&["monitor"], &["manage_index_templates"]];
pub const MANAGE: Needs = &[&["manage"]];
pub const CANCEL_TASKS: Needs = &[&["cancel_task"]];
pub const SERVICE_TOKENS: Needs = &[
    &["read_security"],
    &["manage_security"],
    &["manage_service_account"],
];
pub const MANAGE_SERVICE_TOKENS: Needs = &[&["manage_security"], &["manage_service_account"]];

/// Cluster privileges that are asked for.
pub const CLUSTER: &[&str] = &[
    "monitor",
    "manage",
    "cancel_task",
    "read_security",
    "manage_security",
    "manage_api_key",
    "manage_own_api_key",
    "manage_index_templates",
    "manage_service_account",
];

const MONITOR_INDEX: &str = "monitor of an index";
const READ_INDEX: &str = "read of an index";
const CREATE_INDEX: &str = "create_index of an index";

/// What a user may do with some index, and the index privileges that grant it.
const SOME_INDEX: &[(&str, &[&str])] = &[
    (
        MONITOR_INDEX,
        &["monitor", "cross_cluster_replication", "manage", "all"],
    ),
    (READ_INDEX, &["read", "all"]),
    (CREATE_INDEX, &["create_index", "manage", "all"]),
];

/// Returns whether these privileges are enough.
pub fn suffice(privileges: &BTreeSet<String>, needs: Needs) -> bool {
    let has = |name: &&str| privileges.contains(*name);
    needs.is_empty() || needs.iter().any(|group| group.iter().all(has))
}

/// Returns what is missing, for a reader.
pub fn told(needs: Needs) -> String {
    let groups: Vec<String> = needs.iter().map(|group| group.join(" and ")).collect();
    format!(
        "None of your roles has the privilege {}.",
        groups.join(" or ")
    )
}

/// Returns the names in [`CLUSTER`] that `_has_privileges` says yes to, and those in [`SOME_INDEX`] that the answer of
/// `_security/user/_privileges` has for any index.
pub fn found(has_privileges: &Value, own: &Value) -> BTreeSet<String> {
    let has = |name: &&&str| has_privileges["cluster"][**name] == true;
    let indices = own["indices"].as_array().into_iter().flatten();
    let granted: BTreeSet<&str> = indices
        .flat_map(|index| index["privileges"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    let of_some = SOME_INDEX
        .iter()
        .filter(|(_, grants)| grants.iter().any(|grant| granted.contains(grant)))
        .map(|(name, _)| *name);
    let cluster = CLUSTER.iter().filter(has).copied();
    cluster.chain(of_some).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_needs_all_of_one_group() {
        let cluster = json!({"cluster": {"monitor": true, "manage_security": false}});
        let none = found(&cluster, &json!({"indices": []}));
        assert!(suffice(&none, MONITOR) && suffice(&none, NOTHING));
        assert!(!suffice(&none, INDICES) && !suffice(&none, READ_SECURITY));
        let own = json!({"indices": [{"names": ["a*"], "privileges": ["read", "monitor"]}]});
        let some = found(&cluster, &own);
        assert!(suffice(&some, INDICES) && !suffice(&some, CREATE_INDICES));
        let only_index = found(&json!({}), &own);
        assert!(!suffice(&only_index, INDICES));
        assert!(told(READ_SECURITY).contains("read_security or manage_security"));
    }
}
