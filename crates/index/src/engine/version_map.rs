//! The latest operation on each document that searches cannot see yet, and recent deletes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use ringwall_base::SeqNo;

use super::shard_document::DocumentVersion;
use crate::translog::Location;

/// What the last operation on a document was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionEntry {
    pub at: DocumentVersion,
    /// `None` for a delete.
    pub location: Option<Location>,
}

impl VersionEntry {
    pub(crate) fn is_delete(&self) -> bool {
        self.location.is_none()
    }
}

/// Entries since the last refresh, of the refresh under way, and tombstones.
#[derive(Default)]
pub(crate) struct VersionMap {
    maps: RwLock<Maps>,
}

#[derive(Default)]
struct Maps {
    current: HashMap<String, VersionEntry>,
    /// In the commit under way, not yet in the reader.
    refreshing: HashMap<String, VersionEntry>,
    tombstones: HashMap<String, Tombstone>,
}

struct Tombstone {
    entry: VersionEntry,
    since: Instant,
}

impl VersionMap {
    pub(crate) fn get(&self, id: &str) -> Option<VersionEntry> {
        let maps = self.maps.read();
        maps.current
            .get(id)
            .or_else(|| maps.refreshing.get(id))
            .copied()
            .or_else(|| maps.tombstones.get(id).map(|tombstone| tombstone.entry))
    }

    pub(crate) fn put(&self, id: String, entry: VersionEntry) {
        self.maps.write().current.insert(id, entry);
    }

    pub(crate) fn len(&self) -> usize {
        let maps = self.maps.read();
        maps.current.len() + maps.refreshing.len()
    }

    /// Everything put until now will be in the commit that begins.
    pub(crate) fn begin_refresh(&self) {
        let mut maps = self.maps.write();
        let entries = std::mem::take(&mut maps.current);
        maps.refreshing.extend(entries);
    }

    /// The reader now shows what [`Self::begin_refresh`] set apart. Deletes stay for `gc_deletes`,
    /// and until every operation before them is here.
    pub(crate) fn end_refresh(&self, gc_deletes: Duration, local_checkpoint: SeqNo) {
        let mut maps = self.maps.write();
        let now = Instant::now();
        let done = std::mem::take(&mut maps.refreshing);
        for (id, entry) in done {
            if entry.is_delete() {
                maps.tombstones.insert(id, Tombstone { entry, since: now });
            } else {
                maps.tombstones.remove(&id);
            }
        }
        maps.forget_old(now, gc_deletes, local_checkpoint);
    }
}

impl Maps {
    fn forget_old(&mut self, now: Instant, gc_deletes: Duration, local_checkpoint: SeqNo) {
        self.tombstones.retain(|_, tombstone| {
            tombstone.entry.at.seq_no > local_checkpoint || now - tombstone.since < gc_deletes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq_no: SeqNo, delete: bool) -> VersionEntry {
        VersionEntry {
            at: DocumentVersion {
                seq_no,
                primary_term: 1,
                version: 1,
            },
            location: (!delete).then_some(Location {
                generation: 1,
                offset: 0,
                length: 1,
            }),
        }
    }

    #[test]
    fn entries_live_until_the_reader_shows_them() {
        let map = VersionMap::default();
        map.put("a".into(), entry(0, false));
        map.begin_refresh();
        map.put("b".into(), entry(1, false));
        assert!(map.get("a").is_some() && map.get("b").is_some());
        map.end_refresh(Duration::ZERO, 1);
        assert!(map.get("a").is_none() && map.get("b").is_some());
    }

    #[test]
    fn tombstones_wait_for_time_and_checkpoint() {
        let map = VersionMap::default();
        map.put("a".into(), entry(5, true));
        let refresh = |gc, checkpoint| {
            map.begin_refresh();
            map.end_refresh(gc, checkpoint);
        };
        refresh(Duration::from_secs(60), 9);
        assert!(map.get("a").unwrap().is_delete(), "too young");
        refresh(Duration::ZERO, 4);
        assert!(
            map.get("a").is_some(),
            "operations before it may still come"
        );
        refresh(Duration::ZERO, 5);
        assert!(map.get("a").is_none());
    }
}
