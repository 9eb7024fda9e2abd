//! `keyword`: a text as it is.

use serde_json::Value;

use super::parameter::{self as p, Change, Parameter};
use super::scalar::{self, Rejection, Scalar};
use super::{Family, Mapper, ShownAs};
use crate::document::Values;
use crate::mapping::{FieldMapping, boolean, string};

#[derive(Debug)]
pub(super) struct Keyword;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    KEYWORD_NORMS,
    p::KEYWORD_INDEX_OPTIONS,
    p::EAGER_GLOBAL_ORDINALS,
    NORMALIZER,
    p::SPLIT_QUERIES_ON_WHITESPACE,
    p::SIMILARITY,
    p::LISTED_IGNORE_ABOVE,
];

/// Keywords have no lengths.
const KEYWORD_NORMS: Parameter = Parameter {
    read: |field, key, value| match boolean(key, value)? {
        false => Ok(()),
        true => Err(p::unsupported(field, key, value)),
    },
    ..p::NORMS
};

/// What is made of values, and of what is looked for. Whether there is one of the name is known when the normalizers of the
/// index are.
const NORMALIZER: Parameter = Parameter {
    name: "normalizer",
    read: |field, key, value| string(key, value, &field.path).map(drop),
    value: |field| {
        field
            .definition
            .get("normalizer")
            .cloned()
            .unwrap_or_default()
    },
    is_listed: true,
    change: Change::Refused,
    ..p::PARAMETER
};

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
        let is_kept = text.encode_utf16().count() <= limit;
        let shown = is_kept.then(|| field.normalized(&text).ok()).flatten();
        shown.map(|text| text.into_owned().into())
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
    let text = field.normalized_after(&mut values.spent, &text)?;
    if text.len() > MAX_TERM_BYTES {
        return Err(Rejection::Immense { bytes: text.len() });
    }
    values.keyword(field, text.into_owned());
    Ok(())
}

/// The longest term of the search index.
const MAX_TERM_BYTES: usize = 32_766;
