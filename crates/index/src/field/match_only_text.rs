//! `match_only_text`: a text whose matches all score alike, such as a log message.

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar};
use super::text::Text;
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::FieldMapping;

#[derive(Debug)]
pub(super) struct MatchOnlyText;

impl Mapper for MatchOnlyText {
    fn name(&self) -> &'static str {
        "match_only_text"
    }

    fn family_name(&self) -> &'static str {
        Text.name()
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Text)
    }

    fn parameters(&self) -> &'static [Parameter] {
        const { &[p::META, p::COPY_TO] }
    }

    fn defaults(&self, field: &mut FieldMapping) {
        field.doc_values = false;
    }

    fn scores_alike(&self) -> bool {
        true
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        Text.add(field, scalar, values)
    }
}
