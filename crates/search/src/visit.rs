//! Visiting the matching documents of a segment, until somebody says stop.

use ringwall_api::ApiError;
use ringwall_index::Leaf;
use tantivy::query::Weight;
use tantivy::{DocId, Score};

use crate::control::Beat;

/// Visits the matching documents of a segment that are seen, in order, until told to stop, by `each`
/// or by the control of the search. Without scoring the score is 0.
pub(crate) fn visit(
    weight: &dyn Weight,
    reader: &Leaf<'_>,
    scoring: bool,
    beat: &mut Beat,
    mut each: impl FnMut(DocId, Score) -> bool,
) -> Result<(), ApiError> {
    // What is hidden takes time as well.
    let visited = reader.visit(weight, scoring, |doc, score| {
        beat.step() && doc.is_none_or(|doc| each(doc, score))
    });
    // The scorers of terms by a pattern do their work when they are made: it may be there that they stop.
    beat.pulse().of_engine(visited).map(drop)
}
