//! The master's watch over the other nodes. Source: node.md section 7.4.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_base::NodeId;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::error::NetworkError;
use crate::master::Event;
use crate::peer::PeerInfo;
use crate::rpc::{FOLLOWER_CHECK, FollowerCheckRequest, FollowerCheckResponse};
use crate::shared::Shared;

/// One running watch per member; all end when this is dropped.
#[derive(Default)]
pub(crate) struct FollowerChecks {
    running: BTreeMap<NodeId, Watch>,
}

struct Watch {
    ephemeral_id: String,
    suspect: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FollowerChecks {
    /// Starts watches for new members and ends those of members that left.
    pub(crate) fn follow(&mut self, shared: &Arc<Shared>, members: &[PeerInfo], term: u64) {
        let local = shared.local_id();
        self.running.retain(|id, watch| {
            members
                .iter()
                .any(|member| member.id == *id && member.ephemeral_id == watch.ephemeral_id)
        });
        for member in members.iter().filter(|member| member.id != local) {
            self.running.entry(member.id).or_insert_with(|| {
                let suspect = Arc::new(Notify::new());
                let task =
                    tokio::spawn(watch(shared.clone(), member.clone(), term, suspect.clone()));
                Watch {
                    ephemeral_id: member.ephemeral_id.clone(),
                    suspect,
                    task: task.abort_handle(),
                }
            });
        }
    }

    /// Looks at a node at once because its connection closed.
    pub(crate) fn suspect(&self, node: NodeId) {
        if let Some(watch) = self.running.get(&node) {
            watch.suspect.notify_one();
        }
    }

    /// Ends the watch over a node; the next call of `follow` starts a new one if it is still there.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.running.remove(&node);
    }

    pub(crate) fn clear(&mut self) {
        self.running.clear();
    }
}

/// Why a node counts as lost, in Elasticsearch's words.
const DISCONNECTED: &str = "disconnected";
const TOO_MANY_FAILURES: &str = "followers check retry count exceeded";
const UNHEALTHY: &str = "health check failed";

async fn watch(shared: Arc<Shared>, member: PeerInfo, term: u64, suspect: Arc<Notify>) {
    let reason = watch_until_lost(&shared, &member, term, &suspect).await;
    let lost = Event::Lost {
        peer: member,
        reason,
    };
    if shared.master_events.send(lost).await.is_err() {
        debug!("the master task is gone");
    }
}

async fn watch_until_lost(
    shared: &Shared,
    member: &PeerInfo,
    term: u64,
    suspect: &Notify,
) -> &'static str {
    let timing = &shared.config.timing;
    let mut failures = 0;
    loop {
        let suspected = tokio::select! {
            () = tokio::time::sleep(timing.follower_check_interval) => false,
            () = suspect.notified() => true,
        };
        let timeout = if suspected {
            timing.disconnect_check_timeout
        } else {
            timing.follower_check_timeout
        };
        match check(shared, member, term, timeout).await {
            Ok(()) => failures = 0,
            // One second look: the connection may have broken between two messages.
            Err(Check::Gone) => {
                match check(shared, member, term, timing.disconnect_check_timeout).await {
                    Ok(()) => failures = 0,
                    Err(Check::Gone) => return DISCONNECTED,
                    Err(Check::Unhealthy) => return UNHEALTHY,
                    Err(Check::Failed) => failures += 1,
                }
            }
            Err(Check::Unhealthy) => return UNHEALTHY,
            Err(Check::Failed) if suspected => return DISCONNECTED,
            Err(Check::Failed) => failures += 1,
        }
        if failures >= timing.follower_check_retries {
            return TOO_MANY_FAILURES;
        }
    }
}

enum Check {
    /// No connection, or another process answers there.
    Gone,
    /// It says itself that it must not be relied on.
    Unhealthy,
    Failed,
}

async fn check(
    shared: &Shared,
    member: &PeerInfo,
    term: u64,
    timeout: std::time::Duration,
) -> Result<(), Check> {
    let answer = shared
        .messenger
        .call::<_, FollowerCheckResponse>(
            member,
            FOLLOWER_CHECK,
            FollowerCheckRequest { term },
            timeout,
        )
        .await;
    match answer {
        Ok(answer) if answer.ephemeral_id != member.ephemeral_id => Err(Check::Gone),
        Ok(answer) => match answer.unhealthy {
            None => Ok(()),
            Some(reason) => {
                warn!(node = %member, reason, "a node says that it must not be relied on");
                Err(Check::Unhealthy)
            }
        },
        Err(error) => {
            debug!(node = %member, %error, "follower check failed");
            Err(match error {
                NetworkError::Unreachable(_) => Check::Gone,
                NetworkError::Timeout | NetworkError::Remote(_) => Check::Failed,
            })
        }
    }
}
