//! When a node does not secure itself. Source: Elasticsearch reference, "Start the Elastic Stack with security
//! enabled automatically".

use std::fs;
use std::path::{Path, PathBuf};

use ringwall_settings::registry::{cluster, node, security};
use ringwall_settings::{DiscoveryType, Keystore, Settings};

use super::files::KEYSTORE_PASSWORDS;

/// Returns why the node is left as it is, to end a sentence with; `None` when it is to be secured.
pub(super) fn reason_to_skip(
    settings: &Settings,
    home: &Path,
    keystore: Option<&Keystore>,
) -> Option<String> {
    let data = data_path(settings, home);
    if !data_is_empty(&data) {
        return Some(format!("the node has data in [{}]", data.display()));
    }
    if !settings.get(&security::AUTOCONFIGURATION_ENABLED) {
        let key = security::AUTOCONFIGURATION_ENABLED.key();
        return Some(format!("[{key}] is set to [false]"));
    }
    if settings.is_set(security::SECURITY_ENABLED.key()) {
        return Some(format!("[{}] is set", security::SECURITY_ENABLED.key()));
    }
    for prefix in ["xpack.security.transport.ssl", "xpack.security.http.ssl"] {
        let set = settings.keys_with_prefix(prefix);
        let is_password = |key: &str| KEYSTORE_PASSWORDS.contains(&key);
        if let Some(key) = set.iter().find(|key| !is_password(key)) {
            return Some(format!("[{key}] is set"));
        }
    }
    let has_password = keystore.is_some_and(|keystore| {
        KEYSTORE_PASSWORDS
            .iter()
            .any(|name| keystore.contains(name))
    });
    if has_password {
        return Some("the node keystore contains password settings already".to_owned());
    }
    if is_multi_node(settings) {
        return Some("the node is configured to form a cluster with others".to_owned());
    }
    let roles = settings.get(&node::NODE_ROLES);
    if !(roles.is_master_eligible() && roles.holds_data()) {
        return Some("the node cannot be master and hold data".to_owned());
    }
    None
}

fn is_multi_node(settings: &Settings) -> bool {
    if settings.get(&cluster::DISCOVERY_TYPE) == DiscoveryType::SingleNode {
        return false;
    }
    let own = settings.get(&node::NODE_NAME);
    let masters = settings.get(&cluster::INITIAL_MASTER_NODES);
    !settings.get(&cluster::DISCOVERY_SEED_HOSTS).is_empty()
        || !settings.get(&cluster::DISCOVERY_SEED_PROVIDERS).is_empty()
        || (!masters.is_empty() && masters != [own])
}

/// Returns the node's data directory.
pub(in crate::commands) fn data_path(settings: &Settings, home: &Path) -> PathBuf {
    home.join(settings.get(&node::PATH_DATA))
}

/// Returns whether there is nothing in a directory, or no directory.
pub(in crate::commands) fn data_is_empty(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
