//! Forgetting what filters have found. Source: Elasticsearch reference, "Clear cache API".

use std::sync::Arc;

use ringwall_api::indices::{BroadcastResponse, ClearCacheRequest};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::broadcast::{Work, maintain};
use crate::services::Services;

impl Handler<ClearCacheRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ClearCacheRequest>,
    ) -> ApiResult<BroadcastResponse> {
        let work = match request.filters {
            true => Work::ClearFilters,
            false => Work::ClearNothing,
        };
        maintain(&services, &context, request.indices(), work).await
    }
}
