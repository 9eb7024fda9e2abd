//! Who the caller is.

use std::sync::Arc;

use ringwall_api::security::{AuthenticateRequest, AuthenticateResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::services::Services;

impl Handler<AuthenticateRequest> for Services {
    async fn handle(
        _services: Arc<Self>,
        context: RequestContext,
        _request: Resolved<AuthenticateRequest>,
    ) -> ApiResult<AuthenticateResponse> {
        Ok(AuthenticateResponse {
            authentication: context.authentication,
        })
    }
}
