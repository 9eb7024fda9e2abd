//! Numbers buckets as they are first met.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::order::{Order, OrderBy};
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

    /// Chooses what a shard sends of each of `parents` buckets, by count and key alone; `None` when all is sent, or the
    /// order looks at more. The numbers of keys must be in the order of the keys.
    pub(super) fn cut(&self, spec: &ShardCut, parents: usize) -> Option<Cut> {
        let by_metric = |order: &Order| matches!(order.by, OrderBy::Metric { .. });
        if spec.min_doc_count == 0
            || self.buckets.len() <= spec.shard_size
            || spec.order.iter().any(by_metric)
        {
            return None;
        }
        let compare = |this: &u32, that: &u32| {
            let [left, right] = [this, that].map(|bucket| &self.buckets[*bucket as usize]);
            let by = |order: &Order| {
                let ordering = match order.by {
                    OrderBy::Count => left.2.cmp(&right.2),
                    _ => left.1.cmp(&right.1),
                };
                match order.ascending {
                    true => ordering,
                    false => ordering.reverse(),
                }
            };
            let ordering = spec.order.iter().map(by).find(|ordering| ordering.is_ne());
            // As a stable sort leaves them.
            ordering.unwrap_or(Ordering::Equal).then(this.cmp(that))
        };
        let mut by_parent: Vec<Vec<u32>> = vec![Vec::new(); parents];
        for (bucket, (parent, ..)) in self.buckets.iter().enumerate() {
            if let Some(buckets) = by_parent.get_mut(*parent as usize) {
                buckets.push(bucket as u32);
            }
        }
        let mut cut = Cut {
            keeps: vec![false; self.buckets.len()],
            others: vec![0; parents],
            kept: 0,
        };
        for (buckets, other) in by_parent.iter_mut().zip(&mut cut.others) {
            let mut dropped: &[u32] = &[];
            let mut kept: &[u32] = buckets;
            if buckets.len() > spec.shard_size {
                let (before, _, _) = buckets.select_nth_unstable_by(spec.shard_size, compare);
                let length = before.len();
                (kept, dropped) = buckets.split_at(length);
            }
            *other = dropped
                .iter()
                .map(|bucket| self.buckets[*bucket as usize].2)
                .sum();
            for bucket in kept {
                cut.keeps[*bucket as usize] = true;
            }
            cut.kept += kept.len();
        }
        Some(cut)
    }

    /// Tells whether the bucket exists.
    pub(super) fn contains(&self, parent: u32, key: u64) -> bool {
        match usize::try_from(key) {
            Ok(index) if parent == 0 && index < self.dense.len() => self.dense[index] != NONE,
            _ => self.sparse.get(&(parent, key)).is_some_and(|p| *p != NONE),
        }
    }
}

/// What a shard sends of the buckets of an aggregation: the first ones in an order.
#[derive(Debug, Clone)]
pub(crate) struct ShardCut {
    pub(super) shard_size: usize,
    pub(super) min_doc_count: u64,
    pub(super) order: Vec<Order>,
}

/// What is kept of a table.
pub(super) struct Cut {
    keeps: Vec<bool>,
    /// Documents of the buckets that are not, for each bucket of the parent.
    pub(super) others: Vec<u64>,
    kept: usize,
}

impl Cut {
    pub(super) fn keeps(&self, bucket: usize) -> bool {
        self.keeps[bucket]
    }

    /// Returns how many buckets are kept.
    pub(super) fn kept(&self) -> usize {
        self.kept
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
