//! When this node stands for election. openraft's own timer is off: it would raise the term of a
//! node that merely lost its network. Source: Raft dissertation (Ongaro 2014) section 9.6; openraft's
//! `RuntimeConfigHandle::elect`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::ServerState;
use ringwall_base::NodeId;
use tokio::time::Instant;
use tracing::debug;

use crate::decide::pre_vote::{PreVoteRequest, PreVoteResponse};
use crate::decide::voters::{Configs, is_quorum};
use crate::raft::RaftId;
use crate::rpc::PRE_VOTE;
use crate::shared::{Shared, configs};

/// Stands for election whenever there is no master, until the node stops.
pub(crate) async fn keep_electing(shared: Arc<Shared>) {
    let mut patience = election_timeout(&shared);
    let mut not_before = Instant::now();
    loop {
        let wait = waiting_time(&shared, patience, not_before);
        if !wait.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = shared.election_wanted.notified() => {}
            }
            continue;
        }
        let pause = attempt(&shared).await;
        patience = election_timeout(&shared);
        not_before = Instant::now() + pause;
    }
}

/// Returns how long to wait before looking again; zero means stand for election now.
fn waiting_time(shared: &Shared, patience: Duration, not_before: Instant) -> Duration {
    let timing = &shared.config.timing;
    let metrics = shared.raft.metrics().borrow().clone();
    let voters = configs(&metrics);
    let may_stand = voters
        .iter()
        .any(|config| config.contains(&shared.local_id()))
        && metrics.state != ServerState::Leader
        && metrics.running_state.is_ok()
        && shared.unhealthy().is_none()
        && !shared.is_stalled();
    if !may_stand {
        return LOOK_AGAIN;
    }
    let now = Instant::now();
    let contact = shared.contact.lock();
    let due = if is_alone(&voters, shared.local_id()) {
        now
    } else if contact.is_suspected() {
        // Wait out the last master's lease: before that no voter may vote for another.
        now + contact.lease_remaining(now, timing.rpc_timeout)
    } else {
        contact.last_heard().unwrap_or(shared.started) + patience
    };
    let due = if shared.config.local.voting_only {
        due + timing.election_timeout_max * LAST_RESORT
    } else {
        due
    };
    due.max(not_before)
        .saturating_duration_since(now)
        .min(LOOK_AGAIN)
}

/// Stands for election if a quorum would agree. Returns how long to wait before the next attempt.
async fn attempt(shared: &Shared) -> Duration {
    let timing = &shared.config.timing;
    if let Some(pause) = pre_vote(shared).await {
        return pause + jitter(timing.heartbeat_interval);
    }
    let term = shared.raft.metrics().borrow().current_term;
    debug!(term, "pre-vote won, standing for election");
    if shared.raft.trigger().elect().await.is_err() {
        return LOOK_AGAIN;
    }
    let decided = shared
        .raft
        .wait(Some(timing.rpc_timeout))
        .metrics(
            |metrics| metrics.current_term > term && metrics.current_leader.is_some(),
            "election",
        )
        .await;
    match decided {
        // The winner gets time to make itself heard.
        Ok(_) => timing.election_timeout_min,
        Err(_) => jitter(timing.election_timeout_min) + timing.heartbeat_interval,
    }
}

/// Asks all voters. Returns `None` if a quorum would vote for this node, else how long to wait.
async fn pre_vote(shared: &Shared) -> Option<Duration> {
    let timing = &shared.config.timing;
    let metrics = shared.raft.metrics().borrow().clone();
    let voters = configs(&metrics);
    let local = shared.local_id();
    let last_log_id = shared.raft.data_metrics().borrow().last_log;
    let mut granted = BTreeSet::from([local]);
    if is_quorum(&voters, &granted) {
        return None;
    }
    let everyone: BTreeSet<NodeId> = voters.iter().flatten().copied().collect();
    let mut answers: FuturesUnordered<_> = everyone
        .into_iter()
        .filter(|id| *id != local)
        .map(|id| {
            let request = PreVoteRequest {
                candidate: RaftId(local),
                last_log_id,
            };
            let peer = shared.describe(id, &metrics);
            async move {
                let answer = shared
                    .messenger
                    .call::<_, PreVoteResponse>(&peer, PRE_VOTE, request, timing.rpc_timeout)
                    .await;
                (id, answer)
            }
        })
        .collect();
    let mut pause = timing.heartbeat_interval;
    while let Some((id, answer)) = answers.next().await {
        match answer {
            Ok(PreVoteResponse::Granted) => {
                granted.insert(id);
                if is_quorum(&voters, &granted) {
                    return None;
                }
            }
            Ok(PreVoteResponse::Lease { remaining_ms }) => {
                let remaining = Duration::from_millis(remaining_ms).min(timing.rpc_timeout);
                pause = pause.max(remaining);
            }
            Ok(refusal) => {
                debug!(voter = %id, ?refusal, "pre-vote refused");
                pause = pause.max(timing.election_timeout_min / 2);
            }
            Err(error) => debug!(voter = %id, %error, "pre-vote unanswered"),
        }
    }
    Some(pause)
}

fn is_alone(voters: &Configs, local: NodeId) -> bool {
    is_quorum(voters, &BTreeSet::from([local]))
}

fn election_timeout(shared: &Shared) -> Duration {
    let timing = &shared.config.timing;
    rand::random_range(timing.election_timeout_min..timing.election_timeout_max)
}

fn jitter(up_to: Duration) -> Duration {
    rand::random_range(Duration::ZERO..=up_to)
}

/// Longest sleep between two looks at the situation.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A voting-only node stands for election after this many election timeouts.
const LAST_RESORT: u32 = 10;
