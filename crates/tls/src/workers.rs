//! The threads that handshakes run on: a few of one context, shared fairly by the addresses of the peers.
//!
//! A handshake is a future whose every poll may cost a signature or the verification of a chain. On the threads that
//! move the bytes of established links, a crowd of handshakes would delay those. Here each poll waits for its turn,
//! and turns go round among the addresses: who begins a thousand handshakes waits for himself.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::origin::origin;

/// Runs futures on at most so many threads of its own, which end when there is nothing to do for a while.
#[derive(Debug, Clone)]
pub(crate) struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The most threads at once.
    limit: usize,
    state: Mutex<State>,
    /// Told when there is something to do.
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be polled, by address; none is empty. No future is here twice.
    queues: HashMap<IpAddr, VecDeque<Arc<Job>>>,
    /// The addresses of `queues`, in the order of their turns.
    turns: VecDeque<IpAddr>,
    threads: usize,
    idle: usize,
}

/// One future.
struct Job {
    peer: IpAddr,
    shared: Arc<Shared>,
    /// What it reads from belongs to this runtime.
    runtime: Handle,
    /// `None` once it is over.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    is_queued: AtomicBool,
    /// Nobody waits for the outcome.
    is_given_up: AtomicBool,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Workers {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit: limit.max(1),
            state: Mutex::default(),
            work: Condvar::new(),
        }))
    }

    /// Runs a future for a peer. It is dropped when the caller goes away. `None` when it panicked.
    ///
    /// The future must not need the timer of a runtime; sockets are fine.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        peer: IpAddr,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, outcome) = oneshot::channel();
        let job = Arc::new(Job {
            peer: origin(peer),
            shared: Arc::clone(&self.0),
            runtime: Handle::current(),
            future: Mutex::new(Some(Box::pin(async move {
                // Who has gone away does not want it.
                let _ = done.send(future.await);
            }))),
            is_queued: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
        });
        let caller = Caller(Arc::clone(&job));
        job.wake();
        let outcome = outcome.await.ok();
        drop(caller);
        outcome
    }
}

/// Gives the job up when dropped.
struct Caller(Arc<Job>);

impl Drop for Caller {
    fn drop(&mut self) {
        let job = &self.0;
        job.is_given_up.store(true, Ordering::SeqCst);
        // Else it is being polled, and whoever does that drops it.
        if let Some(mut future) = job.future.try_lock() {
            future.take();
        }
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::SeqCst) {
            let shared = Arc::clone(&self.shared);
            shared.push(self);
        }
    }
}

impl Job {
    fn poll(self: Arc<Self>) {
        // From here on it may be woken again.
        self.is_queued.store(false, Ordering::SeqCst);
        let mut future = self.future.lock();
        if let Some(running) = future.as_mut() {
            let _runtime = self.runtime.enter();
            let waker = Waker::from(Arc::clone(&self));
            let mut context = Context::from_waker(&waker);
            let polled = std::panic::catch_unwind(AssertUnwindSafe(|| {
                running.as_mut().poll(&mut context).is_ready()
            }));
            if polled.unwrap_or(true) {
                *future = None;
            }
        }
        drop(future);
        // After the lock: who gave it up meanwhile could not take it.
        if self.is_given_up.load(Ordering::SeqCst) {
            self.future.lock().take();
        }
    }
}

impl Shared {
    fn push(self: &Arc<Self>, job: Arc<Job>) {
        let mut state = self.state.lock();
        let peer = job.peer;
        let queue = state.queues.entry(peer).or_default();
        queue.push_back(job);
        if queue.len() == 1 {
            state.turns.push_back(peer);
        }
        if state.idle > 0 {
            self.work.notify_one();
        } else if state.threads < self.limit {
            let shared = Arc::clone(self);
            let thread = std::thread::Builder::new().name(THREAD.to_owned());
            match thread.spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                // Another thread, or the next handshake's, will see to it; the deadline of this one runs.
                Err(error) => tracing::error!(%error, "cannot start a thread for TLS handshakes"),
            }
        }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            job.poll();
        }
    }

    /// Returns what is to be polled next; `None` when there has been nothing for a while, and the thread is to end.
    fn next(&self) -> Option<Arc<Job>> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.pop() {
                return Some(job);
            }
            state.idle += 1;
            let waited = self.work.wait_for(&mut state, KEEP_ALIVE);
            state.idle -= 1;
            if waited.timed_out() && state.turns.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }
}

impl State {
    fn pop(&mut self) -> Option<Arc<Job>> {
        let peer = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        job
    }
}

const THREAD: &str = "tls-handshake";
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const CROWD: [u8; 4] = [192, 0, 2, 1];
    const NODE: [u8; 4] = [192, 0, 2, 2];

    /// Holds the only thread until told.
    async fn block(workers: &Workers) -> mpsc::Sender<()> {
        let (release, wait) = mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let busy = workers.clone();
        tokio::spawn(async move {
            let job = async move {
                let _ = started.send(());
                let _ = wait.recv();
            };
            busy.run(CROWD.into(), job).await
        });
        running.await.unwrap();
        release
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_crowd_at_one_address_waits_for_itself() {
        let workers = Workers::new(1);
        let release = block(&workers).await;
        let (order, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for peer in [CROWD, CROWD, CROWD, NODE, NODE] {
            let (workers, order) = (workers.clone(), order.clone());
            let queued = queued(&workers);
            let job = async move { order.send(peer).unwrap() };
            waiting.push(tokio::spawn({
                let workers = workers.clone();
                async move { workers.run(peer.into(), job).await }
            }));
            while self::queued(&workers) == queued {
                tokio::task::yield_now().await;
            }
        }
        release.send(()).unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap(), Some(()));
        }
        let mut polled = Vec::new();
        while let Ok(peer) = seen.try_recv() {
            polled.push(peer);
        }
        assert_eq!(polled, [CROWD, NODE, CROWD, NODE, CROWD]);
    }

    fn queued(workers: &Workers) -> usize {
        let state = workers.0.state.lock();
        state.queues.values().map(VecDeque::len).sum()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_runs_beside_the_threads_of_the_runtime() {
        let workers = Workers::new(1);
        let release = block(&workers).await;
        // The only thread of the runtime is free.
        tokio::spawn(async {}).await.unwrap();
        release.send(()).unwrap();
        let name = workers
            .run(NODE.into(), async {
                std::thread::current().name().map(str::to_owned)
            })
            .await;
        assert_eq!(name.flatten().as_deref(), Some(THREAD));
        assert!(workers.0.state.lock().threads <= 1);
    }

    #[tokio::test]
    async fn futures_that_wait_are_woken() {
        let workers = Workers::new(2);
        let (said, heard) = oneshot::channel();
        let waiting = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(NODE.into(), heard).await }
        });
        tokio::task::yield_now().await;
        said.send(7).unwrap();
        assert_eq!(waiting.await.unwrap(), Some(Ok(7)));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_dropped() {
        let workers = Workers::new(1);
        let (held, dropped) = oneshot::channel::<()>();
        let (started, running) = oneshot::channel();
        let waiting = tokio::spawn({
            let workers = workers.clone();
            async move {
                let job = async move {
                    started.send(()).unwrap();
                    let _held = held;
                    std::future::pending::<()>().await;
                };
                workers.run(NODE.into(), job).await
            }
        });
        running.await.unwrap();
        waiting.abort();
        assert!(dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_panic_ends_one_future_only() {
        let workers = Workers::new(1);
        let broken = workers.run(NODE.into(), async { panic!("boom") });
        assert_eq!(broken.await, None::<()>);
        assert_eq!(workers.run(NODE.into(), async { 7 }).await, Some(7));
    }
}
