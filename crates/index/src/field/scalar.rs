//! One JSON scalar to the value of one field.

use std::borrow::Cow;
use std::net::IpAddr;

use ringwall_base::decimal;
use serde_json::Value;

use super::FieldType;
use crate::document::Values;
use crate::geo::GeoPoint;
use crate::mapping::FieldMapping;
use crate::schema::{encode_double, encode_ip, encode_unsigned};

/// A JSON scalar other than null.
#[derive(Debug, Clone)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Unsigned(u64),
    /// Every other number, as it is written: text and value both matter.
    Number(Cow<'a, str>),
    Bool(bool),
}

/// Why a scalar is not a value of a field.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// Dropped quietly under `ignore_malformed`.
    Malformed(String),
    /// Refused always.
    Immense { bytes: usize },
}

impl Scalar<'_> {
    /// Returns the scalar of a JSON value, or `None` for null, arrays and objects.
    pub(crate) fn of(value: &Value) -> Option<Scalar<'_>> {
        Some(match value {
            Value::String(text) => Scalar::Text(text.into()),
            Value::Bool(flag) => Scalar::Bool(*flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Scalar::Int(int),
                (None, Some(unsigned)) => Scalar::Unsigned(unsigned),
                (None, None) => Scalar::Number(number.as_str().into()),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        })
    }

    /// Returns the scalar as text: a number as it is written, which is what a keyword holds.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) | Self::Number(text) => Cow::Borrowed(text),
            Self::Int(int) => int.to_string().into(),
            Self::Unsigned(unsigned) => unsigned.to_string().into(),
            Self::Bool(flag) => if *flag { "true" } else { "false" }.into(),
        }
    }
}

impl Scalar<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// Adds the value of a scalar to those of its document.
pub(crate) fn add(
    field: &FieldMapping,
    scalar: &Scalar<'_>,
    values: &mut Values,
) -> Result<(), Rejection> {
    match field.field_type {
        FieldType::Binary => check_binary(scalar),
        FieldType::Text => {
            if field.index {
                values.text(field, scalar.text().into_owned());
            }
            Ok(())
        }
        FieldType::Keyword | FieldType::Wildcard => add_keyword(field, scalar, values),
        FieldType::GeoPoint => {
            let value = match scalar {
                Scalar::Text(text) => Value::String(text.clone().into_owned()),
                // Nothing but a text is a point by itself.
                _ => Value::Null,
            };
            add_points(field, &value, values)
        }
        FieldType::Ip => {
            let address: IpAddr = scalar.text().parse().map_err(|_| {
                malformed(format!("'{}' is not an IP string literal.", scalar.text()))
            })?;
            if field.is_searchable() {
                values.keyword(field, encode_ip(address));
            }
            Ok(())
        }
        field_type => {
            if field_type.is_numeric() && field.coerce && scalar.is_empty() {
                let null = field.null_value.as_ref().and_then(Scalar::of);
                // Invariant: an empty text is no null value, see `check_null_value`.
                let null = null.filter(|null| !null.is_empty());
                return null.map_or(Ok(()), |null| add(field, &null, values));
            }
            let encoded = encode_number(field, scalar)?;
            if field.is_searchable() {
                values.number(field, encoded);
            }
            Ok(())
        }
    }
}

/// Adds the point that a value is, or the points of a list.
pub(crate) fn add_points(
    field: &FieldMapping,
    value: &Value,
    values: &mut Values,
) -> Result<(), Rejection> {
    let points = match value {
        Value::Array(_) => GeoPoint::parse_all(value),
        one => GeoPoint::parse(one).map(|point| vec![point]),
    };
    for point in points.map_err(malformed)? {
        point.check(&field.path).map_err(malformed)?;
        if field.is_searchable() {
            values.number(field, point.encode());
        }
    }
    Ok(())
}

/// Checks that `null_value` is a value of its field.
pub(crate) fn check_null_value(field: &FieldMapping, value: &Value) -> Result<(), String> {
    if field.field_type == FieldType::GeoPoint {
        return GeoPoint::parse(value)?.check(&field.path);
    }
    let Some(scalar) = Scalar::of(value) else {
        return Err("expected a string, number or boolean".to_owned());
    };
    if field.field_type.is_numeric() && scalar.is_empty() {
        return Err("empty String".to_owned());
    }
    match add(field, &scalar, &mut Values::default()) {
        Ok(()) => Ok(()),
        Err(Rejection::Malformed(reason)) => Err(reason),
        Err(Rejection::Immense { bytes }) => Err(format!("a term of {bytes} bytes is too long")),
    }
}

fn add_keyword(
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

fn encode_number(field: &FieldMapping, scalar: &Scalar<'_>) -> Result<i64, Rejection> {
    match field.field_type {
        FieldType::Boolean => boolean(scalar),
        FieldType::Date => date(field, scalar),
        FieldType::UnsignedLong => {
            let whole = whole_number(field, scalar)?;
            let unsigned = u64::try_from(whole).map_err(|_| out_of_range(field, scalar))?;
            Ok(encode_unsigned(unsigned))
        }
        field_type if field_type.is_integer() => {
            let whole = whole_number(field, scalar)?;
            i64::try_from(whole).map_err(|_| out_of_range(field, scalar))
        }
        _ => double(field, scalar).map(encode_double),
    }
}

fn boolean(scalar: &Scalar<'_>) -> Result<i64, Rejection> {
    match scalar {
        Scalar::Bool(flag) => Ok(i64::from(*flag)),
        Scalar::Text(text) if text == "true" => Ok(1),
        Scalar::Text(text) if text == "false" || text.is_empty() => Ok(0),
        other => Err(malformed(format!(
            "Failed to parse value [{}] as only [true] or [false] are allowed.",
            other.text()
        ))),
    }
}

fn date(field: &FieldMapping, scalar: &Scalar<'_>) -> Result<i64, Rejection> {
    let parsed = match scalar {
        Scalar::Int(number) => field.format.parse_number(*number),
        Scalar::Text(text) => field.format.parse(text),
        Scalar::Number(_) | Scalar::Unsigned(_) => field.format.parse(&scalar.text()),
        Scalar::Bool(_) => None,
    };
    parsed.ok_or_else(|| {
        malformed(format!(
            "failed to parse date field [{}] with format [{}]",
            scalar.text(),
            field.format.spec()
        ))
    })
}

fn whole_number(field: &FieldMapping, scalar: &Scalar<'_>) -> Result<i128, Rejection> {
    let text = match scalar {
        Scalar::Int(int) => return in_range(field, i128::from(*int), scalar),
        Scalar::Unsigned(unsigned) => return in_range(field, i128::from(*unsigned), scalar),
        Scalar::Bool(_) => return Err(not_a_number(scalar)),
        Scalar::Text(_) if !field.coerce => {
            return Err(malformed(format!(
                "{} value passed as String",
                java_type(field.field_type)
            )));
        }
        Scalar::Text(text) | Scalar::Number(text) => text,
    };
    let whole = decimal::whole(text).ok_or_else(|| not_a_number(scalar))?;
    let Some(value) = whole.value else {
        return Err(out_of_range(field, scalar));
    };
    // Unsigned longs are never rounded. Source: Elasticsearch reference, unsigned long field type.
    if field.field_type == FieldType::UnsignedLong && !whole.plain {
        return Err(not_a_number(scalar));
    }
    if !field.coerce && !whole.exact {
        return Err(malformed(format!(
            "{} cannot be converted to {} without data loss",
            scalar.text(),
            java_type(field.field_type)
        )));
    }
    in_range(field, value, scalar)
}

fn in_range(field: &FieldMapping, whole: i128, scalar: &Scalar<'_>) -> Result<i128, Rejection> {
    let (least, greatest) = field.field_type.integer_range();
    if whole < least || whole > greatest {
        return Err(out_of_range(field, scalar));
    }
    Ok(whole)
}

fn double(field: &FieldMapping, scalar: &Scalar<'_>) -> Result<f64, Rejection> {
    let parsed = match scalar {
        Scalar::Int(int) => *int as f64,
        Scalar::Unsigned(unsigned) => *unsigned as f64,
        // Invariant: JSON numbers are numbers to Rust too, beyond the greatest an infinity.
        Scalar::Number(text) => text.parse().map_err(|_| not_a_number(scalar))?,
        Scalar::Bool(_) => return Err(not_a_number(scalar)),
        Scalar::Text(_) if !field.coerce => {
            return Err(malformed(format!(
                "{} value passed as String",
                java_type(field.field_type)
            )));
        }
        Scalar::Text(text) => text.trim().parse().map_err(|_| not_a_number(scalar))?,
    };
    let rounded = match field.field_type {
        FieldType::Float => f64::from(parsed as f32),
        FieldType::HalfFloat => half(parsed as f32),
        FieldType::ScaledFloat => (parsed * field.scaling_factor).round() / field.scaling_factor,
        _ => parsed,
    };
    if rounded.is_finite() {
        Ok(rounded)
    } else {
        Err(malformed(format!(
            "[{}] supports only finite values, but got [{}]",
            field.field_type.name(),
            scalar.text()
        )))
    }
}

/// Rounds to the nearest number of 11 significant bits, ties to even; beyond 65504 is infinite.
fn half(value: f32) -> f64 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff).cast_signed() - 127;
    // Below 2^-14 the precision is absolute.
    let drop = if exponent < -14 {
        13 + (-14 - exponent)
    } else {
        13
    };
    if drop > 24 {
        return 0.0;
    }
    let step = f64::from(2f32).powi(exponent - 23 + drop);
    let rounded = (f64::from(value) / step).round_ties_even() * step;
    if rounded.abs() > 65504.0 {
        f64::INFINITY
    } else {
        rounded
    }
}

fn check_binary(scalar: &Scalar<'_>) -> Result<(), Rejection> {
    let valid = |text: &str| {
        let body = text.trim_end_matches('=');
        text.len() - body.len() <= 2
            && body
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'))
    };
    match scalar {
        Scalar::Text(text) if valid(text) => Ok(()),
        other => Err(malformed(format!("[{}] is not base64 text", other.text()))),
    }
}

fn not_a_number(scalar: &Scalar<'_>) -> Rejection {
    malformed(match scalar {
        Scalar::Text(text) if text.is_empty() => "empty String".to_owned(),
        other => format!("For input string: \"{}\"", other.text()),
    })
}

fn out_of_range(field: &FieldMapping, scalar: &Scalar<'_>) -> Rejection {
    let name = java_type(field.field_type).to_lowercase();
    malformed(format!(
        "Value [{}] is out of range for a {name}",
        scalar.text()
    ))
}

fn java_type(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Integer => "Integer",
        FieldType::Short => "Short",
        FieldType::Byte => "Byte",
        FieldType::UnsignedLong => "Unsigned_Long",
        FieldType::Double | FieldType::ScaledFloat => "Double",
        FieldType::Float => "Float",
        FieldType::HalfFloat => "Half_Float",
        _ => "Long",
    }
}

fn malformed(reason: String) -> Rejection {
    Rejection::Malformed(reason)
}

/// The longest term of the search index.
const MAX_TERM_BYTES: usize = 32_766;
