//! What a request has opened on the nodes: for its caller, who has no id of it yet, or for its own next phase.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use ringwall_api::{ApiResult, Authentication};
use ringwall_base::NodeId;

use crate::actions::search::scroll::free;
use crate::search::context_ids::OpenShard;
use crate::search::messages::{FREE, FreeRequest};
use crate::services::Services;

/// Ends what was opened unless the caller gets its id: also when an error comes between, or the client hangs up.
pub(crate) struct Opened {
    services: Arc<Services>,
    owner: Authentication,
    shards: Mutex<Vec<OpenShard>>,
    /// Searchers that wait for the fetch phase; they end with the request in any case.
    contexts: Mutex<BTreeMap<NodeId, Vec<u64>>>,
    is_given: AtomicBool,
}

impl Opened {
    pub(crate) fn new(services: &Arc<Services>, owner: &Authentication) -> Self {
        Self {
            services: Arc::clone(services),
            owner: owner.clone(),
            shards: Mutex::default(),
            contexts: Mutex::default(),
            is_given: AtomicBool::new(false),
        }
    }

    /// Notes what a node has opened, as soon as its answer is there.
    pub(crate) fn note(&self, open: OpenShard) {
        self.shards.lock().push(open);
    }

    /// Notes what a node holds for the fetch phase.
    pub(crate) fn note_context(&self, node: NodeId, context: u64) {
        self.contexts.lock().entry(node).or_default().push(context);
    }

    /// The node has answered the fetch phase: it holds nothing more for it.
    pub(crate) fn fetched(&self, node: NodeId, context: u64) {
        if let Some(of_node) = self.contexts.lock().get_mut(&node) {
            of_node.retain(|open| *open != context);
        }
    }

    /// Ends what was opened for the caller, and waits for it.
    pub(crate) async fn end(&self) {
        let shards = std::mem::take(&mut *self.shards.lock());
        if !shards.is_empty() {
            free(&self.services, &self.owner, &shards, TIMEOUT).await;
        }
    }

    /// The caller is told: from now on it is its to end.
    pub(crate) fn given(&self) {
        self.is_given.store(true, Ordering::Release);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut contexts = std::mem::take(&mut *self.contexts.lock());
        contexts.retain(|_, of_node| !of_node.is_empty());
        let mut shards = std::mem::take(&mut *self.shards.lock());
        if self.is_given.load(Ordering::Acquire) {
            shards.clear();
        }
        if contexts.is_empty() && shards.is_empty() {
            return;
        }
        let (services, owner) = (Arc::clone(&self.services), self.owner.clone());
        tokio::spawn(async move {
            let asked = contexts.into_iter().map(|(node, contexts)| {
                let (services, owner) = (&services, &owner);
                async move {
                    let request = FreeRequest { contexts };
                    let freed: ApiResult<u64> =
                        services.call_as(owner, node, FREE, request, TIMEOUT).await;
                    // They go with time.
                    if let Err(error) = freed {
                        tracing::debug!(%node, %error, "search contexts not freed");
                    }
                }
            });
            join_all(asked).await;
            if !shards.is_empty() {
                free(&services, &owner, &shards, TIMEOUT).await;
            }
        });
    }
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
