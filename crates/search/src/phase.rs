//! The query phase: finds, counts and orders the matching documents of a shard.

use std::cmp::Ordering;

use ringwall_api::ApiError;
use ringwall_base::encoding;
use ringwall_index::dates::DateFormat;
use ringwall_index::mapping::Family;
use ringwall_index::{FieldType, Leaf, Searcher};
use tantivy::query::Weight;
use tantivy::{BitSet, DocId, Score};

use crate::agg::{self, Agg, Gatherer, Partial, Placed};
use crate::best::BestScores;
use crate::columns::Values;
use crate::control::Beat;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::query_shard;
use crate::query::{Compiled, Query, compile_root, counts_fast};
use crate::request::{SearchSource, TrackTotalHits, check_window};
use crate::result::{DocAddress, ShardDoc, ShardQueryResult};
use crate::scroll::bits_bytes;
use crate::shard::{Segment, Shard, ShardContext};
use crate::slice::{Members, Part, check_slices, members};
use crate::sort::{self, Sort, SortBy};
use crate::top::{After, NumberKind, SegmentKey, SortField, TopCollector};
use crate::visit::visit;

/// Runs a search on one shard.
///
/// # Errors
/// 400 when the request does not fit the mapping, the window is too large or the query has too many
/// clauses; `task_cancelled_exception` when [`ShardContext::control`] says so.
pub fn query_phase(
    searcher: &Searcher,
    source: &SearchSource,
    context: &ShardContext<'_>,
) -> Result<ShardQueryResult, ApiError> {
    check_window(source, context.limits.max_result_window)?;
    check_slices(source.slice.as_ref(), context.limits.max_slices_per_scroll)?;
    let shard = Shard::new(searcher, context)?;
    let ran = Phase::new(&shard, source).and_then(|phase| {
        if phase.is_plain() {
            phase.plain()
        } else {
            phase.general()
        }
    });
    // Stopped before there was anything to keep.
    let mut result = shard
        .pulse
        .unless_stopped(ran)?
        .unwrap_or_else(|| ShardQueryResult {
            aggs: vec![Partial::Empty; source.aggs.len()],
            ..ShardQueryResult::default()
        });
    result.timed_out = shard.pulse.outcome()?;
    Ok(result)
}

/// Makes the sort keys of a segment, as often as asked.
type KeyMaker = Box<dyn Fn() -> Result<Vec<SegmentKey>, ApiError>>;

/// Resolves sort keys on a segment.
pub(crate) fn segment_keys(
    shard: &Shard<'_>,
    sorts: &[Sort],
    reader: Option<&Leaf<'_>>,
    segment: u32,
) -> Result<KeyMaker, ApiError> {
    let mut prepared: Vec<(Sort, Option<(SortField, Values)>)> = Vec::with_capacity(sorts.len());
    for sort in sorts {
        let field = match &sort.by {
            SortBy::Score | SortBy::Doc | SortBy::ShardDoc => None,
            SortBy::Field(by) => {
                let (sort_field, field) = sort_field(shard, by)?;
                let values = match (field, reader) {
                    (Some(field), Some(reader)) => field.values(reader)?,
                    _ => Values::None,
                };
                Some((sort_field, values))
            }
        };
        prepared.push((sort.clone(), field));
    }
    if prepared.is_empty() {
        let by_score = Sort {
            by: SortBy::Score,
            ascending: false,
        };
        prepared.push((by_score, None));
    }
    let base = shard.segments().get(segment as usize);
    let base = base.map_or(0, |segment| u64::from(segment.base));
    let first = shard.first_shard_doc();
    Ok(Box::new(move || {
        prepared
            .iter()
            .map(|(sort, field)| match (&sort.by, field) {
                (SortBy::Field(by), Some((field, values))) => {
                    SegmentKey::field(by, sort.ascending, field, values.clone())
                }
                (SortBy::Doc, _) => Ok(SegmentKey::doc(base, sort.ascending)),
                (SortBy::ShardDoc, _) => Ok(SegmentKey::doc(first + base, sort.ascending)),
                _ => Ok(SegmentKey::score(sort.ascending)),
            })
            .collect()
    }))
}

/// Finds out how a field sorts; fails when it cannot.
fn sort_field<'a>(
    shard: &Shard<'a>,
    by: &sort::FieldSort,
) -> Result<(SortField, Option<FieldRef<'a>>), ApiError> {
    let name = &by.field;
    let Some(field) = shard.field(name) else {
        let Some(unmapped) = &by.unmapped_type else {
            return Err(query_shard(format!(
                "No mapping found for [{name}] in order to sort on"
            )));
        };
        let family = FieldType::from_name(unmapped).and_then(FieldType::family);
        let number = |kind| SortField::Number { kind, dates: None };
        let sort_field = match family {
            Some(Family::Keyword | Family::Ip) => SortField::Text,
            Some(Family::Text | Family::Point | Family::Range(_) | Family::Binary) | None => {
                return Err(ApiError::illegal_argument(format!(
                    "No mapper found for type [{unmapped}], given as [unmapped_type] of the sort \
                     on [{name}]"
                )));
            }
            Some(Family::Double) => number(NumberKind::Double),
            Some(Family::Unsigned) => number(NumberKind::Unsigned),
            Some(Family::Long | Family::Boolean | Family::Date) => number(NumberKind::Long),
        };
        return Ok((sort_field, None));
    };
    field.check_doc_values()?;
    if field.kind == FieldKind::Point {
        return Err(ApiError::illegal_argument(
            "can't sort on geo_point or point field without using specific sorting feature, like geo_distance",
        ));
    }
    if by.format.is_some() && field.kind != FieldKind::Date {
        return Err(field.no_formats());
    }
    // A bad one is told even where there is nothing to sort.
    by.format.as_deref().map(DateFormat::compile).transpose()?;
    let sort_field = match field.number_kind() {
        Some(kind) => SortField::Number {
            kind,
            dates: field.dates().cloned(),
        },
        None if field.kind == FieldKind::Ip => SortField::Ip,
        None if field.kind == FieldKind::Index => SortField::Same(shard.context.index.to_owned()),
        None => SortField::Text,
    };
    Ok((sort_field, Some(field)))
}

/// A query phase, compiled for the shard.
pub(crate) struct Phase<'a> {
    shard: &'a Shard<'a>,
    source: &'a SearchSource,
    query: Compiled,
    post_filter: Option<Compiled>,
    /// Hits are ordered by score and nothing else.
    by_score: bool,
    /// How many hits to find: `from + size`.
    limit: usize,
    /// Leaves of the query.
    clauses: usize,
    /// What the slice has of the shard.
    part: Part,
    /// What was given out before, up to this document.
    after: Option<&'a ShardDoc>,
}

impl<'a> Phase<'a> {
    pub(crate) fn new(shard: &'a Shard<'a>, source: &'a SearchSource) -> Result<Self, ApiError> {
        for sort in &source.sort {
            if let SortBy::Field(by) = &sort.by {
                sort_field(shard, by)?;
            }
        }
        crate::fetch::check_shown_fields(shard, source)?;
        let by_score = sort::is_score_only(&source.sort);
        let wanted = if source.size == 0 {
            0
        } else {
            source.from + source.size
        };
        shard.pulse.charge(wanted as u64 * PLACE_BYTES)?;
        let query = compile_root(shard, &source.query)?;
        let clauses = shard.clauses();
        Ok(Self {
            query,
            clauses,
            post_filter: source
                .post_filter
                .as_ref()
                .map(|query| compile_root(shard, query))
                .transpose()?,
            shard,
            source,
            by_score,
            limit: wanted,
            part: source
                .slice
                .as_ref()
                .map_or(Part::Whole, |slice| slice.part(shard.context.place)),
            after: None,
        })
    }

    /// Finds a page, looking at every match so that each page has the same scores: what comes after a document.
    pub(crate) fn page(
        mut self,
        after: Option<&'a ShardDoc>,
    ) -> Result<ShardQueryResult, ApiError> {
        self.after = after;
        let found = self.general();
        let found = self.shard.pulse.unless_stopped(found)?;
        Ok(found.unwrap_or_else(|| ShardQueryResult {
            aggs: vec![Partial::Empty; self.source.aggs.len()],
            ..ShardQueryResult::default()
        }))
    }

    /// Tells whether every match of the query is a hit.
    pub(crate) fn takes_every_match(&self) -> bool {
        self.post_filter.is_none() && self.part == Part::Whole
    }

    /// Returns the documents that are hits, by segment.
    pub(crate) fn matches(&self) -> Result<Vec<BitSet>, ApiError> {
        let weight = self.weight(&self.query, false)?;
        let mut found = Vec::with_capacity(self.shard.segments().len());
        let mut beat = self.shard.pulse.beat();
        for segment in self.shard.segments() {
            let docs = segment.reader.max_doc();
            self.shard.pulse.charge(bits_bytes(docs))?;
            let mut bits = BitSet::with_max_value(docs);
            if self.part != Part::Nothing && self.shard.pulse.check() {
                let post_filter = self.post_filter(&segment.reader)?;
                let members = self.members(segment)?;
                visit(
                    weight.as_ref(),
                    &segment.reader,
                    false,
                    &mut beat,
                    |doc, _| {
                        let passes = post_filter
                            .as_ref()
                            .is_none_or(|filter| filter.contains(doc));
                        if passes && members.as_ref().is_none_or(|members| members.contains(doc)) {
                            bits.insert(doc);
                        }
                        true
                    },
                )?;
            }
            found.push(bits);
        }
        Ok(found)
    }

    /// The documents of the slice, unless it has the whole shard.
    fn members(&self, segment: &Segment<'_>) -> Result<Option<Members>, ApiError> {
        let (Some(slice), Part::Some { number, of }) = (&self.source.slice, self.part) else {
            return Ok(None);
        };
        let fixed = self.source.pit.is_some();
        members(self.shard, slice, segment, (number, of), fixed).map(Some)
    }

    /// Tells whether finding and counting can go separate ways, each the fastest.
    fn is_plain(&self) -> bool {
        let source = self.source;
        let orders_plainly = self.by_score || self.limit == 0;
        orders_plainly
            && source.aggs.is_empty()
            && source.min_score.is_none()
            && source.terminate_after.is_none()
            && self.post_filter.is_none()
            && source.slice.is_none()
            && (self.limit == 0 || self.prunes())
    }

    /// Tells whether the engine may skip what cannot be among the best. Between two documents it is
    /// not asked to stop: with many clauses that takes too long, and skips little.
    fn prunes(&self) -> bool {
        self.clauses <= MAX_PRUNED_CLAUSES || self.source.query.constant_score().is_some()
    }

    /// Tells whether anything depends on scores. Without hits only `min_score` and `top_hits` do.
    fn needs_scores(&self) -> bool {
        let source = self.source;
        let sorts_by_score = source.sort.iter().any(|sort| sort.by == SortBy::Score);
        let hits_show_scores =
            self.limit > 0 && (self.by_score || sorts_by_score || source.track_scores);
        hits_show_scores || source.min_score.is_some() || agg::uses_scores(&source.aggs)
    }

    fn weight(&self, query: &Compiled, scoring: bool) -> Result<Box<dyn Weight>, ApiError> {
        let searcher = self.shard.searcher();
        let weight = searcher.weight(query.as_ref(), scoring);
        weight.map_err(|e| engine_error(&e))
    }

    fn readers(&self) -> impl Iterator<Item = (u32, &'a Leaf<'a>)> {
        let segments = match self.part {
            Part::Nothing => &[],
            _ => self.shard.segments(),
        };
        (0..).zip(segments.iter().map(|segment| &segment.reader))
    }

    /// The best documents by score, skipping what cannot be among them, and a count.
    fn plain(&self) -> Result<ShardQueryResult, ApiError> {
        let mut result = ShardQueryResult {
            total_is_exact: true,
            ..ShardQueryResult::default()
        };
        let mut watch = self.shard.pulse.beat();
        if self.limit > 0 {
            let mut best = BestScores::new(self.limit);
            match self.source.query.constant_score() {
                Some(score) => self.first(score, &mut best, &mut watch)?,
                None => self.pruned(&mut best, &mut watch)?,
            }
            result.docs = best.finish();
            result.max_score = result.docs.first().and_then(|doc| doc.score);
        }
        self.count(&mut result, &mut watch)?;
        Ok(result)
    }

    /// Every match scores the same: the first ones win.
    fn first(&self, score: Score, best: &mut BestScores, watch: &mut Beat) -> Result<(), ApiError> {
        let weight = self.weight(&self.query, false)?;
        for (segment, reader) in self.readers() {
            visit(weight.as_ref(), reader, false, watch, |doc, _| {
                best.offer(segment, doc, score);
                !best.is_full()
            })?;
            if best.is_full() || self.shard.pulse.stopped() {
                break;
            }
        }
        Ok(())
    }

    fn pruned(&self, best: &mut BestScores, watch: &mut Beat) -> Result<(), ApiError> {
        let weight = self.weight(&self.query, true)?;
        for (segment, reader) in self.readers() {
            if !self.shard.pulse.check() {
                break;
            }
            let threshold = best.threshold();
            let mut offer = |doc: Option<tantivy::DocId>, score: Score| {
                if !watch.step() {
                    // No document scores more: the engine skips what is left.
                    return Score::MAX;
                }
                if let Some(doc) = doc {
                    best.offer(segment, doc, score);
                }
                best.threshold()
            };
            let visited = reader.visit_best(weight.as_ref(), threshold, &mut offer);
            self.shard.pulse.of_engine(visited)?;
        }
        Ok(())
    }

    fn count(&self, result: &mut ShardQueryResult, watch: &mut Beat) -> Result<(), ApiError> {
        let limit = match self.source.track_total_hits {
            TrackTotalHits::Disabled => return Ok(()),
            TrackTotalHits::Exact => u64::MAX,
            TrackTotalHits::UpTo(limit) => limit,
        };
        let everything = matches!(self.source.query, Query::MatchAll(_));
        let fast = counts_fast(self.query.as_ref());
        let weight = self.weight(&self.query, false)?;
        for (_, reader) in self.readers() {
            if !self.shard.pulse.check() {
                result.total_is_exact = false;
                break;
            }
            if everything {
                result.total += u64::from(reader.num_docs());
                continue;
            }
            if fast && !reader.is_filtered() {
                let count = reader
                    .count(weight.as_ref())
                    .map_err(|e| engine_error(&e))?;
                result.total += u64::from(count);
                continue;
            }
            visit(weight.as_ref(), reader, false, watch, |_, _| {
                result.total += 1;
                result.total <= limit
            })?;
            if result.total > limit {
                result.total_is_exact = false;
                break;
            }
        }
        Ok(())
    }

    /// Every matching document is looked at once, for everything asked.
    fn general(&self) -> Result<ShardQueryResult, ApiError> {
        let source = self.source;
        let scoring = self.needs_scores();
        let mut run = Run {
            best: BestScores::after(if self.by_score { self.limit } else { 0 }, self.after),
            sorted: Vec::new(),
            nodes: Vec::new(),
            seen: 0,
            total: 0,
            max_score: None,
            terminated: false,
            watch: self.shard.pulse.beat(),
        };
        let weight = self.weight(&self.query, scoring)?;
        for (segment, reader) in self.readers() {
            if run.terminated || !self.shard.pulse.check() {
                break;
            }
            let visited = self.segment(&mut run, weight.as_ref(), scoring, segment, reader);
            self.shard.pulse.unless_stopped(visited)?;
        }
        let visited = self.global_aggs(&mut run);
        self.shard.pulse.unless_stopped(visited)?;
        if self.readers().next().is_none() {
            run.nodes.extend(self.nodes(0, None, false)?);
            run.nodes.extend(self.nodes(0, None, true)?);
        }
        let aggs = self.finished(std::mem::take(&mut run.nodes));
        let aggs = self.shard.pulse.unless_stopped(aggs)?;
        let mut result = ShardQueryResult {
            docs: if self.by_score {
                run.best.finish()
            } else {
                run.sorted
                    .sort_by(|left, right| sort::compare(&source.sort, &left.sort, &right.sort));
                run.sorted.truncate(self.limit);
                run.sorted
            },
            total: run.total,
            total_is_exact: true,
            max_score: run
                .max_score
                .filter(|_| self.limit > 0 && (self.by_score || source.track_scores)),
            aggs: aggs.unwrap_or_else(|| vec![Partial::Empty; source.aggs.len()]),
            timed_out: false,
            terminated_early: run.terminated,
        };
        // The hits that a stopped search has found are read all the same; a cancelled one has none.
        self.shard.pulse.outcome()?;
        let late = self.shard.context.however_late();
        let shard = Shard::new(self.shard.searcher(), &late)?;
        agg::resolve(&source.aggs, &mut result.aggs, &|hits, address| {
            crate::fetch::hit_object(&shard, hits, &source.query, address)
        })?;
        Ok(result)
    }

    fn segment(
        &self,
        run: &mut Run,
        weight: &dyn Weight,
        scoring: bool,
        segment: u32,
        reader: &Leaf<'_>,
    ) -> Result<(), ApiError> {
        let source = self.source;
        let mut gatherer = Gatherer::new(self.nodes(segment, Some(reader), false)?);
        let post_filter = self.post_filter(reader)?;
        let members = self.members(&self.shard.segments()[segment as usize])?;
        let mut sorted = None;
        if !self.by_score && self.limit > 0 {
            let keys = segment_keys(self.shard, &source.sort, Some(reader), segment)?()?;
            let shows_scores = scoring
                && (source.track_scores || source.sort.iter().any(|s| s.by == SortBy::Score));
            let after = self.begins_after(segment);
            sorted = Some(TopCollector::new(keys, self.limit, &after, shows_scores)?);
        }
        let terminate_after = source.terminate_after.unwrap_or(u64::MAX);
        visit(weight, reader, scoring, &mut run.watch, |doc, score| {
            if source.min_score.is_some_and(|least| score < least)
                || members
                    .as_ref()
                    .is_some_and(|members| !members.contains(doc))
            {
                return true;
            }
            if run.seen >= terminate_after {
                run.terminated = true;
                return false;
            }
            gatherer.collect(doc, score);
            run.seen += 1;
            if post_filter
                .as_ref()
                .is_none_or(|filter| filter.contains(doc))
            {
                run.total += 1;
                if scoring && run.max_score.is_none_or(|most| score > most) {
                    run.max_score = Some(score);
                }
                run.best.offer(segment, doc, score);
                if let Some(sorted) = &mut sorted {
                    sorted.collect(doc, score);
                }
            }
            true
        })?;
        if let Some(sorted) = sorted {
            for top in sorted.finish()? {
                run.sorted.push(ShardDoc {
                    address: DocAddress {
                        segment,
                        doc: top.doc,
                    },
                    score: top.score,
                    sort: top.sort,
                });
            }
        }
        run.nodes.extend(gatherer.finish());
        Ok(())
    }

    /// Where the hits of a segment begin.
    fn begins_after(&self, segment: u32) -> After<'_> {
        match (self.after, &self.source.search_after) {
            (Some(last), _) => After::Document {
                sort: &last.sort,
                ties_from: match segment.cmp(&last.address.segment) {
                    Ordering::Less => DocId::MAX,
                    Ordering::Equal => last.address.doc + 1,
                    Ordering::Greater => 0,
                },
            },
            (None, Some(values)) => After::Values(values),
            (None, None) => After::Nothing,
        }
    }

    /// `global` aggregations look at every document, whatever the query.
    fn global_aggs(&self, run: &mut Run) -> Result<(), ApiError> {
        if !self.source.aggs.iter().any(is_global) {
            return Ok(());
        }
        let everything: Compiled = Box::new(tantivy::query::AllQuery);
        let weight = self.weight(&everything, false)?;
        for (segment, reader) in self.readers() {
            let mut gatherer = Gatherer::new(self.nodes(segment, Some(reader), true)?);
            visit(weight.as_ref(), reader, false, &mut run.watch, |doc, _| {
                gatherer.collect(doc, 1.0);
                true
            })?;
            run.nodes.extend(gatherer.finish());
        }
        Ok(())
    }

    /// The aggregations of a segment with their places: the global ones or the others.
    fn nodes(
        &self,
        segment: u32,
        reader: Option<&Leaf<'_>>,
        global: bool,
    ) -> Result<Placed, ApiError> {
        let aggs = &self.source.aggs;
        (0..aggs.len())
            .filter(|index| is_global(&aggs[*index]) == global)
            .map(|index| {
                let one = std::slice::from_ref(&aggs[index]);
                let mut nodes = agg::build(self.shard, one, reader, segment)?;
                // Invariant: one aggregation makes one node.
                Ok((index, nodes.pop().expect("one node")))
            })
            .collect()
    }

    /// Adds up the segments, one aggregation after the other: of all its buckets a shard keeps what it sends, before
    /// those of the next are made.
    fn finished(&self, mut nodes: Placed) -> Result<Vec<Partial>, ApiError> {
        nodes.sort_by_key(|(index, _)| *index);
        let mut nodes = nodes.into_iter().peekable();
        let mut partials = Vec::with_capacity(self.source.aggs.len());
        for (place, agg) in self.source.aggs.iter().enumerate() {
            let mut all = Partial::Empty;
            let before = self.shard.pulse.charged();
            while let Some((_, node)) = nodes.next_if(|(index, _)| *index == place) {
                // Nothing that another segment could add to.
                let alone =
                    all == Partial::Empty && nodes.peek().is_none_or(|(index, _)| *index != place);
                for partial in node.finish(agg, 1, alone)? {
                    agg::merge(agg, &mut all, partial);
                }
            }
            agg::cut_for_shard(agg, &mut all);
            self.shard
                .pulse
                .keep(before, HEAP_FACTOR * encoding::size(&all));
            partials.push(all);
        }
        Ok(partials)
    }

    fn post_filter(&self, reader: &Leaf<'_>) -> Result<Option<BitSet>, ApiError> {
        let Some(filter) = &self.post_filter else {
            return Ok(None);
        };
        let weight = self.weight(filter, false)?;
        let mut docs = BitSet::with_max_value(reader.max_doc());
        let mut beat = self.shard.pulse.beat();
        visit(weight.as_ref(), reader, false, &mut beat, |doc, _| {
            docs.insert(doc);
            true
        })?;
        // Half of a filter is none.
        self.shard.pulse.proceed()?;
        Ok(Some(docs))
    }
}

/// What [`Phase::general`] gathers over segments.
struct Run {
    best: BestScores,
    sorted: Vec<ShardDoc>,
    /// The aggregations of each segment, with their places.
    nodes: Placed,
    /// Matches of the query, before `post_filter`.
    seen: u64,
    total: u64,
    max_score: Option<Score>,
    terminated: bool,
    watch: Beat,
}

/// What a value takes in memory for each byte that it has encoded.
const HEAP_FACTOR: u64 = 3;

/// What a place among the best documents takes, with its sort values.
const PLACE_BYTES: u64 = 128;

/// With more clauses every match is looked at.
const MAX_PRUNED_CLAUSES: usize = 64;

fn is_global(agg: &Agg) -> bool {
    agg.kind.is_global()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringwall_index::Mapping;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::parse_search;

    fn searcher() -> Searcher {
        let mapping = json!({"properties": {"t": {"type": "text"}, "k": {"type": "keyword"},
            "n": {"type": "long"}}});
        let mapping = Arc::new(Mapping::parse(&mapping).unwrap());
        let docs = [
            ("1", r#"{"t": "red blue", "k": "x", "n": 1}"#),
            ("2", r#"{"t": "red"}"#),
        ];
        Searcher::in_memory(mapping, &[&docs]).unwrap()
    }

    fn with_phase<T>(body: &Value, look: impl FnOnce(&Phase<'_>) -> T) -> T {
        let searcher = searcher();
        let shard = Shard::new(&searcher, &ShardContext::default()).unwrap();
        let source = parse_search(body).unwrap();
        look(&Phase::new(&shard, &source).unwrap())
    }

    #[test]
    fn one_term_is_a_bare_term_query() {
        // The engine skips blocks of postings by their best score when the weight is that of a term
        // with frequencies, with no query around it.
        for query in [
            json!({"match": {"t": "red"}}),
            json!({"term": {"t": "red"}}),
            json!({"match": {"t": {"query": "Red", "operator": "and"}}}),
            json!({"multi_match": {"query": "red", "fields": ["t"]}}),
            json!({"query_string": {"query": "t:red"}}),
            json!({"simple_query_string": {"query": "red", "fields": ["t"]}}),
        ] {
            with_phase(&json!({"query": query}), |phase| {
                assert!(phase.is_plain(), "{query}");
                assert!(counts_fast(phase.query.as_ref()), "{query}");
                assert!(phase.source.query.constant_score().is_none(), "{query}");
                let field = phase.shard.field("t").unwrap();
                assert!(field.record_option().has_freq());
            });
        }
    }

    #[test]
    fn without_hits_nothing_is_scored() {
        let query = json!({"match": {"t": "red blue"}});
        let aggs = json!({"m": {"max": {"field": "n"}}});
        for (body, scored) in [
            (json!({"size": 0}), false),
            (json!({"size": 0, "aggs": aggs}), false),
            (json!({"size": 0, "aggs": aggs, "sort": ["_score"]}), false),
            (
                json!({"size": 0, "aggs": aggs, "track_scores": true}),
                false,
            ),
            (
                json!({"size": 0, "aggs": {"h": {"top_hits": {"sort": "n"}}}}),
                false,
            ),
            (json!({"size": 0, "aggs": {"h": {"top_hits": {}}}}), true),
            (json!({"size": 0, "min_score": 1}), true),
            (json!({"aggs": aggs}), true),
            (json!({"sort": "n"}), false),
            (json!({"sort": ["n", "_score"]}), true),
            (json!({"sort": "n", "track_scores": true}), true),
        ] {
            let mut body = body;
            body["query"] = query.clone();
            with_phase(&body, |phase| {
                assert_eq!(phase.needs_scores(), scored, "{body}")
            });
        }
    }

    struct Told(crate::Interrupt);

    impl crate::SearchControl for Told {
        fn state(&self) -> crate::Interrupt {
            self.0
        }
    }

    /// Has room for so many bytes.
    struct Purse {
        room: u64,
        held: std::sync::Mutex<(u64, u64)>,
    }

    impl Purse {
        fn of(room: u64) -> Arc<Self> {
            let held = std::sync::Mutex::default();
            Arc::new(Self { room, held })
        }

        /// What is held, and the most that was.
        fn held(&self) -> (u64, u64) {
            *self.held.lock().unwrap()
        }
    }

    impl crate::SearchControl for Purse {
        fn state(&self) -> crate::Interrupt {
            crate::Interrupt::Continue
        }

        fn charge(&self, bytes: u64) -> Result<(), ApiError> {
            let mut held = self.held.lock().unwrap();
            if held.0 + bytes > self.room {
                return Err(ApiError::new(
                    ringwall_api::ErrorCode::CircuitBreaking,
                    "full",
                ));
            }
            held.0 += bytes;
            held.1 = held.1.max(held.0);
            Ok(())
        }

        fn release(&self, bytes: u64) {
            self.held.lock().unwrap().0 -= bytes;
        }
    }

    #[test]
    fn aggregations_are_charged_for_their_buckets_one_after_the_other() {
        let mapping = json!({"properties": {"n": {"type": "long"}}});
        let mapping = Arc::new(Mapping::parse(&mapping).unwrap());
        let docs: Vec<(String, String)> = (0..2_000)
            .map(|n| (n.to_string(), format!(r#"{{"n": {n}}}"#)))
            .collect();
        let docs: Vec<(&str, &str)> = docs.iter().map(|(id, doc)| (&**id, &**doc)).collect();
        let searcher = Searcher::in_memory(mapping, &[&docs]).unwrap();
        let held = |aggs: usize, room: u64| {
            let agg = |n: usize| (format!("a{n}"), json!({"terms": {"field": "n"}}));
            let aggs: serde_json::Map<String, Value> = (0..aggs).map(agg).collect();
            let source = parse_search(&json!({"size": 0, "aggs": aggs})).unwrap();
            let purse = Purse::of(room);
            let context = ShardContext {
                control: purse.clone(),
                ..ShardContext::default()
            };
            query_phase(&searcher, &source, &context).map(|_| purse.held())
        };
        let (end, most) = held(1, u64::MAX).unwrap();
        assert!(most > 2_000 * 64, "{most}");
        let (many_end, many) = held(10, u64::MAX).unwrap();
        assert!(many_end > 5 * end && many_end < many, "{many_end} {many}");
        // What one aggregation makes of its buckets is gone before the next makes its own.
        assert!(many < 8 * most, "{many} {most}");
        let refused = held(10, most).unwrap_err();
        assert_eq!(refused.code, ringwall_api::ErrorCode::CircuitBreaking);
    }

    #[test]
    fn pages_are_charged_for() {
        let searcher = searcher();
        let source = parse_search(&json!({})).unwrap();
        let found = query_phase(&searcher, &source, &ShardContext::default()).unwrap();
        let docs: Vec<DocAddress> = found.docs.iter().map(|doc| doc.address).collect();
        for (room, passes) in [(20, false), (10_000, true)] {
            let context = ShardContext {
                control: Purse::of(room),
                ..ShardContext::default()
            };
            let page = crate::fetch_phase(&searcher, &source, &docs, &context);
            assert_eq!(page.is_ok(), passes);
        }
    }

    #[test]
    fn an_interrupted_search_says_so() {
        let searcher = searcher();
        for (state, body) in [
            (
                crate::Interrupt::TimedOut,
                json!({"query": {"match": {"t": "red"}}}),
            ),
            (crate::Interrupt::Cancelled, json!({"sort": "n"})),
        ] {
            let context = ShardContext {
                control: Arc::new(Told(state)),
                ..ShardContext::default()
            };
            let found = query_phase(&searcher, &parse_search(&body).unwrap(), &context);
            match state {
                crate::Interrupt::TimedOut => assert!(found.unwrap().timed_out),
                _ => assert_eq!(
                    found.unwrap_err().code,
                    ringwall_api::ErrorCode::TaskCancelled
                ),
            }
        }
    }
}
