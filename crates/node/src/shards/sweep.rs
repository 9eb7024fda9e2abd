//! Deletes the files of indices and copies that no longer belong here, again and again until they are gone.
//!
//! A deletion may meet an open handle, a merge that still writes, or a disk that refuses; a node may have been away
//! when an index was deleted. So what is on disk is compared with the cluster state: soon after every deletion, and
//! every now and then. Directories are listed before the state is looked at: each was made for an index of some
//! earlier state, so that one the newer state does not have was deleted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{IndexId, NodeId, ShardId, fs};
use ringwall_cluster::ClusterState;
use tokio_util::sync::CancellationToken;

use super::start::remove_dir;
use crate::services::Services;

/// Runs until the node stops.
pub async fn run(services: Arc<Services>, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = services.shards.sweep_wanted.notified() => pause = FIRST_PAUSE,
            () = tokio::time::sleep(pause) => {}
        }
        match sweep(&services, &mut told).await {
            Ok(true) => pause = LONGEST_PAUSE,
            Ok(false) => pause = (pause * 2).min(LONGEST_PAUSE),
            Err(error) => {
                tracing::warn!(%error, "left-over files could not be deleted; trying again");
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Returns whether nothing is left that should not be there.
async fn sweep(services: &Arc<Services>, told: &mut bool) -> ApiResult<bool> {
    let local = services.transport.local();
    let is_joined = |state: &ClusterState| {
        let record = state.nodes.get(&local.id);
        record.is_some_and(|node| node.ephemeral_id == local.ephemeral_id)
    };
    // Before the node's own join is applied the state may be older than what is on disk here.
    let before = services.cluster.state();
    let Some(cluster_uuid) = before.cluster_uuid.clone().filter(|_| is_joined(&before)) else {
        return Ok(false);
    };
    let root = services.shards.root().to_owned();
    let listed = services.pools.disk.run(move || list(&root)).await?;
    let state = services.cluster.state();
    let unwanted = unwanted(&listed.map_err(failed)?, &state, local.id);
    let root = services.shards.root().to_owned();
    let is_clean = unwanted.is_empty();
    let looked = services.pools.disk.run(move || match is_clean {
        true => note_cluster(&root, &cluster_uuid).map(|()| true),
        false => is_noted(&root, &cluster_uuid),
    });
    let is_ours = looked.await?.map_err(failed)?;
    if is_clean {
        return Ok(true);
    }
    if !is_ours {
        if !*told {
            *told = true;
            tracing::warn!(
                directory = %services.shards.root().display(), unwanted = ?unwanted,
                "these directories hold indices of another cluster and are left alone; move them away if they are \
                 not needed",
            );
        }
        return Ok(true);
    }
    let mut is_clean = true;
    for place in unwanted {
        is_clean &= delete(services, place).await?;
    }
    Ok(is_clean)
}

/// A directory: of a whole index by its UUID, or of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Index(String),
    Copy(ShardId),
}

/// Returns whether it is gone.
async fn delete(services: &Arc<Services>, place: Place) -> ApiResult<bool> {
    let shards = &services.shards;
    let is_meant = |shard: &ShardId| match &place {
        Place::Index(uuid) => shard.index.uuid == *uuid,
        Place::Copy(id) => shard == id,
    };
    if let Place::Copy(id) = &place {
        shards.place(id);
    }
    // Held until it is gone, so that nothing is opened meanwhile.
    let Some(_places) = shards.try_lock_places(is_meant) else {
        return Ok(false);
    };
    if shards.is_closing(is_meant) || shards.all().iter().any(|shard| is_meant(&shard.id)) {
        return Ok(false);
    }
    let path = match &place {
        Place::Index(uuid) => shards.root().join(uuid),
        Place::Copy(id) => shards.path(id),
    };
    services.pools.disk.run(move || remove_dir(&path)).await??;
    match place {
        Place::Index(uuid) => {
            shards.forget_places(&uuid);
            tracing::info!(index.uuid = uuid, "deleted index");
        }
        Place::Copy(shard) => tracing::info!(%shard, "deleted a copy that is on other nodes now"),
    }
    Ok(true)
}

/// Directories of indices, with the numbers of the shards in each.
type Listed = BTreeMap<String, Vec<u32>>;

fn list(root: &Path) -> std::io::Result<Listed> {
    std::fs::create_dir_all(root)?;
    let mut listed = Listed::new();
    for (name, path) in directories(root)? {
        let shards = directories(&path)?
            .into_iter()
            .filter_map(|(name, _)| name.parse().ok())
            .collect();
        listed.insert(name, shards);
    }
    Ok(listed)
}

fn directories(path: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// Returns what is on disk and belongs to no index, or to a copy that is complete elsewhere and not here.
fn unwanted(listed: &Listed, state: &ClusterState, local: NodeId) -> Vec<Place> {
    let known: BTreeMap<&str, &IndexId> = state
        .indices
        .values()
        .map(|index| (index.id.uuid.as_str(), &index.id))
        .collect();
    let mut unwanted = Vec::new();
    for (uuid, shards) in listed {
        let Some(index) = known.get(uuid.as_str()) else {
            unwanted.push(Place::Index(uuid.clone()));
            continue;
        };
        for number in shards {
            let shard = ShardId {
                index: (*index).clone(),
                shard: *number,
            };
            if is_elsewhere(state, &shard, local) {
                unwanted.push(Place::Copy(shard));
            }
        }
    }
    unwanted
}

/// Every copy serves, none of them here, and nobody counts on what this node has.
fn is_elsewhere(state: &ClusterState, shard: &ShardId, local: NodeId) -> bool {
    let in_sync = state
        .index(&shard.index)
        .and_then(|index| index.shards.get(shard.shard as usize));
    let counted_on = in_sync.is_none_or(|shard| shard.in_sync.values().any(|node| *node == local));
    let serve_elsewhere = state.shard(shard).is_some_and(|routing| {
        let mut copies = routing.copies.iter();
        copies.all(|copy| copy.is_active() && copy.node != Some(local))
    });
    !counted_on && serve_elsewhere
}

/// Returns whether the directory is known to hold indices of this cluster.
fn is_noted(root: &Path, cluster_uuid: &str) -> std::io::Result<bool> {
    match std::fs::read_to_string(root.join(CLUSTER_FILE)) {
        Ok(noted) => Ok(noted == cluster_uuid),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Notes before the first copy is made whose indices these will be, so that they can be deleted. Blocks.
pub fn claim(root: &Path, cluster_uuid: &str) -> ApiResult<()> {
    let claim = || {
        std::fs::create_dir_all(root)?;
        match root.join(CLUSTER_FILE).exists() || !directories(root)?.is_empty() {
            true => Ok(()),
            false => note_cluster(root, cluster_uuid),
        }
    };
    claim().map_err(failed)
}

/// Notes it, once nothing in the directory says otherwise.
fn note_cluster(root: &Path, cluster_uuid: &str) -> std::io::Result<()> {
    match is_noted(root, cluster_uuid)? {
        true => Ok(()),
        false => fs::write_atomic(&root.join(CLUSTER_FILE), cluster_uuid.as_bytes(), 0o600),
    }
}

fn failed(error: std::io::Error) -> ApiError {
    ApiError::new(
        ErrorCode::IoFailure,
        format!("the indices cannot be listed: {error}"),
    )
}

/// In the directory of all indices: the cluster that they belong to.
const CLUSTER_FILE: &str = "_cluster_uuid";
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
