//! Words of a field that stand for each other: a document that has several of them has one so many times. Source: Lucene's
//! `SynonymQuery`.

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

use super::similarity::{Lengths, Scoring, Similarity};

/// One word or several of one field.
#[derive(Debug, Clone)]
pub(super) struct WordsQuery {
    terms: Vec<Term>,
    scoring: Scoring,
}

impl WordsQuery {
    /// Returns the query of at least one word.
    pub(super) fn new(terms: Vec<Term>, scoring: Scoring) -> Self {
        Self { terms, scoring }
    }
}

impl Query for WordsQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let similarity = match scoring {
            EnableScoring::Enabled {
                statistics_provider,
                ..
            } => Some(Similarity::of_one(
                &self.terms,
                &self.scoring,
                statistics_provider,
            )?),
            EnableScoring::Disabled { .. } => None,
        };
        Ok(Box::new(WordsWeight {
            query: self.clone(),
            similarity,
        }))
    }

    fn query_terms<'a>(&'a self, visitor: &mut dyn FnMut(&'a Term, bool)) {
        for term in &self.terms {
            visitor(term, false);
        }
    }
}

struct WordsWeight {
    query: WordsQuery,
    similarity: Option<Similarity>,
}

impl WordsWeight {
    fn words(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Option<WordsScorer>> {
        let field = self.query.terms[0].field();
        let inverted = reader.inverted_index(field)?;
        let option = match self.similarity {
            Some(_) => IndexRecordOption::WithFreqs,
            None => IndexRecordOption::Basic,
        };
        let mut words = Vec::with_capacity(self.query.terms.len());
        for term in &self.query.terms {
            words.extend(inverted.read_postings(term, option)?);
        }
        if words.is_empty() {
            return Ok(None);
        }
        let mut scorer = WordsScorer {
            words,
            doc: 0,
            similarity: self.similarity.map(|similarity| similarity.boosted(boost)),
            lengths: self.query.scoring.lengths.open(reader, field)?,
        };
        scorer.settle();
        Ok(Some(scorer))
    }
}

impl Weight for WordsWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(match self.words(reader, boost)? {
            Some(scorer) => Box::new(scorer),
            None => Box::new(EmptyScorer),
        })
    }

    fn explain(&self, reader: &SegmentReader, doc: DocId) -> tantivy::Result<Explanation> {
        if let Some(mut scorer) = self.words(reader, 1.0)?
            && (scorer.doc() == doc || (scorer.doc() < doc && scorer.seek(doc) == doc))
        {
            return Ok(Explanation::new("words", scorer.score()));
        }
        Err(TantivyError::InvalidArgument(format!(
            "document {doc} does not match"
        )))
    }
}

struct WordsScorer {
    /// Few: words of one place of a text.
    words: Vec<SegmentPostings>,
    doc: DocId,
    similarity: Option<Similarity>,
    lengths: Lengths,
}

impl WordsScorer {
    fn settle(&mut self) -> DocId {
        let docs = self.words.iter().map(DocSet::doc);
        self.doc = docs.min().unwrap_or(TERMINATED);
        self.doc
    }
}

impl DocSet for WordsScorer {
    fn advance(&mut self) -> DocId {
        let doc = self.doc;
        for word in self.words.iter_mut().filter(|word| word.doc() == doc) {
            word.advance();
        }
        self.settle()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        for word in self.words.iter_mut().filter(|word| word.doc() < target) {
            word.seek(target);
        }
        self.settle()
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        let hints = self.words.iter().map(DocSet::size_hint);
        hints.fold(0, u32::saturating_add)
    }
}

impl Scorer for WordsScorer {
    fn score(&mut self) -> Score {
        let Some(similarity) = self.similarity else {
            return 1.0;
        };
        let here = self.words.iter().filter(|word| word.doc() == self.doc);
        let frequency: u32 = here.map(Postings::term_freq).sum();
        similarity.score(frequency as Score, self.lengths.of(self.doc))
    }
}
