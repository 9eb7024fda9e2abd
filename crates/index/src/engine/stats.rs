//! Counts of a shard copy.

use ringwall_base::SeqNo;

use super::Shard;
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
    pub translog: TranslogStats,
    pub max_seq_no: SeqNo,
    pub local_checkpoint: SeqNo,
    pub persisted_local_checkpoint: SeqNo,
    pub global_checkpoint: SeqNo,
    pub refreshes: u64,
    pub flushes: u64,
    /// Whether a writer, with its threads and memory, is open.
    pub writer_open: bool,
    /// Documents changed since the last refresh.
    pub unrefreshed: u64,
}

impl Shard {
    /// Returns counts; reads the sizes of the files.
    pub fn stats(&self) -> Result<ShardStats> {
        self.check()?;
        let lookup = self.lookup.read().clone();
        let segments = lookup.searcher().segment_readers();
        let path = self.path.join(super::open::INDEX_DIRECTORY);
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        Ok(ShardStats {
            docs: segments.iter().map(|s| u64::from(s.num_docs())).sum(),
            deleted_docs: segments
                .iter()
                .map(|s| u64::from(s.num_deleted_docs()))
                .sum(),
            segments: segments.len() as u64,
            store_bytes: directory_bytes(&path).map_err(IndexError::io("list directory", path))?,
            translog: self.translog.stats(),
            max_seq_no: self.max_seq_no(),
            local_checkpoint: self.local_checkpoint(),
            persisted_local_checkpoint: self.persisted_local_checkpoint(),
            global_checkpoint: self.global_checkpoint(),
            refreshes: self.refreshes.load(relaxed),
            flushes: self.flushes.load(relaxed),
            writer_open: self.writer.is_open(),
            unrefreshed: self.versions.len() as u64,
        })
    }
}

fn directory_bytes(path: &std::path::Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        match entry?.metadata() {
            Ok(metadata) => bytes += metadata.len(),
            // A merge may remove files at any moment.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
