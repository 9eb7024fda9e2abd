//! The memory that inbound requests may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes shared by many takers. Nobody waits: what does not fit is refused.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    limit: usize,
    used: AtomicUsize,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<ByteBudget>,
    bytes: usize,
}

impl ByteBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
        })
    }

    /// Returns a share, or how many bytes are in use when it does not fit.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Result<Share, usize> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(|_| Share {
                budget: Arc::clone(self),
                bytes,
            })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_come_back() {
        let budget = ByteBudget::new(10);
        let six = budget.take(6).unwrap();
        assert_eq!(budget.take(5).err(), Some(6));
        let _four = budget.take(4).unwrap();
        drop(six);
        assert_eq!(budget.take(usize::MAX).err(), Some(4));
        assert!(budget.take(6).is_ok());
    }
}
