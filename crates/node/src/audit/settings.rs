//! The settings of the audit log, as they are in force.

use std::collections::BTreeMap;

use ringwall_security::audit::{Emit, IgnoreConfig, PolicyConfig};
use ringwall_security::{AuditTrail, SecurityError};
use ringwall_settings::registry::audit;
use ringwall_settings::{AffixSetting, Patterns, Settings, WhenFull};

use super::file::Rotation;
use super::log::Limits;

/// Returns which events are written.
pub fn policy(settings: &Settings) -> PolicyConfig {
    PolicyConfig {
        include: settings.get(&audit::INCLUDE),
        exclude: settings.get(&audit::EXCLUDE),
        emit_request_body: settings.get(&audit::EMIT_REQUEST_BODY),
        emit: Emit {
            cluster_name: settings.get(&audit::EMIT_CLUSTER_NAME),
            cluster_uuid: settings.get(&audit::EMIT_CLUSTER_UUID),
            node_name: settings.get(&audit::EMIT_NODE_NAME),
            node_id: settings.get(&audit::EMIT_NODE_ID),
            host_name: settings.get(&audit::EMIT_HOST_NAME),
            host_address: settings.get(&audit::EMIT_HOST_ADDRESS),
        },
        ignore: ignored(settings).into_values().collect(),
    }
}

/// Returns the policies of events that are not written, by name.
fn ignored(settings: &Settings) -> BTreeMap<String, IgnoreConfig> {
    type Field = fn(&mut IgnoreConfig) -> &mut Option<Vec<String>>;
    let fields: [(&AffixSetting<Patterns>, Field); 5] = [
        (&audit::IGNORE.users, |policy| &mut policy.users),
        (&audit::IGNORE.realms, |policy| &mut policy.realms),
        (&audit::IGNORE.roles, |policy| &mut policy.roles),
        (&audit::IGNORE.indices, |policy| &mut policy.indices),
        (&audit::IGNORE.actions, |policy| &mut policy.actions),
    ];
    let mut policies: BTreeMap<String, IgnoreConfig> = BTreeMap::new();
    for (family, field) in fields {
        for (name, Patterns(patterns)) in settings.family(family) {
            *field(policies.entry(name).or_default()) = Some(patterns);
        }
    }
    policies
}

/// Returns how much is kept.
pub fn limits(settings: &Settings) -> Limits {
    Limits {
        rotation: Rotation {
            max_bytes: settings.get(&audit::MAX_SIZE).bytes(),
            max_files: settings.get(&audit::MAX_FILES),
        },
        queue: usize::try_from(settings.get(&audit::QUEUE_SIZE).bytes()).unwrap_or(usize::MAX),
        refuse_when_full: settings.get(&audit::WHEN_FULL) == WhenFull::Refuse,
    }
}

/// Refuses settings that could not be taken over.
///
/// # Errors
/// A type of events that does not exist, a pattern that cannot be matched exactly.
pub fn check(settings: &Settings) -> Result<(), SecurityError> {
    AuditTrail::check(&policy(settings))
}
