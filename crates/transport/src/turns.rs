//! Peers that have connected and not yet shown who they are: bounded, and none keeps the others out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use ringwall_tls::origin;
use tokio_util::sync::CancellationToken;

/// The handshakes under way.
pub(crate) struct Turns {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// In the order of their arrival.
    /// The address is its [`origin`].
    taken: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

impl Turns {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            state: Mutex::default(),
        })
    }

    /// Takes a turn. When all are taken, the oldest one of the address that has most of them gives way: it has
    /// had more time than a handshake needs.
    pub(crate) fn begin(self: &Arc<Self>, peer: IpAddr) -> Turn {
        let mut state = self.state.lock();
        if state.taken.len() >= self.limit
            && let Some(oldest) = state.oldest_of_most()
            && let Some((_, given_up)) = state.taken.remove(&oldest)
        {
            given_up.cancel();
        }
        let number = state.next;
        state.next += 1;
        let given_up = CancellationToken::new();
        state.taken.insert(number, (origin(peer), given_up.clone()));
        Turn {
            turns: Arc::clone(self),
            number,
            given_up,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns how many are under way.
    pub(crate) fn taken(&self) -> usize {
        self.state.lock().taken.len()
    }
}

impl State {
    fn oldest_of_most(&self) -> Option<u64> {
        // Of each address how many, and the first.
        let mut held: HashMap<IpAddr, (usize, u64)> = HashMap::new();
        for (number, (peer, _)) in &self.taken {
            held.entry(*peer).or_insert((0, *number)).0 += 1;
        }
        held.into_values()
            .max_by_key(|(count, first)| (*count, std::cmp::Reverse(*first)))
            .map(|(_, first)| first)
    }
}

/// The right to go on with a handshake.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    number: u64,
    given_up: CancellationToken,
}

impl Turn {
    /// Completes when another needs the place.
    pub(crate) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.state.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_most_gives_way_with_his_oldest() {
        let [flood, node] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        let turns = Turns::new(3);
        let first = turns.begin(node);
        let second = turns.begin(flood);
        let third = turns.begin(flood);
        let fourth = turns.begin(flood);
        let given_up = [&first, &second, &third, &fourth].map(|turn| turn.given_up.is_cancelled());
        assert_eq!(given_up, [false, true, false, false]);
        let fifth = turns.begin(node);
        assert!(third.given_up.is_cancelled() && !fifth.given_up.is_cancelled());
        assert_eq!(turns.taken(), 3);
        drop((second, third));
        assert_eq!(turns.taken(), 3, "what gave way has no turn to give back");
        drop((first, fourth, fifth));
        assert_eq!(turns.taken(), 0);
    }
}
