//! Privileges of applications.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::security::{
    DeletePrivilegesRequest, DeletePrivilegesResponse, GetPrivilegesRequest, GetPrivilegesResponse,
    OfApplication, PutPrivilegesRequest, PutPrivilegesResponse, StoredPrivilege,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::glob::{self, Syntax};
use ringwall_cluster::{Change, ClusterState};
use ringwall_security::Resolved;
use ringwall_security::authz::check_put_privileges;

use crate::acknowledge;
use crate::actions::Handler;
use crate::services::Services;

impl Handler<PutPrivilegesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutPrivilegesRequest>,
    ) -> ApiResult<PutPrivilegesResponse> {
        let request = request.into_request();
        check_put_privileges(&request)?;
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let is_new = |application: &String, name: &String| {
                let there = state.security.privileges.get(application);
                there.is_none_or(|there| !there.contains_key(name))
            };
            let mut created: BTreeMap<String, OfApplication<bool>> = BTreeMap::new();
            for (application, privileges) in &request.privileges {
                let each = privileges.keys();
                let each = each.map(|name| (name.clone(), is_new(application, name)));
                created.insert(application.clone(), each.collect());
            }
            let change = Change::PutPrivileges {
                privileges: request.privileges.clone(),
                created: created.clone(),
            };
            if submit(&services, change).await? {
                return Ok(PutPrivilegesResponse { created });
            }
        }
        Err(contended())
    }
}

impl Handler<DeletePrivilegesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeletePrivilegesRequest>,
    ) -> ApiResult<DeletePrivilegesResponse> {
        let DeletePrivilegesRequest { application, names } = request.into_request();
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let there = state.security.privileges.get(&application);
            let is_there = |name: &String| there.is_some_and(|there| there.contains_key(name));
            let found: OfApplication<bool> = names
                .iter()
                .map(|name| (name.clone(), is_there(name)))
                .collect();
            let gone = found.iter().filter(|(_, found)| **found);
            let change = Change::DeletePrivileges {
                application: application.clone(),
                names: gone.map(|(name, _)| name.clone()).collect(),
            };
            let nothing = !found.values().any(|found| *found);
            if nothing || submit(&services, change).await? {
                return Ok(DeletePrivilegesResponse { found });
            }
        }
        Err(contended())
    }
}

/// Returns whether the change was made: not where others have changed the same meanwhile, so that the answer would say
/// what is not so.
async fn submit(services: &Services, change: Change) -> ApiResult<bool> {
    match services.cluster.submit(change, TIMEOUT).await {
        Ok(()) => {
            acknowledge::by_all(services, TIMEOUT).await;
            Ok(true)
        }
        Err(error) if error.code == ErrorCode::VersionConflict => Ok(false),
        Err(error) => Err(error),
    }
}

fn contended() -> ApiError {
    ApiError::new(
        ErrorCode::VersionConflict,
        "the privileges are created and deleted too often; retry",
    )
}

impl Handler<GetPrivilegesRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetPrivilegesRequest>,
    ) -> ApiResult<GetPrivilegesResponse> {
        let state = services.cluster.state();
        Ok(GetPrivilegesResponse {
            privileges: wanted(&state, &request),
        })
    }
}

fn wanted(
    state: &ClusterState,
    request: &GetPrivilegesRequest,
) -> BTreeMap<String, OfApplication<StoredPrivilege>> {
    let patterns = request.applications();
    let is_meant = |application: &str| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| glob::matches(pattern, application, Syntax::Star))
    };
    let names = &request.names;
    let mut found = BTreeMap::new();
    for (application, privileges) in &state.security.privileges {
        let named = privileges
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(name));
        let named: BTreeMap<_, _> = named.map(|(n, p)| (n.clone(), p.clone())).collect();
        if is_meant(application) && !named.is_empty() {
            found.insert(application.clone(), named);
        }
    }
    found
}

/// How often to look again when somebody else was first.
const ATTEMPTS: usize = 16;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
