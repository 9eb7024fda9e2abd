//! Hands operations to the search library's writer, also while it commits.
//!
//! The library wants deletes and adds in the order of its stamps, so they go through one lock. A
//! commit takes the writer away for as long as it takes; meanwhile operations wait in a bounded
//! queue and their callers go on.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tantivy::index::SegmentId;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, MergePolicy, NoMergePolicy};
use tantivy::{FutureResult, Index, IndexWriter, SegmentMeta, Term};

use super::ShardOptions;
use super::shard_document::ShardDocument;
use crate::error::{IndexError, Result};

/// A change of the search index.
pub(crate) enum Change {
    /// Adds a document under an id that is not there.
    Add(ShardDocument),
    /// Replaces the document of an id.
    Replace(Term, ShardDocument),
    Delete(Term),
}

pub(crate) struct WriterQueue {
    index: Index,
    memory_budget: usize,
    segments_per_merge: Option<usize>,
    state: Mutex<State>,
    free: Condvar,
}

struct State {
    writer: Option<IndexWriter<ShardDocument>>,
    /// A commit has the writer, or it is being closed: changes wait.
    committing: bool,
    waiting: Vec<Change>,
    /// So many may wait; callers with more wait themselves.
    limit: usize,
    /// Changes that no commit holds.
    dirty: bool,
    last_change: Instant,
    failed: Option<IndexError>,
    /// Force merges under way.
    asked_merges: usize,
}

/// See [`WriterQueue::hold_merges`].
pub(crate) struct HeldMerges<'a>(&'a WriterQueue);

impl Drop for HeldMerges<'_> {
    /// With the last one the library merges by itself again.
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.asked_merges -= 1;
        if let (0, Some(writer)) = (state.asked_merges, &state.writer) {
            writer.set_merge_policy(self.0.merge_policy());
        }
    }
}

impl WriterQueue {
    pub(crate) fn new(index: Index, options: &ShardOptions) -> Self {
        let memory = usize::try_from(options.indexing_memory.bytes()).unwrap_or(usize::MAX);
        Self {
            index,
            memory_budget: memory.max(LEAST_BUDGET),
            segments_per_merge: options.segments_per_merge,
            state: Mutex::new(State {
                writer: None,
                committing: false,
                waiting: Vec::new(),
                limit: MAX_WAITING,
                dirty: false,
                last_change: Instant::now(),
                failed: None,
                asked_merges: 0,
            }),
            free: Condvar::new(),
        }
    }

    /// Makes a change; `recorded` runs under the same lock, so that a commit holds the change
    /// exactly when it began after `recorded`.
    pub(crate) fn submit(&self, change: Change, recorded: impl FnOnce()) -> Result<()> {
        let mut state = self.state.lock();
        while state.committing && state.waiting.len() >= state.limit && state.failed.is_none() {
            self.free.wait(&mut state);
        }
        state.check()?;
        if state.committing {
            state.waiting.push(change);
        } else {
            let result = self.apply(&mut state, change);
            state.note(result)?;
        }
        state.dirty = true;
        state.last_change = Instant::now();
        recorded();
        Ok(())
    }

    /// Runs `recorded` under the lock without a change, for operations that change nothing.
    pub(crate) fn record_only(&self, recorded: impl FnOnce()) -> Result<()> {
        let state = self.state.lock();
        state.check()?;
        recorded();
        Ok(())
    }

    /// Returns whether there are changes that no commit holds.
    pub(crate) fn is_dirty(&self) -> bool {
        self.state.lock().dirty
    }

    /// Runs `act` under the lock unless there are changes that no commit holds.
    pub(crate) fn unless_dirty(&self, act: impl FnOnce()) -> bool {
        let state = self.state.lock();
        if !state.dirty {
            act();
        }
        !state.dirty
    }

    /// Returns whether a writer is open.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.state.lock();
        state.writer.is_some() || state.committing
    }

    /// Commits everything submitted so far. `cut` runs at the moment that divides what is in from
    /// what is not; `payload` gives the text stored with the commit, once all is ready for it.
    ///
    /// One commit at a time: the caller holds a lock for that.
    pub(crate) fn commit(
        &self,
        cut: impl FnOnce(),
        payload: impl FnOnce() -> Result<String>,
    ) -> Result<()> {
        let mut writer = {
            let mut state = self.state.lock();
            state.check()?;
            let opened = self.open_writer(&mut state);
            state.note(opened)?;
            state.committing = true;
            state.limit = MAX_WAITING;
            state.dirty = false;
            cut();
            // Invariant: `open_writer` has just put it there.
            state.writer.take().expect("an open writer")
        };
        let result = payload().and_then(|payload| commit_writer(&mut writer, &payload));
        let result = result.and_then(|()| self.give_back(writer));
        let mut state = self.state.lock();
        state.committing = false;
        self.free.notify_all();
        state.note(result)
    }

    /// Keeps the writer open for merges that were asked for, until what is returned is dropped. It is to be dropped where
    /// no commit has the writer.
    pub(crate) fn hold_merges(&self) -> HeldMerges<'_> {
        self.state.lock().asked_merges += 1;
        HeldMerges(self)
    }

    /// Begins to merge committed segments into one, beside changes. Until [`HeldMerges`] is dropped the library begins no
    /// merges of its own, which would take segments away.
    ///
    /// Not beside a commit: the caller holds a lock for that.
    pub(crate) fn start_merge(
        &self,
        segments: &[SegmentId],
    ) -> Result<FutureResult<Option<SegmentMeta>>> {
        let mut state = self.state.lock();
        state.check()?;
        let opened = self.open_writer(&mut state);
        state.note(opened)?;
        // Invariant: `open_writer` has just put it there.
        let writer = state.writer.as_mut().expect("an open writer");
        writer.set_merge_policy(Box::new(NoMergePolicy));
        Ok(writer.merge(segments))
    }

    /// Closes the writer when nothing was changed for so long. Returns whether it did.
    ///
    /// Not beside a commit: the caller holds a lock for that.
    pub(crate) fn close_if_idle(&self, idle: Duration) -> Result<bool> {
        let writer = {
            let mut state = self.state.lock();
            state.check()?;
            // Closing it would wait for the merges, with everything that waits for a commit behind it.
            let is_used = state.committing || state.dirty || state.asked_merges > 0;
            if is_used || state.last_change.elapsed() < idle {
                return Ok(false);
            }
            let Some(writer) = state.writer.take() else {
                return Ok(false);
            };
            // It has the index locked until it is closed; another cannot be opened before.
            state.committing = true;
            state.limit = MAX_WAITING;
            writer
        };
        let closed = writer
            .wait_merging_threads()
            .map_err(IndexError::engine("finish merges"));
        let mut state = self.state.lock();
        state.committing = false;
        let waiting = std::mem::take(&mut state.waiting);
        let result = closed.and_then(|()| {
            waiting
                .into_iter()
                .try_for_each(|change| self.apply(&mut state, change))
        });
        self.free.notify_all();
        state.note(result).map(|()| true)
    }

    /// Applies what waited, at first beside those who go on adding, then under the lock. Fewer and
    /// fewer may be added meanwhile: else one who adds faster than the library takes would keep the
    /// commit from ending.
    fn give_back(&self, writer: IndexWriter<ShardDocument>) -> Result<()> {
        loop {
            let mut state = self.state.lock();
            let waiting = std::mem::take(&mut state.waiting);
            if waiting.len() <= FEW {
                for change in waiting {
                    apply_to(&writer, change)?;
                }
                state.writer = Some(writer);
                state.committing = false;
                return Ok(());
            }
            state.limit = (state.limit / 4).max(FEW);
            self.free.notify_all();
            drop(state);
            for change in waiting {
                apply_to(&writer, change)?;
            }
        }
    }

    fn apply(&self, state: &mut MutexGuard<'_, State>, change: Change) -> Result<()> {
        self.open_writer(state)?;
        match &state.writer {
            Some(writer) => apply_to(writer, change),
            None => Ok(()),
        }
    }

    fn open_writer(&self, state: &mut MutexGuard<'_, State>) -> Result<()> {
        if state.writer.is_some() {
            return Ok(());
        }
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(self.memory_budget)
            .build();
        let writer = self
            .index
            .writer_with_options(options)
            .map_err(IndexError::engine("open the writer"))?;
        begin_session(&writer)?;
        writer.set_merge_policy(self.merge_policy());
        state.writer = Some(writer);
        Ok(())
    }

    fn merge_policy(&self) -> Box<dyn MergePolicy> {
        match self.segments_per_merge {
            Some(segments) => {
                let mut merges = LogMergePolicy::default();
                merges.set_min_num_segments(segments);
                merges.set_del_docs_ratio_before_merge(DELETED_RATIO);
                Box::new(merges)
            }
            None => Box::new(NoMergePolicy),
        }
    }
}

impl State {
    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        result
    }
}

/// Puts right what the library does not carry over from one writer to the next.
///
/// * Its first stamp is the one of the last commit. A merge that is due then takes that stamp as
///   its target: it passes over a delete of the same stamp in segments that have deletes of that
///   commit, yet applies it in others, and the merged segment begins after it. The delete is lost,
///   and an old version lives on. So no operation may have that stamp.
/// * A crash leaves files that no commit names. A tombstone file is named by segment and stamp;
///   the next one of that name, quite likely after the same operations are replayed, could not be
///   written. So they are removed first.
fn begin_session(writer: &IndexWriter<ShardDocument>) -> Result<()> {
    writer
        .run([])
        .and_then(|_| writer.garbage_collect_files().wait())
        .map(|_| ())
        .map_err(IndexError::engine("open the writer"))
}

fn apply_to(writer: &IndexWriter<ShardDocument>, change: Change) -> Result<()> {
    let document = match change {
        Change::Add(document) => document,
        Change::Replace(id, document) => {
            writer.delete_term(id);
            document
        }
        Change::Delete(id) => {
            writer.delete_term(id);
            return Ok(());
        }
    };
    writer
        .add_document(document)
        .map(|_| ())
        .map_err(IndexError::engine("add a document"))
}

fn commit_writer(writer: &mut IndexWriter<ShardDocument>, payload: &str) -> Result<()> {
    let mut prepared = writer
        .prepare_commit()
        .map_err(IndexError::engine("prepare a commit"))?;
    prepared.set_payload(payload);
    prepared
        .commit()
        .map(|_| ())
        .map_err(IndexError::engine("commit"))
}

/// Changes that wait for a commit to end before their callers do.
const MAX_WAITING: usize = 4_096;

/// So many waiting changes are applied under the lock.
const FEW: usize = 64;

/// A segment with more deleted documents than this is rewritten.
const DELETED_RATIO: f32 = 0.33;

/// The least that the search library takes, in bytes.
const LEAST_BUDGET: usize = 15_000_000;
