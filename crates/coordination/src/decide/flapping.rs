//! Whether a node that was lost again and again may come back yet.

use std::collections::BTreeMap;
use std::time::Duration;

use ringwall_base::NodeId;
use tokio::time::Instant;

/// The nodes that the master has removed lately. All times come from the caller.
///
/// The first time a node may come back at once. One that is lost a second time within the window has a connection that
/// is no good: each time it comes, copies are recovered, and each time it goes, writes wait for that. It is let in
/// again when it has asked without a break for as long as the settings say.
#[derive(Debug, Default)]
pub(crate) struct Flapping {
    nodes: BTreeMap<NodeId, History>,
}

#[derive(Debug, Default)]
struct History {
    removed: Vec<Instant>,
    steady: Option<Steady>,
}

/// Requests to join, each made as soon as the one before was refused.
#[derive(Debug, Clone, Copy)]
struct Steady {
    since: Instant,
    last: Instant,
    /// Between two of them: what a round takes when nothing gets lost.
    shortest: Option<Duration>,
}

impl Flapping {
    /// Records that a node was removed because it did not answer.
    pub(crate) fn removed(&mut self, node: NodeId, now: Instant, window: Duration) {
        self.nodes.retain(|_, history| {
            let is_recent = |at: &Instant| now.saturating_duration_since(*at) < window;
            history.removed.retain(is_recent);
            !history.removed.is_empty()
        });
        let history = self.nodes.entry(node).or_default();
        history.removed.push(now);
        history.steady = None;
    }

    /// Returns how long a node that asks to join now has to go on asking; `None` when it may come in.
    pub(crate) fn wait(
        &mut self,
        node: NodeId,
        now: Instant,
        window: Duration,
        steady_for: Duration,
    ) -> Option<Duration> {
        let history = self.nodes.get_mut(&node)?;
        let recent = |at: &&Instant| now.saturating_duration_since(**at) < window;
        if history.removed.iter().filter(recent).count() < 2 {
            return None;
        }
        let fresh = Steady {
            since: now,
            last: now,
            shortest: None,
        };
        let steady = match history.steady {
            None => fresh,
            Some(before) => {
                let gap = now.saturating_duration_since(before.last);
                let shortest = before.shortest.map_or(gap, |known| known.min(gap));
                let since = match gap > shortest.max(SHORTEST_ROUND) * 2 {
                    true => now,
                    false => before.since,
                };
                Steady {
                    since,
                    last: now,
                    shortest: Some(shortest),
                }
            }
        };
        history.steady = Some(steady);
        let left = steady_for.saturating_sub(now.saturating_duration_since(steady.since));
        (!left.is_zero()).then_some(left)
    }

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
    }
}

/// Two requests may come close together, as when one is sent anew; that is not what a round takes.
const SHORTEST_ROUND: Duration = Duration::from_millis(600);

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);
    const STEADY: Duration = Duration::from_secs(5);

    #[test]
    fn one_loss_is_forgiven_at_once_and_a_second_when_the_node_is_steady() {
        let (node, other) = (NodeId::from_bits(1), NodeId::from_bits(2));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut flapping = Flapping::default();
        let wait = |flapping: &mut Flapping, ms| flapping.wait(node, at(ms), WINDOW, STEADY);
        flapping.removed(node, at(0), WINDOW);
        assert_eq!(wait(&mut flapping, 10), None);
        flapping.removed(node, at(10_000), WINDOW);
        assert_eq!(flapping.wait(other, at(10_000), WINDOW, STEADY), None);
        assert_eq!(wait(&mut flapping, 11_000), Some(STEADY));
        // Two close together do not make the others late.
        assert!(wait(&mut flapping, 11_050).is_some());
        for ms in (11_500..13_000).step_by(500) {
            let left = STEADY - Duration::from_millis(ms - 11_000);
            assert_eq!(wait(&mut flapping, ms), Some(left));
        }
        // One request takes much longer than the others did: the count begins anew.
        assert_eq!(wait(&mut flapping, 14_100), Some(STEADY));
        for ms in (14_600..19_100).step_by(500) {
            assert!(wait(&mut flapping, ms).is_some(), "{ms}");
        }
        assert_eq!(wait(&mut flapping, 19_100), None);
    }

    #[test]
    fn losses_a_window_apart_are_single_ones() {
        let node = NodeId::from_bits(1);
        let start = Instant::now();
        let mut flapping = Flapping::default();
        flapping.removed(node, start, WINDOW);
        flapping.removed(node, start + WINDOW, WINDOW);
        assert_eq!(flapping.wait(node, start + WINDOW, WINDOW, STEADY), None);
    }
}
