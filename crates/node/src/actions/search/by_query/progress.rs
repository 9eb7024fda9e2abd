//! How far a part of the work is, and how fast it may go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_api::document::WriteResult;
use ringwall_api::search::{ByQueryCounts, ByQueryKind, ByQueryStatus};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::tasks::{Steering, Task};

/// All parts of one work, which is not divided where there is one.
pub(crate) struct Parts {
    pub(crate) kind: ByQueryKind,
    pub(crate) parts: Vec<Arc<Progress>>,
}

impl Parts {
    /// Returns the parts of a work that may do so many documents a second together; `alone` is the number of one that is
    /// itself a part of what its caller has divided.
    pub(crate) fn new(
        kind: ByQueryKind,
        slices: u32,
        alone: Option<u32>,
        rate: Option<f64>,
    ) -> Self {
        let number = |slice| if slices > 1 { Some(slice) } else { alone };
        let parts = (0..slices).map(|slice| {
            Arc::new(Progress {
                kind,
                slice: number(slice),
                counts: Mutex::default(),
                throttle: Throttle::new(share(rate, slices as usize)),
                tasks: Mutex::default(),
                ended: AtomicBool::new(false),
            })
        });
        Self {
            kind,
            parts: parts.collect(),
        }
    }
}

/// The rate of one of several that go on at the same time.
fn share(rate: Option<f64>, parts: usize) -> Option<f64> {
    rate.map(|rate| rate / parts.max(1) as f64)
}

impl Steering for Parts {
    fn status(&self) -> ByQueryStatus {
        let mut slices: Vec<ByQueryStatus> =
            self.parts.iter().map(|part| part.status_now()).collect();
        if slices.len() == 1
            && let Some(only) = slices.pop()
        {
            return only;
        }
        let counts = slices.iter().map(|slice| slice.counts);
        let rates: Option<Vec<f64>> = slices
            .iter()
            .map(|slice| slice.requests_per_second)
            .collect();
        ByQueryStatus {
            kind: self.kind,
            slice: None,
            counts: counts.fold(ByQueryCounts::default(), std::ops::Add::add),
            throttled_ms: slices.iter().map(|slice| slice.throttled_ms).sum(),
            requests_per_second: rates.map(|rates| rates.iter().sum()),
            cancelled: slices.iter().find_map(|slice| slice.cancelled.clone()),
            throttled_until_ms: slices
                .iter()
                .map(|slice| slice.throttled_until_ms)
                .min()
                .unwrap_or_default(),
            slices,
        }
    }

    fn rethrottle(&self, requests_per_second: Option<f64>) {
        let going: Vec<&Arc<Progress>> = self
            .parts
            .iter()
            .filter(|part| !part.ended.load(Ordering::Relaxed))
            .collect();
        let rate = share(requests_per_second, going.len());
        for part in going {
            part.throttle.set(rate);
        }
    }
}

/// One part.
pub(crate) struct Progress {
    kind: ByQueryKind,
    slice: Option<u32>,
    counts: Mutex<ByQueryCounts>,
    pub(crate) throttle: Throttle,
    /// Whose cancelling ends it.
    tasks: Mutex<Vec<Weak<Task>>>,
    ended: AtomicBool,
}

impl Progress {
    pub(crate) fn counts(&self) -> ByQueryCounts {
        *self.counts.lock()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut ByQueryCounts)) {
        change(&mut self.counts.lock());
    }

    /// Counts what became of one document.
    pub(crate) fn count(&self, result: WriteResult) {
        self.change(|counts| match result {
            WriteResult::Created => counts.created += 1,
            WriteResult::Updated => counts.updated += 1,
            WriteResult::Deleted | WriteResult::NotFound => counts.deleted += 1,
            WriteResult::Noop => counts.noops += 1,
        });
    }

    pub(crate) fn belongs_to(&self, tasks: &[Arc<Task>]) {
        *self.tasks.lock() = tasks.iter().map(Arc::downgrade).collect();
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn status_now(&self) -> ByQueryStatus {
        let tasks: Vec<Arc<Task>> = self.tasks.lock().iter().filter_map(Weak::upgrade).collect();
        let cancelled = tasks.iter().find_map(|task| task.is_cancelled());
        let (throttled, until) = self.throttle.waited();
        ByQueryStatus {
            kind: self.kind,
            slice: self.slice,
            counts: self.counts(),
            throttled_ms: throttled.as_millis() as u64,
            requests_per_second: self.throttle.rate(),
            cancelled: cancelled.map(str::to_owned),
            throttled_until_ms: until.as_millis() as u64,
            slices: Vec::new(),
        }
    }
}

impl Steering for Progress {
    fn status(&self) -> ByQueryStatus {
        self.status_now()
    }

    fn rethrottle(&self, requests_per_second: Option<f64>) {
        self.throttle.set(requests_per_second);
    }
}

/// A bound on documents a second, which may change while it is waited for.
pub(crate) struct Throttle {
    rate: watch::Sender<Option<f64>>,
    waited: Mutex<Waited>,
}

#[derive(Default)]
struct Waited {
    total: Duration,
    now: Option<(Instant, Instant)>,
}

impl Throttle {
    fn new(rate: Option<f64>) -> Self {
        Self {
            rate: watch::Sender::new(rate),
            waited: Mutex::default(),
        }
    }

    fn rate(&self) -> Option<f64> {
        *self.rate.borrow()
    }

    fn set(&self, rate: Option<f64>) {
        self.rate.send_replace(rate);
    }

    /// Returns how long it has been waited in all, and how long it still is.
    fn waited(&self) -> (Duration, Duration) {
        let waited = self.waited.lock();
        match waited.now {
            None => (waited.total, Duration::ZERO),
            Some((since, until)) => (
                waited.total + since.elapsed(),
                until.saturating_duration_since(Instant::now()),
            ),
        }
    }

    /// Returns how long to wait from now on after a batch of so many documents that was begun then.
    pub(crate) fn delay(&self, begun: Instant, documents: u64) -> Duration {
        let Some(rate) = self.rate() else {
            return Duration::ZERO;
        };
        let whole = Duration::try_from_secs_f64(documents as f64 / rate);
        let whole = whole.unwrap_or(LONGEST).min(LONGEST);
        whole.saturating_sub(begun.elapsed())
    }

    /// Waits. A higher rate shortens what is left of it at once; a lower one counts from the next batch on.
    pub(crate) async fn wait(&self, mut left: Duration) {
        if left.is_zero() {
            return;
        }
        let mut rates = self.rate.subscribe();
        let mut rate = *rates.borrow_and_update();
        let begun = Instant::now();
        let _counted = Counted(self);
        loop {
            let until = Instant::now() + left;
            self.waited.lock().now = Some((begun, until));
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                changed = rates.changed() => if changed.is_err() { return },
            }
            let new = *rates.borrow_and_update();
            left = until.saturating_duration_since(Instant::now());
            match (rate, new) {
                (_, None) => return,
                (Some(old), Some(new)) if new > old => left = left.mul_f64(old / new),
                _ => {}
            }
            rate = new;
        }
    }
}

/// Adds up what was waited, also when nobody waits for the end.
struct Counted<'a>(&'a Throttle);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut waited = self.0.waited.lock();
        if let Some((since, _)) = waited.now.take() {
            waited.total += since.elapsed();
        }
    }
}

/// Between two batches.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_as_long_as_the_rate_says_and_ends_sooner_when_it_rises() {
        let throttle = Arc::new(Throttle::new(Some(10.0)));
        let begun = Instant::now();
        let delay = throttle.delay(begun, 100);
        assert_eq!(delay, Duration::from_secs(10));
        throttle.wait(delay).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
        assert_eq!(throttle.waited().0, Duration::from_secs(10));
        // What the batch itself took counts.
        assert_eq!(throttle.delay(begun, 100), Duration::ZERO);

        let begun = Instant::now();
        let waiting = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.wait(Duration::from_secs(100)).await }
        });
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(
            throttle.waited(),
            (Duration::from_secs(30), Duration::from_secs(80))
        );
        // Slower: not now. Four times as fast as that: what is left in a quarter of the time.
        throttle.set(Some(5.0));
        tokio::time::sleep(Duration::from_secs(20)).await;
        throttle.set(Some(20.0));
        waiting.await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 20 + 20 + 60 / 4);
        throttle.set(None);
        assert_eq!(throttle.delay(Instant::now(), 1 << 40), Duration::ZERO);
        throttle.set(Some(f64::MIN_POSITIVE));
        assert_eq!(throttle.delay(Instant::now(), 1 << 40), LONGEST);
    }

    #[test]
    fn parts_share_the_rate_and_add_up() {
        let parts = Parts::new(ByQueryKind::Delete, 4, None, Some(100.0));
        for (number, part) in parts.parts.iter().enumerate() {
            part.change(|counts| counts.total = number as u64 + 1);
            part.count(WriteResult::Deleted);
        }
        let status = parts.status();
        assert_eq!((status.counts.total, status.counts.deleted), (10, 4));
        assert_eq!(status.requests_per_second, Some(100.0));
        let slices = status.slices.iter();
        let slices: Vec<_> = slices.map(|s| (s.slice, s.requests_per_second)).collect();
        assert_eq!(slices[3], (Some(3), Some(25.0)));
        // Only those that still go on share a new one.
        parts.parts[0].end();
        parts.parts[1].end();
        parts.rethrottle(Some(100.0));
        assert_eq!(parts.parts[3].throttle.rate(), Some(50.0));
        parts.rethrottle(None);
        assert_eq!(parts.status().slices[3].requests_per_second, None);
        let whole = Parts::new(ByQueryKind::Update, 1, Some(2), None).status();
        assert_eq!((whole.slice, whole.slices.len()), (Some(2), 0));
    }
}
