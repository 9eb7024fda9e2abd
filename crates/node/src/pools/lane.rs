//! Where long work goes on, so that short work does not wait behind it.
//!
//! Work on a pool that has run for [`LONG`] gives its thread's place back and waits for one of few
//! places in the lane. There it runs for a while, and goes to the end of the queue when others wait:
//! nothing waits for the whole of something long.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::OwnedSemaphorePermit;

/// The places for long work of one pool.
pub struct Lane {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Tickets of those that wait, the first to run first.
    waiting: VecDeque<u64>,
    next: u64,
}

impl Lane {
    /// Returns a lane in which so many run at a time.
    pub fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            size,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Waits for a place while `goes_on` says so. Returns whether there is one.
    fn enter(&self, goes_on: &dyn Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push_back(ticket);
        loop {
            if state.running < self.size && state.waiting.front() == Some(&ticket) {
                state.waiting.pop_front();
                state.running += 1;
                self.changed.notify_all();
                return true;
            }
            if !goes_on() {
                state.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return false;
            }
            self.changed.wait_for(&mut state, ASK);
        }
    }

    fn leave(&self) {
        self.state.lock().running -= 1;
        self.changed.notify_all();
    }

    fn is_wanted(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }
}

/// The place that work has on a pool.
pub struct Seat {
    lane: Arc<Lane>,
    held: Mutex<Held>,
}

enum Held {
    /// A place of the pool, which is given back when this is dropped.
    Thread {
        _place: OwnedSemaphorePermit,
        since: Instant,
    },
    /// A place in the lane, since then.
    Lane(Instant),
    Nothing,
}

/// What becomes of work that asks to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has a place.
    Yours,
    /// It stopped waiting for one.
    GivenUp,
    /// Too much long work waits already.
    Full,
}

impl Seat {
    /// Returns a seat with a place of the pool.
    pub(super) fn new(permit: OwnedSemaphorePermit, lane: Arc<Lane>) -> Self {
        Self {
            lane,
            held: Mutex::new(Held::Thread {
                _place: permit,
                since: Instant::now(),
            }),
        }
    }

    /// Called by the work now and then: gives way when it has run for long, and waits for its turn
    /// while `goes_on` says so. Blocks the thread.
    pub fn give_way(&self, goes_on: &dyn Fn() -> bool) -> Turn {
        let mut held = self.held.lock();
        match &*held {
            Held::Thread { since, .. } if since.elapsed() < LONG => return Turn::Yours,
            Held::Lane(since) if since.elapsed() < SLICE || !self.lane.is_wanted() => {
                return Turn::Yours;
            }
            Held::Thread { .. } if self.lane.waiting() >= MAX_WAITING => return Turn::Full,
            Held::Lane(_) => self.lane.leave(),
            Held::Thread { .. } | Held::Nothing => {}
        }
        *held = Held::Nothing;
        if !self.lane.enter(goes_on) {
            return Turn::GivenUp;
        }
        *held = Held::Lane(Instant::now());
        Turn::Yours
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Held::Lane(_) = self.held.get_mut() {
            self.lane.leave();
        }
    }
}

/// Work that takes longer is long.
const LONG: Duration = Duration::from_millis(200);
/// How long long work runs before it lets the next one.
const SLICE: Duration = Duration::from_millis(500);
/// How often what waits asks whether it still should.
const ASK: Duration = Duration::from_millis(50);
/// Each of them holds a thread.
const MAX_WAITING: usize = 128;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// A seat that was taken so long ago.
    fn seat(pool: &Arc<Semaphore>, lane: &Arc<Lane>, ago: Duration) -> Seat {
        let permit = Arc::clone(pool).try_acquire_owned().unwrap();
        let seat = Seat::new(permit, Arc::clone(lane));
        let since = Instant::now().checked_sub(ago).unwrap();
        if let Held::Thread { since: begun, .. } = &mut *seat.held.lock() {
            *begun = since;
        }
        seat
    }

    #[test]
    fn long_work_frees_its_thread_and_short_work_keeps_it() {
        let (pool, lane) = (Arc::new(Semaphore::new(2)), Lane::new(1));
        let short = seat(&pool, &lane, Duration::ZERO);
        let long = seat(&pool, &lane, LONG);
        assert_eq!(short.give_way(&|| true), Turn::Yours);
        assert_eq!(pool.available_permits(), 0);
        assert_eq!(long.give_way(&|| true), Turn::Yours);
        assert_eq!(pool.available_permits(), 1);
        // The lane is taken: a second waits, as long as it likes.
        let second = seat(&pool, &lane, LONG);
        assert_eq!(second.give_way(&|| false), Turn::GivenUp);
        assert_eq!(pool.available_permits(), 1);
        drop(long);
        assert_eq!(second.give_way(&|| true), Turn::Yours);
    }

    #[test]
    fn long_work_takes_turns() {
        let (pool, lane) = (Arc::new(Semaphore::new(2)), Lane::new(1));
        let first = seat(&pool, &lane, LONG);
        assert_eq!(first.give_way(&|| true), Turn::Yours);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let second = seat(&pool, &lane, LONG);
                assert_eq!(second.give_way(&|| true), Turn::Yours);
                done.store(true, Ordering::Relaxed);
            });
            // It never ends, and yet the second one gets its turn and gives it back.
            while !done.load(Ordering::Relaxed) {
                assert_eq!(first.give_way(&|| true), Turn::Yours);
                std::thread::yield_now();
            }
        });
    }

    #[test]
    fn too_much_that_waits_is_refused() {
        let (pool, lane) = (Arc::new(Semaphore::new(1)), Lane::new(0));
        lane.state.lock().waiting.extend(0..MAX_WAITING as u64);
        let long = seat(&pool, &lane, LONG);
        assert_eq!(long.give_way(&|| true), Turn::Full);
    }
}
