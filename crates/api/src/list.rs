//! The one list of actions: what is not on it cannot be executed, and the node has a handler for all that is.

/// Calls a macro with every action there is, by module: the request, its response, the name that roles grant, and the
/// [`Access`](crate::Access) it needs, with the field or method of the request that says more about it.
#[macro_export]
macro_rules! for_each_action {
    ($callback:ident) => {
        $callback! {
            cluster {
                MainRequest => MainResponse, "cluster:monitor/main", Cluster;
                HealthRequest => HealthResponse, "cluster:monitor/health", Named(indices);
                GetClusterSettingsRequest => GetClusterSettingsResponse, "cluster:monitor/settings", Cluster;
                PutClusterSettingsRequest => PutClusterSettingsResponse, "cluster:admin/settings/update", Cluster;
                ClusterRerouteRequest => ClusterRerouteResponse, "cluster:admin/reroute", Cluster;
                ClusterStateRequest => ClusterStateResponse, "cluster:monitor/state", Named(indices);
                ClusterStatsRequest => ClusterStatsResponse, "cluster:monitor/stats", Cluster;
                AllocationExplainRequest => AllocationExplainResponse, "cluster:monitor/allocation/explain", Cluster;
                GetRepositoriesRequest => Empty, "cluster:admin/repository/get", Cluster;
                GetSnapshotsRequest => Empty, "cluster:admin/snapshot/get", Cluster;
                GetFeaturesRequest => Empty, "cluster:admin/features/get", Cluster;
                GetDeprecationsRequest => Empty, "cluster:admin/xpack/deprecation/info", Cluster;
                GetFeatureUpgradesRequest => Empty, "cluster:admin/migration/get_system_feature", Cluster;
                PendingTasksRequest => PendingTasksResponse, "cluster:monitor/task", Cluster;
                MembershipRequest => MembershipResponse, "cluster:monitor/nodes/membership", Cluster;
                ApproveNodeRequest => MembershipChanged, "cluster:admin/xpack/security/node/approve", Cluster;
                ForgetNodeRequest => MembershipChanged, "cluster:admin/xpack/security/node/forget", Cluster;
                ListTasksRequest => TasksResponse, "cluster:monitor/tasks/lists", Cluster;
                CancelTasksRequest => TasksResponse, "cluster:admin/tasks/cancel", Cluster;
                GetTaskRequest => GetTaskResponse, "cluster:monitor/task/get", Cluster;
                HealthReportRequest => HealthReportResponse, "cluster:monitor/health_api", Cluster;
                MetricsRequest => MetricsResponse, "cluster:monitor/prometheus/metrics", Cluster;
            }
            nodes {
                NodesInfoRequest => NodesInfoResponse, "cluster:monitor/nodes/info", Cluster;
                NodesStatsRequest => NodesStatsResponse, "cluster:monitor/nodes/stats", Cluster;
                NodesTlsRequest => NodesTlsResponse, "cluster:monitor/nodes/ssl", Cluster;
                ReloadSecureSettingsRequest => ReloadSecureSettingsResponse, "cluster:admin/nodes/reload_secure_settings", Cluster;
            }
            indices {
                // Of `_cat/shards` and `_cat/indices`, which tell of nodes beside indices.
                ShardTableRequest => ShardTableResponse, "indices:monitor/stats", IndicesBeside(indices, "cluster:monitor/state");
                CreateIndexRequest => CreateIndexResponse, "indices:admin/create", IndicesAndAliases(index, alias_names);
                DeleteIndexRequest => Acknowledged, "indices:admin/delete", Indices(indices);
                GetIndexRequest => GetIndexResponse, "indices:admin/get", Indices(indices);
                GetFieldMappingsRequest => GetFieldMappingsResponse, "indices:admin/mappings/fields/get", Indices(indices);
                UpdateAliasesRequest => UpdateAliasesResponse, "indices:admin/aliases", IndicesAndAliases(indices, alias_names);
                PutMappingRequest => Acknowledged, "indices:admin/mapping/put", Indices(indices);
                UpdateSettingsRequest => Acknowledged, "indices:admin/settings/update", Indices(indices);
                RefreshRequest => BroadcastResponse, "indices:admin/refresh", Indices(indices);
                FlushRequest => BroadcastResponse, "indices:admin/flush", Indices(indices);
                ForceMergeRequest => ForceMergeResponse, "indices:admin/forcemerge", Indices(indices);
                ClearCacheRequest => BroadcastResponse, "indices:admin/cache/clear", Indices(indices);
                RecoveryRequest => RecoveryResponse, "indices:monitor/recovery", Indices(indices);
                ShardStoresRequest => ShardStoresResponse, "indices:monitor/shard_stores", Indices(indices);
                ResolveClusterRequest => ResolveClusterResponse, "indices:admin/resolve/cluster", Indices(indices);
                SegmentsRequest => SegmentsResponse, "indices:monitor/segments", Indices(indices);
                CloseIndexRequest => CloseIndexResponse, "indices:admin/close", Indices(indices);
                OpenIndexRequest => OpenIndexResponse, "indices:admin/open", Indices(indices);
                AddIndexBlockRequest => AddIndexBlockResponse, "indices:admin/block/add", Indices(indices);
                RolloverRequest => RolloverResponse, "indices:admin/rollover", IndicesAndAliases(target, alias_names);
                ResolveIndexRequest => ResolveIndexResponse, "indices:admin/resolve/index", Indices(indices);
                IndicesStatsRequest => IndicesStatsResponse, "indices:monitor/stats", Indices(indices);
                PutComponentTemplateRequest => Acknowledged, "cluster:admin/component_template/put", Cluster;
                GetComponentTemplatesRequest => TemplatesResponse, "cluster:admin/component_template/get", Cluster;
                DeleteComponentTemplatesRequest => Acknowledged, "cluster:admin/component_template/delete", Cluster;
                PutIndexTemplateRequest => Acknowledged, "indices:admin/index_template/put", Cluster;
                GetIndexTemplatesRequest => TemplatesResponse, "indices:admin/index_template/get", Cluster;
                DeleteIndexTemplatesRequest => Acknowledged, "indices:admin/index_template/delete", Cluster;
                PutLegacyTemplateRequest => Acknowledged, "indices:admin/template/put", Cluster;
                GetLegacyTemplatesRequest => TemplatesResponse, "indices:admin/template/get", Cluster;
                DeleteLegacyTemplatesRequest => Acknowledged, "indices:admin/template/delete", Cluster;
                SimulateIndexRequest => SimulateResponse, "indices:admin/index_template/simulate_index", Cluster;
                AnalyzeRequest => AnalyzeResponse, "cluster:admin/analyze", Cluster;
                AnalyzeInIndexRequest => AnalyzeResponse, "indices:admin/analyze", Indices(indices);
                SimulateTemplateRequest => SimulateResponse, "indices:admin/index_template/simulate", Cluster;
            }
            document {
                BulkRequest => BulkResponse, "indices:data/write/bulk", Items;
                GetRequest => GetResult, "indices:data/read/get", Indices(index);
                MultiGetRequest => MultiGetResponse, "indices:data/read/mget", Items;
            }
            search {
                DeleteByQueryRequest => ByQueryResponse, "indices:data/write/delete/byquery", Indices(indices);
                UpdateByQueryRequest => ByQueryResponse, "indices:data/write/update/byquery", Indices(indices);
                // What it reads and what it writes are requests of their own.
                ReindexRequest => ByQueryResponse, "indices:data/write/reindex", Items;
                RethrottleRequest => TasksResponse, "cluster:admin/reindex/rethrottle", Cluster;
                SearchRequest => SearchResponse, "indices:data/read/search", Indices(indices);
                // Of what is open the nodes that hold it look at the caller's right to each of its names.
                ScrollRequest => SearchResponse, "indices:data/read/scroll", Items;
                ClearScrollRequest => ClearedContexts, "indices:data/read/scroll/clear", Items;
                ClearAllScrollsRequest => ClearedContexts, "cluster:admin/indices/scroll/clear_all", Cluster;
                ValidateQueryRequest => ValidateQueryResponse, "indices:admin/validate/query", Indices(indices);
                OpenPitRequest => OpenPitResponse, "indices:data/read/open_point_in_time", Indices(indices);
                ClosePitRequest => ClearedContexts, "indices:data/read/close_point_in_time", Items;
                PitSearchRequest => SearchResponse, "indices:data/read/search", Items;
                FieldCapsRequest => FieldCapsResponse, "indices:data/read/field_caps", Indices(indices);
            }
            security {
                SslCertificatesRequest => SslCertificatesResponse, "cluster:monitor/xpack/ssl/certificates/get", Cluster;
                AuthenticateRequest => AuthenticateResponse, "cluster:admin/xpack/security/user/authenticate", Everyone;
                ChangePasswordRequest => Empty, "cluster:admin/xpack/security/user/change_password", User(username);
                PutUserRequest => PutUserResponse, "cluster:admin/xpack/security/user/put", Cluster;
                DeleteUserRequest => DeleteUserResponse, "cluster:admin/xpack/security/user/delete", Cluster;
                GetUsersRequest => GetUsersResponse, "cluster:admin/xpack/security/user/get", Cluster;
                SetUserEnabledRequest => Empty, "cluster:admin/xpack/security/user/set_enabled", Cluster;
                CreateTokenRequest => IssuedTokens, "cluster:admin/xpack/security/token/create", Cluster;
                RefreshTokenRequest => RefreshTokenResponse, "cluster:admin/xpack/security/token/refresh", Cluster;
                InvalidateTokensRequest => InvalidateTokensResponse, "cluster:admin/xpack/security/token/invalidate", Cluster;
                PutRolesRequest => PutRolesResponse, "cluster:admin/xpack/security/role/put", Cluster;
                DeleteRolesRequest => DeleteRolesResponse, "cluster:admin/xpack/security/role/delete", Cluster;
                GetRolesRequest => GetRolesResponse, "cluster:admin/xpack/security/role/get", Cluster;
                GetBuiltinPrivilegesRequest => GetBuiltinPrivilegesResponse, "cluster:admin/xpack/security/privilege/builtin/get", Cluster;
                HasPrivilegesRequest => HasPrivilegesResponse, "cluster:admin/xpack/security/user/has_privileges", Everyone;
                GetUserPrivilegesRequest => GetUserPrivilegesResponse, "cluster:admin/xpack/security/user/list_privileges", Everyone;
                ClearSecurityCacheRequest => ClearSecurityCacheResponse, "cluster:admin/xpack/security/realm/cache/clear", Cluster;
                PutRoleMappingRequest => PutRoleMappingResponse, "cluster:admin/xpack/security/role_mapping/put", Cluster;
                DeleteRoleMappingRequest => DeleteRoleMappingResponse, "cluster:admin/xpack/security/role_mapping/delete", Cluster;
                GetRoleMappingsRequest => GetRoleMappingsResponse, "cluster:admin/xpack/security/role_mapping/get", Cluster;
                PutPrivilegesRequest => PutPrivilegesResponse, "cluster:admin/xpack/security/privilege/put", Applications(applications);
                DeletePrivilegesRequest => DeletePrivilegesResponse, "cluster:admin/xpack/security/privilege/delete", Applications(applications);
                GetPrivilegesRequest => GetPrivilegesResponse, "cluster:admin/xpack/security/privilege/get", Applications(applications);
                CreateApiKeyRequest => CreateApiKeyResponse, "cluster:admin/xpack/security/api_key/create", OwnApiKeys;
                GrantApiKeyRequest => CreateApiKeyResponse, "cluster:admin/xpack/security/api_key/grant", Cluster;
                GetApiKeysRequest => GetApiKeysResponse, "cluster:admin/xpack/security/api_key/get", ApiKeys(filter);
                InvalidateApiKeysRequest => InvalidateApiKeysResponse, "cluster:admin/xpack/security/api_key/invalidate", ApiKeys(filter);
                UpdateApiKeyRequest => UpdateApiKeyResponse, "cluster:admin/xpack/security/api_key/update", OwnApiKeys;
                BulkUpdateApiKeysRequest => BulkUpdateApiKeysResponse, "cluster:admin/xpack/security/api_key/bulk_update", OwnApiKeys;
                QueryUsersRequest => Listed, "cluster:admin/xpack/security/user/query", Cluster;
                QueryRolesRequest => Listed, "cluster:admin/xpack/security/role/query", Cluster;
                // Who may see only its own keys is shown only those.
                QueryApiKeysRequest => Listed, "cluster:admin/xpack/security/api_key/query", OwnApiKeys;
                GetServiceAccountsRequest => GetServiceAccountsResponse, "cluster:admin/xpack/security/service_account/get", Cluster;
                CreateServiceTokenRequest => CreateServiceTokenResponse, "cluster:admin/xpack/security/service_account/token/create", Cluster;
                DeleteServiceTokenRequest => DeleteServiceTokenResponse, "cluster:admin/xpack/security/service_account/token/delete", Cluster;
                GetServiceCredentialsRequest => GetServiceCredentialsResponse, "cluster:admin/xpack/security/service_account/credential/get", Cluster;
                EnrollNodeRequest => EnrollNodeResponse, "cluster:admin/xpack/security/enroll/node", Cluster;
                SearchAuditRequest => SearchAuditResponse, "cluster:admin/xpack/security/audit/search", Cluster;
                EnrollKibanaRequest => EnrollKibanaResponse, "cluster:admin/xpack/security/enroll/kibana", Cluster;
            }
        }
    };
}

/// Only what is on the list is an [`ActionRequest`](crate::ActionRequest).
pub trait Listed: Sized {}

macro_rules! access {
    ($request:ty, Cluster) => {
        $crate::Access::Cluster
    };
    ($request:ty, Items) => {
        $crate::Access::Items
    };
    ($request:ty, Everyone) => {
        $crate::Access::Everyone
    };
    ($request:ty, OwnApiKeys) => {
        $crate::Access::ApiKeys(|_, _| true)
    };
    ($request:ty, ApiKeys($filter:ident)) => {
        $crate::Access::ApiKeys(|request, caller| request.$filter.is_own(caller))
    };
    ($request:ty, Applications($names:ident)) => {
        $crate::Access::Applications(<$request>::$names)
    };
    ($request:ty, User($field:ident)) => {
        $crate::Access::User(|request| &request.$field)
    };
    ($request:ty, Named($field:ident)) => {
        $crate::Access::Named(|request| &mut request.$field)
    };
    ($request:ty, Indices($field:ident)) => {
        $crate::Access::Indices(|request| &mut request.$field)
    };
    ($request:ty, IndicesBeside($field:ident, $action:literal)) => {
        $crate::Access::IndicesBeside(|request| &mut request.$field, $action)
    };
    ($request:ty, IndicesAndAliases($field:ident, $aliases:ident)) => {
        $crate::Access::IndicesAndAliases(|request| &mut request.$field, <$request>::$aliases)
    };
}

macro_rules! mark {
    ($request:ty, IndicesBeside($($args:tt)*)) => {
        impl $crate::access::OnIndices for $request {}
    };
    ($request:ty, Indices($($args:tt)*)) => {
        impl $crate::access::OnIndices for $request {}
    };
    ($request:ty, IndicesAndAliases($($args:tt)*)) => {
        impl $crate::access::OnIndices for $request {}
    };
    ($request:ty, Named($($args:tt)*)) => {
        impl $crate::access::NamesIndices for $request {}
    };
    ($request:ty, $($other:tt)*) => {};
}

macro_rules! implement {
    ($($module:ident {
        $($request:ident => $response:ident, $name:literal, $access:ident $(($($args:tt)*))?;)*
    })*) => {
        $($(
            impl Listed for $crate::$module::$request {}

            mark!($crate::$module::$request, $access $(($($args)*))?);

            impl $crate::ActionRequest for $crate::$module::$request {
                type Response = $crate::$module::$response;
                const NAME: &'static str = $name;
                const REQUEST: &'static str = stringify!($request);
                const ACCESS: $crate::Access<Self> =
                    access!($crate::$module::$request, $access $(($($args)*))?);
            }
        )*)*
    };
}

for_each_action!(implement);
