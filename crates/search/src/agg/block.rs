//! Documents go through aggregations in blocks, so that what an aggregation is is asked once for many documents.

use tantivy::{DocId, Score};

use super::collect::Node;

/// A document in a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
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
    /// Adds an entry; a full block goes to `nodes`.
    pub(super) fn push(&mut self, entry: Entry, nodes: &mut [Node]) {
        self.0.push(entry);
        if self.0.len() >= BLOCK {
            self.flush(nodes);
        }
    }

    /// Gives what waits to `nodes`.
    pub(super) fn flush(&mut self, nodes: &mut [Node]) {
        for node in nodes {
            node.collect(&self.0);
        }
        self.0.clear();
    }
}

/// Aggregations of a segment, with their places in the request. Documents are given to them one by one.
pub(crate) struct Gatherer {
    places: Vec<usize>,
    nodes: Vec<Node>,
    waiting: Block,
}

impl Gatherer {
    pub(crate) fn new(nodes: Vec<(usize, Node)>) -> Self {
        let (places, nodes) = nodes.into_iter().unzip();
        Self {
            places,
            nodes,
            waiting: Block::default(),
        }
    }

    /// Adds a document.
    pub(crate) fn collect(&mut self, doc: DocId, score: Score) {
        if !self.nodes.is_empty() {
            let bucket = 0;
            self.waiting
                .push(Entry { doc, score, bucket }, &mut self.nodes);
        }
    }

    /// Returns the aggregations, which have taken every document.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = (usize, Node)> {
        self.waiting.flush(&mut self.nodes);
        self.places.into_iter().zip(self.nodes)
    }
}
