//! `integer_range`, `long_range`, `float_range`, `double_range`, `date_range` and `ip_range`: a value is all between two
//! ends.
//!
//! Each end is a number that sorts as the values do, its *code*; see [`RangeOf`]. A range is kept as one term, the codes of its
//! first and last value in hex digits of fixed width.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::float::{DOUBLE, FLOAT};
use super::integer::{INTEGER, LONG};
use super::number::Number;
use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar, malformed};
use super::{Family, Mapper, ShownAs, date};
use crate::address;
use crate::dates::Rounding;
use crate::document::Values;
use crate::mapping::FieldMapping;
use crate::schema::decode_double;

/// What the values between the ends of a range are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RangeOf {
    Integer,
    Long,
    Float,
    Double,
    /// Milliseconds since 1970.
    Date,
    Ip,
}

impl RangeOf {
    /// Returns the code of a whole number or of milliseconds, `None` if the type does not have it.
    pub fn whole(self, whole: i128) -> Option<u128> {
        let is_held = match self {
            Self::Integer => i32::try_from(whole).is_ok(),
            _ => i64::try_from(whole).is_ok(),
        };
        is_held.then(|| (whole + SIGN).cast_unsigned())
    }

    /// Returns the code of a floating point number.
    pub fn floating(self, number: f64) -> u128 {
        // A float that is none stands for nothing; adding zero makes one of both zeros.
        match self {
            Self::Float => {
                let bits = (number as f32 + 0.0).to_bits();
                let negative = bits >> 31 == 1;
                u128::from(if negative { !bits } else { bits | 1 << 31 })
            }
            _ => {
                let bits = (number + 0.0).to_bits();
                let negative = bits >> 63 == 1;
                u128::from(if negative { !bits } else { bits | 1 << 63 })
            }
        }
    }

    /// Returns the code of an address.
    pub fn address(self, ip: IpAddr) -> u128 {
        address::number(ip)
    }

    /// Returns the codes of the least and the greatest value: the ends of a range that is open.
    pub fn limits(self) -> (u128, u128) {
        let whole = |least: i128, greatest: i128| {
            (
                (least + SIGN).cast_unsigned(),
                (greatest + SIGN).cast_unsigned(),
            )
        };
        match self {
            Self::Integer => whole(i32::MIN.into(), i32::MAX.into()),
            Self::Long | Self::Date => whole(i64::MIN.into(), i64::MAX.into()),
            Self::Float | Self::Double => (
                self.floating(f64::NEG_INFINITY),
                self.floating(f64::INFINITY),
            ),
            Self::Ip => (0, u128::MAX),
        }
    }

    /// Returns the term of a range.
    pub fn term(self, first: u128, last: u128) -> String {
        let width = self.digits();
        format!("{first:0width$x}{last:0width$x}")
    }

    /// Returns the codes of the first and last value of a term.
    pub fn ends(self, term: &str) -> Option<(u128, u128)> {
        let (first, last) = term.split_at_checked(self.digits())?;
        let code = |digits: &str| u128::from_str_radix(digits, 16).ok();
        Some((code(first)?, code(last)?))
    }

    fn digits(self) -> usize {
        match self {
            Self::Ip => 32,
            _ => 16,
        }
    }
}

/// What is added to a signed number, so that it sorts without a sign.
const SIGN: i128 = 1 << 63;

#[derive(Debug)]
pub(super) struct Range {
    name: &'static str,
    of: RangeOf,
}

const fn range(name: &'static str, of: RangeOf) -> Range {
    Range { name, of }
}

pub(super) static INTEGER_RANGE: Range = range("integer_range", RangeOf::Integer);
pub(super) static LONG_RANGE: Range = range("long_range", RangeOf::Long);
pub(super) static FLOAT_RANGE: Range = range("float_range", RangeOf::Float);
pub(super) static DOUBLE_RANGE: Range = range("double_range", RangeOf::Double);
pub(super) static DATE_RANGE: Range = range("date_range", RangeOf::Date);
pub(super) static IP_RANGE: Range = range("ip_range", RangeOf::Ip);

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::UNSUPPORTED_COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::COERCE,
];

const DATE_PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::UNSUPPORTED_COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::COERCE,
    date::FORMAT,
    date::LOCALE,
];

impl Mapper for Range {
    fn name(&self) -> &'static str {
        self.name
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Range(self.of))
    }

    fn parameters(&self) -> &'static [Parameter] {
        match self.of {
            RangeOf::Date => DATE_PARAMETERS,
            _ => PARAMETERS,
        }
    }

    fn has_multi_fields(&self) -> bool {
        false
    }

    fn reads_whole(&self) -> bool {
        true
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        let (RangeOf::Ip, Scalar::Text(network)) = (self.of, scalar) else {
            return Err(malformed(format!(
                "error parsing field [{}], expected an object but got {}",
                field.path,
                field.name()
            )));
        };
        let (first, last) = address::parse_network(network).map_err(malformed)?;
        self.keep(field, first, last, values);
        Ok(())
    }

    fn add_whole(
        &self,
        field: &FieldMapping,
        value: &Value,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.add_whole(field, item, values)),
            Value::Object(ends) => {
                let (first, last) = self.ends(field, ends)?;
                self.keep(field, first, last, values);
                Ok(())
            }
            scalar => match Scalar::of(scalar) {
                Some(scalar) => self.add(field, &scalar, values),
                None => Ok(()),
            },
        }
    }

    fn has_formats(&self) -> bool {
        self.of == RangeOf::Date
    }

    fn shown_as(&self, field: &FieldMapping, format: Option<&str>) -> Result<ShownAs, ApiError> {
        match self.of {
            RangeOf::Date => date::shown_as(field, format),
            _ => p::no_format(format),
        }
    }

    fn shown_all(&self, field: &FieldMapping, value: &Value, how: &ShownAs) -> Vec<Value> {
        match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items
                .iter()
                .flat_map(|item| self.shown_all(field, item, how))
                .collect(),
            Value::Object(ends) => {
                let shown = ends.iter().map(|(name, end)| {
                    let date = date::shown(field, end, how);
                    (name.clone(), date.unwrap_or_else(|| end.clone()))
                });
                vec![Value::Object(shown.collect())]
            }
            other => vec![other.clone()],
        }
    }
}

impl Range {
    fn keep(&self, field: &FieldMapping, first: u128, last: u128, values: &mut Values) {
        if field.is_searchable() {
            values.keyword(field, self.of.term(first, last));
        }
    }

    /// Reads `{"gte": 1, "lt": 3}`; of two ends on one side the later counts.
    fn ends(
        &self,
        field: &FieldMapping,
        given: &Map<String, Value>,
    ) -> Result<(u128, u128), Rejection> {
        let (least, greatest) = self.of.limits();
        let (mut first, mut last) = (least, greatest);
        for (name, value) in given {
            let (is_lower, is_inclusive) = match name.as_str() {
                "gt" => (true, false),
                "gte" => (true, true),
                "lt" => (false, false),
                "lte" => (false, true),
                unknown => {
                    return Err(malformed(format!(
                        "error parsing field [{}], with unknown parameter [{unknown}]",
                        field.path
                    )));
                }
            };
            let end = match is_lower {
                true => &mut first,
                false => &mut last,
            };
            if value.is_null() {
                *end = if is_lower { least } else { greatest };
                continue;
            }
            // A date without its time is all of the day.
            let rounding = match is_lower == is_inclusive {
                true => Rounding::Down,
                false => Rounding::Up,
            };
            let code = self.code(field, value, rounding)?;
            let moved = match (is_inclusive, is_lower) {
                (true, _) => Some(code),
                (false, true) => code.checked_add(1).filter(|code| *code <= greatest),
                (false, false) => code.checked_sub(1).filter(|code| *code >= least),
            };
            *end = moved.ok_or_else(|| malformed(format!("no value is beyond [{value}]")))?;
        }
        if first > last {
            return Err(malformed(format!(
                "min value ({}) is greater than max value ({})",
                self.text(field, first),
                self.text(field, last)
            )));
        }
        Ok((first, last))
    }

    fn code(
        &self,
        field: &FieldMapping,
        value: &Value,
        rounding: Rounding,
    ) -> Result<u128, Rejection> {
        let Some(scalar) = Scalar::of(value) else {
            return Err(malformed(format!(
                "error parsing field [{}], expected a value but got [{value}]",
                field.path
            )));
        };
        let number = |number: &Number| number.encode(field, &scalar);
        let floating = |encoded: i64| self.of.floating(decode_double(encoded));
        match self.of {
            RangeOf::Integer => number(&INTEGER).map(long_code),
            RangeOf::Long => number(&LONG).map(long_code),
            RangeOf::Float => number(&FLOAT).map(floating),
            RangeOf::Double => number(&DOUBLE).map(floating),
            RangeOf::Ip => address::parse(&scalar.text()).map_err(malformed),
            RangeOf::Date => {
                let parsed = match scalar {
                    Scalar::Int(number) => field.format.parse_number(number),
                    _ => {
                        let text = scalar.text();
                        field.format.parse_in(&text, &TimeZone::UTC, rounding)
                    }
                };
                parsed.map(long_code).ok_or_else(|| {
                    malformed(format!(
                        "failed to parse date field [{}] with format [{}]",
                        scalar.text(),
                        field.format.spec()
                    ))
                })
            }
        }
    }

    /// The value of a code, for a message.
    fn text(&self, field: &FieldMapping, code: u128) -> String {
        let long = code.cast_signed() - SIGN;
        match self.of {
            RangeOf::Integer | RangeOf::Long => long.to_string(),
            RangeOf::Date => match i64::try_from(long) {
                Ok(millis) => field.format.format(millis),
                Err(_) => long.to_string(),
            },
            RangeOf::Float | RangeOf::Double => self.number(code).to_string(),
            RangeOf::Ip => address::address(code).to_string(),
        }
    }

    /// The floating point number of a code.
    fn number(&self, code: u128) -> f64 {
        if self.of == RangeOf::Float {
            let bits = code as u32;
            let bits = if bits >> 31 == 1 {
                bits ^ 1 << 31
            } else {
                !bits
            };
            return f64::from(f32::from_bits(bits));
        }
        let bits = code as u64;
        let bits = if bits >> 63 == 1 {
            bits ^ 1 << 63
        } else {
            !bits
        };
        f64::from_bits(bits)
    }
}

fn long_code(long: i64) -> u128 {
    (i128::from(long) + SIGN).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_sort_as_values_and_are_found_in_terms() {
        for of in [RangeOf::Float, RangeOf::Double] {
            let numbers = [f64::NEG_INFINITY, -2.5, -1.0, 0.0, 0.5, 1e30, f64::INFINITY];
            let codes = numbers.map(|number| of.floating(number));
            assert!(codes.is_sorted(), "{of:?}");
            assert_eq!(of.floating(-0.0), of.floating(0.0));
            let shown = codes.map(|code| range("r", of).number(code) as f32);
            assert_eq!(shown, numbers.map(|number| number as f32));
        }
        for of in [
            RangeOf::Integer,
            RangeOf::Long,
            RangeOf::Ip,
            RangeOf::Double,
        ] {
            let (least, greatest) = of.limits();
            assert!(least < greatest);
            assert_eq!(of.ends(&of.term(least, greatest)), Some((least, greatest)));
        }
        assert_eq!(RangeOf::Integer.whole(1 << 31), None);
        assert!(RangeOf::Long.whole(-5) < RangeOf::Long.whole(3));
    }
}
