//! Numbers buckets as they are first met.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::sketch::Identity;

/// Maps (bucket of the parent, key) to the number of a bucket.
pub(super) struct BucketTable {
    /// Places of the small keys under the first parent: the whole table of most aggregations.
    dense: Vec<u32>,
    sparse: HashMap<(u32, u64), u32, BuildHasherDefault<Identity>>,
    /// Parent, key and documents of each bucket.
    pub(super) buckets: Vec<(u32, u64, u64)>,
}

const NONE: u32 = u32::MAX;

/// Buckets of one aggregation on one segment, to bound memory.
pub(super) const MAX_BUCKETS: usize = 2_000_000;

/// What each bucket takes here, with the room that lists and maps keep for more.
pub(super) const BUCKET_BYTES: u64 = 48;

/// Keys below this are numbered without hashing.
const MAX_DENSE: usize = 1 << 20;

impl BucketTable {
    /// Returns an empty table that expects keys below `expected`.
    pub(super) fn new(expected: usize) -> Self {
        Self {
            dense: vec![NONE; expected.min(MAX_DENSE)],
            sparse: HashMap::default(),
            buckets: Vec::new(),
        }
    }

    /// Returns the bytes taken before there is any bucket.
    pub(super) fn dense_bytes(&self) -> u64 {
        (self.dense.len() * size_of::<u32>()) as u64
    }

    /// Counts a document in a bucket and returns the number of the bucket, or `None` when there
    /// are too many.
    pub(super) fn count(&mut self, parent: u32, key: u64) -> Option<u32> {
        let next = self.buckets.len() as u32;
        let place = match usize::try_from(key) {
            Ok(index) if parent == 0 && index < self.dense.len() => &mut self.dense[index],
            _ => self.sparse.entry((parent, key)).or_insert(NONE),
        };
        if *place == NONE {
            if self.buckets.len() >= MAX_BUCKETS {
                return None;
            }
            *place = next;
            self.buckets.push((parent, key, 1));
            return Some(next);
        }
        let bucket = *place;
        self.buckets[bucket as usize].2 += 1;
        Some(bucket)
    }

    /// Tells whether the bucket exists.
    pub(super) fn contains(&self, parent: u32, key: u64) -> bool {
        match usize::try_from(key) {
            Ok(index) if parent == 0 && index < self.dense.len() => self.dense[index] != NONE,
            _ => self.sparse.get(&(parent, key)).is_some_and(|p| *p != NONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_numbered_once() {
        let mut table = BucketTable::new(4);
        let numbers: Vec<u32> = [(0, 3), (0, 9), (1, 3), (0, 3), (1, 3), (0, u64::MAX)]
            .into_iter()
            .filter_map(|(parent, key)| table.count(parent, key))
            .collect();
        assert_eq!(numbers, [0, 1, 2, 0, 2, 3]);
        assert_eq!(table.buckets[0], (0, 3, 2));
        assert!(table.contains(1, 3) && !table.contains(1, 9));
    }
}
