//! Indices of the system itself. Source: Elasticsearch reference, "Defining roles" (`allow_restricted_indices`).

use super::pattern::wildcard_matches;

/// Returns whether a role needs `allow_restricted_indices` to reach this name.
pub fn is_restricted(name: &str) -> bool {
    name.starts_with('.')
        && RESTRICTED_NAMES
            .iter()
            .any(|pattern| wildcard_matches(pattern, name))
}

/// Every name under `.security` is included, not only those in use, so that a new one starts
/// protected.
const RESTRICTED_NAMES: &[&str] = &[
    ".security*",
    ".kibana*",
    ".reporting-*",
    ".apm-agent-configuration*",
    ".apm-custom-link*",
    ".fleet-*",
    ".watches*",
    ".triggered_watches*",
    ".tasks*",
    ".ml-meta*",
    ".ml-config*",
    ".ml-inference-*",
    ".enrich-*",
    ".async-search*",
    ".transform-internal-*",
    ".logstash",
    ".geoip_databases",
    ".snapshot-blob-cache*",
    ".synonyms*",
    ".connector*",
];
