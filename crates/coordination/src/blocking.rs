//! Work that blocks, kept off the async threads.

use std::cell::Cell;
use std::time::Duration;

use tokio::task::JoinHandle;

/// Runs work on a thread where it may block; in a simulated world (see [`simulate`]) on this one.
///
/// Dropping the handle does not stop the work.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match LONGEST.get() {
        None => tokio::task::spawn_blocking(work),
        Some(longest) => tokio::spawn(async move {
            tokio::time::sleep(rand::random_range(Duration::ZERO..=longest)).await;
            let done = work();
            tokio::time::sleep(rand::random_range(Duration::ZERO..=longest)).await;
            done
        }),
    }
}

/// From now on, work that this thread spawns is done by this thread, at a moment that chance chooses: what other threads
/// do, and when, depends on more than a seed. It takes up to `longest` before it begins, and as long before its end is
/// known. For tests.
#[doc(hidden)]
pub fn simulate(longest: Duration) {
    LONGEST.set(Some(longest));
}

/// Returns whether this thread simulates.
pub fn is_simulated() -> bool {
    LONGEST.get().is_some()
}

thread_local! {
    static LONGEST: Cell<Option<Duration>> = const { Cell::new(None) };
}
