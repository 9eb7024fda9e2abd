//! Names of this node and its cluster.

use std::sync::Arc;

use ringwall_api::cluster::{MainRequest, MainResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::services::Services;

impl Handler<MainRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        _request: Resolved<MainRequest>,
    ) -> ApiResult<MainResponse> {
        let state = services.cluster.state();
        Ok(MainResponse {
            node_name: services.transport.local().name.clone(),
            cluster_name: services.cluster_name.clone(),
            cluster_uuid: state
                .cluster_uuid
                .clone()
                .unwrap_or_else(|| "_na_".to_owned()),
        })
    }
}
