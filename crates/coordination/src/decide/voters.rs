//! Which nodes vote. Source: Elasticsearch reference, "Voting configurations".

use std::collections::BTreeSet;

use ringwall_base::NodeId;

/// The sets of voters that must all agree: one, or two while the membership changes.
pub(crate) type Configs = Vec<BTreeSet<NodeId>>;

/// Returns whether the nodes include a strict majority of every configuration.
pub(crate) fn is_quorum(configs: &[BTreeSet<NodeId>], nodes: &BTreeSet<NodeId>) -> bool {
    !configs.is_empty()
        && configs
            .iter()
            .all(|config| config.intersection(nodes).count() * 2 > config.len())
}

/// The facts from which the best set of voters follows.
#[derive(Debug, Clone)]
pub(crate) struct VoterFacts {
    /// The voters now.
    pub(crate) current: BTreeSet<NodeId>,
    /// Master-eligible nodes that are in the cluster.
    pub(crate) live: BTreeSet<NodeId>,
    /// Live nodes that are not voters but whose log is nearly that of the master.
    pub(crate) ready: BTreeSet<NodeId>,
    pub(crate) master: NodeId,
    pub(crate) auto_shrink: bool,
}

/// Returns the best set of voters: an odd number of live nodes, never less than three once there
/// were three; the dead keep their place only to keep that size.
///
/// Returns the current set when the live nodes could not commit the better one.
pub(crate) fn best_voters(facts: &VoterFacts) -> BTreeSet<NodeId> {
    let usable: BTreeSet<NodeId> = facts
        .live
        .iter()
        .filter(|id| facts.current.contains(id) || facts.ready.contains(id))
        .copied()
        .collect();
    let size = target_size(facts, usable.len());
    let live_voters = facts.current.intersection(&usable).copied();
    let newcomers = usable.difference(&facts.current).copied();
    let dead_voters = facts.current.difference(&usable).copied();
    let master = facts
        .current
        .contains(&facts.master)
        .then_some(facts.master);

    let mut best = BTreeSet::new();
    for id in master
        .into_iter()
        .chain(live_voters)
        .chain(newcomers)
        .chain(dead_voters)
    {
        if best.len() == size {
            break;
        }
        best.insert(id);
    }
    if is_quorum(&[best.clone()], &usable) {
        best
    } else {
        facts.current.clone()
    }
}

fn target_size(facts: &VoterFacts, usable: usize) -> usize {
    let odd = if usable.is_multiple_of(2) {
        usable.saturating_sub(1)
    } else {
        usable
    };
    if !facts.auto_shrink {
        return odd.max(facts.current.len());
    }
    if usable >= MIN_VOTERS {
        odd
    } else if facts.current.len() < MIN_VOTERS {
        1
    } else {
        MIN_VOTERS
    }
}

/// A set of voters this large or larger is never shrunk below this size by departures.
const MIN_VOTERS: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(bits: &[u128]) -> BTreeSet<NodeId> {
        bits.iter().map(|bits| NodeId::from_bits(*bits)).collect()
    }

    fn best(current: &[u128], live: &[u128], master: u128) -> BTreeSet<NodeId> {
        best_voters(&VoterFacts {
            current: ids(current),
            live: ids(live),
            ready: ids(live),
            master: NodeId::from_bits(master),
            auto_shrink: true,
        })
    }

    #[test]
    fn odd_numbers_are_preferred() {
        assert_eq!(best(&[1], &[1, 2], 1), ids(&[1]));
        assert_eq!(best(&[1, 2], &[1, 2], 2), ids(&[2]));
        assert_eq!(best(&[1], &[1, 2, 3], 1), ids(&[1, 2, 3]));
        assert_eq!(best(&[1, 2, 3], &[1, 2, 3, 4], 1), ids(&[1, 2, 3]));
        assert_eq!(best(&[1, 2, 3], &[1, 2, 3, 4, 5], 1), ids(&[1, 2, 3, 4, 5]));
        assert_eq!(best(&[1, 2, 3, 4], &[1, 2, 3, 4], 4), ids(&[1, 2, 4]));
    }

    #[test]
    fn departures_never_shrink_below_three_and_the_dead_are_replaced() {
        assert_eq!(best(&[1, 2, 3], &[1, 2], 1), ids(&[1, 2, 3]));
        assert_eq!(best(&[1, 2, 3], &[1, 2, 4], 1), ids(&[1, 2, 4]));
        assert_eq!(best(&[1, 2, 3, 4, 5], &[1, 2, 3], 1), ids(&[1, 2, 3]));
        assert_eq!(best(&[1, 2, 3, 4, 5], &[1, 2, 3, 4], 2), ids(&[1, 2, 3]));
    }

    #[test]
    fn a_set_the_living_cannot_commit_is_not_chosen() {
        assert_eq!(best(&[1, 2, 3], &[1], 1), ids(&[1, 2, 3]));
    }

    #[test]
    fn lagging_nodes_wait() {
        let facts = VoterFacts {
            current: ids(&[1]),
            live: ids(&[1, 2, 3]),
            ready: ids(&[2]),
            master: NodeId::from_bits(1),
            auto_shrink: true,
        };
        assert_eq!(best_voters(&facts), ids(&[1]));
    }

    #[test]
    fn without_auto_shrink_the_size_stays() {
        let facts = VoterFacts {
            current: ids(&[1, 2, 3, 4, 5]),
            live: ids(&[1, 2, 3]),
            ready: ids(&[]),
            master: NodeId::from_bits(1),
            auto_shrink: false,
        };
        assert_eq!(best_voters(&facts), ids(&[1, 2, 3, 4, 5]));
    }

    #[test]
    fn quorum_needs_a_majority_of_every_configuration() {
        let configs = vec![ids(&[1, 2, 3]), ids(&[3, 4, 5])];
        assert!(is_quorum(&configs, &ids(&[1, 3, 4])));
        assert!(!is_quorum(&configs, &ids(&[1, 2, 3])));
        assert!(!is_quorum(&[], &ids(&[1])));
        assert!(!is_quorum(&[ids(&[1, 2])], &ids(&[1])));
    }

    proptest! {
        #[test]
        fn best_set_can_always_be_committed_by_the_living(
            current in proptest::collection::btree_set(0u128..8, 1..8),
            live in proptest::collection::btree_set(0u128..8, 1..8),
        ) {
            let current: Vec<u128> = current.into_iter().collect();
            let mut live: Vec<u128> = live.into_iter().collect();
            live.push(current[0]);
            let voters = best(&current, &live, current[0]);
            let unchanged = voters == ids(&current);
            prop_assert!(unchanged || is_quorum(std::slice::from_ref(&voters), &ids(&live)));
            prop_assert!(unchanged || voters.len() % 2 == 1);
            prop_assert!(voters.contains(&NodeId::from_bits(current[0])));
            // Once at the best set, nothing changes any more.
            let again: Vec<u128> = (0..8).filter(|b| voters.contains(&NodeId::from_bits(*b))).collect();
            prop_assert_eq!(best(&again, &live, current[0]), voters);
        }
    }
}
