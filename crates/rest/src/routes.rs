//! The route table: every endpoint there is.
//!
//! Adding an endpoint means adding a row. The tests iterate over the table, so a row cannot escape
//! the checks that it refuses strangers and users without roles.

use http::Method;
use ringwall_api::ActionRequest;
use ringwall_api::api_keys::{CreateApiKeyRequest, InvalidateApiKeysRequest, UpdateApiKeyRequest};
use ringwall_api::cluster::{ClusterRerouteRequest, PutClusterSettingsRequest};
use ringwall_api::document::{BulkRequest, MultiGetRequest};
use ringwall_api::indices::{
    CreateIndexRequest, PutMappingRequest, UpdateAliasesRequest, UpdateSettingsRequest,
};
use ringwall_api::roles::{DeleteRolesRequest, PutRolesRequest};
use ringwall_api::search::SearchRequest;
use ringwall_api::security::{PutUserRequest, SetUserEnabledRequest};
use ringwall_api::service_accounts::CreateServiceTokenRequest;
use ringwall_api::templates::{
    PutComponentTemplateRequest, PutIndexTemplateRequest, PutLegacyTemplateRequest,
    SimulateTemplateRequest,
};
use ringwall_api::tls::ReloadSecureSettingsRequest;

use crate::cat_table::CAT_PARAMS;
use crate::handlers::{
    aliases, api_keys, bulk, cat, cluster, document, indices, membership, nodes, reroute, roles,
    root, search, security, service_accounts, ssl, tasks, templates,
};
pub use crate::router::Route;

/// Builds a row from an `async fn` handler. A row that takes a body names the request that it makes of it.
macro_rules! route {
    (@body) => { false };
    (@body $request:ty) => { true };
    (@action) => { None };
    (@action $request:ty) => { Some(&<$request as ActionRequest>::ACTION) };
    // A body that anybody may send.
    ($methods:expr, $path:literal, $handler:path => open $(, $params:expr)*) => {
        Route {
            takes_body: true,
            ..route!($methods, $path, $handler $(, $params)*)
        }
    };
    ($methods:expr, $path:literal, $handler:path $(=> $request:ty)? $(, $params:expr)*) => {
        Route {
            methods: $methods,
            path: $path,
            action: route!(@action $($request)?),
            takes_body: route!(@body $($request)?),
            params: &[$($params),*],
            handler: |request| Box::pin($handler(request)),
        }
    };
}

const GET: &[Method] = &[Method::GET];
const PUT: &[Method] = &[Method::PUT];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
const GET_HEAD: &[Method] = &[Method::GET, Method::HEAD];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const PUT_POST: &[Method] = &[Method::PUT, Method::POST];

/// All routes.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    route!(GET_HEAD, "/", root::main),
    route!(GET, "/_license", root::license, &["local", "accept_enterprise"]),
    route!(GET, "/_xpack", root::xpack, &["categories", "accept_enterprise"]),
    route!(GET, "/_ssl/certificates", ssl::certificates),
    route!(GET, "/_ssl/nodes", ssl::nodes, &["timeout"]),
    route!(GET, "/_ssl/nodes/{node_id}", ssl::nodes, &["timeout"]),
    route!(GET, "/_membership", membership::get),
    route!(POST, "/_membership/{node_id}/_approve", membership::approve, &["key", "timeout"]),
    route!(DELETE, "/_membership/{node_id}", membership::forget, &["timeout"]),
    route!(GET, "/_prometheus/metrics", ssl::metrics),
    route!(GET, "/_health_report", cluster::report, cluster::REPORT_PARAMS),
    route!(GET, "/_health_report/{indicator}", cluster::report, cluster::REPORT_PARAMS),

    route!(GET, "/_cluster/health", cluster::health, cluster::HEALTH_PARAMS),
    route!(GET, "/_cluster/health/{index}", cluster::health, cluster::HEALTH_PARAMS),
    route!(GET, "/_cluster/settings", cluster::settings, cluster::SETTINGS_PARAMS),
    route!(PUT, "/_cluster/settings", cluster::put_settings => PutClusterSettingsRequest, cluster::PUT_SETTINGS_PARAMS),
    route!(POST, "/_cluster/reroute", reroute::reroute => ClusterRerouteRequest, reroute::PARAMS),
    route!(GET, "/_cluster/state", cluster::state, cluster::STATE_PARAMS),
    route!(GET, "/_cluster/state/{metrics}", cluster::state, cluster::STATE_PARAMS),
    route!(GET, "/_cluster/state/{metrics}/{index}", cluster::state, cluster::STATE_PARAMS),

    route!(GET, "/_nodes", nodes::info, nodes::INFO_PARAMS),
    route!(GET, "/_nodes/{node_id}", nodes::info, nodes::INFO_PARAMS),
    route!(GET, "/_nodes/{node_id}/{metric}", nodes::info, nodes::INFO_PARAMS),
    route!(GET, "/_nodes/stats", nodes::stats, nodes::STATS_PARAMS),
    route!(GET, "/_nodes/stats/{metric}", nodes::stats, nodes::STATS_PARAMS),
    route!(GET, "/_nodes/{node_id}/stats", nodes::stats, nodes::STATS_PARAMS),
    route!(GET, "/_nodes/{node_id}/stats/{metric}", nodes::stats, nodes::STATS_PARAMS),
    route!(GET, "/_nodes/stats/{metric}/{metric_of_indices}", nodes::stats, nodes::STATS_PARAMS),
    route!(GET, "/_nodes/{node_id}/stats/{metric}/{metric_of_indices}", nodes::stats, nodes::STATS_PARAMS),

    route!(POST, "/_nodes/reload_secure_settings", ssl::reload_secure_settings => ReloadSecureSettingsRequest, &["timeout"]),
    route!(POST, "/_nodes/{node_id}/reload_secure_settings", ssl::reload_secure_settings => ReloadSecureSettingsRequest, &["timeout"]),

    route!(GET, "/_tasks", tasks::list, tasks::LIST_PARAMS),
    route!(GET, "/_tasks/{task_id}", tasks::get, tasks::GET_PARAMS),
    route!(POST, "/_tasks/_cancel", tasks::cancel, tasks::CANCEL_PARAMS),
    route!(POST, "/_tasks/{task_id}/_cancel", tasks::cancel, tasks::CANCEL_PARAMS),

    route!(GET, "/_cat", cat::overview),
    route!(GET, "/_cat/aliases", cat::aliases, CAT_PARAMS, indices::INDICES_PARAMS),
    route!(GET, "/_cat/aliases/{name}", cat::aliases, CAT_PARAMS, indices::INDICES_PARAMS),
    route!(GET, "/_cat/allocation", cat::allocation, CAT_PARAMS),
    route!(GET, "/_cat/certificates", ssl::cat_certificates, CAT_PARAMS),
    route!(GET_POST, "/_cat/count", cat::count => SearchRequest, CAT_PARAMS),
    route!(GET_POST, "/_cat/count/{index}", cat::count => SearchRequest, CAT_PARAMS),
    route!(GET, "/_cat/health", cat::health, CAT_PARAMS),
    route!(GET, "/_cat/indices", cat::indices, CAT_PARAMS, cat::INDICES_PARAMS),
    route!(GET, "/_cat/indices/{index}", cat::indices, CAT_PARAMS, cat::INDICES_PARAMS),
    route!(GET, "/_cat/master", cat::master, CAT_PARAMS),
    route!(GET, "/_cat/nodeattrs", cat::nodeattrs, CAT_PARAMS),
    route!(GET, "/_cat/nodes", cat::nodes, CAT_PARAMS, cat::NODES_PARAMS),
    route!(GET, "/_cat/shards", cat::shards, CAT_PARAMS, cat::SHARDS_PARAMS),
    route!(GET, "/_cat/shards/{index}", cat::shards, CAT_PARAMS, cat::SHARDS_PARAMS),

    route!(PUT_POST, "/_bulk", bulk::bulk => BulkRequest, bulk::PARAMS),
    route!(PUT_POST, "/{index}/_bulk", bulk::bulk => BulkRequest, bulk::PARAMS),
    route!(POST, "/{index}/_doc", document::index => BulkRequest, document::WRITE_PARAMS),
    route!(PUT_POST, "/{index}/_doc/{id}", document::index => BulkRequest, document::WRITE_PARAMS),
    route!(GET_HEAD, "/{index}/_doc/{id}", document::get, document::READ_PARAMS),
    route!(DELETE, "/{index}/_doc/{id}", document::delete, document::DELETE_PARAMS),
    route!(PUT_POST, "/{index}/_create/{id}", document::create => BulkRequest, document::WRITE_PARAMS),
    route!(POST, "/{index}/_update/{id}", document::update => BulkRequest, document::UPDATE_PARAMS),
    route!(GET_HEAD, "/{index}/_source/{id}", document::source, document::READ_PARAMS),
    route!(GET_POST, "/_mget", document::mget => MultiGetRequest, document::MGET_PARAMS),
    route!(GET_POST, "/{index}/_mget", document::mget => MultiGetRequest, document::MGET_PARAMS),

    route!(GET_POST, "/_search", search::search => SearchRequest, search::SEARCH_PARAMS),
    route!(GET_POST, "/{index}/_search", search::search => SearchRequest, search::SEARCH_PARAMS),
    route!(GET_POST, "/_msearch", search::msearch => SearchRequest, search::MSEARCH_PARAMS),
    route!(GET_POST, "/{index}/_msearch", search::msearch => SearchRequest, search::MSEARCH_PARAMS),
    route!(GET_POST, "/_count", search::count => SearchRequest, search::COUNT_PARAMS),
    route!(GET_POST, "/{index}/_count", search::count => SearchRequest, search::COUNT_PARAMS),

    route!(PUT, "/{index}", indices::create => CreateIndexRequest, indices::MASTER_PARAMS, &["wait_for_active_shards"]),
    route!(GET_HEAD, "/{index}", indices::get, indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS, &["features"]),
    route!(DELETE, "/{index}", indices::delete, indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(GET, "/_mapping", indices::mapping, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(GET, "/_mappings", indices::mapping, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(GET, "/{index}/_mapping", indices::mapping, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(GET, "/{index}/_mappings", indices::mapping, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(PUT_POST, "/{index}/_mapping", indices::put_mapping => PutMappingRequest, indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(PUT_POST, "/{index}/_mappings", indices::put_mapping => PutMappingRequest, indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(GET, "/_settings", indices::settings, indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS),
    route!(GET, "/_settings/{name}", indices::settings, indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS),
    route!(GET, "/{index}/_settings", indices::settings, indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS),
    route!(GET, "/{index}/_settings/{name}", indices::settings, indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS),
    route!(PUT, "/_settings", indices::put_settings => UpdateSettingsRequest, indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(PUT, "/{index}/_settings", indices::put_settings => UpdateSettingsRequest, indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(GET, "/_alias", aliases::get, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(GET, "/_aliases", aliases::get, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(POST, "/_aliases", aliases::actions => UpdateAliasesRequest, indices::MASTER_PARAMS),
    route!(GET_HEAD, "/_alias/{name}", aliases::get, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(GET, "/{index}/_alias", aliases::get, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(GET_HEAD, "/{index}/_alias/{name}", aliases::get, indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(PUT_POST, "/{index}/_alias/{name}", aliases::put => UpdateAliasesRequest, indices::MASTER_PARAMS),
    route!(PUT_POST, "/{index}/_aliases/{name}", aliases::put => UpdateAliasesRequest, indices::MASTER_PARAMS),
    route!(DELETE, "/{index}/_alias/{name}", aliases::delete, indices::MASTER_PARAMS),
    route!(DELETE, "/{index}/_aliases/{name}", aliases::delete, indices::MASTER_PARAMS),
    route!(GET_POST, "/_refresh", indices::refresh, indices::INDICES_PARAMS),
    route!(GET_POST, "/{index}/_refresh", indices::refresh, indices::INDICES_PARAMS),
    route!(GET_POST, "/_flush", indices::flush, indices::INDICES_PARAMS, &["force", "wait_if_ongoing"]),
    route!(GET_POST, "/{index}/_flush", indices::flush, indices::INDICES_PARAMS, &["force", "wait_if_ongoing"]),
    route!(GET, "/_stats", indices::stats, indices::INDICES_PARAMS, &["level"]),
    route!(GET, "/{index}/_stats", indices::stats, indices::INDICES_PARAMS, &["level"]),
    route!(GET, "/_stats/{metric}", indices::stats, indices::INDICES_PARAMS, &["level"]),
    route!(GET, "/{index}/_stats/{metric}", indices::stats, indices::INDICES_PARAMS, &["level"]),

    route!(GET_HEAD, "/_component_template", templates::get_component, templates::GET_PARAMS),
    route!(GET_HEAD, "/_component_template/{name}", templates::get_component, templates::GET_PARAMS),
    route!(PUT_POST, "/_component_template/{name}", templates::put_component => PutComponentTemplateRequest, indices::MASTER_PARAMS, templates::PUT_PARAMS),
    route!(DELETE, "/_component_template/{name}", templates::delete_component, indices::MASTER_PARAMS),
    route!(GET_HEAD, "/_index_template", templates::get_index, templates::GET_PARAMS),
    route!(GET_HEAD, "/_index_template/{name}", templates::get_index, templates::GET_PARAMS),
    route!(PUT_POST, "/_index_template/{name}", templates::put_index => PutIndexTemplateRequest, indices::MASTER_PARAMS, templates::PUT_PARAMS),
    route!(DELETE, "/_index_template/{name}", templates::delete_index, indices::MASTER_PARAMS),
    route!(POST, "/_index_template/_simulate_index/{index}", templates::simulate_index, templates::GET_PARAMS),
    route!(POST, "/_index_template/_simulate", templates::simulate_template => SimulateTemplateRequest, templates::GET_PARAMS),
    route!(POST, "/_index_template/_simulate/{name}", templates::simulate_template => SimulateTemplateRequest, templates::GET_PARAMS),
    route!(GET_HEAD, "/_template", templates::get_legacy, templates::GET_PARAMS),
    route!(GET_HEAD, "/_template/{name}", templates::get_legacy, templates::GET_PARAMS),
    route!(PUT_POST, "/_template/{name}", templates::put_legacy => PutLegacyTemplateRequest, indices::MASTER_PARAMS, templates::PUT_PARAMS, &["order"]),
    route!(DELETE, "/_template/{name}", templates::delete_legacy, indices::MASTER_PARAMS),

    route!(GET, "/_security/_authenticate", security::authenticate),
    route!(PUT_POST, "/_security/api_key", api_keys::create => CreateApiKeyRequest, security::CHANGE_PARAMS),
    route!(GET, "/_security/api_key", api_keys::get, api_keys::GET_PARAMS),
    route!(DELETE, "/_security/api_key", api_keys::invalidate => InvalidateApiKeysRequest),
    route!(PUT, "/_security/api_key/{id}", api_keys::update => UpdateApiKeyRequest, security::CHANGE_PARAMS),
    route!(GET, "/_security/service", service_accounts::get),
    route!(GET, "/_security/service/{namespace}", service_accounts::get),
    route!(GET, "/_security/service/{namespace}/{service}", service_accounts::get),
    route!(GET, "/_security/service/{namespace}/{service}/credential", service_accounts::get_credentials),
    route!(PUT_POST, "/_security/service/{namespace}/{service}/credential/token", service_accounts::create_token => CreateServiceTokenRequest, security::CHANGE_PARAMS),
    route!(PUT_POST, "/_security/service/{namespace}/{service}/credential/token/{name}", service_accounts::create_token => CreateServiceTokenRequest, security::CHANGE_PARAMS),
    route!(DELETE, "/_security/service/{namespace}/{service}/credential/token/{name}", service_accounts::delete_token, security::CHANGE_PARAMS),
    route!(GET, "/_security/enroll/node", service_accounts::enroll_node),
    route!(GET, "/_security/enroll/kibana", service_accounts::enroll_kibana),
    route!(GET, "/_security/role", roles::get),
    route!(POST, "/_security/role", roles::put_many => PutRolesRequest, security::CHANGE_PARAMS),
    route!(DELETE, "/_security/role", roles::delete_many => DeleteRolesRequest, security::CHANGE_PARAMS),
    route!(GET, "/_security/role/{name}", roles::get),
    route!(PUT_POST, "/_security/role/{name}", roles::put => PutRolesRequest, security::CHANGE_PARAMS),
    route!(DELETE, "/_security/role/{name}", roles::delete, security::CHANGE_PARAMS),
    route!(GET, "/_security/privilege/_builtin", roles::builtin_privileges),
    route!(GET, "/_security/user/_privileges", roles::user_privileges),
    route!(GET_POST, "/_security/user/_has_privileges", roles::has_privileges => open),
    route!(GET_POST, "/_security/user/{username}/_has_privileges", roles::has_privileges => open),
    route!(POST, "/_security/role/{name}/_clear_cache", roles::clear_cache),
    route!(POST, "/_security/realm/{realms}/_clear_cache", roles::clear_cache),
    route!(POST, "/_security/api_key/{ids}/_clear_cache", roles::clear_cache),
    route!(POST, "/_security/privilege/{application}/_clear_cache", roles::clear_cache),
    route!(POST, "/_security/service/{namespace}/{service}/credential/token/{name}/_clear_cache", roles::clear_cache),
    route!(GET, "/_security/user", security::get_users, security::GET_PARAMS),
    route!(GET, "/_security/user/{username}", security::get_users, security::GET_PARAMS),
    route!(PUT_POST, "/_security/user/{username}", security::put_user => PutUserRequest, security::CHANGE_PARAMS),
    route!(DELETE, "/_security/user/{username}", security::delete_user, security::CHANGE_PARAMS),
    route!(PUT_POST, "/_security/user/_password", security::change_password => open, security::CHANGE_PARAMS),
    route!(PUT_POST, "/_security/user/{username}/_password", security::change_password => open, security::CHANGE_PARAMS),
    route!(PUT_POST, "/_security/user/{username}/_enable", security::enable => SetUserEnabledRequest, security::CHANGE_PARAMS),
    route!(PUT_POST, "/_security/user/{username}/_disable", security::disable => SetUserEnabledRequest, security::CHANGE_PARAMS),
];

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use ringwall_api::action::{AnyMessage, BoxFuture, ErasedRequest};
    use ringwall_api::{ApiError, ApiResult, Client, RequestContext};
    use ringwall_base::breaker::{Account, Breakers, Purpose};

    use super::*;
    use crate::memory::Parsed;
    use crate::params::Params;
    use crate::render::Rendering;
    use crate::request::RestRequest;
    use crate::service::check_format;

    /// Notes the action of each request.
    #[derive(Default)]
    struct Noting(Mutex<Option<&'static str>>);

    impl Client for Noting {
        fn execute_erased(
            &self,
            _context: RequestContext,
            request: ErasedRequest,
        ) -> BoxFuture<'_, ApiResult<AnyMessage>> {
            *self.0.lock().unwrap() = Some(request.spec().name);
            Box::pin(async { Err(ApiError::internal("there is no node here")) })
        }
    }

    /// Returns the action that a row performs for a body, if the body is one it takes.
    fn performed(route: &Route, query: &str, body: &'static str) -> Option<&'static str> {
        let params = Arc::new(Params::parse(query).unwrap());
        perform(route, params, body)
    }

    fn perform(route: &Route, params: Arc<Params>, body: &'static str) -> Option<&'static str> {
        let client = Arc::new(Noting::default());
        let variables = route.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            let value = match name {
                "task_id" => "a:1".to_owned(),
                "username" => ringwall_security::system::identity().user.username.clone(),
                name if name.starts_with("metric") => "_all".to_owned(),
                _ => "a".to_owned(),
            };
            Some((name, value))
        });
        let breakers = Breakers::unlimited();
        let request = RestRequest {
            names: crate::request::IndexNames {
                math: |name, _| Ok(name.to_owned()),
                now_ms: 0,
            },
            method: route.methods[0].clone(),
            uri_path: route.path.to_owned(),
            path_params: variables.collect(),
            params,
            body: Bytes::from_static(body.as_bytes()).into(),
            parsed: Parsed::new(Account::unlimited(), u64::MAX),
            _body_charge: breakers.open(Purpose::InFlight),
            context: RequestContext::of(ringwall_security::system::identity()),
            client: client.clone(),
            prefers_json: false,
        };
        let _ = futures::executor::block_on((route.handler)(request));
        *client.0.lock().unwrap()
    }

    const BODIES: &[&str] = &[
        "",
        "{}",
        "{}\n{}\n",
        "{\"index\":{\"_index\":\"a\"}}\n{}\n",
        r#"{"docs":[{"_index":"a","_id":"1"}]}"#,
        r#"{"doc":{}}"#,
        r#"{"persistent":{"search.max_buckets":1}}"#,
        r#"{"index":{"number_of_replicas":1}}"#,
        r#"{"properties":{}}"#,
        r#"{"name":"a"}"#,
        r#"{"ids":["a"]}"#,
        r#"{"role_descriptors":{}}"#,
        r#"{"index_patterns":["a*"]}"#,
        r#"{"roles":{}}"#,
        r#"{"names":[]}"#,
        r#"{"cluster":[]}"#,
        r#"{"commands":[]}"#,
        r#"{"actions":[{"add":{"index":"a","alias":"b"}}]}"#,
        r#"{"password":"a-long-password","roles":[]}"#,
        r#"{"password":"a-long-password"}"#,
    ];

    #[test]
    fn a_row_that_takes_a_body_names_the_action_that_it_performs() {
        for route in ROUTES {
            let Some(action) = route.action else {
                continue;
            };
            let performed = BODIES.iter().find_map(|body| performed(route, "", body));
            assert_eq!(performed, Some(action.name), "{}", route.path);
        }
    }

    /// Who may not use it at all would else have its body read first.
    #[test]
    fn every_row_that_takes_a_body_names_its_action() {
        let open: Vec<&str> = ROUTES
            .iter()
            .filter(|route| route.takes_body)
            .filter(|route| route.action.is_none())
            .map(|route| route.path)
            .collect();
        // Open to everybody about himself.
        let own = [
            "/_security/user/_has_privileges",
            "/_security/user/{username}/_has_privileges",
            "/_security/user/_password",
            "/_security/user/{username}/_password",
        ];
        assert_eq!(open, own);
    }

    /// What is taken and left out of account would be an answer to another question.
    #[test]
    fn every_parameter_is_read_before_anything_is_done() {
        for route in ROUTES {
            let mut bodies = BODIES.iter().copied();
            let needed = match route.path {
                "/_membership/{node_id}/_approve" => "key=a",
                _ => "",
            };
            let Some(body) = bodies.find(|body| performed(route, needed, body).is_some()) else {
                // It performs nothing.
                assert_eq!(route.path, "/_cat");
                continue;
            };
            for name in route.all_params() {
                let with = |value: &str| match name {
                    // These say how others are read.
                    "df" | "analyzer" | "default_operator" | "lenient" | "analyze_wildcard" => {
                        format!("q=x&{name}={value}")
                    }
                    "source" => "source={}&source_content_type=application/json".to_owned(),
                    "source_content_type" => {
                        "source={}&source_content_type=application/json".to_owned()
                    }
                    _ => format!("{name}={value}"),
                };
                let is_read = VALUES.iter().any(|value| {
                    let query = format!("{needed}&{}", with(value));
                    let params = Arc::new(Params::parse(&query).unwrap());
                    let is_taken = Rendering::default().add_params(&params).is_ok();
                    if !is_taken || check_format(route, &params).is_err() {
                        return false;
                    }
                    let performed = perform(route, params.clone(), body).is_some();
                    performed && params.unread().next().is_none()
                });
                assert!(
                    is_read,
                    "{} takes [{name}] and does not read it",
                    route.path
                );
            }
        }
    }

    /// One of them is a value that a parameter takes.
    const VALUES: &[&str] = &[
        "1",
        "true",
        "false",
        "1s",
        "a",
        "open",
        "green",
        "query_then_fetch",
        "indices",
        "node",
        "index",
        "create",
        "internal",
        "_none",
        "build",
        "settings",
        "none",
        "a:1",
        "2",
        "json",
        "normal",
        "b",
        "d",
    ];
}
