//! What a request has opened on the nodes before its caller has the id of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_api::Authentication;

use super::scroll::free;
use crate::search::context_ids::OpenShard;
use crate::services::Services;

/// Ends what was opened unless the caller gets its id: also when an error comes between, or the client hangs up.
pub(super) struct Opened {
    services: Arc<Services>,
    owner: Authentication,
    shards: Mutex<Vec<OpenShard>>,
    is_given: AtomicBool,
}

impl Opened {
    pub(super) fn new(services: &Arc<Services>, owner: &Authentication) -> Self {
        Self {
            services: Arc::clone(services),
            owner: owner.clone(),
            shards: Mutex::default(),
            is_given: AtomicBool::new(false),
        }
    }

    /// Notes what a node has opened, as soon as its answer is there.
    pub(super) fn note(&self, open: OpenShard) {
        self.shards.lock().push(open);
    }

    /// Ends what was opened, and waits for it.
    pub(super) async fn end(&self) {
        let shards = std::mem::take(&mut *self.shards.lock());
        if !shards.is_empty() {
            free(&self.services, &self.owner, &shards, TIMEOUT).await;
        }
    }

    /// The caller is told: from now on it is its to end.
    pub(super) fn given(&self) {
        self.is_given.store(true, Ordering::Release);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let shards = std::mem::take(&mut *self.shards.lock());
        if shards.is_empty() || self.is_given.load(Ordering::Acquire) {
            return;
        }
        let (services, owner) = (Arc::clone(&self.services), self.owner.clone());
        tokio::spawn(async move {
            free(&services, &owner, &shards, TIMEOUT).await;
        });
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);
