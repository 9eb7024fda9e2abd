//! Writes: on the primary, which decides, and on a replica, which follows.
//! Source: Elasticsearch reference, "Optimistic concurrency control"; elastic/elasticsearch-formal-models,
//! `ReplicaEngine`.

use bytes::Bytes;
use ringwall_api::document::{VersionType, WriteResult};
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{SeqNo, Term};

use super::recent::{RecentWrite, RequestItem};
use super::shard_document::{DocumentVersion, ShardDocument};
use super::version_map::VersionEntry;
use super::writer::Change;
use super::{Sequence, Shard};
use crate::document::{self, ParsedDocument};
use crate::error::{IndexError, Result};
use crate::translog::{Location, Operation, OperationKind, Origin};

/// What must hold of the stored document for a write to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Condition {
    /// There is no such document (`op_type=create`).
    pub create: bool,
    /// The document's last operation is this one, together with the term.
    pub if_seq_no: Option<SeqNo>,
    pub if_primary_term: Option<Term>,
    /// With an external [`VersionType`]: the version that the document gets.
    pub version: Option<u64>,
    pub version_type: VersionType,
    /// Who asks: what was applied for the same item before is not applied again, whatever else must hold.
    pub by: Option<RequestItem>,
}

/// A write that was applied on the primary, to be replicated and then acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    pub operation: Operation,
    pub version: u64,
    pub result: WriteResult,
}

impl Applied {
    fn of(operation: Operation, version: u64, existed: bool) -> Self {
        let is_delete = matches!(operation.kind, OperationKind::Delete { .. });
        Self {
            operation,
            version,
            result: match (is_delete, existed) {
                (false, true) => WriteResult::Updated,
                (false, false) => WriteResult::Created,
                (true, true) => WriteResult::Deleted,
                (true, false) => WriteResult::NotFound,
            },
        }
    }
}

fn origin(by: Option<RequestItem>, existed: bool) -> Option<Origin> {
    by.map(|by| Origin {
        request: by.request,
        item: by.item,
        existed,
    })
}

impl Shard {
    /// Indexes a document as the primary of a term.
    ///
    /// `new_id` promises that no document has or had this id: it was made for this write and the
    /// write was never tried before. Fails with a version conflict (409) when the condition does
    /// not hold, and with [`IndexError::MappingBehind`] for a document that still asks for a
    /// mapping update; neither takes a sequence number.
    pub fn index(
        &self,
        term: Term,
        document: ParsedDocument,
        condition: Condition,
        new_id: bool,
    ) -> Result<Applied> {
        self.check()?;
        if document.mapping_update.is_some() {
            return Err(IndexError::MappingBehind { id: document.id });
        }
        let _ordered = self.ids.lock(&document.id);
        if let Some(write) = condition.by.and_then(|by| self.recent.get(by)) {
            let kind = OperationKind::Index {
                id: document.id,
                routing: document.routing,
                version: write.version,
                source: document.source,
            };
            return self.again(write, kind);
        }
        let current = match new_id {
            true => None,
            false => self.current(&document.id)?,
        };
        let version = self.next_version(&document.id, current, condition)?;
        let exists = current.is_some_and(|entry| !entry.is_delete());
        let at = self.assign(term, version);
        let operation = Operation {
            seq_no: at.seq_no,
            primary_term: term,
            kind: OperationKind::Index {
                id: document.id.clone(),
                routing: document.routing.clone(),
                version,
                source: document.source.clone(),
            },
            origin: origin(condition.by, exists),
        };
        let location = self.note(self.translog.append(&operation))?;
        self.submit_document(document, at, exists, location)?;
        self.recent.note(&operation, Some(location));
        Ok(Applied::of(operation, version, exists))
    }

    /// Deletes a document as the primary of a term. Deleting what is not there is an operation
    /// too: it may come after an index operation elsewhere.
    pub fn delete(&self, term: Term, id: &str, condition: Condition) -> Result<Applied> {
        self.check()?;
        document::check_id(id)?;
        let _ordered = self.ids.lock(id);
        if let Some(write) = condition.by.and_then(|by| self.recent.get(by)) {
            let kind = OperationKind::Delete {
                id: id.to_owned(),
                version: write.version,
            };
            return self.again(write, kind);
        }
        let current = self.current(id)?;
        let version = self.next_version(id, current, condition)?;
        let exists = current.is_some_and(|entry| !entry.is_delete());
        let at = self.assign(term, version);
        let operation = Operation {
            seq_no: at.seq_no,
            primary_term: term,
            kind: OperationKind::Delete {
                id: id.to_owned(),
                version,
            },
            origin: origin(condition.by, exists),
        };
        let location = self.note(self.translog.append(&operation))?;
        self.submit_delete(id, at, exists)?;
        self.recent.note(&operation, Some(location));
        Ok(Applied::of(operation, version, exists))
    }

    /// Returns what came of a write that was applied before: to be replicated again, as that may not have been
    /// finished, and answered as the first time. Where the operation is not kept, every copy has it, and one like it
    /// will do.
    fn again(&self, write: RecentWrite, kind: OperationKind) -> Result<Applied> {
        let operation = self.kept(write)?.unwrap_or_else(|| Operation {
            seq_no: write.seq_no,
            primary_term: write.primary_term,
            kind,
            origin: Some(write.origin()),
        });
        Ok(Applied::of(operation, write.version, write.existed))
    }

    /// After a promotion, or after opening as the primary: gives every sequence number that this
    /// copy lacks to an operation that does nothing. Returns them; they are replicated like
    /// others. A number whose operation is being applied at this moment is not missing.
    pub fn fill_gaps(&self, term: Term) -> Result<Vec<Operation>> {
        self.check()?;
        let missing = {
            let mut sequence = self.sequence.lock();
            let mut missing = sequence.processed.missing_up_to(sequence.next - 1);
            missing.retain(|seq_no| sequence.terms.get(*seq_no).is_none());
            for seq_no in &missing {
                sequence.terms.insert(*seq_no, term);
            }
            missing
        };
        let mut operations = Vec::with_capacity(missing.len());
        for seq_no in missing {
            let operation = Operation {
                seq_no,
                primary_term: term,
                kind: OperationKind::NoOp {
                    reason: "filling gaps".to_owned(),
                },
                origin: None,
            };
            self.note(self.translog.append(&operation))?;
            self.record(seq_no, None)?;
            operations.push(operation);
        }
        Ok(operations)
    }

    /// Applies an operation of the primary's. May be called with operations in any order, and
    /// again with the same: the newest by sequence number wins for each document.
    ///
    /// Fails with [`IndexError::MappingBehind`] before anything has happened, and with
    /// [`IndexError::Diverged`] when this copy holds another operation under the same number.
    pub fn apply(&self, operation: &Operation) -> Result<()> {
        let location = self.apply_once(operation)?;
        self.recent.note(operation, location);
        Ok(())
    }

    /// Returns where the log has the operation, unless it was there before.
    fn apply_once(&self, operation: &Operation) -> Result<Option<Location>> {
        self.check()?;
        if !self.is_wanted(operation)? {
            return Ok(None);
        }
        match &operation.kind {
            OperationKind::Index {
                id,
                routing,
                version,
                source,
            } => {
                let document = self.parse_replicated(id, routing.as_deref(), source)?;
                let _ordered = self.ids.lock(id);
                if !self.claim(operation)? {
                    return Ok(None);
                }
                let current = self.current(id)?;
                if current.is_some_and(|entry| entry.at.seq_no > operation.seq_no) {
                    return self.append_only(operation).map(Some);
                }
                let exists = current.is_some_and(|entry| !entry.is_delete());
                let at = version_of(operation, *version);
                let location = self.note(self.translog.append(operation))?;
                self.submit_document(document, at, exists, location)?;
                Ok(Some(location))
            }
            OperationKind::Delete { id, version } => {
                let _ordered = self.ids.lock(id);
                if !self.claim(operation)? {
                    return Ok(None);
                }
                let current = self.current(id)?;
                if current.is_some_and(|entry| entry.at.seq_no > operation.seq_no) {
                    return self.append_only(operation).map(Some);
                }
                let exists = current.is_some_and(|entry| !entry.is_delete());
                let location = self.note(self.translog.append(operation))?;
                self.submit_delete(id, version_of(operation, *version), exists)?;
                Ok(Some(location))
            }
            OperationKind::NoOp { .. } => match self.claim(operation)? {
                true => self.append_only(operation).map(Some),
                false => Ok(None),
            },
        }
    }

    /// Applies an operation that the translog already holds.
    pub(super) fn replay(&self, operation: Operation, location: Location) -> Result<()> {
        let (seq_no, term) = (operation.seq_no, operation.primary_term);
        match operation.kind {
            OperationKind::Index {
                ref id,
                ref routing,
                version,
                ref source,
            } => {
                let current = self.current(id)?;
                // The commit may hold the operation, or a later one on the document.
                if current.is_some_and(|entry| entry.at.seq_no >= seq_no) {
                    return self.record(seq_no, Some(term));
                }
                let exists = current.is_some_and(|entry| !entry.is_delete());
                let document = self.parse_replayed(id, routing.as_deref(), source);
                let at = version_of(&operation, version);
                self.submit_document(document, at, exists, location)
            }
            OperationKind::Delete { ref id, version } => {
                let current = self.current(id)?;
                // The commit may hold the operation, or a later one on the document.
                if current.is_some_and(|entry| entry.at.seq_no >= seq_no) {
                    return self.record(seq_no, Some(term));
                }
                let exists = current.is_some_and(|entry| !entry.is_delete());
                self.submit_delete(id, version_of(&operation, version), exists)
            }
            OperationKind::NoOp { .. } => self.record(seq_no, Some(term)),
        }
    }

    /// Returns the last operation on a document, searchable or not.
    fn current(&self, id: &str) -> Result<Option<VersionEntry>> {
        if let Some(entry) = self.versions.get(id) {
            return Ok(Some(entry));
        }
        let lookup = self.lookup.read().clone();
        let found = self.note(lookup.find(&self.layout, id))?;
        Ok(found.map(|(_, at)| VersionEntry {
            at,
            // Any place will do: it only says that the document exists.
            location: Some(Location {
                generation: 0,
                offset: 0,
                length: 0,
            }),
        }))
    }

    /// Takes the next sequence number.
    fn assign(&self, term: Term, version: u64) -> DocumentVersion {
        let mut sequence = self.sequence.lock();
        let seq_no = sequence.next;
        sequence.next += 1;
        sequence.terms.insert(seq_no, term);
        DocumentVersion {
            seq_no,
            primary_term: term,
            version,
        }
    }

    fn next_version(
        &self,
        id: &str,
        current: Option<VersionEntry>,
        condition: Condition,
    ) -> Result<u64> {
        let existing = current.filter(|entry| !entry.is_delete());
        if let Some(seq_no) = condition.if_seq_no {
            let term = condition.if_primary_term.unwrap_or_default();
            let required = format!("required seqNo [{seq_no}], primary term [{term}]");
            match existing.map(|entry| entry.at) {
                Some(at) if at.seq_no == seq_no && at.primary_term == term => {}
                Some(at) => {
                    return Err(self.conflict(
                        id,
                        &format!(
                            "{required}. current document has seqNo [{}] and primary term [{}]",
                            at.seq_no, at.primary_term
                        ),
                    ));
                }
                None => {
                    return Err(
                        self.conflict(id, &format!("{required}. but no document was found"))
                    );
                }
            }
        }
        if let Some(entry) = existing.filter(|_| condition.create) {
            let version = entry.at.version;
            let reason = format!("document already exists (current version [{version}])");
            return Err(self.conflict(id, &reason));
        }
        // A delete keeps its version for a while, so that versions go on from it.
        let stored = current.map(|entry| entry.at.version);
        match (condition.version_type, condition.version) {
            (VersionType::Internal, _) | (_, None) => Ok(stored.unwrap_or(0) + 1),
            (VersionType::External, Some(given)) => match stored {
                Some(stored) if stored >= given => Err(self.conflict(
                    id,
                    &format!(
                        "current version [{stored}] is higher or equal to the one provided [{given}]"
                    ),
                )),
                _ => Ok(given),
            },
            (VersionType::ExternalGte, Some(given)) => match stored {
                Some(stored) if stored > given => Err(self.conflict(
                    id,
                    &format!("current version [{stored}] is higher than the one provided [{given}]"),
                )),
                _ => Ok(given),
            },
        }
    }

    fn conflict(&self, id: &str, reason: &str) -> IndexError {
        let shard = self.id();
        let reason = format!("[{id}]: version conflict, {reason}");
        ApiError::new(ErrorCode::VersionConflict, reason)
            .with("index", shard.index.name)
            .with("index_uuid", shard.index.uuid)
            .with("shard", shard.shard.to_string())
            .into()
    }

    /// Hands a document to the search index; from the same moment on it counts as processed.
    fn submit_document(
        &self,
        document: ParsedDocument,
        at: DocumentVersion,
        exists: bool,
        location: Location,
    ) -> Result<()> {
        let id = document.id.clone();
        let replaced = exists.then(|| self.layout.id_term(&id));
        let document = ShardDocument::new(&self.layout, document, at);
        let change = match replaced {
            Some(term) => Change::Replace(term, document),
            None => Change::Add(document),
        };
        let entry = VersionEntry {
            at,
            location: Some(location),
        };
        let recorded = || {
            self.versions.put(id, entry);
            self.mark(at.seq_no, Some(at.primary_term));
        };
        self.note(self.writer.submit(change, recorded))
    }

    fn submit_delete(&self, id: &str, at: DocumentVersion, exists: bool) -> Result<()> {
        let entry = VersionEntry { at, location: None };
        let recorded = || {
            self.versions.put(id.to_owned(), entry);
            self.mark(at.seq_no, Some(at.primary_term));
        };
        let result = match exists {
            true => {
                let change = Change::Delete(self.layout.id_term(id));
                self.writer.submit(change, recorded)
            }
            false => self.writer.record_only(recorded),
        };
        self.note(result)
    }

    /// Counts an operation that changes nothing as processed.
    fn record(&self, seq_no: SeqNo, term: Option<Term>) -> Result<()> {
        self.note(self.writer.record_only(|| self.mark(seq_no, term)))
    }

    fn append_only(&self, operation: &Operation) -> Result<Location> {
        let location = self.note(self.translog.append(operation))?;
        self.record(operation.seq_no, Some(operation.primary_term))?;
        Ok(location)
    }

    fn mark(&self, seq_no: SeqNo, term: Option<Term>) {
        let mut sequence = self.sequence.lock();
        sequence.processed.mark(seq_no);
        sequence.next = sequence.next.max(seq_no + 1);
        if let Some(term) = term
            && seq_no > sequence.global_checkpoint
            && sequence.terms.get(seq_no).is_none()
        {
            sequence.terms.insert(seq_no, term);
        }
    }

    /// Returns whether the copy lacks the operation.
    fn is_wanted(&self, operation: &Operation) -> Result<bool> {
        self.sequence.lock().is_wanted(operation)
    }

    /// Takes the sequence number for the operation, against others that come under the same number
    /// at the same time. Returns `false` when it was applied meanwhile. From here on nothing may
    /// fail but the copy as a whole.
    fn claim(&self, operation: &Operation) -> Result<bool> {
        let mut sequence = self.sequence.lock();
        if !sequence.is_wanted(operation)? {
            return Ok(false);
        }
        if sequence.terms.get(operation.seq_no).is_none() {
            sequence
                .terms
                .insert(operation.seq_no, operation.primary_term);
        }
        sequence.next = sequence.next.max(operation.seq_no + 1);
        Ok(true)
    }

    fn parse_replicated(
        &self,
        id: &str,
        routing: Option<&str>,
        source: &Bytes,
    ) -> Result<ParsedDocument> {
        let document = document::parse_document(&self.mapping(), id, routing, source.clone());
        match document {
            Ok(document) if document.mapping_update.is_some() => {
                Err(IndexError::MappingBehind { id: id.to_owned() })
            }
            Ok(document) => Ok(document),
            // The primary took it, so it must not be lost here.
            Err(error) => {
                tracing::warn!(id, %error, "replicated document is kept but cannot be searched");
                Ok(document::source_only(id, routing, source.clone()))
            }
        }
    }

    fn parse_replayed(&self, id: &str, routing: Option<&str>, source: &Bytes) -> ParsedDocument {
        match document::parse_document(&self.mapping(), id, routing, source.clone()) {
            Ok(mut document) => {
                // What the mapping lacks stays unsearchable; the source has it.
                document.mapping_update = None;
                document
            }
            Err(error) => {
                tracing::warn!(id, %error, "replayed document is kept but cannot be searched");
                document::source_only(id, routing, source.clone())
            }
        }
    }
}

impl Sequence {
    fn is_wanted(&self, operation: &Operation) -> Result<bool> {
        match self.terms.get(operation.seq_no) {
            Some(held) if held != operation.primary_term => Err(IndexError::Diverged {
                seq_no: operation.seq_no,
                held,
                got: operation.primary_term,
            }),
            _ => Ok(!self.processed.contains(operation.seq_no)),
        }
    }
}

fn version_of(operation: &Operation, version: u64) -> DocumentVersion {
    DocumentVersion {
        seq_no: operation.seq_no,
        primary_term: operation.primary_term,
        version,
    }
}
