//! Roles of the cluster, and what callers may do by theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::roles::{
    ClearSecurityCacheRequest, ClearSecurityCacheResponse, DeleteRolesRequest, DeleteRolesResponse,
    GetBuiltinPrivilegesRequest, GetBuiltinPrivilegesResponse, GetRolesRequest, GetRolesResponse,
    GetUserPrivilegesRequest, GetUserPrivilegesResponse, HasPrivilegesRequest,
    HasPrivilegesResponse, PutRolesRequest, PutRolesResponse,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::Change;
use ringwall_security::authz::{
    check_delete_role, check_put_role, cluster_privilege_names, index_privilege_names,
    privileges_json, reserved_roles,
};
use serde_json::Value;

use super::ActionRegistry;
use crate::acknowledge;
use crate::services::Services;

pub(super) fn register(registry: &mut ActionRegistry) {
    registry.add(put_roles);
    registry.add(delete_roles);
    registry.add(get_roles);
    registry.add(get_builtin_privileges);
    registry.add(has_privileges);
    registry.add(get_user_privileges);
    registry.add(clear_cache);
}

async fn put_roles(
    services: Arc<Services>,
    _context: RequestContext,
    request: PutRolesRequest,
) -> ApiResult<PutRolesResponse> {
    let mut roles = BTreeMap::new();
    let mut errors = BTreeMap::new();
    for (name, written) in request.roles {
        match check_put_role(&name, &written) {
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

async fn delete_roles(
    services: Arc<Services>,
    _context: RequestContext,
    request: DeleteRolesRequest,
) -> ApiResult<DeleteRolesResponse> {
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
        if deleted.is_empty() || submit(&services, Change::DeleteRoles { names: deleted }).await? {
            return Ok(response);
        }
    }
    Err(contended())
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

async fn get_roles(
    services: Arc<Services>,
    _context: RequestContext,
    request: GetRolesRequest,
) -> ApiResult<GetRolesResponse> {
    let state = services.cluster.state();
    let wanted = |name: &str| request.names.is_empty() || request.names.iter().any(|n| n == name);
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

async fn get_builtin_privileges(
    _services: Arc<Services>,
    _context: RequestContext,
    _request: GetBuiltinPrivilegesRequest,
) -> ApiResult<GetBuiltinPrivilegesResponse> {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Ok(GetBuiltinPrivilegesResponse {
        cluster: owned(cluster_privilege_names()),
        index: owned(index_privilege_names()),
    })
}

async fn has_privileges(
    services: Arc<Services>,
    context: RequestContext,
    request: HasPrivilegesRequest,
) -> ApiResult<HasPrivilegesResponse> {
    let authorizer = services.authorizer.clone();
    let caller = context.authentication;
    let judge = move || authorizer.held_privileges(&caller, &request);
    services.pools.search.run(judge).await?
}

async fn get_user_privileges(
    services: Arc<Services>,
    context: RequestContext,
    _request: GetUserPrivilegesRequest,
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

async fn clear_cache(
    services: Arc<Services>,
    _context: RequestContext,
    _request: ClearSecurityCacheRequest,
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

/// How often to look again when somebody else was first.
const ATTEMPTS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(30);
