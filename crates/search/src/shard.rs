//! What a search sees of one shard: a searcher, its mapping, and the circumstances of the request.

use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_index::schema::{Layout, SEQ_NO};
use ringwall_index::{FieldMapping, Mapping, Searcher};
use tantivy::{SegmentReader, Term};

use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::query_shard;
use crate::source_filter::name_matches;

/// The circumstances under which a shard runs a request.
#[derive(Clone, Copy)]
pub struct ShardContext<'a> {
    /// The name of the index, as hits show it.
    pub index: &'a str,
    /// What `now` means in date math: milliseconds since 1970, the same for every shard of a
    /// request.
    pub now_millis: i64,
    pub limits: SearchLimits,
    /// Asked every few thousand documents.
    pub interrupt: &'a (dyn Fn() -> Interrupt + Sync),
}

/// Bounds of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchLimits {
    /// `index.max_result_window`.
    pub max_result_window: usize,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            max_result_window: 10_000,
        }
    }
}

/// Whether a running search goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    Continue,
    /// The timeout passed: answer with what was found.
    TimedOut,
    /// Nobody waits for the answer any more.
    Cancelled,
}

/// A context of defaults, for callers without a deadline.
impl Default for ShardContext<'_> {
    fn default() -> Self {
        Self {
            index: "",
            now_millis: 0,
            limits: SearchLimits::default(),
            interrupt: &|| Interrupt::Continue,
        }
    }
}

/// A shard under search.
pub(crate) struct Shard<'a> {
    searcher: &'a Searcher,
    pub(crate) context: ShardContext<'a>,
    segments: Vec<Segment<'a>>,
}

/// A segment, and its number among those of the engine.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) ordinal: u32,
    pub(crate) reader: &'a SegmentReader,
}

impl<'a> Shard<'a> {
    pub(crate) fn new(
        searcher: &'a Searcher,
        context: &ShardContext<'a>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            searcher,
            context: *context,
            segments: in_order_of_writing(searcher.tantivy())?,
        })
    }

    /// Returns the segments, the one with the earliest write first. The place in this list is the
    /// segment of a [`crate::DocAddress`].
    pub(crate) fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    pub(crate) fn index_searcher(&self) -> &'a Searcher {
        self.searcher
    }

    pub(crate) fn searcher(&self) -> &'a tantivy::Searcher {
        self.searcher.tantivy()
    }

    pub(crate) fn layout(&self) -> &'a Layout {
        self.searcher.layout()
    }

    pub(crate) fn mapping(&self) -> &'a Mapping {
        self.searcher.mapping()
    }

    /// Returns the mapped or metadata field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<FieldRef<'a>> {
        match self.mapping().field(name) {
            Some(mapping) => FieldRef::mapped(mapping, self.layout()),
            None => FieldRef::meta(name, self.layout()),
        }
    }

    /// Returns a field for a query, `None` when it is not mapped.
    pub(crate) fn searchable(&self, name: &str) -> Result<Option<FieldRef<'a>>, ApiError> {
        if UNSEARCHABLE.contains(&name) {
            return Err(query_shard(format!("Field [{name}] is not searchable")));
        }
        let Some(field) = self.field(name) else {
            return Ok(None);
        };
        if !field.is_searchable() {
            return Err(query_shard(format!(
                "failed to create query: Cannot search on field [{name}] since it is not indexed \
                 nor has doc values."
            )));
        }
        Ok(Some(field))
    }

    /// Tells whether terms of the field are lower case.
    pub(crate) fn lowercases(&self, name: &str) -> bool {
        use ringwall_index::Analyzer;
        matches!(
            self.field(name).map(|field| field.kind),
            Some(FieldKind::Text { analyzer })
                if !matches!(analyzer, Analyzer::Keyword | Analyzer::Whitespace)
        )
    }

    /// Returns the names of searchable fields that match a pattern, in the mapping's order.
    pub(crate) fn fields_matching(&self, pattern: &str) -> Vec<String> {
        self.mapped_matching(pattern)
            .filter(|field| field.is_searchable() && field.field_type.family().is_some())
            .map(|field| field.path.to_string())
            .collect()
    }

    /// Returns the mapped fields that match a name or pattern.
    pub(crate) fn mapped_matching<'p>(
        &self,
        pattern: &'p str,
    ) -> impl Iterator<Item = &'a Arc<FieldMapping>> + use<'a, 'p> {
        self.mapping()
            .fields()
            .filter(move |field| name_matches(pattern, &field.path))
    }

    /// Returns the leaf paths that a name in `exists` stands for: itself, the fields of an object,
    /// or those of a pattern.
    pub(crate) fn names_for_exists(&self, name: &str) -> Vec<String> {
        if name.contains('*') {
            return self
                .mapped_matching(name)
                .map(|field| field.path.to_string())
                .collect();
        }
        if self.mapping().field(name).is_some() {
            return vec![name.to_owned()];
        }
        self.mapping()
            .fields_under(name)
            .map(|field| field.path.to_string())
            .collect()
    }

    /// Returns the term that finds documents with a value for a leaf path.
    pub(crate) fn exists_term(&self, name: &str) -> Term {
        self.layout().exists_term(name)
    }

    /// Tells whether the name is a metadata field that every document has.
    pub(crate) fn is_metadata_of_every_document(&self, name: &str) -> bool {
        matches!(
            name,
            "_id" | "_index" | "_source" | "_seq_no" | "_version" | "_primary_term"
        )
    }

    /// Returns the number of documents with a value for the field, deleted ones included until
    /// they are merged away.
    pub(crate) fn docs_with(&self, name: &str) -> Result<u64, ApiError> {
        if self.is_metadata_of_every_document(name) {
            return Ok(self
                .searcher()
                .segment_readers()
                .iter()
                .map(|reader| u64::from(reader.max_doc()))
                .sum());
        }
        self.searcher()
            .doc_freq(&self.exists_term(name))
            .map_err(|e| engine_error(&e))
    }
}

/// The engine orders segments by their random names. Ties between documents go to the earlier
/// write instead, so that every copy of a shard and every run answers alike.
fn in_order_of_writing(searcher: &tantivy::Searcher) -> Result<Vec<Segment<'_>>, ApiError> {
    let mut segments = (0..)
        .zip(searcher.segment_readers())
        .map(|(ordinal, reader)| {
            let column = reader.fast_fields().u64(SEQ_NO);
            let first = column.map_err(|e| engine_error(&e))?.min_value();
            Ok((first, Segment { ordinal, reader }))
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    segments.sort_by_key(|(first, segment)| (*first, segment.ordinal));
    Ok(segments.into_iter().map(|(_, segment)| segment).collect())
}

/// Metadata that is stored or internal only.
const UNSEARCHABLE: [&str; 4] = ["_source", "_routing", "_field_names", "_ignored"];
