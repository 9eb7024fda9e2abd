//! Writes that have begun on a primary and are not acknowledged yet.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Told apart: writes that began before a block was put on the index, and those that find it.
#[derive(Debug, Default)]
pub struct UnderWay(Arc<RwLock<()>>);

/// A write is under way while this lives.
pub struct Write(#[expect(dead_code, reason = "held")] OwnedRwLockReadGuard<()>);

impl UnderWay {
    /// Begins a write, which looks for blocks afterwards. Waits while the end of others is waited for.
    pub async fn begin(&self) -> Write {
        Write(Arc::clone(&self.0).read_owned().await)
    }

    /// Waits until all writes that have begun are over.
    pub async fn over(&self) {
        drop(self.0.write().await);
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn who_puts_a_block_on_waits_for_what_has_begun() {
        let writes = UnderWay::default();
        writes.over().await;
        let (first, second) = (writes.begin().await, writes.begin().await);
        let mut over = Box::pin(writes.over());
        assert!(poll!(&mut over).is_pending());
        // A later one is not waited for, and does not pass.
        let mut later = Box::pin(writes.begin());
        assert!(poll!(&mut later).is_pending());
        drop(first);
        assert!(poll!(&mut over).is_pending());
        drop(second);
        over.await;
        later.await;
    }
}
