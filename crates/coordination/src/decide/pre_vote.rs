//! The question asked before an election: would you vote for me? Answering changes nothing, so a
//! node that cannot win never raises its term and never disturbs a working cluster.
//! Source: Raft dissertation (Ongaro 2014) section 9.6; openraft 0.9 has no pre-vote of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::raft::{LogId, RaftId};

/// A node would like to stand for election.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PreVoteRequest {
    pub(crate) candidate: RaftId,
    pub(crate) last_log_id: Option<LogId>,
}

/// The answer to a [`PreVoteRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PreVoteResponse {
    Granted,
    /// A master is alive.
    MasterAlive {
        master: RaftId,
    },
    /// The candidate's log is older than the voter's.
    LogBehind,
    /// The voter still owes its vote to the last master.
    Lease {
        remaining_ms: u64,
    },
}

/// What the voter knows.
#[derive(Debug, Clone)]
pub(crate) struct VoterView {
    /// The master this node hears, or itself while it has a quorum.
    pub(crate) live_master: Option<RaftId>,
    pub(crate) lease_remaining: Duration,
    pub(crate) last_log_id: Option<LogId>,
}

/// Returns the voter's answer.
pub(crate) fn answer(view: &VoterView, request: &PreVoteRequest) -> PreVoteResponse {
    if let Some(master) = view.live_master
        && master != request.candidate
    {
        return PreVoteResponse::MasterAlive { master };
    }
    if request.last_log_id < view.last_log_id {
        return PreVoteResponse::LogBehind;
    }
    if !view.lease_remaining.is_zero() {
        return PreVoteResponse::Lease {
            remaining_ms: view.lease_remaining.as_millis() as u64 + 1,
        };
    }
    PreVoteResponse::Granted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_id(term: u64, index: u64) -> Option<LogId> {
        Some(openraft::testing::log_id(term, RaftId::from(1), index))
    }

    fn view() -> VoterView {
        VoterView {
            live_master: None,
            lease_remaining: Duration::ZERO,
            last_log_id: log_id(2, 5),
        }
    }

    #[test]
    fn only_a_candidate_with_a_current_log_and_no_living_master_is_granted() {
        let request = |last_log_id| PreVoteRequest {
            candidate: RaftId::from(2),
            last_log_id,
        };
        for (request_log, expected) in [
            (log_id(2, 5), PreVoteResponse::Granted),
            (log_id(3, 1), PreVoteResponse::Granted),
            (log_id(2, 4), PreVoteResponse::LogBehind),
            (log_id(1, 9), PreVoteResponse::LogBehind),
            (None, PreVoteResponse::LogBehind),
        ] {
            assert_eq!(answer(&view(), &request(request_log)), expected);
        }
        let busy = VoterView {
            live_master: Some(RaftId::from(3)),
            ..view()
        };
        assert_eq!(
            answer(&busy, &request(log_id(9, 9))),
            PreVoteResponse::MasterAlive {
                master: RaftId::from(3)
            }
        );
        let leased = VoterView {
            lease_remaining: Duration::from_millis(20),
            ..view()
        };
        assert_eq!(
            answer(&leased, &request(log_id(2, 5))),
            PreVoteResponse::Lease { remaining_ms: 21 }
        );
    }
}
