//! A fixed view of a shard copy: its searchable documents as of a refresh.

use std::sync::Arc;

use bytes::Bytes;
use tantivy::query::{EnableScoring, Query, Weight};
use tantivy::schema::Field;
use tantivy::schema::document::OwnedValue;
use tantivy::{DocAddress, Index, ReloadPolicy, Term};

use super::shard_document::{DocumentVersion, ShardDocument, StoredFields};
use super::view::{self, FieldMask, FilterCache, Leaf, Passed, View};
use crate::error::{IndexError, Result};
use crate::mapping::Mapping;
use crate::schema::{self, Layout};

/// A fixed view of a shard copy. Cheap to clone; holding one keeps its files readable.
///
/// It shows what its [`View`] shows. Statistics (how many documents have a term, how long fields are) are
/// those of the whole copy, so that a document scores the same whoever looks.
#[derive(Clone)]
pub struct Searcher {
    /// Sees everything, so it is not given out.
    searcher: tantivy::Searcher,
    /// The documents that filters let through, by segment; `None` without filters.
    passed: Option<Arc<Vec<Passed>>>,
    mask: FieldMask,
    layout: Arc<Layout>,
    mapping: Arc<Mapping>,
}

/// The stored part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    pub id: String,
    pub routing: Option<String>,
    pub source: Bytes,
    /// Paths of which a value was left out of the index.
    pub ignored: Vec<String>,
}

impl Searcher {
    pub(crate) fn new(
        searcher: tantivy::Searcher,
        layout: Arc<Layout>,
        mapping: Arc<Mapping>,
    ) -> Self {
        Self {
            searcher,
            passed: None,
            mask: FieldMask::default(),
            layout,
            mapping,
        }
    }

    pub(crate) fn raw(&self) -> &tantivy::Searcher {
        &self.searcher
    }

    /// Returns this searcher, showing only what the view shows too.
    ///
    /// # Errors
    /// A filter of the view does not fit the mapping.
    pub fn narrowed(self, view: &View) -> Result<Self> {
        self.narrowed_by(view, None)
    }

    pub(crate) fn narrowed_by(mut self, view: &View, cache: Option<&FilterCache>) -> Result<Self> {
        if !view.filters().is_empty() {
            let whole = Self::new(
                self.searcher.clone(),
                self.layout.clone(),
                self.mapping.clone(),
            );
            let passed = view::passed(&whole, view.filters(), cache)?;
            let passed = match &self.passed {
                None => passed,
                Some(before) => {
                    let pairs = before.iter().zip(&passed);
                    pairs.map(|(one, two)| view::both(one, two)).collect()
                }
            };
            self.passed = Some(Arc::new(passed));
        }
        self.mapping = view.mask().mapping(&self.mapping);
        self.mask = self.mask.and(view.mask().clone());
        Ok(self)
    }

    /// Returns the segments, in the order of [`DocAddress::segment_ord`].
    pub fn leaves(&self) -> impl Iterator<Item = Leaf<'_>> {
        let readers = self.searcher.segment_readers().iter().enumerate();
        readers.map(|(ordinal, reader)| {
            let passed = self.passed.as_ref().map(|passed| &*passed[ordinal]);
            Leaf::new(reader, passed)
        })
    }

    /// Prepares a query for the segments.
    pub fn weight(&self, query: &dyn Query, scoring: bool) -> tantivy::Result<Box<dyn Weight>> {
        query.weight(match scoring {
            true => EnableScoring::enabled_from_searcher(&self.searcher),
            false => EnableScoring::disabled_from_searcher(&self.searcher),
        })
    }

    /// Returns the number of documents of the whole copy that have a term.
    pub fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.searcher.doc_freq(term)
    }

    /// Returns the number of tokens of a field in the whole copy.
    pub fn token_count(&self, field: Field) -> tantivy::Result<u64> {
        let mut tokens = 0;
        for reader in self.searcher.segment_readers() {
            tokens += reader.inverted_index(field)?.total_num_tokens();
        }
        Ok(tokens)
    }

    /// Visits the terms of a field from one on, segment by segment, until told to go to the next (`false`).
    /// They are those of the whole copy: a query for one finds what is shown, or nothing.
    pub fn visit_terms(
        &self,
        field: Field,
        from: &[u8],
        mut visit: impl FnMut(&[u8]) -> bool,
    ) -> tantivy::Result<()> {
        for reader in self.searcher.segment_readers() {
            let inverted = reader.inverted_index(field)?;
            let mut stream = inverted.terms().range().ge(from).into_stream()?;
            while stream.advance() && visit(stream.key()) {}
        }
        Ok(())
    }

    /// Returns how documents are laid out.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the mapping at the time the view was taken.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Tells whether some fields are hidden.
    pub fn hides_fields(&self) -> bool {
        self.mask.hides()
    }

    /// Reads the stored part of a document, as far as it is shown.
    ///
    /// # Errors
    /// The document is not there to be seen, or cannot be read.
    pub fn document(&self, address: DocAddress) -> Result<StoredDocument> {
        let leaf = self.leaves().nth(address.segment_ord as usize);
        if !leaf.is_some_and(|leaf| address.doc_id < leaf.max_doc() && leaf.sees(address.doc_id)) {
            let missing = ringwall_api::ApiError::new(
                ringwall_api::ErrorCode::SearchContextMissing,
                "the document to fetch is not part of this search context",
            );
            return Err(missing.into());
        }
        let StoredFields(fields) = self
            .searcher
            .doc(address)
            .map_err(IndexError::engine("read a stored document"))?;
        let mut document = StoredDocument {
            id: String::new(),
            routing: None,
            source: Bytes::new(),
            ignored: Vec::new(),
        };
        for (field, value) in fields {
            match value {
                OwnedValue::Bytes(bytes) => document.source = bytes.into(),
                OwnedValue::Str(text) if field == self.layout.id => document.id = text,
                OwnedValue::Str(text) if field == self.layout.routing => {
                    document.routing = Some(text);
                }
                OwnedValue::Str(text) if field == self.layout.ignored => {
                    document.ignored.push(text);
                }
                _ => {}
            }
        }
        document.source = self.mask.source(document.source)?;
        document.ignored.retain(|path| self.mask.shows(path));
        Ok(document)
    }

    /// Returns a view of documents held in memory only, for tests and for trying a query on a few
    /// documents: one segment per slice of `(id, JSON text)`. Sequence numbers count up from 0.
    pub fn in_memory(mapping: Arc<Mapping>, segments: &[&[(&str, &str)]]) -> Result<Self> {
        let mut seq_no = 0;
        let segments: Vec<Vec<Given<'_>>> = segments
            .iter()
            .map(|segment| {
                let documents = segment.iter().map(|(id, source)| {
                    let at = DocumentVersion {
                        seq_no,
                        primary_term: 1,
                        version: 1,
                    };
                    seq_no += 1;
                    (*id, None, Bytes::copy_from_slice(source.as_bytes()), at)
                });
                documents.collect()
            })
            .collect();
        Self::of_documents(mapping, segments)
    }

    /// Returns a view of one document that the index does not show yet.
    pub(crate) fn of_one(
        mapping: Arc<Mapping>,
        id: &str,
        routing: Option<&str>,
        source: Bytes,
        at: DocumentVersion,
    ) -> Result<Self> {
        Self::of_documents(mapping, vec![vec![(id, routing, source, at)]])
    }

    fn of_documents(mapping: Arc<Mapping>, segments: Vec<Vec<Given<'_>>>) -> Result<Self> {
        let layout = Layout::for_mapping(&mapping);
        let index = Index::create_in_ram(layout.schema.clone());
        schema::register_tokenizers(&index);
        let mut writer = index
            .writer_with_num_threads::<ShardDocument>(1, MEMORY_BUDGET)
            .map_err(IndexError::engine("open a writer in memory"))?;
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        for segment in segments {
            for (id, routing, source, at) in segment {
                let document = crate::parse_document(&mapping, id, routing, source)?;
                writer
                    .add_document(ShardDocument::new(&layout, document, at))
                    .map_err(IndexError::engine("add a document in memory"))?;
            }
            writer
                .commit()
                .map_err(IndexError::engine("commit in memory"))?;
        }
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(IndexError::engine("open a reader in memory"))?;
        Ok(Self::new(reader.searcher(), Arc::new(layout), mapping))
    }
}

/// Id, routing, JSON text, and the operation that a document is of.
type Given<'a> = (&'a str, Option<&'a str>, Bytes, DocumentVersion);

/// The least that the search library takes, in bytes.
const MEMORY_BUDGET: usize = 15_000_000;
