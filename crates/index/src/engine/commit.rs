//! Refresh and flush. Both are a commit of the search index; a flush also lets the translog go.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringwall_base::{NO_OPS_PERFORMED, SeqNo};
use serde::{Deserialize, Serialize};

use super::Shard;
use super::lookup::IdLookup;
use crate::error::{IndexError, Result};

/// Stored with every commit of the search index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommitPayload {
    /// Every operation up to here is in the commit.
    pub local_checkpoint: SeqNo,
    /// No operation above is.
    pub max_seq_no: SeqNo,
}

impl CommitPayload {
    /// Reads the payload of an index; one that was never committed to holds nothing.
    pub(super) fn of(metas: &tantivy::IndexMeta) -> Result<Self> {
        let Some(text) = &metas.payload else {
            return Ok(Self {
                local_checkpoint: NO_OPS_PERFORMED,
                max_seq_no: NO_OPS_PERFORMED,
            });
        };
        serde_json::from_str(text).map_err(|error| IndexError::Engine {
            action: "read the last commit",
            reason: error.to_string(),
        })
    }
}

impl Shard {
    /// Makes every operation applied before the call visible to searches.
    pub fn refresh(&self) -> Result<()> {
        self.check()?;
        let _one = self.commit.lock();
        if self.writer.unless_dirty(|| self.versions.begin_refresh()) {
            // What the version map has are deletes of documents that were not there.
            self.versions
                .end_refresh(self.options.gc_deletes, self.local_checkpoint());
        } else {
            self.note(self.commit_index())?;
        }
        if self.translog.current_bytes() > self.options.generation_threshold.bytes() {
            self.note(self.translog.roll())?;
        }
        self.refreshes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Returns whether a refresh would show anything new.
    pub fn needs_refresh(&self) -> bool {
        self.writer.is_dirty()
    }

    /// Commits the search index and lets go of the translog that a restart no longer needs.
    pub fn flush(&self) -> Result<()> {
        let begun = Instant::now();
        self.flush_now()?;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.flushes.micros.fetch_add(micros, Ordering::Relaxed);
        self.flushes.count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A flush that nobody asked for, see [`Shard::should_flush`].
    pub fn flush_periodically(&self) -> Result<()> {
        self.flush()?;
        self.flushes.periodic.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn flush_now(&self) -> Result<()> {
        self.check()?;
        let _one = self.commit.lock();
        let mark = self.translog.flush_mark();
        if self.writer.is_dirty() || *self.committed.lock() < self.local_checkpoint() {
            self.note(self.commit_index())?;
        }
        self.note(self.translog.roll())?;
        let committed = *self.committed.lock();
        self.note(self.translog.trim(committed))?;
        self.translog.note_flushed(mark);
        Ok(())
    }

    /// Returns whether so much is in the translog alone that a restart would take long, or so many
    /// documents wait for a refresh that they take much memory.
    pub fn should_flush(&self) -> bool {
        self.translog.stats().uncommitted_bytes > self.options.flush_threshold.bytes()
            || self.versions.len() > MAX_UNREFRESHED
    }

    /// Closes the writer, with its threads and memory, when nothing was written for so long and
    /// everything is committed. Returns whether it did.
    pub fn close_writer_if_idle(&self, idle: Duration) -> Result<bool> {
        self.check()?;
        let _one = self.commit.lock();
        self.note(self.writer.close_if_idle(idle))
    }

    /// The caller holds the commit lock.
    pub(super) fn commit_index(&self) -> Result<()> {
        let cut = Cell::new((NO_OPS_PERFORMED, NO_OPS_PERFORMED));
        self.writer.commit(
            || {
                self.versions.begin_refresh();
                let sequence = self.sequence.lock();
                cut.set((sequence.processed.checkpoint(), sequence.next - 1));
            },
            || {
                // The index must never know more than the translog does after a crash.
                self.translog.sync()?;
                let (local_checkpoint, max_seq_no) = cut.get();
                let payload = CommitPayload {
                    local_checkpoint,
                    max_seq_no,
                };
                serde_json::to_string(&payload).map_err(|error| IndexError::Engine {
                    action: "encode a commit",
                    reason: error.to_string(),
                })
            },
        )?;
        *self.committed.lock() = cut.get().0;
        self.show_commit()
    }

    /// Lets readers see the last commit.
    pub(super) fn show_commit(&self) -> Result<()> {
        self.reader
            .reload()
            .map_err(IndexError::engine("open the committed segments"))?;
        let lookup = IdLookup::new(self.reader.searcher(), &self.layout)?;
        *self.lookup.write() = Arc::new(lookup);
        self.versions
            .end_refresh(self.options.gc_deletes, self.local_checkpoint());
        Ok(())
    }
}

/// Documents in the version map; each takes about 150 bytes.
const MAX_UNREFRESHED: usize = 250_000;
