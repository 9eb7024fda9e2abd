//! Visiting the matching documents of a segment, until somebody says stop.

use ringwall_api::ApiError;
use tantivy::query::{Scorer, Weight};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, Score, SegmentReader, TERMINATED};

use crate::control::Beat;

/// Visits the live matching documents of a segment in order until told to stop, by `each` or by
/// the control of the search. Without scoring the score is 0.
pub(crate) fn visit(
    weight: &dyn Weight,
    reader: &SegmentReader,
    scoring: bool,
    beat: &mut Beat,
    mut each: impl FnMut(DocId, Score) -> bool,
) -> Result<(), ApiError> {
    // The scorers of terms by a pattern do their work when they are made.
    let Some(mut scorer) = beat.pulse().of_engine(weight.scorer(reader, 1.0))? else {
        return Ok(());
    };
    let alive = reader.alive_bitset();
    let lives = |doc: DocId| alive.is_none_or(|alive| alive.is_alive(doc));
    if scoring {
        visit_scored(scorer.as_mut(), |doc, score| {
            beat.step() && (!lives(doc) || each(doc, score))
        });
        return Ok(());
    }
    let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let found = scorer.fill_buffer(&mut block);
        for doc in &block[..found] {
            if !beat.step() || (lives(*doc) && !each(*doc, 0.0)) {
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
