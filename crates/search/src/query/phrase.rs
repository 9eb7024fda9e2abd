//! Phrases whose words may stand apart, and very long ones. The scorer of the engine multiplies its
//! candidates with every word and asks nobody; this one walks the positions of a document once, and
//! scores as Lucene does: every match counts 1/(1 + distance). Source: Lucene's `PhraseQuery` and `BM25Similarity`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

use super::similarity::{Lengths, Scoring, Similarity};
use crate::control::{Beat, Pulse};

/// Words at their places, which may be moved by `slop` places in all.
#[derive(Clone)]
pub(super) struct LoosePhrase {
    /// Each with its distance from the first, at least two, in order. Words of one place stand for each other.
    terms: Vec<(u32, Vec<Term>)>,
    slop: u32,
    scoring: Scoring,
    pulse: Pulse,
}

impl LoosePhrase {
    pub(super) fn new(
        terms: Vec<(usize, Vec<Term>)>,
        slop: u32,
        scoring: Scoring,
        pulse: &Pulse,
    ) -> Self {
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        Self {
            terms: terms
                .into_iter()
                .map(|(at, term)| (place(at), term))
                .collect(),
            slop,
            scoring,
            pulse: pulse.clone(),
        }
    }
}

impl std::fmt::Debug for LoosePhrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoosePhrase")
            .field("terms", &self.terms)
            .field("slop", &self.slop)
            .finish()
    }
}

impl Query for LoosePhrase {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let similarity = match scoring {
            EnableScoring::Enabled {
                statistics_provider,
                ..
            } => Some(Similarity::of(
                self.terms.iter().flat_map(|(_, terms)| terms),
                self.terms[0].1[0].field(),
                &self.scoring,
                statistics_provider,
            )?),
            EnableScoring::Disabled { .. } => None,
        };
        Ok(Box::new(PhraseWeight {
            phrase: self.clone(),
            similarity,
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        for term in self.terms.iter().flat_map(|(_, terms)| terms) {
            visitor(term, true);
        }
    }
}

struct PhraseWeight {
    phrase: LoosePhrase,
    similarity: Option<Similarity>,
}

impl PhraseWeight {
    fn phrase_scorer(
        &self,
        reader: &SegmentReader,
        boost: Score,
    ) -> tantivy::Result<Option<PhraseScorer>> {
        let terms = &self.phrase.terms;
        let field = terms[0].1[0].field();
        let inverted = reader.inverted_index(field)?;
        let mut beat = self.phrase.pulse.beat();
        let mut places: HashMap<&[Term], usize> = HashMap::new();
        let mut words: Vec<Word> = Vec::new();
        let mut instances = Vec::with_capacity(terms.len());
        for (offset, alike) in terms {
            let place = match places.get(alike.as_slice()) {
                Some(place) => *place,
                None => {
                    beat.engine_steps(16)?;
                    let option = IndexRecordOption::WithFreqsAndPositions;
                    let mut found = Vec::with_capacity(alike.len());
                    for term in alike {
                        found.extend(inverted.read_postings(term, option)?);
                    }
                    if found.is_empty() {
                        return Ok(None);
                    }
                    places.insert(alike, words.len());
                    words.push(Word {
                        postings: AnyOf::new(found),
                        positions: Vec::new(),
                        instances: Vec::new(),
                    });
                    words.len() - 1
                }
            };
            words[place].instances.push(instances.len());
            instances.push(Instance {
                word: place,
                rank: words[place].instances.len() - 1,
                offset: *offset,
                at: 0,
            });
        }
        let lead = (0..words.len()).min_by_key(|place| words[*place].postings.size_hint());
        let mut scorer = PhraseScorer {
            lead: lead.unwrap_or(0),
            words,
            instances,
            queue: BinaryHeap::new(),
            slop: i64::from(self.phrase.slop),
            similarity: self.similarity.map(|similarity| similarity.boosted(boost)),
            lengths: self.phrase.scoring.lengths.open(reader, field)?,
            frequency: 0.0,
            doc: 0,
            beat,
        };
        let first = scorer.words[scorer.lead].postings.doc();
        scorer.find_from(first);
        Ok(Some(scorer))
    }
}

impl Weight for PhraseWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(match self.phrase_scorer(reader, boost)? {
            Some(scorer) => Box::new(scorer),
            None => Box::new(EmptyScorer),
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        let found = self.phrase_scorer(reader, 1.0)?;
        if let Some(mut scorer) = found
            && (scorer.doc() == doc || (scorer.doc() < doc && scorer.seek(doc) == doc))
        {
            return Ok(Explanation::new("phrase", scorer.score()));
        }
        Err(TantivyError::InvalidArgument(format!(
            "document {doc} does not match"
        )))
    }
}

/// A word of the phrase, however often it stands there.
struct Word {
    postings: AnyOf,
    /// In the document that is looked at.
    positions: Vec<u32>,
    /// Where the phrase has it, in order.
    instances: Vec<usize>,
}

/// The postings of words that stand for each other, at least one.
struct AnyOf {
    postings: Vec<SegmentPostings>,
    doc: DocId,
    /// Positions of one of them.
    more: Vec<u32>,
}

impl AnyOf {
    fn new(postings: Vec<SegmentPostings>) -> Self {
        let mut any = Self {
            postings,
            doc: 0,
            more: Vec::new(),
        };
        any.settle();
        any
    }

    fn settle(&mut self) -> DocId {
        let docs = self.postings.iter().map(DocSet::doc);
        self.doc = docs.min().unwrap_or(TERMINATED);
        self.doc
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn advance(&mut self) -> DocId {
        let doc = self.doc;
        for postings in self.postings.iter_mut().filter(|p| p.doc() == doc) {
            postings.advance();
        }
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        for postings in self.postings.iter_mut().filter(|p| p.doc() < target) {
            postings.seek(target);
        }
        self.settle()
    }

    fn size_hint(&self) -> u32 {
        let hints = self.postings.iter().map(DocSet::size_hint);
        hints.fold(0, u32::saturating_add)
    }

    /// Writes the positions in the document at hand, in order.
    fn positions(&mut self, positions: &mut Vec<u32>) {
        if let [one] = self.postings.as_mut_slice() {
            one.positions(positions);
            return;
        }
        positions.clear();
        let doc = self.doc;
        for postings in self.postings.iter_mut().filter(|p| p.doc() == doc) {
            postings.positions(&mut self.more);
            positions.append(&mut self.more);
        }
        positions.sort_unstable();
        positions.dedup();
    }
}

/// A word at one of its places in the phrase.
struct Instance {
    word: usize,
    /// The how manieth place of the word this is.
    rank: usize,
    offset: u32,
    /// Which position of the word stands for it now.
    at: usize,
}

struct PhraseScorer {
    words: Vec<Word>,
    /// The rarest word.
    lead: usize,
    instances: Vec<Instance>,
    /// Instances by where the phrase would begin, the least on top; entries grow stale when an
    /// instance moves.
    queue: BinaryHeap<Reverse<(i64, usize, usize)>>,
    slop: i64,
    similarity: Option<Similarity>,
    lengths: Lengths,
    /// Of the phrase in the current document.
    frequency: Score,
    doc: DocId,
    beat: Beat,
}

impl PhraseScorer {
    /// Finds the first matching document from a candidate of the rarest word on.
    fn find_from(&mut self, candidate: DocId) -> DocId {
        let mut candidate = candidate;
        self.doc = loop {
            if candidate == TERMINATED || !self.beat.step() {
                break TERMINATED;
            }
            let other = self.agree(candidate);
            if other > candidate {
                candidate = match other {
                    TERMINATED => TERMINATED,
                    other => self.words[self.lead].postings.seek(other),
                };
                continue;
            }
            self.frequency = self.phrase_frequency();
            if self.beat.pulse().stopped() {
                break TERMINATED;
            }
            if self.frequency > 0.0 {
                break candidate;
            }
            candidate = self.words[self.lead].postings.advance();
        };
        self.doc
    }

    /// Returns the document itself when every word is in it, else a later one that may be next.
    fn agree(&mut self, candidate: DocId) -> DocId {
        for word in &mut self.words {
            let mut doc = word.postings.doc();
            if doc < candidate {
                doc = word.postings.seek(candidate);
            }
            if doc > candidate {
                return doc;
            }
            self.beat.step();
        }
        candidate
    }

    /// How often the phrase is in the document that all words are at; nearer matches count more.
    fn phrase_frequency(&mut self) -> Score {
        if !self.begin() {
            return 0.0;
        }
        let starts = (0..self.instances.len()).map(|instance| self.start(instance));
        let mut end = starts.max().unwrap_or(0);
        let mut frequency = 0.0;
        while let Some((mut start, instance)) = self.pop() {
            // The words are never nearer than when the first is moved as far as the second.
            let next = self.peek().unwrap_or(i64::MAX);
            let mut width = end - start;
            let more = loop {
                if !self.step(instance, &mut end) {
                    break false;
                }
                start = self.start(instance);
                if start > next {
                    break true;
                }
                width = width.min(end - start);
            };
            if width <= self.slop {
                frequency += 1.0 / (1.0 + width as Score);
                if self.similarity.is_none() {
                    return frequency;
                }
            }
            if !more {
                break;
            }
            self.push(instance);
        }
        frequency
    }

    /// Puts every instance at its first position. Returns whether there are enough.
    fn begin(&mut self) -> bool {
        for word in &mut self.words {
            word.postings.positions(&mut word.positions);
            if word.positions.len() < word.instances.len() {
                return false;
            }
        }
        self.queue.clear();
        for instance in 0..self.instances.len() {
            // A position stands for one word of the phrase only.
            self.instances[instance].at = self.instances[instance].rank;
            self.push(instance);
        }
        true
    }

    /// Where the phrase would begin by the position of one of its words.
    fn start(&self, instance: usize) -> i64 {
        let Instance {
            word, at, offset, ..
        } = self.instances[instance];
        i64::from(self.words[word].positions[at]) - i64::from(offset)
    }

    /// Moves an instance to its next position, and before it those of the same word that stand
    /// there. Returns whether there was one; `false` also when the search is to stop.
    fn step(&mut self, instance: usize, end: &mut i64) -> bool {
        let word = self.instances[instance].word;
        let mut moved = instance;
        loop {
            let at = self.instances[moved].at + 1;
            if !self.beat.step() || at >= self.words[word].positions.len() {
                return false;
            }
            self.instances[moved].at = at;
            *end = (*end).max(self.start(moved));
            if moved != instance {
                self.push(moved);
            }
            let rank = self.instances[moved].rank + 1;
            match self.words[word].instances.get(rank) {
                Some(follower) if self.instances[*follower].at == at => moved = *follower,
                _ => return true,
            }
        }
    }

    fn push(&mut self, instance: usize) {
        let entry = (self.start(instance), instance, self.instances[instance].at);
        self.queue.push(Reverse(entry));
    }

    fn pop(&mut self) -> Option<(i64, usize)> {
        self.peek()?;
        let Reverse((start, instance, _)) = self.queue.pop()?;
        Some((start, instance))
    }

    /// The least start, once stale entries are gone.
    fn peek(&mut self) -> Option<i64> {
        while let Some(Reverse((start, instance, at))) = self.queue.peek() {
            if self.instances[*instance].at == *at {
                return Some(*start);
            }
            self.queue.pop();
        }
        None
    }
}

impl DocSet for PhraseScorer {
    fn advance(&mut self) -> DocId {
        if self.doc == TERMINATED {
            return TERMINATED;
        }
        let candidate = self.words[self.lead].postings.advance();
        self.find_from(candidate)
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target {
            return self.doc;
        }
        let lead = &mut self.words[self.lead].postings;
        let candidate = match lead.doc() < target {
            true => lead.seek(target),
            false => lead.doc(),
        };
        self.find_from(candidate)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.words[self.lead].postings.size_hint()
    }
}

impl Scorer for PhraseScorer {
    fn score(&mut self) -> Score {
        match self.similarity {
            Some(similarity) => similarity.score(self.frequency, self.lengths.of(self.doc)),
            None => 1.0,
        }
    }
}
