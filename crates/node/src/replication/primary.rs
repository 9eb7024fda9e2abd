//! The primary applies writes, has every in-sync copy apply them, and only then acknowledges.
//! Source: Elasticsearch reference, "Reading and writing documents".

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use ringwall_api::document::{GetRequest, OpType, RefreshPolicy, ShardCounts, item_action};
use ringwall_api::search::SearchRequest;
use ringwall_api::{ActionRequest, ApiError, ApiResult, Authentication, ErrorCode, Through};
use ringwall_base::{AllocationId, SeqNo, Term, TimeValue, encoding};
use ringwall_cluster::blocks::Level;
use ringwall_cluster::{Change, ClusterState};
use ringwall_index::Operation;
use ringwall_settings::registry::indices::{REPLICATION_COPY_TIMEOUT, REPLICATION_RECONNECT_TIME};
use ringwall_transport::NodeAction;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::group::{ReplicationGroup, Target, holds_copy, replication_group};
use super::messages::{
    CheckpointRequest, REFRESH_COPY, REPLICATE, RESYNC, RefreshCopyRequest, ReplicaRequest,
    ReplicaResponse, ResyncRequest, SYNC_CHECKPOINT, ShardBulkRequest, ShardBulkResponse,
};
use crate::cluster_service::now_ms;
use crate::routing::is_broken_link;
use crate::services::Services;
use crate::shards::LocalShard;
use crate::shards::writes::{AppliedItems, ShardItem, UpdateViews, apply_items};
use crate::views;

/// Before operations that a node had no room for are offered again, the first time.
const PRESSURE_RETRY: Duration = Duration::from_millis(50);
/// How long the master may take to remove a copy that cannot follow.
const MASTER_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two attempts to reach a copy.
const LINK_RETRY: Duration = Duration::from_millis(50);
/// Between two attempts to reach the master.
const MASTER_RETRY: Duration = Duration::from_millis(500);
/// How many times an item is tried again because the mapping grew under it.
const MAPPING_ROUNDS: usize = 64;

/// Executes the items of a bulk on their primary.
pub async fn shard_bulk(
    services: &Arc<Services>,
    request: ShardBulkRequest,
    caller: &Authentication,
) -> ApiResult<ShardBulkResponse> {
    let shard = services.shards.require(&request.shard)?;
    let term = shard.primary_term()?;
    let index = &shard.id.index.name;
    services.cluster.state().check_blocks(index, Level::Write)?;
    let write = shard.writes.begin().await;
    // Again: who puts a block on waits for the writes that have begun before it is in force here, and for no others.
    let state = services.cluster.state();
    state.check_blocks(index, Level::Write)?;
    let group = current_group(services, &shard, term)?;
    let metadata = state.index(&shard.id.index);
    let settings = metadata.map(|metadata| &metadata.settings);
    let wanted = request
        .wait_for_active_shards
        .or_else(|| Some(settings?.wait_for_active_shards()));
    check_active_copies(&shard, &state, &group, wanted)?;
    let views = views_of(services, &shard, &request.items, caller)?;
    let items = AppliedItems::new(request.request, request.items, views);
    let applied = apply_with_mapping(services, &shard, term, items).await?;
    let counts = if applied.operations.is_empty() {
        ShardCounts::default()
    } else {
        let refresh = request.refresh == RefreshPolicy::Immediate;
        replicate(services, &shard, term, &applied.operations, refresh).await?
    };
    drop(write);
    let wrote = !applied.operations.is_empty();
    let mut forced_refresh = false;
    match request.refresh {
        RefreshPolicy::Immediate if wrote => forced_refresh = true,
        RefreshPolicy::WaitFor if wrote => wait_for_refresh(services, &shard, term).await?,
        _ => {}
    }
    Ok(ShardBulkResponse {
        outcomes: applied.into_outcomes(counts, forced_refresh),
    })
}

/// Applies the items, growing the mapping through the master where a document asks for it.
async fn apply_with_mapping(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    term: Term,
    items: AppliedItems,
) -> ApiResult<AppliedItems> {
    // Shared with the pool, which may refuse a later round or lose one: what was applied has to be replicated all the
    // same, or the other copies would miss it for good.
    let shared = Arc::new(Mutex::new(items));
    let take = |shared: &Mutex<AppliedItems>| std::mem::take(&mut *shared.lock());
    let (mut round, mut in_vain, mut done, mut look_ahead) = (0, 0, 0, true);
    while in_vain < MAPPING_ROUNDS {
        let local = shard.clone();
        let disk = services.disk.clone();
        let applied = shared.clone();
        let ran = services.pools.write.run(move || {
            // Measured for each request, before anything of it is applied.
            if round == 0 {
                disk.check_room(&local.id.index.name)?;
            }
            // The first document of many has most often all of their fields.
            apply_items(&local, term, round > 0 && look_ahead, &mut applied.lock())
        });
        match ran.await {
            // The copy has failed.
            Ok(Err(error)) => return Err(error),
            Err(error) if shared.lock().operations.is_empty() => return Err(error),
            Err(error) => {
                let mut applied = take(&shared);
                applied.fail_rest(&error);
                return Ok(applied);
            }
            Ok(Ok(())) => {}
        }
        let (update, ahead, reached) = {
            let mut applied = shared.lock();
            let (update, ahead) = (applied.mapping_update.take(), applied.mapping_ahead.take());
            (update, ahead, applied.done())
        };
        let Some(update) = update else {
            return Ok(take(&shared));
        };
        in_vain = if reached > done { 0 } else { in_vain + 1 };
        (round, done) = (round + 1, reached);
        if let Some(ahead) = ahead {
            match grown(services, shard, &ahead).await? {
                Ok(()) => continue,
                Err(error) if is_of_the_cluster(&error) => {
                    let mut applied = take(&shared);
                    applied.fail_rest(&error);
                    return Ok(applied);
                }
                // Together they may be more than the index allows, where one by one the first of them are not.
                Err(_) => look_ahead = false,
            }
        }
        // Applied operations stand whatever becomes of the rest, so the failure is the item's.
        match grown(services, shard, &update).await? {
            Ok(()) => {}
            // The others would wait as long for the same.
            Err(error) if is_of_the_cluster(&error) => {
                let mut applied = take(&shared);
                applied.fail_rest(&error);
                return Ok(applied);
            }
            Err(error) => shared.lock().fail_current(error),
        }
    }
    let mut applied = take(&shared);
    applied.fail_rest(&ApiError::internal(
        "the mapping changed too often under this request; retry it",
    ));
    Ok(applied)
}

/// Has the master add fields. The outer error: the copy is closed, and another primary is asked, which knows what it
/// has of this request.
async fn grown(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    update: &Value,
) -> ApiResult<ApiResult<()>> {
    tokio::select! {
        biased;
        grown = services.shards.grow_mapping(shard, update) => Ok(grown),
        () = shard.closed() => Err(closed(shard)),
    }
}

/// Returns whether an error is none of the document's: the master was not reached, or had no time.
fn is_of_the_cluster(error: &ApiError) -> bool {
    error.status >= 500 || error.status == 429
}

/// Returns what updates see, by the way they came. One that does not see all by its caller's roles is refused: what it
/// would write back lacks what is hidden, and its answer tells of it.
fn views_of(
    services: &Services,
    shard: &LocalShard,
    items: &[ShardItem],
    caller: &Authentication,
) -> ApiResult<UpdateViews> {
    let state = services.cluster.state();
    let now_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    let reading = services.reading(caller, item_action(OpType::Update));
    let mut views = UpdateViews::new();
    let updates = items.iter().filter(|item| item.item.op == OpType::Update);
    for alias in updates.map(|item| &item.alias) {
        if views.contains_key(alias) {
            continue;
        }
        let through = match alias {
            Some(alias) => Through::Aliases(vec![alias.clone()]),
            None => Through::Itself,
        };
        // What any way of reading hides: the right to update may be of another role than the right to read.
        let reads = [reading.action, SearchRequest::NAME, GetRequest::NAME];
        let names = through.names(&shard.id.index.name);
        let whole = names.iter().try_for_each(|name| {
            let reason =
                "Can't execute an update request if field or document level security is enabled";
            let authorizer = &services.authorizer;
            authorizer.refuse_narrowed(caller, &reads, name, reason)
        });
        let view =
            whole.and_then(|()| views::for_documents(&state, &shard.id, &through, reading, now_ms));
        views.insert(alias.clone(), view);
    }
    Ok(views)
}

/// Makes operations durable here and on every copy; returns how many copies took them.
///
/// # Errors
/// Nothing may be acknowledged: a newer primary exists, or the master could not be asked to
/// remove a copy that did not answer.
pub async fn replicate(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    term: Term,
    operations: &[Operation],
    refresh: bool,
) -> ApiResult<ShardCounts> {
    // After the operations were applied: a copy that began to be tracked earlier is in the
    // group, one that begins later reads them from the translog.
    let group = current_group(services, shard, term)?;
    let message = Message {
        term,
        mapping_version: shard.mapping_version(),
        global_checkpoint: shard.engine.global_checkpoint(),
        operations: encoded_for(&group.targets, operations),
        refresh,
    };
    let local = {
        let shard = shard.clone();
        services.pools.disk.run(move || -> ApiResult<()> {
            shard.engine.sync()?;
            if refresh {
                shard.refresh()?;
            }
            Ok(())
        })
    };
    let remote = join_all(
        group
            .targets
            .iter()
            .map(|target| replicate_to(services, shard, target, &message)),
    );
    let stale = join_all(
        group
            .unavailable
            .iter()
            .map(|id| mark_stale(services, shard, term, id, "copy is not available")),
    );
    let (local, remote, stale) = tokio::join!(local, remote, stale);
    local??;
    let failed = remote
        .into_iter()
        .collect::<ApiResult<Vec<bool>>>()?
        .iter()
        .filter(|took| !**took)
        .count() as u32;
    stale.into_iter().collect::<ApiResult<Vec<()>>>()?;
    // A deposed primary learns of it here at the latest: its own state may be older than this
    // check, but then every copy that the new primary relies on has just answered to our term.
    let state = services.cluster.state();
    if let Some(metadata) = shard_metadata(&state, shard) {
        shard.advance_global_checkpoint(metadata.in_sync.keys());
    }
    let reached = group.targets.len() as u32 - failed;
    Ok(ShardCounts {
        total: group.total,
        successful: 1 + reached,
        skipped: 0,
        failed,
    })
}

/// Returns operations as the copies get them: encoded once for all, and not at all where there is none.
fn encoded_for(targets: &[Target], operations: &[Operation]) -> Bytes {
    match targets.is_empty() {
        true => Bytes::new(),
        false => encoding::encode(operations).into(),
    }
}

/// What every copy is sent.
struct Message {
    term: Term,
    mapping_version: u64,
    global_checkpoint: SeqNo,
    operations: Bytes,
    refresh: bool,
}

/// Sends operations to one copy. `Ok(false)`: the copy did not take them and is out of the
/// in-sync set.
async fn replicate_to(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    target: &Target,
    message: &Message,
) -> ApiResult<bool> {
    let attempt = tokio::select! {
        biased;
        result = send_operations(services, shard, target, message) => result,
        () = copy_gone(services, shard, target) => Err(ApiError::new(
            ErrorCode::NodeDisconnected,
            "the copy left the cluster",
        )),
        () = shard.closed() => return Err(closed(shard)),
    };
    match attempt {
        Ok(response) => {
            shard.record_checkpoint(&target.allocation_id, response.local_checkpoint);
            Ok(true)
        }
        Err(error) if error.code == ErrorCode::StalePrimary => Err(error),
        Err(error) => {
            tracing::warn!(
                shard = %shard.id, allocation_id = %target.allocation_id, node = %target.node,
                %error, "copy did not take operations and is removed from the in-sync set",
            );
            let reason = format!("failed to perform [{REPLICATE}]: {error}");
            mark_stale(
                services,
                shard,
                message.term,
                &target.allocation_id,
                &reason,
            )
            .await?;
            Ok(false)
        }
    }
}

async fn send_operations(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    target: &Target,
    message: &Message,
) -> ApiResult<ReplicaResponse> {
    let request = ReplicaRequest {
        shard: shard.id.clone(),
        allocation_id: target.allocation_id.clone(),
        primary_term: message.term,
        global_checkpoint: message.global_checkpoint,
        mapping_version: message.mapping_version,
        operations: message.operations.clone(),
        refresh: message.refresh,
    };
    let first = call_copy(services, target, REPLICATE, &request).await;
    match first {
        Err(error) if error.code == ErrorCode::ShardNotInPrimaryMode => {
            resync_copy(services, shard, target, message.term).await?;
            call_copy(services, target, REPLICATE, &request).await
        }
        other => other,
    }
}

/// Sends a copy what it may be sent again. Where the link breaks, another is tried before the copy is given up: a
/// rebuilt copy costs more than a moment, and a node that is gone is soon removed by the master. A node that holds too
/// many operations already is asked again: it is no less a copy for that.
async fn call_copy<Q, A>(
    services: &Services,
    target: &Target,
    action: NodeAction<Q, A>,
    request: &Q,
) -> ApiResult<A>
where
    Q: Serialize + Clone + Send + 'static,
    A: DeserializeOwned + 'static,
{
    let settings = &services.settings;
    let wait = |value: TimeValue| value.duration().unwrap_or_default();
    let begun = Instant::now();
    let reconnect_until = begun + wait(settings.get(&REPLICATION_RECONNECT_TIME));
    let mut until = begun + wait(settings.get(&REPLICATION_COPY_TIMEOUT));
    let mut pause = PRESSURE_RETRY;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let answer = services
            .call(target.node, action, request.clone(), left)
            .await;
        let link_left = reconnect_until.saturating_duration_since(Instant::now());
        match answer {
            Err(error) if is_short_of_memory(&error) && pause < left => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) if is_broken_link(&error) && !link_left.is_zero() => {
                tokio::time::sleep(LINK_RETRY.min(link_left)).await;
                until = until.min(reconnect_until);
            }
            other => return other,
        }
    }
}

fn is_slow(error: &ApiError) -> bool {
    is_short_of_memory(error) || error.code == ErrorCode::ReceiveTimeout
}

fn is_short_of_memory(error: &ApiError) -> bool {
    matches!(error.code, ErrorCode::Rejected | ErrorCode::CircuitBreaking)
}

/// Brings a copy into line with this primary, at the beginning of its term.
pub async fn resync_copy(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    target: &Target,
    term: Term,
) -> ApiResult<()> {
    let read = || {
        let local = shard.clone();
        services
            .pools
            .disk
            .run(move || -> ApiResult<(SeqNo, Bytes)> {
                let checkpoint = local.engine.global_checkpoint();
                let operations = local.engine.operations_from(checkpoint + 1)?;
                Ok((checkpoint, encoding::encode(&operations).into()))
            })
    };
    let (global_checkpoint, operations) = loop {
        match read().await {
            // This node is busy, which says nothing of the copy.
            Err(error) if is_short_of_memory(&error) => {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(PRESSURE_RETRY) => {}
                    () = shard.closed() => return Err(closed(shard)),
                }
            }
            read => break read??,
        }
    };
    let request = ResyncRequest {
        shard: shard.id.clone(),
        allocation_id: target.allocation_id.clone(),
        primary_term: term,
        mapping_version: shard.mapping_version(),
        global_checkpoint,
        operations,
    };
    let response: ReplicaResponse = call_copy(services, target, RESYNC, &request).await?;
    shard.record_checkpoint(&target.allocation_id, response.local_checkpoint);
    Ok(())
}

/// Resyncs every serving copy with a new primary; one that cannot is rebuilt.
pub async fn resync_all(services: &Arc<Services>, shard: &Arc<LocalShard>, term: Term) {
    let Ok(group) = current_group(services, shard, term) else {
        return;
    };
    for target in &group.targets {
        let result = tokio::select! {
            biased;
            result = resync_copy(services, shard, target, term) => result,
            () = shard.closed() => return,
        };
        let Err(error) = result else { continue };
        tracing::warn!(
            shard = %shard.id, allocation_id = %target.allocation_id, node = %target.node, %error,
            "copy could not be resynced with its new primary and is rebuilt",
        );
        let reason = format!("failed to resync: {error}");
        let id = &target.allocation_id;
        if let Err(error) = mark_stale(services, shard, term, id, &reason).await {
            tracing::warn!(shard = %shard.id, %error, "copy could not be removed");
        }
    }
}

/// Has the master take a copy out of the in-sync set. Only then may a write be acknowledged
/// that the copy lacks, so it goes on until the master answers or this primary is replaced.
async fn mark_stale(
    services: &Services,
    shard: &LocalShard,
    term: Term,
    allocation_id: &AllocationId,
    reason: &str,
) -> ApiResult<()> {
    loop {
        let change = Change::ShardFailed {
            shard: shard.id.clone(),
            allocation_id: allocation_id.clone(),
            primary_term: Some(term),
            mark_stale: true,
            reason: reason.to_owned(),
        };
        let submitted = tokio::select! {
            biased;
            submitted = services.cluster.submit(change, MASTER_TIMEOUT) => submitted,
            () = shard.closed() => return Err(closed(shard)),
        };
        let Err(error) = submitted else {
            return Ok(());
        };
        // Its own state tells the primary that it was replaced, or that the copy is gone already.
        let group = current_group(services, shard, term)?;
        let is_out = !group.unavailable.contains(allocation_id)
            && !group
                .targets
                .iter()
                .any(|target| target.allocation_id == *allocation_id);
        if is_out {
            return Ok(());
        }
        tracing::warn!(
            shard = %shard.id, %allocation_id, %error,
            "the master could not be asked to remove a copy; writes wait",
        );
        tokio::select! {
            biased;
            () = tokio::time::sleep(MASTER_RETRY) => {}
            () = shard.closed() => return Err(closed(shard)),
        }
    }
}

fn closed(shard: &LocalShard) -> ApiError {
    ApiError::new(
        ErrorCode::ShardNotFound,
        format!("the copy of {} on this node is being closed", shard.id),
    )
}

/// Makes the copy the primary of a term, and brings the other copies into line with it.
pub async fn promote(services: Arc<Services>, shard: Arc<LocalShard>, term: Term) {
    let local = shard.clone();
    let promoted = services.pools.disk.run(move || local.promote(term)).await;
    if let Err(error) | Ok(Err(error)) = promoted {
        tracing::warn!(shard = %shard.id, term, %error, "promotion to primary failed");
        shard.abandon_promotion(term);
        return;
    }
    tracing::info!(shard = %shard.id, term, "shard copy is primary");
    resync_all(&services, &shard, term).await;
}

/// Tells the other copies how far all have come. What does not arrive is told again with the next
/// write.
pub async fn sync_checkpoint(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    term: Term,
    global_checkpoint: SeqNo,
) {
    let Ok(group) = current_group(services, shard, term) else {
        return;
    };
    for target in &group.targets {
        let request = CheckpointRequest {
            shard: shard.id.clone(),
            allocation_id: target.allocation_id.clone(),
            primary_term: term,
            global_checkpoint,
        };
        let told: ApiResult<()> = tokio::select! {
            biased;
            told = call_copy(services, target, SYNC_CHECKPOINT, &request) => told,
            () = shard.closed() => return,
        };
        if let Err(error) = told {
            tracing::debug!(shard = %shard.id, node = %target.node, %error, "checkpoint not told");
        }
    }
}

async fn copy_gone(services: &Services, shard: &LocalShard, target: &Target) {
    let mut changes = services.cluster.applied().subscribe();
    while holds_copy(&services.cluster.state(), &shard.id, target) {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn current_group(
    services: &Services,
    shard: &LocalShard,
    term: Term,
) -> ApiResult<ReplicationGroup> {
    let state = services.cluster.state();
    replication_group(
        &state,
        &shard.id,
        &shard.allocation_id,
        term,
        &shard.tracked(),
    )
    .ok_or_else(|| {
        ApiError::new(
            ErrorCode::StalePrimary,
            format!("this node no longer holds the primary of {}", shard.id),
        )
    })
}

fn shard_metadata<'a>(
    state: &'a ClusterState,
    shard: &LocalShard,
) -> Option<&'a ringwall_cluster::metadata::ShardMetadata> {
    state
        .index(&shard.id.index)?
        .shards
        .get(shard.id.shard as usize)
}

fn check_active_copies(
    shard: &LocalShard,
    state: &ClusterState,
    group: &ReplicationGroup,
    wanted: Option<u32>,
) -> ApiResult<()> {
    let routing = state.shard(&shard.id);
    let active = routing.map_or(1, |routing| routing.active().count() as u32);
    let (wanted, shown) = match wanted {
        None => (1, "1".to_owned()),
        Some(u32::MAX) => (group.total, "ALL".to_owned()),
        Some(wanted) => (wanted, wanted.to_string()),
    };
    if active >= wanted {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::UnavailableShards,
        format!(
            "{} Not enough active copies to meet shard count of [{shown}] (have {active}, needed \
             {wanted}).",
            shard.id
        ),
    ))
}

/// Waits until every copy shows what has been applied: for this copy's next refresh, then the
/// others are refreshed too.
async fn wait_for_refresh(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    term: Term,
) -> ApiResult<()> {
    let state = services.cluster.state();
    let most = state
        .index(&shard.id.index)
        .map_or(0, |metadata| metadata.settings.max_refresh_listeners());
    let has_room = shard.refresh_waiters() < most;
    let refreshed = has_room
        && tokio::select! {
            biased;
            refreshed = shard.next_refresh().wait(REFRESH_WAIT) => refreshed,
            () = shard.closed() => return Err(closed(shard)),
        };
    if !refreshed {
        let local = shard.clone();
        services.pools.disk.run(move || local.refresh()).await??;
    }
    let group = current_group(services, shard, term)?;
    refresh_copies(services, shard, term, &group.targets).await
}

/// After a refresh of the primary: refreshes the copies that recover from it, which nobody else knows to have what
/// was written since they began; also those that are in service meanwhile, which were not when others were asked.
/// Those that begin to recover now find it all in the translog.
///
/// # Errors
/// This copy is not the primary any more: whether the others show it all is the new one's business.
pub async fn refresh_recovering(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
) -> ApiResult<()> {
    let tracked = shard.tracked();
    if tracked.is_empty() {
        return Ok(());
    }
    let state = services.cluster.state();
    let recovering: Vec<Target> = tracked
        .into_iter()
        .map(|(allocation_id, node)| Target {
            node,
            allocation_id,
        })
        .filter(|target| holds_copy(&state, &shard.id, target))
        .collect();
    refresh_copies(services, shard, shard.primary_term()?, &recovering).await
}

/// Has the copies show what has been written. One that cannot is given up: in service, it would hide what
/// others have been told is visible. One that is slow is asked again.
async fn refresh_copies(
    services: &Arc<Services>,
    shard: &Arc<LocalShard>,
    term: Term,
    targets: &[Target],
) -> ApiResult<()> {
    let asked = targets.iter().map(|target| async move {
        let request = RefreshCopyRequest {
            shard: shard.id.clone(),
            allocation_id: target.allocation_id.clone(),
        };
        let until = Instant::now() + REFRESH_WAIT;
        let error = loop {
            let refreshed: ApiResult<()> = tokio::select! {
                biased;
                refreshed = call_copy(services, target, REFRESH_COPY, &request) => refreshed,
                () = copy_gone(services, shard, target) => return Ok(()),
                () = shard.closed() => return Err(closed(shard)),
            };
            match refreshed {
                Ok(()) => return Ok(()),
                Err(error) if is_slow(&error) && Instant::now() < until => {
                    tokio::time::sleep(MASTER_RETRY).await;
                }
                Err(error) => break error,
            }
        };
        let id = &target.allocation_id;
        tracing::warn!(
            shard = %shard.id, allocation_id = %id, node = %target.node, %error,
            "copy could not be refreshed and is removed from the in-sync set",
        );
        let reason = format!("failed to perform [{REFRESH_COPY}]: {error}");
        mark_stale(services, shard, term, id, &reason).await
    });
    join_all(asked).await.into_iter().collect()
}

/// How long a write waits for a refresh before it makes one itself.
const REFRESH_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use ringwall_base::NodeId;
    use ringwall_index::translog::OperationKind;

    use super::super::replica::decode_operations;
    use super::*;

    #[test]
    fn nothing_is_encoded_for_nobody() {
        let kind = OperationKind::NoOp {
            reason: "test".to_owned(),
        };
        let operations = vec![Operation {
            seq_no: 1,
            primary_term: 1,
            kind,
            origin: None,
        }];
        assert!(encoded_for(&[], &operations).is_empty());
        let target = Target {
            node: NodeId::from_bits(1),
            allocation_id: AllocationId("a".to_owned()),
        };
        let sent = encoded_for(&[target], &operations);
        assert_eq!(decode_operations(&sent), Ok(operations));
    }
}
