//! A fixed view of a shard copy: its searchable documents as of a refresh.

use std::sync::Arc;

use bytes::Bytes;
use tantivy::schema::document::OwnedValue;
use tantivy::{DocAddress, Index, ReloadPolicy};

use super::shard_document::{DocumentVersion, ShardDocument, StoredFields};
use crate::error::{IndexError, Result};
use crate::mapping::Mapping;
use crate::schema::{self, Layout};

/// A fixed view of a shard copy. Cheap to clone; holding one keeps its files readable.
#[derive(Clone)]
pub struct Searcher {
    searcher: tantivy::Searcher,
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
            layout,
            mapping,
        }
    }

    /// Returns the view in the search library's terms.
    pub fn tantivy(&self) -> &tantivy::Searcher {
        &self.searcher
    }

    /// Returns how documents are laid out.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the mapping at the time the view was taken.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Reads the stored part of a document.
    pub fn document(&self, address: DocAddress) -> Result<StoredDocument> {
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
        Ok(document)
    }

    /// Returns a view of documents held in memory only, for tests and for trying a query on a few
    /// documents: one segment per slice of `(id, JSON text)`. Sequence numbers count up from 0.
    pub fn in_memory(mapping: Arc<Mapping>, segments: &[&[(&str, &str)]]) -> Result<Self> {
        let layout = Layout::for_mapping(&mapping);
        let index = Index::create_in_ram(layout.schema.clone());
        schema::register_tokenizers(&index);
        let mut writer = index
            .writer_with_num_threads::<ShardDocument>(1, MEMORY_BUDGET)
            .map_err(IndexError::engine("open a writer in memory"))?;
        writer.set_merge_policy(Box::new(tantivy::merge_policy::NoMergePolicy));
        let mut seq_no = 0;
        for segment in segments {
            for (id, source) in *segment {
                let source = Bytes::copy_from_slice(source.as_bytes());
                let document = crate::parse_document(&mapping, id, None, source)?;
                let at = DocumentVersion {
                    seq_no,
                    primary_term: 1,
                    version: 1,
                };
                seq_no += 1;
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

/// The least that the search library takes, in bytes.
const MEMORY_BUDGET: usize = 15_000_000;
