//! Submitting commands and reading the current state, from any node.

use std::time::Duration;

use openraft::ServerState;
use openraft::error::{ClientWriteError, RaftError};
use tokio::time::Instant;

use crate::error::{Error, NetworkError, ProposeError};
use crate::peer::PeerInfo;
use crate::raft::{Proposal, ProposalId, Reply};
use crate::rpc::{
    PROPOSE, ProposeRequest, ProposeResponse, READ_INDEX, ReadIndexRequest, ReadIndexResponse,
};
use crate::shared::Shared;

/// Why one attempt to submit a command brought no reply.
pub(crate) enum Attempt {
    /// The command did not reach a master.
    NotSubmitted,
    /// It may have.
    Unknown,
    Stopped(String),
}

impl Shared {
    /// Submits a command and waits until this node has applied it.
    pub(crate) async fn propose(
        &self,
        command: Vec<u8>,
        timeout: Duration,
    ) -> Result<Vec<u8>, ProposeError> {
        let deadline = Instant::now() + timeout;
        let mut submitted = false;
        let result =
            tokio::time::timeout_at(deadline, self.submit(command, deadline, &mut submitted)).await;
        match result {
            Ok(result) => result,
            Err(_) if submitted => Err(ProposeError::Timeout),
            Err(_) => Err(ProposeError::NoMaster),
        }
    }

    /// Submits until one master applied the command. Repeating is safe: the state machine applies
    /// a proposal id once.
    async fn submit(
        &self,
        command: Vec<u8>,
        deadline: Instant,
        submitted: &mut bool,
    ) -> Result<Vec<u8>, ProposeError> {
        let _permit = self.proposals.acquire().await.map_err(stopped)?;
        let id = ProposalId::random();
        loop {
            let master = self.wait_for_master().await?;
            let before = *submitted;
            *submitted = true;
            let outcome = if master.id == self.local_id() {
                self.submit_here(id, &command).await
            } else {
                self.forward(&master, id, &command, deadline).await
            };
            match outcome {
                Ok((index, reply)) => {
                    self.wait_applied(index).await.map_err(stopped)?;
                    return Ok(reply.0);
                }
                Err(Attempt::NotSubmitted) => *submitted = before,
                Err(Attempt::Unknown) => {}
                Err(Attempt::Stopped(reason)) => return Err(ProposeError::Stopped { reason }),
            }
            self.pause_before_retry().await;
        }
    }

    /// Submits a command to this node's own log; gives up when it loses its office or its quorum.
    pub(crate) async fn submit_here(
        &self,
        id: ProposalId,
        command: &[u8],
    ) -> Result<(u64, Reply), Attempt> {
        let Some(term) = self.acting_term().filter(|_| self.in_office()) else {
            return Err(Attempt::NotSubmitted);
        };
        if let Err(reason) = self.machine.application().check(command) {
            return Err(Attempt::Stopped(reason));
        }
        let proposal = Proposal {
            id,
            command: command.to_vec(),
        };
        let mut status = self.status.subscribe();
        let office_lost =
            status.wait_for(|status| !(status.is_master(self.local_id()) && status.term == term));
        tokio::select! {
            biased;
            written = self.raft.client_write(proposal) => match written {
                Ok(response) => Ok((response.log_id.index, response.data)),
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                    Err(Attempt::Unknown)
                }
                Err(RaftError::APIError(error)) => Err(Attempt::Stopped(error.to_string())),
                Err(RaftError::Fatal(fatal)) => Err(Attempt::Stopped(fatal.to_string())),
            },
            _ = office_lost => Err(Attempt::Unknown),
        }
    }

    async fn forward(
        &self,
        master: &PeerInfo,
        id: ProposalId,
        command: &[u8],
        deadline: Instant,
    ) -> Result<(u64, Reply), Attempt> {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let request = ProposeRequest {
            id,
            command: command.to_vec(),
            timeout_ms: remaining.as_millis() as u64,
        };
        let answer = self
            .messenger
            .call::<_, ProposeResponse>(master, PROPOSE, request, remaining);
        // A master that vanished is not waited for: its successor gets the same proposal.
        let mut status = self.status.subscribe();
        let replaced = status.wait_for(|status| {
            status
                .master
                .as_ref()
                .is_none_or(|current| current.id != master.id)
        });
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            _ = replaced => return Err(Attempt::Unknown),
        };
        match answer {
            Ok(ProposeResponse::Applied { index, reply }) => Ok((index, reply)),
            Ok(ProposeResponse::NotMaster) => Err(Attempt::NotSubmitted),
            Ok(ProposeResponse::Unknown) => Err(Attempt::Unknown),
            // Never sent.
            Err(NetworkError::NoConnection(_)) => Err(Attempt::NotSubmitted),
            Err(NetworkError::Unreachable(_) | NetworkError::Timeout | NetworkError::Remote(_)) => {
                Err(Attempt::Unknown)
            }
        }
    }

    /// Waits until this node's applied state holds all that was committed before the call.
    pub(crate) async fn read_barrier(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        let barrier = async {
            loop {
                let master = self
                    .wait_for_master()
                    .await
                    .map_err(|error| Error::Stopped {
                        reason: error.to_string(),
                    })?;
                let index = if master.id == self.local_id() {
                    self.read_index_here().await
                } else {
                    let remaining = deadline.saturating_duration_since(Instant::now());
                    let request = ReadIndexRequest {
                        timeout_ms: remaining.as_millis() as u64,
                    };
                    let attempt_timeout = remaining.min(self.config.timing.rpc_timeout * 2);
                    self.messenger
                        .call::<_, ReadIndexResponse>(&master, READ_INDEX, request, attempt_timeout)
                        .await
                        .ok()
                        .and_then(|response| response.index)
                };
                if let Some(index) = index {
                    return self.wait_applied(index).await;
                }
                self.pause_before_retry().await;
            }
        };
        tokio::time::timeout_at(deadline, barrier)
            .await
            .unwrap_or(Err(Error::Timeout {
                doing: "confirming the current cluster state with the master",
            }))
    }

    /// Returns the index of the last committed entry if this node is the master of a quorum.
    pub(crate) async fn read_index_here(&self) -> Option<u64> {
        if self.raft.metrics().borrow().state != ServerState::Leader {
            return None;
        }
        let (read, _) = self.raft.get_read_log_id().await.ok()?;
        Some(read.map_or(0, |read| read.index))
    }

    /// Waits until this node applied the entry.
    pub(crate) async fn wait_applied(&self, index: u64) -> Result<(), Error> {
        let mut applied = self.machine.applied_index();
        applied
            .wait_for(|applied| *applied >= index)
            .await
            .map(drop)
            .map_err(|error| Error::Stopped {
                reason: error.to_string(),
            })
    }

    async fn wait_for_master(&self) -> Result<PeerInfo, ProposeError> {
        let mut status = self.status.subscribe();
        let status = status
            .wait_for(|status| status.master.is_some() || status.failure.is_some())
            .await
            .map_err(stopped)?;
        match (&status.master, &status.failure) {
            (_, Some(reason)) => Err(ProposeError::Stopped {
                reason: reason.clone(),
            }),
            (Some(master), None) => Ok(master.clone()),
            (None, None) => Err(ProposeError::NoMaster),
        }
    }

    async fn pause_before_retry(&self) {
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

fn stopped(error: impl std::fmt::Display) -> ProposeError {
    ProposeError::Stopped {
        reason: error.to_string(),
    }
}

const RETRY_PAUSE: Duration = Duration::from_millis(50);
