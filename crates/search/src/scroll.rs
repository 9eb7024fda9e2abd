//! Reading on: what a search finds on a shard, page after page, with the searcher that it began with.
//!
//! In the order of the shard, which is also that of hits that all score the same, the matching documents are
//! looked for once and then read off. In any other order each page searches again for what comes after the last.

use ringwall_api::ApiError;
use ringwall_index::{Leaf, Searcher};
use tantivy::{BitSet, DocId, Score};

use crate::phase::Phase;
use crate::query::Query;
use crate::request::{SearchSource, TrackTotalHits, check_batch};
use crate::result::{DocAddress, ShardDoc, ShardQueryResult};
use crate::shard::{Shard, ShardContext};
use crate::slice::check_slices;
use crate::sort::{self, SortBy, SortValue};

/// A search that is read on. Belongs to the searcher that it was begun with.
pub struct Scroll {
    source: SearchSource,
    order: Order,
    /// What the first page counted, which all of them say.
    counted: ShardQueryResult,
}

enum Order {
    /// As documents stand in the shard.
    Stream(Stream),
    /// By a sort, or by scores; after this document.
    Sorted(Option<ShardDoc>),
}

struct Stream {
    matched: Matched,
    /// Where the next page begins.
    segment: u32,
    doc: DocId,
    /// Of every hit, if hits are ordered by score.
    score: Option<Score>,
}

/// The documents found.
enum Matched {
    All,
    /// By segment.
    Some(Vec<BitSet>),
}

impl Scroll {
    /// Searches a shard. Returns the first page with what there is to count and to aggregate.
    ///
    /// # Errors
    /// As [`crate::query_phase`].
    pub fn begin(
        searcher: &Searcher,
        mut source: SearchSource,
        context: &ShardContext<'_>,
    ) -> Result<(Self, ShardQueryResult), ApiError> {
        check_batch(&source, context.limits.max_result_window)?;
        check_slices(source.slice.as_ref(), context.limits.max_slices_per_scroll)?;
        source.track_total_hits = TrackTotalHits::Exact;
        let shard = Shard::new(searcher, context)?;
        let (order, mut first) = match streams(&source) {
            true => {
                let (stream, counted) = Stream::begin(&shard, &source)?;
                (Order::Stream(stream), counted)
            }
            false => (
                Order::Sorted(None),
                Phase::new(&shard, &source)?.page(None)?,
            ),
        };
        first.timed_out |= shard.pulse.outcome()?;
        // What was aggregated is of the first page.
        let aggs = std::mem::take(&mut source.aggs);
        let scroll = Self {
            source,
            order,
            counted: ShardQueryResult {
                docs: Vec::new(),
                aggs: Vec::new(),
                timed_out: false,
                ..first.clone()
            },
        };
        if let Order::Stream(stream) = &scroll.order {
            first.docs = stream.page(&shard, &scroll.source)?;
        }
        debug_assert_eq!(first.aggs.len(), aggs.len());
        Ok((scroll, first))
    }

    /// Finds the next page: the documents after the last that [`Scroll::pass`] was told of.
    ///
    /// # Errors
    /// As [`crate::query_phase`].
    pub fn page(
        &self,
        searcher: &Searcher,
        context: &ShardContext<'_>,
    ) -> Result<ShardQueryResult, ApiError> {
        let shard = Shard::new(searcher, context)?;
        let docs = match &self.order {
            Order::Stream(stream) => stream.page(&shard, &self.source)?,
            Order::Sorted(last) => {
                let phase = Phase::new(&shard, &self.source)?;
                phase.page(last.as_ref())?.docs
            }
        };
        Ok(ShardQueryResult {
            docs,
            timed_out: shard.pulse.outcome()?,
            ..self.counted.clone()
        })
    }

    /// The documents up to this one, of the last page, were given out.
    pub fn pass(&mut self, last: ShardDoc) {
        match &mut self.order {
            Order::Stream(stream) => {
                stream.segment = last.address.segment;
                stream.doc = last.address.doc + 1;
            }
            Order::Sorted(after) => *after = Some(last),
        }
    }

    /// Returns what is kept in memory from page to page, bytes.
    pub fn bytes(&self) -> u64 {
        match &self.order {
            Order::Stream(Stream {
                matched: Matched::Some(found),
                ..
            }) => found.iter().map(|bits| bits_bytes(bits.max_value())).sum(),
            _ => 0,
        }
    }

    /// Returns the search, without its aggregations.
    pub fn source(&self) -> &SearchSource {
        &self.source
    }
}

/// Tells whether hits come in the order of the shard, and nothing has to look at each again.
fn streams(source: &SearchSource) -> bool {
    let by_place = match source.sort.as_slice() {
        [only] => only.ascending && matches!(only.by, SortBy::Doc | SortBy::ShardDoc),
        _ => false,
    };
    let by_same_score =
        sort::is_score_only(&source.sort) && source.query.constant_score().is_some();
    (by_place && !source.track_scores || by_same_score)
        && source.min_score.is_none()
        && source.terminate_after.is_none()
}

impl Stream {
    /// Finds what matches, once for all pages.
    fn begin(
        shard: &Shard<'_>,
        source: &SearchSource,
    ) -> Result<(Self, ShardQueryResult), ApiError> {
        let phase = Phase::new(shard, source)?;
        let mut counted = match source.aggs.is_empty() {
            true => ShardQueryResult::default(),
            false => {
                let without_hits = SearchSource {
                    size: 0,
                    ..source.clone()
                };
                Phase::new(shard, &without_hits)?.page(None)?
            }
        };
        let everything = matches!(source.query, Query::MatchAll(_));
        let readers = shard.segments().iter().map(|segment| &segment.reader);
        let matched = if everything && phase.takes_every_match() {
            counted.total = readers.map(|reader| u64::from(reader.num_docs())).sum();
            Matched::All
        } else {
            // Stopped before all were seen: what was found is lost.
            let found = shard.pulse.unless_stopped(phase.matches())?;
            let found = found.unwrap_or_default();
            counted.total = found.iter().map(|bits| bits.len() as u64).sum();
            Matched::Some(found)
        };
        counted.total_is_exact = true;
        let by_score = sort::is_score_only(&source.sort);
        let score = source.query.constant_score().filter(|_| by_score);
        counted.max_score = score.filter(|_| counted.total > 0);
        let stream = Self {
            matched,
            segment: 0,
            doc: 0,
            score,
        };
        Ok((stream, counted))
    }

    fn page(&self, shard: &Shard<'_>, source: &SearchSource) -> Result<Vec<ShardDoc>, ApiError> {
        shard
            .pulse
            .charge((source.size * size_of::<ShardDoc>()) as u64)?;
        let mut docs = Vec::with_capacity(source.size);
        let mut from = self.doc;
        let segments = (0..).zip(shard.segments()).skip(self.segment as usize);
        for (segment, place) in segments {
            while let Some(doc) = self.matched.next(segment, &place.reader, from) {
                if docs.len() == source.size {
                    return Ok(docs);
                }
                let number = u64::from(place.base) + u64::from(doc);
                docs.push(ShardDoc {
                    address: DocAddress { segment, doc },
                    score: self.score,
                    sort: sort_values(shard, source, number),
                });
                from = doc + 1;
            }
            from = 0;
        }
        Ok(docs)
    }
}

fn sort_values(shard: &Shard<'_>, source: &SearchSource, number: u64) -> Vec<SortValue> {
    let value = |number: u64| SortValue::Long(number.cast_signed());
    match source.sort.first().map(|sort| &sort.by) {
        Some(SortBy::Doc) => vec![value(number)],
        Some(SortBy::ShardDoc) => vec![value(shard.first_shard_doc() + number)],
        _ => Vec::new(),
    }
}

impl Matched {
    /// Returns the first document of a segment from a number on.
    fn next(&self, segment: u32, reader: &Leaf<'_>, from: DocId) -> Option<DocId> {
        let end = reader.max_doc();
        let bits = match self {
            Self::All => return (from..end).find(|doc| reader.sees(*doc)),
            Self::Some(found) => found.get(segment as usize)?,
        };
        let mut doc = from;
        while doc < end {
            if doc.is_multiple_of(BUCKET) {
                // Skips what is empty.
                doc = bits.first_non_empty_bucket(doc / BUCKET)? * BUCKET;
            }
            if bits.contains(doc) {
                return Some(doc);
            }
            doc += 1;
        }
        None
    }
}

/// Documents in one word of a set.
const BUCKET: DocId = 64;

/// Tells the memory of a set of documents, for [`crate::SearchControl::charge`].
pub(crate) fn bits_bytes(docs: DocId) -> u64 {
    u64::from(docs) / 8 + 64
}
