//! Settings that Elasticsearch has and Ringwall has not.
//!
//! Those that ask for nothing we could get wrong are ignored with a warning, so that an existing
//! elasticsearch.yml starts. Those that protect something are refused: ignoring them would leave
//! the operator believing in a protection that is not there. Source: Elasticsearch reference, "Configuring
//! Elasticsearch".

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
    if let Some(verdict) = typeless_realm(key).or_else(|| known_realm(key, value)) {
        return verdict;
    }
    if SWITCHED_OFF.contains(&key) && value == "false" {
        return Verdict::Ignored("is off, as it always is here");
    }
    if AS_IT_IS
        .iter()
        .any(|(name, only)| *name == key && *only == value)
    {
        return Verdict::Ignored("is so here as well");
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

/// Judges a realm as version 6 wrote it: without its type.
fn typeless_realm(key: &str) -> Option<Verdict> {
    let rest = key.strip_prefix("xpack.security.authc.realms.")?;
    let (_name, setting) = rest.split_once('.')?;
    let is_whole = TYPELESS.contains(&setting);
    is_whole.then_some(Verdict::Refused(
        "names a realm without its type, as in version 6; write it as \
         [xpack.security.authc.realms.TYPE.NAME.order], with the type in the key instead of [type]",
    ))
}

/// What follows the name of a realm directly in version 6, and is no name of a realm.
const TYPELESS: [&str; 3] = ["type", "order", "enabled"];

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
    "xpack.security.fips_mode.enabled",
    "xpack.security.operator_privileges.enabled",
    "remote_cluster_server.enabled",
];

/// Settings that change answers, limits or protection, with the one value that is what happens here anyway. With
/// another they are refused: each is in [`REFUSED`].
const AS_IT_IS: &[(&str, &str)] = &[
    ("http.read_timeout", "0s"),
    ("http.read_timeout", "0ms"),
    ("http.read_timeout", "0"),
    ("http.type", "netty4"),
    ("http.type", "security4"),
    ("http.type.default", "netty4"),
    ("transport.type", "netty4"),
    ("transport.type", "security4"),
    ("transport.type.default", "netty4"),
    ("indices.query.query_string.analyze_wildcard", "false"),
    ("indices.query.query_string.allowLeadingWildcard", "true"),
    ("node.portsfile", "false"),
    ("plugin.mandatory", ""),
    ("plugin.mandatory", "[]"),
    ("rest.action.multi.allow_explicit_index", "true"),
    ("xpack.security.dls_fls.enabled", "true"),
];

const REMOVED: &[(&str, &str)] = &[
    (
        "xpack.ssl.",
        "was removed; write it below [xpack.security.transport.ssl.] and [xpack.security.http.ssl.], for each layer",
    ),
    (
        "xpack.security.authc.accept_default_password",
        "was removed; there is no default password",
    ),
    (
        "xpack.security.user",
        "was removed with the transport client; give clients a user over HTTP",
    ),
    (
        "xpack.security.audit.outputs",
        "was removed; the audit log is a file",
    ),
    (
        "bootstrap.mlockall",
        "was removed; use [bootstrap.memory_lock]",
    ),
    (
        "bootstrap.seccomp",
        "was removed; use [bootstrap.system_call_filter]",
    ),
    ("http.enabled", "was removed; HTTP is always on"),
    ("http.tcp_no_delay", "was removed; use [http.tcp.no_delay]"),
    (
        "http.content_type.required",
        "was removed; a request with a body always needs a content type",
    ),
    (
        "transport.tcp_no_delay",
        "was removed; use [transport.tcp.no_delay]",
    ),
    (
        "transport.tcp.compress",
        "was removed; use [transport.compress]",
    ),
    (
        "transport.ping_schedule_interval",
        "was removed; use [transport.ping_interval]",
    ),
    ("search.remote.", "was removed; use [cluster.remote.*]"),
    (
        "cluster.remote.connect",
        "was removed; list the role [remote_cluster_client] in [node.roles]",
    ),
    (
        "node.client",
        "was removed; give the node no roles: [node.roles] with an empty list",
    ),
    ("node.local", "was removed; use [discovery.type]"),
    ("node.mode", "was removed; use [discovery.type]"),
    ("path.plugins", "was removed; there are no plugins"),
    ("path.scripts", "was removed; there are no scripts in files"),
    (
        "xpack.security.transport.profiles.",
        "is not a setting; write it below [transport.profiles.NAME.xpack.security.]",
    ),
    (
        "action.master.",
        "was removed; requests have a parameter [master_timeout]",
    ),
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
        "http.read_timeout",
        "is not supported; use [http.idle_timeout], [http.header_timeout] and [http.body_timeout]",
    ),
    (
        "indices.query.query_string.",
        "is not supported: it would change what queries find; give [analyze_wildcard] or [allow_leading_wildcard] in the \
         query",
    ),
    (
        "indices.merge.disk.",
        "is not supported: merges go on until the disk is full; see [cluster.routing.allocation.disk.watermark.*]",
    ),
    (
        "node.portsfile",
        "is not supported: no files with ports are written; the log names them at start",
    ),
    (
        "plugin.mandatory",
        "is not supported: there are no plugins, so none can be demanded",
    ),
    (
        "rest.action.multi.allow_explicit_index",
        "is not supported: requests may always name indices in their bodies; restrict users by their roles",
    ),
    (
        "xpack.security.dls_fls.",
        "is not supported: the rights of roles to documents and fields are always in force",
    ),
    (
        "xpack.security.remote_cluster.",
        "is not supported: there is no remote cluster server",
    ),
    (
        "http.type.",
        "is not supported: the layer cannot be exchanged",
    ),
    (
        "transport.type.",
        "is not supported: the layer cannot be exchanged",
    ),
    ("discovery.ec2.", SEEDS),
    ("discovery.gce.", SEEDS),
    ("discovery.azure.", SEEDS),
    ("cloud.", SEEDS),
    ("xpack.security.fips_mode.", "is not supported"),
    ("xpack.security.operator_privileges.", "is not supported"),
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

const SEEDS: &str =
    "is not supported: name the hosts in [discovery.seed_hosts], or in unicast_hosts.txt";
const NO_EFFECT: &str = "is ignored: it has no effect here";
const NO_FEATURE: &str = "is ignored: the feature does not exist here";
const TCP: &str = "is ignored: packets are sent at once, and links are probed by pings";
const PROFILE_TLS: &str = "is not supported: every profile has TLS where [xpack.security.transport.ssl.enabled] is \
     true, and none where it is not; remove it";

const IGNORED: &[(&str, &str)] = &[
    ("archived.", "is ignored: it was archived by an upgrade"),
    (
        "discovery.initial_state_timeout",
        "is ignored: a node starts at once, and answers that it has no master until it has one",
    ),
    (
        "http.max_chunk_size",
        "is ignored: bodies are read in the pieces that come; [http.max_content_length] limits them",
    ),
    (
        "transport.slow_operation_logging_threshold",
        "is ignored: network threads never wait for an operation",
    ),
    (
        "cluster.max_shards_per_node.frozen",
        "is ignored: there are no frozen indices to count",
    ),
    (
        "search.max_async_search_response_size",
        "is ignored: there are no asynchronous searches",
    ),
    ("async_search.", NO_FEATURE),
    ("cache.recycler.", NO_EFFECT),
    ("ccr.", NO_FEATURE),
    ("cluster.auto_sharding.", NO_FEATURE),
    ("cluster.discovery_configuration_check.", NO_EFFECT),
    ("cluster.info.update.timeout", NO_EFFECT),
    ("cluster.join_validation.", NO_EFFECT),
    ("cluster.lifecycle.", NO_FEATURE),
    ("cluster.max_voting_config_exclusions", NO_FEATURE),
    ("cluster.nodes.reconnect_interval", NO_EFFECT),
    ("cluster.service.", NO_EFFECT),
    ("cluster.snapshot.", NO_FEATURE),
    ("cluster_state.document_page_size", NO_EFFECT),
    ("data_streams.", NO_FEATURE),
    ("enrich.", NO_FEATURE),
    ("esql.", NO_FEATURE),
    ("health_node.", NO_EFFECT),
    ("http.reset_cookies", NO_EFFECT),
    ("http.shutdown_poll_period", NO_EFFECT),
    ("http.tracer.", NO_FEATURE),
    ("indices.analysis.hunspell.", NO_FEATURE),
    ("indices.cache.cleanup_interval", NO_EFFECT),
    ("indices.mapping.dynamic_timeout", NO_EFFECT),
    ("indices.mapping.max_in_flight_updates", NO_EFFECT),
    ("indices.merge.", NO_EFFECT),
    ("indices.replication.initial_retry_backoff_bound", NO_EFFECT),
    (
        "indices.replication.retry_timeout",
        "is ignored: see [indices.replication.copy_timeout]",
    ),
    ("indices.store.", NO_EFFECT),
    ("indices.ttl.", NO_FEATURE),
    ("indices.write_ack_delay_", NO_EFFECT),
    ("inference.", NO_FEATURE),
    ("ingest_node.", NO_FEATURE),
    ("master_history.", NO_EFFECT),
    ("network.server", NO_EFFECT),
    ("network.thread.watchdog.", NO_EFFECT),
    ("node._internal.", NO_EFFECT),
    ("node.enable_lucene_segment_infos_trace", NO_EFFECT),
    ("node.external_id", NO_EFFECT),
    ("rest.incremental_bulk", NO_EFFECT),
    ("search.batched_query_phase", NO_EFFECT),
    ("search.ccs.", NO_FEATURE),
    ("search.check_ccs_compatibility", NO_FEATURE),
    ("search.highlight.term_vector_multi_value", NO_FEATURE),
    ("search.query_phase_parallel_collection_enabled", NO_EFFECT),
    ("search.worker_threads_enabled", NO_EFFECT),
    ("security.manager.", NO_EFFECT),
    ("serverless.", NO_FEATURE),
    ("transport.enable_stack_protection", NO_EFFECT),
    ("transport.features.", NO_FEATURE),
    ("transport.rst_on_close", NO_EFFECT),
    ("transport.tracer.", NO_FEATURE),
    ("xpack.analytics.", NO_FEATURE),
    ("xpack.apm_data.", NO_FEATURE),
    ("xpack.async_search.", NO_FEATURE),
    ("xpack.autoscaling.", NO_FEATURE),
    ("xpack.data_frame.", NO_FEATURE),
    ("xpack.downsample.", NO_FEATURE),
    ("xpack.enrich.", NO_FEATURE),
    ("xpack.ent_search.", NO_FEATURE),
    ("xpack.esql.", NO_FEATURE),
    ("xpack.flattened.", NO_FEATURE),
    ("xpack.frozen_indices.", NO_FEATURE),
    ("xpack.idp.", NO_FEATURE),
    ("xpack.inference.", NO_FEATURE),
    ("xpack.logsdb.", NO_FEATURE),
    ("xpack.logstash.", NO_FEATURE),
    ("xpack.otel_data.", NO_FEATURE),
    ("xpack.security.authz.timer.", NO_EFFECT),
    ("xpack.security.crypto.thread_pool.", NO_EFFECT),
    ("xpack.spatial.", NO_FEATURE),
    ("xpack.stack.template.", NO_FEATURE),
    ("xpack.upgrade.", NO_FEATURE),
    ("xpack.vectors.", NO_FEATURE),
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
        "xpack.security.authc.token.delete.",
        "is ignored: tokens that have ended go as new ones are made",
    ),
    ("xpack.security.authc.token.thread_pool.", NO_EFFECT),
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
            "xpack.security.operator_privileges.enabled",
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
            off("xpack.security.fips_mode.enabled"),
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
