//! What members have acknowledged to this node while it is master.
//!
//! A member that has less than that has an older copy of its data path, or a disk that lost what it had synced. It has
//! promised what it does not hold any more: with its vote a master could be elected that lacks what was committed. So
//! it is not taken back under its id. Only the master whom it was promised to knows of it, for as long as its term lasts.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tracing::error;

use crate::peer::PeerInfo;
use crate::raft::{LogId, RaftId, Vote};

/// The ends of the logs of the members, as they acknowledged them in one term of this node.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<Term>);

#[derive(Default)]
struct Term {
    vote: Option<Vote>,
    ends: BTreeMap<RaftId, LogId>,
    /// Of whom the log has told.
    told: BTreeSet<RaftId>,
}

impl Acknowledged {
    /// Notes that a member has synced its log up to an entry.
    pub(crate) fn note(&self, vote: Vote, member: RaftId, upto: Option<LogId>) {
        let Some(upto) = upto else {
            return;
        };
        let mut term = self.0.lock();
        if term.vote != Some(vote) {
            *term = Term {
                vote: Some(vote),
                ..Term::default()
            };
        }
        term.told.remove(&member);
        let end = term.ends.entry(member).or_insert(upto);
        *end = upto.max(*end);
    }

    /// Returns what to say of a member that does not have the entry `wanted`, if it has acknowledged it.
    pub(crate) fn lost(
        &self,
        vote: Vote,
        member: &PeerInfo,
        wanted: Option<LogId>,
    ) -> Option<String> {
        let id = RaftId(member.id);
        let mut term = self.0.lock();
        let end = *term.ends.get(&id).filter(|_| term.vote == Some(vote))?;
        if wanted > Some(end) {
            return None;
        }
        let reason = reverted(member, end.index);
        if term.told.insert(id) {
            error!("node [{member}] is not taken back: {reason}");
        }
        Some(reason)
    }

    /// Returns why a member whose log ends at the index `last` must not come back, if it has acknowledged more.
    pub(crate) fn objection(&self, vote: Vote, member: &PeerInfo, last: u64) -> Option<String> {
        let term = self.0.lock();
        let end = term.ends.get(&RaftId(member.id));
        let end = end.filter(|_| term.vote == Some(vote))?;
        (last < end.index).then(|| reverted(member, end.index))
    }
}

fn reverted(member: &PeerInfo, end: u64) -> String {
    format!(
        "the data path of [{}] is an older copy of its own, restored from a backup for example: it lacks changes of the \
         cluster state that the node had acknowledged, up to [{end}], and copies of shards may be as old; stop the node, \
         empty its data path and start it again, so that it joins as a new node and gets all from the others",
        member.name
    )
}

#[cfg(test)]
mod tests {
    use ringwall_base::NodeId;

    use super::*;

    fn log(term: u64, index: u64) -> LogId {
        openraft::testing::log_id(term, RaftId::from(1), index)
    }

    #[test]
    fn who_lacks_what_it_acknowledged_in_this_term_is_told() {
        let acknowledged = Acknowledged::default();
        let member = PeerInfo {
            id: NodeId::from_bits(2),
            name: "es02".to_owned(),
            ..PeerInfo::default()
        };
        let id = RaftId(member.id);
        let vote = |term| Vote::new_committed(term, RaftId::from(1));
        acknowledged.note(vote(3), id, Some(log(3, 7)));
        acknowledged.note(vote(3), id, Some(log(3, 5)));
        acknowledged.note(vote(3), id, None);

        let reason = acknowledged.objection(vote(3), &member, 6).unwrap();
        assert!(reason.contains("up to [7]"), "{reason}");
        assert_eq!(acknowledged.objection(vote(3), &member, 7), None);
        assert!(
            acknowledged
                .lost(vote(3), &member, Some(log(3, 7)))
                .is_some()
        );
        assert!(acknowledged.lost(vote(3), &member, None).is_some());
        // It may not have got what comes after.
        assert_eq!(acknowledged.lost(vote(3), &member, Some(log(3, 8))), None);
        let other = PeerInfo::default();
        assert_eq!(acknowledged.objection(vote(3), &other, 0), None);

        // Under another master it may have had to give up what was not committed.
        assert_eq!(acknowledged.objection(vote(5), &member, 0), None);
        acknowledged.note(vote(5), id, Some(log(5, 2)));
        assert_eq!(acknowledged.objection(vote(5), &member, 2), None);
        assert!(acknowledged.objection(vote(5), &member, 1).is_some());
    }
}
