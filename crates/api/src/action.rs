//! Actions, the requests that name them, and the client that executes them.

use std::any::{Any, TypeId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ringwall_base::breaker::Account;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{Access, AccessKind, Claim};
use crate::auth::Authentication;
use crate::list::Listed;
use crate::{ApiError, ApiResult};

/// An action: its name is what roles grant. Source of names: Elasticsearch reference, "Security privileges".
#[derive(Debug, PartialEq, Eq)]
pub struct ActionSpec {
    pub name: &'static str,
    /// The type of the request, for the audit log.
    pub request: &'static str,
    pub access: AccessKind,
}

/// A request of an action, together with its response type. All of them stand in
/// [`for_each_action`](crate::for_each_action), which alone implements this.
pub trait ActionRequest: Listed + Serialize + DeserializeOwned + Send + 'static {
    type Response: Serialize + DeserializeOwned + Send + 'static;
    /// Several requests may share a name (`_count` is authorized as a search).
    const NAME: &'static str;
    /// The name of the request's type.
    const REQUEST: &'static str;
    const ACCESS: Access<Self>;
    const ACTION: ActionSpec = ActionSpec {
        name: Self::NAME,
        request: Self::REQUEST,
        access: Self::ACCESS.kind(),
    };
}

/// What travels beside a request: who asks, and how long the answer is worth waiting for.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub authentication: Authentication,
    /// The generation of the users before the caller's credentials were looked at: what its user has
    /// been through since, this request does not know of. `None` when they were not looked at here.
    pub authenticated_as_of: Option<u64>,
    /// The caller's own `X-Opaque-Id`, echoed in logs.
    pub opaque_id: Option<String>,
    /// The client hangs up after this; work past it is wasted.
    pub deadline: Option<std::time::Instant>,
    /// What is held in memory to answer is charged here.
    pub account: Account,
}

impl RequestContext {
    /// Returns the context of a caller with no deadline.
    pub fn of(authentication: Authentication) -> Self {
        Self {
            authentication,
            authenticated_as_of: None,
            opaque_id: None,
            deadline: None,
            account: Account::unlimited(),
        }
    }

    /// Returns the time left, at most `limit`.
    pub fn time_left(&self, limit: Duration) -> Duration {
        match self.deadline {
            Some(deadline) => deadline
                .saturating_duration_since(std::time::Instant::now())
                .min(limit),
            None => limit,
        }
    }
}

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request or response whose type the action determines.
pub type AnyMessage = Box<dyn Any + Send>;

/// A request with its type erased but what authorization needs still in reach.
pub struct ErasedRequest(Box<dyn AnyRequest>);

trait AnyRequest: Send {
    fn spec(&self) -> ActionSpec;
    fn type_id(&self) -> TypeId;
    fn claim(&mut self, caller: &Authentication) -> Claim<'_>;
    fn into_message(self: Box<Self>) -> AnyMessage;
}

impl<R: ActionRequest> AnyRequest for R {
    fn spec(&self) -> ActionSpec {
        R::ACTION
    }

    fn type_id(&self) -> TypeId {
        TypeId::of::<R>()
    }

    fn claim(&mut self, caller: &Authentication) -> Claim<'_> {
        R::ACCESS.claim(self, caller)
    }

    fn into_message(self: Box<Self>) -> AnyMessage {
        self
    }
}

impl ErasedRequest {
    /// Erases the type of a request.
    pub fn new<R: ActionRequest>(request: R) -> Self {
        Self(Box::new(request))
    }

    /// Returns the action of the request.
    pub fn spec(&self) -> ActionSpec {
        self.0.spec()
    }

    /// Returns the type of the request behind the erasure. Several requests may share an action
    /// name (`_count` is authorized as a search), so this is what selects the handler.
    pub fn request_type(&self) -> TypeId {
        AnyRequest::type_id(&*self.0)
    }

    /// Returns what the request claims access to.
    pub fn claim(&mut self, caller: &Authentication) -> Claim<'_> {
        self.0.claim(caller)
    }

    /// Returns the request, of the type [`ErasedRequest::request_type`].
    pub fn into_message(self) -> AnyMessage {
        self.0.into_message()
    }
}

/// Executes actions. The HTTP edge holds one that authorizes first; only the node holds the
/// one behind it.
pub trait Client: Send + Sync + 'static {
    /// Refuses who may not perform an action on anything at all, so that its request need not even be read. What
    /// passes is authorized when it is executed, as ever.
    fn admit(&self, _caller: &Authentication, _action: &ActionSpec) -> ApiResult<()> {
        Ok(())
    }

    /// Executes an action and returns its response, of the action's response type.
    fn execute_erased(
        &self,
        context: RequestContext,
        request: ErasedRequest,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>>;
}

/// Typed calls on any [`Client`].
pub trait ClientExt {
    /// Executes the request's action.
    fn execute<R: ActionRequest>(
        &self,
        context: RequestContext,
        request: R,
    ) -> impl Future<Output = ApiResult<R::Response>> + Send;
}

impl ClientExt for Arc<dyn Client> {
    async fn execute<R: ActionRequest>(
        &self,
        context: RequestContext,
        request: R,
    ) -> ApiResult<R::Response> {
        let response = self
            .execute_erased(context, ErasedRequest::new(request))
            .await?;
        response
            .downcast::<R::Response>()
            .map(|response| *response)
            .map_err(|_| {
                ApiError::internal(format!("action [{}] answered with another type", R::NAME))
            })
    }
}
