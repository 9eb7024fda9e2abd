//! When this node last heard from a master, and what follows from it.

use std::time::Duration;

use ringwall_base::NodeId;
use tokio::time::Instant;

/// Record of the messages of masters. All times come from the caller.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    last: Option<(NodeId, Instant)>,
    suspected: bool,
}

impl Contact {
    /// Records a message that the local log accepted as the master's.
    pub(crate) fn heard(&mut self, master: NodeId, now: Instant) {
        self.last = Some((master, now));
        self.suspected = false;
    }

    /// Records a closed connection. Returns whether it was the master's: it now counts as lost.
    pub(crate) fn disconnected(&mut self, node: NodeId) -> bool {
        let was_master = self.last.is_some_and(|(master, _)| master == node);
        self.suspected |= was_master;
        was_master
    }

    /// Returns the master heard from within the window and not suspected.
    pub(crate) fn live_master(&self, now: Instant, window: Duration) -> Option<NodeId> {
        let (master, at) = self.last?;
        (!self.suspected && now.saturating_duration_since(at) < window).then_some(master)
    }

    /// Returns whether a closed connection made the master suspect.
    pub(crate) fn is_suspected(&self) -> bool {
        self.suspected
    }

    /// Returns the master last heard from and when, however long ago.
    pub(crate) fn last_word(&self) -> Option<(NodeId, Instant)> {
        self.last
    }

    /// Returns when a master was last heard from.
    pub(crate) fn last_heard(&self) -> Option<Instant> {
        self.last.map(|(_, at)| at)
    }

    /// Returns for how long this node still owes its vote to the last master: the consensus engine
    /// refuses to vote for another within the lease.
    pub(crate) fn lease_remaining(&self, now: Instant, lease: Duration) -> Duration {
        match self.last {
            Some((_, at)) => (at + lease).saturating_duration_since(now),
            None => Duration::ZERO,
        }
    }
}

/// Returns whether a master may still act as one: a quorum answered it within the window, or it was
/// elected within the window and has had no time to hear answers.
pub(crate) fn master_has_quorum(
    since_quorum_ack: Option<Duration>,
    since_elected: Duration,
    window: Duration,
) -> bool {
    since_quorum_ack.unwrap_or(since_elected) < window
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_lives_until_the_window_passes_or_its_connection_closes() {
        let start = Instant::now();
        let (master, other) = (NodeId::from_bits(1), NodeId::from_bits(2));
        let window = Duration::from_millis(500);
        let mut contact = Contact::default();
        assert_eq!(contact.live_master(start, window), None);
        assert_eq!(contact.lease_remaining(start, window), Duration::ZERO);

        contact.heard(master, start);
        let later = start + Duration::from_millis(100);
        assert_eq!(contact.live_master(later, window), Some(master));
        assert_eq!(contact.live_master(start + window, window), None);

        assert!(!contact.disconnected(other));
        assert_eq!(contact.live_master(later, window), Some(master));
        assert!(contact.disconnected(master));
        assert_eq!(contact.live_master(later, window), None);
        assert_eq!(
            contact.lease_remaining(later, window),
            Duration::from_millis(400)
        );

        contact.heard(master, later);
        assert_eq!(contact.live_master(later, window), Some(master));
    }

    #[test]
    fn a_new_master_gets_one_window_to_hear_a_quorum() {
        let window = Duration::from_secs(1);
        let ms = Duration::from_millis;
        assert!(master_has_quorum(None, ms(900), window));
        assert!(!master_has_quorum(None, ms(1000), window));
        assert!(master_has_quorum(Some(ms(10)), ms(9000), window));
        assert!(!master_has_quorum(Some(ms(1500)), ms(9000), window));
    }
}
