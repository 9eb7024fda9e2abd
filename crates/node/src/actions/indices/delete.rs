//! Indices removed.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{Acknowledged, DeleteIndexRequest};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_cluster::Change;
use ringwall_security::Resolved;

use crate::acknowledge;
use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::services::Services;

impl Handler<DeleteIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<DeleteIndexRequest>,
    ) -> ApiResult<Acknowledged> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?
            .into_iter()
            .map(|index| index.id.clone())
            .collect();
        let change = Change::DeleteIndices { indices };
        let timeout = Duration::from_millis(request.timeout_ms);
        services.cluster.submit(change, timeout).await?;
        acknowledged(&services, timeout).await
    }
}

pub(crate) async fn acknowledged(
    services: &Services,
    timeout: Duration,
) -> ApiResult<Acknowledged> {
    let acknowledged = acknowledge::by_all(services, timeout).await;
    Ok(Acknowledged { acknowledged })
}
