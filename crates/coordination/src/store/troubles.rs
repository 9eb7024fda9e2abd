//! What is known of a disk that refuses or does not answer, for those who must not rely on this node meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing::{error, info};

use super::Failure;

/// A write that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stall {
    /// Since it began.
    pub(crate) lasting: Duration,
    /// What the disk last said; `None` while it says nothing.
    pub(crate) reason: Option<String>,
}

#[derive(Default)]
pub(super) struct Troubles {
    state: Mutex<State>,
    closing: Condvar,
}

#[derive(Default)]
struct State {
    /// When each write began that is under way.
    writes: BTreeMap<u64, Instant>,
    next: u64,
    failing: Option<Failing>,
    reserve_looked_at: Option<Instant>,
    is_closed: bool,
}

struct Failing {
    since: Instant,
    reason: String,
    told: Instant,
}

/// A write under way, until it is dropped.
pub(super) struct Watched<'a> {
    troubles: &'a Troubles,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.troubles.state.lock().writes.remove(&self.number);
    }
}

impl Troubles {
    /// Notes that a write begins.
    pub(super) fn begin(&self) -> Watched<'_> {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.writes.insert(number, Instant::now());
        Watched {
            troubles: self,
            number,
        }
    }

    /// Notes why an attempt failed.
    pub(super) fn note(&self, failure: &Failure) {
        let mut state = self.state.lock();
        let now = Instant::now();
        // That it failed before says nothing new.
        let says_nothing = matches!(failure, Failure::NotOpen)
            || matches!(failure, Failure::Database(error) if matches!(**error, redb::Error::PreviousIo));
        if says_nothing && state.failing.is_some() {
            return;
        }
        let reason = failure.to_string();
        let told = match &mut state.failing {
            Some(failing) => {
                failing.reason.clone_from(&reason);
                let due = now.duration_since(failing.told) >= TELL_EVERY;
                if due {
                    failing.told = now;
                }
                !due
            }
            None => {
                state.failing = Some(Failing {
                    since: now,
                    reason: reason.clone(),
                    told: now,
                });
                false
            }
        };
        if !told {
            error!(
                reason,
                "the cluster state cannot be written; trying again until it can"
            );
        }
    }

    /// Notes that a write succeeded.
    pub(super) fn end(&self) {
        if let Some(failing) = self.state.lock().failing.take() {
            let seconds = failing.since.elapsed().as_secs_f64();
            info!(seconds, "the cluster state can be written again");
        }
    }

    /// Waits before the next attempt. Returns whether there is to be one.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.is_closed {
            self.closing.wait_for(&mut state, pause);
        }
        !state.is_closed
    }

    /// Ends all waiting.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.closing.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    pub(super) fn stalled(&self) -> Option<Stall> {
        let state = self.state.lock();
        let oldest = state.writes.values().min()?;
        Some(Stall {
            lasting: oldest.elapsed(),
            reason: state.failing.as_ref().map(|failing| failing.reason.clone()),
        })
    }

    /// Returns now and then whether it is time to see to the reserve.
    pub(super) fn may_look_at_reserve(&self) -> bool {
        let mut state = self.state.lock();
        let due = state
            .reserve_looked_at
            .is_none_or(|at| at.elapsed() >= RESERVE_EVERY);
        if due {
            state.reserve_looked_at = Some(Instant::now());
        }
        due
    }
}

const TELL_EVERY: Duration = Duration::from_secs(10);
const RESERVE_EVERY: Duration = Duration::from_secs(10);
