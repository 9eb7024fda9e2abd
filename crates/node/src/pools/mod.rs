//! Bounded pools for work that must not run on the I/O threads.

mod lane;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ringwall_api::nodes::ThreadPoolStats;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use tokio::sync::Semaphore;

use self::lane::Lane;
pub use self::lane::{Seat, Turn};

/// Runs blocking work, a bounded number at a time, with a bounded queue before it.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    running: Arc<Semaphore>,
    size: usize,
    queue_size: usize,
    /// Running and queued.
    admitted: AtomicUsize,
    /// On a thread, those that have given way too.
    active: AtomicUsize,
    /// The most that were, since the start; as the next two.
    largest: AtomicUsize,
    rejected: AtomicU64,
    completed: AtomicU64,
    /// Where work goes on that gives way, see [`Pool::run_giving_way`].
    lane: Arc<Lane>,
}

impl Pool {
    /// Returns a pool of so many threads and so many places in its queue.
    pub fn new(name: &'static str, size: usize, queue_size: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                running: Arc::new(Semaphore::new(size)),
                size,
                queue_size,
                admitted: AtomicUsize::new(0),
                active: AtomicUsize::new(0),
                largest: AtomicUsize::new(0),
                rejected: AtomicU64::new(0),
                completed: AtomicU64::new(0),
                // Half of the threads, so that as many are there for what is short.
                lane: Lane::new((size / 2).max(1)),
            }),
        }
    }

    /// Returns the numbers of the pool.
    pub fn stats(&self) -> ThreadPoolStats {
        let inner = &self.inner;
        let active = inner.active.load(Ordering::Relaxed);
        let admitted = inner.admitted.load(Ordering::Relaxed);
        ThreadPoolStats {
            name: inner.name.to_owned(),
            threads: inner.size as u64,
            queue: admitted.saturating_sub(active) as u64,
            active: active as u64,
            rejected: inner.rejected.load(Ordering::Relaxed),
            largest: inner.largest.load(Ordering::Relaxed) as u64,
            completed: inner.completed.load(Ordering::Relaxed),
        }
    }

    /// Runs the work on a thread of the pool. Its place travels with it: a caller that goes away does
    /// not free a thread that is still busy.
    ///
    /// # Errors
    /// `es_rejected_execution_exception` (429) when the queue is full; what the work panicked
    /// with, as an internal error.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> ApiResult<T> {
        self.run_giving_way(move |_seat| work()).await
    }

    /// [`Pool::run`] for work that may take long: it asks its seat now and then whether to give way.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub async fn run_giving_way<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Seat>) -> T + Send + 'static,
    ) -> ApiResult<T> {
        let place = Place::take(&self.inner)?;
        let permit = Arc::clone(&self.inner.running)
            .acquire_owned()
            .await
            .map_err(|_| ApiError::internal("the pool is closed"))?;
        let name = self.inner.name;
        let inner = Arc::clone(&self.inner);
        let seat = Arc::new(Seat::new(permit, Arc::clone(&self.inner.lane)));
        let task = ringwall_coordination::blocking::spawn(move || {
            let _held = place;
            let _active = Active::begin(&inner);
            work(seat)
        });
        task.await.map_err(|error| {
            tracing::error!(pool = name, %error, "work failed without an answer");
            ApiError::internal(format!(
                "work on the [{name}] pool failed without an answer"
            ))
        })
    }
}

/// A place in the pool or its queue, given back when dropped.
struct Place(Arc<Inner>);

impl Place {
    fn take(inner: &Arc<Inner>) -> ApiResult<Self> {
        let limit = inner.size + inner.queue_size;
        if inner.admitted.fetch_add(1, Ordering::Relaxed) >= limit {
            inner.admitted.fetch_sub(1, Ordering::Relaxed);
            inner.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(ApiError::new(
                ErrorCode::Rejected,
                format!(
                    "rejected execution on pool [{}]: {} tasks run and {} wait, which is all \
                     that thread_pool.{}.queue_size allows; retry later",
                    inner.name, inner.size, inner.queue_size, inner.name
                ),
            ));
        }
        Ok(Self(inner.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work on a thread of the pool: counted as done when dropped, whatever became of it.
struct Active(Arc<Inner>);

impl Active {
    fn begin(inner: &Arc<Inner>) -> Self {
        let active = inner.active.fetch_add(1, Ordering::Relaxed) + 1;
        inner.largest.fetch_max(active, Ordering::Relaxed);
        Self(inner.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.completed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The pools of a node.
#[derive(Clone)]
pub struct Pools {
    pub search: Pool,
    /// Indexing of documents.
    pub write: Pool,
    /// Reading documents by id.
    pub get: Pool,
    /// Fsync, recovery, refresh and flush.
    pub disk: Pool,
    /// Merges that somebody asked for, which take long.
    pub force_merge: Pool,
}

impl Pools {
    /// Returns the numbers of every pool.
    pub fn stats(&self) -> Vec<ThreadPoolStats> {
        let pools = [
            &self.search,
            &self.write,
            &self.get,
            &self.disk,
            &self.force_merge,
        ];
        pools.into_iter().map(Pool::stats).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_queue_rejects_and_recovers() {
        let pool = Pool::new("search", 1, 0);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    let _ = started.send(());
                    wait.recv()
                })
                .await
            }
        });
        running.await.unwrap();
        let error = pool.run(|| ()).await.unwrap_err();
        assert_eq!(error.status, 429);
        let stats = pool.stats();
        assert_eq!((stats.active, stats.queue, stats.rejected), (1, 0, 1));
        release.send(()).unwrap();
        busy.await.unwrap().unwrap().unwrap();
        assert_eq!(pool.run(|| 7).await, Ok(7));
        let stats = pool.stats();
        assert_eq!((stats.active, stats.largest, stats.completed), (0, 1, 2));
    }

    #[tokio::test]
    async fn short_work_does_not_wait_for_long_work() {
        let pool = Pool::new("search", 1, 1);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let long = tokio::spawn({
            let pool = pool.clone();
            async move {
                let work = move |seat: Arc<Seat>| {
                    // Runs until it is told to end, after the short work.
                    while wait.try_recv().is_err() {
                        assert_eq!(seat.give_way(&|| true), Turn::Yours);
                        std::thread::yield_now();
                    }
                };
                pool.run_giving_way(work).await
            }
        });
        // Waits for the one thread, which the long work gives back.
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert!(!long.is_finished());
        release.send(()).unwrap();
        long.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn panic_is_an_error_not_a_hang() {
        let pool = Pool::new("write", 1, 1);
        let error = pool.run(|| panic!("boom")).await.unwrap_err();
        assert_eq!(error.status, 500);
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }
}
