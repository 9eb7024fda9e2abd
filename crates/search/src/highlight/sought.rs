//! What queries look for in texts: each kind of query adds its words and phrases, highlighters find them again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ringwall_api::ApiError;
use tantivy::query::Weight;

use crate::control::Beat;
use crate::engine_error;
use crate::query::{Query, compile_root};
use crate::shard::Shard;

/// Positions of the words of a text.
pub(crate) type Positions<'a> = HashMap<&'a str, Vec<u32>>;

/// Finds the positions that are part of a match.
pub(crate) type NearTest = dyn Fn(&Positions<'_>, &mut Beat) -> BTreeSet<u32> + Send + Sync;

/// What a word is compared with.
#[derive(Clone)]
pub(crate) enum Test {
    Is(String),
    Passes(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Test {
    pub(crate) fn passes(test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::Passes(Arc::new(test))
    }

    pub(super) fn is_met(&self, word: &str) -> bool {
        match self {
            Self::Is(text) => text == word,
            Self::Passes(test) => test(word),
        }
    }
}

/// What a query looks for in a field.
#[derive(Clone)]
pub(crate) enum What {
    Word(Test),
    /// Words at their places, at least two, and how many places they may be moved.
    Phrase {
        words: Vec<(u32, Test)>,
        slop: u32,
    },
    /// Words that stand near one another by rules: all of them, and which of those in a text do.
    Near {
        words: Vec<String>,
        test: Arc<NearTest>,
    },
}

/// Something to look for.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(super) field: String,
    pub(super) what: What,
    pub(super) boost: f32,
    /// Queries that a document must match for this to count; places in the list of [`Sought`].
    pub(super) gates: Vec<usize>,
}

/// All that a query looks for.
#[derive(Default)]
pub(crate) struct Sought {
    pub(super) wanted: Vec<Wanted>,
    pub(super) gates: Vec<Box<dyn Weight>>,
    /// Of the part that is looked into.
    within: Vec<usize>,
    boost: Option<f32>,
}

impl Sought {
    /// Returns what a whole query looks for.
    ///
    /// # Errors
    /// 400 when the query does not fit the mapping.
    pub(super) fn of(shard: &Shard<'_>, query: &Query, is_matched: bool) -> Result<Self, ApiError> {
        shard.begin_query();
        let mut sought = Self::default();
        match is_matched {
            true => query.seek(shard, &mut sought)?,
            false => sought.part(shard, query)?,
        }
        Ok(sought)
    }

    /// Adds something to look for.
    ///
    /// # Errors
    /// The search was stopped.
    pub(crate) fn add(
        &mut self,
        shard: &Shard<'_>,
        field: &str,
        what: What,
    ) -> Result<(), ApiError> {
        shard.pulse.proceed()?;
        self.wanted.push(Wanted {
            field: field.to_owned(),
            what,
            boost: self.boost.unwrap_or(1.0),
            gates: self.within.clone(),
        });
        Ok(())
    }

    /// Adds what is within a boost.
    pub(crate) fn boosted(
        &mut self,
        boost: f32,
        add: impl FnOnce(&mut Self) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let before = self.boost;
        self.boost = Some(before.unwrap_or(1.0) * boost);
        let added = add(self);
        self.boost = before;
        added
    }

    /// Adds what an optional part looks for: where the part does not match, its words do not count.
    pub(crate) fn part(&mut self, shard: &Shard<'_>, query: &Query) -> Result<(), ApiError> {
        if !query.needs_several() {
            return query.seek(shard, self);
        }
        let compiled = shard.apart(|| compile_root(shard, query))?;
        let weight = shard.searcher().weight(compiled.as_ref(), false);
        self.gates.push(weight.map_err(|e| engine_error(&e))?);
        self.within.push(self.gates.len() - 1);
        let added = query.seek(shard, self);
        self.within.pop();
        added
    }
}
