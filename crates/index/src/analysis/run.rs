//! What the analysis of one text may take. A few parameters and a short text can ask for any amount of work, so everything is
//! counted, and by numbers that are the same on every copy of a shard: what a primary has taken no copy refuses.

use std::cell::Cell;

use ringwall_api::ApiError;

use super::token::{Stream, Token};

/// The analysis of one text.
#[derive(Debug)]
pub(super) struct Run {
    /// Bytes that each part may make of the text, and that all parts together may keep at one time.
    most: usize,
    held: Cell<usize>,
    failed: Cell<bool>,
    /// One more than the last place of the text, also where its token was left out.
    places: Cell<usize>,
    /// Where the text that was given ends, bytes.
    end: usize,
}

/// A part of an analyzer made more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Bytes.
    pub most: usize,
}

impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        Self::illegal_argument(format!(
            "an analyzer makes more than [{}] bytes of one text. This limit can be set by [index.mapping.analyzed_bytes.limit] \
             when an index is made",
            exceeded.most
        ))
    }
}

/// What a token takes beside its text, bytes.
const TOKEN_BYTES: usize = 16;

impl Run {
    /// Begins the analysis of a text.
    pub(super) fn new(most: usize, text: &str) -> Self {
        Self {
            most,
            end: text.len(),
            held: Cell::new(0),
            failed: Cell::new(false),
            places: Cell::new(0),
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Ends the analysis: nobody makes tokens any more.
    pub(super) fn fail(&self) {
        self.failed.set(true);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    pub(super) fn outcome(&self) -> Result<(), Exceeded> {
        match self.failed.get() {
            true => Err(Exceeded { most: self.most }),
            false => Ok(()),
        }
    }

    /// Notes bytes that a part keeps. Returns whether it may.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let held = self.held.get().saturating_add(bytes);
        self.held.set(held);
        if held > self.most {
            self.fail();
        }
        !self.has_failed()
    }

    /// Notes that a part keeps so many bytes no more.
    pub(super) fn release(&self, bytes: usize) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Returns the number of places of the text, when all tokens were made.
    pub(super) fn places(&self) -> usize {
        self.places.get()
    }

    /// Notes that what follows stands so many places further on.
    pub(super) fn shift(&self, places: usize) {
        self.places.set(self.places.get().saturating_add(places));
    }

    /// Notes that what follows stands so many places nearer.
    pub(super) fn close(&self, places: usize) {
        self.places.set(self.places.get().saturating_sub(places));
    }

    /// Counts the tokens of a tokenizer, and the places that they take.
    pub(super) fn cut<'a>(&'a self, tokens: Stream<'a>) -> Stream<'a> {
        let mut seen = 0;
        Box::new(self.counted(tokens).inspect(move |token| {
            let places = token.position + 1;
            self.shift(places.saturating_sub(seen));
            seen = seen.max(places);
        }))
    }

    /// Counts what a part makes, and ends it when that is too much.
    pub(super) fn counted<'a>(&'a self, mut tokens: Stream<'a>) -> Stream<'a> {
        let mut made = 0_usize;
        Box::new(std::iter::from_fn(move || {
            let token: Token = tokens.next()?;
            made = made.saturating_add(token.text.len() + TOKEN_BYTES);
            if made > self.most {
                self.fail();
            }
            (!self.has_failed()).then_some(token)
        }))
    }
}
