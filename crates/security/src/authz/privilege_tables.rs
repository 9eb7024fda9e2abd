//! The privilege tables. Source: Elasticsearch reference, "Security privileges".
//!
//! Left out: names that grant no action.

use super::privilege::NamedPrivilege;

const fn grants(name: &'static str, grants: &'static [&'static str]) -> NamedPrivilege {
    NamedPrivilege {
        name,
        grants,
        excludes: &[],
        own_api_keys: false,
    }
}

const fn except(
    name: &'static str,
    grants: &'static [&'static str],
    excludes: &'static [&'static str],
) -> NamedPrivilege {
    NamedPrivilege {
        name,
        grants,
        excludes,
        own_api_keys: false,
    }
}

const fn own_api_keys(name: &'static str) -> NamedPrivilege {
    NamedPrivilege {
        name,
        grants: &["cluster:admin/xpack/security/api_key/*"],
        excludes: &["cluster:admin/xpack/security/api_key/grant*"],
        own_api_keys: true,
    }
}

#[rustfmt::skip]
pub(super) const CLUSTER_PRIVILEGES: &[NamedPrivilege] = &[
    grants("none", &[]),
    grants("all", &["cluster:*", "indices:admin/template/*", "indices:admin/index_template/*"]),
    except("manage", &["cluster:*", "indices:admin/template/*", "indices:admin/index_template/*"], &["cluster:admin/xpack/security/*"]),
    grants("monitor", &["cluster:monitor/*", "indices:admin/template/get", "cluster:admin/component_template/get", "indices:admin/index_template/get"]),
    grants("monitor_ml", &["cluster:monitor/xpack/ml/*"]),
    grants("manage_ml", &["cluster:monitor/xpack/ml/*", "cluster:admin/xpack/ml/*"]),
    grants("monitor_inference", &["cluster:monitor/xpack/inference*", "cluster:monitor/xpack/ml/trained_models/deployment/infer"]),
    grants("manage_inference", &["cluster:monitor/xpack/inference*", "cluster:monitor/xpack/ml/trained_models/deployment/infer", "cluster:admin/xpack/inference/*", "cluster:admin/xpack/ml/trained_models/deployment/start", "cluster:admin/xpack/ml/trained_models/deployment/stop"]),
    grants("monitor_text_structure", &["cluster:monitor/text_structure/*"]),
    grants("monitor_transform", &["cluster:monitor/data_frame/*", "cluster:monitor/transform/*"]),
    grants("monitor_data_frame_transforms", &["cluster:monitor/data_frame/*", "cluster:monitor/transform/*"]),
    grants("manage_transform", &["cluster:monitor/data_frame/*", "cluster:monitor/transform/*", "cluster:admin/data_frame/*", "cluster:admin/transform/*"]),
    grants("manage_data_frame_transforms", &["cluster:monitor/data_frame/*", "cluster:monitor/transform/*", "cluster:admin/data_frame/*", "cluster:admin/transform/*"]),
    grants("monitor_watcher", &["cluster:monitor/xpack/watcher/*"]),
    grants("manage_watcher", &["cluster:monitor/xpack/watcher/*", "cluster:admin/xpack/watcher/*"]),
    grants("monitor_rollup", &["cluster:monitor/xpack/rollup/*"]),
    grants("manage_rollup", &["cluster:monitor/xpack/rollup/*", "cluster:admin/xpack/rollup/*"]),
    grants("monitor_enrich", &["cluster:monitor/xpack/enrich/*", "cluster:admin/xpack/enrich/get"]),
    grants("manage_enrich", &["cluster:monitor/xpack/enrich/*", "cluster:admin/xpack/enrich/*"]),
    grants("monitor_connector", &["cluster:admin/xpack/connector/get", "cluster:admin/xpack/connector/list", "cluster:admin/xpack/connector/sync_job/get", "cluster:admin/xpack/connector/sync_job/list"]),
    except("manage_connector", &["cluster:admin/xpack/connector/*"], &["cluster:admin/xpack/connector/secret/*"]),
    grants("monitor_snapshot", &["cluster:admin/snapshot/status*", "cluster:admin/snapshot/get", "cluster:admin/repository/get"]),
    grants("create_snapshot", &["cluster:admin/snapshot/status*", "cluster:admin/snapshot/get", "cluster:admin/repository/get", "cluster:admin/snapshot/create"]),
    grants("monitor_stats", &["cluster:monitor/stats*"]),
    grants("manage_index_templates", &["indices:admin/template/*", "indices:admin/index_template/*", "cluster:admin/component_template/*"]),
    grants("manage_ingest_pipelines", &["cluster:admin/ingest/pipeline/*"]),
    grants("manage_pipeline", &["cluster:admin/ingest/pipeline/*"]),
    grants("read_pipeline", &["cluster:admin/ingest/pipeline/get", "cluster:admin/ingest/pipeline/simulate"]),
    grants("manage_logstash_pipelines", &["cluster:admin/logstash/pipeline/*"]),
    grants("manage_ilm", &["cluster:admin/ilm/*"]),
    grants("read_ilm", &["cluster:admin/ilm/get", "cluster:admin/ilm/operation_mode/get"]),
    grants("manage_slm", &["cluster:admin/slm/*", "cluster:admin/ilm/start", "cluster:admin/ilm/stop", "cluster:admin/ilm/operation_mode/get"]),
    grants("read_slm", &["cluster:admin/slm/status", "cluster:admin/slm/get", "cluster:admin/ilm/operation_mode/get"]),
    grants("manage_ccr", &["cluster:admin/xpack/ccr/*", "cluster:monitor/state", "cluster:admin/xpack/security/user/has_privileges"]),
    grants("read_ccr", &["cluster:monitor/state", "cluster:admin/xpack/security/user/has_privileges"]),
    grants("manage_autoscaling", &["cluster:admin/autoscaling/*"]),
    grants("cancel_task", &["cluster:admin/tasks/cancel*"]),
    grants("transport_client", &["cluster:monitor/nodes/liveness", "cluster:monitor/state"]),
    except("manage_security", &["cluster:admin/xpack/security/*"], &["cluster:admin/xpack/security/delegate_pki"]),
    grants("read_security", &["cluster:admin/xpack/security/api_key/get", "cluster:admin/xpack/security/api_key/query", "cluster:admin/xpack/security/privilege/builtin/get", "cluster:admin/xpack/security/privilege/get", "cluster:admin/xpack/security/profile/get", "cluster:admin/xpack/security/profile/has_privileges", "cluster:admin/xpack/security/profile/suggest", "cluster:admin/xpack/security/role/get", "cluster:admin/xpack/security/role/query", "cluster:admin/xpack/security/role_mapping/get", "cluster:admin/xpack/security/service_account/get", "cluster:admin/xpack/security/service_account/credential/get*", "cluster:admin/xpack/security/user/get", "cluster:admin/xpack/security/user/query", "cluster:admin/xpack/security/user/list_privileges", "cluster:admin/xpack/security/user/has_privileges", "cluster:admin/xpack/security/settings/get"]),
    grants("manage_api_key", &["cluster:admin/xpack/security/api_key/*"]),
    own_api_keys("manage_own_api_key"),
    grants("grant_api_key", &["cluster:admin/xpack/security/api_key/grant*"]),
    grants("manage_service_account", &["cluster:admin/xpack/security/service_account/*"]),
    grants("manage_user_profile", &["cluster:admin/xpack/security/profile/*"]),
    grants("manage_token", &["cluster:admin/xpack/security/token/*"]),
    grants("manage_saml", &["cluster:admin/xpack/security/saml/*", "cluster:admin/xpack/security/token/invalidate", "cluster:admin/xpack/security/token/refresh", "cluster:monitor/xpack/security/saml/metadata"]),
    grants("manage_oidc", &["cluster:admin/xpack/security/oidc/*"]),
    grants("delegate_pki", &["cluster:admin/xpack/security/delegate_pki", "cluster:admin/xpack/security/token/invalidate"]),
    grants("manage_search_application", &["cluster:admin/xpack/application/search_application/*"]),
    grants("manage_search_synonyms", &["cluster:admin/synonyms/*", "cluster:admin/synonyms_sets/*", "cluster:admin/synonym_rules/*"]),
    grants("manage_search_query_rules", &["cluster:admin/xpack/query_rules/*"]),
    grants("manage_behavioral_analytics", &["cluster:admin/xpack/application/analytics/*"]),
    grants("post_behavioral_analytics_event", &["cluster:admin/xpack/application/analytics/post_event"]),
    grants("read_fleet_secrets", &["cluster:admin/fleet/secrets/get"]),
    grants("write_fleet_secrets", &["cluster:admin/fleet/secrets/post", "cluster:admin/fleet/secrets/delete"]),
];

#[rustfmt::skip]
pub(super) const INDEX_PRIVILEGES: &[NamedPrivilege] = &[
    grants("none", &[]),
    grants("all", &["indices:*", "internal:transport/proxy/indices:*"]),
    grants("read", &["indices:data/read/*", "indices:admin/resolve/index", "indices:admin/resolve/cluster"]),
    grants("read_cross_cluster", &["internal:transport/proxy/indices:data/read/*", "indices:admin/shards/search_shards", "indices:admin/search/search_shards", "indices:admin/resolve/cluster", "indices:data/read/esql", "indices:data/read/esql/compute"]),
    grants("create", &["indices:data/write/index*", "indices:data/write/bulk*", "indices:data/write/simulate/bulk*"]),
    grants("create_doc", &["indices:data/write/index", "indices:data/write/index[*", "indices:data/write/index:op_type/create", "indices:data/write/bulk*", "indices:data/write/simulate/bulk*"]),
    grants("index", &["indices:data/write/index*", "indices:data/write/bulk*", "indices:data/write/update*", "indices:data/write/simulate/bulk*"]),
    grants("delete", &["indices:data/write/delete*", "indices:data/write/bulk*"]),
    grants("write", &["indices:data/write/*", "indices:admin/mapping/auto_put"]),
    grants("monitor", &["indices:monitor/*"]),
    grants("manage", &["indices:monitor/*", "indices:admin/*", "indices:data/read/field_caps*", "indices:data/read/xpack/rollup/get/index/caps*"]),
    grants("create_index", &["indices:admin/create", "indices:admin/auto_create", "indices:admin/data_stream/create"]),
    grants("delete_index", &["indices:admin/delete", "indices:admin/data_stream/delete"]),
    grants("view_index_metadata", &["indices:admin/aliases/get", "indices:admin/get", "indices:admin/mappings/fields/get*", "indices:admin/mappings/get", "indices:admin/shards/search_shards", "indices:admin/search/search_shards", "indices:admin/validate/query*", "indices:monitor/settings/get", "indices:admin/ilm/explain", "indices:admin/data_stream/get", "indices:admin/data_stream/lifecycle/get", "indices:admin/data_stream/lifecycle/explain", "indices:admin/resolve/index", "indices:admin/resolve/cluster", "indices:data/read/field_caps*", "indices:data/read/xpack/rollup/get/index/caps*"]),
    grants("maintenance", &["indices:admin/refresh*", "indices:admin/flush*", "indices:admin/synced_flush", "indices:admin/forcemerge*"]),
    grants("auto_configure", &["indices:admin/mapping/auto_put", "indices:admin/auto_create"]),
    grants("manage_ilm", &["indices:admin/ilm/*"]),
    grants("manage_data_stream_lifecycle", &["indices:admin/data_stream/lifecycle/*"]),
    grants("manage_follow_index", &["indices:admin/xpack/ccr/put_follow", "indices:admin/xpack/ccr/unfollow", "indices:admin/close*", "indices:admin/data_stream/promote", "indices:admin/rollover"]),
    grants("manage_leader_index", &["indices:admin/xpack/ccr/forget_follower*"]),
    grants("cross_cluster_replication", &["indices:data/read/xpack/ccr/shard_changes*", "indices:monitor/stats*", "indices:admin/seq_no/add_retention_lease*", "indices:admin/seq_no/remove_retention_lease*", "indices:admin/seq_no/renew_retention_lease*"]),
];
