//! What searches on a shard copy have done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringwall_api::search::SearchCounts;

/// Counted as it happens.
#[derive(Debug, Default)]
pub struct Counted {
    queries: Timed,
    fetches: Timed,
    scrolls: Timed,
}

#[derive(Debug, Default)]
struct Timed {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Timed {
    fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        let nanos = self.nanos.load(Ordering::Relaxed);
        (self.count.load(Ordering::Relaxed), nanos / 1_000_000)
    }
}

impl Counted {
    /// A query phase has ended.
    pub fn query(&self, took: Duration) {
        self.queries.add(took);
    }

    /// Documents of a page were read apart from their query phase.
    pub fn fetch(&self, took: Duration) {
        self.fetches.add(took);
    }

    /// A further page of a scroll was found.
    pub fn scroll(&self, took: Duration) {
        self.scrolls.add(took);
    }

    /// Returns the counts, with the number of what is open.
    pub fn read(&self, open: u64) -> SearchCounts {
        let (queries, query_ms) = self.queries.read();
        let (fetches, fetch_ms) = self.fetches.read();
        let (scrolls, scroll_ms) = self.scrolls.read();
        SearchCounts {
            open,
            queries,
            query_ms,
            fetches,
            fetch_ms,
            scrolls,
            scroll_ms,
        }
    }
}
