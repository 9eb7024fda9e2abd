//! Whether this cluster has what an index expression names. There are no others.

use std::sync::Arc;

use ringwall_api::indices::{ResolveClusterRequest, ResolveClusterResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::services::Services;

impl Handler<ResolveClusterRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<ResolveClusterRequest>,
    ) -> ApiResult<ResolveClusterResponse> {
        let state = services.cluster.state();
        let found = concrete(&state, request.indices())?;
        let matching = found.iter().any(|index| !index.is_closed);
        Ok(ResolveClusterResponse { matching })
    }
}
