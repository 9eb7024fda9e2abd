//! APIs of Elasticsearch that are not here, refused by name: "no handler found" leaves a client guessing whether it
//! has a typing error, an old version or a missing feature. Source: the list of APIs in the Elasticsearch reference,
//! "REST APIs".

/// Returns why a path that no route serves is not served, if it is that of an API of Elasticsearch.
pub fn why(path: &str) -> Option<String> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    // First of all, or behind an index.
    let api = segments.find(|segment| segment.starts_with('_') && !segment.starts_with("_all"))?;
    if api == "_security" {
        let part = segments.next()?;
        let (name, instead) = OF_SECURITY.iter().find(|(name, _)| *name == part)?;
        return Some(format!(
            "[_security/{name}] is not supported by Ringwall; {instead}"
        ));
    }
    let (name, instead) = APIS.iter().find(|(name, _)| *name == api)?;
    let mut reason = format!("[{name}] is not supported by Ringwall");
    if !instead.is_empty() {
        reason.push_str("; ");
        reason.push_str(instead);
    }
    Some(reason)
}

/// Returns what [`why`] knows, for the reference.
pub fn names() -> impl Iterator<Item = String> {
    let of_security = OF_SECURITY.iter();
    APIS.iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(of_security.map(|(name, _)| format!("_security/{name}")))
}

/// By their first segment that begins with `_`, with what to do instead.
const APIS: &[(&str, &str)] = &[
    ("_application", ""),
    (
        "_async_search",
        "use [_search], and [GET /_tasks] to follow it",
    ),
    ("_autoscaling", ""),
    ("_ccr", ""),
    ("_clone", ""),
    ("_connector", ""),
    ("_create_from", ""),
    ("_dangling", ""),
    ("_data_stream", "write to an index or an alias"),
    ("_disk_usage", ""),
    ("_enrich", ""),
    ("_eql", ""),
    ("_esql", ""),
    ("_explain", ""),
    ("_field_usage_stats", ""),
    ("_fleet", ""),
    ("_graph", ""),
    (
        "_ilm",
        "delete indices that are no longer needed with [DELETE /{index}]",
    ),
    ("_inference", ""),
    ("_ingest", "transform documents before they are sent"),
    ("_internal", ""),
    ("_knn_search", ""),
    ("_lifecycle", ""),
    ("_logstash", ""),
    ("_ml", ""),
    ("_monitoring", "use [GET /_prometheus/metrics]"),
    ("_mtermvectors", ""),
    ("_mvt", ""),
    ("_percolate", ""),
    ("_profiling", ""),
    ("_query", "use [_search]"),
    ("_query_rules", ""),
    ("_rank_eval", ""),
    ("_reload_search_analyzers", ""),
    ("_remote", ""),
    ("_render", ""),
    ("_rollup", ""),
    ("_script_context", ""),
    ("_script_language", ""),
    ("_scripts", "there are no scripts"),
    ("_search_shards", "use [GET /_cat/shards]"),
    ("_searchable_snapshots", ""),
    ("_shrink", ""),
    ("_slm", ""),
    ("_snapshot", ""),
    ("_split", ""),
    ("_sql", "use [_search]"),
    ("_streams", ""),
    ("_synonyms", ""),
    ("_terms_enum", ""),
    ("_termvectors", ""),
    ("_text_structure", ""),
    ("_transform", ""),
    ("_unfreeze", ""),
    ("_watcher", ""),
];

/// Those of security, by their second segment.
const OF_SECURITY: &[(&str, &str)] = &[
    (
        "cross_cluster",
        "there are no remote clusters, so that no API key is for one",
    ),
    ("delegate_pki", "show the certificate to this server itself"),
    ("oidc", "there is no realm of type [oidc]"),
    ("profile", "there are no user profiles"),
    ("saml", "there is no realm of type [saml]"),
    ("settings", "security is not kept in an index"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn an_api_of_elasticsearch_is_refused_by_name() {
        for path in [
            "/_sql",
            "/_sql/translate",
            "/logs-*/_shrink/",
            "/_all/_split",
            "/_security/cross_cluster/api_key",
            "/_security/saml/prepare",
        ] {
            let reason = why(path).unwrap();
            assert!(reason.contains("is not supported by Ringwall"), "{reason}");
        }
        for path in ["/", "/_nothing", "/a/b/c", "/_search/x", "/_cat/nothing"] {
            assert_eq!(why(path), None, "{path}");
        }
    }

    /// Who adds a route takes its name out of the list.
    #[test]
    fn what_is_served_is_not_called_unsupported() {
        for path in ROUTES.iter().flat_map(|route| route.paths) {
            assert_eq!(why(path), None, "{path}");
        }
        assert!(APIS.is_sorted_by_key(|(name, _)| *name));
    }
}
