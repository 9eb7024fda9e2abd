//! `wildcard`: stored and queried as a keyword.

use super::keyword;
use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar};
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::FieldMapping;

#[derive(Debug)]
pub(super) struct Wildcard;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::FIXED_INDEX,
    p::FIXED_DOC_VALUES,
    p::NULL_VALUE,
    p::IGNORE_ABOVE,
];

impl Mapper for Wildcard {
    fn name(&self) -> &'static str {
        "wildcard"
    }

    fn family_name(&self) -> &'static str {
        "keyword"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Keyword)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        keyword::add(field, scalar, values)
    }
}
