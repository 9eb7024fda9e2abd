//! Roles of the cluster, and what callers may do by theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::security::{
    ClearSecurityCacheRequest, ClearSecurityCacheResponse, DeleteRolesRequest, DeleteRolesResponse,
    GetBuiltinPrivilegesRequest, GetBuiltinPrivilegesResponse, GetRolesRequest, GetRolesResponse,
    GetUserPrivilegesRequest, GetUserPrivilegesResponse, HasPrivilegesRequest,
    HasPrivilegesResponse, PutRolesRequest, PutRolesResponse,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::Change;
use ringwall_search::filter::check_role_query;
use ringwall_security::Resolved;
use ringwall_security::authz::{
    RoleQuery, check_delete_role, check_put_role, cluster_privilege_names, index_privilege_names,
    privileges_json, reserved_roles,
};
use serde_json::{Map, Value};

use crate::acknowledge;
use crate::actions::Handler;
use crate::services::Services;

impl Handler<PutRolesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutRolesRequest>,
    ) -> ApiResult<PutRolesResponse> {
        let request = request.into_request();
        let mut roles = BTreeMap::new();
        let mut errors = BTreeMap::new();
        for (name, written) in request.roles {
            let checked = check_put_role(&name, &written).and_then(|role| {
                check_role_queries(&name, &role.descriptor)?;
                Ok(role)
            });
            match checked {
                Ok(role) => drop(roles.insert(name, role)),
                Err(error) => drop(errors.insert(name, error)),
            }
        }
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let mut response = PutRolesResponse {
                errors: errors.clone(),
                ..PutRolesResponse::default()
            };
            let mut existing = BTreeSet::new();
            for (name, role) in &roles {
                let list = match state.security.roles.get(name) {
                    None => &mut response.created,
                    Some(stored) if **stored == *role => &mut response.noop,
                    Some(_) => &mut response.updated,
                };
                list.push(name.clone());
                if state.security.roles.contains_key(name) {
                    existing.insert(name.clone());
                }
            }
            if roles.is_empty() {
                return Ok(response);
            }
            let change = Change::PutRoles {
                roles: roles.clone(),
                existing,
            };
            if submit(&services, change).await? {
                return Ok(response);
            }
        }
        Err(contended())
    }
}

impl Handler<DeleteRolesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteRolesRequest>,
    ) -> ApiResult<DeleteRolesResponse> {
        let request = request.into_request();
        let mut names = BTreeSet::new();
        let mut errors = BTreeMap::new();
        for name in request.names {
            match check_delete_role(&name) {
                Ok(()) => drop(names.insert(name)),
                Err(error) => drop(errors.insert(name, error)),
            }
        }
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let (deleted, not_found): (BTreeSet<String>, BTreeSet<String>) = names
                .iter()
                .cloned()
                .partition(|name| state.security.roles.contains_key(name));
            let response = DeleteRolesResponse {
                deleted: deleted.iter().cloned().collect(),
                not_found: not_found.into_iter().collect(),
                errors: errors.clone(),
            };
            if deleted.is_empty()
                || submit(&services, Change::DeleteRoles { names: deleted }).await?
            {
                return Ok(response);
            }
        }
        Err(contended())
    }
}

/// Checks that the queries of a role, in its normal form, are queries; templates are read when they are filled in.
///
/// # Errors
/// 400 that names the role and the group of index privileges.
pub(crate) fn check_role_queries(role: &str, descriptor: &Map<String, Value>) -> ApiResult<()> {
    let groups = descriptor.get("indices").and_then(Value::as_array);
    for (position, group) in groups.into_iter().flatten().enumerate() {
        let Some(text) = group["query"].as_str() else {
            continue;
        };
        let names: Vec<&str> = group["names"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let failed = |cause: ApiError| {
            let reason = format!(
                "failed to parse field 'query' for indices [{}] at index privilege [{position}] of role descriptor \
                 [{role}]",
                names.join(",")
            );
            ApiError::new(ErrorCode::Parse, reason).caused_by(cause)
        };
        let query = RoleQuery::parse(text).map_err(|e| failed(ApiError::illegal_argument(e)))?;
        if let Some(query) = query.as_ref().and_then(RoleQuery::fixed) {
            check_role_query(query).map_err(failed)?;
        }
    }
    Ok(())
}

/// Returns whether the change was made: not where the roles have changed meanwhile, so that the answer would say what
/// is not so.
async fn submit(services: &Services, change: Change) -> ApiResult<bool> {
    match services.cluster.submit(change, TIMEOUT).await {
        Ok(()) => {
            acknowledge::by_all(services, TIMEOUT).await;
            Ok(true)
        }
        Err(error)
            if matches!(
                error.code,
                ErrorCode::VersionConflict | ErrorCode::ResourceNotFound
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn contended() -> ApiError {
    ApiError::new(
        ErrorCode::VersionConflict,
        "the roles are created and deleted too often; retry",
    )
}

impl Handler<GetRolesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetRolesRequest>,
    ) -> ApiResult<GetRolesResponse> {
        let request = request.into_request();
        let state = services.cluster.state();
        let wanted =
            |name: &str| request.names.is_empty() || request.names.iter().any(|n| n == name);
        let reserved = reserved_roles()
            .filter(|(name, _)| wanted(name))
            .map(|(name, descriptor)| (name.to_owned(), descriptor.to_json()));
        let stored = state
            .security
            .roles
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, role)| (name.clone(), Value::Object(role.descriptor.clone())));
        Ok(GetRolesResponse {
            roles: stored.chain(reserved).collect(),
        })
    }
}

impl Handler<GetBuiltinPrivilegesRequest> for Services {
    async fn handle(
        _services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<GetBuiltinPrivilegesRequest>,
    ) -> ApiResult<GetBuiltinPrivilegesResponse> {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Ok(GetBuiltinPrivilegesResponse {
            cluster: owned(cluster_privilege_names()),
            index: owned(index_privilege_names()),
        })
    }
}

impl Handler<HasPrivilegesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<HasPrivilegesRequest>,
    ) -> ApiResult<HasPrivilegesResponse> {
        let authorizer = services.authorizer.clone();
        let caller = context.authentication;
        let judge = move || authorizer.held_privileges(&caller, &request);
        services.pools.search.run(judge).await?
    }
}

impl Handler<GetUserPrivilegesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        _request: Resolved<GetUserPrivilegesRequest>,
    ) -> ApiResult<GetUserPrivilegesResponse> {
        let caller = &context.authentication;
        if let Some(key) = &caller.api_key {
            let state = services.cluster.state();
            let stored = state.security.api_keys.get(&key.id);
            if stored.is_some_and(|key| !key.info.role_descriptors.is_empty()) {
                return Err(ApiError::illegal_argument(
                    "Cannot retrieve privileges for API keys with assigned role descriptors. Please use the Get API key \
                     information API https://ela.st/es-api-get-api-key",
                ));
            }
        }
        let descriptors = services.authorizer.role_descriptors(caller);
        Ok(GetUserPrivilegesResponse {
            privileges: privileges_json(&descriptors)?,
        })
    }
}

impl Handler<ClearSecurityCacheRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<ClearSecurityCacheRequest>,
    ) -> ApiResult<ClearSecurityCacheResponse> {
        let state = services.cluster.state();
        let nodes = state.nodes.iter();
        Ok(ClearSecurityCacheResponse {
            cluster_name: services.cluster_name.clone(),
            nodes: nodes
                .map(|(id, node)| (id.to_string(), node.name.clone()))
                .collect(),
        })
    }
}

/// How often to look again when somebody else was first.
const ATTEMPTS: usize = 16;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
