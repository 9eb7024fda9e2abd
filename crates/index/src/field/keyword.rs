//! `keyword`: a text as it is.

use serde_json::Value;

use super::parameter::{self as p, Parameter};
use super::scalar::{self, Rejection, Scalar};
use super::{Family, Mapper, ShownAs};
use crate::document::Values;
use crate::mapping::FieldMapping;

#[derive(Debug)]
pub(super) struct Keyword;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    p::NORMS,
    p::KEYWORD_INDEX_OPTIONS,
    p::EAGER_GLOBAL_ORDINALS,
    p::SPLIT_QUERIES_ON_WHITESPACE,
    p::SIMILARITY,
    p::LISTED_IGNORE_ABOVE,
];

impl Mapper for Keyword {
    fn name(&self) -> &'static str {
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
        add(field, scalar, values)
    }

    fn shown(&self, field: &FieldMapping, value: &Value, _how: &ShownAs) -> Option<Value> {
        let text = scalar::written(value)?;
        let limit = field.ignore_above.unwrap_or(usize::MAX);
        (text.chars().count() <= limit).then(|| text.into())
    }
}

/// Adds a text as it is.
pub(super) fn add(
    field: &FieldMapping,
    scalar: &Scalar<'_>,
    values: &mut Values,
) -> Result<(), Rejection> {
    let text = scalar.text();
    if let Some(limit) = field.ignore_above {
        // Characters are counted as Java does, in UTF-16 units. Bytes are at least as many.
        if text.len() > limit && text.encode_utf16().count() > limit {
            values.ignore(&field.path);
            return Ok(());
        }
    }
    if !field.is_searchable() {
        return Ok(());
    }
    if text.len() > MAX_TERM_BYTES {
        return Err(Rejection::Immense { bytes: text.len() });
    }
    values.keyword(field, text.into_owned());
    Ok(())
}

/// The longest term of the search index.
const MAX_TERM_BYTES: usize = 32_766;
