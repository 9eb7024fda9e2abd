//! What the analysis of the texts of a document may take. A few parameters and a short text can ask for any amount of work, so everything is
//! counted, and by numbers that are the same on every copy of a shard: what a primary has taken no copy refuses.

use std::cell::Cell;

use ringwall_api::ApiError;

use super::token::{Stream, Token};

/// What the analysis of texts has taken: of all values, fields and multi-fields of a document, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// Bytes that parts have made, of each text those of the part that made most.
    made: usize,
    /// Bytes of the texts.
    texts: usize,
    /// Bytes that patterns have looked at.
    looked: usize,
    /// Bytes that may be made, where that is less than the analyzers may.
    most: usize,
}

impl Default for Spent {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Spent {
    /// Nothing yet, of so many bytes that may be made.
    pub fn within(most: usize) -> Self {
        Self {
            made: 0,
            texts: 0,
            looked: 0,
            most,
        }
    }

    /// As if patterns had looked at all bytes but so many of those that they may look at in any case.
    #[cfg(test)]
    pub(super) fn but_looks(left: usize) -> Self {
        Self {
            looked: FREE_LOOKS - left,
            ..Self::default()
        }
    }

    /// Bytes that patterns may look at.
    fn may_look(&self) -> usize {
        let texts = self.texts.saturating_mul(LOOKS_AT_A_BYTE);
        texts.saturating_add(FREE_LOOKS)
    }
}

/// How often patterns may look at each byte of a text, on the average, and bytes that they may look at in any case. Most look once or
/// twice; `a.*z|a` can look at the rest of the text for each `a`.
const LOOKS_AT_A_BYTE: usize = 64;
const FREE_LOOKS: usize = 64 << 20;

/// The analysis of one text.
#[derive(Debug)]
pub(super) struct Run {
    /// Bytes that each part may make of the text and those before, and that all parts together may keep at one time.
    most: usize,
    /// What texts before have taken, with this one.
    before: Spent,
    /// Bytes that the part has made that made most.
    made: Cell<usize>,
    looked: Cell<usize>,
    held: Cell<usize>,
    failed: Cell<Option<Exceeded>>,
    /// One more than the last place of the text, also where its token was left out.
    places: Cell<usize>,
    /// Where the text that was given ends, bytes.
    end: usize,
}

/// A part of an analyzer did more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// It made more than so many bytes.
    Made(usize),
    /// Its patterns looked at more than so many bytes.
    Looked(usize),
}

impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        Self::illegal_argument(match exceeded {
            Exceeded::Made(most) => format!(
                "an analyzer makes more than [{most}] bytes of the texts of one document. This limit can be set by \
                 [index.mapping.analyzed_bytes.limit] when an index is made"
            ),
            Exceeded::Looked(most) => format!(
                "the patterns of an analyzer look at more than [{most}] bytes: they look far ahead again and again"
            ),
        })
    }
}

/// What a token takes beside its text, bytes.
const TOKEN_BYTES: usize = 16;

impl Run {
    /// Begins the analysis of a text that comes after others.
    pub(super) fn after(spent: &Spent, most: usize, text: &str) -> Self {
        let texts = spent.texts.saturating_add(text.len());
        Self {
            most: most.min(spent.most),
            before: Spent { texts, ..*spent },
            made: Cell::new(0),
            looked: Cell::new(spent.looked),
            end: text.len(),
            held: Cell::new(0),
            failed: Cell::new(None),
            places: Cell::new(0),
        }
    }

    /// Returns what this text and those before have taken.
    pub(super) fn spent(&self) -> Spent {
        Spent {
            made: self.before.made.saturating_add(self.made.get()),
            looked: self.looked.get(),
            ..self.before
        }
    }

    /// Ends the analysis: nobody makes tokens any more.
    fn fail(&self, why: Exceeded) {
        self.failed.set(self.failed.get().or(Some(why)));
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    pub(super) fn outcome(&self) -> Result<(), Exceeded> {
        self.failed.get().map_or(Ok(()), Err)
    }

    /// Notes how many bytes a part has made of the text. Returns whether it may.
    pub(super) fn make(&self, bytes: usize) -> bool {
        self.made.set(self.made.get().max(bytes));
        if self.before.made.saturating_add(bytes) > self.most {
            self.fail(Exceeded::Made(self.most));
        }
        !self.has_failed()
    }

    /// Notes bytes that a pattern has looked at. Returns whether it may look on.
    pub(super) fn look(&self, bytes: usize) -> bool {
        let looked = self.looked.get().saturating_add(bytes);
        self.looked.set(looked);
        let most = self.before.may_look();
        if looked > most {
            self.fail(Exceeded::Looked(most));
        }
        !self.has_failed()
    }

    /// Notes bytes that a part keeps. Returns whether it may.
    pub(super) fn hold(&self, bytes: usize) -> bool {
        let held = self.held.get().saturating_add(bytes);
        self.held.set(held);
        if held > self.most {
            self.fail(Exceeded::Made(self.most));
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
            self.make(made).then_some(token)
        }))
    }
}
