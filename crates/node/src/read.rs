//! Reads go to a copy in service: to another one when the first is gone, and a little later when none is there yet.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{NodeId, ShardId};
use ringwall_cluster::{ClusterState, CopyState};
use ringwall_settings::registry::indices::READ_COPY_WAIT;
use tokio::time::Instant;

use crate::preference::Preference;
use crate::routing::{is_stale_routing, no_copy};
use crate::services::Services;
use crate::shards::LocalShard;

/// Why a shard was not read, and who said so last; nobody where there was nobody to ask.
pub struct Unread {
    pub node: Option<NodeId>,
    pub error: ApiError,
}

/// Asks one copy of a shard after the other until one answers, and again for a while when all that fails is that
/// the shard is just starting or moving.
///
/// `call` gets the node to ask and the version of the state by which it holds a copy in service, for
/// [`serving_copy`]. `is_final` tells the errors that every copy would answer with.
pub async fn from_copy<R, F>(
    services: &Services,
    shard: &ShardId,
    preference: &Preference,
    deadline: Instant,
    is_final: impl Fn(&ApiError) -> bool,
    call: impl Fn(NodeId, u64) -> F,
) -> Result<(NodeId, R), Unread>
where
    F: Future<Output = ApiResult<R>>,
{
    from_copy_after(None, services, shard, preference, deadline, is_final, call).await
}

/// [`from_copy`] where a copy has been `tried` already: it is not asked again in the first round.
pub async fn from_copy_after<R, F>(
    mut tried: Option<Unread>,
    services: &Services,
    shard: &ShardId,
    preference: &Preference,
    deadline: Instant,
    is_final: impl Fn(&ApiError) -> bool,
    call: impl Fn(NodeId, u64) -> F,
) -> Result<(NodeId, R), Unread>
where
    F: Future<Output = ApiResult<R>>,
{
    let applied = services.cluster.applied();
    let until = deadline.min(Instant::now() + copy_wait(services));
    loop {
        let mut changes = applied.subscribe();
        changes.borrow_and_update();
        let state = services.cluster.state();
        if state.index(&shard.index).is_none() {
            let error = ApiError::index_not_found(&shard.index.name);
            return Err(Unread { node: None, error });
        }
        let mut last: Option<Unread> = tried.take();
        let nodes = preference.copies(&state, shard, services.local_node());
        let mut nodes = nodes.map_err(|error| Unread { node: None, error })?;
        if let Some(tried) = &last {
            nodes.retain(|node| tried.node != Some(*node));
        }
        for node in nodes {
            match call(node, state.version).await {
                Ok(answer) => return Ok((node, answer)),
                Err(error) => {
                    let is_final = is_final(&error);
                    let node = Some(node);
                    last = Some(Unread { node, error });
                    if is_final {
                        break;
                    }
                }
            }
        }
        let is_passing = match &last {
            None => is_starting(&state, shard),
            Some(unread) => is_stale_routing(&unread.error),
        };
        if !is_passing || Instant::now() >= until {
            let nobody = || Unread {
                node: None,
                error: no_copy(shard),
            };
            return Err(last.unwrap_or_else(nobody));
        }
        let wait = tokio::time::timeout(RETRY, changes.changed());
        let _ = tokio::time::timeout_at(until, wait).await;
    }
}

/// Returns whether a copy is on its way to serve without another to read from.
fn is_starting(state: &ClusterState, shard: &ShardId) -> bool {
    state
        .shard(shard)
        .and_then(|routing| routing.primary())
        .is_some_and(|primary| primary.state == CopyState::Initializing)
}

/// Returns the copy of this node if it is in service, by a state at least as new as the asker's. One that is
/// still being recovered, or was replaced, lacks documents.
///
/// # Errors
/// `shard_not_found_exception`, on which the asker turns to another copy.
pub async fn serving_copy(
    services: &Services,
    shard: &ShardId,
    state_version: u64,
) -> ApiResult<Arc<LocalShard>> {
    let applied = services.cluster.applied();
    if applied.load().version < state_version {
        let wait = copy_wait(services);
        let reached = |state: &ClusterState| (state.version >= state_version).then_some(());
        if applied.wait_for(wait, reached).await.is_none() {
            return Err(not_serving(shard));
        }
    }
    let local = services.shards.require(shard)?;
    let state = applied.load();
    let copy = state
        .shard(shard)
        .and_then(|routing| routing.copy(&local.allocation_id));
    match copy {
        Some(copy) if copy.is_active() => Ok(local),
        _ => Err(not_serving(shard)),
    }
}

fn not_serving(shard: &ShardId) -> ApiError {
    let reason = format!("the copy of {shard} on this node is not in service");
    ApiError::new(ErrorCode::ShardNotFound, reason)
}

fn copy_wait(services: &Services) -> Duration {
    let wait = services.settings.get(&READ_COPY_WAIT);
    wait.duration().unwrap_or_default()
}

/// How long to wait for a change of the cluster before trying again anyway.
const RETRY: Duration = Duration::from_millis(100);
