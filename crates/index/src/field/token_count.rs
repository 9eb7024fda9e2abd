//! `token_count`: how many tokens a text has.

use ringwall_api::ApiError;
use serde_json::Value;

use super::integer::INTEGER;
use super::parameter::{self as p, Change, Kept, Parameter};
use super::scalar::{Rejection, Scalar, written};
use super::{Family, Mapper, ShownAs};
use crate::analysis::{Exceeded, Spent};
use crate::document::Values;
use crate::mapping::{FieldMapping, boolean, mapping_error};

#[derive(Debug)]
pub(super) struct TokenCount;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    Parameter {
        change: Change::Allowed,
        ..p::ANALYZER
    },
    p::NULL_VALUE,
    ENABLE_POSITION_INCREMENTS,
];

/// Whether words that the analyzer leaves out are counted.
const ENABLE_POSITION_INCREMENTS: Parameter = Parameter {
    name: "enable_position_increments",
    read: |_, key, value| boolean(key, value).map(drop),
    value: |field| counts_gaps(field).into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

impl Mapper for TokenCount {
    fn name(&self) -> &'static str {
        "token_count"
    }

    fn family_name(&self) -> &'static str {
        "integer"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Long)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn finish(&self, field: &mut FieldMapping) -> Result<(), ApiError> {
        match field.definition.contains_key("analyzer") {
            true => Ok(()),
            false => Err(mapping_error(format!(
                "Analyzer must be set for field [{}] but wasn't.",
                field.name()
            ))),
        }
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        if field.is_searchable() {
            let tokens = count(field, &scalar.text(), &mut values.spent)?;
            values.number(field, tokens);
        }
        Ok(())
    }

    fn add_null(
        &self,
        field: &FieldMapping,
        null: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        INTEGER.add(field, null, values)
    }

    fn check_null_value(&self, field: &FieldMapping, value: &Value) -> Result<(), String> {
        INTEGER.check_null_value(field, value)
    }

    fn shown(&self, field: &FieldMapping, value: &Value, _how: &ShownAs) -> Option<Value> {
        count(field, &written(value)?, &mut Spent::default())
            .ok()
            .map(Value::from)
    }
}

fn counts_gaps(field: &FieldMapping) -> bool {
    let given = field.definition.get("enable_position_increments");
    // Invariant: it was read as a boolean, perhaps as its text.
    !given.is_some_and(|flag| flag == false || flag == "false")
}

fn count(field: &FieldMapping, text: &str, spent: &mut Spent) -> Result<i64, Exceeded> {
    let tokens = field.analyzer.count(text, counts_gaps(field), spent)?;
    Ok(i64::try_from(tokens).unwrap_or(i64::MAX))
}
