//! When a node that is checked again and again counts as lost.

use tokio::time::Instant;

use crate::config::Timing;

/// What is known of the answers of one node. All times come from the caller.
///
/// Checks go out every interval without waiting for one another, so that one lost message costs the others nothing. A
/// node is lost when so many checks in a row as the settings say have had their time and no answer: when nothing that
/// was sent for that long has been answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    /// When the newest check that was answered had been sent.
    answered: Instant,
    patience: std::time::Duration,
}

impl Silence {
    /// Returns the record of a node that was last heard of at that time, the first check going out now.
    pub(crate) fn since(heard: Instant, now: Instant, timing: &Timing) -> Self {
        let (interval, timeout) = (
            timing.follower_check_interval,
            timing.follower_check_timeout,
        );
        let patience = interval * timing.follower_check_retries + timeout;
        // However long the silence before, an answer has some time to come.
        let look = now + timeout.saturating_sub(interval);
        Self {
            answered: heard.max(look.checked_sub(patience).unwrap_or(heard)),
            patience,
        }
    }

    /// Records the answer to a check that was sent at that time.
    pub(crate) fn answered(&mut self, sent: Instant) {
        self.answered = self.answered.max(sent);
    }

    /// Returns when the node counts as lost if no answer comes.
    pub(crate) fn ends(&self) -> Instant {
        self.answered + self.patience
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_node_is_lost_when_the_last_check_in_a_row_has_had_its_time() {
        let timing = Timing {
            follower_check_interval: Duration::from_millis(500),
            follower_check_timeout: Duration::from_millis(1500),
            follower_check_retries: 2,
            ..Timing::default()
        };
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut silence = Silence::since(start, start, &timing);
        // Those sent at 500 and 1000 ms fail at 2000 and 2500 ms.
        assert_eq!(silence.ends(), at(2500));
        // A pause of a second delays answers, which count from when the checks were sent.
        silence.answered(at(500));
        assert_eq!(silence.ends(), at(3000));
        // An answer that arrives after a later one takes nothing back.
        silence.answered(at(2000));
        silence.answered(at(1500));
        assert_eq!(silence.ends(), at(4500));
    }

    #[test]
    fn silence_before_the_first_check_counts_but_leaves_time_for_an_answer() {
        let timing = Timing {
            follower_check_interval: Duration::from_millis(500),
            follower_check_timeout: Duration::from_millis(1500),
            follower_check_retries: 2,
            ..Timing::default()
        };
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(Silence::since(start, at(1200), &timing).ends(), at(2500));
        assert_eq!(Silence::since(start, at(9000), &timing).ends(), at(10_000));
    }
}
