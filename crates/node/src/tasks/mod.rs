//! What runs on this node: every action, with the task of another node that it is a part of. A task is
//! known as long as something of it is held, so also while a thread has not yet noticed that nobody
//! waits for it any more.
//!
//! A cancelled task gives up its future. With it go the requests that it has sent, which the transport
//! tells the nodes that work on them: a search ends on every node by the same way, whether a user
//! cancels it, the client hangs up or the node that asked is gone.

mod observer;
mod results;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringwall_api::cluster::{TaskFilter, TaskId, TaskInfo};
use ringwall_api::search::ByQueryStatus;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::glob::{self, Syntax};
use ringwall_transport::Origin;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::observer::TransportObserver;
use self::results::Results;
pub use self::results::{KeptResult, ResultLimits};
use crate::cluster_service::now_ms;

/// The tasks of a node. Cheap to clone.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    node: String,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Weak<Task>>>,
    /// Counts tasks that ended.
    ended: watch::Sender<u64>,
    /// Of tasks that nobody waited for.
    results: Mutex<Results>,
}

/// One task, which ends when the last holder lets go of it.
pub struct Task {
    inner: Arc<Inner>,
    id: u64,
    action: String,
    description: OnceLock<Describe>,
    steering: OnceLock<Arc<dyn Steering>>,
    started: Instant,
    started_ms: u64,
    parent: Option<TaskId>,
    opaque_id: Option<String>,
    cancelled: CancellationToken,
    reason: OnceLock<&'static str>,
}

/// Work of many steps that tells how far it is, and is done faster or slower when asked to. Cancelled, it ends by itself
/// between two steps.
pub trait Steering: Send + Sync {
    /// Returns how far it is.
    fn status(&self) -> ByQueryStatus;

    /// Sets how many documents a second it may do; `None`: as fast as it goes.
    fn rethrottle(&self, requests_per_second: Option<f64>);
}

/// Words for a task, made when somebody asks.
type Describe = Box<dyn Fn() -> String + Send + Sync>;

tokio::task_local! {
    static CURRENT: Arc<Task>;
}

/// Returns the task that runs now.
pub fn current() -> Option<Arc<Task>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Says what the current task is about.
pub fn describe(words: impl Fn() -> String + Send + Sync + 'static) {
    if let Some(task) = current() {
        let _ = task.description.set(Box::new(words));
    }
}

impl Tasks {
    /// Returns the tasks of a node of this id.
    pub fn new(node: String) -> Self {
        Self(Arc::new(Inner {
            node,
            next: AtomicU64::new(1),
            running: Mutex::default(),
            ended: watch::Sender::new(0),
            results: Mutex::default(),
        }))
    }

    /// Begins a task.
    pub fn begin(&self, action: &str, origin: Option<&Origin>) -> Arc<Task> {
        let parent = origin.and_then(|origin| origin.task.as_deref()?.parse().ok());
        let task = Arc::new(Task {
            inner: Arc::clone(&self.0),
            id: self.0.next.fetch_add(1, Ordering::Relaxed),
            action: action.to_owned(),
            description: OnceLock::new(),
            steering: OnceLock::new(),
            started: Instant::now(),
            started_ms: now_ms(),
            parent,
            opaque_id: origin.and_then(|origin| origin.opaque_id.clone()),
            cancelled: CancellationToken::new(),
            reason: OnceLock::new(),
        });
        let entry = Arc::downgrade(&task);
        self.0.running.lock().insert(task.id, entry);
        task
    }

    /// Begins a task of the same action that is a part of another.
    pub fn begin_part(&self, whole: &Task) -> Arc<Task> {
        let origin = Origin {
            task: Some(whole.task_id().to_string()),
            opaque_id: whole.opaque_id.clone(),
        };
        self.begin(&whole.action, Some(&origin))
    }

    /// Returns the tasks that a filter means, but for its nodes, the oldest first.
    pub fn matching(&self, filter: &TaskFilter) -> Vec<Arc<Task>> {
        let running: Vec<Weak<Task>> = self.0.running.lock().values().cloned().collect();
        let running = running.iter().filter_map(Weak::upgrade);
        running.filter(|task| task.is_meant(filter)).collect()
    }

    /// Cancels what goes on although nobody may wait for it.
    pub fn cancel_steered(&self, reason: &'static str) {
        let all = self.matching(&TaskFilter::default());
        let steered = all.iter().filter(|task| task.steering().is_some());
        steered.for_each(|task| {
            task.cancel(reason);
        });
    }

    /// Keeps the result of a task that nobody waited for, in place of the oldest ones where there is no room.
    pub fn keep(&self, result: KeptResult, limits: &ResultLimits) {
        self.0.results.lock().keep(result, limits);
    }

    /// Returns the result of a task that is kept.
    pub fn kept(&self, task: &TaskId) -> Option<KeptResult> {
        self.0.results.lock().get(task)
    }

    /// Waits until tasks of these numbers have ended. Returns whether they did in time.
    pub async fn wait_for_end(&self, ids: &[u64], within: Duration) -> bool {
        let mut ended = self.0.ended.subscribe();
        let all_gone = async {
            loop {
                ended.borrow_and_update();
                if ids.iter().all(|id| !self.0.running.lock().contains_key(id)) {
                    return;
                }
                if ended.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(within, all_gone).await.is_ok()
    }
}

impl Task {
    /// Returns its number on this node.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns what it does.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// Returns the task as it is now.
    pub fn info(&self, detailed: bool) -> TaskInfo {
        TaskInfo {
            task: self.task_id(),
            action: self.action.clone(),
            description: detailed.then(|| {
                let words = self.description.get();
                words.map_or_else(String::new, |words| cut(words()))
            }),
            status: self
                .steering()
                .filter(|_| detailed)
                .map(|steering| steering.status()),
            start_time_ms: self.started_ms,
            running_time_ns: u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            cancellable: self.is_cancellable(),
            cancelled: self.cancelled.is_cancelled(),
            parent: self.parent.clone(),
            opaque_id: self.opaque_id.clone(),
        }
    }

    /// Returns whether it can be cancelled.
    pub fn is_cancellable(&self) -> bool {
        self.only_reads() || self.steering.get().is_some()
    }

    /// Returns whether it can be given up half done at any moment.
    fn only_reads(&self) -> bool {
        self.action.starts_with("indices:data/read/") || self.action.contains(":monitor/")
    }

    /// Says by what the task is steered.
    pub fn steered_by(&self, steering: Arc<dyn Steering>) {
        let _ = self.steering.set(steering);
    }

    /// Returns by what it is steered, if by anything.
    pub fn steering(&self) -> Option<&Arc<dyn Steering>> {
        self.steering.get()
    }

    /// Completes when it is cancelled, with why.
    pub async fn cancelled(&self) -> &'static str {
        self.cancelled.cancelled().await;
        self.reason.get().copied().unwrap_or_default()
    }

    /// Returns why it was cancelled, if it was.
    pub fn is_cancelled(&self) -> Option<&'static str> {
        let cancelled = self.cancelled.is_cancelled();
        cancelled.then(|| self.reason.get().copied().unwrap_or_default())
    }

    /// Cancels it. Returns whether it can be.
    pub fn cancel(&self, reason: &'static str) -> bool {
        if !self.is_cancellable() {
            return false;
        }
        let _ = self.reason.set(reason);
        self.cancelled.cancel();
        true
    }

    /// Runs the work of the task, until it is cancelled. What it sends is a part of it.
    pub async fn run<T>(self: Arc<Self>, work: impl Future<Output = ApiResult<T>>) -> ApiResult<T> {
        let mut abandoned = Abandoned(Some(Arc::clone(&self)));
        let work = Arc::clone(&self).within(work);
        let given_up = async {
            self.cancelled.cancelled().await;
            // What is steered ends by itself.
            if !self.only_reads() {
                std::future::pending::<()>().await;
            }
        };
        let result = tokio::select! {
            biased;
            result = work => result,
            () = given_up => Err(self.cancelled_error()),
        };
        abandoned.0 = None;
        result
    }

    /// Runs work as that of the task, whatever becomes of the task. What it sends is a part of it.
    pub async fn within<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        let origin = Origin {
            task: Some(self.task_id().to_string()),
            opaque_id: self.opaque_id.clone(),
        };
        CURRENT.scope(self, origin.scope(work)).await
    }

    fn cancelled_error(&self) -> ApiError {
        let reason = self.reason.get().copied().unwrap_or_default();
        ApiError::new(
            ErrorCode::TaskCancelled,
            format!("task cancelled [{reason}]"),
        )
    }

    /// Returns its id in the cluster.
    pub fn task_id(&self) -> TaskId {
        TaskId {
            node: self.inner.node.clone(),
            id: self.id,
        }
    }

    fn is_meant(&self, filter: &TaskFilter) -> bool {
        let by_action = filter.actions.is_empty()
            || filter
                .actions
                .iter()
                .any(|pattern| glob::matches(pattern, &self.action, Syntax::Star));
        let by_parent = filter.parent.is_none() || filter.parent == self.parent;
        let by_task = filter
            .task
            .as_ref()
            .is_none_or(|task| *task == self.task_id());
        by_action && by_parent && by_task
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.inner.running.lock().remove(&self.id);
        self.inner.ended.send_modify(|ended| *ended += 1);
    }
}

/// Marks a task whose future is dropped before it is done.
struct Abandoned(Option<Arc<Task>>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        // What writes goes on, as Elasticsearch does.
        if let Some(task) = self.0.as_ref().filter(|task| task.only_reads()) {
            task.cancel("nobody waits for the answer");
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_DESCRIPTION {
        let end = (0..=MAX_DESCRIPTION)
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str("...");
    }
    text
}

/// Bytes of the description of one task.
const MAX_DESCRIPTION: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(actions: &[&str]) -> TaskFilter {
        TaskFilter {
            actions: actions.iter().map(|a| (*a).to_owned()).collect(),
            ..TaskFilter::default()
        }
    }

    #[tokio::test]
    async fn a_task_is_listed_while_it_runs_and_gone_after() {
        let tasks = Tasks::new("n".to_owned());
        let seen = tasks.clone();
        let origin = Origin {
            task: Some("m:3".to_owned()),
            opaque_id: Some("mine".to_owned()),
        };
        let task = tasks.begin("indices:data/read/search", Some(&origin));
        let done = task
            .run(async move {
                describe(|| "words".to_owned());
                let found = seen.matching(&filter(&["*search"]));
                assert_eq!(found.len(), 1);
                let info = found[0].info(true);
                assert_eq!(info.task.to_string(), "n:1");
                assert_eq!(info.parent.unwrap().to_string(), "m:3");
                assert_eq!(info.description.as_deref(), Some("words"));
                assert_eq!(info.opaque_id.as_deref(), Some("mine"));
                // What it sends is its part.
                assert_eq!(Origin::current().unwrap().task.as_deref(), Some("n:1"));
                assert!(seen.matching(&filter(&["*bulk*"])).is_empty());
                Ok(7)
            })
            .await;
        assert_eq!(done, Ok(7));
        assert!(tasks.matching(&TaskFilter::default()).is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_task_gives_up_and_says_why() {
        let tasks = Tasks::new("n".to_owned());
        let task = tasks.begin("indices:data/read/search", None);
        let running = tokio::spawn(Arc::clone(&task).run(std::future::pending::<ApiResult<()>>()));
        assert!(task.cancel("by user request"));
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::TaskCancelled);
        assert_eq!(error.reason, "task cancelled [by user request]");
        // A thread that works for it still is the task.
        assert!(task.info(false).cancelled);
        assert!(!tasks.wait_for_end(&[task.id()], Duration::ZERO).await);
        let id = task.id();
        let waiting = tokio::spawn({
            let tasks = tasks.clone();
            async move { tasks.wait_for_end(&[id], Duration::from_secs(600)).await }
        });
        drop(task);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_task_nobody_waits_for_is_cancelled_and_a_write_never() {
        let tasks = Tasks::new("n".to_owned());
        for (action, cancelled) in [
            ("indices:data/read/search", true),
            ("indices:data/write/bulk", false),
        ] {
            let task = tasks.begin(action, None);
            let mut work = Box::pin(Arc::clone(&task).run(std::future::pending::<ApiResult<()>>()));
            assert!(futures::poll!(&mut work).is_pending());
            drop(work);
            assert_eq!(task.info(false).cancelled, cancelled, "{action}");
            assert_eq!(task.cancel("by user request"), cancelled);
        }
    }
}
