//! For which task a request is sent: it travels beside the request, from whoever began it to whoever
//! does a part of it.

use std::future::Future;

/// The task that a request is a part of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `node:number`.
    pub task: Option<String>,
    /// What the client called its request.
    pub opaque_id: Option<String>,
}

tokio::task_local! {
    static CURRENT: Origin;
}

impl Origin {
    /// Runs a future: every request that is sent by it, not by tasks it spawns, has this origin.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Returns the origin of what is sent now.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}
