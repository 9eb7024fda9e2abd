//! Reading a document by id. Source: data.md section 2.5.

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};

use super::Shard;
use super::shard_document::DocumentVersion;
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
    /// Returns a document as its latest operation left it, searchable or not.
    pub fn get(&self, id: &str) -> Result<Option<GetDocument>> {
        self.check()?;
        // Between finding the place in the translog and reading it, a refresh and a flush may come:
        // then the document is in the index.
        for _ in 0..ATTEMPTS {
            let Some(entry) = self.versions.get(id) else {
                return self.get_searchable(id);
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
                return Ok(Some(document(entry.at, routing, source)));
            }
            break;
        }
        Err(IndexError::Engine {
            action: "read a document",
            reason: "its place in the translog holds something else".to_owned(),
        })
    }

    /// Returns a document as searches see it.
    pub fn get_searchable(&self, id: &str) -> Result<Option<GetDocument>> {
        self.check()?;
        let lookup = self.lookup.read().clone();
        let Some((address, at)) = self.note(lookup.find(&self.layout, id))? else {
            return Ok(None);
        };
        let searcher = super::Searcher::new(
            lookup.searcher().clone(),
            self.layout.clone(),
            self.mapping(),
        );
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
