//! Requests of other nodes as tasks.

use futures::FutureExt;
use futures::future::BoxFuture;
use ringwall_api::ApiError;
use ringwall_transport::{InboundContext, Message, Observer};

use super::Tasks;
use crate::search::messages::QUERY;

/// Makes a task of every request that this node handles for a node.
pub struct TransportObserver(pub Tasks);

impl Observer for TransportObserver {
    fn observe(
        &self,
        action: &str,
        context: &InboundContext,
        handling: BoxFuture<'static, Result<Message, ApiError>>,
    ) -> BoxFuture<'static, Result<Message, ApiError>> {
        // Its shards are the tasks.
        if action == QUERY.name() {
            return handling;
        }
        let task = self.0.begin(action, context.origin.as_ref());
        task.run(handling).boxed()
    }
}
