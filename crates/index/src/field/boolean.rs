//! `boolean`.

use serde_json::Value;

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar, malformed, written};
use super::{Family, Mapper, ShownAs};
use crate::document::Values;
use crate::mapping::FieldMapping;

#[derive(Debug)]
pub(super) struct Boolean;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    p::IGNORE_MALFORMED,
];

impl Mapper for Boolean {
    fn name(&self) -> &'static str {
        "boolean"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Boolean)
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
        let flag = match scalar {
            Scalar::Bool(flag) => *flag,
            Scalar::Text(text) if text == "true" => true,
            Scalar::Text(text) if text == "false" || text.is_empty() => false,
            other => {
                return Err(malformed(format!(
                    "Failed to parse value [{}] as only [true] or [false] are allowed.",
                    other.text()
                )));
            }
        };
        if field.is_searchable() {
            values.number(field, i64::from(flag));
        }
        Ok(())
    }

    fn shown(&self, _field: &FieldMapping, value: &Value, _how: &ShownAs) -> Option<Value> {
        match written(value)?.as_str() {
            "true" => Some(true.into()),
            "false" | "" => Some(false.into()),
            _ => None,
        }
    }
}
