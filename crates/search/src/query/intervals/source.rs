//! Where a rule finds its intervals in a document, and how documents are scored by them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

use super::spans::{self, Relation, Span};
use crate::control::{Beat, Pulse};
use crate::highlight::Positions;
use crate::query::Compiled;

/// A rule, resolved for a shard. Words are numbers into a list of terms.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Word(usize),
    Any(Vec<Self>),
    Ordered(Vec<Self>),
    Unordered(Vec<Self>),
    /// So many of one, one after the other.
    Repeated(Box<Self>, usize),
    MaxGaps(Box<Self>, u32),
    /// With so many positions before it.
    After(u32, Box<Self>),
    Filtered(Box<Self>, Relation, Box<Self>),
}

impl Source {
    /// Parts in any order; equal ones are looked for one after the other, so that one word does not stand for two.
    pub(super) fn unordered(parts: Vec<Self>) -> Self {
        let mut counted: Vec<(Self, usize)> = Vec::new();
        for part in parts {
            match counted.iter_mut().find(|(known, _)| *known == part) {
                Some((_, times)) => *times += 1,
                None => counted.push((part, 1)),
            }
        }
        let once = |(part, times)| match times {
            1 => part,
            times => Self::Repeated(Box::new(part), times),
        };
        Self::one_or(counted.into_iter().map(once).collect(), Self::Unordered)
    }

    /// Parts one after the other.
    pub(super) fn ordered(parts: Vec<Self>) -> Self {
        let same = parts.windows(2).all(|two| two[0] == two[1]);
        match parts.len() {
            times if same && times > 1 => {
                let part = parts.into_iter().next();
                part.map_or(Self::Any(Vec::new()), |part| {
                    Self::Repeated(Box::new(part), times)
                })
            }
            _ => Self::one_or(parts, Self::Ordered),
        }
    }

    pub(super) fn any(parts: Vec<Self>) -> Self {
        Self::one_or(parts, Self::Any)
    }

    fn one_or(mut parts: Vec<Self>, several: fn(Vec<Self>) -> Self) -> Self {
        match parts.len() {
            1 => parts.remove(0),
            _ => several(parts),
        }
    }

    /// The words that an interval is made of, each once.
    pub(super) fn shown(&self) -> BTreeSet<usize> {
        match self {
            Self::Word(word) => BTreeSet::from([*word]),
            Self::Any(parts) | Self::Ordered(parts) | Self::Unordered(parts) => {
                parts.iter().flat_map(Self::shown).collect()
            }
            Self::Repeated(part, _)
            | Self::MaxGaps(part, _)
            | Self::After(_, part)
            | Self::Filtered(part, ..) => part.shown(),
        }
    }

    /// The fewest positions that an interval has, as scores count them.
    fn least(&self) -> u32 {
        match self {
            Self::Word(_) => 1,
            Self::Any(parts) => parts.iter().map(Self::least).min().unwrap_or(0),
            Self::Ordered(parts) | Self::Unordered(parts) => parts.iter().map(Self::least).sum(),
            Self::Repeated(part, _) | Self::MaxGaps(part, _) => part.least(),
            Self::After(before, part) => part.least().saturating_add(*before),
            Self::Filtered(part, ..) => part.least(),
        }
    }

    /// The documents that may have an interval: a query of words.
    pub(super) fn candidates(&self, words: &[Term]) -> Compiled {
        use tantivy::query::{BooleanQuery, TermQuery};
        let all_of =
            |parts: Vec<Compiled>| -> Compiled { Box::new(BooleanQuery::intersection(parts)) };
        match self {
            Self::Word(word) => Box::new(TermQuery::new(
                words[*word].clone(),
                IndexRecordOption::Basic,
            )),
            Self::Any(parts) => {
                let parts = parts.iter().map(|part| part.candidates(words)).collect();
                Box::new(BooleanQuery::union(parts))
            }
            Self::Ordered(parts) | Self::Unordered(parts) => {
                all_of(parts.iter().map(|part| part.candidates(words)).collect())
            }
            Self::Repeated(part, _) | Self::MaxGaps(part, _) | Self::After(_, part) => {
                part.candidates(words)
            }
            Self::Filtered(part, relation, other) => match relation.is_positive() {
                true => all_of(vec![part.candidates(words), other.candidates(words)]),
                false => part.candidates(words),
            },
        }
    }

    /// The intervals in a document.
    pub(super) fn spans(&self, words: &mut dyn WordPlaces, beat: &mut Beat) -> Vec<Span> {
        let of_all =
            |parts: &[Self], words: &mut dyn WordPlaces, beat: &mut Beat| -> Vec<Vec<Span>> {
                parts.iter().map(|part| part.spans(words, beat)).collect()
            };
        match self {
            Self::Word(word) => words.spans(*word, beat),
            Self::Any(parts) => spans::union(of_all(parts, words, beat), beat),
            Self::Ordered(parts) => spans::ordered(&of_all(parts, words, beat), beat),
            Self::Unordered(parts) => spans::unordered(&of_all(parts, words, beat), beat),
            Self::Repeated(part, times) => spans::repeated(&part.spans(words, beat), *times),
            Self::MaxGaps(part, most) => {
                let mut found = part.spans(words, beat);
                found.retain(|span| span.gaps <= *most);
                found
            }
            Self::After(before, part) => {
                let mut found = part.spans(words, beat);
                for span in &mut found {
                    span.start = span.start.saturating_sub(*before);
                }
                found
            }
            Self::Filtered(part, relation, other) => {
                let found = part.spans(words, beat);
                match found.is_empty() {
                    true => found,
                    false => spans::related(found, *relation, &other.spans(words, beat), beat),
                }
            }
        }
    }
}

/// Scores documents by the intervals of a rule.
#[derive(Clone)]
pub(super) struct IntervalsOf {
    pub(super) source: Arc<Source>,
    pub(super) words: Arc<Vec<Term>>,
    pub(super) pulse: Pulse,
}

impl std::fmt::Debug for IntervalsOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalsOf")
            .field("source", &self.source)
            .field("words", &self.words)
            .finish_non_exhaustive()
    }
}

impl Query for IntervalsOf {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let candidates = self.source.candidates(&self.words);
        let unscored = match scoring {
            EnableScoring::Enabled { searcher, .. } => {
                EnableScoring::disabled_from_searcher(searcher)
            }
            disabled => disabled,
        };
        Ok(Box::new(IntervalsWeight {
            query: self.clone(),
            candidates: candidates.weight(unscored)?,
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        for word in self.words.iter() {
            visitor(word, true);
        }
    }
}

struct IntervalsWeight {
    query: IntervalsOf,
    candidates: Box<dyn Weight>,
}

impl IntervalsWeight {
    fn open(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<IntervalsScorer> {
        let IntervalsOf {
            source,
            words,
            pulse,
        } = &self.query;
        let mut beat = pulse.beat();
        let mut opened = Vec::with_capacity(words.len());
        for word in words.iter() {
            beat.engine_steps(16)?;
            let inverted = reader.inverted_index(word.field())?;
            let option = IndexRecordOption::WithFreqsAndPositions;
            opened.push(inverted.read_postings(word, option)?);
        }
        let mut scorer = IntervalsScorer {
            candidates: self.candidates.scorer(reader, 1.0)?,
            source: Arc::clone(source),
            least: source.least(),
            words: Words {
                opened,
                doc: 0,
                positions: Vec::new(),
            },
            boost,
            frequency: 0.0,
            doc: 0,
            beat,
        };
        scorer.find();
        Ok(scorer)
    }
}

impl Weight for IntervalsWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        if reader.max_doc() == 0 {
            return Ok(Box::new(EmptyScorer));
        }
        Ok(Box::new(self.open(reader, boost)?))
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let mut scorer = self.open(reader, 1.0)?;
        if scorer.doc() == doc || (scorer.doc() < doc && scorer.seek(doc) == doc) {
            return Ok(Explanation::new("intervals", scorer.score()));
        }
        Err(TantivyError::InvalidArgument(format!(
            "document {doc} does not match"
        )))
    }
}

/// Tells where words stand.
pub(super) trait WordPlaces {
    fn spans(&mut self, word: usize, beat: &mut Beat) -> Vec<Span>;
}

/// The words of one text.
pub(super) struct WordsOfText<'a> {
    pub(super) texts: &'a [String],
    pub(super) positions: &'a Positions<'a>,
}

impl WordPlaces for WordsOfText<'_> {
    fn spans(&mut self, word: usize, beat: &mut Beat) -> Vec<Span> {
        let positions = self.positions.get(self.texts[word].as_str());
        let positions = positions.map_or(&[][..], Vec::as_slice);
        beat.steps(u32::try_from(positions.len()).unwrap_or(u32::MAX));
        spans::positions(positions)
    }
}

/// The words of a segment; a word that is not in it has no postings.
struct Words {
    opened: Vec<Option<SegmentPostings>>,
    /// Whose positions are read.
    doc: DocId,
    positions: Vec<u32>,
}

impl WordPlaces for Words {
    fn spans(&mut self, word: usize, beat: &mut Beat) -> Vec<Span> {
        let Some(postings) = &mut self.opened[word] else {
            return Vec::new();
        };
        if postings.doc() < self.doc {
            postings.seek(self.doc);
        }
        if postings.doc() != self.doc {
            return Vec::new();
        }
        postings.positions(&mut self.positions);
        beat.steps(u32::try_from(self.positions.len()).unwrap_or(u32::MAX));
        spans::positions(&self.positions)
    }
}

struct IntervalsScorer {
    candidates: Box<dyn Scorer>,
    source: Arc<Source>,
    least: u32,
    words: Words,
    boost: Score,
    /// Of the intervals in the current document; nearer words count more.
    frequency: Score,
    doc: DocId,
    beat: Beat,
}

impl IntervalsScorer {
    /// Goes on from the current candidate to one that has an interval.
    fn find(&mut self) -> DocId {
        self.doc = loop {
            let candidate = self.candidates.doc();
            if candidate == TERMINATED {
                break TERMINATED;
            }
            self.words.doc = candidate;
            let found = self.source.spans(&mut self.words, &mut self.beat);
            if !self.beat.step() || self.beat.pulse().stopped() {
                // Nothing that was cut short may count.
                break TERMINATED;
            }
            if !found.is_empty() {
                let longer = |span: &Span| (span.width() + 1).saturating_sub(self.least).max(1);
                self.frequency = found.iter().map(|span| 1.0 / longer(span) as Score).sum();
                break candidate;
            }
            self.candidates.advance();
        };
        self.doc
    }
}

impl DocSet for IntervalsScorer {
    fn advance(&mut self) -> DocId {
        if self.doc == TERMINATED {
            return TERMINATED;
        }
        self.candidates.advance();
        self.find()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target {
            return self.doc;
        }
        self.candidates.seek(target);
        self.find()
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.candidates.size_hint()
    }
}

impl Scorer for IntervalsScorer {
    /// Saturates: half of the boost for one nearest interval.
    fn score(&mut self) -> Score {
        self.boost * self.frequency / (self.frequency + 1.0)
    }
}
