//! Finding a document by id in what the reader shows.

use std::sync::{Arc, OnceLock};

use tantivy::columnar::Column;
use tantivy::fastfield::AliveBitSet;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocSet, InvertedIndexReader, TERMINATED};

use super::shard_document::DocumentVersion;
use crate::error::{IndexError, Result};
use crate::schema::{self, Layout};

/// Looks up ids in the segments of one searcher.
pub(crate) struct IdLookup {
    searcher: tantivy::Searcher,
    segments: Vec<SegmentIds>,
}

struct SegmentIds {
    ids: Arc<InvertedIndexReader>,
    alive: Option<AliveBitSet>,
    versions: OnceLock<Versions>,
}

#[derive(Clone)]
struct Versions {
    seq_no: Column<u64>,
    primary_term: Column<u64>,
    version: Column<u64>,
}

impl IdLookup {
    pub(crate) fn new(searcher: tantivy::Searcher, layout: &Layout) -> Result<Self> {
        let segments = searcher
            .segment_readers()
            .iter()
            .map(|segment| {
                Ok(SegmentIds {
                    ids: segment
                        .inverted_index(layout.id)
                        .map_err(IndexError::engine("open the ids of a segment"))?,
                    alive: segment.alive_bitset().cloned(),
                    versions: OnceLock::new(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { searcher, segments })
    }

    pub(crate) fn searcher(&self) -> &tantivy::Searcher {
        &self.searcher
    }

    /// Returns where the document of an id is, and which operation it comes from.
    pub(crate) fn find(
        &self,
        layout: &Layout,
        id: &str,
    ) -> Result<Option<(DocAddress, DocumentVersion)>> {
        let term = layout.id_term(id);
        for (segment_ord, segment) in self.segments.iter().enumerate() {
            let postings = segment
                .ids
                .read_postings(&term, IndexRecordOption::Basic)
                .map_err(lookup_failed)?;
            let Some(mut postings) = postings else {
                continue;
            };
            let mut doc = postings.doc();
            while doc != TERMINATED {
                if segment
                    .alive
                    .as_ref()
                    .is_none_or(|alive| alive.is_alive(doc))
                {
                    // Segments number fewer than 2^32.
                    let address = DocAddress::new(segment_ord as u32, doc);
                    return Ok(Some((address, self.version(segment_ord, doc)?)));
                }
                doc = postings.advance();
            }
        }
        Ok(None)
    }

    fn version(&self, segment_ord: usize, doc: u32) -> Result<DocumentVersion> {
        let segment = &self.segments[segment_ord];
        let versions = match segment.versions.get() {
            Some(versions) => versions,
            None => {
                let opened = self.open_versions(segment_ord)?;
                segment.versions.get_or_init(|| opened)
            }
        };
        let read = |column: &Column<u64>| {
            column.first(doc).ok_or_else(|| IndexError::Engine {
                action: "look up a document",
                reason: "a document has no sequence number, term or version".to_owned(),
            })
        };
        Ok(DocumentVersion {
            seq_no: read(&versions.seq_no)?.cast_signed(),
            primary_term: read(&versions.primary_term)?,
            version: read(&versions.version)?,
        })
    }

    fn open_versions(&self, segment_ord: usize) -> Result<Versions> {
        let columns = self.searcher.segment_readers()[segment_ord].fast_fields();
        let open = |name| {
            columns
                .u64(name)
                .map_err(IndexError::engine("open the versions of a segment"))
        };
        Ok(Versions {
            seq_no: open(schema::SEQ_NO)?,
            primary_term: open(schema::PRIMARY_TERM)?,
            version: open(schema::VERSION)?,
        })
    }
}

fn lookup_failed(error: std::io::Error) -> IndexError {
    IndexError::Engine {
        action: "look up a document",
        reason: error.to_string(),
    }
}
