//! Queries that the engine lacks: terms picked from the dictionary, ranges over columns,
//! `boosting`, and term statistics as Elasticsearch counts them.

use std::fmt;
use std::sync::Arc;

use ringwall_api::ApiError;
use tantivy::query::{
    BitSetDocSet, Bm25StatisticsProvider, ConstScorer, EmptyQuery, EmptyScorer, EnableScoring,
    Explanation, Query, Scorer, TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

use crate::control::{Beat, Pulse};

/// Tells whether the engine counts the matches of a query without visiting them.
pub(crate) fn counts_fast(query: &dyn Query) -> bool {
    match query.downcast_ref::<StatisticsQuery>() {
        Some(scored) => scored.inner.is::<TermQuery>(),
        None => query.is::<TermQuery>() || query.is::<EmptyQuery>(),
    }
}

/// Collects the matching documents of one segment; counts its steps.
type Matcher = dyn Fn(&SegmentReader, &mut BitSet, &mut Beat) -> tantivy::Result<()> + Send + Sync;

/// A query given by a function that marks the matching documents of a segment. Scores 1.
#[derive(Clone)]
pub(super) struct SetQuery {
    what: &'static str,
    matcher: Arc<Matcher>,
    pulse: Pulse,
}

impl SetQuery {
    /// Matches documents that have a term of `field` that begins with `start` (a JSON path and type,
    /// perhaps more) and whose rest after `path_len` bytes passes the test.
    pub(super) fn terms(
        pulse: &Pulse,
        field: Field,
        start: Vec<u8>,
        path_len: usize,
        test: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            what: "terms",
            pulse: pulse.clone(),
            matcher: Arc::new(move |reader, docs, beat| {
                let inverted = reader.inverted_index(field)?;
                let mut stream = inverted.terms().range().ge(&start).into_stream()?;
                while stream.advance() {
                    beat.engine_step()?;
                    let key = stream.key();
                    if !key.starts_with(&start) {
                        break;
                    }
                    let text = std::str::from_utf8(&key[path_len.min(key.len())..]);
                    if !text.is_ok_and(&test) {
                        continue;
                    }
                    let mut postings = inverted.read_block_postings_from_terminfo(
                        stream.value(),
                        IndexRecordOption::Basic,
                    )?;
                    loop {
                        let block = postings.docs();
                        if block.is_empty() {
                            break;
                        }
                        for doc in block {
                            docs.insert(*doc);
                        }
                        beat.engine_step()?;
                        postings.advance();
                    }
                }
                Ok(())
            }),
        }
    }

    /// Matches what the function marks.
    pub(super) fn new(
        pulse: &Pulse,
        what: &'static str,
        matcher: impl Fn(&SegmentReader, &mut BitSet, &mut Beat) -> tantivy::Result<()>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            what,
            pulse: pulse.clone(),
            matcher: Arc::new(matcher),
        }
    }
}

impl fmt::Debug for SetQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetQuery").field(&self.what).finish()
    }
}

impl Query for SetQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(SetWeight {
            matcher: Arc::clone(&self.matcher),
            pulse: self.pulse.clone(),
        }))
    }
}

struct SetWeight {
    matcher: Arc<Matcher>,
    pulse: Pulse,
}

impl Weight for SetWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        if reader.max_doc() == 0 {
            return Ok(Box::new(EmptyScorer));
        }
        let engine = |error: ApiError| TantivyError::InternalError(error.to_string());
        self.pulse.proceed().map_err(engine)?;
        let bytes = u64::from(reader.max_doc()).div_ceil(8);
        self.pulse.charge(bytes).map_err(engine)?;
        let mut docs = BitSet::with_max_value(reader.max_doc());
        (self.matcher)(reader, &mut docs, &mut self.pulse.beat())?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        explain_constant(self.scorer(reader, 1.0)?, doc, 1.0)
    }
}

fn explain_constant(
    mut scorer: Box<dyn Scorer>,
    doc: DocId,
    score: Score,
) -> tantivy::Result<Explanation> {
    if scorer.doc() <= doc && scorer.seek(doc) == doc {
        Ok(Explanation::new("constant", score))
    } else {
        Err(TantivyError::InvalidArgument(format!(
            "document {doc} does not match"
        )))
    }
}

/// `boosting`: the score of what also matches `negative` is multiplied.
#[derive(Debug)]
pub(super) struct BoostingQuery {
    pub(super) positive: Box<dyn Query>,
    pub(super) negative: Box<dyn Query>,
    pub(super) factor: Score,
}

impl Clone for BoostingQuery {
    fn clone(&self) -> Self {
        Self {
            positive: self.positive.box_clone(),
            negative: self.negative.box_clone(),
            factor: self.factor,
        }
    }
}

impl Query for BoostingQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let positive = self.positive.weight(scoring)?;
        let EnableScoring::Enabled { searcher, .. } = scoring else {
            return Ok(positive);
        };
        Ok(Box::new(BoostingWeight {
            positive,
            negative: self
                .negative
                .weight(EnableScoring::disabled_from_searcher(searcher))?,
            factor: self.factor,
        }))
    }
}

struct BoostingWeight {
    positive: Box<dyn Weight>,
    negative: Box<dyn Weight>,
    factor: Score,
}

impl Weight for BoostingWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(BoostingScorer {
            positive: self.positive.scorer(reader, boost)?,
            negative: self.negative.scorer(reader, 1.0)?,
            factor: self.factor,
        }))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        self.positive.explain(reader, doc)
    }
}

struct BoostingScorer {
    positive: Box<dyn Scorer>,
    negative: Box<dyn Scorer>,
    factor: Score,
}

impl DocSet for BoostingScorer {
    fn advance(&mut self) -> DocId {
        self.positive.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.positive.seek(target)
    }

    fn doc(&self) -> DocId {
        self.positive.doc()
    }

    fn size_hint(&self) -> u32 {
        self.positive.size_hint()
    }
}

impl Scorer for BoostingScorer {
    fn score(&mut self) -> Score {
        let doc = self.positive.doc();
        if self.negative.doc() < doc && doc != TERMINATED {
            self.negative.seek(doc);
        }
        let score = self.positive.score();
        if self.negative.doc() == doc {
            score * self.factor
        } else {
            score
        }
    }
}

/// Statistics of one field: N is the number of documents that have the field, where the engine
/// would take all documents. Source: Lucene's `BM25Similarity`.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldStatistics {
    pub(super) docs: u64,
    pub(super) tokens: u64,
    /// The document frequency of every term, when they are blended.
    pub(super) blended: Option<u64>,
}

/// Scores a term or phrase query of one field with that field's statistics.
#[derive(Debug)]
pub(super) struct StatisticsQuery {
    pub(super) inner: Box<dyn Query>,
    pub(super) statistics: FieldStatistics,
}

impl Clone for StatisticsQuery {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.box_clone(),
            statistics: self.statistics,
        }
    }
}

impl Query for StatisticsQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let EnableScoring::Enabled { searcher, .. } = scoring else {
            return self.inner.weight(scoring);
        };
        let provider = Provider {
            searcher,
            statistics: self.statistics,
        };
        self.inner
            .weight(EnableScoring::enabled_from_statistics_provider(
                &provider, searcher,
            ))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        self.inner.query_terms(visitor);
    }
}

struct Provider<'a> {
    searcher: &'a tantivy::Searcher,
    statistics: FieldStatistics,
}

impl Bm25StatisticsProvider for Provider<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.statistics.tokens)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.statistics.docs)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let frequency = match self.statistics.blended {
            Some(blended) => blended,
            None => self.searcher.doc_freq(term)?,
        };
        // The formula needs n <= N; deleted documents can be counted on one side only.
        Ok(frequency.min(self.statistics.docs))
    }
}
