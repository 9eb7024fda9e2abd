//! No setting that Elasticsearch publishes is unknown: it is in force, ignored with a word, or refused with why.

use std::path::Path;

use ringwall_settings::Settings;

/// Returns what loading says of one setting; the node's own defaults say nothing.
fn problem(key: &str, value: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("elasticsearch.yml"),
        format!("{key}: {value}\n"),
    )
    .unwrap();
    let (_, problems) = Settings::load_leniently(dir.path(), &[], None);
    problems.first().map(ToString::to_string)
}

/// Beginnings of settings that are refused even with their defaults, since what they are about does not exist.
const REFUSED: [&str; 6] = [
    "indices.merge.disk.",
    "remote_cluster.",
    "xpack.security.fips_mode.",
    "xpack.security.remote_cluster",
    "xpack.security.user",
    "xpack.security.authc.realms.",
];

#[test]
fn every_published_setting_is_known_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published/8.19.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once(": ").unwrap();
        count += 1;
        let Some(problem) = problem(key, value) else {
            continue;
        };
        let is_of_cluster = problem.contains("is a setting of the whole cluster");
        // An empty text is no value.
        let is_empty = ["\"\"", "null"].contains(&value) && problem.contains("null-valued");
        let may_be_refused = REFUSED.iter().any(|start| key.starts_with(start));
        let is_refused = problem.contains("is not supported") || problem.contains("was removed");
        if !(is_of_cluster || is_empty || may_be_refused && is_refused) {
            wrong.push(problem);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 400, "{count}");
}

#[test]
fn older_names_tell_their_successor() {
    for (key, value, successor) in [
        ("xpack.ssl.key", "a", "xpack.security.transport.ssl."),
        (
            "xpack.security.authc.realms.ldap1.type",
            "ldap",
            "realms.TYPE.NAME.order",
        ),
        (
            "xpack.security.authc.realms.native1.order",
            "0",
            "realms.TYPE.NAME.order",
        ),
        (
            "discovery.zen.ping.unicast.hosts",
            "[a]",
            "discovery.seed_hosts",
        ),
        ("transport.tcp.port", "9300", "transport.port"),
        ("transport.tcp.compress", "true", "transport.compress"),
        ("bootstrap.mlockall", "true", "bootstrap.memory_lock"),
        ("node.master", "true", "node.roles"),
        ("search.remote.one.seeds", "a:9300", "cluster.remote.*"),
        ("http.read_timeout", "30s", "http.idle_timeout"),
    ] {
        let told = problem(key, value).unwrap_or_default();
        assert!(
            told.contains(successor) && !told.contains("unknown setting"),
            "{key}: {told}"
        );
    }
}

#[test]
fn what_would_change_answers_or_protection_is_refused() {
    for (key, as_it_is, other) in [
        (
            "indices.query.query_string.analyze_wildcard",
            "false",
            "true",
        ),
        (
            "indices.query.query_string.allowLeadingWildcard",
            "true",
            "false",
        ),
        ("rest.action.multi.allow_explicit_index", "true", "false"),
        ("xpack.security.dls_fls.enabled", "true", "false"),
        ("plugin.mandatory", "[]", "[analysis-icu]"),
        ("node.portsfile", "false", "true"),
    ] {
        assert_eq!(problem(key, as_it_is), None);
        let told = problem(key, other).unwrap_or_default();
        assert!(told.contains("is not supported"), "{key}: {told}");
    }
}
