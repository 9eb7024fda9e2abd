//! Reading a document by id. Source: Elasticsearch reference, "Get API" (realtime).

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};

use super::shard_document::DocumentVersion;
use super::{Searcher, Shard, View};
use crate::error::{IndexError, Result};
use crate::translog::OperationKind;

/// A document as read by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDocument {
    pub version: u64,
    pub seq_no: SeqNo,
    pub primary_term: Term,
    pub routing: Option<String>,
    /// JSON text as given.
    pub source: Bytes,
}

impl Shard {
    /// Returns a document as its latest operation left it, searchable or not, if the view shows it.
    pub fn get(&self, id: &str, view: &View) -> Result<Option<GetDocument>> {
        self.check()?;
        // Between finding the place in the translog and reading it, a refresh and a flush may come:
        // then the document is in the index.
        for _ in 0..ATTEMPTS {
            let Some(entry) = self.versions.get(id) else {
                return self.get_searchable(id, view);
            };
            let Some(location) = entry.location else {
                return Ok(None);
            };
            let operation = self.note(self.translog.read(location))?;
            let Some(operation) = operation else {
                continue;
            };
            if let OperationKind::Index {
                routing, source, ..
            } = operation.kind
            {
                if !self.passes(id, routing.as_deref(), &source, entry.at, view)? {
                    return Ok(None);
                }
                let source = view.mask().source(source)?;
                return Ok(Some(document(entry.at, routing, source)));
            }
            break;
        }
        Err(IndexError::Engine {
            action: "read a document",
            reason: "its place in the translog holds something else".to_owned(),
        })
    }

    /// Returns whether the view shows a document that is not in the index yet.
    fn passes(
        &self,
        id: &str,
        routing: Option<&str>,
        source: &Bytes,
        at: DocumentVersion,
        view: &View,
    ) -> Result<bool> {
        if view.has_all_documents() {
            return Ok(true);
        }
        let alone = Searcher::of_one(self.mapping(), id, routing, source.clone(), at)?;
        let seen = alone.narrowed(view)?;
        Ok(seen.leaves().any(|leaf| leaf.num_docs() > 0))
    }

    /// Returns a document as searches with this view see it.
    pub fn get_searchable(&self, id: &str, view: &View) -> Result<Option<GetDocument>> {
        self.check()?;
        let lookup = self.lookup.read().clone();
        let Some((address, at)) = self.note(lookup.find(&self.layout, id))? else {
            return Ok(None);
        };
        let searcher = self.searcher_of(&lookup, view)?;
        let leaf = searcher.leaves().nth(address.segment_ord as usize);
        if !leaf.is_some_and(|leaf| leaf.sees(address.doc_id)) {
            return Ok(None);
        }
        let stored = self.note(searcher.document(address))?;
        Ok(Some(document(at, stored.routing, stored.source)))
    }
}

fn document(at: DocumentVersion, routing: Option<String>, source: Bytes) -> GetDocument {
    GetDocument {
        version: at.version,
        seq_no: at.seq_no,
        primary_term: at.primary_term,
        routing,
        source,
    }
}

const ATTEMPTS: usize = 8;
