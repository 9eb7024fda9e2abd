//! Visiting the matching documents of a segment, until somebody says stop.

use ringwall_api::{ApiError, ErrorCode};
use tantivy::query::{Scorer, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, Score, SegmentReader, TERMINATED};

use crate::engine_error;
use crate::shard::{Interrupt, Shard};

/// Visits the live matching documents of a segment in order until told to stop. Without scoring
/// the score is 0.
pub(crate) fn visit(
    weight: &dyn Weight,
    reader: &SegmentReader,
    scoring: bool,
    mut each: impl FnMut(DocId, Score) -> bool,
) -> Result<(), ApiError> {
    let mut scorer = weight.scorer(reader, 1.0).map_err(|e| engine_error(&e))?;
    let alive = reader.alive_bitset();
    let lives = |doc: DocId| alive.is_none_or(|alive| alive.is_alive(doc));
    if scoring {
        visit_scored(scorer.as_mut(), |doc, score| {
            !lives(doc) || each(doc, score)
        });
        return Ok(());
    }
    let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let found = scorer.fill_buffer(&mut block);
        for doc in &block[..found] {
            if lives(*doc) && !each(*doc, 0.0) {
                return Ok(());
            }
        }
        if found < block.len() {
            return Ok(());
        }
    }
}

fn visit_scored(scorer: &mut dyn Scorer, mut each: impl FnMut(DocId, Score) -> bool) {
    let mut doc = scorer.doc();
    while doc != TERMINATED {
        let score = scorer.score();
        if !each(doc, score) {
            return;
        }
        doc = scorer.advance();
    }
}

/// Asks now and then whether the search goes on.
pub(crate) struct Watch<'a> {
    shard: &'a Shard<'a>,
    left: u32,
    state: Interrupt,
}

/// Documents between two questions.
const WATCH_EVERY: u32 = 4_096;

impl<'a> Watch<'a> {
    pub(crate) fn new(shard: &'a Shard<'a>) -> Self {
        Self {
            shard,
            left: WATCH_EVERY,
            state: Interrupt::Continue,
        }
    }

    /// Counts a document; `false` means stop.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.left -= 1;
        if self.left == 0 {
            self.left = WATCH_EVERY;
            return self.check();
        }
        true
    }

    pub(crate) fn check(&mut self) -> bool {
        if self.state == Interrupt::Continue {
            self.state = (self.shard.context.interrupt)();
        }
        self.state == Interrupt::Continue
    }

    pub(crate) fn stopped(&self) -> bool {
        self.state != Interrupt::Continue
    }

    /// Returns whether the time was up; a cancelled search is an error.
    pub(crate) fn finish(self) -> Result<bool, ApiError> {
        match self.state {
            Interrupt::Continue => Ok(false),
            Interrupt::TimedOut => Ok(true),
            Interrupt::Cancelled => Err(ApiError::new(
                ErrorCode::TaskCancelled,
                "task cancelled: nobody waits for the search any more",
            )),
        }
    }
}
