//! Documents go through aggregations in blocks, so that what an aggregation is is asked once for many documents.

use tantivy::{DocId, Score};

use super::collector::Collector;

/// A document in a bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(super) doc: DocId,
    pub(super) score: Score,
    /// The number of the bucket that the aggregation stands in; 0 at the top.
    pub(super) bucket: u32,
}

/// Documents that wait for aggregations to take them.
#[derive(Default)]
pub(super) struct Block(Vec<Entry>);

/// Entries that aggregations take at once: they fit the nearest cache beside what is counted.
const BLOCK: usize = 256;

impl Block {
    /// Adds an entry; a full block goes to `collectors`.
    pub(super) fn push(&mut self, entry: Entry, collectors: &mut [Box<dyn Collector>]) {
        self.0.push(entry);
        if self.0.len() >= BLOCK {
            self.flush(collectors);
        }
    }

    /// Gives what waits to `collectors`.
    pub(super) fn flush(&mut self, collectors: &mut [Box<dyn Collector>]) {
        for collector in collectors {
            collector.collect(&self.0);
        }
        self.0.clear();
    }
}

/// Aggregations of a segment, with their places in the request.
pub(crate) type Placed = Vec<(usize, Box<dyn Collector>)>;

/// Gives documents, one by one, to aggregations.
pub(crate) struct Gatherer {
    places: Vec<usize>,
    collectors: Vec<Box<dyn Collector>>,
    waiting: Block,
}

impl Gatherer {
    pub(crate) fn new(collectors: Placed) -> Self {
        let (places, collectors) = collectors.into_iter().unzip();
        Self {
            places,
            collectors,
            waiting: Block::default(),
        }
    }

    /// Adds a document.
    pub(crate) fn collect(&mut self, doc: DocId, score: Score) {
        if !self.collectors.is_empty() {
            let bucket = 0;
            self.waiting
                .push(Entry { doc, score, bucket }, &mut self.collectors);
        }
    }

    /// Returns the aggregations, which have taken every document.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = (usize, Box<dyn Collector>)> {
        self.waiting.flush(&mut self.collectors);
        self.places.into_iter().zip(self.collectors)
    }
}
