//! Answers the requests of other nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::ServerState;
use openraft::error::RaftError;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, VoteRequest,
};
use openraft::storage::RaftLogStorage;
use ringwall_base::encoding::{decode, encode};
use ringwall_base::{NodeId, NodeKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use crate::decide::formation::own_cause;
use crate::decide::pre_vote::{self, PreVoteRequest, VoterView};
use crate::discovery::formation_facts;
use crate::error::Error;
use crate::master::Event;
use crate::peer::{PeerInfo, Sender};
use crate::propose::Attempt;
use crate::raft::{RaftId, TypeConfig, Vote};
use crate::rpc::{
    APPEND_ENTRIES, Done, Envelope, FOLLOWER_CHECK, FollowerCheckRequest, FollowerCheckResponse,
    INSTALL_SNAPSHOT, JOIN, JoinRequest, PRE_VOTE, PROPOSE, PeersRequest, PeersResponse,
    ProposeRequest, ProposeResponse, READ_INDEX, REQUEST_PEERS, ReadIndexRequest,
    ReadIndexResponse, Refusal, SnapshotAnswer, SnapshotChunk, VALIDATE_JOIN, VOTE,
    ValidateJoinRequest, Validated,
};
use crate::shared::Shared;
use crate::status::is_initialized;
use crate::store::LogStore;

/// Answers one request of an authenticated node.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    rpc: &str,
    from: Sender,
    body: &[u8],
) -> Result<Bytes, Error> {
    let request = Request {
        shared,
        rpc,
        from: from.id,
        key: from.key,
        body,
    };
    match rpc {
        REQUEST_PEERS => request.peers(),
        JOIN => request.join().await,
        VALIDATE_JOIN => request.validate_join().await,
        PRE_VOTE => request.pre_vote(),
        VOTE => request.vote().await,
        APPEND_ENTRIES => request.append_entries().await,
        INSTALL_SNAPSHOT => request.install_snapshot().await,
        FOLLOWER_CHECK => request.follower_check(),
        PROPOSE => request.propose().await,
        READ_INDEX => request.read_index().await,
        _ => Err(Error::UnknownAction {
            action: rpc.to_owned(),
        }),
    }
}

struct Request<'a> {
    shared: &'a Arc<Shared>,
    rpc: &'a str,
    from: NodeId,
    /// What it has proved to hold.
    key: Option<NodeKey>,
    body: &'a [u8],
}

impl Request<'_> {
    fn peers(&self) -> Result<Bytes, Error> {
        let request: PeersRequest = self.decode()?.body;
        self.must_speak_for(request.from.id)?;
        let shared = self.shared;
        shared.learn(&request.from);
        let (known, cannot_reach) = {
            let mut discovery = shared.discovery.lock();
            let address = &request.from.transport_address;
            discovery.hint(address.clone());
            (discovery.peers(), discovery.errors.get(address).cloned())
        };
        let master = shared.status.borrow().master.clone();
        let waits = master
            .is_none()
            .then(|| own_cause(&formation_facts(shared)));
        let metrics = shared.raft.metrics().borrow().clone();
        let mut all: BTreeMap<NodeId, PeerInfo> = metrics
            .membership_config
            .nodes()
            .map(|(id, peer)| (id.0, peer.clone()))
            .collect();
        let mut members = all.clone();
        let of_state = shared.machine.application().members();
        members.extend(of_state.into_iter().map(|peer| (peer.id, peer)));
        let members = members.into_values().take(MAX_PEERS_TOLD).collect();
        all.extend(known.into_iter().map(|peer| (peer.id, peer)));
        all.insert(shared.local_id(), shared.config.local.clone());
        answer(&PeersResponse {
            initialized: is_initialized(&metrics),
            term: metrics.current_term,
            master,
            waits,
            cannot_reach,
            known: all.into_values().take(MAX_PEERS_TOLD).collect(),
            cluster_uuid: shared.machine.cluster_uuid(),
            members,
        })
    }

    /// Admits a node after asking it back: a master must not add a node it cannot reach, nor one
    /// that is locked into another cluster. Source: Elasticsearch reference, "Troubleshooting discovery".
    async fn join(&self) -> Result<Bytes, Error> {
        let envelope: Envelope<JoinRequest> = self.decode()?;
        let mut peer = envelope.body.peer;
        self.must_speak_for(peer.id)?;
        // Proved, not said.
        peer.key = self.key;
        let shared = self.shared;
        let (Some(uuid), Some(_)) = (shared.machine.cluster_uuid(), shared.acting_term()) else {
            return refuse(Error::NotMaster.to_string(), true);
        };
        // First: what is known of the node that has this id must not lead to another.
        if let Some(reason) = shared.twin_of(&peer).await {
            warn!("refused the join of node [{peer}]: {reason}");
            return refuse(reason, false);
        }
        shared.messenger.learn(&peer);
        let validated =
            self.ask_joiner(&peer)
                .await
                .and_then(|validated| match envelope.cluster_uuid {
                    Some(other) if other != uuid => Err(different_cluster(&other, &uuid)),
                    _ => self.must_hold_what_it_acknowledged(&peer, &validated),
                });
        if let Err(reason) = validated {
            warn!("[{}] ({peer}) cannot join: {reason}", peer.name);
            return refuse(reason, false);
        }
        let (reply, admitted) = oneshot::channel();
        let admission = async {
            let stopped = || Refusal {
                reason: Error::NotMaster.to_string(),
                transient: true,
            };
            let event = Event::Join { peer, reply };
            let queued = shared.master_events.send(event).await;
            queued.map_err(|_| stopped())?;
            admitted.await.unwrap_or_else(|_| Err(stopped()))
        };
        match tokio::time::timeout(shared.config.timing.join_timeout, admission).await {
            Ok(Ok(())) => answer(&Ok::<Done, Refusal>(Done {})),
            Ok(Err(refusal)) => refuse(refusal.reason, refusal.transient),
            Err(_) => refuse("the master timed out adding the node".to_owned(), false),
        }
    }

    fn must_hold_what_it_acknowledged(
        &self,
        peer: &PeerInfo,
        validated: &Validated,
    ) -> Result<(), String> {
        let Some(last) = validated.last_log else {
            return Ok(());
        };
        let shared = self.shared;
        let vote = shared.raft.metrics().borrow().vote;
        match shared.acknowledged.objection(vote, peer, last) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    async fn ask_joiner(&self, peer: &PeerInfo) -> Result<Validated, String> {
        let shared = self.shared;
        let timeout = shared.config.timing.request_peers_timeout;
        shared
            .messenger
            .call::<_, Result<Validated, Refusal>>(
                peer,
                VALIDATE_JOIN,
                ValidateJoinRequest {},
                timeout,
            )
            .await
            .map_err(|error| {
                format!(
                    "[{}], the master, does not reach [{}] at [{}], the address that it publishes: {error}; correct \
                     [transport.publish_host] or [transport.publish_port] there, or what stands between the two",
                    shared.config.local.name, peer.name, peer.transport_address
                )
            })?
            .map_err(|refusal| refusal.reason)
    }

    async fn validate_join(&self) -> Result<Bytes, Error> {
        let envelope: Envelope<ValidateJoinRequest> = self.decode()?;
        let shared = self.shared;
        if let Some(reason) = shared.unhealthy() {
            return refuse(unhealthy(&reason), true);
        }
        let verdict = match (shared.machine.cluster_uuid(), envelope.cluster_uuid) {
            (Some(local), Some(remote)) if local != remote => Err(Refusal {
                reason: locked_elsewhere(shared, &local, &remote),
                transient: false,
            }),
            _ => Ok(Validated {
                last_log: Some(self.last_log().await?),
            }),
        };
        answer(&verdict)
    }

    /// Reads it from the disk: what the engine tells of itself is empty for a moment after the start.
    async fn last_log(&self) -> Result<u64, Error> {
        let mut log = LogStore::new(self.shared.store.clone());
        let state = log.get_log_state().await.map_err(|error| Error::Store {
            doing: "reading the end of the log",
            reason: error.to_string(),
        })?;
        Ok(state.last_log_id.map_or(0, |last| last.index))
    }

    fn pre_vote(&self) -> Result<Bytes, Error> {
        let request: PreVoteRequest = self.decode_member_message()?;
        self.must_speak_for(request.candidate.0)?;
        let shared = self.shared;
        let timing = &shared.config.timing;
        let now = Instant::now();
        let own = shared.acting_term().map(|_| RaftId(shared.local_id()));
        let (heard, lease_remaining) = {
            let contact = shared.contact.lock();
            (
                contact.live_master(now, timing.election_timeout_min),
                contact.lease_remaining(now, timing.rpc_timeout),
            )
        };
        let view = VoterView {
            live_master: own.or(heard.map(RaftId)),
            lease_remaining,
            last_log_id: shared.raft.data_metrics().borrow().last_log,
        };
        answer(&pre_vote::answer(&view, &request))
    }

    async fn vote(&self) -> Result<Bytes, Error> {
        let request: VoteRequest<RaftId> = self.decode_member_message()?;
        self.must_speak_for_vote(&request.vote)?;
        answer(
            &self
                .shared
                .raft
                .vote(request)
                .await
                .map_err(engine_stopped)?,
        )
    }

    async fn append_entries(&self) -> Result<Bytes, Error> {
        let request: AppendEntriesRequest<TypeConfig> = self.decode_member_message()?;
        self.must_speak_for_vote(&request.vote)?;
        let shared = self.shared;
        // Heard now, not when the disk is done: a slow disk does not make the master dead.
        let current = shared.raft.metrics().borrow().vote;
        if request.vote >= current {
            shared.heard_from(self.from);
        }
        let response = shared
            .raft
            .append_entries(request)
            .await
            .map_err(engine_stopped)?;
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            shared.heard_from(self.from);
        }
        answer(&response)
    }

    async fn install_snapshot(&self) -> Result<Bytes, Error> {
        let chunk: SnapshotChunk = self.decode_member_message()?;
        self.must_speak_for_vote(&chunk.vote)?;
        let vote = chunk.vote;
        let request = InstallSnapshotRequest {
            vote,
            meta: chunk.meta,
            offset: chunk.offset,
            data: chunk.data,
            done: chunk.done,
        };
        let outcome: SnapshotAnswer = match self.shared.raft.install_snapshot(request).await {
            Ok(response) => {
                if response.vote <= vote {
                    self.shared.heard_from(self.from);
                }
                Ok(response)
            }
            Err(RaftError::APIError(error)) => Err(error),
            Err(RaftError::Fatal(fatal)) => {
                return Err(Error::Stopped {
                    reason: fatal.to_string(),
                });
            }
        };
        answer(&outcome)
    }

    fn follower_check(&self) -> Result<Bytes, Error> {
        let request: FollowerCheckRequest = self.decode_member_message()?;
        if request.term < self.shared.raft.metrics().borrow().current_term {
            return Err(Error::NotMaster);
        }
        answer(&FollowerCheckResponse {
            ephemeral_id: self.shared.config.local.ephemeral_id.clone(),
            unhealthy: self.shared.unhealthy(),
        })
    }

    async fn propose(&self) -> Result<Bytes, Error> {
        let request: ProposeRequest = self.decode_member_message()?;
        self.must_be_member()?;
        let timeout = Duration::from_millis(request.timeout_ms).min(MAX_FORWARDED_WAIT);
        let submitted = async {
            let _permit = self.shared.proposals.acquire().await;
            self.shared.submit_here(request.id, &request.command).await
        };
        let outcome = match tokio::time::timeout(timeout, submitted).await {
            Ok(Ok((index, reply))) => ProposeResponse::Applied { index, reply },
            Ok(Err(Attempt::NotSubmitted)) => ProposeResponse::NotMaster,
            Ok(Err(Attempt::Unknown)) | Err(_) => ProposeResponse::Unknown,
            Ok(Err(Attempt::Stopped(reason))) => return Err(Error::Stopped { reason }),
        };
        answer(&outcome)
    }

    async fn read_index(&self) -> Result<Bytes, Error> {
        let request: ReadIndexRequest = self.decode_member_message()?;
        self.must_be_member()?;
        let timeout = Duration::from_millis(request.timeout_ms).min(MAX_FORWARDED_WAIT);
        let index = tokio::time::timeout(timeout, self.shared.read_index_here())
            .await
            .unwrap_or(None);
        answer(&ReadIndexResponse { index })
    }

    fn decode<T: DeserializeOwned>(&self) -> Result<Envelope<T>, Error> {
        decode(self.body).map_err(|error| Error::MalformedRequest {
            action: self.rpc.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Decodes a message that must not cross from one cluster into another.
    fn decode_member_message<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let envelope: Envelope<T> = self.decode()?;
        match (self.shared.machine.cluster_uuid(), envelope.cluster_uuid) {
            (Some(local), Some(remote)) if local != remote => Err(Error::OtherCluster {
                action: self.rpc.to_owned(),
                local,
                remote,
            }),
            _ => Ok(envelope.body),
        }
    }

    fn must_speak_for_vote(&self, vote: &Vote) -> Result<(), Error> {
        self.must_speak_for(vote.leader_id.node_id.0)
    }

    /// Refuses a request in another node's name.
    fn must_speak_for(&self, claimed: NodeId) -> Result<(), Error> {
        if claimed == self.from {
            return Ok(());
        }
        Err(Error::Impersonation {
            action: self.rpc.to_owned(),
            from: self.from.to_string(),
            claimed: claimed.to_string(),
        })
    }

    /// Refuses a request of a node that was never admitted to this cluster.
    fn must_be_member(&self) -> Result<(), Error> {
        let metrics = self.shared.raft.metrics().borrow().clone();
        if metrics.state != ServerState::Leader {
            return Ok(());
        }
        let membership = metrics.membership_config.membership();
        if membership.get_node(&RaftId(self.from)).is_some() {
            return Ok(());
        }
        Err(Error::NotMember {
            action: self.rpc.to_owned(),
            from: self.from.to_string(),
        })
    }
}

fn answer<T: Serialize>(response: &T) -> Result<Bytes, Error> {
    Ok(Bytes::from(encode(response)))
}

fn refuse(reason: String, transient: bool) -> Result<Bytes, Error> {
    answer(&Err::<Done, Refusal>(Refusal { reason, transient }))
}

fn engine_stopped(error: RaftError<RaftId>) -> Error {
    Error::Stopped {
        reason: error.to_string(),
    }
}

/// Says that a node must not be relied on. Source: Elasticsearch reference, "Cluster fault detection".
pub(crate) fn unhealthy(reason: &str) -> String {
    format!("this node is unhealthy: {reason}")
}

/// Says why this node joins no other cluster.
pub(crate) fn locked_elsewhere(shared: &Shared, local: &str, remote: &str) -> String {
    format!(
        "{} The UUID survives restarts; only deleting the contents of this node's \
         data path [{}] changes it, together with all data the node holds.",
        different_cluster(local, remote),
        shared.config.data_dir.display()
    )
}

fn different_cluster(local: &str, remote: &str) -> String {
    format!(
        "This node previously joined a cluster with UUID [{local}] and is now trying to join a \
         different cluster with UUID [{remote}]. This is forbidden and points to wrong discovery \
         or cluster bootstrapping configuration."
    )
}

/// Most nodes named in one answer to a request for peers.
const MAX_PEERS_TOLD: usize = 500;

/// Longest a forwarded request may occupy the master.
const MAX_FORWARDED_WAIT: Duration = Duration::from_secs(600);
