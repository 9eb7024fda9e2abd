//! The documents with the best scores.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::{DocId, Score};

use crate::result::{DocAddress, ShardDoc};

/// Keeps the documents with the best scores; on a tie the earlier one.
pub(crate) struct BestScores {
    limit: usize,
    /// What is not worse than this was given out before.
    after: Option<Scored>,
    /// The worst on top.
    heap: BinaryHeap<Scored>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    score: Score,
    address: DocAddress,
}

impl Eq for Scored {}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scored {
    /// The worse document is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then(self.address.cmp(&other.address))
    }
}

impl BestScores {
    pub(crate) fn new(limit: usize) -> Self {
        Self::after(limit, None)
    }

    /// Returns a place for the best documents that come after one.
    pub(crate) fn after(limit: usize, last: Option<&ShardDoc>) -> Self {
        Self {
            limit,
            after: last.map(|last| Scored {
                score: last.score.unwrap_or(0.0),
                address: last.address,
            }),
            heap: BinaryHeap::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.heap.len() >= self.limit
    }

    /// A document must score more than this to matter.
    pub(crate) fn threshold(&self) -> Score {
        match self.heap.peek() {
            Some(worst) if self.is_full() => worst.score,
            _ => Score::MIN,
        }
    }

    pub(crate) fn offer(&mut self, segment: u32, doc: DocId, score: Score) {
        if self.limit == 0 {
            return;
        }
        let scored = Scored {
            score,
            address: DocAddress { segment, doc },
        };
        if self.after.is_some_and(|after| scored <= after) {
            return;
        }
        if self.is_full() {
            if self.heap.peek().is_some_and(|worst| scored >= *worst) {
                return;
            }
            self.heap.pop();
        }
        self.heap.push(scored);
    }

    pub(crate) fn finish(self) -> Vec<ShardDoc> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|scored| ShardDoc {
                address: scored.address,
                score: Some(scored.score),
                sort: Vec::new(),
            })
            .collect()
    }
}
