//! The engine of one shard copy.
//!
//! A write resolves the current version of its document, gets a sequence number (on the primary),
//! goes into the translog and then to the search index, under a lock of its id. It is durable after
//! [`Shard::sync`], readable by id at once, and searchable after [`Shard::refresh`].
//!
//! * **Commit** of the search index: refresh and flush both are one. Its payload says up to which
//!   sequence number it holds *every* operation; a restart replays the translog from there. The
//!   translog is synced before a commit, so that the index never knows more than the translog.
//! * **Order**: on a replica operations come in any order. The newest by sequence number wins for
//!   each id; older ones are recorded only. Source: elastic/elasticsearch-formal-models, `ReplicaEngine`.
//! * **Files** are believed only with their checksums (see `store`).
//! * **Fail-stop**: after a disk or index failure every call fails with the first error.

mod commit;
mod failure;
mod get;
mod identity;
mod lookup;
mod merge;
mod open;
mod options;
mod recent;
mod recovery;
mod searcher;
mod shard_document;
mod stats;
mod store;
pub(crate) mod tracker;
mod version_map;
mod view;
mod write;
mod writer;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, MutexGuard, RwLock};
use ringwall_base::{SeqNo, ShardId, Term};
use tantivy::IndexReader;

use crate::error::{IndexError, Result};
use crate::mapping::Mapping;
use crate::schema::Layout;
use crate::translog::{OperationsReader, Translog};
pub use get::GetDocument;
pub use identity::ShardIdentity;
pub use merge::{MergeGoal, SegmentInfo, segment_version};
pub use open::NewShard;
pub use options::ShardOptions;
pub use recent::{RecentWrite, RequestItem};
pub use recovery::{CommitInfo, RecoverySnapshot, ShardInstaller, SnapshotFile};
pub use searcher::{Searcher, StoredDocument};
pub use stats::ShardStats;
pub use store::Scrubber;
pub use view::{DocumentFilter, FieldMask, Leaf, View};
pub use write::{Applied, Condition};

use failure::Failure;
use lookup::IdLookup;
use recent::RecentWrites;
use store::CheckedDirectory;
use tracker::{LocalCheckpointTracker, TermRuns};
use version_map::VersionMap;
use writer::WriterQueue;

/// One open shard copy. Every method may be called from any thread, and blocks.
pub struct Shard {
    path: PathBuf,
    options: ShardOptions,
    identity: Mutex<ShardIdentity>,
    mapping: RwLock<Arc<Mapping>>,
    layout: Arc<Layout>,
    index: tantivy::Index,
    directory: CheckedDirectory,
    reader: IndexReader,
    /// By what the reader shows since the last refresh.
    lookup: RwLock<Arc<IdLookup>>,
    filters: view::FilterCache,
    translog: Arc<Translog>,
    writer: WriterQueue,
    versions: VersionMap,
    recent: RecentWrites,
    sequence: Mutex<Sequence>,
    ids: IdLocks,
    /// Held by the one commit under way.
    commit: Mutex<()>,
    /// The local checkpoint of the last commit.
    committed: Mutex<SeqNo>,
    failure: Arc<Failure>,
    refreshes: AtomicU64,
    flushes: stats::FlushCounts,
}

/// Sequence numbers of this copy.
struct Sequence {
    processed: LocalCheckpointTracker,
    /// The next one that a primary assigns.
    next: SeqNo,
    /// Of operations above the global checkpoint.
    terms: TermRuns,
    global_checkpoint: SeqNo,
}

impl Shard {
    /// Returns which shard this is a copy of.
    pub fn id(&self) -> ShardId {
        self.identity.lock().shard.clone()
    }

    /// Returns the identity of the copy.
    pub fn identity(&self) -> ShardIdentity {
        self.identity.lock().clone()
    }

    /// Returns the directory of the copy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the history UUID; copies with the same one may recover by operations.
    pub fn history_uuid(&self) -> String {
        self.identity.lock().history_uuid.clone()
    }

    /// Records that the copy knows of a primary term. Durable on return.
    pub fn record_primary_term(&self, term: Term) -> Result<()> {
        self.check()?;
        let mut identity = self.identity.lock();
        if term <= identity.primary_term {
            return Ok(());
        }
        let mut changed = identity.clone();
        changed.primary_term = term;
        self.note(changed.write(&self.path))?;
        *identity = changed;
        Ok(())
    }

    /// Starts a new line of history, after a forced allocation made this copy the primary
    /// although others may have had more. Durable on return.
    pub fn begin_new_history(&self) -> Result<String> {
        self.check()?;
        let mut identity = self.identity.lock();
        let mut changed = identity.clone();
        changed.history_uuid = ringwall_base::random_uuid();
        self.note(changed.write(&self.path))?;
        *identity = changed;
        Ok(identity.history_uuid.clone())
    }

    /// Returns the mapping in use.
    pub fn mapping(&self) -> Arc<Mapping> {
        self.mapping.read().clone()
    }

    /// Puts a mapping into use for documents parsed here and for searchers taken from now on.
    pub fn set_mapping(&self, mapping: Arc<Mapping>) {
        *self.mapping.write() = mapping;
    }

    /// Makes every operation applied before the call durable. Callers at the same time share one
    /// sync of the disk.
    pub fn sync(&self) -> Result<()> {
        self.check()?;
        self.note(self.translog.sync())
    }

    /// Returns the highest sequence number up to which this copy has processed every operation.
    pub fn local_checkpoint(&self) -> SeqNo {
        self.sequence.lock().processed.checkpoint()
    }

    /// Returns the highest sequence number up to which every operation is durable here.
    pub fn persisted_local_checkpoint(&self) -> SeqNo {
        self.translog.persisted_checkpoint()
    }

    /// Returns the highest sequence number that this copy knows of.
    pub fn max_seq_no(&self) -> SeqNo {
        self.sequence.lock().next - 1
    }

    /// Returns the global checkpoint as last told.
    pub fn global_checkpoint(&self) -> SeqNo {
        self.sequence.lock().global_checkpoint
    }

    /// Takes note of the global checkpoint; it never goes back, nor beyond what this copy has. It
    /// reaches the disk with the next flush, roll or [`Shard::persist_global_checkpoint`].
    pub fn set_global_checkpoint(&self, checkpoint: SeqNo) {
        let mut sequence = self.sequence.lock();
        let checkpoint = checkpoint.min(sequence.processed.checkpoint());
        if checkpoint > sequence.global_checkpoint {
            sequence.global_checkpoint = checkpoint;
            sequence.terms.forget_to(checkpoint);
            drop(sequence);
            self.translog.set_global_checkpoint(checkpoint);
        }
    }

    /// Writes the global checkpoint to disk.
    pub fn persist_global_checkpoint(&self) -> Result<()> {
        self.check()?;
        self.note(self.translog.persist_checkpoint())
    }

    /// Returns number and term of every operation above a sequence number, in order: what a new
    /// primary compares to find whether histories agree.
    ///
    /// Fails when operations above it are no longer kept.
    pub fn op_terms_above(&self, seq_no: SeqNo) -> Result<Vec<(SeqNo, Term)>> {
        self.check()?;
        let terms = match self.note(self.translog.ops_from(seq_no + 1))? {
            Some(snapshot) => self.unless_damaged(snapshot.terms())?,
            None => None,
        };
        terms.ok_or_else(|| self.not_retained(seq_no + 1))
    }

    /// Returns every operation from a sequence number on, in order.
    ///
    /// Fails when some are no longer kept. For many, [`Shard::operations_reader`] is lighter.
    pub fn operations_from(&self, seq_no: SeqNo) -> Result<Vec<crate::Operation>> {
        match self.operations_reader(seq_no)? {
            Some(mut reader) => self.note(reader.next_batch(u64::MAX)),
            None => Err(self.not_retained(seq_no)),
        }
    }

    /// Returns a reader of every operation from a sequence number on, in order, as of now; `None`
    /// when some are no longer kept.
    pub fn operations_reader(&self, seq_no: SeqNo) -> Result<Option<OperationsReader>> {
        self.check()?;
        match self.note(self.translog.ops_from(seq_no))? {
            Some(snapshot) => self.unless_damaged(snapshot.into_ordered()),
            None => Ok(None),
        }
    }

    /// Returns whether every operation from a sequence number on is kept.
    pub fn has_operations_from(&self, seq_no: SeqNo) -> bool {
        seq_no >= self.translog.min_retained_seq_no()
    }

    /// Keeps every operation from a sequence number on until the guard is dropped; `None` when
    /// some are gone already.
    pub fn retain_operations(&self, from: SeqNo) -> Option<crate::translog::RetentionLock> {
        self.translog.retain(from)
    }

    /// Returns what searches with this view see.
    ///
    /// # Errors
    /// The copy has failed, or a filter of the view does not fit the mapping.
    pub fn acquire_searcher(&self, view: &View) -> Result<Searcher> {
        self.check()?;
        let lookup = self.lookup.read().clone();
        self.searcher_of(&lookup, view)
    }

    fn searcher_of(&self, lookup: &IdLookup, view: &View) -> Result<Searcher> {
        let whole = Searcher::new(
            lookup.searcher().clone(),
            self.layout.clone(),
            self.mapping(),
        );
        whole.narrowed_by(view, Some(&self.filters))
    }

    /// Returns the error that stopped the copy, if one did.
    pub fn failure(&self) -> Option<IndexError> {
        self.failure.get()
    }

    /// Returns what goes slowly through the files of the last commit, looking for what has gone bad.
    pub fn scrubber(&self) -> Result<Scrubber> {
        self.check()?;
        let directory = self.path.join(open::INDEX_DIRECTORY);
        Scrubber::new(&self.index, &directory, self.failure.clone())
    }

    fn check(&self) -> Result<()> {
        match self.failure.get() {
            Some(error) => Err(IndexError::Stopped(error.to_string())),
            None => Ok(()),
        }
    }

    /// Stops the copy at the first failure of disk or index.
    fn note<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && stops(error)
        {
            self.failure.set(error.clone());
        }
        result
    }

    /// Operations that are kept for others only, and have gone bad, are as good as not kept: this copy has
    /// them in its commit.
    fn unless_damaged<T>(&self, read: Result<T>) -> Result<Option<T>> {
        if let Err(IndexError::Corrupted { path, .. }) = &read
            && self.note(self.translog.forget_damaged(path, *self.committed.lock()))?
        {
            return Ok(None);
        }
        self.note(read).map(Some)
    }

    fn not_retained(&self, seq_no: SeqNo) -> IndexError {
        IndexError::NotRetained {
            wanted: seq_no,
            retained: self.translog.min_retained_seq_no(),
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.directory.close();
    }
}

fn stops(error: &IndexError) -> bool {
    matches!(
        error,
        IndexError::Io { .. }
            | IndexError::Corrupted { .. }
            | IndexError::LostTail { .. }
            | IndexError::Engine { .. }
    )
}

/// Orders operations on one id.
struct IdLocks {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl IdLocks {
    fn new() -> Self {
        Self {
            locks: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
        }
    }

    fn lock(&self, id: &str) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(id) as usize;
        self.locks[hash % STRIPES].lock()
    }
}

const STRIPES: usize = 256;

#[cfg(test)]
mod tests;
