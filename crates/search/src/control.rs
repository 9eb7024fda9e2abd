//! What every loop of a search asks: does it go on, and is there memory for what it wants to hold?

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ringwall_api::{ApiError, ErrorCode};
use tantivy::TantivyError;

use crate::engine_error;

/// What holds a running search back: a deadline, somebody who cancels it, memory. The node
/// answers; this crate knows no clock and no limit of the process.
pub trait SearchControl: Send + Sync {
    /// Tells whether the search goes on. Asked every few thousand steps, by several threads.
    fn state(&self) -> Interrupt;

    /// Returns why the search was cancelled, where it is not that nobody waits for it.
    fn refusal(&self) -> Option<ApiError> {
        None
    }

    /// Charges bytes that the search holds from now until it ends, or until [`SearchControl::release`].
    ///
    /// # Errors
    /// 429 `circuit_breaking_exception` when there is no room for them.
    fn charge(&self, bytes: u64) -> Result<(), ApiError> {
        let _ = bytes;
        Ok(())
    }

    /// Takes back a part of what was charged.
    fn release(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// Whether a running search goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    Continue,
    /// The timeout passed: answer with what was found.
    TimedOut,
    /// Nobody waits for the answer any more.
    Cancelled,
}

/// A search that nothing holds back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

impl SearchControl for Unlimited {
    fn state(&self) -> Interrupt {
        Interrupt::Continue
    }
}

/// The control of one search on one shard. Once told to stop it stays so, and every loop sees it.
#[derive(Clone)]
pub(crate) struct Pulse(Arc<Shared>);

struct Shared {
    control: Arc<dyn SearchControl>,
    state: AtomicU8,
    charged: AtomicU64,
    /// Why it was told to stop, where memory is short.
    refusal: OnceLock<ApiError>,
}

impl Pulse {
    pub(crate) fn new(control: Arc<dyn SearchControl>) -> Self {
        Self(Arc::new(Shared {
            control,
            state: AtomicU8::new(GOES_ON),
            charged: AtomicU64::new(0),
            refusal: OnceLock::new(),
        }))
    }

    /// Asks the control; `false` means stop.
    pub(crate) fn check(&self) -> bool {
        if self.stopped() {
            return false;
        }
        let state = match self.0.control.state() {
            Interrupt::Continue => return true,
            Interrupt::TimedOut => TIMED_OUT,
            Interrupt::Cancelled => CANCELLED,
        };
        self.0.state.store(state, Ordering::Relaxed);
        false
    }

    /// Returns whether it was told to stop, without asking again.
    pub(crate) fn stopped(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) != GOES_ON
    }

    /// Fails when the search is to stop, for loops with nothing to give back. Whoever runs the
    /// search looks at [`Pulse::stopped`] before it takes an error for one.
    pub(crate) fn proceed(&self) -> Result<(), ApiError> {
        if self.check() {
            Ok(())
        } else {
            Err(cancelled())
        }
    }

    /// Counts steps of a loop.
    pub(crate) fn beat(&self) -> Beat {
        Beat {
            pulse: self.clone(),
            left: STEPS,
        }
    }

    /// Returns whether the time was up; a cancelled search is an error.
    pub(crate) fn outcome(&self) -> Result<bool, ApiError> {
        match self.0.state.load(Ordering::Relaxed) {
            GOES_ON => Ok(false),
            TIMED_OUT => Ok(true),
            _ => {
                let refusal = self.0.refusal.get().cloned();
                let refusal = refusal.or_else(|| self.0.control.refusal());
                Err(refusal.unwrap_or_else(cancelled))
            }
        }
    }

    /// Turns the failure of a part into its absence when the search was told to stop.
    pub(crate) fn unless_stopped<T>(
        &self,
        result: Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.stopped() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`Pulse::unless_stopped`] for what the engine returns. A failure of the engine is logged; a stop is none.
    pub(crate) fn of_engine<T>(&self, result: tantivy::Result<T>) -> Result<Option<T>, ApiError> {
        match result {
            Err(_) if self.stopped() => Ok(None),
            result => result.map(Some).map_err(|e| engine_error(&e)),
        }
    }

    /// Returns what is charged, bytes.
    pub(crate) fn charged(&self) -> u64 {
        self.0.charged.load(Ordering::Relaxed)
    }

    /// Gives back what was charged since there were `before` bytes, but for those that are kept.
    pub(crate) fn keep(&self, before: u64, kept: u64) {
        let since = self.charged().saturating_sub(before);
        let bytes = since.saturating_sub(kept);
        self.0.charged.fetch_sub(bytes, Ordering::Relaxed);
        self.0.control.release(bytes);
    }

    /// See [`SearchControl::charge`]. Without room the search stops, with this as its answer.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), ApiError> {
        self.0.control.charge(bytes).inspect_err(|refusal| {
            self.0.refusal.get_or_init(|| refusal.clone());
            self.0.state.store(CANCELLED, Ordering::Relaxed);
        })?;
        self.0.charged.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Counts the steps of one loop and asks now and then.
pub(crate) struct Beat {
    pulse: Pulse,
    left: u32,
}

impl Beat {
    /// Counts a step; `false` means stop.
    pub(crate) fn step(&mut self) -> bool {
        self.steps(1)
    }

    /// Counts several steps; `false` means stop.
    pub(crate) fn steps(&mut self, count: u32) -> bool {
        match self.left.checked_sub(count) {
            Some(left) if left > 0 => {
                self.left = left;
                true
            }
            _ => {
                self.left = STEPS;
                self.pulse.check()
            }
        }
    }

    /// [`Beat::step`] for loops inside the engine.
    pub(crate) fn engine_step(&mut self) -> tantivy::Result<()> {
        self.engine_steps(1)
    }

    /// [`Beat::steps`] for loops inside the engine.
    pub(crate) fn engine_steps(&mut self, count: u32) -> tantivy::Result<()> {
        if self.steps(count) {
            Ok(())
        } else {
            Err(TantivyError::InternalError("the search stopped".to_owned()))
        }
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

/// The answer to a search that nobody waits for.
pub(crate) fn cancelled() -> ApiError {
    ApiError::new(ErrorCode::TaskCancelled, "task cancelled")
}

/// Steps between two questions: documents, terms, positions.
const STEPS: u32 = 4_096;

const GOES_ON: u8 = 0;
const TIMED_OUT: u8 = 1;
const CANCELLED: u8 = 2;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    struct After(AtomicU32, Interrupt);

    impl SearchControl for After {
        fn state(&self) -> Interrupt {
            match self.0.fetch_sub(1, Ordering::Relaxed) {
                0 => self.1,
                _ => Interrupt::Continue,
            }
        }
    }

    #[test]
    fn a_stop_is_seen_by_every_loop_and_stays() {
        let pulse = Pulse::new(Arc::new(After(AtomicU32::new(2), Interrupt::TimedOut)));
        let (mut one, mut other) = (pulse.beat(), pulse.beat());
        let mut steps = 0;
        while one.step() {
            steps += 1;
        }
        assert_eq!(steps, 3 * STEPS - 1);
        assert!(pulse.stopped() && !other.steps(STEPS));
        assert!(pulse.outcome().unwrap());
        assert_eq!(pulse.unless_stopped::<()>(Err(cancelled())).unwrap(), None);
    }

    struct Poor;

    impl SearchControl for Poor {
        fn state(&self) -> Interrupt {
            Interrupt::Continue
        }

        fn charge(&self, _: u64) -> Result<(), ApiError> {
            Err(ApiError::new(ErrorCode::CircuitBreaking, "poor"))
        }
    }

    #[test]
    fn without_memory_the_search_stops_and_says_so() {
        let pulse = Pulse::new(Arc::new(Poor));
        assert!(pulse.check());
        assert!(pulse.charge(1).is_err());
        assert!(!pulse.check());
        assert_eq!(pulse.outcome().unwrap_err().reason, "poor");
    }

    #[test]
    fn a_cancelled_search_is_an_error() {
        let pulse = Pulse::new(Arc::new(After(AtomicU32::new(0), Interrupt::Cancelled)));
        assert!(pulse.proceed().is_err());
        assert_eq!(pulse.outcome().unwrap_err().code, ErrorCode::TaskCancelled);
    }
}
