//! Types of fields, a file each. Source: Elasticsearch reference, "Field data types".
//!
//! A type is a [`Mapper`] and a row of [`TYPES`]: which parameters it takes, which JSON values it reads, what it writes and
//! how `fields` shows its values. Which queries, sorts and aggregations it answers follows from its [`Family`], see
//! `docs/decisions/0014-rooms-of-field-types.md`.

mod alias;
mod binary;
mod boolean;
mod date;
mod float;
mod geo_point;
mod half_float;
mod integer;
mod ip;
mod keyword;
mod match_only_text;
mod number;
pub(crate) mod parameter;
mod range;
pub(crate) mod scalar;
mod scaled_float;
mod text;
mod token_count;
mod unsigned_long;
mod wildcard;

use std::fmt;

use ringwall_api::ApiError;
use serde_json::Value;

use crate::dates::DateFormat;
use crate::document::Values;
use crate::mapping::FieldMapping;
use crate::schema;
use parameter::Parameter;
pub use range::RangeOf;
use scalar::{Rejection, Scalar};

/// Every type. A name stands once.
static TYPES: [&dyn Mapper; 26] = [
    &text::Text,
    &keyword::Keyword,
    &wildcard::Wildcard,
    &integer::LONG,
    &integer::INTEGER,
    &integer::SHORT,
    &integer::BYTE,
    &unsigned_long::UNSIGNED_LONG,
    &float::DOUBLE,
    &float::FLOAT,
    &half_float::HALF_FLOAT,
    &scaled_float::SCALED_FLOAT,
    &boolean::Boolean,
    &date::Date,
    &ip::Ip,
    &binary::Binary,
    &geo_point::GeoPointField,
    &range::INTEGER_RANGE,
    &range::LONG_RANGE,
    &range::FLOAT_RANGE,
    &range::DOUBLE_RANGE,
    &range::DATE_RANGE,
    &range::IP_RANGE,
    &token_count::TokenCount,
    &match_only_text::MatchOnlyText,
    &alias::Alias,
];

/// What is particular to a type of field.
pub(crate) trait Mapper: fmt::Debug + Sync {
    /// The name in mappings.
    fn name(&self) -> &'static str;

    /// The name of the type whose fields are used alike, which `_field_caps` tells.
    fn family_name(&self) -> &'static str {
        self.name()
    }

    /// Where values are kept, `None` if the field has none of its own.
    fn family(&self) -> Option<Family>;

    /// What a definition may have beside `type` and `fields`.
    fn parameters(&self) -> &'static [Parameter];

    /// Sets the defaults that differ from those of most fields.
    fn defaults(&self, _field: &mut FieldMapping) {}

    /// Looks at all parameters together, when each is read.
    fn finish(&self, _field: &mut FieldMapping) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether a field has multi-fields.
    fn has_multi_fields(&self) -> bool {
        true
    }

    /// Whether lists and objects are values, which [`Mapper::add_whole`] and [`Mapper::shown_all`] read.
    fn reads_whole(&self) -> bool {
        false
    }

    /// Adds a value to those of its document.
    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection>;

    /// Adds the `null_value` that stands for null.
    fn add_null(
        &self,
        field: &FieldMapping,
        null: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        self.add(field, null, values)
    }

    /// Returns the path of the field that this one is another name of.
    fn target<'f>(&self, _field: &'f FieldMapping) -> Option<&'f str> {
        None
    }

    /// Adds the value or values that a JSON value is.
    fn add_whole(
        &self,
        field: &FieldMapping,
        value: &Value,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        Scalar::of(value).map_or(Ok(()), |scalar| self.add(field, &scalar, values))
    }

    /// Checks a `null_value`.
    fn check_null_value(&self, field: &FieldMapping, value: &Value) -> Result<(), String> {
        let Some(scalar) = Scalar::of(value) else {
            return Err("expected a string, number or boolean".to_owned());
        };
        match self.add(field, &scalar, &mut Values::default()) {
            Ok(()) => Ok(()),
            Err(Rejection::Malformed(reason) | Rejection::Refused(reason)) => Err(reason),
            Err(Rejection::Immense { bytes }) => {
                Err(format!("a term of {bytes} bytes is too long"))
            }
        }
    }

    /// Returns the number that is kept for this one.
    fn nearest(&self, _field: &FieldMapping, number: f64) -> f64 {
        number
    }

    /// Whether [`Mapper::nearest`] holds for the ends of a range too.
    fn rounds_bounds(&self) -> bool {
        false
    }

    /// Whether all matches of a text score alike: neither lengths nor frequencies count.
    fn scores_alike(&self) -> bool {
        false
    }

    /// Whether `fields` takes a `format`.
    fn has_formats(&self) -> bool {
        false
    }

    /// Reads the `format` of `fields`.
    fn shown_as(&self, _field: &FieldMapping, format: Option<&str>) -> Result<ShownAs, ApiError> {
        parameter::no_format(format)
    }

    /// Returns a value of a document as the field reads it; `None` when the field leaves it out.
    fn shown(&self, _field: &FieldMapping, value: &Value, _how: &ShownAs) -> Option<Value> {
        scalar::written(value).map(Value::from)
    }

    /// Returns the values that a JSON value is, if the type reads it whole.
    fn shown_all(&self, _field: &FieldMapping, _value: &Value, _how: &ShownAs) -> Vec<Value> {
        Vec::new()
    }
}

/// How `fields` shows values.
#[derive(Debug, Clone)]
pub enum ShownAs {
    Plain,
    Dates(DateFormat),
    /// Shapes, otherwise as GeoJSON.
    WellKnownText,
}

/// The type of a leaf field.
#[derive(Clone, Copy)]
pub struct FieldType(&'static dyn Mapper);

impl FieldType {
    /// What metadata is searched as.
    pub(crate) const KEYWORD: Self = Self(&keyword::Keyword);

    /// Returns the type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut types = TYPES.iter();
        types.find(|mapper| mapper.name() == name).map(|m| Self(*m))
    }

    /// Returns the name used in mappings.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns the name of the type whose fields are used alike.
    pub fn family_name(self) -> &'static str {
        self.0.family_name()
    }

    /// Returns where values are kept, `None` if a field has none of its own.
    pub fn family(self) -> Option<Family> {
        self.0.family()
    }

    /// Returns whether lists and objects are values, see [`FieldMapping::shown_all`].
    pub fn reads_whole(self) -> bool {
        self.0.reads_whole()
    }

    /// Returns whether `fields` takes a `format`.
    pub fn has_formats(self) -> bool {
        self.0.has_formats()
    }

    /// Returns whether the ends of a range are rounded as values are.
    pub fn rounds_bounds(self) -> bool {
        self.0.rounds_bounds()
    }

    /// Returns whether all matches of a text score alike.
    pub fn scores_alike(self) -> bool {
        self.0.scores_alike()
    }

    /// Returns whether a field has a slot of the schema, which keeps lengths.
    pub(crate) fn has_slot(self) -> bool {
        self.family() == Some(Family::Text) && !self.scores_alike()
    }

    pub(crate) fn mapper(self) -> &'static dyn Mapper {
        self.0
    }

    /// Returns the parameter of this name, if the type takes it.
    pub(crate) fn parameter(self, name: &str) -> Option<&'static Parameter> {
        self.0.parameters().iter().find(|p| p.name == name)
    }
}

impl PartialEq for FieldType {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FieldType {}

impl fmt::Debug for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FieldMapping {
    /// Returns the path of the field that this one is another name of.
    pub fn alias_of(&self) -> Option<&str> {
        self.field_type.0.target(self)
    }

    /// Returns whether the values can be sorted or aggregated.
    pub fn is_aggregatable(&self) -> bool {
        self.doc_values
            && !matches!(
                self.field_type.family(),
                Some(Family::Range(_) | Family::Binary)
            )
    }

    /// Returns whether the terms of each document can be told with their places. They are found again in `_source`.
    pub fn has_term_vectors(&self) -> bool {
        let asked = self.definition.get("term_vector").and_then(Value::as_str);
        asked.is_some_and(|asked| asked.starts_with("with_positions_offsets"))
    }

    /// Returns whether places in the text are told with the postings or the terms of each document.
    pub fn has_offsets(&self) -> bool {
        let options = self.definition.get("index_options").and_then(Value::as_str);
        options == Some("offsets") || self.has_term_vectors()
    }

    /// Returns the number that the field keeps for this one.
    pub fn nearest(&self, number: f64) -> f64 {
        self.field_type.0.nearest(self, number)
    }

    /// Reads the `format` of `fields`.
    ///
    /// # Errors
    /// 400 for a format that is none, or that the type does not have.
    pub fn shown_as(&self, format: Option<&str>) -> Result<ShownAs, ApiError> {
        self.field_type.0.shown_as(self, format)
    }

    /// Returns a value of a document as the field reads it; `None` when the field leaves it out.
    pub fn shown(&self, value: &Value, how: &ShownAs) -> Option<Value> {
        self.field_type.0.shown(self, value, how)
    }

    /// Returns the values that a JSON value is, if the type reads it whole.
    pub fn shown_all(&self, value: &Value, how: &ShownAs) -> Vec<Value> {
        self.field_type.0.shown_all(self, value, how)
    }
}

/// How values of a field are kept in the search index, which tells how they are searched, sorted and aggregated; see
/// [`crate::schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// A text slot, or the overflow field.
    Text,
    /// Raw terms with ordinals.
    Keyword,
    /// [`schema::encode_ip`], beside the keywords.
    Ip,
    /// Integers.
    Long,
    /// [`schema::encode_unsigned`], beside the integers.
    Unsigned,
    /// 0 and 1, beside the integers.
    Boolean,
    /// Floating point, as order-preserving `i64`.
    Double,
    /// Milliseconds since 1970, as `i64`.
    Date,
    /// [`crate::geo::GeoPoint::encode`], `i64` beside the doubles.
    Point,
    /// [`RangeOf::term`], beside the keywords.
    Range(RangeOf),
    /// In `_source` only.
    Binary,
}

impl Family {
    /// Returns the field of the schema that has the columns, `None` if there are none.
    pub fn column(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Binary => None,
            Self::Keyword | Self::Ip | Self::Range(_) => Some(schema::KEYWORD),
            Self::Long | Self::Unsigned | Self::Boolean => Some(schema::LONG),
            Self::Double | Self::Point => Some(schema::DOUBLE),
            Self::Date => Some(schema::DATE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn types_and_their_parameters_have_one_name_each() {
        let types: BTreeSet<&str> = TYPES.iter().map(|mapper| mapper.name()).collect();
        assert_eq!(types.len(), TYPES.len());
        for mapper in TYPES {
            let parameters = mapper.parameters();
            let names: BTreeSet<&str> = parameters.iter().map(|p| p.name).collect();
            assert_eq!(names.len(), parameters.len(), "{mapper:?}");
            // An alias has nothing of its own.
            let is_alias = mapper.name() == "alias";
            assert_eq!(names.contains("meta"), !is_alias, "{mapper:?}");
        }
    }
}
