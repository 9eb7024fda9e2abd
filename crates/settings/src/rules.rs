//! Rules between settings that belong to no single one. Those of TLS contexts are in the `tls` crate.

use std::collections::BTreeSet;

use crate::allocation_types::Watermarks;
use crate::problem::{Problem, Problems};
use crate::raw::Source;
use crate::realms;
use crate::registry::allocation::DISK_LOW;
use crate::registry::cluster::{DISCOVERY_SEED_PROVIDERS, DISCOVERY_TYPE, INITIAL_MASTER_NODES};
use crate::registry::indices::AUTO_CREATE_INDEX;
use crate::registry::network::{
    HTTP_MAX_CONTENT_LENGTH, TRANSPORT_MAX_MESSAGE_SIZE, TRANSPORT_PORT,
};
use crate::registry::node::{CLUSTER_NAME, NODE_NAME};
use crate::registry::profiles::{DEFAULT_PROFILE, key_in_profile};
use crate::registry::security::{PASSWORD_HASHING_ALGORITHM, SECURITY_ENABLED};
use crate::registry::ssl::{DUAL_STACK_ENABLED, TRANSPORT_SSL};
use crate::settings::Settings;
use crate::types::DiscoveryType;

/// Notes every rule that the settings break.
pub(crate) fn check(settings: &Settings, problems: &mut Problems) {
    type Rule = fn(&Settings) -> Option<String>;
    let rules: [(&str, Rule); 10] = [
        (CLUSTER_NAME.key(), cluster_name),
        (NODE_NAME.key(), node_name),
        (INITIAL_MASTER_NODES.key(), single_node),
        (INITIAL_MASTER_NODES.key(), duplicate_masters),
        (DISCOVERY_SEED_PROVIDERS.key(), seed_providers),
        (PASSWORD_HASHING_ALGORITHM.key(), hashing),
        (HTTP_MAX_CONTENT_LENGTH.key(), message_size),
        (AUTO_CREATE_INDEX.key(), auto_create),
        (DUAL_STACK_ENABLED.key(), dual_stack),
        (DISK_LOW.key(), watermarks),
    ];
    for (key, rule) in rules {
        if let Some(reason) = rule(settings) {
            let at = settings.source_of(key).unwrap_or(Source::CommandLine);
            problems.push(Problem::Conflict { at, reason });
        }
    }
    for profile in settings.profiles() {
        if let Some((key, reason)) = profile_port(settings, &profile) {
            let at = settings.source_of(&key).unwrap_or(Source::CommandLine);
            problems.push(Problem::Conflict { at, reason });
        }
    }
    for (key, reason) in realms::conflicts(settings) {
        let at = settings.source_of(&key).unwrap_or(Source::CommandLine);
        problems.push(Problem::Conflict { at, reason });
    }
}

/// A listener is only where somebody said at which port. Source: Elasticsearch reference, "Networking" (transport
/// profiles).
fn profile_port(settings: &Settings, profile: &str) -> Option<(String, String)> {
    let port = key_in_profile(profile, TRANSPORT_PORT.key());
    if profile == DEFAULT_PROFILE || settings.is_set(&port) {
        return None;
    }
    let keys = settings.keys_with_prefix(&key_in_profile(profile, "transport."));
    let given = keys.into_iter().next()?;
    let reason = format!(
        "[{given}] is set, but the transport profile [{profile}] has no port: set [{port}] to a port or a range such as \
         9500-9600, or remove the settings of the profile"
    );
    Some((given, reason))
}

fn cluster_name(settings: &Settings) -> Option<String> {
    let name = settings.get(&CLUSTER_NAME);
    (name.trim().is_empty() || name.contains(':'))
        .then(|| format!("[cluster.name] must be a text without a colon, but was [{name}]"))
}

fn dual_stack(settings: &Settings) -> Option<String> {
    let has_tls = settings.get(&SECURITY_ENABLED) && settings.get(&TRANSPORT_SSL.enabled);
    (settings.get(&DUAL_STACK_ENABLED) && !has_tls).then(|| {
        "[xpack.security.transport.ssl.dual_stack.enabled] is for nodes that have TLS: set \
         [xpack.security.transport.ssl.enabled] to [true] too, or take it out"
            .to_owned()
    })
}

fn watermarks(settings: &Settings) -> Option<String> {
    Watermarks::of(settings).err()
}

fn node_name(settings: &Settings) -> Option<String> {
    let name = settings.get(&NODE_NAME);
    name.trim()
        .is_empty()
        .then(|| "[node.name] must not be empty".to_owned())
}

/// Source: Elasticsearch reference, "Discovery and cluster formation settings" (`discovery.type`).
fn single_node(settings: &Settings) -> Option<String> {
    let is_single = settings.get(&DISCOVERY_TYPE) == DiscoveryType::SingleNode;
    (is_single && !settings.get(&INITIAL_MASTER_NODES).is_empty()).then(|| {
        "setting [cluster.initial_master_nodes] is not allowed when [discovery.type] is set to \
         [single-node]"
            .to_owned()
    })
}

fn duplicate_masters(settings: &Settings) -> Option<String> {
    let mut seen = BTreeSet::new();
    let nodes = settings.get(&INITIAL_MASTER_NODES);
    let twice = nodes.iter().find(|node| !seen.insert(node.as_str()))?;
    Some(format!(
        "setting [cluster.initial_master_nodes] contains duplicates: [{twice}] is there twice"
    ))
}

fn seed_providers(settings: &Settings) -> Option<String> {
    let providers = settings.get(&DISCOVERY_SEED_PROVIDERS);
    let unknown = providers
        .iter()
        .find(|provider| !["settings", "file"].contains(&provider.as_str()))?;
    Some(format!(
        "Unknown seed providers [{unknown}] in [discovery.seed_providers]; expected settings or file"
    ))
}

/// Source: Elasticsearch reference, "User cache and password hash algorithms".
fn hashing(settings: &Settings) -> Option<String> {
    let algorithm = settings
        .get(&PASSWORD_HASHING_ALGORITHM)
        .to_ascii_lowercase();
    let costs = |prefix: &str, allowed: &[u32]| {
        algorithm
            .strip_prefix(prefix)
            .and_then(|cost| cost.parse().ok())
            .is_some_and(|cost: u32| allowed.contains(&cost))
    };
    let is_known = ["bcrypt", "pbkdf2", "pbkdf2_stretch"].contains(&algorithm.as_str())
        || costs("bcrypt", &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
        || costs("pbkdf2_stretch_", PBKDF2_ITERATIONS)
        || costs("pbkdf2_", PBKDF2_ITERATIONS);
    (!is_known).then(|| {
        format!(
            "[xpack.security.authc.password_hashing.algorithm] is [{algorithm}]; expected bcrypt, \
             bcrypt4 to bcrypt14, pbkdf2, pbkdf2_stretch, or one of the last two with _1000, \
             _10000, _50000, _100000, _500000 or _1000000"
        )
    })
}

fn message_size(settings: &Settings) -> Option<String> {
    let body = settings.get(&HTTP_MAX_CONTENT_LENGTH);
    let message = settings.get(&TRANSPORT_MAX_MESSAGE_SIZE);
    (body >= message).then(|| {
        format!(
            "[http.max_content_length] is [{body}], but must be below [transport.max_message_size], \
             which is [{message}]: a request must fit into a message between nodes"
        )
    })
}

fn auto_create(settings: &Settings) -> Option<String> {
    let text = settings.get(&AUTO_CREATE_INDEX);
    let is_valid = text == "true"
        || text == "false"
        || text.split(',').map(str::trim).all(|pattern| {
            let name = pattern.strip_prefix(['+', '-']).unwrap_or(pattern);
            !name.is_empty()
        });
    (!is_valid).then(|| {
        format!(
            "[action.auto_create_index] is [{text}]; expected true, false, or patterns separated \
             by commas, each with + or - before it"
        )
    })
}

const PBKDF2_ITERATIONS: &[u32] = &[1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000];
