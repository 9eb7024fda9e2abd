//! Role mappings of the cluster.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::security::{
    DeleteRoleMappingRequest, DeleteRoleMappingResponse, GetRoleMappingsRequest,
    GetRoleMappingsResponse, PutRoleMappingRequest, PutRoleMappingResponse,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::Change;
use ringwall_security::Resolved;
use ringwall_security::role_mapping::check_put_role_mapping;
use serde_json::Value;

use crate::acknowledge;
use crate::actions::Handler;
use crate::services::Services;

impl Handler<PutRoleMappingRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutRoleMappingRequest>,
    ) -> ApiResult<PutRoleMappingResponse> {
        let request = request.into_request();
        let mapping = check_put_role_mapping(&request.name, &request.mapping)?;
        for _ in 0..ATTEMPTS {
            let state = services.cluster.state();
            let existed = state.security.role_mappings.contains_key(&request.name);
            let change = Change::PutRoleMapping {
                name: request.name.clone(),
                mapping: mapping.clone(),
                exists: existed,
            };
            match services.cluster.submit(change, TIMEOUT).await {
                Err(error) if error.code == ErrorCode::VersionConflict => {}
                result => {
                    result?;
                    acknowledge::by_all(&services, TIMEOUT).await;
                    return Ok(PutRoleMappingResponse { created: !existed });
                }
            }
        }
        let name = &request.name;
        let reason = format!("the role mapping [{name}] is created and deleted too often; retry");
        Err(ApiError::new(ErrorCode::VersionConflict, reason))
    }
}

impl Handler<DeleteRoleMappingRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteRoleMappingRequest>,
    ) -> ApiResult<DeleteRoleMappingResponse> {
        let name = request.into_request().name;
        let change = Change::DeleteRoleMapping { name };
        match services.cluster.submit(change, TIMEOUT).await {
            Ok(()) => {
                acknowledge::by_all(&services, TIMEOUT).await;
                Ok(DeleteRoleMappingResponse { found: true })
            }
            Err(error) if error.code == ErrorCode::ResourceNotFound => {
                Ok(DeleteRoleMappingResponse { found: false })
            }
            Err(error) => Err(error),
        }
    }
}

impl Handler<GetRoleMappingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<GetRoleMappingsRequest>,
    ) -> ApiResult<GetRoleMappingsResponse> {
        let names = request.into_request().names;
        let state = services.cluster.state();
        let stored = state.security.role_mappings.iter();
        let wanted = stored.filter(|(name, _)| names.is_empty() || names.contains(name));
        let shown =
            wanted.map(|(name, stored)| (name.clone(), Value::Object(stored.mapping.clone())));
        Ok(GetRoleMappingsResponse {
            mappings: shown.collect(),
        })
    }
}

/// How often to look again when somebody else was first.
const ATTEMPTS: usize = 16;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
