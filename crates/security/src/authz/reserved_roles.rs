//! The built-in roles. Source: Elasticsearch reference, "Built-in roles".
//!
//! Remote privileges are left out, and of the global ones all but the right to manage privileges of applications: nothing
//! here consults them. Index groups of `kibana_system` are those that Kibana's start needs.

use serde_json::json;

use super::role::{ApplicationPrivileges, IndicesPrivileges, RoleDescriptor};

/// Returns the built-in roles by name.
pub fn reserved_roles() -> impl Iterator<Item = (&'static str, RoleDescriptor)> {
    ROLES.iter().map(|role| (role.name, role.descriptor()))
}

/// Returns what service accounts may do, by principal. Source: Elasticsearch reference, "Service accounts", without
/// the privileges on API keys, which do not exist yet.
pub fn service_account_roles() -> impl Iterator<Item = (&'static str, RoleDescriptor)> {
    let as_user = |principal, role| {
        let descriptor = reserved_roles().find(|(name, _)| *name == role);
        descriptor.map(|(_, descriptor)| (principal, descriptor))
    };
    let own = SERVICE_ACCOUNT_ROLES
        .iter()
        .map(|role| (role.name, role.descriptor()));
    own.chain(as_user("elastic/kibana", "kibana_system"))
}

struct ReservedRole {
    name: &'static str,
    cluster: &'static [&'static str],
    indices: &'static [Group],
    run_as: &'static [&'static str],
}

struct Group {
    names: &'static [&'static str],
    privileges: &'static [&'static str],
    allow_restricted: bool,
}

impl ReservedRole {
    fn descriptor(&self) -> RoleDescriptor {
        RoleDescriptor {
            cluster: owned(self.cluster),
            indices: self.indices.iter().map(Group::privileges).collect(),
            applications: APPLICATIONS
                .iter()
                .filter(|(role, ..)| *role == self.name)
                .map(|(_, application, privilege)| ApplicationPrivileges {
                    application: (*application).to_owned(),
                    privileges: owned(&[privilege]),
                    resources: owned(&["*"]),
                })
                .collect(),
            run_as: owned(self.run_as),
            global: GLOBAL
                .iter()
                .find(|(role, _)| *role == self.name)
                .map(|(_, applications)| {
                    json!({"application": {"manage": {"applications": applications}}})
                }),
            metadata: [("_reserved".to_owned(), true.into())]
                .into_iter()
                .collect(),
            ..RoleDescriptor::default()
        }
    }
}

impl Group {
    fn privileges(&self) -> IndicesPrivileges {
        IndicesPrivileges {
            names: owned(self.names),
            privileges: owned(self.privileges),
            allow_restricted_indices: self.allow_restricted,
            ..IndicesPrivileges::default()
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const fn on(names: &'static [&'static str], privileges: &'static [&'static str]) -> Group {
    Group {
        names,
        privileges,
        allow_restricted: false,
    }
}

const fn on_restricted(
    names: &'static [&'static str],
    privileges: &'static [&'static str],
) -> Group {
    Group {
        names,
        privileges,
        allow_restricted: true,
    }
}

const fn role(
    name: &'static str,
    cluster: &'static [&'static str],
    indices: &'static [Group],
) -> ReservedRole {
    ReservedRole {
        name,
        cluster,
        indices,
        run_as: &[],
    }
}

/// Role, and the applications whose privileges it manages.
const GLOBAL: &[(&str, &[&str])] = &[("kibana_system", &["kibana-*"])];

/// Role, application, and the privilege that it grants on every resource.
const APPLICATIONS: &[(&str, &str, &str)] = &[
    ("superuser", "*", "*"),
    ("viewer", "kibana-.kibana", "read"),
    ("editor", "kibana-.kibana", "all"),
    ("kibana_admin", "kibana-.kibana", "all"),
    ("kibana_user", "kibana-.kibana", "all"),
    ("monitoring_user", "kibana-*", "reserved_monitoring"),
    ("machine_learning_user", "kibana-*", "reserved_ml_user"),
    ("machine_learning_admin", "kibana-*", "reserved_ml_admin"),
];

const NOT_HIDDEN: &str = "/~(([.]|ilm-history-).*)/";

#[rustfmt::skip]
const SERVICE_ACCOUNT_ROLES: &[ReservedRole] = &[
    role("elastic/fleet-server", &["monitor", "read_fleet_secrets"], &[
        on(&[
            "logs-*", "metrics-*", "traces-*", "synthetics-*", ".logs-endpoint.diagnostic.collection-*",
            ".logs-endpoint.action.responses-*",
        ], &["write", "create_index", "auto_configure"]),
        on(&["traces-apm.sampled-*"], &["read", "monitor", "maintenance"]),
        on_restricted(&[".fleet-*"], &["read", "write", "monitor", "create_index", "auto_configure", "maintenance"]),
    ]),
    role("elastic/enterprise-search-server", &["manage", "manage_security"], &[
        on(&[
            "search-*", ".ent-search-*", ".monitoring-ent-search-*", "metricbeat-ent-search-*", "enterprise-search-*",
            "logs-app_search.analytics-default", "logs-enterprise_search.api-default",
            "logs-enterprise_search.audit-default", "logs-app_search.search_relevance_suggestions-default",
            "logs-crawler-default", "logs-elastic_crawler-default", "logs-workplace_search.analytics-default",
            "logs-workplace_search.content_events-default",
        ], &["manage", "read", "write"]),
    ]),
];

#[rustfmt::skip]
const ROLES: &[ReservedRole] = &[
    ReservedRole {
        name: "superuser",
        cluster: &["all"],
        indices: &[
            on(&["*"], &["all"]),
            on_restricted(&["*"], &["monitor", "read", "view_index_metadata", "read_cross_cluster"]),
        ],
        run_as: &["*"],
    },
    role("viewer", &[], &[
        on(&[NOT_HIDDEN], &["read", "view_index_metadata"]),
        on(&[".siem-signals*", ".lists-*", ".items-*"], &["read", "view_index_metadata"]),
        on(&[".alerts*", ".preview.alerts*"], &["read", "view_index_metadata"]),
    ]),
    role("editor", &[], &[
        on(&[NOT_HIDDEN], &["read", "view_index_metadata"]),
        on(&["observability-annotations"], &["read", "view_index_metadata", "write"]),
        on(&[".siem-signals*", ".lists-*", ".items-*"], &["read", "view_index_metadata", "write", "maintenance"]),
        on(&[".internal.alerts*", ".alerts*", ".internal.preview.alerts*", ".preview.alerts*"], &["read", "view_index_metadata", "write", "maintenance"]),
    ]),
    role("kibana_admin", &[], &[]),
    role("kibana_user", &[], &[]),
    role("kibana_system", &[
        "monitor", "manage_index_templates", "manage_inference", "cluster:admin/xpack/monitoring/bulk", "manage_saml",
        "manage_token", "manage_oidc", "manage_enrich", "manage_pipeline", "manage_ilm", "monitor_connector", "manage_transform",
        "cluster:admin/xpack/security/api_key/invalidate", "grant_api_key",
        "cluster:admin/xpack/security/privilege/builtin/get", "delegate_pki",
        "cluster:admin/xpack/security/profile/get", "cluster:admin/xpack/security/profile/activate",
        "cluster:admin/xpack/security/profile/suggest", "cluster:admin/xpack/security/profile/has_privileges",
        "write_fleet_secrets", "manage_ml", "cluster:admin/analyze", "monitor_text_structure", "cancel_task",
    ], &[
        on_restricted(&[".kibana*", ".reporting-*"], &["all"]),
        on(&[".monitoring-*"], &["read", "read_cross_cluster"]),
        on(&[".management-beats"], &["create_index", "read", "write"]),
        on(&[".ml-anomalies*", ".ml-stats-*"], &["read"]),
        on(&[".ml-annotations*", ".ml-notifications*"], &["read", "write"]),
        on_restricted(&[".apm-agent-configuration", ".apm-custom-link", ".apm-source-map"], &["all"]),
        on(&["apm-*", "logs-apm.*", "metrics-apm.*", "traces-apm.*", "traces-apm-*"], &["read", "read_cross_cluster"]),
        on(&["*"], &["view_index_metadata", "monitor"]),
        on(&[".logs-endpoint.diagnostic.collection-*"], &["read", "create_index"]),
        on_restricted(&[".fleet-secrets*"], &["write", "delete", "create_index"]),
        on(&["logs-elastic_agent*"], &["read"]),
        on(&[".siem-signals*", ".lists-*", ".items-*", ".internal.alerts*", ".alerts*", ".preview.alerts*", ".internal.preview.alerts*"], &["all"]),
        on(&["metrics-endpoint.policy-*", "metrics-endpoint.metrics-*", "logs-endpoint.events.*"], &["read"]),
    ]),
    role("logstash_system", &["monitor", "cluster:admin/xpack/monitoring/bulk"], &[]),
    role("beats_system", &["monitor", "cluster:admin/xpack/monitoring/bulk"], &[
        on(&[".monitoring-beats-*"], &["create_index", "create"]),
    ]),
    role("apm_system", &["monitor", "cluster:admin/xpack/monitoring/bulk"], &[
        on(&[".monitoring-beats-*"], &["create_index", "create_doc"]),
    ]),
    role("beats_admin", &[], &[on(&[".management-beats"], &["all"])]),
    role("remote_monitoring_collector", &["monitor"], &[
        on_restricted(&["*"], &["monitor"]),
        on_restricted(&[".kibana*"], &["read"]),
    ]),
    role("remote_monitoring_agent", &[
        "manage_index_templates", "manage_ingest_pipelines", "monitor", "cluster:admin/ilm/get", "cluster:admin/ilm/put",
        "cluster:monitor/xpack/watcher/watch/get", "cluster:admin/xpack/watcher/watch/put", "cluster:admin/xpack/watcher/watch/delete",
    ], &[
        on(&[".monitoring-*"], &["all"]),
        on(&["metricbeat-*"], &["index", "create_index", "view_index_metadata", "indices:admin/aliases", "indices:admin/rollover"]),
    ]),
    role("monitoring_user", &["cluster:monitor/main", "cluster:monitor/xpack/info", "cluster:monitor/remote/info"], &[
        on(&[".monitoring-*", "/metrics-(beats|elasticsearch|enterprisesearch|kibana|logstash).*/", "metricbeat-*"], &["read", "read_cross_cluster"]),
    ]),
    role("ingest_admin", &["manage_index_templates", "manage_pipeline"], &[]),
    role("transport_client", &["transport_client"], &[]),
    role("logstash_admin", &["manage_logstash_pipelines"], &[
        on_restricted(&[".logstash*"], &["create", "delete", "index", "manage", "read"]),
    ]),
    role("snapshot_user", &["create_snapshot", "cluster:admin/repository/get"], &[
        on_restricted(&["*"], &["view_index_metadata"]),
    ]),
    role("enrich_user", &["manage_enrich", "manage_ingest_pipelines", "monitor"], &[
        on(&[".enrich-*"], &["manage", "read", "write"]),
    ]),
    role("machine_learning_user", &["monitor_ml"], &[
        on(&[".ml-anomalies*", ".ml-notifications*"], &["view_index_metadata", "read"]),
        on(&[".ml-annotations*"], &["view_index_metadata", "read", "write"]),
    ]),
    role("machine_learning_admin", &["manage_ml"], &[
        on_restricted(&[".ml-anomalies*", ".ml-notifications*", ".ml-state*", ".ml-meta*", ".ml-stats-*"], &["view_index_metadata", "read"]),
        on(&[".ml-annotations*"], &["view_index_metadata", "read", "write"]),
    ]),
    role("watcher_admin", &["manage_watcher"], &[
        on_restricted(&[".watches", ".triggered_watches", ".watcher-history-*"], &["read"]),
    ]),
    role("watcher_user", &["monitor_watcher"], &[
        on_restricted(&[".watches"], &["read"]),
        on(&[".watcher-history-*"], &["read"]),
    ]),
    role("transform_admin", &["manage_transform"], &[
        on(&[".transform-notifications-*", ".data-frame-notifications-*", ".transform-notifications-read"], &["view_index_metadata", "read"]),
    ]),
    role("transform_user", &["monitor_transform"], &[
        on(&[".transform-notifications-*", ".data-frame-notifications-*", ".transform-notifications-read"], &["view_index_metadata", "read"]),
    ]),
    role("rollup_user", &["monitor_rollup"], &[]),
    role("rollup_admin", &["manage_rollup"], &[]),
];
