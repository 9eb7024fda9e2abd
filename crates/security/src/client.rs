//! The client that authorizes before it executes.

use std::sync::Arc;

use ringwall_api::action::{AnyMessage, BoxFuture, Client, ErasedRequest};
use ringwall_api::{ActionSpec, ApiResult, Authentication, RequestContext};

use crate::Authorizer;

/// The only client outside the node: every action is authorized, and its index names resolved,
/// before the client inside sees it.
pub struct SecuredClient {
    inner: Arc<dyn Client>,
    authorizer: Arc<Authorizer>,
}

impl SecuredClient {
    /// Returns a client that asks the authorizer first.
    pub fn new(inner: Arc<dyn Client>, authorizer: Arc<Authorizer>) -> Self {
        Self { inner, authorizer }
    }
}

impl Client for SecuredClient {
    fn admit(&self, caller: &Authentication, action: &ActionSpec) -> ApiResult<()> {
        self.authorizer.admit(caller, action)
    }

    fn execute_erased(
        &self,
        context: RequestContext,
        mut request: ErasedRequest,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>> {
        Box::pin(async move {
            self.authorizer
                .authorize(&context.authentication, &mut request)?;
            self.inner.execute_erased(context, request).await
        })
    }
}
