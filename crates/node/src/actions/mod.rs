//! What each action does. The registry is the inner client: only the secured client in front of
//! it is handed to the HTTP edge.

pub mod aliases;
mod api_keys;
mod blocks;
pub mod bulk;
mod by_query;
mod close;
pub mod cluster;
pub mod cluster_settings;
mod cluster_stats;
pub mod enroll;
mod field_caps;
pub mod get;
pub mod health_report;
pub mod indices;
mod listing;
pub mod membership;
pub mod metrics;
pub mod nodes;
mod opened;
mod pit;
mod privileges;
pub mod reload_secure_settings;
pub mod reroute;
mod resolve_index;
mod role_mappings;
mod roles;
mod rollover;
mod scroll;
pub mod search;
pub mod security;
pub mod service_accounts;
pub mod stats;
pub mod tasks;
mod templates;
pub mod tls;

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
        blocks::check(&services.cluster.state(), &request)?;
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
        blocks::check(&services.cluster.state(), &request)?;
        let task = services.tasks.begin(R::NAME, Origin::current().as_ref());
        task.run(Services::handle(services.clone(), context, request))
            .await
    })
}

/// Registers what the actions of other nodes ask of this one.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    cluster::register_transport(services)?;
    cluster_stats::register_transport(services)?;
    tasks::register_transport(services)?;
    get::register_transport(services)?;
    nodes::register_transport(services)?;
    service_accounts::register_transport(services)?;
    tls::register_transport(services)?;
    reload_secure_settings::register_transport(services)?;
    membership::register_transport(services)?;
    stats::register_transport(services)
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
