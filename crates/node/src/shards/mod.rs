//! The shard copies that this node serves, and the mappings of their indices.

mod analyses;
pub mod local;
pub mod maintenance;
pub mod reconcile;
pub mod scrub;
pub(crate) mod start;
pub mod sweep;
pub mod under_way;
pub mod update;
pub mod writes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{IndexId, ShardId};
use ringwall_cluster::{Change, ClusterState};
use ringwall_index::Mapping;
use ringwall_index::mapping::MappingLimits;
use serde_json::Value;

use crate::cluster_service::ClusterService;
use analyses::Analyses;
pub use local::LocalShard;

/// The open copies of this node.
pub struct Shards {
    /// One directory per index UUID, in it one per shard number.
    root: PathBuf,
    cluster: ClusterService,
    open: RwLock<BTreeMap<ShardId, Arc<LocalShard>>>,
    /// Engines that were taken out of service but may still be in somebody's hands.
    closing: Mutex<BTreeMap<ShardId, Weak<()>>>,
    mappings: Mutex<BTreeMap<String, (u64, Arc<Mapping>)>>,
    analyses: Analyses,
    /// Held by whoever works in the directory of a copy.
    places: Mutex<BTreeMap<ShardId, Place>>,
    /// Something on disk may no longer belong here.
    sweep_wanted: tokio::sync::Notify,
}

type Place = Arc<tokio::sync::Mutex<()>>;

impl Shards {
    /// Returns the empty registry of copies under a directory.
    pub fn new(root: PathBuf, cluster: ClusterService) -> Self {
        Self {
            root,
            cluster,
            open: RwLock::default(),
            closing: Mutex::default(),
            mappings: Mutex::default(),
            analyses: Analyses::default(),
            places: Mutex::default(),
            sweep_wanted: tokio::sync::Notify::new(),
        }
    }

    /// Returns the directory of all indices.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory of a copy.
    pub fn path(&self, shard: &ShardId) -> PathBuf {
        self.root
            .join(&shard.index.uuid)
            .join(shard.shard.to_string())
    }

    /// Returns the open copy of a shard.
    pub fn get(&self, shard: &ShardId) -> Option<Arc<LocalShard>> {
        self.open.read().get(shard).cloned()
    }

    /// Returns the open copy of a shard.
    ///
    /// # Errors
    /// `shard_not_found_exception`, on which the caller looks at a newer state and tries again.
    pub fn require(&self, shard: &ShardId) -> ApiResult<Arc<LocalShard>> {
        self.get(shard).ok_or_else(|| {
            ApiError::new(
                ErrorCode::ShardNotFound,
                format!("no copy of {shard} is open on this node"),
            )
        })
    }

    /// Returns every open copy.
    pub fn all(&self) -> Vec<Arc<LocalShard>> {
        self.open.read().values().cloned().collect()
    }

    /// Lets go of every copy, as a process does that is killed.
    pub fn abandon(&self) {
        let open = std::mem::take(&mut *self.open.write());
        open.values().for_each(|shard| shard.close());
    }

    /// Puts a copy into service.
    pub fn insert(&self, shard: Arc<LocalShard>) {
        self.open.write().insert(shard.id.clone(), shard);
    }

    /// Returns the lock of the directory of a copy.
    fn place(&self, shard: &ShardId) -> Place {
        self.places.lock().entry(shard.clone()).or_default().clone()
    }

    /// Locks the directories of the copies that are meant; `None` while somebody works in one.
    fn try_lock_places(
        &self,
        is_meant: impl Fn(&ShardId) -> bool,
    ) -> Option<Vec<tokio::sync::OwnedMutexGuard<()>>> {
        let places = self.places.lock();
        let meant = places.iter().filter(|(shard, _)| is_meant(shard));
        meant
            .map(|(_, place)| place.clone().try_lock_owned().ok())
            .collect()
    }

    /// Forgets the locks of an index that is gone.
    fn forget_places(&self, uuid: &str) {
        self.places
            .lock()
            .retain(|shard, _| shard.index.uuid != uuid);
    }

    fn remove(&self, shard: &ShardId) -> Option<Arc<LocalShard>> {
        let removed = self.open.write().remove(shard)?;
        self.closing.lock().insert(shard.clone(), removed.alive());
        Some(removed)
    }

    /// Waits until nobody holds the engine that was last removed, so that its directory is free.
    async fn wait_closed(&self, shard: &ShardId, limit: Duration) -> ApiResult<()> {
        let begun = tokio::time::Instant::now();
        let deadline = begun + limit;
        let mut told = false;
        loop {
            let held = self
                .closing
                .lock()
                .get(shard)
                .is_some_and(|engine| engine.strong_count() > 0);
            if !held {
                self.closing.lock().remove(shard);
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(ApiError::internal(format!(
                    "the earlier copy of {shard} is still in use after {limit:?}"
                )));
            }
            if !told && begun.elapsed() >= CLOSE_TOLD {
                tracing::warn!(%shard, "a new copy waits until the earlier one is not in use any more");
                told = true;
            }
            tokio::time::sleep(CLOSE_POLL).await;
        }
    }

    /// Returns the mapping of an index as the newest applied state has it, with its version.
    ///
    /// # Errors
    /// The index is gone, or its mapping was written by a newer version.
    pub fn mapping(&self, index: &IndexId) -> ApiResult<(u64, Arc<Mapping>)> {
        let state = self.cluster.state();
        self.mapping_in(&state, index)
    }

    /// As [`Shards::mapping`], of a given state.
    pub fn mapping_in(
        &self,
        state: &ClusterState,
        index: &IndexId,
    ) -> ApiResult<(u64, Arc<Mapping>)> {
        let metadata = state
            .index(index)
            .ok_or_else(|| ApiError::index_not_found(&index.name))?;
        let version = metadata.mapping_version;
        if let Some((known, mapping)) = self.mappings.lock().get(&index.uuid)
            && *known == version
        {
            return Ok((version, mapping.clone()));
        }
        let analysis = self.analyses.of(metadata)?;
        let mut mapping = Mapping::parse_stored(&metadata.mapping)?.analyzed(analysis)?;
        if metadata.settings.ignore_malformed() {
            mapping = mapping.ignoring_malformed();
        }
        let mapping = Arc::new(mapping);
        let mut mappings = self.mappings.lock();
        let entry = mappings
            .entry(index.uuid.clone())
            .or_insert((version, mapping.clone()));
        if entry.0 < version {
            *entry = (version, mapping.clone());
        }
        Ok((version, mapping))
    }

    fn forget_mappings(&self, state: &ClusterState) {
        let known = |uuid: &String| state.indices.values().any(|index| index.id.uuid == *uuid);
        self.mappings.lock().retain(|uuid, _| known(uuid));
        self.analyses.forget(state);
    }

    /// Gives a copy the mapping of its index if the copy's is older.
    pub fn update_mapping(&self, state: &ClusterState, shard: &LocalShard) -> ApiResult<()> {
        let newest = state
            .index(&shard.id.index)
            .map_or(0, |metadata| metadata.mapping_version);
        if newest > shard.mapping_version() {
            let (version, mapping) = self.mapping_in(state, &shard.id.index)?;
            shard.set_mapping(version, mapping);
        }
        Ok(())
    }

    /// Waits until a copy has at least that version of its mapping.
    ///
    /// # Errors
    /// The state did not arrive in time, or the index is gone.
    pub async fn ensure_mapping(
        &self,
        shard: &LocalShard,
        version: u64,
        wait: Duration,
    ) -> ApiResult<()> {
        if shard.mapping_version() >= version {
            return Ok(());
        }
        let index = &shard.id.index;
        let arrived = self.cluster.applied().wait_for(wait, |state| {
            let found = state.index(index).map(|metadata| metadata.mapping_version);
            match found {
                Some(newest) => (newest >= version).then_some(true),
                None => Some(false),
            }
        });
        match arrived.await {
            Some(true) => self.update_mapping(&self.cluster.state(), shard),
            Some(false) => Err(ApiError::index_not_found(&index.name)),
            None => Err(ApiError::new(
                ErrorCode::Timeout,
                format!(
                    "mapping version [{version}] of [{}] did not arrive in time",
                    index.name
                ),
            )),
        }
    }

    /// Adds fields to the mapping of a copy's index through the master, and gives the copy the
    /// result.
    ///
    /// # Errors
    /// The fields do not fit what is there, exceed the limits, or no master answers.
    pub async fn grow_mapping(&self, shard: &LocalShard, update: &Value) -> ApiResult<()> {
        self.put_mapping(&shard.id.index, update, MAPPING_TIMEOUT)
            .await?;
        self.update_mapping(&self.cluster.state(), shard)
    }

    /// Merges an update into the mapping of an index, by consensus.
    ///
    /// # Errors
    /// As [`Shards::grow_mapping`].
    pub async fn put_mapping(
        &self,
        index: &IndexId,
        update: &Value,
        timeout: Duration,
    ) -> ApiResult<()> {
        for _ in 0..MERGE_ATTEMPTS {
            let state = self.cluster.state();
            let metadata = state
                .index(index)
                .ok_or_else(|| ApiError::index_not_found(&index.name))?;
            let (base_version, current) = self.mapping_in(&state, index)?;
            let limits = MappingLimits {
                total_fields: metadata.settings.total_fields_limit(),
                depth: metadata.settings.mapping_depth_limit(),
            };
            let merged = current.merge_limited(update, &limits)?.to_stored_json();
            if merged == metadata.mapping {
                return Ok(());
            }
            let change = Change::PutMapping {
                index: index.clone(),
                base_version,
                mapping: merged,
            };
            match self.cluster.submit(change, timeout).await {
                // Another update came first: merge into its result.
                Err(_) if self.mapping(index)?.0 != base_version => {}
                result => return result,
            }
        }
        Err(ApiError::new(
            ErrorCode::ProcessClusterEventTimeout,
            format!("the mapping of [{}] changes too often; retry", index.name),
        ))
    }
}

/// After how long it is said what is waited for.
const CLOSE_TOLD: Duration = Duration::from_secs(5);
const CLOSE_POLL: Duration = Duration::from_millis(10);
const MAPPING_TIMEOUT: Duration = Duration::from_secs(30);
const MERGE_ATTEMPTS: usize = 32;
