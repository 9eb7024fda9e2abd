//! What each action does. The registry is the inner client: only the secured client in front of
//! it is handed to the HTTP edge. One folder per family of endpoints, one file per endpoint.

mod cluster;
mod document;
mod indices;
mod nodes;
mod search;
mod security;

use std::any::TypeId;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use ringwall_api::action::{AnyMessage, BoxFuture};
use ringwall_api::{ActionRequest, ApiError, ApiResult, RequestContext, for_each_action};
use ringwall_security::{AnyResolved, Executor, Resolved};
use ringwall_transport::{DuplicateAction, Origin};

use crate::services::Services;

/// What an action does. Each request on the list of actions has exactly one handler, or this crate does not compile;
/// and a handler cannot be given a request that nobody has authorized.
pub trait Handler<R: ActionRequest>: Send + Sync + 'static {
    /// Does what the request says.
    fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<R>,
    ) -> impl Future<Output = ApiResult<R::Response>> + Send;
}

type Run =
    fn(Arc<Services>, RequestContext, AnyResolved) -> BoxFuture<'static, ApiResult<AnyMessage>>;

/// The implementation of every action of this node.
pub struct ActionRegistry {
    services: Arc<Services>,
    handlers: HashMap<TypeId, Run>,
}

macro_rules! handlers {
    ($($module:ident {
        $($request:ident => $response:ident, $name:literal, $access:ident $(($($args:tt)*))?;)*
    })*) => {
        [$($((
            TypeId::of::<ringwall_api::$module::$request>(),
            run::<ringwall_api::$module::$request> as Run,
        ),)*)*]
    };
}

impl ActionRegistry {
    /// Returns the registry of every action.
    pub fn new(services: Arc<Services>) -> Arc<Self> {
        Arc::new(Self {
            services,
            handlers: HashMap::from(for_each_action!(handlers)),
        })
    }
}

fn run<R: ActionRequest>(
    services: Arc<Services>,
    context: RequestContext,
    request: AnyResolved,
) -> BoxFuture<'static, ApiResult<AnyMessage>>
where
    Services: Handler<R>,
{
    Box::pin(async move {
        let request = request.into_typed::<R>()?;
        indices::blocks::check(&services.cluster.state(), &request)?;
        let response = Services::handle(services, context, request).await?;
        Ok(Box::new(response) as AnyMessage)
    })
}

/// Performs a request of a user that is a part of another request of theirs: authorized like any other, and a task of its
/// own.
fn perform<R: ActionRequest>(
    services: &Arc<Services>,
    context: RequestContext,
    request: R,
) -> BoxFuture<'static, ApiResult<R::Response>>
where
    Services: Handler<R>,
{
    let services = services.clone();
    // Boxed: one request within another would take too much of the stack.
    Box::pin(async move {
        let authorizer = &services.authorizer;
        let request = authorizer.authorize(&context.authentication, request)?;
        indices::blocks::check(&services.cluster.state(), &request)?;
        let task = services.tasks.begin(R::NAME, Origin::current().as_ref());
        task.run(Services::handle(services.clone(), context, request))
            .await
    })
}

/// Registers what the actions of other nodes ask of this one.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    cluster::health::register_transport(services)?;
    cluster::membership::register_transport(services)?;
    cluster::pending_tasks::register_transport(services)?;
    cluster::stats::register_transport(services)?;
    cluster::tasks::register_transport(services)?;
    document::get::register_transport(services)?;
    indices::broadcast::register_transport(services)?;
    indices::recovery::register_transport(services)?;
    indices::shard_stores::register_transport(services)?;
    nodes::info::register_transport(services)?;
    nodes::reload_secure_settings::register_transport(services)?;
    nodes::stats::register_transport(services)?;
    nodes::tls::register_transport(services)?;
    security::audit::register_transport(services)?;
    security::service_accounts::register_transport(services)
}

impl Executor for ActionRegistry {
    fn execute(
        &self,
        context: RequestContext,
        request: AnyResolved,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>> {
        let action = request.action();
        let Some(run) = self.handlers.get(&request.request_type()) else {
            let error = ApiError::internal(format!("no handler for action [{action}]"));
            return Box::pin(async move { Err(error) });
        };
        let origin = Origin {
            task: None,
            opaque_id: context.opaque_id.clone(),
        };
        let task = self.services.tasks.begin(action, Some(&origin));
        Box::pin(task.run(run(self.services.clone(), context, request)))
    }
}
