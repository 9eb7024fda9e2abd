//! What a search sees of one shard: a searcher, its mapping, and the circumstances of the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::schema::{IGNORED, Layout, ROUTING, SEQ_NO, name_without_tokens};
use ringwall_index::{Analyzer, FieldMapping, Leaf, Mapping, Searcher};
use serde::{Deserialize, Serialize};
use tantivy::Term;

use crate::control::{Interrupt, Pulse, SearchControl, Unlimited};
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::query_shard;
use crate::source_filter::name_matches;

/// The circumstances under which a shard runs a request.
#[derive(Clone)]
pub struct ShardContext<'a> {
    /// The name of the index, as hits show it.
    pub index: &'a str,
    /// What `now` means in date math: milliseconds since 1970, the same for every shard of a
    /// request.
    pub now_millis: i64,
    pub limits: SearchLimits,
    pub place: ShardPlace,
    /// Asked in every loop.
    pub control: Arc<dyn SearchControl>,
}

/// Where a shard stands among those of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlace {
    pub ordinal: u32,
    /// The number of shards.
    pub of: u32,
}

impl Default for ShardPlace {
    fn default() -> Self {
        Self { ordinal: 0, of: 1 }
    }
}

/// Bounds of a search.
#[derive(Debug, Clone, Copy)]
pub struct SearchLimits {
    /// `index.max_result_window`.
    pub max_result_window: usize,
    /// `indices.query.bool.max_clause_count`: clauses of a group, and of a whole query.
    pub max_clause_count: usize,
    /// `index.max_terms_count`: values of one `terms` query.
    pub max_terms_count: usize,
    /// `index.max_regex_length`, in characters.
    pub max_regex_length: usize,
    /// `index.max_docvalue_fields_search`.
    pub max_docvalue_fields: usize,
    /// `index.max_slices_per_scroll`.
    pub max_slices_per_scroll: usize,
    /// `index.highlight.max_analyzed_offset`, in characters.
    pub max_analyzed_offset: usize,
    /// `index.highlight.weight_matches_mode.enabled`: a match is highlighted as a whole.
    pub weight_matches: bool,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            max_result_window: 10_000,
            max_clause_count: 1_024,
            max_terms_count: 65_536,
            max_regex_length: 1_000,
            max_docvalue_fields: 100,
            max_slices_per_scroll: 1_024,
            max_analyzed_offset: 1_000_000,
            weight_matches: true,
        }
    }
}

impl ShardContext<'_> {
    /// Returns the context of work that is done however late it is, unless nobody waits for it any more.
    pub(crate) fn however_late(&self) -> Self {
        Self {
            control: Arc::new(HoweverLate(Arc::clone(&self.control))),
            ..self.clone()
        }
    }
}

struct HoweverLate(Arc<dyn SearchControl>);

impl SearchControl for HoweverLate {
    fn state(&self) -> Interrupt {
        match self.0.state() {
            Interrupt::TimedOut => Interrupt::Continue,
            other => other,
        }
    }

    fn refusal(&self) -> Option<ApiError> {
        self.0.refusal()
    }

    fn charge(&self, bytes: u64) -> Result<(), ApiError> {
        self.0.charge(bytes)
    }

    fn release(&self, bytes: u64) {
        self.0.release(bytes);
    }
}

/// A context of defaults, for callers without a deadline.
impl Default for ShardContext<'_> {
    fn default() -> Self {
        Self {
            index: "",
            now_millis: 0,
            limits: SearchLimits::default(),
            place: ShardPlace::default(),
            control: Arc::new(Unlimited),
        }
    }
}

/// A shard under search.
pub(crate) struct Shard<'a> {
    searcher: &'a Searcher,
    pub(crate) context: ShardContext<'a>,
    pub(crate) pulse: Pulse,
    segments: Vec<Segment<'a>>,
    /// Leaves of the query that is being compiled.
    clauses: AtomicUsize,
    /// A query for a field that is not mapped fails.
    knows_every_field: bool,
}

/// A segment, and its number among those of the engine.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) ordinal: u32,
    pub(crate) reader: Leaf<'a>,
    /// The documents of the segments before it: what is added to a number in the segment for that in the shard.
    pub(crate) base: u32,
}

impl<'a> Shard<'a> {
    pub(crate) fn new(
        searcher: &'a Searcher,
        context: &ShardContext<'a>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            searcher,
            context: context.clone(),
            pulse: Pulse::new(Arc::clone(&context.control)),
            segments: in_order_of_writing(searcher)?,
            clauses: AtomicUsize::new(0),
            knows_every_field: false,
        })
    }

    /// Returns a shard on which a query for a field that is not mapped fails.
    pub(crate) fn knowing_every_field(self) -> Self {
        Self {
            knows_every_field: true,
            ..self
        }
    }

    /// Returns the segments, the one with the earliest write first. The place in this list is the
    /// segment of a [`crate::DocAddress`].
    pub(crate) fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// Returns the value of `_shard_doc` of the first document.
    pub(crate) fn first_shard_doc(&self) -> u64 {
        u64::from(self.context.place.ordinal) << 32
    }

    pub(crate) fn searcher(&self) -> &'a Searcher {
        self.searcher
    }

    pub(crate) fn layout(&self) -> &'a Layout {
        self.searcher.layout()
    }

    pub(crate) fn mapping(&self) -> &'a Mapping {
        self.searcher.mapping()
    }

    /// Counts a leaf of the query that is being compiled, and asks whether the search goes on.
    ///
    /// # Errors
    /// 400 when the query has more than it may have.
    pub(crate) fn count_clause(&self) -> Result<(), ApiError> {
        self.pulse.proceed()?;
        let most = self.context.limits.max_clause_count;
        if self.clauses.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        Err(too_many_nested_clauses(most))
    }

    /// Begins to count the leaves of a query.
    pub(crate) fn begin_query(&self) {
        self.clauses.store(0, Ordering::Relaxed);
    }

    /// Returns the leaves counted.
    pub(crate) fn clauses(&self) -> usize {
        self.clauses.load(Ordering::Relaxed)
    }

    /// Compiles apart from the query around it: the clauses counted meanwhile are forgotten.
    pub(crate) fn apart<T>(&self, compile: impl FnOnce() -> T) -> T {
        let before = self.clauses.swap(0, Ordering::Relaxed);
        let result = compile();
        self.clauses.store(before, Ordering::Relaxed);
        result
    }

    /// Refuses a group with more clauses than it may have.
    pub(crate) fn check_clauses(&self, count: usize) -> Result<(), ApiError> {
        let most = self.context.limits.max_clause_count;
        if count <= most {
            return Ok(());
        }
        let reason = format!("maxClauseCount is set to {most}");
        Err(query_shard(format!("failed to create query: {reason}"))
            .caused_by(ApiError::new(ErrorCode::TooManyClauses, reason)))
    }

    /// Returns the mapped or metadata field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<FieldRef<'a>> {
        match self.mapping().resolved(name) {
            Some(mapping) => FieldRef::mapped(mapping, self.layout()),
            // It would name fields that are hidden.
            None if name == IGNORED && self.searcher.hides_fields() => None,
            None => FieldRef::meta(name, self.layout()),
        }
    }

    /// Returns a field for a query, `None` when it is not mapped.
    pub(crate) fn searchable(&self, name: &str) -> Result<Option<FieldRef<'a>>, ApiError> {
        if UNSEARCHABLE.contains(&name) {
            return Err(query_shard(format!("The {name} field is not searchable")));
        }
        let Some(field) = self.field(name) else {
            return self.unmapped(name).map(|()| None);
        };
        if field.kind == FieldKind::Binary {
            return Err(query_shard(
                "failed to create query: Binary fields do not support searching",
            ));
        }
        if !field.is_searchable() {
            return Err(query_shard(format!(
                "failed to create query: Cannot search on field [{name}] since it is not indexed \
                 nor has doc values."
            )));
        }
        Ok(Some(field))
    }

    /// Returns a field whose words a query may look for; `None` when it is not mapped or has none.
    pub(crate) fn field_of_words(&self, name: &str) -> Option<FieldRef<'a>> {
        let field = self.field(name)?;
        (field.has_terms() && field.kind != FieldKind::Id).then_some(field)
    }

    /// Fails where every field must be known.
    pub(crate) fn unmapped(&self, name: &str) -> Result<(), ApiError> {
        if self.knows_every_field {
            return Err(query_shard(format!(
                "No field mapping can be found for the field with name [{name}]"
            )));
        }
        Ok(())
    }

    /// Tells whether terms of the field are lower case.
    pub(crate) fn lowercases(&self, name: &str) -> bool {
        let field = self.field(name);
        let analyzer = field.and_then(|field| field.search_analyzer());
        analyzer.is_some_and(Analyzer::lowercases)
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
                .filter_map(|field| self.mapping().resolved(&field.path))
                .map(|field| field.path.to_string())
                .collect();
        }
        if let Some(field) = self.mapping().resolved(name) {
            return vec![field.path.to_string()];
        }
        if matches!(name, ROUTING | IGNORED) && self.field(name).is_some() {
            return vec![name.to_owned()];
        }
        self.mapping()
            .fields_under(name)
            .map(|field| field.path.to_string())
            .collect()
    }

    /// Returns the term that finds documents with a value for a leaf path; of a text, with a token.
    pub(crate) fn exists_term(&self, name: &str) -> Term {
        self.layout().exists_term(name)
    }

    /// Returns the terms that find documents with a value for a leaf path, tokens or not.
    pub(crate) fn exists_terms(&self, name: &str) -> Vec<Term> {
        let mut terms = vec![self.exists_term(name)];
        let field = self.field(name);
        if matches!(field.map(|field| field.kind), Some(FieldKind::Text)) {
            terms.push(self.exists_term(&name_without_tokens(name)));
        }
        terms
    }

    /// Tells whether the name is a metadata field that every document has.
    pub(crate) fn is_metadata_of_every_document(&self, name: &str) -> bool {
        matches!(name, "_id" | "_index" | "_source" | "_seq_no" | "_version")
    }

    /// Returns the number of documents with a value for the field, deleted ones included until
    /// they are merged away.
    pub(crate) fn docs_with(&self, name: &str) -> Result<u64, ApiError> {
        if self.is_metadata_of_every_document(name) {
            return Ok(self
                .searcher()
                .leaves()
                .map(|reader| u64::from(reader.max_doc()))
                .sum());
        }
        self.searcher()
            .doc_freq(&self.exists_term(name))
            .map_err(|e| engine_error(&e))
    }
}

/// Returns the 400 of a query with more leaves than it may have.
pub(crate) fn too_many_nested_clauses(most: usize) -> ApiError {
    ApiError::illegal_argument("Query rewrite failed: too many clauses").caused_by(ApiError::new(
        ErrorCode::TooManyNestedClauses,
        format!("Query contains too many nested clauses; maxClauseCount is set to {most}"),
    ))
}

/// The engine orders segments by their random names. Ties between documents go to the earlier
/// write instead, so that every copy of a shard and every run answers alike.
fn in_order_of_writing(searcher: &Searcher) -> Result<Vec<Segment<'_>>, ApiError> {
    let mut segments = (0..)
        .zip(searcher.leaves())
        .map(|(ordinal, reader)| {
            let column = reader.fast_fields().u64(SEQ_NO);
            let first = column.map_err(|e| engine_error(&e))?.min_value();
            let base = 0;
            Ok((
                first,
                Segment {
                    ordinal,
                    reader,
                    base,
                },
            ))
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    segments.sort_by_key(|(first, segment)| (*first, segment.ordinal));
    let mut base = 0;
    let placed = segments.into_iter().map(|(_, segment)| {
        let before = base;
        base += segment.reader.max_doc();
        Segment {
            base: before,
            ..segment
        }
    });
    Ok(placed.collect())
}

/// Metadata that is stored or internal only, or a column only.
const UNSEARCHABLE: [&str; 3] = ["_source", "_field_names", "_version"];
