//! What the elected master does: admits nodes, removes lost ones, and keeps the voters well chosen.
//! One task does all of it, one thing at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use ringwall_base::{NodeId, random_uuid};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::decide::flapping::Flapping;
use crate::decide::voters::{VoterFacts, best_voters};
use crate::follower_check::{FollowerChecks, TOO_MANY_FAILURES};
use crate::peer::PeerInfo;
use crate::ports::NotAdmitted;
use crate::propose::Attempt;
use crate::raft::{ProposalId, RaftId};
use crate::rpc::Refusal;
use crate::shared::{Shared, configs};

/// Something the master must deal with.
pub(crate) enum Event {
    /// A validated node asks to join.
    Join {
        peer: PeerInfo,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    /// A member does not answer any more.
    Lost {
        peer: PeerInfo,
        reason: &'static str,
    },
    /// A connection closed.
    Disconnected(NodeId),
}

/// Performs the master's duties whenever this node is master, until the node stops.
pub(crate) async fn keep_mastering(shared: Arc<Shared>, mut events: mpsc::Receiver<Event>) {
    let mut master = Master {
        shared,
        checks: FollowerChecks::default(),
        flapping: Flapping::default(),
        predecessor: None,
        term: None,
    };
    let mut status = master.shared.status.subscribe();
    let mut next_duties = Instant::now();
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => Some(event),
                None => return,
            },
            () = tokio::time::sleep_until(next_duties) => None,
            changed = status.changed() => {
                if changed.is_err() {
                    return;
                }
                if master.term == master.shared.acting_term() {
                    continue;
                }
                None
            }
        };
        master.take_or_leave_office();
        if let Some(event) = event {
            master.handle(event).await;
        }
        master.duties().await;
        next_duties = Instant::now() + DUTY_INTERVAL;
    }
}

struct Master {
    shared: Arc<Shared>,
    checks: FollowerChecks,
    flapping: Flapping,
    /// Who was master before, and when it was last heard, until its check has begun.
    predecessor: Option<(NodeId, Instant)>,
    /// The term in which this node is an acting master.
    term: Option<u64>,
}

/// A duty failed; it is tried again in the next round.
#[derive(Debug, thiserror::Error)]
enum DutyError {
    #[error("this node is not the acting master any more")]
    NotMaster,
    #[error("timed out waiting for a quorum")]
    Timeout,
    #[error("{0}")]
    Refused(String),
}

impl Master {
    fn take_or_leave_office(&mut self) {
        let term = self.shared.acting_term();
        if term == self.term {
            return;
        }
        self.checks.clear();
        self.flapping.clear();
        self.term = term;
        self.predecessor = None;
        if let Some(term) = term {
            self.predecessor = self.shared.contact.lock().last_word();
            let metrics = self.shared.raft.metrics().borrow().clone();
            info!(
                "elected-as-master ([{}] nodes joined), term: {term}, version: {}",
                metrics.membership_config.voter_ids().count(),
                metrics.last_applied.map_or(0, |applied| applied.index)
            );
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Join { peer, reply } => {
                let admitted = self.let_in(&peer).await;
                // A joiner that gave up asks again and finds itself joined.
                let _ = reply.send(admitted);
            }
            Event::Lost { peer, reason } => {
                self.checks.forget(peer.id);
                if reason == TOO_MANY_FAILURES {
                    let window = self.shared.config.timing.rejoin_window;
                    self.flapping.removed(peer.id, Instant::now(), window);
                }
                if let Err(error) = self.remove(&peer, reason).await {
                    warn!(node = %peer, %error, "could not remove a lost node, trying again");
                }
            }
            Event::Disconnected(node) => self.checks.suspect(node),
        }
    }

    /// Admits a node that asks, unless it comes and goes.
    async fn let_in(&mut self, peer: &PeerInfo) -> Result<(), Refusal> {
        let timing = &self.shared.config.timing;
        let (window, steady) = (timing.rejoin_window, timing.rejoin_steady_time);
        if let Some(left) = self.flapping.wait(peer.id, Instant::now(), window, steady) {
            return Err(Refusal {
                reason: format!(
                    "the node was lost twice within [{} s]; it is let in again when it has answered for another \
                     [{} ms] without a break",
                    window.as_secs(),
                    left.as_millis()
                ),
                transient: false,
            });
        }
        let is_founder = self.shared.in_consensus(peer.id) == Some(peer.key);
        let application = self.shared.machine.application();
        if let Err(NotAdmitted { reason }) = application.judge_join(peer, is_founder) {
            warn!("refused the join of node [{peer}]: {reason}");
            return Err(Refusal {
                reason,
                transient: false,
            });
        }
        self.admit(peer).await.map_err(|error| Refusal {
            reason: error.to_string(),
            transient: true,
        })
    }

    async fn admit(&mut self, peer: &PeerInfo) -> Result<(), DutyError> {
        let term = self.term.ok_or(DutyError::NotMaster)?;
        let is_known = |member: &PeerInfo| {
            member.same_process(peer)
                && member.transport_address == peer.transport_address
                && member.key == peer.key
        };
        if self.members().iter().any(is_known) {
            return Ok(());
        }
        self.describe_member(peer).await?;
        let application = self.shared.machine.application();
        let command = match self.is_new_key_of_only_voter(peer) {
            true => application.rekey_command(peer),
            false => application.join_command(peer),
        };
        self.command(command).await?;
        self.checks.forget(peer.id);
        info!(
            "node-join[{peer} joining], term: {term}, version: {}",
            *self.shared.machine.applied_index().borrow()
        );
        Ok(())
    }

    /// Returns whether this node has lost its key and is the only voter: then there is nobody whom it could deceive, and
    /// nobody who could let it in again.
    fn is_new_key_of_only_voter(&self, peer: &PeerInfo) -> bool {
        let local = self.shared.local_id();
        let configs = configs(&self.shared.raft.metrics().borrow());
        let is_alone = configs.iter().all(|voters| voters.iter().eq([&local]));
        let application = self.shared.machine.application();
        peer.id == local && is_alone && application.is_foreign(local, peer.key)
    }

    async fn remove(&mut self, peer: &PeerInfo, reason: &str) -> Result<(), DutyError> {
        let term = self.term.ok_or(DutyError::NotMaster)?;
        if !self
            .members()
            .iter()
            .any(|member| member.same_process(peer))
        {
            return Ok(());
        }
        let command = self
            .shared
            .machine
            .application()
            .leave_command(peer.id, reason);
        self.command(command).await?;
        info!(
            "node-left[{peer} reason: {reason}], term: {term}, version: {}",
            *self.shared.machine.applied_index().borrow()
        );
        Ok(())
    }

    /// Brings membership and state together, one step after the other.
    async fn duties(&mut self) {
        let Some(term) = self.term else {
            return;
        };
        if let Err(error) = self.perform_duties().await {
            warn!(%error, "a duty of the master failed, trying again");
        }
        if self.shared.acting_term() == Some(term) {
            // The one before may have been silent for long when this one was elected.
            let heard = self.predecessor.take();
            self.checks
                .follow(&self.shared, &self.members(), term, heard);
        }
    }

    async fn perform_duties(&mut self) -> Result<(), DutyError> {
        self.name_cluster().await?;
        let local = self.shared.config.local.clone();
        self.admit(&local).await?;
        self.pin_keys().await?;
        self.complete_membership().await?;
        self.choose_voters().await?;
        self.drop_strangers().await
    }

    /// Gives a new cluster its UUID. Source: Elasticsearch reference, "Bootstrapping a cluster".
    async fn name_cluster(&self) -> Result<(), DutyError> {
        let application = self.shared.machine.application();
        if application.cluster_uuid().is_some() {
            return Ok(());
        }
        let uuid = random_uuid();
        self.command(application.bootstrap_command(&uuid)).await?;
        info!(cluster.uuid = uuid, "cluster UUID set");
        Ok(())
    }

    /// Enters the keys of members that joined while nobody took note of keys.
    async fn pin_keys(&self) -> Result<(), DutyError> {
        let application = self.shared.machine.application();
        for member in self.members().iter().filter(|member| member.key.is_none()) {
            let Some(key) = self.shared.messenger.proven_key(member) else {
                continue;
            };
            let member = PeerInfo {
                key: Some(key),
                ..member.clone()
            };
            self.describe_member(&member).await?;
            self.command(application.join_command(&member)).await?;
            info!("the key of node [{member}] is known from now on");
        }
        Ok(())
    }

    /// Gives every node of the state a place in the membership.
    async fn complete_membership(&self) -> Result<(), DutyError> {
        let metrics = self.shared.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        for member in self.members() {
            if membership.get_node(&RaftId(member.id)).is_none() {
                self.describe_member(&member).await?;
            }
        }
        Ok(())
    }

    /// Makes a node a learner, or corrects what the membership says about it.
    async fn describe_member(&self, peer: &PeerInfo) -> Result<(), DutyError> {
        let id = RaftId(peer.id);
        let metrics = self.shared.raft.metrics().borrow().clone();
        if metrics.membership_config.membership().get_node(&id) == Some(peer) {
            return Ok(());
        }
        let change = ChangeMembers::SetNodes(BTreeMap::from([(id, peer.clone())]));
        self.change_membership(change).await
    }

    async fn choose_voters(&self) -> Result<(), DutyError> {
        let metrics = self.shared.raft.metrics().borrow().clone();
        let configs = configs(&metrics);
        let Some(current) = configs.last() else {
            return Ok(());
        };
        let live: BTreeSet<NodeId> = self
            .members()
            .iter()
            .filter(|member| member.master_eligible)
            .map(|member| member.id)
            .collect();
        let last = metrics.last_log_index.unwrap_or(0);
        let replication = metrics.replication.clone().unwrap_or_default();
        let is_ready = |id: &NodeId| {
            let matched = replication.get(&RaftId(*id)).copied().flatten();
            matched.is_some_and(|matched| matched.index + READY_LAG >= last)
        };
        let best = best_voters(&VoterFacts {
            current: current.clone(),
            ready: live.iter().copied().filter(is_ready).collect(),
            live,
            master: self.shared.local_id(),
            auto_shrink: self.shared.auto_shrink.load(Ordering::Relaxed),
        });
        if configs.len() == 1 && best == *current {
            return Ok(());
        }
        info!(from = ?configs, to = ?best, "changing voting configuration");
        let best = best.into_iter().map(RaftId).collect();
        self.change_membership(ChangeMembers::ReplaceAllVoters(best))
            .await
    }

    /// Stops replicating to nodes that neither vote nor belong to the state.
    async fn drop_strangers(&self) -> Result<(), DutyError> {
        let metrics = self.shared.raft.metrics().borrow().clone();
        let members: BTreeSet<NodeId> = self.members().iter().map(|member| member.id).collect();
        let strangers: BTreeSet<RaftId> = metrics
            .membership_config
            .membership()
            .learner_ids()
            .filter(|id| !members.contains(&id.0))
            .collect();
        if strangers.is_empty() {
            return Ok(());
        }
        self.change_membership(ChangeMembers::RemoveNodes(strangers))
            .await
    }

    fn members(&self) -> Vec<PeerInfo> {
        self.shared.machine.application().members()
    }

    async fn command(&self, command: Vec<u8>) -> Result<(), DutyError> {
        let timeout = self.shared.config.timing.publish_timeout;
        let submit = self.shared.submit_here(ProposalId::random(), &command);
        match tokio::time::timeout(timeout, submit).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Attempt::NotSubmitted | Attempt::Unknown)) => Err(DutyError::NotMaster),
            Ok(Err(Attempt::Stopped(reason))) => Err(DutyError::Refused(reason)),
            Err(_) => Err(DutyError::Timeout),
        }
    }

    async fn change_membership(
        &self,
        change: ChangeMembers<RaftId, PeerInfo>,
    ) -> Result<(), DutyError> {
        let timeout = self.shared.config.timing.publish_timeout;
        let term = self.term;
        let mut status = self.shared.status.subscribe();
        let office_lost = status.wait_for(|status| {
            Some(status.term) != term || !status.is_master(self.shared.local_id())
        });
        tokio::select! {
            biased;
            changed = tokio::time::timeout(timeout, self.change_when_possible(change)) => {
                changed.unwrap_or(Err(DutyError::Timeout))
            }
            _ = office_lost => Err(DutyError::NotMaster),
        }
    }

    async fn change_when_possible(
        &self,
        change: ChangeMembers<RaftId, PeerInfo>,
    ) -> Result<(), DutyError> {
        loop {
            let result = self
                .shared
                .raft
                .change_membership(change.clone(), true)
                .await;
            match result {
                Ok(_) => return Ok(()),
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                    return Err(DutyError::NotMaster);
                }
                Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::InProgress(_),
                ))) => tokio::time::sleep(CHANGE_RETRY).await,
                Err(error) => return Err(DutyError::Refused(error.to_string())),
            }
        }
    }
}

/// How often the master compares membership and state without being asked.
const DUTY_INTERVAL: Duration = Duration::from_millis(100);

/// Pause while an earlier change of membership is being committed.
const CHANGE_RETRY: Duration = Duration::from_millis(20);

/// A learner this many entries behind the master, or fewer, may become a voter.
const READY_LAG: u64 = 100;
