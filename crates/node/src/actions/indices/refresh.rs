//! Every copy refreshed or flushed.

use std::sync::Arc;

use ringwall_api::auth::Authentication;
use ringwall_api::indices::{BroadcastResponse, FlushRequest, RefreshRequest};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_cluster::IndexMetadata;
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::broadcast::{Work, every_copy, maintain};
use crate::services::Services;

impl Handler<RefreshRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<RefreshRequest>,
    ) -> ApiResult<BroadcastResponse> {
        maintain(&services, &context, request.indices(), Work::Refresh).await
    }
}

impl Handler<FlushRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<FlushRequest>,
    ) -> ApiResult<BroadcastResponse> {
        maintain(&services, &context, request.indices(), Work::Flush).await
    }
}

/// Waits until the writes are over that began before these indices were closed or blocked, which every node has
/// applied. Returns whether all copies said so.
pub(crate) async fn writes_are_over(
    services: &Arc<Services>,
    user: &Authentication,
    indices: &[&IndexMetadata],
    closed: bool,
) -> bool {
    let work = if closed {
        Work::CloseWrites
    } else {
        Work::BlockWrites
    };
    every_copy(services, user, indices, work, "may have writes under way").await
}

/// Has every copy of closed indices commit its files, so that nothing of them has to be done again when a node
/// starts. Returns whether all of them did.
pub(crate) async fn flush_closed(
    services: &Arc<Services>,
    user: &Authentication,
    indices: &[&IndexMetadata],
) -> bool {
    every_copy(services, user, indices, Work::Close, "has not been flushed").await
}
