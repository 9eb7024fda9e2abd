//! Carries openraft's messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::error::{
    NetworkError as RaftNetworkError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};

use tokio::time::Instant;

use crate::acknowledged::Acknowledged;
use crate::config::Timing;
use crate::error::NetworkError;
use crate::peer::PeerInfo;
use crate::raft::{RaftId, TypeConfig};
use crate::rpc::{
    APPEND_ENTRIES, INSTALL_SNAPSHOT, Messenger, SnapshotAnswer, SnapshotChunk, VOTE,
};

/// Makes a [`Line`] for each member.
pub(crate) struct Lines {
    messenger: Arc<Messenger>,
    hush: Arc<Hush>,
    acknowledged: Arc<Acknowledged>,
}

/// Keeps a master without a quorum quiet: one that is heard but does not hear would keep the others from electing one
/// that can act. The engine goes on replicating on its own, so this is where it is held back.
pub(crate) struct Hush {
    on: AtomicBool,
    /// A word now and then finds out whether the others are back; between two words there is time for an election.
    pause: Duration,
}

impl Hush {
    pub(crate) fn new(timing: &Timing) -> Arc<Self> {
        Arc::new(Self {
            on: AtomicBool::new(false),
            pause: timing.election_timeout_max * PAUSE_IN_ELECTIONS,
        })
    }

    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }
}

impl Lines {
    pub(crate) fn new(
        messenger: Arc<Messenger>,
        hush: Arc<Hush>,
        acknowledged: Arc<Acknowledged>,
    ) -> Self {
        Self {
            messenger,
            hush,
            acknowledged,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Lines {
    type Network = Line;

    async fn new_client(&mut self, target: RaftId, node: &PeerInfo) -> Line {
        Line {
            messenger: self.messenger.clone(),
            hush: self.hush.clone(),
            acknowledged: self.acknowledged.clone(),
            last_word: None,
            target,
            peer: node.clone(),
        }
    }
}

/// The way to one member.
pub(crate) struct Line {
    messenger: Arc<Messenger>,
    hush: Arc<Hush>,
    acknowledged: Arc<Acknowledged>,
    last_word: Option<Instant>,
    target: RaftId,
    peer: PeerInfo,
}

type Failed<E = openraft::error::Infallible> = RPCError<RaftId, PeerInfo, RaftError<RaftId, E>>;

impl RaftNetwork<TypeConfig> for Line {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftId>, Failed> {
        let now = Instant::now();
        if self.hush.on.load(Ordering::Relaxed)
            && self
                .last_word
                .is_some_and(|last| now - last < self.hush.pause)
        {
            let reason = "there is no quorum to speak for".to_owned();
            return Err(failed(NetworkError::NoConnection(reason)));
        }
        self.last_word = Some(now);
        let (vote, before) = (request.vote, request.prev_log_id);
        let last = request.entries.last().map(|entry| entry.log_id).or(before);
        let response = self
            .messenger
            .call(&self.peer, APPEND_ENTRIES, request, option.hard_ttl())
            .await
            .map_err(failed)?;
        match &response {
            AppendEntriesResponse::Success => self.acknowledged.note(vote, self.target, last),
            AppendEntriesResponse::PartialSuccess(upto) => {
                self.acknowledged.note(vote, self.target, *upto);
            }
            AppendEntriesResponse::Conflict => {
                // The engine takes it for a fault of its own and stops this node.
                if let Some(reason) = self.acknowledged.lost(vote, &self.peer, before) {
                    return Err(failed(NetworkError::NoConnection(reason)));
                }
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(response)
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<RaftId>, Failed<openraft::error::InstallSnapshotError>>
    {
        let (vote, last, done) = (request.vote, request.meta.last_log_id, request.done);
        let chunk = SnapshotChunk {
            vote: request.vote,
            meta: request.meta,
            offset: request.offset,
            data: request.data,
            done: request.done,
        };
        let answer: SnapshotAnswer = self
            .messenger
            .call(&self.peer, INSTALL_SNAPSHOT, chunk, option.hard_ttl())
            .await
            .map_err(failed)?;
        if let (Ok(response), true) = (&answer, done)
            && response.vote <= vote
        {
            self.acknowledged.note(vote, self.target, last);
        }
        answer.map_err(|error| {
            RPCError::RemoteError(RemoteError::new(self.target, RaftError::APIError(error)))
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<RaftId>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftId>, Failed> {
        self.messenger
            .call(&self.peer, VOTE, request, option.hard_ttl())
            .await
            .map_err(failed)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_UNREACHABLE))
    }
}

/// An error answer is retried like silence: the engine retries network errors without a pause.
fn failed<E: std::error::Error>(error: NetworkError) -> RPCError<RaftId, PeerInfo, E> {
    match error {
        NetworkError::Timeout => RPCError::Network(RaftNetworkError::new(&error)),
        NetworkError::Unreachable(_) | NetworkError::NoConnection(_) | NetworkError::Remote(_) => {
            RPCError::Unreachable(Unreachable::new(&error))
        }
    }
}

/// Of the longest election timeouts: one is waited out, one is for the election.
const PAUSE_IN_ELECTIONS: u32 = 3;

const RETRY_UNREACHABLE: Duration = Duration::from_millis(100);
