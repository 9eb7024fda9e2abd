//! What other nodes ask of this one. Each action says who may call it, a member for itself or a user with a right,
//! and what is said here is in force: there is no other way to the handler.

use std::future::Future;
use std::sync::Arc;

use ringwall_api::{ActionSpec, ApiError, ApiResult, Authentication};
use ringwall_transport::{Callers, DuplicateAction, InboundContext, NodeAction, TypedHandler};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::services::Services;

/// What a user needs for a request that a node makes for it. The node that coordinates has authorized the user
/// already; its word is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// The right to an action of the cluster.
    Cluster(&'static str),
    /// The right to an action on each of these indices, by their names or by an alias.
    Indices(&'static str, Vec<String>),
    /// The right to an action on exactly these names, of indices or aliases.
    Names(&'static str, Vec<String>),
    /// The right to the action anywhere: what the request is about belongs to its caller, and the handler looks at
    /// whom it is for.
    Own(&'static ActionSpec),
}

impl Needs {
    fn check(&self, services: &Services, user: &Authentication) -> ApiResult<()> {
        let authorizer = &services.authorizer;
        match self {
            Self::Cluster(action) => authorizer.recheck(user, action, &[]),
            Self::Indices(action, names) => authorizer.recheck(user, action, names),
            Self::Names(action, names) => authorizer.recheck_names(user, action, names),
            Self::Own(action) => authorizer.admit(user, action),
        }
    }
}

/// Who asks, and the user whose right has been checked.
pub struct ForUser {
    pub node: InboundContext,
    pub user: Authentication,
}

/// Registers an action that members of the cluster call for themselves.
pub fn for_members<Q, F, R, A>(
    services: &Arc<Services>,
    action: NodeAction<Q, A>,
    function: F,
) -> Result<(), DuplicateAction>
where
    Q: DeserializeOwned + Send + 'static,
    F: Fn(Arc<Services>, InboundContext, Q) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = ApiResult<A>> + Send + 'static,
    A: Serialize + Send + 'static,
{
    let shared = services.clone();
    let handler = move |context: InboundContext, request: Q| {
        let services = shared.clone();
        if let Some(audit) = &services.audit {
            audit
                .trail()
                .system(action.name(), &context.peer.publish_address);
        }
        // Begun when polled, so within what is set around it.
        async move { function(services, context, request).await }
    };
    let transport = &services.transport;
    transport.register(action.name(), Callers::Members, TypedHandler::new(handler))
}

/// Registers an action that members of the cluster call for a user, who needs what `needs` says of the request.
pub fn for_users<Q, N, F, R, A>(
    services: &Arc<Services>,
    action: NodeAction<Q, A>,
    needs: N,
    function: F,
) -> Result<(), DuplicateAction>
where
    Q: DeserializeOwned + Send + 'static,
    N: Fn(&Q) -> Vec<Needs> + Copy + Send + Sync + 'static,
    F: Fn(Arc<Services>, ForUser, Q) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = ApiResult<A>> + Send + 'static,
    A: Serialize + Send + 'static,
{
    let shared = services.clone();
    let handler = move |context: InboundContext, request: Q| {
        let services = shared.clone();
        let mut context = context;
        async move {
            let user = user_of(&mut context)?;
            check(&services, &user, &needs(&request))?;
            let caller = ForUser {
                node: context,
                user,
            };
            function(services, caller, request).await
        }
    };
    let transport = &services.transport;
    transport.register(
        action.name(),
        Callers::MembersForUsers,
        TypedHandler::new(handler),
    )
}

/// Registers an action of several parts, each of which has its own needs. The function gets every part, or why the user
/// may not have it, in order. A request of which nothing may be done is refused as a whole.
pub fn for_users_by_parts<Q, P, N, F, R, A>(
    services: &Arc<Services>,
    action: NodeAction<Q, A>,
    parts: fn(Q) -> Vec<P>,
    needs: N,
    function: F,
) -> Result<(), DuplicateAction>
where
    Q: DeserializeOwned + Send + 'static,
    P: Send + 'static,
    N: Fn(&P) -> Vec<Needs> + Copy + Send + Sync + 'static,
    F: Fn(Arc<Services>, ForUser, Vec<ApiResult<P>>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = ApiResult<A>> + Send + 'static,
    A: Serialize + Send + 'static,
{
    let shared = services.clone();
    let handler = move |context: InboundContext, request: Q| {
        let services = shared.clone();
        let mut context = context;
        async move {
            let user = user_of(&mut context)?;
            let checked = |part: P| check(&services, &user, &needs(&part)).map(|()| part);
            let parts: Vec<ApiResult<P>> = parts(request).into_iter().map(checked).collect();
            if !parts.iter().any(Result::is_ok) {
                let refused = parts.into_iter().find_map(Result::err);
                let empty = || ApiError::illegal_argument("a request of parts has none");
                return Err(refused.unwrap_or_else(empty));
            }
            let caller = ForUser {
                node: context,
                user,
            };
            function(services, caller, parts).await
        }
    };
    let transport = &services.transport;
    let handler = TypedHandler::new(handler);
    transport.register(action.name(), Callers::MembersForUsers, handler)
}

fn user_of(context: &mut InboundContext) -> ApiResult<Authentication> {
    let user = context.authentication.take();
    user.ok_or_else(|| ApiError::internal("a request came without its user"))
}

/// Refuses a user who lacks any of what is needed.
fn check(services: &Services, user: &Authentication, needs: &[Needs]) -> ApiResult<()> {
    if needs.is_empty() {
        return Err(ApiError::internal(
            "an action says nothing of what its user needs",
        ));
    }
    for need in needs {
        need.check(services, user)?;
    }
    Ok(())
}
