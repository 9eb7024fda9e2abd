//! `text`: analyzed.

use ringwall_api::ApiError;

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar};
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::FieldMapping;

#[derive(Debug)]
pub(super) struct Text;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::ANALYZER,
    p::SEARCH_ANALYZER,
    p::SEARCH_QUOTE_ANALYZER,
    p::POSITION_INCREMENT_GAP,
    p::NORMS,
    p::TEXT_INDEX_OPTIONS,
    p::EAGER_GLOBAL_ORDINALS,
    p::SIMILARITY,
];

impl Mapper for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Text)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn defaults(&self, field: &mut FieldMapping) {
        field.doc_values = false;
        field.norms = true;
    }

    fn finish(&self, field: &mut FieldMapping) -> Result<(), ApiError> {
        p::settle_analyzers(field);
        Ok(())
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        if field.index {
            values.text(field, scalar.text().into_owned());
        }
        Ok(())
    }
}
