//! The writes of the last moments, by who asked for them.
//!
//! A node that passes a write on to the primary and gets no answer sends it again, to the same primary or to its
//! successor. Whether it was applied is known here: on every copy, as the origin travels with the operation and is
//! in the translog. A repetition is answered as the first time and not applied again.

use std::collections::HashMap;

use parking_lot::Mutex;
use ringwall_base::{SeqNo, Term};
use serde::{Deserialize, Serialize};

use super::Shard;
use crate::error::Result;
use crate::translog::{Location, Operation, OperationKind, Origin};

/// The item of a request: what [`Origin`] says of it before it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestItem {
    pub request: u64,
    pub item: u32,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentWrite {
    pub by: RequestItem,
    pub seq_no: SeqNo,
    pub primary_term: Term,
    pub version: u64,
    pub existed: bool,
    /// Where this copy's log has the operation; another's is elsewhere.
    #[serde(skip)]
    location: Option<Location>,
}

/// Remembers the last writes: at least half of `most`, at most `most`.
pub(crate) struct RecentWrites {
    most: usize,
    maps: Mutex<Maps>,
}

#[derive(Default)]
struct Maps {
    current: HashMap<RequestItem, RecentWrite>,
    previous: HashMap<RequestItem, RecentWrite>,
}

impl RecentWrites {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            maps: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, by: RequestItem) -> Option<RecentWrite> {
        let maps = self.maps.lock();
        let found = maps.current.get(&by).or_else(|| maps.previous.get(&by));
        found.copied()
    }

    /// Takes note of an operation that was applied.
    pub(crate) fn note(&self, operation: &Operation, location: Option<Location>) {
        if let Some(write) = RecentWrite::of(operation, location) {
            self.put(write);
        }
    }

    pub(crate) fn put(&self, mut write: RecentWrite) {
        // What is told again is in the log already.
        let known = self.get(write.by).and_then(|known| known.location);
        write.location = write.location.or(known);
        let mut maps = self.maps.lock();
        if maps.current.len() >= self.most / 2 {
            maps.previous = std::mem::take(&mut maps.current);
        }
        maps.current.insert(write.by, write);
    }

    /// Forgets what is older than twice the time between two calls, and gives its memory back.
    pub(crate) fn age(&self) {
        let mut maps = self.maps.lock();
        maps.previous = std::mem::take(&mut maps.current);
    }

    fn all(&self) -> Vec<RecentWrite> {
        let maps = self.maps.lock();
        let both = maps.previous.values().chain(maps.current.values());
        both.copied().collect()
    }
}

impl RecentWrite {
    fn of(operation: &Operation, location: Option<Location>) -> Option<Self> {
        let Origin {
            request,
            item,
            existed,
        } = operation.origin?;
        let version = match operation.kind {
            OperationKind::Index { version, .. } | OperationKind::Delete { version, .. } => version,
            OperationKind::NoOp { .. } => return None,
        };
        Some(Self {
            by: RequestItem { request, item },
            seq_no: operation.seq_no,
            primary_term: operation.primary_term,
            version,
            existed,
            location,
        })
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            request: self.by.request,
            item: self.by.item,
            existed: self.existed,
        }
    }
}

impl Shard {
    /// Returns the operation that an item of a request has become, if it is remembered and kept. One that is no
    /// longer kept is on every copy in sync.
    pub fn repeated(&self, by: RequestItem) -> Result<Option<(RecentWrite, Option<Operation>)>> {
        match self.recent.get(by) {
            Some(write) => Ok(Some((write, self.kept(write)?))),
            None => Ok(None),
        }
    }

    pub(super) fn kept(&self, write: RecentWrite) -> Result<Option<Operation>> {
        let Some(location) = write.location else {
            return Ok(None);
        };
        let operation = self.note(self.translog.read(location))?;
        Ok(operation.filter(|operation| operation.seq_no == write.seq_no))
    }

    /// Forgets the writes that nobody sends again, of before the last call but one.
    pub fn forget_old_writes(&self) {
        self.recent.age();
    }

    /// Returns the writes remembered, for a copy that gets files of this one instead of its operations.
    pub fn recent_writes(&self) -> Vec<RecentWrite> {
        self.recent.all()
    }

    /// Remembers the writes that another copy remembers.
    pub fn remember_writes(&self, writes: Vec<RecentWrite>) {
        for write in writes {
            self.recent.put(RecentWrite {
                location: None,
                ..write
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writes_are_remembered_and_the_oldest_forgotten() {
        let recent = RecentWrites::new(10);
        let by = |item| RequestItem { request: 7, item };
        for item in 0..100 {
            let operation = Operation {
                seq_no: i64::from(item),
                primary_term: 1,
                kind: OperationKind::Delete {
                    id: "a".into(),
                    version: 3,
                },
                origin: Some(Origin {
                    request: 7,
                    item,
                    existed: true,
                }),
            };
            recent.note(&operation, None);
        }
        assert!(recent.all().len() <= 10);
        assert_eq!(recent.get(by(0)), None);
        for item in 95..100 {
            assert_eq!(recent.get(by(item)).unwrap().seq_no, i64::from(item));
        }
        recent.age();
        assert!(recent.get(by(99)).is_some());
        recent.age();
        assert!(recent.all().is_empty());
        assert_eq!(
            recent.get(RequestItem {
                request: 8,
                item: 99
            }),
            None
        );
    }
}
