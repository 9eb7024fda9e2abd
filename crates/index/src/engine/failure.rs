//! The first failure of disk or index, which stops a copy.

use parking_lot::Mutex;
use ringwall_base::ShardId;

use crate::error::IndexError;

/// Set once, by whoever meets the failure first.
#[derive(Debug)]
pub(crate) struct Failure {
    shard: ShardId,
    first: Mutex<Option<IndexError>>,
}

impl Failure {
    pub(crate) fn of(shard: ShardId) -> Self {
        Self {
            shard,
            first: Mutex::new(None),
        }
    }

    /// Takes note of a failure; later ones follow from the first.
    pub(crate) fn set(&self, error: IndexError) {
        let mut first = self.first.lock();
        if first.is_none() {
            tracing::error!(shard = %self.shard, %error, "shard copy failed");
            *first = Some(error);
        }
    }

    pub(crate) fn get(&self) -> Option<IndexError> {
        self.first.lock().clone()
    }
}
