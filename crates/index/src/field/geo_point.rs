//! `geo_point`: places on the earth.

use ringwall_api::ApiError;
use serde_json::{Value, json};

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar, malformed};
use super::{Family, Mapper, ShownAs};
use crate::document::Values;
use crate::geo::GeoPoint;
use crate::mapping::{FieldMapping, boolean};

#[derive(Debug)]
pub(super) struct GeoPointField;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::UNSUPPORTED_COPY_TO,
    p::INDEX,
    p::DOC_VALUES,
    p::NULL_VALUE,
    p::IGNORE_MALFORMED,
    IGNORE_Z_VALUE,
];

/// Only whether a height may be there, which nothing looks at.
const IGNORE_Z_VALUE: Parameter = Parameter {
    name: "ignore_z_value",
    read: |field, key, value| match boolean(key, value)? {
        true => Ok(()),
        false => Err(p::unknown(field, key)),
    },
    ..p::PARAMETER
};

impl Mapper for GeoPointField {
    fn name(&self) -> &'static str {
        "geo_point"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Point)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
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
        let value = match scalar {
            Scalar::Text(text) => Value::String(text.clone().into_owned()),
            // Nothing but a text is a point by itself.
            _ => Value::Null,
        };
        self.add_whole(field, &value, values)
    }

    /// Adds the point that a value is, or the points of a list.
    fn add_whole(
        &self,
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

    fn check_null_value(&self, field: &FieldMapping, value: &Value) -> Result<(), String> {
        GeoPoint::parse(value)?.check(&field.path)
    }

    fn has_formats(&self) -> bool {
        true
    }

    fn shown_as(&self, _field: &FieldMapping, format: Option<&str>) -> Result<ShownAs, ApiError> {
        match format {
            None | Some("geojson") => Ok(ShownAs::Plain),
            Some("wkt") => Ok(ShownAs::WellKnownText),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "Unrecognized geometry format [{other}]."
            ))),
        }
    }

    fn shown_all(&self, _field: &FieldMapping, value: &Value, how: &ShownAs) -> Vec<Value> {
        let points = GeoPoint::parse_all(value).unwrap_or_default();
        let shown = points.into_iter().map(|GeoPoint { lat, lon }| match how {
            ShownAs::WellKnownText => format!("POINT ({lon:?} {lat:?})").into(),
            ShownAs::Plain | ShownAs::Dates(_) => {
                json!({"coordinates": [lon, lat], "type": "Point"})
            }
        });
        shown.collect()
    }
}
