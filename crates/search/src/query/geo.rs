//! `geo_distance` and `geo_bounding_box`. Source: Elasticsearch reference, "Geo queries".

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::geo::GeoPoint;
use serde_json::{Map, Value};
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, constant, none};
use super::kind::{Definition, Kind};
use crate::fields::FieldKind;
use crate::parse::{parsing, query_shard};
use crate::shard::Shard;

/// Documents with a point in an area.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoQuery {
    pub field: String,
    pub area: Area,
    /// A field that is not mapped matches nothing, where it is an error otherwise.
    pub ignore_unmapped: bool,
    /// Whether what does not lie on the earth is refused.
    pub strict: bool,
    pub boost: f32,
}

/// A part of the surface of the earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Area {
    Around {
        point: GeoPoint,
        metres: f64,
    },
    /// Degrees. Where the left end is greater than the right one, the box crosses the date line.
    Box {
        top: f64,
        left: f64,
        bottom: f64,
        right: f64,
    },
}

impl Area {
    /// Returns the name of the query that asks for it.
    pub fn query_name(&self) -> &'static str {
        match self {
            Self::Around { .. } => "geo_distance",
            Self::Box { .. } => "geo_bounding_box",
        }
    }

    /// Returns whether the point lies in it.
    pub fn contains(&self, point: &GeoPoint) -> bool {
        match self {
            Self::Around {
                point: centre,
                metres,
            } => centre.distance(point) <= *metres,
            Self::Box {
                top,
                left,
                bottom,
                right,
            } => {
                let between = match left <= right {
                    true => (*left..=*right).contains(&point.lon),
                    false => point.lon >= *left || point.lon <= *right,
                };
                between && (*bottom..=*top).contains(&point.lat)
            }
        }
    }
}

/// Parses `geo_distance`.
pub(super) fn parse_distance(query: &Definition<'_>) -> Result<Query, ApiError> {
    let mut given = Given::of(query)?;
    let unit = given.text("unit")?.unwrap_or_else(|| "m".to_owned());
    let distance = given.take("distance");
    if let Some(how) = given.text("distance_type")?
        && !["arc", "plane"].contains(&how.as_str())
    {
        return Err(ApiError::illegal_argument(format!(
            "No geo distance for [{how}]"
        )));
    }
    let distance =
        distance.ok_or_else(|| parsing("geo_distance requires 'distance' to be specified"))?;
    let metres = metres(&distance, &unit)?;
    if metres <= 0.0 {
        return Err(ApiError::illegal_argument(
            "distance must be greater than zero",
        ));
    }
    let area = |value: &Value| {
        let point = GeoPoint::parse(value).map_err(parse_error)?;
        Ok(Area::Around { point, metres })
    };
    given.finish(area)
}

/// Parses `geo_bounding_box`.
pub(super) fn parse_bounding_box(query: &Definition<'_>) -> Result<Query, ApiError> {
    let given = Given::of(query)?;
    given.finish(bounding_box)
}

fn bounding_box(value: &Value) -> Result<Area, ApiError> {
    let Value::Object(members) = value else {
        return Err(parse_error(
            "failed to parse bounding box: an object expected",
        ));
    };
    let [mut top, mut left, mut bottom, mut right] = [f64::NAN; 4];
    for (key, value) in members {
        let number = || {
            let number = match value {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_f64(),
            };
            number.ok_or_else(|| parse_error(format!("[{key}] must be a number")))
        };
        let point = || GeoPoint::parse(value).map_err(parse_error);
        match key.as_str() {
            "top" => top = number()?,
            "left" => left = number()?,
            "bottom" => bottom = number()?,
            "right" => right = number()?,
            "top_left" | "topLeft" => (top, left) = place(point()?),
            "bottom_right" | "bottomRight" => (bottom, right) = place(point()?),
            "top_right" | "topRight" => (top, right) = place(point()?),
            "bottom_left" | "bottomLeft" => (bottom, left) = place(point()?),
            "wkt" => (left, right, top, bottom) = envelope(value)?,
            other => {
                return Err(parse_error(format!(
                    "failed to parse bounding box. unexpected field [{other}]"
                )));
            }
        }
    }
    for (name, value) in [
        ("top latitude", top),
        ("left longitude", left),
        ("bottom latitude", bottom),
        ("right longitude", right),
    ] {
        if !value.is_finite() {
            let shown = if value.is_nan() {
                "NaN".to_owned()
            } else {
                value.to_string()
            };
            return Err(ApiError::illegal_argument(format!(
                "{name} is invalid: {shown}"
            )));
        }
    }
    if top < bottom {
        return Err(ApiError::illegal_argument(format!(
            "top is below bottom corner: {top:?} vs. {bottom:?}"
        )));
    }
    Ok(Area::Box {
        top,
        left,
        bottom,
        right,
    })
}

fn place(point: GeoPoint) -> (f64, f64) {
    (point.lat, point.lon)
}

/// `BBOX (left, right, top, bottom)`.
fn envelope(value: &Value) -> Result<(f64, f64, f64, f64), ApiError> {
    let wrong = || {
        parse_error("failed to parse WKT bounding box, expected BBOX (left, right, top, bottom)")
    };
    let text = value.as_str().ok_or_else(wrong)?.trim();
    let open = text.find('(').ok_or_else(wrong)?;
    let name = text[..open].trim();
    let inner = text[open + 1..].strip_suffix(')').ok_or_else(wrong)?;
    let numbers: Option<Vec<f64>> = inner.split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([left, right, top, bottom])
            if ["bbox", "envelope"].contains(&name.to_lowercase().as_str()) =>
        {
            Ok((*left, *right, *top, *bottom))
        }
        _ => Err(wrong()),
    }
}

/// A number with a unit, or in the unit that is given beside it.
fn metres(value: &Value, unit: &str) -> Result<f64, ApiError> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err(parsing("[distance] must be a string or a number")),
    };
    let ends =
        |(name, metres): &(&'static str, f64)| Some((text.strip_suffix(name)?.trim(), *metres));
    // The longest name first: `nmi` ends as `mi` does.
    let named = UNITS
        .iter()
        .filter_map(ends)
        .find(|(number, _)| number.parse::<f64>().is_ok());
    let (number, metres) = match named {
        Some(named) => named,
        None => (text.as_str(), geo_unit(unit)?),
    };
    let number: f64 = number.parse().map_err(|_| {
        let reason = format!("For input string: \"{text}\"");
        ApiError::new(ErrorCode::NumberFormat, reason)
    })?;
    Ok(number * metres)
}

/// Returns the metres of a unit.
pub(crate) fn geo_unit(unit: &str) -> Result<f64, ApiError> {
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known
        .map(|(_, metres)| *metres)
        .ok_or_else(|| ApiError::illegal_argument(format!("No distance unit match [{unit}]")))
}

/// Metres of each, the longer names before those that they end with.
const UNITS: &[(&str, f64)] = &[
    ("nauticalmiles", 1852.0),
    ("nmi", 1852.0),
    ("NM", 1852.0),
    ("kilometers", 1000.0),
    ("km", 1000.0),
    ("centimeters", 0.01),
    ("cm", 0.01),
    ("millimeters", 0.001),
    ("mm", 0.001),
    ("meters", 1.0),
    ("miles", 1609.344),
    ("mi", 1609.344),
    ("yards", 0.9144),
    ("yd", 0.9144),
    ("feet", 0.3048),
    ("ft", 0.3048),
    ("inch", 0.0254),
    ("in", 0.0254),
    ("m", 1.0),
];

/// The members of a query, of which one is the field.
struct Given<'a> {
    name: &'a str,
    rest: Map<String, Value>,
}

impl<'a> Given<'a> {
    fn of(query: &Definition<'a>) -> Result<Self, ApiError> {
        let name = query.name;
        match query.body {
            Value::Object(members) => Ok(Self {
                name,
                rest: members.clone(),
            }),
            _ => Err(parsing(format!(
                "[{name}] query malformed, an object expected"
            ))),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.rest.remove(key)
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(parsing(format!("[{key}] must be a string"))),
        }
    }

    /// What is left besides the common members is the field.
    fn finish(
        mut self,
        area: impl FnOnce(&Value) -> Result<Area, ApiError>,
    ) -> Result<Query, ApiError> {
        let boost = match self.take("boost") {
            None => 1.0,
            Some(boost) => boost
                .as_f64()
                .ok_or_else(|| parsing("[boost] must be a number"))?
                as f32,
        };
        let ignore_unmapped = self.take("ignore_unmapped") == Some(Value::Bool(true));
        let strict = match self.text("validation_method")? {
            None => true,
            Some(method) => match method.to_uppercase().as_str() {
                "STRICT" => true,
                "COERCE" | "IGNORE_MALFORMED" => false,
                _ => {
                    return Err(ApiError::illegal_argument(format!(
                        "operator needs to be either coerce, strict or ignore_malformed, but not [{method}]"
                    )));
                }
            },
        };
        let mut members = self.rest.iter();
        let Some((field, value)) = members.next() else {
            return Err(ApiError::illegal_argument(
                "fieldName must not be null or empty",
            ));
        };
        if let Some((other, _)) = members.next() {
            // The field is what looks like a place.
            let unknown = match value.is_object() || value.is_array() {
                true => other,
                false => field,
            };
            return Err(parsing(format!(
                "failed to parse [{}] query. unexpected field [{unknown}]",
                self.name
            )));
        }
        Ok(Query::Geo(GeoQuery {
            field: field.clone(),
            area: area(value)?,
            ignore_unmapped,
            strict,
            boost,
        }))
    }
}

fn parse_error(reason: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::Parse, reason.into())
}

impl Kind for GeoQuery {
    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }

    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        let name = self.area.query_name();
        let Some(field) = shard.field(&self.field) else {
            return match self.ignore_unmapped {
                true => Ok(none()),
                false => Err(query_shard(format!(
                    "failed to find geo field [{}]",
                    self.field
                ))),
            };
        };
        if field.kind != FieldKind::Point {
            return Err(query_shard(format!(
                "Field [{}] is of unsupported type [{}] for [{name}] query",
                field.name,
                field.type_name()
            )));
        }
        let on_earth = match self.area {
            Area::Around { point, .. } => point.check("p").is_ok(),
            Area::Box {
                top,
                left,
                bottom,
                right,
            } => [(top, left), (bottom, right)]
                .into_iter()
                .all(|(lat, lon)| GeoPoint { lat, lon }.check("p").is_ok()),
        };
        if self.strict && !on_earth {
            return Err(query_shard("couldn't validate latitude/ longitude values"));
        }
        let area = self.area;
        let within = super::values::where_value(shard, &field, move |value| {
            area.contains(&GeoPoint::decode(value))
        });
        Ok(constant(within, self.boost))
    }
}
