//! What a request may see of a shard copy: which documents, and which of their fields.
//!
//! Every read path opens a [`View`]. The readers of the search library stay inside this crate: what leaves
//! it is a [`Searcher`] that holds the view, and its [`Leaf`]s, which show no document outside of it. Filters
//! of aliases and of roles come this way alike.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use ringwall_api::ApiError;
use ringwall_base::json;
use serde::de::Error as _;
use serde_json::{Map, Value};
use tantivy::fastfield::FastFieldReaders;
use tantivy::index::SegmentId;
use tantivy::query::{EnableScoring, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, Score, SegmentReader, TERMINATED};

use super::Searcher;
use crate::error::{IndexError, Result};
use crate::mapping::Mapping;
use crate::schema::Layout;

/// Lets some documents through. Its language is that of another crate.
pub trait DocumentFilter: Send + Sync {
    /// Names what is let through: two filters of one key let the same documents of a shard through, now and
    /// later. `None` for one that depends on the moment.
    fn key(&self) -> Option<&str>;

    /// Returns the query that lets documents through, by all that the shard has.
    ///
    /// # Errors
    /// The filter does not fit the mapping: then nothing may be read.
    fn compile(&self, whole: &Searcher) -> std::result::Result<Box<dyn Query>, ApiError>;
}

/// What a request may see. Narrowing a view never shows more.
#[derive(Clone, Default)]
pub struct View {
    /// A document passes all of them.
    filters: Vec<Arc<dyn DocumentFilter>>,
    mask: FieldMask,
}

impl View {
    /// Returns the view of one who may see everything.
    pub fn whole() -> Self {
        Self::default()
    }

    /// Returns a view of the documents that also pass the filter.
    #[must_use]
    pub fn filtered(mut self, filter: Arc<dyn DocumentFilter>) -> Self {
        self.filters.push(filter);
        self
    }

    /// Returns a view of the fields that the mask shows too.
    #[must_use]
    pub fn masked(mut self, mask: FieldMask) -> Self {
        self.mask = self.mask.and(mask);
        self
    }

    /// Returns whether every document is seen.
    pub fn has_all_documents(&self) -> bool {
        self.filters.is_empty()
    }

    pub(crate) fn filters(&self) -> &[Arc<dyn DocumentFilter>] {
        &self.filters
    }

    pub(crate) fn mask(&self) -> &FieldMask {
        &self.mask
    }
}

/// Which fields are seen; by default all. A field that is not seen is as if it were not mapped, and is not
/// in `_source`. Metadata fields are always seen.
#[derive(Clone, Default)]
pub struct FieldMask(Option<Arc<Shows>>);

/// Whether the leaf of a full dotted path is seen.
type Shows = dyn Fn(&str) -> bool + Send + Sync;

impl FieldMask {
    /// Returns a mask that asks a function about the full dotted path of each leaf and multi-field.
    pub fn new(shows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(shows)))
    }

    /// Returns whether a leaf is seen.
    pub fn shows(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|shows| shows(path))
    }

    pub(crate) fn hides(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(two)) => Self::new(move |path| one(path) && two(path)),
            (one, two) => Self(one.or(two)),
        }
    }

    pub(crate) fn mapping(&self, mapping: &Arc<Mapping>) -> Arc<Mapping> {
        match &self.0 {
            Some(shows) => Arc::new(mapping.with_fields(|path| shows(path))),
            None => Arc::clone(mapping),
        }
    }

    /// Returns the parts of a document that are seen. Fails on a text that is not a JSON object.
    pub(crate) fn source(&self, source: Bytes) -> Result<Bytes> {
        let Some(shows) = &self.0 else {
            return Ok(source);
        };
        let failed = |error: serde_json::Error| IndexError::Engine {
            action: "leave fields out of a document",
            reason: error.to_string(),
        };
        let document = match json::parse(&source).map_err(failed)? {
            Value::Object(document) => document,
            other => return Err(failed(serde_json::Error::custom(other))),
        };
        let shown = shown_members(document, "", &**shows);
        Ok(serde_json::to_vec(&shown).map_err(failed)?.into())
    }
}

fn shown_members(object: Map<String, Value>, path: &str, shows: &Shows) -> Map<String, Value> {
    object
        .into_iter()
        .filter_map(|(name, value)| {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            Some((name, shown(value, &path, shows)?))
        })
        .collect()
}

/// Objects stay for what is inside them; those of which all is hidden go.
fn shown(value: Value, path: &str, shows: &Shows) -> Option<Value> {
    match value {
        Value::Object(members) if members.is_empty() => shows(path).then(|| members.into()),
        Value::Object(members) => {
            let members = shown_members(members, path, shows);
            (!members.is_empty()).then(|| members.into())
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            let items: Vec<Value> = items
                .into_iter()
                .filter_map(|item| shown(item, path, shows))
                .collect();
            (!items.is_empty()).then(|| items.into())
        }
        leaf => shows(path).then_some(leaf),
    }
}

/// The documents of a segment that filters let through.
pub(crate) type Passed = Arc<BitSet>;

/// What filters let through, by segment, for the next request: segments do not change. Deletions are looked
/// at each time.
#[derive(Default)]
pub(crate) struct FilterCache {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// With the time of the last use, in uses.
    passed: HashMap<(SegmentId, String), (u64, Passed)>,
    uses: u64,
    /// What all of them take.
    bytes: usize,
}

/// Filters times segments that one copy remembers.
const MAX_KNOWN: usize = 1_000;
/// What they may take: a role whose query names its user has as many filters as users.
const MAX_BYTES: usize = 16 << 20;

/// Returns about how many bytes an entry takes.
fn bytes_of(key: &str, passed: &Passed) -> usize {
    passed.max_value() as usize / 8 + key.len() + 128
}

impl Known {
    /// Forgets the half that was used longest ago.
    fn forget_half(&mut self) {
        let mut uses: Vec<u64> = self.passed.values().map(|(used, _)| *used).collect();
        uses.sort_unstable();
        let half = uses.get(uses.len() / 2).copied().unwrap_or_default();
        self.passed.retain(|_, (used, _)| *used > half);
        let left = self.passed.iter();
        self.bytes = left
            .map(|((_, key), (_, passed))| bytes_of(key, passed))
            .sum();
    }
}

impl FilterCache {
    pub(crate) fn clear(&self) {
        *self.known.lock() = Known::default();
    }

    fn get(&self, segment: SegmentId, key: &str) -> Option<Passed> {
        let mut known = self.known.lock();
        known.uses += 1;
        let now = known.uses;
        let (used, passed) = known.passed.get_mut(&(segment, key.to_owned()))?;
        *used = now;
        Some(Arc::clone(passed))
    }

    fn put(&self, segment: SegmentId, key: &str, passed: Passed) {
        let bytes = bytes_of(key, &passed);
        if bytes > MAX_BYTES / 2 {
            return;
        }
        let mut known = self.known.lock();
        while known.passed.len() >= MAX_KNOWN || known.bytes + bytes > MAX_BYTES {
            known.forget_half();
        }
        let now = known.uses;
        let entry = (now, passed);
        let before = known.passed.insert((segment, key.to_owned()), entry);
        if before.is_none() {
            known.bytes += bytes;
        }
    }
}

/// Returns the documents that pass every filter, by segment.
pub(crate) fn passed(
    whole: &Searcher,
    filters: &[Arc<dyn DocumentFilter>],
    cache: Option<&FilterCache>,
) -> Result<Vec<Passed>> {
    let mut all: Option<Vec<Passed>> = None;
    for filter in filters {
        let passed = passed_by(whole, filter.as_ref(), cache)?;
        all = Some(match all {
            None => passed,
            Some(others) => others
                .iter()
                .zip(&passed)
                .map(|(one, two)| both(one, two))
                .collect(),
        });
    }
    Ok(all.unwrap_or_default())
}

pub(crate) fn both(one: &BitSet, two: &BitSet) -> Passed {
    let mut both = BitSet::with_max_value(one.max_value());
    for doc in 0..one.max_value() {
        if one.contains(doc) && two.contains(doc) {
            both.insert(doc);
        }
    }
    Arc::new(both)
}

fn passed_by(
    whole: &Searcher,
    filter: &dyn DocumentFilter,
    cache: Option<&FilterCache>,
) -> Result<Vec<Passed>> {
    let cache = cache.zip(filter.key());
    let query = filter.compile(whole)?;
    let searcher = whole.raw();
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher));
    let weight = weight.map_err(failed)?;
    let mut passed = Vec::with_capacity(searcher.segment_readers().len());
    for reader in searcher.segment_readers() {
        let id = reader.segment_id();
        if let Some(known) = cache.and_then(|(cache, key)| cache.get(id, key)) {
            passed.push(known);
            continue;
        }
        let mut docs = BitSet::with_max_value(reader.max_doc());
        weight
            .for_each_no_score(reader, &mut |found| {
                for doc in found {
                    docs.insert(*doc);
                }
            })
            .map_err(failed)?;
        let docs = Arc::new(docs);
        if let Some((cache, key)) = cache {
            cache.put(id, key, Arc::clone(&docs));
        }
        passed.push(docs);
    }
    Ok(passed)
}

/// The request is refused; that a filter cannot run says nothing of the copy.
fn failed(error: tantivy::TantivyError) -> IndexError {
    tracing::error!(error.message = %error, "a filter of documents failed");
    ApiError::internal("a filter of documents failed, so that none are shown").into()
}

/// One segment, as a view shows it. Every way to the documents of a segment goes through it.
#[derive(Clone, Copy)]
pub struct Leaf<'a> {
    reader: &'a SegmentReader,
    passed: Option<&'a BitSet>,
}

impl<'a> Leaf<'a> {
    pub(crate) fn new(reader: &'a SegmentReader, passed: Option<&'a BitSet>) -> Self {
        Self { reader, passed }
    }

    /// Returns one more than the highest document number.
    pub fn max_doc(&self) -> DocId {
        self.reader.max_doc()
    }

    /// Returns whether documents may be hidden that are not deleted.
    pub fn is_filtered(&self) -> bool {
        self.passed.is_some()
    }

    /// Returns whether a document is there to be seen.
    #[inline]
    pub fn sees(&self, doc: DocId) -> bool {
        let alive = self.reader.alive_bitset();
        alive.is_none_or(|alive| alive.is_alive(doc))
            && self.passed.is_none_or(|passed| passed.contains(doc))
    }

    /// Returns the documents to be seen.
    pub fn docs(&self) -> impl Iterator<Item = DocId> + '_ {
        (0..self.max_doc()).filter(|doc| self.sees(*doc))
    }

    /// Returns the number of documents to be seen.
    pub fn num_docs(&self) -> u32 {
        match (self.passed, self.reader.has_deletes()) {
            (None, _) => self.reader.num_docs(),
            // A segment has fewer than 2^32 documents.
            (Some(passed), false) => passed.len() as u32,
            (Some(_), true) => self.docs().count() as u32,
        }
    }

    /// Returns the columns, to be asked about documents that a visit gave.
    pub fn fast_fields(&self) -> &'a FastFieldReaders {
        self.reader.fast_fields()
    }

    /// Visits the matching documents in order until `each` says stop (`false`). A match that is hidden is
    /// `None`, so that the time it takes can be counted. Without scoring the score is 0.
    pub fn visit(
        &self,
        weight: &dyn Weight,
        scoring: bool,
        mut each: impl FnMut(Option<DocId>, Score) -> bool,
    ) -> tantivy::Result<()> {
        let mut scorer = weight.scorer(self.reader, 1.0)?;
        let shown = |doc: DocId| self.sees(doc).then_some(doc);
        if scoring {
            let scorer: &mut dyn Scorer = scorer.as_mut();
            let mut doc = scorer.doc();
            while doc != TERMINATED {
                let shown = shown(doc);
                let score = shown.map_or(0.0, |_| scorer.score());
                if !each(shown, score) {
                    break;
                }
                doc = scorer.advance();
            }
            return Ok(());
        }
        let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
        loop {
            let found = scorer.fill_buffer(&mut block);
            for doc in &block[..found] {
                if !each(shown(*doc), 0.0) {
                    return Ok(());
                }
            }
            if found < block.len() {
                return Ok(());
            }
        }
    }

    /// Visits the matching documents that may score more than a threshold, which `each` returns anew. A match
    /// that is hidden is `None`.
    pub fn visit_best(
        &self,
        weight: &dyn Weight,
        threshold: Score,
        each: &mut dyn FnMut(Option<DocId>, Score) -> Score,
    ) -> tantivy::Result<()> {
        weight.for_each_pruning(threshold, self.reader, &mut |doc, score| {
            each(self.sees(doc).then_some(doc), score)
        })
    }

    /// Tells whether a document that is there to be seen matches.
    pub fn matches(&self, weight: &dyn Weight, doc: DocId) -> tantivy::Result<bool> {
        let mut scorer = weight.scorer(self.reader, 1.0)?;
        Ok(self.sees(doc) && scorer.doc() <= doc && scorer.seek(doc) == doc)
    }

    /// Visits the ids of the segment until `each` says stop (`false`), each with a document that has it and
    /// is there to be seen.
    pub fn visit_ids(
        &self,
        layout: &Layout,
        mut each: impl FnMut(&[u8], DocId) -> bool,
    ) -> tantivy::Result<()> {
        let ids = self.reader.inverted_index(layout.id)?;
        let mut terms = ids.terms().stream()?;
        while terms.advance() {
            let mut postings =
                ids.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            let mut doc = postings.doc();
            while doc != TERMINATED {
                if self.sees(doc) && !each(terms.key(), doc) {
                    return Ok(());
                }
                doc = postings.advance();
            }
        }
        Ok(())
    }

    /// Counts the matching documents, by the quickest way there is.
    pub fn count(&self, weight: &dyn Weight) -> tantivy::Result<u32> {
        if !self.is_filtered() {
            return weight.count(self.reader);
        }
        let mut count = 0;
        self.visit(weight, false, |doc, _| {
            count += u32::from(doc.is_some());
            true
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_filters_is_bounded_in_bytes() {
        let cache = FilterCache::default();
        let segment = SegmentId::generate_random();
        let passed = || Arc::new(BitSet::with_max_value(16 << 20));
        for user in 0..30 {
            cache.put(segment, &format!("user {user}"), passed());
        }
        let known = cache.known.lock();
        let entries = known.passed.iter();
        let bytes: usize = entries
            .map(|((_, key), (_, passed))| bytes_of(key, passed))
            .sum();
        assert_eq!(known.bytes, bytes);
        assert!(known.bytes <= MAX_BYTES, "{}", known.bytes);
        drop(known);
        assert!(cache.get(segment, "user 29").is_some(), "the last is there");
        assert!(cache.get(segment, "user 0").is_none(), "the first is not");
    }
}
