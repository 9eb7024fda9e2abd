//! Settings that Elasticsearch has and Ringwall has not.
//!
//! Those that ask for nothing we could get wrong are ignored with a warning, so that an existing
//! elasticsearch.yml starts. Those that protect something are refused: ignoring them would leave
//! the operator believing in a protection that is not there. Source: node.md section 1.4.

use super::profiles::split_key;

/// What to do with a setting that the registry does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Warn with the reason, and start.
    Ignored(&'static str),
    /// Do not start.
    Refused(&'static str),
    Unknown,
}

/// Judges a setting that is not in the registry.
pub(crate) fn verdict(key: &str, value: &str) -> Verdict {
    if let Some((_, advice)) = REMOVED.iter().find(|(name, _)| covers(name, key)) {
        return Verdict::Refused(advice);
    }
    if let Some(verdict) = known_realm(key, value) {
        return verdict;
    }
    if SWITCHED_OFF.contains(&key) && value == "false" {
        return Verdict::Ignored("is off, as it always is here");
    }
    if let Some((_, reason)) = REFUSED.iter().find(|(name, _)| covers(name, key)) {
        return Verdict::Refused(reason);
    }
    if key == RESERVED_REALM && value != "true" {
        return Verdict::Refused(
            "is not supported: built-in users cannot be switched off together; disable one with \
             PUT /_security/user/NAME/_disable",
        );
    }
    if is_trust_restriction(key) {
        return Verdict::Refused("is not supported: trust cannot be restricted by name yet");
    }
    match split_key(key) {
        Some((_, rest)) if rest.starts_with(".tcp.") => return Verdict::Ignored(TCP),
        Some((_, ".xpack.security.ssl.enabled")) => return Verdict::Refused(PROFILE_TLS),
        _ => {}
    }
    match IGNORED.iter().find(|(name, _)| covers(name, key)) {
        Some((_, reason)) => Verdict::Ignored(reason),
        None => Verdict::Unknown,
    }
}

/// Returns whether Elasticsearch takes a setting from the keystore only.
pub(crate) fn is_secure_elsewhere(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    last.starts_with("secure_")
        || SECURE
            .iter()
            .any(|(prefix, suffix)| key.starts_with(prefix) && key.ends_with(suffix))
}

/// Returns whether an entry of the tables, a key or a prefix that ends with a dot or an underscore, covers a key.
fn covers(entry: &str, key: &str) -> bool {
    match entry.ends_with(['.', '_']) {
        true => key.starts_with(entry),
        false => key == entry,
    }
}

/// Judges what a realm of a type that exists does not have.
fn known_realm(key: &str, value: &str) -> Option<Verdict> {
    let rest = key.strip_prefix("xpack.security.authc.realms.")?;
    let (realm_type, rest) = rest.split_once('.')?;
    let (_, setting) = rest.split_once('.')?;
    let reason = match (realm_type, setting) {
        ("pki", "delegation.enabled") if value == "false" => {
            return Some(Verdict::Ignored("is off, as it always is here"));
        }
        ("pki", "delegation.enabled") => {
            "is not supported: a certificate counts only on the connection of the client that holds its key; there \
             are no tokens that another could ask for in its name"
        }
        (_, "authorization_realms") => {
            "is not supported: roles of certificates come from the realm's own [files.role_mapping]"
        }
        ("native" | "file" | "pki", _) => {
            "is not a setting of realms of this type; see the section on realms of the settings reference"
        }
        _ => return None,
    };
    Some(Verdict::Refused(reason))
}

fn is_trust_restriction(key: &str) -> bool {
    key.starts_with("xpack.security.") && key.contains(".ssl.trust_restrictions.")
}

const RESERVED_REALM: &str = "xpack.security.authc.reserved_realm.enabled";

/// Features whose explicit `false` is always met.
const SWITCHED_OFF: &[&str] = &[
    "xpack.security.audit.enabled",
    "xpack.security.fips_mode.enabled",
    "xpack.security.operator_privileges.enabled",
    "remote_cluster_server.enabled",
];

const REMOVED: &[(&str, &str)] = &[
    (
        "node.master",
        "was removed; list the role [master] in [node.roles]",
    ),
    (
        "node.data",
        "was removed; list the role [data] in [node.roles]",
    ),
    (
        "node.ingest",
        "was removed; list the role [ingest] in [node.roles]",
    ),
    ("node.ml", "was removed; list the role [ml] in [node.roles]"),
    (
        "node.transform",
        "was removed; list the role [transform] in [node.roles]",
    ),
    (
        "node.voting_only",
        "was removed; list the role [voting_only] in [node.roles]",
    ),
    (
        "node.remote_cluster_client",
        "was removed; list the role [remote_cluster_client] in [node.roles]",
    ),
    (
        "discovery.zen.minimum_master_nodes",
        "was removed; the cluster finds its majority itself",
    ),
    (
        "discovery.zen.ping.unicast.hosts",
        "was removed; use [discovery.seed_hosts]",
    ),
    (
        "discovery.zen.",
        "was removed; see the settings [discovery.*] and [cluster.*]",
    ),
    ("transport.tcp.port", "was removed; use [transport.port]"),
    (
        "transport.tcp.connect_timeout",
        "was removed; use [transport.connect_timeout]",
    ),
    ("cluster.join.timeout", "was removed"),
    (
        "path.conf",
        "is not a setting; set the environment variable ES_PATH_CONF",
    ),
    (
        "node.max_local_storage_nodes",
        "was removed; give each node a [path.data] of its own",
    ),
    (
        "index.",
        "is a setting of an index; give it when the index is made, in its settings or in a template",
    ),
];

const REFUSED: &[(&str, &str)] = &[
    (
        "xpack.security.audit.",
        "is not supported: there is no audit log yet",
    ),
    ("xpack.security.fips_mode.", "is not supported"),
    ("xpack.security.operator_privileges.", "is not supported"),
    (
        "xpack.security.authc.anonymous.",
        "is not supported: every request must be authenticated",
    ),
    (
        "xpack.security.authc.realms.",
        "is not supported: only realms of the types native, file and pki are",
    ),
    ("xpack.security.hide_settings", "is not supported"),
    (
        "xpack.security.remote_cluster_server.",
        "is not supported: there is no remote cluster server",
    ),
    (
        "xpack.security.remote_cluster_client.",
        "is not supported: there are no remote clusters",
    ),
    (
        "remote_cluster_server.",
        "is not supported: there is no remote cluster server",
    ),
    (
        "remote_cluster.",
        "is not supported: there is no remote cluster server",
    ),
    (
        "http.type",
        "is not supported: the layer cannot be exchanged",
    ),
    (
        "transport.type",
        "is not supported: the layer cannot be exchanged",
    ),
];

/// Secure settings of features that Ringwall has not: the begin and the end of the key. Those whose last word
/// starts with `secure_` need no entry.
const SECURE: &[(&str, &str)] = &[
    ("s3.client.", ".access_key"),
    ("s3.client.", ".secret_key"),
    ("s3.client.", ".session_token"),
    ("s3.client.", ".proxy.username"),
    ("s3.client.", ".proxy.password"),
    ("gcs.client.", ".credentials_file"),
    ("azure.client.", ".account"),
    ("azure.client.", ".key"),
    ("azure.client.", ".sas_token"),
    ("cluster.remote.", ".credentials"),
    ("ingest.geoip.downloader.maxmind.", "license_key"),
    ("xpack.watcher.", "encryption_key"),
    ("tracing.apm.", "secret_token"),
    ("tracing.apm.", "api_key"),
    ("telemetry.", "secret_token"),
    ("telemetry.", "api_key"),
];

const NO_EFFECT: &str = "is ignored: it has no effect here";
const NO_FEATURE: &str = "is ignored: the feature does not exist here";
const TCP: &str = "is ignored: packets are sent at once, and links are probed by pings";
const PROFILE_TLS: &str = "is not supported: every profile has TLS where [xpack.security.transport.ssl.enabled] is \
     true, and none where it is not; remove it";

const IGNORED: &[(&str, &str)] = &[
    ("archived.", "is ignored: it was archived by an upgrade"),
    (
        "xpack.security.ssl.diagnose.trust",
        "is ignored: every refused certificate is explained",
    ),
    ("resource.reload.interval.medium", NO_EFFECT),
    ("resource.reload.interval.low", NO_EFFECT),
    ("network.tcp.", TCP),
    (
        "cluster.fault_detection.leader_check.",
        "is ignored: consensus itself notices a master that is gone",
    ),
    (
        "cluster.election.",
        "is ignored: consensus times elections itself",
    ),
    ("cluster.publish.", NO_EFFECT),
    ("cluster.follower_lag.", NO_EFFECT),
    (
        "cluster.no_master_block",
        "is ignored: without a master what changes the cluster is refused, and reads go on",
    ),
    ("path.repo", NO_FEATURE),
    ("indices.recovery.max_concurrent_", NO_EFFECT),
    ("indices.recovery.retry_delay_", NO_EFFECT),
    ("indices.recovery.internal_action_timeout", NO_EFFECT),
    ("search.default_keep_alive", NO_FEATURE),
    ("search.max_keep_alive", NO_FEATURE),
    ("search.max_open_scroll_context", NO_FEATURE),
    ("bootstrap.system_call_filter", NO_EFFECT),
    ("bootstrap.ctrlhandler", NO_EFFECT),
    ("ingest.geoip.", NO_FEATURE),
    ("xpack.ml.", NO_FEATURE),
    ("xpack.monitoring.", NO_FEATURE),
    ("xpack.watcher.", NO_FEATURE),
    ("xpack.notification.", NO_FEATURE),
    ("xpack.profiling.", NO_FEATURE),
    ("xpack.transform.", NO_FEATURE),
    ("xpack.ccr.", NO_FEATURE),
    ("xpack.ilm.", NO_FEATURE),
    ("xpack.slm.", NO_FEATURE),
    ("xpack.sql.", NO_FEATURE),
    ("xpack.eql.", NO_FEATURE),
    ("xpack.graph.", NO_FEATURE),
    ("xpack.rollup.", NO_FEATURE),
    ("xpack.searchable.snapshot.", NO_FEATURE),
    ("xpack.license.", "is ignored: there is nothing to license"),
    (
        "xpack.security.authc.token.",
        "is ignored: there is no token service yet",
    ),
    ("xpack.security.authc.api_key.", NO_EFFECT),
    ("xpack.security.authc.service_token.", NO_EFFECT),
    (
        "xpack.security.authc.service_token_hashing.algorithm",
        NO_EFFECT,
    ),
    ("xpack.security.dls.bitset.cache.", NO_EFFECT),
    ("xpack.security.authz.store.", NO_EFFECT),
    (
        RESERVED_REALM,
        "is ignored: built-in users are always there",
    ),
    ("xpack.security.automata.", NO_EFFECT),
    ("xpack.http.", NO_FEATURE),
    ("http.client_stats.", NO_FEATURE),
    ("http.compression_level", NO_EFFECT),
    ("http.detailed_errors.enabled", NO_EFFECT),
    ("http.pipelining.", NO_EFFECT),
    ("http.tcp.", NO_EFFECT),
    ("http.netty.", NO_EFFECT),
    ("http.max_warning_header_count", NO_EFFECT),
    ("http.max_warning_header_size", NO_EFFECT),
    ("network.breaker.", NO_EFFECT),
    ("transport.tcp.", NO_EFFECT),
    ("transport.netty.", NO_EFFECT),
    ("transport.compress", NO_EFFECT),
    ("transport.compression_scheme", NO_EFFECT),
    (
        "transport.ping_schedule",
        "is ignored: see [transport.ping_interval]",
    ),
    ("transport.connections_per_node.", NO_EFFECT),
    ("cluster.routing.allocation.", NO_EFFECT),
    ("cluster.routing.use_adaptive_replica_selection", NO_EFFECT),
    ("cluster.remote.", NO_FEATURE),
    ("cluster.indices.", NO_EFFECT),
    ("cluster.persistent_tasks.", NO_FEATURE),
    ("cluster.deprecation_indexing.", NO_FEATURE),
    ("cluster.service.slow_task_logging_threshold", NO_EFFECT),
    ("gateway.", NO_EFFECT),
    ("indices.breaker.", NO_EFFECT),
    ("indices.fielddata.cache.", NO_EFFECT),
    ("indices.queries.cache.", NO_EFFECT),
    ("indices.requests.cache.", NO_EFFECT),
    ("indices.memory.", NO_EFFECT),
    ("indices.recovery.", NO_EFFECT),
    ("indices.lifecycle.", NO_FEATURE),
    ("indices.id_field_data.enabled", NO_EFFECT),
    ("indexing_pressure.", NO_EFFECT),
    ("search.aggs.", NO_EFFECT),
    ("search.low_level_cancellation", NO_EFFECT),
    ("search.allow_expensive_queries", NO_EFFECT),
    ("search.keep_alive_interval", NO_EFFECT),
    ("script.", NO_FEATURE),
    ("monitor.", NO_EFFECT),
    ("thread_pool.", NO_EFFECT),
    ("reindex.", NO_FEATURE),
    ("repositories.", NO_FEATURE),
    ("s3.client.", NO_FEATURE),
    ("gcs.client.", NO_FEATURE),
    ("azure.client.", NO_FEATURE),
    ("snapshot.", NO_FEATURE),
    ("slm.", NO_FEATURE),
    ("stack.templates.enabled", NO_FEATURE),
    ("tracing.apm.", NO_FEATURE),
    ("telemetry.", NO_FEATURE),
    ("health.", NO_EFFECT),
    ("deprecation.", NO_EFFECT),
    ("readiness.port", NO_FEATURE),
    ("node.store.allow_mmap", NO_EFFECT),
    ("node.id.seed", NO_EFFECT),
    ("node.bandwidth.", NO_EFFECT),
    ("node.pidfile", "is ignored: use the option -p"),
    (
        "resource.reload.interval",
        "is ignored: see [resource.reload.interval.medium]",
    ),
    ("client.", NO_EFFECT),
    ("action.search.", NO_EFFECT),
    ("path.shared_data", NO_EFFECT),
    (
        "path.home",
        "is ignored: set the environment variable ES_HOME",
    ),
    ("processors", "is ignored: use [node.processors]"),
    ("ingest.", NO_FEATURE),
    ("logger.", NO_EFFECT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_settings_are_ignored_and_protecting_ones_refused() {
        for key in [
            "ingest.geoip.downloader.enabled",
            "xpack.ml.enabled",
            "archived.old.thing",
            "s3.client.default.access_key",
            "transport.profiles.a.tcp.keep_alive",
        ] {
            assert!(matches!(verdict(key, "true"), Verdict::Ignored(_)), "{key}");
        }
        for key in [
            "xpack.security.audit.enabled",
            "xpack.security.authc.realms.ldap.ldap1.order",
            "xpack.security.authc.realms.saml.s.ssl.trust_restrictions.path",
            "index.number_of_shards",
            "node.master",
            "transport.profiles.a.xpack.security.ssl.enabled",
        ] {
            assert!(matches!(verdict(key, "true"), Verdict::Refused(_)), "{key}");
        }
        for key in [
            "http.prot",
            "xpack.security.enabledd",
            "cluster.namee",
            "transport.profiles.a.prot",
            "transport.profiles.a.xpack.security.ssl.dual_stack.enabled",
        ] {
            assert_eq!(verdict(key, "true"), Verdict::Unknown, "{key}");
        }
    }

    #[test]
    fn what_a_realm_does_not_have_is_told() {
        const REALMS: &str = "xpack.security.authc.realms";
        for (key, value, expected) in [
            ("pki.p.delegation.enabled", "true", "holds its key"),
            ("pki.p.authorization_realms", "a", "files.role_mapping"),
            ("pki.p.username_patern", "a", "not a setting of realms"),
            ("kerberos.k.order", "1", "only realms of the types"),
        ] {
            let verdict = verdict(&format!("{REALMS}.{key}"), value);
            let Verdict::Refused(reason) = verdict else {
                panic!("{key}: {verdict:?}");
            };
            assert!(reason.contains(expected), "{key}: {reason}");
        }
        let off = verdict(&format!("{REALMS}.pki.p.delegation.enabled"), "false");
        assert!(matches!(off, Verdict::Ignored(_)));
    }

    #[test]
    fn switching_off_what_is_not_there_is_fine() {
        let off = |key| verdict(key, "false");
        assert!(matches!(
            off("xpack.security.audit.enabled"),
            Verdict::Ignored(_)
        ));
    }

    #[test]
    fn no_setting_of_the_registry_is_in_the_tables_by_its_full_key() {
        let exact = [REMOVED, REFUSED, IGNORED];
        for (entry, _) in exact
            .into_iter()
            .flatten()
            .filter(|(name, _)| !name.ends_with('.'))
        {
            let spec = super::super::registry().find(|spec| spec.info().key == *entry);
            assert!(spec.is_none(), "{entry}");
        }
    }
}
