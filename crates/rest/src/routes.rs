//! The route table: every endpoint there is.
//!
//! Adding an endpoint means adding a row. Tests walk the table, so that no row escapes them: each refuses strangers and
//! users without rights (`crates/node/tests/cluster/routes.rs`), reads its parameters before it does anything (here), and
//! is described (`docs/api.md`).

use std::sync::LazyLock;

use http::Method;
use ringwall_api::ActionRequest;
use ringwall_api::cluster::{
    AllocationExplainRequest, ApproveNodeRequest, ForgetNodeRequest, GetDeprecationsRequest,
    GetFeatureUpgradesRequest, GetFeaturesRequest, GetRepositoriesRequest, GetSnapshotsRequest,
    MembershipRequest,
};
use ringwall_api::cluster::{CancelTasksRequest, GetTaskRequest, ListTasksRequest};
use ringwall_api::cluster::{
    ClusterRerouteRequest, ClusterStateRequest, ClusterStatsRequest, GetClusterSettingsRequest,
    HealthRequest, MainRequest, PendingTasksRequest, PutClusterSettingsRequest,
};
use ringwall_api::cluster::{HealthReportRequest, MetricsRequest};
use ringwall_api::document::{BulkRequest, GetRequest, MultiGetRequest};
use ringwall_api::indices::ShardTableRequest;
use ringwall_api::indices::{
    AddIndexBlockRequest, AnalyzeInIndexRequest, AnalyzeRequest, ClearCacheRequest,
    CloseIndexRequest, CreateIndexRequest, DeleteIndexRequest, FlushRequest, ForceMergeRequest,
    GetFieldMappingsRequest, GetIndexRequest, IndicesStatsRequest, OpenIndexRequest,
    PutMappingRequest, RecoveryRequest, RefreshRequest, ResolveClusterRequest, ResolveIndexRequest,
    RolloverRequest, SegmentsRequest, ShardStoresRequest, UpdateAliasesRequest,
    UpdateSettingsRequest,
};
use ringwall_api::indices::{
    DeleteComponentTemplatesRequest, DeleteIndexTemplatesRequest, DeleteLegacyTemplatesRequest,
    GetComponentTemplatesRequest, GetIndexTemplatesRequest, GetLegacyTemplatesRequest,
    PutComponentTemplateRequest, PutIndexTemplateRequest, PutLegacyTemplateRequest,
    SimulateIndexRequest, SimulateTemplateRequest,
};
use ringwall_api::nodes::{NodesInfoRequest, NodesStatsRequest};
use ringwall_api::nodes::{NodesTlsRequest, ReloadSecureSettingsRequest};
use ringwall_api::search::FieldCapsRequest;
use ringwall_api::search::{
    ClearAllScrollsRequest, ClearScrollRequest, ClosePitRequest, OpenPitRequest, PitSearchRequest,
    ScrollRequest, SearchRequest, ValidateQueryRequest,
};
use ringwall_api::search::{
    DeleteByQueryRequest, ReindexRequest, RethrottleRequest, UpdateByQueryRequest,
};
use ringwall_api::security::SslCertificatesRequest;
use ringwall_api::security::{
    AuthenticateRequest, ChangePasswordRequest, DeleteUserRequest, GetUsersRequest, PutUserRequest,
    SearchAuditRequest, SetUserEnabledRequest,
};
use ringwall_api::security::{
    BulkUpdateApiKeysRequest, CreateApiKeyRequest, GetApiKeysRequest, GrantApiKeyRequest,
    InvalidateApiKeysRequest, UpdateApiKeyRequest,
};
use ringwall_api::security::{
    ClearSecurityCacheRequest, DeleteRolesRequest, GetBuiltinPrivilegesRequest, GetRolesRequest,
    GetUserPrivilegesRequest, HasPrivilegesRequest, PutRolesRequest,
};
use ringwall_api::security::{
    CreateServiceTokenRequest, DeleteServiceTokenRequest, EnrollKibanaRequest, EnrollNodeRequest,
    GetServiceAccountsRequest, GetServiceCredentialsRequest,
};
use ringwall_api::security::{CreateTokenRequest, InvalidateTokensRequest, RefreshTokenRequest};
use ringwall_api::security::{DeletePrivilegesRequest, GetPrivilegesRequest, PutPrivilegesRequest};
use ringwall_api::security::{
    DeleteRoleMappingRequest, GetRoleMappingsRequest, PutRoleMappingRequest,
};
use ringwall_api::security::{QueryApiKeysRequest, QueryRolesRequest, QueryUsersRequest};

use crate::handlers::{cat, cluster, document, indices, nodes, search, security};
use crate::router::Router;
pub use crate::router::{Route, TakesBody};

/// Builds a row from an `async fn` handler: its family, methods and paths, the requests that it makes (the first one
/// first), whether it takes a body, what it is for, and groups of parameters.
macro_rules! route {
    (@body) => { TakesBody::Never };
    (@body body) => { TakesBody::OfWhoMay };
    (@body open) => { TakesBody::OfAnybody };
    (
        $family:ident $methods:ident [$($path:literal),+] $handler:path
            => [$($request:ident),*] $($body:ident)?, $summary:literal $(, $params:expr)*
    ) => {
        Route {
            family: stringify!($family),
            methods: $methods,
            paths: &[$($path),+],
            actions: &[$(&<$request as ActionRequest>::ACTION),*],
            takes_body: route!(@body $($body)?),
            summary: $summary,
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

/// The routes by path.
pub static ROUTER: LazyLock<Router> = LazyLock::new(|| Router::new(ROUTES));

/// All routes.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    route!(cluster GET_HEAD ["/"] cluster::root::main => [MainRequest], "Names the node, its cluster and its version."),
    route!(cluster GET ["/_license"] cluster::root::license => [MainRequest], "Tells of a licence that does not end: nothing here needs one.", &["local", "accept_enterprise"]),
    route!(cluster GET ["/_xpack"] cluster::root::xpack => [MainRequest], "Lists the features of Elasticsearch with whether they are here.", &["categories", "accept_enterprise"]),
    route!(tls GET ["/_ssl/certificates"] security::certificates => [SslCertificatesRequest], "Lists the certificates in use by the node that answers."),
    route!(tls GET ["/_ssl/nodes", "/_ssl/nodes/{node_id}"] nodes::tls => [NodesTlsRequest], "Tells what each node uses for TLS: certificates, links, files that did not load.", &["timeout"]),
    route!(membership GET ["/_membership"] cluster::membership::get => [MembershipRequest], "Lists the nodes that are known by their keys, and those that wait to be."),
    route!(membership POST ["/_membership/{node_id}/_approve"] cluster::membership::approve => [ApproveNodeRequest], "Lets a node that waits become a member.", &["key", "timeout"]),
    route!(membership DELETE ["/_membership/{node_id}"] cluster::membership::forget => [ForgetNodeRequest], "Forgets the key of a node that has left.", &["timeout"]),
    route!(cluster GET ["/_prometheus/metrics"] cluster::metrics => [MetricsRequest], "Tells the numbers of the cluster in the text format of Prometheus."),
    route!(cluster GET ["/_health_report", "/_health_report/{indicator}"] cluster::report => [HealthReportRequest], "Tells what is wrong, what it means and what to do.", cluster::REPORT_PARAMS),

    route!(cluster GET ["/_cluster/health", "/_cluster/health/{index}"] cluster::health => [HealthRequest], "Tells whether every shard has its copies, and waits until it has.", cluster::HEALTH_PARAMS),
    route!(cluster GET ["/_cluster/settings"] cluster::settings => [GetClusterSettingsRequest], "Returns the settings of the cluster that are set, and the defaults.", cluster::SETTINGS_PARAMS),
    route!(cluster PUT ["/_cluster/settings"] cluster::put_settings => [PutClusterSettingsRequest] body, "Changes dynamic settings of all nodes.", cluster::PUT_SETTINGS_PARAMS),
    route!(cluster POST ["/_cluster/reroute"] cluster::reroute::reroute => [ClusterRerouteRequest, ClusterStateRequest] body, "Moves, allocates or cancels copies of shards.", cluster::reroute::PARAMS),
    route!(cluster GET ["/_cluster/state", "/_cluster/state/{metrics}", "/_cluster/state/{metrics}/{index}"] cluster::state => [ClusterStateRequest], "Returns the state of the cluster as the node that answers has it.", cluster::STATE_PARAMS),

    route!(cluster GET ["/_cluster/stats", "/_cluster/stats/nodes/{node_id}"] cluster::stats::stats => [ClusterStatsRequest], "Returns the numbers of the whole cluster.", cluster::stats::PARAMS),
    route!(cluster GET_POST ["/_cluster/allocation/explain"] cluster::allocation_explain::explain => [AllocationExplainRequest] body, "Tells why a copy of a shard is where it is, or on no node.", cluster::allocation_explain::PARAMS),
    route!(cluster GET ["/_features"] cluster::absent::features => [GetFeaturesRequest], "Lists features whose state could be in a snapshot: there are none.", &["master_timeout"]),
    route!(cluster GET ["/_migration/deprecations"] cluster::absent::deprecations => [GetDeprecationsRequest], "Lists what is in use and will not be there in a later version: nothing."),
    route!(cluster GET ["/_migration/system_features"] cluster::absent::feature_upgrades => [GetFeatureUpgradesRequest], "Lists features whose indices an older version has made: none."),
    route!(cluster GET ["/_cluster/pending_tasks"] cluster::pending_tasks => [PendingTasksRequest], "Lists the changes of the cluster state that are not made yet.", indices::LOCAL_PARAMS),

    route!(nodes GET ["/_nodes", "/_nodes/{node_id}", "/_nodes/{node_id}/{metric}"] nodes::info => [NodesInfoRequest], "Describes nodes: names, addresses, roles, versions, settings.", nodes::INFO_PARAMS),
    route!(nodes GET ["/_nodes/stats", "/_nodes/stats/{metric}", "/_nodes/{node_id}/stats", "/_nodes/{node_id}/stats/{metric}", "/_nodes/stats/{metric}/{metric_of_indices}", "/_nodes/{node_id}/stats/{metric}/{metric_of_indices}"] nodes::stats => [NodesStatsRequest], "Returns the numbers of nodes: memory, disks, threads, breakers, indices.", nodes::STATS_PARAMS),

    route!(nodes POST ["/_nodes/reload_secure_settings", "/_nodes/{node_id}/reload_secure_settings"] nodes::reload_secure_settings => [ReloadSecureSettingsRequest] body, "Has nodes read their keystores again.", &["timeout"]),

    route!(tasks GET ["/_tasks"] cluster::tasks::list => [ListTasksRequest], "Lists what nodes are doing.", cluster::tasks::LIST_PARAMS),
    route!(tasks GET ["/_tasks/{task_id}"] cluster::tasks::get => [GetTaskRequest], "Describes one task.", cluster::tasks::GET_PARAMS),
    route!(tasks POST ["/_tasks/_cancel", "/_tasks/{task_id}/_cancel"] cluster::tasks::cancel => [CancelTasksRequest], "Cancels tasks.", cluster::tasks::CANCEL_PARAMS),

    route!(cat GET ["/_cat"] cat::overview => [], "Lists the tables."),
    route!(cat GET ["/_cat/aliases", "/_cat/aliases/{name}"] cat::table::<cat::Aliases> => [GetIndexRequest], "A table of aliases.", cat::CAT_PARAMS, indices::INDICES_PARAMS),
    route!(cat GET ["/_cat/allocation"] cat::table::<cat::Allocation> => [NodesStatsRequest, ClusterStateRequest], "A table of nodes with their shards and disks.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/certificates"] cat::table::<cat::Certificates> => [NodesTlsRequest], "A table of the certificates in use by all nodes.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/component_templates", "/_cat/component_templates/{name}"] cat::table::<cat::ComponentTemplates> => [GetComponentTemplatesRequest, GetIndexTemplatesRequest], "A table of component templates.", cat::CAT_PARAMS),
    route!(cat GET_POST ["/_cat/count", "/_cat/count/{index}"] cat::table::<cat::Count> => [SearchRequest] body, "The number of documents.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/fielddata", "/_cat/fielddata/{fields}"] cat::table::<cat::Fielddata> => [NodesStatsRequest], "A table of the memory that fields take: none does.", cat::CAT_PARAMS, &["fields"]),
    route!(cat GET ["/_cat/health"] cat::table::<cat::Health> => [HealthRequest], "The health of the cluster in one line.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/indices", "/_cat/indices/{index}"] cat::table::<cat::Indices> => [ShardTableRequest], "A table of indices with their documents and sizes.", cat::CAT_PARAMS, cat::INDICES_PARAMS),
    route!(cat GET ["/_cat/master"] cat::table::<cat::Master> => [NodesInfoRequest], "Which node is the master.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/nodeattrs"] cat::table::<cat::NodeAttributes> => [NodesInfoRequest], "A table of the attributes of nodes.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/nodes"] cat::table::<cat::Nodes> => [NodesInfoRequest, NodesStatsRequest], "A table of nodes with their load.", cat::CAT_PARAMS, cat::NODES_PARAMS),
    route!(cat GET ["/_cat/pending_tasks"] cat::table::<cat::PendingTasks> => [PendingTasksRequest], "A table of the changes of the cluster state that are not made yet.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/plugins"] cat::table::<cat::Plugins> => [NodesInfoRequest], "A table of plugins: there are none.", cat::CAT_PARAMS, &["include_bootstrap"]),
    route!(cat GET ["/_cat/shards", "/_cat/shards/{index}"] cat::table::<cat::Shards> => [ShardTableRequest], "A table of the copies of shards.", cat::CAT_PARAMS, cat::SHARDS_PARAMS),
    route!(cat GET ["/_cat/segments", "/_cat/segments/{index}"] cat::table::<cat::Segments> => [SegmentsRequest, ClusterStateRequest], "A table of the segments of indices.", cat::CAT_PARAMS, indices::INDICES_PARAMS),
    route!(cat GET ["/_cat/recovery", "/_cat/recovery/{index}"] cat::table::<cat::Recovery> => [RecoveryRequest], "A table of how copies of shards came to be what they are.", cat::CAT_PARAMS, indices::INDICES_PARAMS, indices::recovery::PARAMS),
    route!(cat GET ["/_cat/repositories"] cat::table::<cat::Repositories> => [GetRepositoriesRequest], "An empty table: there are no snapshots.", cat::CAT_PARAMS, indices::LOCAL_PARAMS),
    route!(cat GET ["/_cat/snapshots", "/_cat/snapshots/{repository}"] cat::table::<cat::Snapshots> => [GetSnapshotsRequest], "An empty table: there are no snapshots.", cat::CAT_PARAMS, &["ignore_unavailable", "master_timeout"]),
    route!(cat GET ["/_cat/tasks"] cat::table::<cat::Tasks> => [ListTasksRequest], "A table of what nodes are doing.", cat::CAT_PARAMS, cat::TASKS_PARAMS),
    route!(cat GET ["/_cat/templates", "/_cat/templates/{name}"] cat::table::<cat::Templates> => [GetLegacyTemplatesRequest, GetIndexTemplatesRequest], "A table of templates.", cat::CAT_PARAMS),
    route!(cat GET ["/_cat/thread_pool", "/_cat/thread_pool/{thread_pools}"] cat::table::<cat::ThreadPools> => [NodesStatsRequest], "A table of the pools of threads of nodes.", cat::CAT_PARAMS),

    route!(document PUT_POST ["/_bulk", "/{index}/_bulk"] document::bulk::bulk => [BulkRequest] body, "Writes many documents.", document::bulk::PARAMS),
    route!(document POST ["/{index}/_delete_by_query"] search::by_query::delete => [DeleteByQueryRequest] body, "Deletes the documents that a query matches.", search::by_query::DELETE_PARAMS),
    route!(document POST ["/{index}/_update_by_query"] search::by_query::update => [UpdateByQueryRequest] body, "Indexes the documents that a query matches again, as they are.", search::by_query::DELETE_PARAMS, search::by_query::UPDATE_PARAMS),
    route!(document POST ["/_reindex"] search::reindex::reindex => [ReindexRequest] body, "Copies documents from indices into another.", search::by_query::REINDEX_PARAMS),
    route!(document POST ["/_delete_by_query/{task_id}/_rethrottle", "/_update_by_query/{task_id}/_rethrottle", "/_reindex/{task_id}/_rethrottle"] search::by_query::rethrottle => [RethrottleRequest], "Makes a task by query faster or slower.", search::by_query::RETHROTTLE_PARAMS),
    route!(document POST ["/{index}/_doc"] document::index => [BulkRequest] body, "Writes a document.", document::WRITE_PARAMS),
    route!(document PUT_POST ["/{index}/_doc/{id}"] document::index => [BulkRequest] body, "Writes a document.", document::WRITE_PARAMS),
    route!(document GET_HEAD ["/{index}/_doc/{id}"] document::get => [GetRequest], "Returns a document.", document::READ_PARAMS),
    route!(document DELETE ["/{index}/_doc/{id}"] document::delete => [BulkRequest], "Deletes a document.", document::DELETE_PARAMS),
    route!(document PUT_POST ["/{index}/_create/{id}"] document::create => [BulkRequest] body, "Writes a document that must not be there yet.", document::WRITE_PARAMS),
    route!(document POST ["/{index}/_update/{id}"] document::update => [BulkRequest] body, "Changes a part of a document.", document::UPDATE_PARAMS),
    route!(document GET_HEAD ["/{index}/_source/{id}"] document::source => [GetRequest], "Returns the source of a document alone.", document::READ_PARAMS),
    route!(document GET_POST ["/_mget", "/{index}/_mget"] document::mget => [MultiGetRequest] body, "Returns many documents.", document::MGET_PARAMS),

    route!(search GET_POST ["/_field_caps", "/{index}/_field_caps"] search::field_caps::field_caps => [FieldCapsRequest] body, "Tells what can be done with fields.", indices::INDICES_PARAMS, search::field_caps::PARAMS),
    route!(search GET_POST ["/_validate/query", "/{index}/_validate/query"] search::validate::validate => [ValidateQueryRequest] body, "Tells whether a query fits the mappings of indices.", indices::INDICES_PARAMS, search::validate::PARAMS),
    route!(search GET_POST ["/_search", "/{index}/_search"] search::search => [SearchRequest, PitSearchRequest] body, "Finds documents, and aggregates them.", search::SEARCH_PARAMS),
    route!(search GET_POST ["/_search/scroll", "/_search/scroll/{scroll_id}"] search::scroll::next => [ScrollRequest] body, "Returns the next page of a search that was begun with `scroll`.", search::scroll::PARAMS),
    route!(search DELETE ["/_search/scroll/_all"] search::scroll::clear_all => [ClearAllScrollsRequest], "Ends every scroll of the cluster."),
    route!(search DELETE ["/_search/scroll", "/_search/scroll/{scroll_id}"] search::scroll::clear => [ClearScrollRequest, ClearAllScrollsRequest] body, "Ends scrolls of the caller."),
    route!(search POST ["/{index}/_pit"] search::pit::open => [OpenPitRequest] body, "Opens a point in time, in which searches see the same documents.", search::pit::OPEN_PARAMS),
    route!(search DELETE ["/_pit"] search::pit::close => [ClosePitRequest] body, "Ends a point in time of the caller."),
    route!(search GET_POST ["/_msearch", "/{index}/_msearch"] search::msearch => [SearchRequest, PitSearchRequest] body, "Makes many searches at once.", search::MSEARCH_PARAMS),
    route!(search GET_POST ["/_count", "/{index}/_count"] search::count => [SearchRequest] body, "Counts the documents that match.", search::COUNT_PARAMS),

    route!(indices PUT ["/{index}"] indices::create => [CreateIndexRequest] body, "Creates an index.", indices::MASTER_PARAMS, &["wait_for_active_shards"]),
    route!(indices GET_HEAD ["/{index}"] indices::get => [GetIndexRequest], "Describes indices: aliases, mappings, settings.", indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS, &["features"]),
    route!(indices DELETE ["/{index}"] indices::delete => [DeleteIndexRequest], "Deletes indices.", indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(indices GET ["/_mapping", "/_mappings", "/{index}/_mapping", "/{index}/_mappings"] indices::mapping => [GetIndexRequest], "Returns the mappings of indices.", indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(indices GET ["/_mapping/field/{fields}", "/{index}/_mapping/field/{fields}"] indices::field_mapping => [GetFieldMappingsRequest], "Returns the definitions of fields, by paths and patterns.", indices::INDICES_PARAMS, &["include_defaults"]),
    route!(indices PUT_POST ["/{index}/_mapping", "/{index}/_mappings"] indices::put_mapping => [PutMappingRequest] body, "Adds fields to the mappings of indices.", indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(indices GET ["/_settings", "/_settings/{name}", "/{index}/_settings", "/{index}/_settings/{name}"] indices::settings => [GetIndexRequest], "Returns the settings of indices.", indices::INDICES_PARAMS, indices::LOCAL_PARAMS, indices::SETTINGS_PARAMS),
    route!(indices PUT ["/_settings", "/{index}/_settings"] indices::put_settings => [UpdateSettingsRequest] body, "Changes dynamic settings of indices.", indices::PUT_SETTINGS_PARAMS, indices::INDICES_PARAMS, indices::MASTER_PARAMS),
    route!(indices GET ["/_alias", "/_aliases", "/{index}/_alias"] indices::aliases::get => [GetIndexRequest], "Returns aliases.", indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(indices POST ["/_aliases"] indices::aliases::actions => [UpdateAliasesRequest] body, "Adds and removes aliases, all at once.", indices::MASTER_PARAMS),
    route!(indices GET_HEAD ["/_alias/{name}", "/{index}/_alias/{name}"] indices::aliases::get => [GetIndexRequest], "Returns aliases.", indices::INDICES_PARAMS, indices::LOCAL_PARAMS),
    route!(indices PUT_POST ["/{index}/_alias/{name}", "/{index}/_aliases/{name}"] indices::aliases::put => [UpdateAliasesRequest] body, "Adds an alias.", indices::MASTER_PARAMS),
    route!(indices DELETE ["/{index}/_alias/{name}", "/{index}/_aliases/{name}"] indices::aliases::delete => [UpdateAliasesRequest], "Removes aliases.", indices::MASTER_PARAMS),
    route!(indices POST ["/{index}/_close"] indices::close::close => [CloseIndexRequest], "Closes indices: nothing in them is read or written.", indices::MASTER_PARAMS, indices::INDICES_PARAMS, &["wait_for_active_shards"]),
    route!(indices POST ["/{index}/_open"] indices::close::open => [OpenIndexRequest], "Opens closed indices.", indices::MASTER_PARAMS, indices::INDICES_PARAMS, &["wait_for_active_shards"]),
    route!(indices PUT ["/{index}/_block/{block}"] indices::close::add_block => [AddIndexBlockRequest], "Puts a block on indices.", indices::MASTER_PARAMS, indices::INDICES_PARAMS),
    route!(indices POST ["/{alias}/_rollover", "/{alias}/_rollover/{new_index}"] indices::rollover::rollover => [RolloverRequest] body, "Makes a new index, and has an alias write to it.", indices::MASTER_PARAMS, indices::rollover::PARAMS),
    route!(indices GET_POST ["/_analyze"] indices::analyze::analyze => [AnalyzeRequest] body, "Tells what analyzers make of texts."),
    route!(indices GET_POST ["/{index}/_analyze"] indices::analyze::analyze => [AnalyzeInIndexRequest] body, "Tells what the analyzers of an index make of texts."),
    route!(indices GET ["/_resolve/index/{index}"] indices::resolve::resolve => [ResolveIndexRequest], "Tells what index expressions stand for.", indices::INDICES_PARAMS),
    route!(indices GET_POST ["/_refresh", "/{index}/_refresh"] indices::refresh => [RefreshRequest], "Makes every acknowledged write visible to search.", indices::INDICES_PARAMS),
    route!(indices GET_POST ["/_flush", "/{index}/_flush"] indices::flush => [FlushRequest], "Commits the files of indices, and begins new translogs.", indices::INDICES_PARAMS, &["force", "wait_if_ongoing"]),
    route!(indices POST ["/_forcemerge", "/{index}/_forcemerge"] indices::forcemerge::force_merge => [ForceMergeRequest], "Merges the segments of indices.", indices::INDICES_PARAMS, indices::forcemerge::MERGE_PARAMS),
    route!(indices POST ["/_cache/clear", "/{index}/_cache/clear"] indices::cache::clear_cache => [ClearCacheRequest], "Forgets what filters have found in indices.", indices::INDICES_PARAMS, indices::cache::CACHE_PARAMS),
    route!(indices GET ["/_segments", "/{index}/_segments"] indices::segments::segments => [SegmentsRequest], "Lists the segments of indices.", indices::INDICES_PARAMS),
    route!(indices GET ["/_recovery", "/{index}/_recovery"] indices::recovery::recovery => [RecoveryRequest], "Tells how copies of shards came to be what they are.", indices::INDICES_PARAMS, indices::recovery::PARAMS),
    route!(indices GET ["/_shard_stores", "/{index}/_shard_stores"] indices::shard_stores::stores => [ShardStoresRequest], "Lists copies of shards on the disks of nodes.", indices::INDICES_PARAMS, indices::shard_stores::PARAMS),
    route!(indices GET ["/_resolve/cluster", "/_resolve/cluster/{index}"] indices::resolve_cluster::resolve => [ResolveClusterRequest], "Tells which clusters have what an index expression names.", indices::INDICES_PARAMS, indices::resolve_cluster::PARAMS),
    route!(indices GET ["/_stats", "/{index}/_stats", "/_stats/{metric}", "/{index}/_stats/{metric}"] indices::stats => [IndicesStatsRequest], "Returns the numbers of indices.", indices::INDICES_PARAMS, indices::STATS_PARAMS),

    route!(templates GET_HEAD ["/_component_template", "/_component_template/{name}"] indices::templates::get_component => [GetComponentTemplatesRequest], "Returns component templates.", indices::templates::GET_PARAMS),
    route!(templates PUT_POST ["/_component_template/{name}"] indices::templates::put_component => [PutComponentTemplateRequest] body, "Creates or replaces a component template.", indices::MASTER_PARAMS, indices::templates::PUT_PARAMS),
    route!(templates DELETE ["/_component_template/{name}"] indices::templates::delete_component => [DeleteComponentTemplatesRequest], "Deletes component templates.", indices::MASTER_PARAMS),
    route!(templates GET_HEAD ["/_index_template", "/_index_template/{name}"] indices::templates::get_index => [GetIndexTemplatesRequest], "Returns index templates.", indices::templates::GET_PARAMS),
    route!(templates PUT_POST ["/_index_template/{name}"] indices::templates::put_index => [PutIndexTemplateRequest] body, "Creates or replaces an index template.", indices::MASTER_PARAMS, indices::templates::PUT_PARAMS),
    route!(templates DELETE ["/_index_template/{name}"] indices::templates::delete_index => [DeleteIndexTemplatesRequest], "Deletes index templates.", indices::MASTER_PARAMS),
    route!(templates POST ["/_index_template/_simulate_index/{index}"] indices::templates::simulate_index => [SimulateIndexRequest], "Tells what an index of a name would be made of.", indices::templates::GET_PARAMS),
    route!(templates POST ["/_index_template/_simulate", "/_index_template/_simulate/{name}"] indices::templates::simulate_template => [SimulateTemplateRequest] body, "Tells what an index template gives.", indices::templates::GET_PARAMS),
    route!(templates GET_HEAD ["/_template", "/_template/{name}"] indices::templates::get_legacy => [GetLegacyTemplatesRequest], "Returns templates of the older kind.", indices::templates::GET_PARAMS),
    route!(templates PUT_POST ["/_template/{name}"] indices::templates::put_legacy => [PutLegacyTemplateRequest] body, "Creates or replaces a template of the older kind.", indices::MASTER_PARAMS, indices::templates::PUT_PARAMS, &["order"]),
    route!(templates DELETE ["/_template/{name}"] indices::templates::delete_legacy => [DeleteLegacyTemplatesRequest], "Deletes templates of the older kind.", indices::MASTER_PARAMS),

    route!(security GET ["/_security/_authenticate"] security::authenticate => [AuthenticateRequest], "Tells who the caller is."),
    route!(security PUT_POST ["/_security/api_key"] security::api_keys::create => [CreateApiKeyRequest] body, "Creates an API key.", security::CHANGE_PARAMS),
    route!(security GET ["/_security/api_key"] security::api_keys::get => [GetApiKeysRequest], "Describes API keys.", security::api_keys::GET_PARAMS),
    route!(security DELETE ["/_security/api_key"] security::api_keys::invalidate => [InvalidateApiKeysRequest] body, "Invalidates API keys."),
    route!(security PUT ["/_security/api_key/{id}"] security::api_keys::update => [UpdateApiKeyRequest] body, "Changes the rights or the metadata of an API key.", security::CHANGE_PARAMS),
    route!(security POST ["/_security/api_key/grant"] security::api_keys::grant => [GrantApiKeyRequest] body, "Creates an API key for a user whose credentials are given.", security::CHANGE_PARAMS),
    route!(security POST ["/_security/api_key/_bulk_update"] security::api_keys::bulk_update => [BulkUpdateApiKeysRequest] body, "Changes the rights or the metadata of API keys.", security::CHANGE_PARAMS),
    route!(security GET_POST ["/_security/_query/api_key"] security::query::api_keys => [QueryApiKeysRequest] body, "Finds API keys by a query.", security::query::API_KEY_PARAMS),
    route!(security GET_POST ["/_security/_query/role"] security::query::roles => [QueryRolesRequest] body, "Finds roles by a query."),
    route!(security GET ["/_security/audit"] security::audit::search => [SearchAuditRequest], "Reads the audit logs of all nodes, newest events first.", security::audit::PARAMS),
    route!(security GET_POST ["/_security/_query/user"] security::query::users => [QueryUsersRequest] body, "Finds users by a query.", security::query::USER_PARAMS),
    route!(security GET ["/_security/service", "/_security/service/{namespace}", "/_security/service/{namespace}/{service}"] security::service_accounts::get => [GetServiceAccountsRequest], "Describes service accounts."),
    route!(security GET ["/_security/service/{namespace}/{service}/credential"] security::service_accounts::get_credentials => [GetServiceCredentialsRequest], "Lists the tokens of a service account."),
    route!(security PUT_POST ["/_security/service/{namespace}/{service}/credential/token", "/_security/service/{namespace}/{service}/credential/token/{name}"] security::service_accounts::create_token => [CreateServiceTokenRequest] body, "Creates a token of a service account.", security::CHANGE_PARAMS),
    route!(security DELETE ["/_security/service/{namespace}/{service}/credential/token/{name}"] security::service_accounts::delete_token => [DeleteServiceTokenRequest], "Deletes a token of a service account.", security::CHANGE_PARAMS),
    route!(security GET ["/_security/enroll/node"] security::service_accounts::enroll_node => [EnrollNodeRequest], "Gives a new node what it needs to join."),
    route!(security GET ["/_security/enroll/kibana"] security::service_accounts::enroll_kibana => [EnrollKibanaRequest], "Gives Kibana what it needs to connect."),
    // Who may refresh only is admitted, too.
    route!(security POST ["/_security/oauth2/token"] security::tokens::create => [RefreshTokenRequest, CreateTokenRequest] body, "Gives an access token for a password, a refresh token or the caller's own credentials."),
    route!(security DELETE ["/_security/oauth2/token"] security::tokens::invalidate => [InvalidateTokensRequest] body, "Invalidates access and refresh tokens."),
    route!(security GET ["/_security/role", "/_security/role/{name}"] security::roles::get => [GetRolesRequest], "Describes roles."),
    route!(security POST ["/_security/role"] security::roles::put_many => [PutRolesRequest] body, "Creates or replaces roles.", security::CHANGE_PARAMS),
    route!(security DELETE ["/_security/role"] security::roles::delete_many => [DeleteRolesRequest] body, "Deletes roles.", security::CHANGE_PARAMS),
    route!(security PUT_POST ["/_security/role/{name}"] security::roles::put => [PutRolesRequest] body, "Creates or replaces a role.", security::CHANGE_PARAMS),
    route!(security DELETE ["/_security/role/{name}"] security::roles::delete => [DeleteRolesRequest], "Deletes a role.", security::CHANGE_PARAMS),
    route!(security GET ["/_security/role_mapping", "/_security/role_mapping/{name}"] security::role_mappings::get => [GetRoleMappingsRequest], "Describes role mappings."),
    route!(security PUT_POST ["/_security/role_mapping/{name}"] security::role_mappings::put => [PutRoleMappingRequest] body, "Creates or replaces a role mapping.", security::CHANGE_PARAMS),
    route!(security DELETE ["/_security/role_mapping/{name}"] security::role_mappings::delete => [DeleteRoleMappingRequest], "Deletes a role mapping.", security::CHANGE_PARAMS),
    route!(security GET ["/_security/privilege", "/_security/privilege/{application}", "/_security/privilege/{application}/{privilege}"] security::privileges::get => [GetPrivilegesRequest], "Describes privileges of applications."),
    route!(security PUT_POST ["/_security/privilege"] security::privileges::put => [PutPrivilegesRequest] body, "Creates or replaces privileges of applications.", security::CHANGE_PARAMS),
    route!(security DELETE ["/_security/privilege/{application}/{privilege}"] security::privileges::delete => [DeletePrivilegesRequest], "Deletes privileges of an application.", security::CHANGE_PARAMS),
    route!(security GET ["/_security/privilege/_builtin"] security::roles::builtin_privileges => [GetBuiltinPrivilegesRequest], "Lists the privileges that roles can have."),
    route!(security GET ["/_security/user/_privileges"] security::roles::user_privileges => [GetUserPrivilegesRequest], "Tells what the caller may do."),
    route!(security GET_POST ["/_security/user/_has_privileges", "/_security/user/{username}/_has_privileges"] security::roles::has_privileges => [HasPrivilegesRequest] open, "Tells whether the caller has privileges."),
    route!(security POST ["/_security/role/{name}/_clear_cache", "/_security/realm/{realms}/_clear_cache", "/_security/api_key/{ids}/_clear_cache", "/_security/privilege/{application}/_clear_cache", "/_security/service/{namespace}/{service}/credential/token/{name}/_clear_cache"] security::roles::clear_cache => [ClearSecurityCacheRequest], "Forgets what is cached of logins and roles."),
    route!(security GET ["/_security/user", "/_security/user/{username}"] security::get_users => [GetUsersRequest], "Describes users.", security::GET_PARAMS),
    route!(security PUT_POST ["/_security/user/{username}"] security::put_user => [PutUserRequest] body, "Creates or replaces a user.", security::CHANGE_PARAMS),
    route!(security DELETE ["/_security/user/{username}"] security::delete_user => [DeleteUserRequest], "Deletes a user.", security::CHANGE_PARAMS),
    route!(security PUT_POST ["/_security/user/_password", "/_security/user/{username}/_password"] security::change_password => [ChangePasswordRequest] open, "Changes a password; everybody may change the own one.", security::CHANGE_PARAMS),
    route!(security PUT_POST ["/_security/user/{username}/_enable"] security::enable => [SetUserEnabledRequest] body, "Lets a user log in again.", security::CHANGE_PARAMS),
    route!(security PUT_POST ["/_security/user/{username}/_disable"] security::disable => [SetUserEnabledRequest] body, "Keeps a user from logging in.", security::CHANGE_PARAMS),
];

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use ringwall_api::action::{AnyMessage, BoxFuture, ErasedRequest};
    use ringwall_api::{AccessKind, ApiError, ApiResult, Client, RequestContext};
    use ringwall_base::breaker::Account;

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
        let path = route.paths[route.paths.len() - 1];
        let variables = path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            let value = match name {
                "task_id" => "a:1".to_owned(),
                "username" => ringwall_security::system::identity().user.username.clone(),
                name if name.starts_with("metric") => "_all".to_owned(),
                _ => "a".to_owned(),
            };
            Some((name, value))
        });
        let request = RestRequest {
            names: crate::request::IndexNames {
                math: |name, _| Ok(name.to_owned()),
                now_ms: 0,
            },
            method: route.methods[0].clone(),
            uri_path: path.to_owned(),
            path_params: variables.collect(),
            params,
            body: Bytes::from_static(body.as_bytes()).into(),
            parsed: Parsed::new(Account::unlimited(), u64::MAX),
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
        r#"{"id":"a"}"#,
        r#"{"ids":["a"]}"#,
        r#"{"role_descriptors":{}}"#,
        r#"{"index_patterns":["a*"]}"#,
        r#"{"roles":{}}"#,
        r#"{"names":[]}"#,
        r#"{"query":{"match_all":{}}}"#,
        r#"{"text":"a"}"#,
        r#"{"source":{"index":"a"},"dest":{"index":"b"}}"#,
        r#"{"cluster":[]}"#,
        r#"{"commands":[]}"#,
        r#"{"actions":[{"add":{"index":"a","alias":"b"}}]}"#,
        r#"{"password":"a-long-password","roles":[]}"#,
        r#"{"password":"a-long-password"}"#,
        r#"{"grant_type":"refresh_token","refresh_token":"a"}"#,
        r#"{"token":"a"}"#,
        r#"{"grant_type":"password","username":"a","password":"a","api_key":{"name":"a"}}"#,
    ];

    #[test]
    fn a_row_names_the_action_that_it_performs_first() {
        for route in ROUTES {
            let (needed, body) = performing(route);
            let performed = body.and_then(|body| performed(route, needed, body));
            let named = route.actions.first().map(|action| action.name);
            assert_eq!(performed, named, "{:?}", route.paths);
        }
    }

    /// Who may not use it at all would else have its body read first.
    #[test]
    fn only_what_everybody_may_use_takes_a_body_of_anybody() {
        let open = ROUTES
            .iter()
            .filter(|route| route.takes_body == TakesBody::OfAnybody);
        for route in open {
            let access = route.actions[0].access;
            assert_eq!(access, AccessKind::SelfService, "{:?}", route.paths);
        }
    }

    /// Returns the parameters that a row needs, and a body with which it performs something.
    fn performing(route: &Route) -> (&'static str, Option<&'static str>) {
        let needed = match route.paths[0] {
            "/_membership/{node_id}/_approve" => "key=a",
            "/{index}/_pit" => "keep_alive=1m",
            "/_field_caps" => "fields=a",
            "/_delete_by_query/{task_id}/_rethrottle" => "requests_per_second=1",
            _ => "",
        };
        let mut bodies = BODIES.iter().copied();
        let body = bodies.find(|body| performed(route, needed, body).is_some());
        (needed, body)
    }

    /// What is taken and left out of account would be an answer to another question.
    #[test]
    fn every_parameter_is_read_before_anything_is_done() {
        for route in ROUTES {
            let (needed, Some(body)) = performing(route) else {
                // It performs nothing.
                assert_eq!(route.paths, ["/_cat"]);
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
                    "{:?} takes [{name}] and does not read it",
                    route.paths
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
        "-parent",
        "normal",
        "b",
        "d",
        "proceed",
        // `{}`, encoded.
        "e30",
    ];
}
