//! Reading operations back for replay and recovery.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use ringwall_base::{SeqNo, Term};

use super::file::{self, Record, RecordReader};
use super::{Location, Operation};
use crate::error::Result;

/// One generation to read, up to a length.
pub(super) struct Source {
    pub generation: u64,
    pub file: Arc<File>,
    pub path: PathBuf,
    pub nonce: u64,
    pub length: u64,
}

/// Every operation from a sequence number on, as of the moment this was made. The files stay
/// readable even when the translog is trimmed meanwhile.
pub struct OperationsSnapshot {
    sources: Vec<Source>,
    from: SeqNo,
}

impl OperationsSnapshot {
    pub(super) fn new(sources: Vec<Source>, from: SeqNo) -> Self {
        Self { sources, from }
    }

    /// Calls `each` with every operation, in the order they were appended.
    pub fn for_each(&self, mut each: impl FnMut(Operation) -> Result<()>) -> Result<()> {
        self.for_each_placed(|operation, _| each(operation))
    }

    /// As [`OperationsSnapshot::for_each`], with the place of each operation.
    pub fn for_each_placed(
        &self,
        mut each: impl FnMut(Operation, Location) -> Result<()>,
    ) -> Result<()> {
        self.records(|_, _, length, payload, source, offset| {
            let operation = Operation::decode(payload).ok_or_else(|| {
                file::corrupted(&source.path, offset, "a record is not an operation")
            })?;
            let location = Location {
                generation: source.generation,
                offset,
                length,
            };
            each(operation, location)
        })
    }

    /// Returns sequence number and term of every operation, in order of sequence number. An
    /// operation that was recorded again counts as it was recorded last.
    pub fn terms(&self) -> Result<Vec<(SeqNo, Term)>> {
        let mut terms = BTreeMap::new();
        self.records(|seq_no, term, _, _, _, _| {
            terms.insert(seq_no, term);
            Ok(())
        })?;
        Ok(terms.into_iter().collect())
    }

    /// Returns a reader of the operations in order of sequence number.
    pub fn into_ordered(self) -> Result<OperationsReader> {
        let mut places = BTreeMap::new();
        self.records(|seq_no, _, length, _, source, at| {
            places.insert(seq_no, (source.generation, at, length));
            Ok(())
        })?;
        Ok(OperationsReader {
            next: self.from,
            places,
            sources: self
                .sources
                .into_iter()
                .map(|source| (source.generation, source))
                .collect(),
        })
    }

    fn records(
        &self,
        mut each: impl FnMut(SeqNo, Term, u32, &[u8], &Source, u64) -> Result<()>,
    ) -> Result<()> {
        for source in &self.sources {
            let mut reader =
                RecordReader::new(&source.file, &source.path, source.nonce, source.length);
            while let Some((at, length, record)) = reader.next()? {
                let Record::Operation(payload) = record else {
                    continue;
                };
                let (seq_no, term) = Operation::decode_head(payload).ok_or_else(|| {
                    file::corrupted(&source.path, at, "a record is not an operation")
                })?;
                if seq_no >= self.from {
                    each(seq_no, term, length, payload, source, at)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads operations in order of sequence number, some at a time.
pub struct OperationsReader {
    next: SeqNo,
    /// Generation, offset and length by sequence number.
    places: BTreeMap<SeqNo, (u64, u64, u32)>,
    sources: HashMap<u64, Source>,
}

impl OperationsReader {
    /// Returns the next operations: at least one while there are any, at most about `max_bytes`.
    pub fn next_batch(&mut self, max_bytes: u64) -> Result<Vec<Operation>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (seq_no, (generation, offset, length)) in self.places.range(self.next..) {
            if !batch.is_empty() && bytes + u64::from(*length) > max_bytes {
                break;
            }
            // Every place is in a source that the snapshot read.
            let Some(source) = self.sources.get(generation) else {
                continue;
            };
            batch.push(file::read_at(&source.file, &source.path, *offset, *length)?);
            bytes += u64::from(*length);
            self.next = seq_no + 1;
        }
        Ok(batch)
    }

    /// Returns the sequence number that the next batch begins with, at the earliest.
    pub fn position(&self) -> SeqNo {
        self.next
    }

    /// Returns how many operations there are in all.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
