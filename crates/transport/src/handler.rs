//! What this node does when another asks: handlers of actions.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use ringwall_api::{ApiError, Authentication};
use ringwall_base::{NodeId, NodeKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::identity::NodeIdentity;
use crate::message::Message;
use crate::origin::Origin;

/// Who asks, for whom, and until when the answer is wanted.
#[derive(Debug, Clone)]
pub struct InboundContext {
    /// The node that asks; this node itself for local delivery.
    pub peer: Arc<NodeIdentity>,
    /// The user on whose behalf it asks.
    pub authentication: Option<Authentication>,
    /// When the asking side gives up; the handler is dropped then.
    pub deadline: Instant,
    /// The task it is a part of.
    pub origin: Option<Origin>,
}

impl InboundContext {
    /// Returns how long the asking side still waits, for requests sent on its behalf.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Who may call an action. There is no action without it: [`Transport::register`](crate::Transport::register) asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Whoever has introduced itself: discovery and joining need no more.
    Anyone,
    /// A node that belongs to the cluster, for itself. See [`Gate`].
    Members,
    /// A node that belongs to the cluster, for a user: a request without one is refused.
    MembersForUsers,
}

/// Knows which nodes belong to the cluster.
///
/// A transport without one takes no node for a member: only [`Callers::Anyone`] is answered.
pub trait Gate: Send + Sync + 'static {
    /// Returns the key by which a node is known. Nobody else is talked to in its name.
    fn key_of(&self, node: NodeId) -> Option<NodeKey>;

    /// Returns whether a node that has introduced itself is known as a member now. Its key is the one that it has
    /// proved to hold.
    fn is_member(&self, peer: &NodeIdentity, action: &str) -> bool;

    /// Completes when it is known as one; this node may learn of it a moment later than others. Whoever asks
    /// gives up at a time of its own.
    fn becomes_member<'a>(&'a self, peer: &'a NodeIdentity, action: &'a str) -> BoxFuture<'a, ()>;
}

/// Answers one action.
///
/// The future is dropped at the deadline, and when the asking side gives up or disappears: work that
/// must go on belongs in a task of its own. Any closure from `(InboundContext, Bytes)` to a future of
/// `Result<Bytes, ApiError>` is a handler of encoded messages; [`TypedHandler`] takes what they stand for.
pub trait RequestHandler: Send + Sync + 'static {
    /// Returns the answer to a request, in the form in which the request came.
    fn handle(
        &self,
        context: InboundContext,
        request: Message,
    ) -> BoxFuture<'static, Result<Message, ApiError>>;
}

impl<F, R> RequestHandler for F
where
    F: Fn(InboundContext, Bytes) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, ApiError>> + Send + 'static,
{
    fn handle(
        &self,
        context: InboundContext,
        request: Message,
    ) -> BoxFuture<'static, Result<Message, ApiError>> {
        match request.into_encoded() {
            Ok(body) => self(context, body).map_ok(Message::Encoded).boxed(),
            Err(error) => futures::future::ready(Err(error)).boxed(),
        }
    }
}

/// Sees every request that is handled here, but those of the cluster's own coordination.
pub trait Observer: Send + Sync + 'static {
    /// Returns a future that ends as `handling` does, or gives it up.
    fn observe(
        &self,
        action: &str,
        context: &InboundContext,
        handling: BoxFuture<'static, Result<Message, ApiError>>,
    ) -> BoxFuture<'static, Result<Message, ApiError>>;
}

/// A handler from a function on messages, not on their encoding.
pub struct TypedHandler<F, Request> {
    function: F,
    request: PhantomData<fn(Request)>,
}

impl<F, Request> TypedHandler<F, Request> {
    /// Returns a handler that calls the function with the request and answers with its response: both as they are
    /// for a request of this node, decoded and encoded for another's.
    pub fn new<R, Response>(function: F) -> Self
    where
        F: Fn(InboundContext, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        Self {
            function,
            request: PhantomData,
        }
    }
}

impl<F, Request, R, Response> RequestHandler for TypedHandler<F, Request>
where
    F: Fn(InboundContext, Request) -> R + Send + Sync + 'static,
    Request: DeserializeOwned + 'static,
    R: Future<Output = Result<Response, ApiError>> + Send + 'static,
    Response: Serialize + Send + 'static,
{
    fn handle(
        &self,
        context: InboundContext,
        request: Message,
    ) -> BoxFuture<'static, Result<Message, ApiError>> {
        let is_encoded = matches!(request, Message::Encoded(_));
        match request.into_typed() {
            Ok(request) => (self.function)(context, request)
                .map_ok(move |response| match is_encoded {
                    true => Message::encode(&response),
                    false => Message::Typed(Box::new(response)),
                })
                .boxed(),
            Err(error) => futures::future::ready(Err(error)).boxed(),
        }
    }
}
