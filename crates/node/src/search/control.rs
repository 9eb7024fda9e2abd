//! What stops a search on this node: nobody waits for it any more, or its time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::breaker::Account;
use ringwall_search::{Interrupt, SearchControl};

use crate::pools::{Seat, Turn};

/// Lives as long as somebody waits for the answer: a part of the future that runs the search, which
/// is dropped when the client hangs up, the task is cancelled or the asking node gives up.
pub struct Waiting {
    gone: Arc<AtomicBool>,
    deadline: Instant,
}

impl Waiting {
    /// Returns one that ends by itself after so many milliseconds.
    pub fn new(time_left_ms: u64) -> Self {
        Self {
            gone: Arc::default(),
            deadline: Instant::now() + Duration::from_millis(time_left_ms),
        }
    }

    /// Returns what the loops of the search ask, which may run for `timeout`.
    pub fn control(&self, timeout: Option<Duration>) -> Control {
        Control {
            gone: self.gone.clone(),
            deadline: self.deadline,
            timeout,
            stop: None,
            seat: None,
            account: Account::unlimited(),
            refused: AtomicBool::new(false),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// See [`Waiting::control`].
pub struct Control {
    gone: Arc<AtomicBool>,
    deadline: Instant,
    timeout: Option<Duration>,
    stop: Option<Instant>,
    seat: Option<Arc<Seat>>,
    /// Settled when the search ends.
    account: Account,
    refused: AtomicBool,
}

impl Control {
    /// Lets the search give way to shorter ones when it takes long.
    #[must_use]
    pub fn giving_way(mut self, seat: Arc<Seat>) -> Self {
        self.seat = Some(seat);
        self
    }

    /// Has what the search holds charged to an account.
    #[must_use]
    pub fn charged_to(mut self, account: Account) -> Self {
        self.account = account;
        self
    }

    /// Begins to count the timeout: waiting for a thread is no part of it.
    pub fn begin(mut self, timeout: Option<Duration>) -> Arc<Self> {
        let timeout = timeout.or(self.timeout);
        self.stop = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Arc::new(self)
    }
}

impl SearchControl for Control {
    fn state(&self) -> Interrupt {
        let state = self.now();
        let Some(seat) = self.seat.as_ref().filter(|_| state == Interrupt::Continue) else {
            return state;
        };
        match seat.give_way(&|| self.now() == Interrupt::Continue) {
            Turn::Yours => Interrupt::Continue,
            Turn::GivenUp => self.now(),
            Turn::Full => {
                self.refused.store(true, Ordering::Relaxed);
                Interrupt::Cancelled
            }
        }
    }

    fn charge(&self, bytes: u64) -> Result<(), ApiError> {
        Ok(self.account.charge(bytes, "<search>")?)
    }

    fn release(&self, bytes: u64) {
        self.account.release(bytes);
    }

    fn refusal(&self) -> Option<ApiError> {
        let refused = self.refused.load(Ordering::Relaxed);
        refused.then(|| {
            ApiError::new(
                ErrorCode::Rejected,
                "too many searches that take long wait for their turn; retry later",
            )
        })
    }
}

impl Control {
    fn now(&self) -> Interrupt {
        let now = Instant::now();
        if self.gone.load(Ordering::Relaxed) || now >= self.deadline {
            return Interrupt::Cancelled;
        }
        match self.stop {
            Some(stop) if now >= stop => Interrupt::TimedOut,
            _ => Interrupt::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_search_ends_when_nobody_waits() {
        let waiting = Waiting::new(HOUR_MS);
        let control = waiting.control(None).begin(None);
        assert_eq!(control.state(), Interrupt::Continue);
        drop(waiting);
        assert_eq!(control.state(), Interrupt::Cancelled);
        let late = Waiting::new(0);
        assert_eq!(late.control(None).begin(None).state(), Interrupt::Cancelled);
    }

    #[test]
    fn the_timeout_of_the_request_goes_before_the_default() {
        let (none, hour) = (Duration::ZERO, Duration::from_secs(3_600));
        let waiting = Waiting::new(HOUR_MS);
        for (default, own, state) in [
            (Some(none), None, Interrupt::TimedOut),
            (Some(none), Some(hour), Interrupt::Continue),
            (Some(hour), Some(none), Interrupt::TimedOut),
            (None, Some(Duration::MAX), Interrupt::Continue),
        ] {
            assert_eq!(waiting.control(default).begin(own).state(), state);
        }
    }
}
