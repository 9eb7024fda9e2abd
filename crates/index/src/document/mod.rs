//! Documents: JSON text to values ready for the index, by the mapping.
//!
//! The text is read once, without building a tree. Fields that the mapping lacks become a mapping
//! update; the caller merges it and parses again. Source: Elasticsearch reference, "Field data types" and "Dynamic
//! mapping".

mod dynamic;
mod visitor;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::json;
use serde_json::Value;

use crate::analysis::{self, Gap, Spent};
use crate::field::Family;
use crate::field::scalar::Rejection;
use crate::mapping::{FieldMapping, IndexOptions, Mapping};
use crate::schema;
use visitor::Reader;

/// A document that can be indexed, unless it asks for a mapping update first.
#[derive(Debug, Clone)]
pub struct ParsedDocument {
    pub id: String,
    pub routing: Option<String>,
    /// The document as given; comments and the like are mended, see [`json::lenient`].
    pub source: Bytes,
    /// Fields to add to the mapping, in the form of a put mapping request. The document must be
    /// parsed again with the new mapping.
    pub mapping_update: Option<Value>,
    pub(crate) values: Values,
}

/// The values of a document by where they go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    pub text: Vec<TextValue>,
    pub keyword: Vec<(Arc<str>, String)>,
    pub long: Vec<(Arc<str>, i64)>,
    pub double: Vec<(Arc<str>, i64)>,
    pub date: Vec<(Arc<str>, i64)>,
    /// Leaf paths with a value, each once.
    pub names: Vec<Arc<str>>,
    pub ignored: Vec<Arc<str>>,
    /// Lengths of texts by path, where the search index counts too many words.
    pub lengths: BTreeMap<Arc<str>, usize>,
    /// Words of fields that keep each once.
    once: BTreeMap<Arc<str>, HashSet<String>>,
    /// What analyzers of settings have taken for all texts.
    pub spent: Spent,
}

/// One value of a text field.
#[derive(Debug, Clone)]
pub(crate) struct TextValue {
    pub path: Arc<str>,
    pub slot: Option<u16>,
    /// Marked with its analyzer, see [`analysis::mark`].
    pub marked: String,
}

impl Values {
    pub(crate) fn name(&mut self, path: &Arc<str>) {
        if !self.is_named(path) {
            self.names.push(path.clone());
        }
    }

    fn is_named(&self, path: &Arc<str>) -> bool {
        self.names.iter().any(|known| Arc::ptr_eq(known, path))
    }

    /// Notes a text without tokens: it exists, but counts for no score.
    fn name_without_tokens(&mut self, path: &Arc<str>) {
        let name = schema::name_without_tokens(path);
        if !self.names.iter().any(|known| **known == *name) {
            self.names.push(name.into());
        }
    }

    pub(crate) fn ignore(&mut self, path: &Arc<str>) {
        if !self.ignored.contains(path) {
            self.ignored.push(path.clone());
        }
    }

    pub(crate) fn number(&mut self, field: &FieldMapping, value: i64) {
        let column = match field.field_type.family() {
            Some(Family::Long | Family::Unsigned | Family::Boolean) => &mut self.long,
            Some(Family::Double | Family::Point) => &mut self.double,
            Some(Family::Date) => &mut self.date,
            Some(
                Family::Keyword | Family::Ip | Family::Range(_) | Family::Binary | Family::Text,
            )
            | None => return,
        };
        column.push((field.path.clone(), value));
        self.name(&field.path);
    }

    pub(crate) fn keyword(&mut self, field: &FieldMapping, value: String) {
        self.keyword.push((field.path.clone(), value));
        self.name(&field.path);
    }

    /// # Errors
    /// Its analyzer makes too much of the text.
    pub(crate) fn text(&mut self, field: &FieldMapping, text: String) -> Result<(), Rejection> {
        let is_further = self.is_named(&field.path);
        let gap = match (field.position_increment_gap, is_further) {
            (0, _) => Gap::None,
            // The engine leaves one place free.
            (gap, true) => Gap::Wider(gap - 1),
            (_, false) => Gap::Wider(0),
        };
        let once = match field.index_options {
            IndexOptions::Docs => Some(self.once.entry(field.path.clone()).or_default()),
            _ => None,
        };
        let marked = analysis::mark(&field.analyzer, gap, text, once, &mut self.spent)?;
        if let Some(length) = marked.length.filter(|_| field.norms) {
            *self.lengths.entry(field.path.clone()).or_default() += length;
        }
        let marked = marked.text;
        if !is_further {
            match analysis::has_tokens(&marked) {
                true => self.names.push(field.path.clone()),
                false => self.name_without_tokens(&field.path),
            }
        }
        self.text.push(TextValue {
            path: field.path.clone(),
            slot: field.text_slot,
            marked,
        });
        Ok(())
    }
}

/// Parses a document.
///
/// Fails with `document_parsing_exception` naming field, type and a preview of the value,
/// `strict_dynamic_mapping_exception`, or `illegal_argument_exception` for an immense term.
pub fn parse_document(
    mapping: &Mapping,
    id: &str,
    routing: Option<&str>,
    source: Bytes,
) -> Result<ParsedDocument, ApiError> {
    check_id(id)?;
    let (source, (values, mapping_update)) = match read(mapping, id, &source) {
        Ok(read) => (source, read),
        Err(error) => match json::lenient(&source) {
            // Kept in the mended form, so that every reader finds plain JSON.
            Some(mended) => {
                let mended = Bytes::from(mended);
                (mended.clone(), read(mapping, id, &mended)?)
            }
            None => return Err(error),
        },
    };
    Ok(ParsedDocument {
        id: id.to_owned(),
        routing: routing.map(str::to_owned),
        source,
        mapping_update,
        values,
    })
}

fn read(mapping: &Mapping, id: &str, source: &[u8]) -> Result<(Values, Option<Value>), ApiError> {
    let mut reader = Reader::new(mapping, id);
    let mut outcome = reader.read(source);
    if reader.must_read_again() {
        reader = Reader::with_exponents(mapping, id, source);
        outcome = reader.read(source);
    }
    outcome?;
    reader.finish()
}

/// Returns a document of which only the id, routing and source are indexed. For replaying what
/// was acknowledged when the mapping at hand cannot read it: better unsearchable than lost.
pub(crate) fn source_only(id: &str, routing: Option<&str>, source: Bytes) -> ParsedDocument {
    ParsedDocument {
        id: id.to_owned(),
        routing: routing.map(str::to_owned),
        source,
        mapping_update: None,
        values: Values::default(),
    }
}

/// Refuses ids that are empty or too long. Source: Elasticsearch reference, "_id field".
pub fn check_id(id: &str) -> Result<(), ApiError> {
    if id.is_empty() {
        return Err(ApiError::illegal_argument(
            "if _id is specified it must not be empty",
        ));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(ApiError::illegal_argument(format!(
            "id [{id}] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {}",
            id.len()
        )));
    }
    Ok(())
}

fn parsing_error(reason: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::DocumentParsing, reason)
}

/// Names that a document may not have at its root. Source: Elasticsearch reference, "Metadata fields".
pub const METADATA_FIELDS: [&str; 15] = [
    "_id",
    "_index",
    "_source",
    "_routing",
    "_field_names",
    "_ignored",
    "_seq_no",
    "_primary_term",
    "_version",
    "_tier",
    "_doc_count",
    "_nested_path",
    "_type",
    "_data_stream_timestamp",
    "_ignored_source",
];

const MAX_ID_BYTES: usize = 512;

#[cfg(test)]
mod tests;
