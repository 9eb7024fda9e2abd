//! Counts of a shard copy.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ringwall_base::SeqNo;

use super::Shard;
use super::merge::file_sizes;
use crate::error::{IndexError, Result};
use crate::translog::TranslogStats;

/// Counts for the stats and cat APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardStats {
    /// Searchable documents.
    pub docs: u64,
    /// Deleted documents still in segments.
    pub deleted_docs: u64,
    pub segments: u64,
    /// Bytes of the search index on disk.
    pub store_bytes: u64,
    /// Of them, those of segments.
    pub segment_bytes: u64,
    pub translog: TranslogStats,
    /// How long ago the translog file was written to that was so longest ago.
    pub translog_age: Duration,
    pub max_seq_no: SeqNo,
    pub local_checkpoint: SeqNo,
    pub persisted_local_checkpoint: SeqNo,
    pub global_checkpoint: SeqNo,
    pub refreshes: u64,
    pub flushes: u64,
    /// Of them, those that nobody asked for.
    pub periodic_flushes: u64,
    pub flush_time: Duration,
    /// Whether a writer, with its threads and memory, is open.
    pub writer_open: bool,
    /// Documents changed since the last refresh.
    pub unrefreshed: u64,
}

/// What flushes did since the copy was opened.
#[derive(Debug, Default)]
pub(super) struct FlushCounts {
    pub(super) count: AtomicU64,
    /// That nobody asked for.
    pub(super) periodic: AtomicU64,
    pub(super) micros: AtomicU64,
}

impl Shard {
    /// Returns counts; reads the sizes of the files.
    pub fn stats(&self) -> Result<ShardStats> {
        self.check()?;
        let lookup = self.lookup.read().clone();
        let segments = lookup.searcher().segment_readers();
        let path = self.path.join(super::open::INDEX_DIRECTORY);
        let files = file_sizes(&path).map_err(IndexError::io("list directory", path))?;
        let ids: BTreeSet<String> = segments
            .iter()
            .map(|s| s.segment_id().uuid_string())
            .collect();
        // A file of a segment is named by it.
        let is_of_segment = |file: &str| file.split('.').next().is_some_and(|id| ids.contains(id));
        let modified = self.translog.earliest_modified();
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        Ok(ShardStats {
            docs: segments.iter().map(|s| u64::from(s.num_docs())).sum(),
            deleted_docs: segments
                .iter()
                .map(|s| u64::from(s.num_deleted_docs()))
                .sum(),
            segments: segments.len() as u64,
            store_bytes: files.iter().map(|(_, bytes)| bytes).sum(),
            segment_bytes: files
                .iter()
                .filter(|(file, _)| is_of_segment(file))
                .map(|(_, bytes)| bytes)
                .sum(),
            translog_age: modified
                .and_then(|at| at.elapsed().ok())
                .unwrap_or_default(),
            translog: self.translog.stats(),
            max_seq_no: self.max_seq_no(),
            local_checkpoint: self.local_checkpoint(),
            persisted_local_checkpoint: self.persisted_local_checkpoint(),
            global_checkpoint: self.global_checkpoint(),
            refreshes: self.refreshes.load(relaxed),
            flushes: self.flushes.count.load(relaxed),
            periodic_flushes: self.flushes.periodic.load(relaxed),
            flush_time: Duration::from_micros(self.flushes.micros.load(relaxed)),
            writer_open: self.writer.is_open(),
            unrefreshed: self.versions.len() as u64,
        })
    }
}
