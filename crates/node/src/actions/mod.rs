//! What each action does. The registry is the inner client: only the secured client in front of
//! it is handed to the HTTP edge.

pub mod aliases;
mod api_keys;
mod blocks;
pub mod bulk;
pub mod cluster;
pub mod cluster_settings;
pub mod enroll;
pub mod get;
pub mod health_report;
pub mod indices;
pub mod membership;
pub mod metrics;
pub mod nodes;
pub mod reload_secure_settings;
pub mod reroute;
mod roles;
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

use ringwall_api::action::{AnyMessage, BoxFuture, ErasedRequest};
use ringwall_api::{ActionRequest, ApiError, ApiResult, Client, ErrorCode, RequestContext};

use ringwall_transport::{DuplicateAction, Origin};

use crate::services::Services;

type Handler = Box<
    dyn Fn(
            Arc<Services>,
            RequestContext,
            ErasedRequest,
        ) -> BoxFuture<'static, ApiResult<AnyMessage>>
        + Send
        + Sync,
>;

/// The implementation of every action of this node.
pub struct ActionRegistry {
    services: Arc<Services>,
    handlers: HashMap<TypeId, Handler>,
}

impl ActionRegistry {
    /// Returns the registry of every action.
    pub fn new(services: Arc<Services>) -> Arc<Self> {
        let mut registry = Self {
            services,
            handlers: HashMap::new(),
        };
        cluster::register(&mut registry);
        cluster_settings::register(&mut registry);
        nodes::register(&mut registry);
        indices::register(&mut registry);
        stats::register(&mut registry);
        tasks::register(&mut registry);
        templates::register(&mut registry);
        bulk::register(&mut registry);
        get::register(&mut registry);
        search::register(&mut registry);
        roles::register(&mut registry);
        security::register(&mut registry);
        aliases::register(&mut registry);
        api_keys::register(&mut registry);
        service_accounts::register(&mut registry);
        enroll::register(&mut registry);
        tls::register(&mut registry);
        reload_secure_settings::register(&mut registry);
        health_report::register(&mut registry);
        metrics::register(&mut registry);
        reroute::register(&mut registry);
        membership::register(&mut registry);
        Arc::new(registry)
    }

    /// Adds the implementation of one request type.
    pub(crate) fn add<R, F, Fut>(&mut self, handler: F)
    where
        R: ActionRequest,
        F: Fn(Arc<Services>, RequestContext, R) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = ApiResult<R::Response>> + Send + 'static,
    {
        let erased: Handler = Box::new(move |services, context, request| {
            Box::pin(async move {
                let mut request = request.into_typed::<R>()?;
                blocks::check(&services.cluster.state(), &mut request)?;
                let response = handler(services, context, request).await?;
                Ok(Box::new(response) as AnyMessage)
            })
        });
        let previous = self.handlers.insert(TypeId::of::<R>(), erased);
        debug_assert!(previous.is_none(), "two handlers of {}", R::ACTION.name);
    }
}

/// Registers what the actions of other nodes ask of this one.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    cluster::register_transport(services)?;
    tasks::register_transport(services)?;
    get::register_transport(services)?;
    nodes::register_transport(services)?;
    service_accounts::register_transport(services)?;
    tls::register_transport(services)?;
    reload_secure_settings::register_transport(services)?;
    membership::register_transport(services)?;
    stats::register_transport(services)
}

impl Client for ActionRegistry {
    fn execute_erased(
        &self,
        context: RequestContext,
        request: ErasedRequest,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>> {
        match self.handlers.get(&request.request_type()) {
            Some(handler) => {
                let origin = Origin {
                    task: None,
                    opaque_id: context.opaque_id.clone(),
                };
                let task = self.services.tasks.begin(request.spec.name, Some(&origin));
                Box::pin(task.run(handler(self.services.clone(), context, request)))
            }
            None => {
                let error = ApiError::new(
                    ErrorCode::ActionNotFound,
                    format!("no handler for action [{}]", request.spec.name),
                );
                Box::pin(async move { Err(error) })
            }
        }
    }
}
