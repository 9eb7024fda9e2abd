//! An analyzer made of parts: char filters, a tokenizer, token filters.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use ringwall_api::ApiError;

use super::char_filters::CharFilter;
use super::filters::TokenFilter;
use super::mapped::Mapped;
use super::run::{Exceeded, Run, Spent};
use super::token::{Stream, Token};
use super::tokenizers::Tokenizer;

/// A part with the name that it was asked for by.
#[derive(Debug)]
pub(super) struct Part<T: ?Sized> {
    pub name: String,
    pub part: Arc<T>,
}

/// The parts of an analyzer or of a normalizer.
pub struct Chain {
    /// As mappings name it.
    pub(super) name: String,
    /// What it was made of, to compare.
    pub(super) definition: String,
    pub(super) char_filters: Vec<Part<dyn CharFilter>>,
    pub(super) tokenizer: Part<dyn Tokenizer>,
    pub(super) filters: Vec<Part<dyn TokenFilter>>,
    /// Whether somebody named its parts.
    pub(super) is_custom: bool,
    /// Places between two values, if the analyzer says so.
    pub(super) gap: Option<u32>,
    /// Bytes that each part may make of the texts of a document.
    pub(super) most: usize,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.definition == other.definition
    }
}

impl Eq for Chain {}

/// What each part of a chain made of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    /// Names and texts.
    pub char_filters: Vec<(String, String)>,
    /// Names and tokens: the tokenizer, then the filters.
    pub tokens: Vec<(String, Analyzed)>,
}

/// The tokens of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Analyzed {
    pub tokens: Vec<Token>,
    /// The places that the text takes, with those of words that were left out.
    pub places: usize,
}

impl Chain {
    /// Returns whether it is made of parts that somebody named, not one of the built-in analyzers with parameters.
    pub fn is_of_parts(&self) -> bool {
        self.is_custom
    }

    /// Returns whether tokens of several places are ways beside others, see [`TokenFilter::makes_ways`].
    pub(super) fn has_ways(&self) -> bool {
        self.filters.iter().all(|filter| filter.part.makes_ways())
    }

    /// Returns the places between two values of a field, if the analyzer tells.
    pub fn gap(&self) -> Option<u32> {
        self.gap
    }

    /// Hands the tokens of a text on, until `see` returns false. What that takes is added to what texts before have taken.
    ///
    /// # Errors
    /// A part makes more than it may.
    pub fn for_each(
        &self,
        text: &str,
        spent: &mut Spent,
        mut see: impl FnMut(Token) -> bool,
    ) -> Result<usize, Exceeded> {
        let run = Run::after(spent, self.most, text);
        let changed = self.changed(text, &run);
        let cut = changed.as_ref().map_or(text, |changed| &changed.text);
        let mut whole = true;
        for mut token in self.stream(cut, changed.as_ref(), self.filters.len(), &run) {
            // A filter that parts what another has joined guesses where the parts were.
            token.start = text.floor_char_boundary(token.start);
            token.end = text.ceil_char_boundary(token.end);
            if !see(token) {
                whole = false;
                break;
            }
        }
        *spent = run.spent();
        // Who has seen enough does not mind what would have come.
        if whole {
            run.outcome()?;
        }
        Ok(run.places())
    }

    /// Returns the tokens of a text, the first `most` of them.
    ///
    /// # Errors
    /// A part makes more than it may.
    pub fn analyzed(
        &self,
        text: &str,
        most: usize,
        spent: &mut Spent,
    ) -> Result<Analyzed, Exceeded> {
        let mut tokens = Vec::new();
        let places = self.for_each(text, spent, |token| {
            tokens.push(token);
            tokens.len() < most
        })?;
        Ok(Analyzed { tokens, places })
    }

    /// Returns a text as a normalizer writes it.
    ///
    /// # Errors
    /// A part makes more than it may.
    pub fn normalized(&self, text: &str, spent: &mut Spent) -> Result<String, Exceeded> {
        let mut out = String::new();
        self.for_each(text, spent, |token| {
            out.push_str(&token.text);
            true
        })?;
        Ok(out)
    }

    /// Returns what each part makes of a text, each the first `most` tokens. All of it is kept, so all of it is added to what was
    /// spent.
    ///
    /// # Errors
    /// A part makes more than it may.
    pub fn stages(&self, text: &str, most: usize, spent: &mut Spent) -> Result<Stages, Exceeded> {
        let mut stages = Stages::default();
        let mut changed: Option<Mapped> = None;
        for filter in &self.char_filters {
            let run = Run::after(spent, self.most, text);
            let before = changed.unwrap_or_else(|| Mapped::new(text));
            let after = filter.part.apply(&before, &run);
            run.outcome()?;
            *spent = run.spent();
            let seen = (filter.name.clone(), after.text.clone());
            stages.char_filters.push(seen);
            changed = Some(after);
        }
        let cut = changed.as_ref().map_or(text, |changed| &changed.text);
        for depth in 0..=self.filters.len() {
            let run = Run::after(spent, self.most, text);
            let stream = self.stream(cut, changed.as_ref(), depth, &run);
            let tokens = stream.take(most).collect();
            run.outcome()?;
            *spent = run.spent();
            let name = match depth.checked_sub(1) {
                None => &self.tokenizer.name,
                Some(filter) => &self.filters[filter].name,
            };
            let places = run.places();
            let seen = (name.clone(), Analyzed { tokens, places });
            stages.tokens.push(seen);
        }
        Ok(stages)
    }

    /// Returns the chain with filters that know how texts are cut before them.
    ///
    /// # Errors
    /// A filter that knows it cannot be made.
    pub(super) fn prepared(mut self) -> Result<Self, ApiError> {
        // All rules of all filters together.
        let spent = Cell::new(Spent::default());
        for at in 0..self.filters.len() {
            let cut = |text: &str| self.cut_by(at, text, &spent);
            let prepared = self.filters[at].part.prepared(&cut).transpose()?;
            if let Some(filter) = prepared {
                self.filters[at].part = filter;
            }
        }
        Ok(self)
    }

    /// Cuts the text of a rule, as the filters before one do.
    fn cut_by(
        &self,
        filters: usize,
        text: &str,
        spent: &Cell<Spent>,
    ) -> Result<Vec<Token>, ApiError> {
        let run = Run::after(&spent.get(), RULES_BYTES, text);
        run.make(text.len());
        let changed = self.changed(text, &run);
        let text = changed.as_ref().map_or(text, |changed| &changed.text);
        let before = self.filters.iter().take(filters);
        let unfit = before.clone().find(|filter| !filter.part.reads_rules());
        if let Some(unfit) = unfit {
            return Err(ApiError::illegal_argument(format!(
                "Token filter [{}] cannot be used to parse synonyms",
                unfit.name
            )));
        }
        let mut stream = run.cut(self.tokenizer.part.cut(text, &run));
        for filter in before.filter(|filter| !filter.part.has_rules()) {
            stream = run.counted(filter.part.apply(stream, &run));
        }
        let tokens: Vec<Token> = stream.collect();
        run.outcome().map_err(|_| {
            ApiError::illegal_argument(format!(
                "the rules of the filters of [{}] take more than [{RULES_BYTES}] bytes",
                self.name
            ))
        })?;
        spent.set(run.spent());
        Ok(tokens)
    }

    fn changed(&self, text: &str, run: &Run) -> Option<Mapped> {
        let mut changed: Option<Mapped> = None;
        for filter in &self.char_filters {
            let before = changed.unwrap_or_else(|| Mapped::new(text));
            changed = Some(filter.part.apply(&before, run));
        }
        changed
    }

    /// Returns the tokens of a text behind so many filters, with offsets of the text that was given.
    fn stream<'a>(
        &'a self,
        text: &'a str,
        changed: Option<&'a Mapped>,
        filters: usize,
        run: &'a Run,
    ) -> Stream<'a> {
        if run.has_failed() {
            return Box::new(std::iter::empty());
        }
        let mut stream = run.cut(self.tokenizer.part.cut(text, run));
        if let Some(changed) = changed {
            stream = Box::new(stream.map(|mut token| {
                token.start = changed.source_of(token.start);
                token.end = changed.source_of(token.end).max(token.start);
                token
            }));
        }
        for filter in self.filters.iter().take(filters) {
            stream = run.counted(filter.part.apply(stream, run));
        }
        stream
    }
}

/// What all rules of an analyzer may become, bytes.
const RULES_BYTES: usize = 64 << 20;
