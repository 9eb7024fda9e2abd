//! Reading a document by id. Source: Elasticsearch reference, "Get API" (realtime).

use std::sync::Arc;

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};

use super::lookup::IdLookup;
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
        self.by_id(view).get(id)
    }

    /// Reads documents with one view.
    pub fn by_id<'a>(&'a self, view: &'a View) -> ById<'a> {
        ById {
            shard: self,
            view,
            searchable: None,
        }
    }

    /// Returns whether a document has been written since the last refresh.
    pub fn is_unrefreshed(&self, id: &str) -> bool {
        let entry = self.versions.get(id);
        entry.is_some_and(|entry| entry.location.is_some())
    }
}

/// Reads documents by id. What the view lets through is found once for all of them.
pub struct ById<'a> {
    shard: &'a Shard,
    view: &'a View,
    /// What searches with the view see, by what the copy shows.
    searchable: Option<(Arc<IdLookup>, Searcher)>,
}

impl ById<'_> {
    /// Returns a document as its latest operation left it, searchable or not, if the view shows it. One that no search
    /// shows yet is looked at in an index of its own if documents are hidden: rather refresh before many of these.
    pub fn get(&mut self, id: &str) -> Result<Option<GetDocument>> {
        let (shard, view) = (self.shard, self.view);
        shard.check()?;
        // Between finding the place in the translog and reading it, a refresh and a flush may come:
        // then the document is in the index.
        for _ in 0..ATTEMPTS {
            let Some(entry) = shard.versions.get(id) else {
                return self.get_searchable(id);
            };
            let Some(location) = entry.location else {
                return Ok(None);
            };
            let operation = shard.note(shard.translog.read(location))?;
            let Some(operation) = operation else {
                continue;
            };
            if let OperationKind::Index {
                routing, source, ..
            } = operation.kind
            {
                if !shard.passes(id, routing.as_deref(), &source, entry.at, view)? {
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

    /// Returns a document as searches with the view see it.
    pub fn get_searchable(&mut self, id: &str) -> Result<Option<GetDocument>> {
        let shard = self.shard;
        shard.check()?;
        let lookup = shard.lookup.read().clone();
        let Some((address, at)) = shard.note(lookup.find(&shard.layout, id))? else {
            return Ok(None);
        };
        let searcher = match &mut self.searchable {
            Some((known, searcher)) if Arc::ptr_eq(known, &lookup) => searcher,
            other => {
                let searcher = shard.searcher_of(&lookup, self.view)?;
                &mut other.insert((lookup, searcher)).1
            }
        };
        let leaf = searcher.leaves().nth(address.segment_ord as usize);
        if !leaf.is_some_and(|leaf| leaf.sees(address.doc_id)) {
            return Ok(None);
        }
        let stored = shard.note(searcher.document(address))?;
        Ok(Some(document(at, stored.routing, stored.source)))
    }
}

impl Shard {
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
