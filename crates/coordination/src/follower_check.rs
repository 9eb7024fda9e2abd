//! The master's watch over the other nodes. Source: Elasticsearch reference, "Cluster fault detection".

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use ringwall_base::NodeId;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};

use crate::decide::silence::Silence;
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
    ///
    /// `heard` is the last word of a node that was master before, and may have been silent for a while.
    pub(crate) fn follow(
        &mut self,
        shared: &Arc<Shared>,
        members: &[PeerInfo],
        term: u64,
        heard: Option<(NodeId, Instant)>,
    ) {
        let local = shared.local_id();
        self.running.retain(|id, watch| {
            members
                .iter()
                .any(|member| member.id == *id && member.ephemeral_id == watch.ephemeral_id)
        });
        for member in members.iter().filter(|member| member.id != local) {
            self.running.entry(member.id).or_insert_with(|| {
                let suspect = Arc::new(Notify::new());
                let heard = heard.filter(|(node, _)| *node == member.id);
                let heard = heard.map_or_else(Instant::now, |(_, at)| at);
                let task = tokio::spawn(watch(
                    shared.clone(),
                    member.clone(),
                    term,
                    suspect.clone(),
                    heard,
                ));
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
pub(crate) const TOO_MANY_FAILURES: &str = "followers check retry count exceeded";
const UNHEALTHY: &str = "health check failed";

async fn watch(
    shared: Arc<Shared>,
    member: PeerInfo,
    term: u64,
    suspect: Arc<Notify>,
    heard: Instant,
) {
    let reason = watch_until_lost(&shared, &member, term, &suspect, heard).await;
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
    heard: Instant,
) -> &'static str {
    let timing = &shared.config.timing;
    let mut silence = Silence::since(heard, Instant::now(), timing);
    let mut checks = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(timing.follower_check_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Since when nobody, or another process, seems to be there.
    let mut gone: Option<Instant> = None;
    loop {
        let next = tokio::select! {
            biased;
            Some((sent, answer)) = checks.next(), if !checks.is_empty() => match answer {
                Ok(()) => {
                    silence.answered(sent);
                    gone = None;
                    false
                }
                Err(Check::Failed) => false,
                Err(Check::Unhealthy) => return UNHEALTHY,
                // A second look decides: the connection may have broken between two messages.
                Err(Check::Gone) => match gone {
                    Some(since) if sent >= since => return DISCONNECTED,
                    Some(_) => false,
                    None => {
                        gone = Some(Instant::now());
                        true
                    }
                },
            },
            _ = ticks.tick() => checks.len() < MAX_CHECKS,
            () = suspect.notified() => true,
            () = tokio::time::sleep_until(silence.ends()) => return TOO_MANY_FAILURES,
        };
        if next {
            let sent = Instant::now();
            let timeout = silence.ends().saturating_duration_since(sent);
            let answer = check(
                shared,
                member,
                term,
                timeout.max(timing.follower_check_timeout),
            );
            checks.push(async move { (sent, answer.await) });
        }
    }
}

enum Check {
    /// Nobody is there, or another process.
    Gone,
    /// It says itself that it must not be relied on.
    Unhealthy,
    Failed,
}

async fn check(
    shared: &Shared,
    member: &PeerInfo,
    term: u64,
    timeout: Duration,
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
                NetworkError::NoConnection(_) | NetworkError::Timeout | NetworkError::Remote(_) => {
                    Check::Failed
                }
            })
        }
    }
}

/// Checks of one node under way at a time.
const MAX_CHECKS: usize = 16;
