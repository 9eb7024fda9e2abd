//! The built-in users. Source: Elasticsearch reference, "Built-in users".

use ringwall_api::auth::User;
use serde_json::{Map, Value};

/// The user whose first password is the keystore's `bootstrap.password`.
pub const ELASTIC: &str = "elastic";

/// Returns the names of the reserved users.
pub fn names() -> impl Iterator<Item = &'static str> {
    RESERVED_USERS.iter().map(|user| user.name)
}

/// Returns whether the name belongs to a reserved user.
pub fn is_reserved(username: &str) -> bool {
    names().any(|name| name == username)
}

/// Returns whether the name belongs to a node acting for itself; nobody logs in as one.
pub fn is_internal(username: &str) -> bool {
    INTERNAL_USERS.contains(&username)
}

/// Returns a reserved user with its roles and metadata, or `None` for any other name.
pub fn user(username: &str, enabled: bool) -> Option<User> {
    let reserved = RESERVED_USERS.iter().find(|user| user.name == username)?;
    let mut metadata = Map::new();
    metadata.insert("_reserved".to_owned(), Value::Bool(true));
    if let Some(reason) = reserved.deprecated {
        metadata.insert("_deprecated".to_owned(), Value::Bool(true));
        metadata.insert("_deprecated_reason".to_owned(), reason.into());
    }
    Some(User {
        username: username.to_owned(),
        roles: reserved
            .roles
            .iter()
            .map(|role| (*role).to_owned())
            .collect(),
        full_name: None,
        email: None,
        metadata,
        enabled,
    })
}

struct ReservedUser {
    name: &'static str,
    roles: &'static [&'static str],
    deprecated: Option<&'static str>,
}

const fn reserved(name: &'static str, roles: &'static [&'static str]) -> ReservedUser {
    ReservedUser {
        name,
        roles,
        deprecated: None,
    }
}

const RESERVED_USERS: &[ReservedUser] = &[
    reserved(ELASTIC, &["superuser"]),
    reserved("kibana_system", &["kibana_system"]),
    ReservedUser {
        name: "kibana",
        roles: &["kibana_system"],
        deprecated: Some("Please use the [kibana_system] user instead."),
    },
    reserved("logstash_system", &["logstash_system"]),
    reserved("beats_system", &["beats_system"]),
    reserved("apm_system", &["apm_system"]),
    reserved(
        "remote_monitoring_user",
        &["remote_monitoring_collector", "remote_monitoring_agent"],
    ),
];

const INTERNAL_USERS: &[&str] = &[
    "_system",
    "_xpack",
    "_xpack_security",
    "_async_search",
    "_storage",
    "_security_profile",
    "_security_solution",
    "_cross_cluster_access",
];
