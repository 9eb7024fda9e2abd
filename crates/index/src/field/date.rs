//! `date`: milliseconds since 1970.

use ringwall_api::ApiError;
use serde_json::Value;

use super::parameter::{self as p, Change, Parameter};
use super::scalar::{Rejection, Scalar, malformed, written};
use super::{Family, Mapper, ShownAs};
use crate::dates::DateFormat;
use crate::document::Values;
use crate::mapping::{FieldMapping, mapping_error, one_of, string};

#[derive(Debug)]
pub(super) struct Date;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    FORMAT,
    LOCALE,
    p::NULL_VALUE,
    p::IGNORE_MALFORMED,
];

pub(super) const FORMAT: Parameter = Parameter {
    name: "format",
    read: |field, key, value| {
        let spec = string(key, value, &field.path)?;
        field.format = DateFormat::compile(spec).map_err(|error| mapping_error(error.reason))?;
        Ok(())
    },
    value: |field| field.format.spec().into(),
    is_listed: true,
    change: Change::Refused,
    ..p::PARAMETER
};

pub(super) const LOCALE: Parameter = Parameter {
    name: "locale",
    read: |field, key, value| {
        let english = ["en", "en_US", "en-US", "ROOT", ""];
        one_of(key, value, &english, &field.path)
    },
    ..p::PARAMETER
};

impl Mapper for Date {
    fn name(&self) -> &'static str {
        "date"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Date)
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
        let parsed = match scalar {
            Scalar::Int(number) => field.format.parse_number(*number),
            Scalar::Text(text) => field.format.parse(text),
            Scalar::Number(_) | Scalar::Unsigned(_) => field.format.parse(&scalar.text()),
            Scalar::Bool(_) => None,
        };
        let millis = parsed.ok_or_else(|| {
            malformed(format!(
                "failed to parse date field [{}] with format [{}]",
                scalar.text(),
                field.format.spec()
            ))
        })?;
        if field.is_searchable() {
            values.number(field, millis);
        }
        Ok(())
    }

    fn has_formats(&self) -> bool {
        true
    }

    fn shown_as(&self, field: &FieldMapping, format: Option<&str>) -> Result<ShownAs, ApiError> {
        shown_as(field, format)
    }

    fn shown(&self, field: &FieldMapping, value: &Value, how: &ShownAs) -> Option<Value> {
        shown(field, value, how)
    }
}

/// Reads the format of shown dates.
pub(super) fn shown_as(field: &FieldMapping, format: Option<&str>) -> Result<ShownAs, ApiError> {
    let format = match format {
        None => field.format.clone(),
        Some(spec) => DateFormat::compile(spec)?,
    };
    Ok(ShownAs::Dates(format))
}

/// Returns a date of a document in the format asked for.
pub(super) fn shown(field: &FieldMapping, value: &Value, how: &ShownAs) -> Option<Value> {
    let ShownAs::Dates(format) = how else {
        return None;
    };
    let millis = match value {
        Value::Number(number) if number.is_i64() => field.format.parse_number(number.as_i64()?),
        _ => field.format.parse(&written(value)?),
    };
    Some(format.format(millis?).into())
}
