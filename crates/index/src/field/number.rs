//! What numbers share: how they are read, refused and shown.

use ringwall_api::ApiError;
use ringwall_base::decimal;
use serde_json::{Number as JsonNumber, Value};

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar, malformed, written};
use super::{Family, Mapper, ShownAs};
use crate::document::Values;
use crate::mapping::{FieldMapping, mapping_error};
use crate::schema::{encode_double, encode_unsigned};

/// A type of numbers.
#[derive(Debug)]
pub(super) struct Number {
    pub name: &'static str,
    /// What messages call it.
    pub java: &'static str,
    pub form: Form,
}

#[derive(Debug)]
pub(super) enum Form {
    /// With the least and the greatest.
    Whole {
        least: i128,
        greatest: i128,
    },
    /// Of 64 bits, never rounded.
    Unsigned,
    Floating(Floating),
}

#[derive(Debug)]
pub(super) struct Floating {
    /// The number that is kept for another; infinite if there is none.
    pub nearest: fn(&FieldMapping, f64) -> f64,
    /// See [`Mapper::rounds_bounds`].
    pub rounds_bounds: bool,
    /// Reads a text that `fields` shows.
    pub shown: fn(&str) -> Option<Value>,
    /// What the type takes beside the parameters of numbers.
    pub parameters: &'static [Parameter],
    /// A parameter that a definition must have.
    pub required: Option<&'static str>,
}

/// Those of every number.
pub(super) const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    p::IGNORE_MALFORMED,
    p::COERCE,
];

impl Mapper for Number {
    fn name(&self) -> &'static str {
        self.name
    }

    fn family(&self) -> Option<Family> {
        Some(match self.form {
            Form::Whole { .. } => Family::Long,
            Form::Unsigned => Family::Unsigned,
            Form::Floating(_) => Family::Double,
        })
    }

    fn parameters(&self) -> &'static [Parameter] {
        match &self.form {
            Form::Floating(floating) => floating.parameters,
            Form::Whole { .. } | Form::Unsigned => PARAMETERS,
        }
    }

    fn finish(&self, field: &mut FieldMapping) -> Result<(), ApiError> {
        match &self.form {
            Form::Floating(Floating {
                required: Some(name),
                ..
            }) if !field.definition.contains_key(*name) => Err(mapping_error(format!(
                "Field [{}] misses required parameter [{name}]",
                field.path
            ))),
            _ => Ok(()),
        }
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        if field.coerce && scalar.is_empty() {
            let null = field.null_value.as_ref().and_then(Scalar::of);
            // Invariant: an empty text is no null value, see `check_null_value`.
            let null = null.filter(|null| !null.is_empty());
            return null.map_or(Ok(()), |null| self.add(field, &null, values));
        }
        let encoded = self.encode(field, scalar)?;
        if field.is_searchable() {
            values.number(field, encoded);
        }
        Ok(())
    }

    fn check_null_value(&self, field: &FieldMapping, value: &Value) -> Result<(), String> {
        let Some(scalar) = Scalar::of(value) else {
            return Err("expected a string, number or boolean".to_owned());
        };
        if scalar.is_empty() {
            return Err("empty String".to_owned());
        }
        match self.encode(field, &scalar) {
            Ok(_) | Err(Rejection::Immense { .. }) => Ok(()),
            Err(Rejection::Malformed(reason) | Rejection::Refused(reason)) => Err(reason),
        }
    }

    fn nearest(&self, field: &FieldMapping, number: f64) -> f64 {
        match &self.form {
            Form::Floating(floating) => (floating.nearest)(field, number),
            Form::Whole { .. } | Form::Unsigned => number,
        }
    }

    fn rounds_bounds(&self) -> bool {
        matches!(&self.form, Form::Floating(floating) if floating.rounds_bounds)
    }

    fn shown(&self, _field: &FieldMapping, value: &Value, _how: &ShownAs) -> Option<Value> {
        match (&self.form, value) {
            (Form::Floating(floating), _) => (floating.shown)(written(value)?.trim()),
            (_, Value::Number(n)) if n.is_i64() || n.is_u64() => Some(value.clone()),
            _ => {
                let whole = decimal::whole(written(value)?.trim())?.value?;
                Some(Value::Number(JsonNumber::from_i128(whole)?))
            }
        }
    }
}

impl Number {
    pub(super) fn encode(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
    ) -> Result<i64, Rejection> {
        match &self.form {
            Form::Whole { .. } => {
                let whole = self.whole(field, scalar)?;
                i64::try_from(whole).map_err(|_| self.out_of_range(scalar))
            }
            Form::Unsigned => {
                let whole = self.whole(field, scalar)?;
                let unsigned = u64::try_from(whole).map_err(|_| self.out_of_range(scalar))?;
                Ok(encode_unsigned(unsigned))
            }
            Form::Floating(floating) => self.double(field, scalar, floating).map(encode_double),
        }
    }

    fn whole(&self, field: &FieldMapping, scalar: &Scalar<'_>) -> Result<i128, Rejection> {
        let text = match scalar {
            Scalar::Int(int) => return self.in_range(i128::from(*int), scalar),
            Scalar::Unsigned(unsigned) => return self.in_range(i128::from(*unsigned), scalar),
            Scalar::Bool(_) => return Err(not_a_number(scalar)),
            Scalar::Text(_) if !field.coerce => return Err(self.is_text()),
            Scalar::Text(text) | Scalar::Number(text) => text,
        };
        let whole = decimal::whole(text).ok_or_else(|| not_a_number(scalar))?;
        let Some(value) = whole.value else {
            return Err(self.out_of_range(scalar));
        };
        // Unsigned longs are never rounded. Source: Elasticsearch reference, unsigned long field type.
        if matches!(self.form, Form::Unsigned) && !whole.plain {
            return Err(not_a_number(scalar));
        }
        if !field.coerce && !whole.exact {
            return Err(malformed(format!(
                "{} cannot be converted to {} without data loss",
                scalar.text(),
                self.java
            )));
        }
        self.in_range(value, scalar)
    }

    fn in_range(&self, whole: i128, scalar: &Scalar<'_>) -> Result<i128, Rejection> {
        let (least, greatest) = match self.form {
            Form::Whole { least, greatest } => (least, greatest),
            Form::Unsigned | Form::Floating(_) => (0, u64::MAX.into()),
        };
        if whole < least || whole > greatest {
            return Err(self.out_of_range(scalar));
        }
        Ok(whole)
    }

    fn double(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        floating: &Floating,
    ) -> Result<f64, Rejection> {
        let parsed = match scalar {
            Scalar::Int(int) => *int as f64,
            Scalar::Unsigned(unsigned) => *unsigned as f64,
            // Invariant: JSON numbers are numbers to Rust too, beyond the greatest an infinity.
            Scalar::Number(text) => text.parse().map_err(|_| not_a_number(scalar))?,
            Scalar::Bool(_) => return Err(not_a_number(scalar)),
            Scalar::Text(_) if !field.coerce => return Err(self.is_text()),
            Scalar::Text(text) => text.trim().parse().map_err(|_| not_a_number(scalar))?,
        };
        let rounded = (floating.nearest)(field, parsed);
        if rounded.is_finite() {
            return Ok(rounded);
        }
        Err(malformed(format!(
            "[{}] supports only finite values, but got [{}]",
            self.name,
            scalar.text()
        )))
    }

    fn is_text(&self) -> Rejection {
        malformed(format!("{} value passed as String", self.java))
    }

    fn out_of_range(&self, scalar: &Scalar<'_>) -> Rejection {
        malformed(format!(
            "Value [{}] is out of range for a {}",
            scalar.text(),
            self.java.to_lowercase()
        ))
    }
}

/// Shows a floating point number of 64 bits.
pub(super) fn shown_double(text: &str) -> Option<Value> {
    text.parse::<f64>().ok().map(Value::from)
}

fn not_a_number(scalar: &Scalar<'_>) -> Rejection {
    malformed(match scalar {
        Scalar::Text(text) if text.is_empty() => "empty String".to_owned(),
        other => format!("For input string: \"{}\"", other.text()),
    })
}
