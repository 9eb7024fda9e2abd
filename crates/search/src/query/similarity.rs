//! BM25 with the constants and lengths of a field, where the engine has its own. Source: Lucene's `BM25Similarity`.

use tantivy::columnar::Column;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use tantivy::{DocId, Score, SegmentReader, Term};

/// How matches of a field score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scoring {
    pub(super) k1: Score,
    pub(super) b: Score,
    pub(super) lengths: LengthsOf,
}

/// Where lengths of texts are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LengthsOf {
    /// Every text is one word long.
    Nothing,
    /// The engine has counted the words.
    Engine,
    /// A column has the lengths of some; the engine has counted the words of the others.
    Column(String),
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            k1: 1.2,
            b: 0.75,
            lengths: LengthsOf::Engine,
        }
    }
}

/// The lengths of the texts of a segment.
pub(super) struct Lengths {
    column: Option<Column<i64>>,
    engine: FieldNormReader,
}

impl LengthsOf {
    pub(super) fn open(&self, reader: &SegmentReader, field: Field) -> tantivy::Result<Lengths> {
        let one = || FieldNormReader::constant(reader.max_doc(), 1);
        let engine = match self {
            Self::Nothing => one(),
            _ => reader
                .fieldnorms_readers()
                .get_field(field)?
                .unwrap_or_else(one),
        };
        let column = match self {
            Self::Column(name) => reader.fast_fields().column_opt::<i64>(name)?,
            _ => None,
        };
        Ok(Lengths { column, engine })
    }
}

impl Lengths {
    pub(super) fn of(&self, doc: DocId) -> u32 {
        let kept = self.column.as_ref().and_then(|column| column.first(doc));
        let kept = kept.and_then(|length| u32::try_from(length).ok());
        kept.unwrap_or_else(|| self.engine.fieldnorm(doc))
    }
}

/// BM25 for frequencies that are no whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Similarity {
    /// The sum over the terms, with the boost.
    pub(super) idf: Score,
    average_length: Score,
    k1: Score,
    b: Score,
}

impl Similarity {
    /// Returns the one of a phrase.
    pub(super) fn of<'t>(
        terms: impl Iterator<Item = &'t Term>,
        field: Field,
        scoring: &Scoring,
        statistics: &dyn Bm25StatisticsProvider,
    ) -> tantivy::Result<Self> {
        let docs = statistics.total_num_docs()?;
        let mut sum = 0.0;
        for term in terms {
            sum += idf(docs, statistics.doc_freq(term)?);
        }
        Self::with(sum, field, scoring, statistics)
    }

    /// Returns the one of words that stand for each other: as rare as the most frequent one.
    pub(super) fn of_one(
        terms: &[Term],
        scoring: &Scoring,
        statistics: &dyn Bm25StatisticsProvider,
    ) -> tantivy::Result<Self> {
        let mut most = 0;
        for term in terms {
            most = most.max(statistics.doc_freq(term)?);
        }
        let docs = statistics.total_num_docs()?;
        Self::with(idf(docs, most), terms[0].field(), scoring, statistics)
    }

    fn with(
        idf: Score,
        field: Field,
        scoring: &Scoring,
        statistics: &dyn Bm25StatisticsProvider,
    ) -> tantivy::Result<Self> {
        let docs = statistics.total_num_docs()?.max(1);
        let tokens = statistics.total_num_tokens(field)?;
        Ok(Self {
            idf,
            average_length: tokens as Score / docs as Score,
            k1: scoring.k1,
            b: scoring.b,
        })
    }

    pub(super) fn boosted(self, boost: Score) -> Self {
        Self {
            idf: self.idf * boost,
            ..self
        }
    }

    pub(super) fn score(self, frequency: Score, length: u32) -> Score {
        let norm = self.k1 * (1.0 - self.b + self.b * length as Score / self.average_length);
        self.idf * (1.0 + self.k1) * frequency / (frequency + norm)
    }
}

fn idf(docs: u64, frequency: u64) -> Score {
    let without = docs as Score - frequency as Score;
    (1.0 + (without + 0.5) / (frequency as Score + 0.5)).ln()
}
