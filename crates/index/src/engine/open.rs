//! Making a copy on disk, and opening one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use ringwall_base::{AllocationId, NO_OPS_PERFORMED, SeqNo, fs};
use tantivy::{Index, IndexSettings, ReloadPolicy};

use super::commit::CommitPayload;
use super::failure::Failure;
use super::lookup::IdLookup;
use super::recent::RecentWrites;
use super::stats::FlushCounts;
use super::store::CheckedDirectory;
use super::tracker::{LocalCheckpointTracker, TermRuns};
use super::version_map::VersionMap;
use super::writer::WriterQueue;
use super::{IdLocks, Sequence, Shard, ShardIdentity, ShardOptions, recovery};
use crate::error::{IndexError, Result};
use crate::mapping::Mapping;
use crate::schema::{self, Layout};
use crate::translog::Translog;

/// Where a copy keeps its search index.
pub(super) const INDEX_DIRECTORY: &str = "index";
/// Where a copy keeps its translog.
pub(super) const TRANSLOG_DIRECTORY: &str = "translog";

/// A copy to be made.
#[derive(Debug, Clone)]
pub struct NewShard {
    pub identity: ShardIdentity,
}

impl Shard {
    /// Makes an empty copy. The mapping decides how many text fields get norms of their own.
    pub fn create(path: &Path, new: NewShard, mapping: &Mapping) -> Result<()> {
        let index = path.join(INDEX_DIRECTORY);
        std::fs::create_dir_all(&index).map_err(IndexError::io("create directory", &index))?;
        let failure = Arc::new(Failure::of(new.identity.shard.clone()));
        CheckedDirectory::open(&index, failure)
            .map_err(tantivy::TantivyError::from)
            .and_then(|directory| {
                let schema = Layout::for_mapping(mapping).schema;
                Index::create(directory, schema, IndexSettings::default())
            })
            .map_err(IndexError::engine("create the index"))?;
        fs::sync_dir(&index).map_err(IndexError::io("sync directory", &index))?;
        let translog = path.join(TRANSLOG_DIRECTORY);
        Translog::create(&translog, NO_OPS_PERFORMED, NO_OPS_PERFORMED)?;
        new.identity.write(path)?;
        sync_with_parents(path)
    }

    /// Opens a copy: the last commit, and every operation in the translog that it lacks. Every file
    /// of the commit is read and checked.
    ///
    /// Fails with [`IndexError::Corrupted`] when a file is not what was written.
    pub fn open(path: &Path, mapping: Arc<Mapping>, options: ShardOptions) -> Result<Self> {
        let identity = ShardIdentity::read(path)?.ok_or_else(|| IndexError::Io {
            action: "open shard copy",
            path: path.to_owned(),
            reason: "there is no complete copy in this directory".to_owned(),
        })?;
        let identity = identity.upgrade(path)?;
        let failure = Arc::new(Failure::of(identity.shard.clone()));
        let opened = Self::open_identified(path, identity, mapping, options, failure.clone());
        // The search library tells of a bad file in words of its own.
        opened.map_err(|error| failure.get().unwrap_or(error))
    }

    fn open_identified(
        path: &Path,
        identity: ShardIdentity,
        mapping: Arc<Mapping>,
        options: ShardOptions,
        failure: Arc<Failure>,
    ) -> Result<Self> {
        recovery::remove_snapshots(path)?;
        let directory = CheckedDirectory::open(&path.join(INDEX_DIRECTORY), failure.clone())
            .map_err(|error| IndexError::engine("open the index")(error.into()))?;
        let index = Index::open(directory.clone()).map_err(IndexError::engine("open the index"))?;
        schema::register_tokenizers(&index);
        let layout = Layout::open(index.schema()).map_err(|reason| IndexError::Engine {
            action: "open the index",
            reason,
        })?;
        let metas = index
            .load_metas()
            .map_err(IndexError::engine("read the last commit"))?;
        let commit = CommitPayload::of(&metas)?;
        let retention = options.translog_retention.bytes();
        let log = path.join(TRANSLOG_DIRECTORY);
        let translog = Translog::open(&log, retention, commit.local_checkpoint, options.lost_tail)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(IndexError::engine("open a reader"))?;
        let lookup = IdLookup::new(reader.searcher(), &layout)?;
        let shard = Self {
            path: path.to_owned(),
            writer: WriterQueue::new(index.clone(), &options),
            recent: RecentWrites::new(options.remembered_writes),
            options,
            identity: Mutex::new(identity),
            mapping: RwLock::new(mapping),
            layout: Arc::new(layout),
            index,
            directory,
            reader,
            filters: super::view::FilterCache::default(),
            lookup: RwLock::new(Arc::new(lookup)),
            sequence: Mutex::new(Sequence {
                processed: LocalCheckpointTracker::new(commit.local_checkpoint),
                next: commit.max_seq_no.max(commit.local_checkpoint) + 1,
                terms: TermRuns::default(),
                global_checkpoint: NO_OPS_PERFORMED,
            }),
            translog: Arc::new(translog),
            versions: VersionMap::default(),
            ids: IdLocks::new(),
            commit: Mutex::new(()),
            committed: Mutex::new(commit.local_checkpoint),
            failure,
            refreshes: AtomicU64::new(0),
            flushes: FlushCounts::default(),
        };
        shard.replay_translog(commit.local_checkpoint)?;
        Ok(shard)
    }

    fn replay_translog(&self, committed: SeqNo) -> Result<()> {
        let global_checkpoint = self.translog.global_checkpoint();
        self.learn_terms(global_checkpoint)?;
        self.remember_committed(committed);
        let Some(operations) = self.translog.ops_from(committed + 1)? else {
            return Err(IndexError::Corrupted {
                path: self.path.join(TRANSLOG_DIRECTORY),
                offset: 0,
                reason: format!(
                    "the commit ends at operation [{committed}], the translog begins at [{}]",
                    self.translog.min_retained_seq_no()
                ),
            });
        };
        let mut replayed = 0u64;
        operations.for_each_placed(|operation, location| {
            let seq_no = operation.seq_no;
            self.recent.note(&operation, Some(location));
            if !self.sequence.lock().processed.contains(seq_no) {
                self.replay(operation, location)?;
                replayed += 1;
            }
            // What is in the files was synced when they were opened.
            self.translog.mark_persisted(seq_no);
            Ok(())
        })?;
        self.set_global_checkpoint(global_checkpoint);
        if replayed > 0 {
            tracing::info!(shard = %self.id(), operations = replayed, "translog replayed");
        }
        self.refresh()
    }

    /// Writes that the commit holds may be sent again too. The log of them is needed for nothing else, so what cannot
    /// be read of it is passed over.
    fn remember_committed(&self, committed: SeqNo) {
        let most = SeqNo::try_from(self.options.remembered_writes / 2).unwrap_or(SeqNo::MAX);
        let kept = self.translog.min_retained_seq_no();
        let from = committed.saturating_sub(most).max(kept);
        if from > committed {
            return;
        }
        let note = |operation, location| {
            self.recent.note(&operation, Some(location));
            Ok(())
        };
        let read = match self.translog.ops_from(from) {
            Ok(Some(operations)) => operations.for_each_placed(note),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            tracing::debug!(shard = %self.id(), %error, "older writes are not remembered");
        }
    }

    /// The terms of operations above the global checkpoint, to tell histories apart.
    fn learn_terms(&self, global_checkpoint: SeqNo) -> Result<()> {
        let from = (global_checkpoint + 1).max(self.translog.min_retained_seq_no());
        let Some(operations) = self.translog.ops_from(from)? else {
            return Ok(());
        };
        let mut sequence = self.sequence.lock();
        for (seq_no, term) in operations.terms()? {
            sequence.terms.insert(seq_no, term);
        }
        Ok(())
    }

    /// Gives the copy in a directory, which is not open, another allocation id. Its data is still
    /// what it was under the earlier ids: they stay in [`ShardIdentity::lineage`].
    pub fn adopt(path: &Path, allocation_id: &AllocationId) -> Result<()> {
        let Some(identity) = ShardIdentity::read(path)? else {
            return Err(IndexError::Io {
                action: "adopt shard copy",
                path: path.to_owned(),
                reason: "there is no complete copy in this directory".to_owned(),
            });
        };
        // The state file that is written below says that the rest has the form of this version.
        let mut identity = identity.upgrade(path)?;
        if identity.allocation_id == *allocation_id {
            return Ok(());
        }
        let earlier = std::mem::replace(&mut identity.allocation_id, allocation_id.clone());
        identity
            .lineage
            .retain(|id| id != allocation_id && *id != earlier);
        identity.lineage.push(earlier);
        identity.write(path)
    }

    /// Forgets the earlier allocation ids, once the copy serves under its own. Durable on return.
    pub fn settle(&self) -> Result<()> {
        self.check()?;
        let mut identity = self.identity.lock();
        if identity.lineage.is_empty() {
            return Ok(());
        }
        let mut changed = identity.clone();
        changed.lineage.clear();
        self.note(changed.write(&self.path))?;
        *identity = changed;
        Ok(())
    }
}

/// Makes a new directory, and the new directories it is in, durable.
pub(super) fn sync_with_parents(path: &Path) -> Result<()> {
    for directory in path.ancestors().take(SYNCED_LEVELS) {
        if directory.as_os_str().is_empty() {
            break;
        }
        fs::sync_dir(directory).map_err(IndexError::io("sync directory", directory))?;
    }
    Ok(())
}

/// The copy, its index, and the directory of all indices.
const SYNCED_LEVELS: usize = 3;
