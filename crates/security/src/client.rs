//! The client that authorizes before it executes.

use std::sync::Arc;

use ringwall_api::action::{AnyMessage, BoxFuture, Client, ErasedRequest};
use ringwall_api::{ActionSpec, ApiResult, Authentication, RequestContext};

use crate::Authorizer;
use crate::authz::AnyResolved;

/// What executes requests that have been authorized: the node.
pub trait Executor: Send + Sync + 'static {
    /// Executes an action and returns its response, of the action's response type.
    fn execute(
        &self,
        context: RequestContext,
        request: AnyResolved,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>>;
}

/// The only client there is: every action is authorized, and its index names resolved, before the executor inside
/// sees it.
pub struct SecuredClient {
    inner: Arc<dyn Executor>,
    authorizer: Arc<Authorizer>,
}

impl SecuredClient {
    /// Returns a client that asks the authorizer first.
    pub fn new(inner: Arc<dyn Executor>, authorizer: Arc<Authorizer>) -> Self {
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
        request: ErasedRequest,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>> {
        Box::pin(async move {
            let caller = &context.authentication;
            let resolved = self.authorizer.authorize_erased(caller, request)?;
            self.inner.execute(context, resolved).await
        })
    }
}
