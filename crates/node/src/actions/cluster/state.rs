//! What every node knows of the cluster.

use std::sync::Arc;

use ringwall_api::cluster::{ClusterStateRequest, ClusterStateResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;
use serde_json::Value;

use crate::actions::Handler;
use crate::actions::cluster::health::selected;
use crate::services::Services;

impl Handler<ClusterStateRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<ClusterStateRequest>,
    ) -> ApiResult<ClusterStateResponse> {
        let state = services.cluster.state();
        let names = selected(&state, request.named());
        request.named().check(&names)?;
        let are_named = !request.named().is_empty();
        let rendered = state.render(
            &request.metrics,
            are_named.then_some(names.as_slice()),
            services.cluster.master(),
            public_mapping,
        );
        Ok(ClusterStateResponse { state: rendered })
    }
}

/// Returns a stored mapping as clients see it.
fn public_mapping(stored: &Value) -> Value {
    match ringwall_index::Mapping::parse_stored(stored) {
        Ok(mapping) => mapping.to_json(),
        // Written by a newer version: better shown as it is than not at all.
        Err(_) => stored.clone(),
    }
}
