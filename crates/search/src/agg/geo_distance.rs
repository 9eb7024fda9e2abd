//! `geo_distance`. Source: Elasticsearch reference, "Geo-distance aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_base::java;
use ringwall_index::geo::GeoPoint;
use serde_json::{Map, Value};
use tantivy::DocId;

use super::buckets::Keyer;
use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::Partial;
use super::render::Renderer;
use super::spec::{Agg, ValueSource};
use crate::columns::Numbers;
use crate::fields::FieldKind;
use crate::parse::{Object, f64_of};
use crate::query::geo_unit;

#[derive(Debug)]
struct GeoDistance {
    source: ValueSource,
    origin: GeoPoint,
    missing: Option<GeoPoint>,
    /// Metres of the unit of the ranges.
    unit: f64,
    /// In the order of their ends, which is that of the answer.
    rings: Vec<Ring>,
    keyed: bool,
}

/// One bucket.
#[derive(Debug)]
struct Ring {
    key: String,
    /// Inclusive.
    from: f64,
    /// Exclusive, infinite if there is none.
    to: f64,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_source()?;
    let keyed = object.bool("keyed")?.unwrap_or(false);
    let unit = object.text("unit")?;
    let unit = geo_unit(unit.as_deref().unwrap_or("m"))?;
    if let Some(how) = object.text("distance_type")?
        && !["arc", "plane"].contains(&how.as_str())
    {
        return Err(ApiError::illegal_argument(format!(
            "No geo distance for [{how}]"
        )));
    }
    let point = |value: &Value| GeoPoint::parse(value).map_err(ApiError::illegal_argument);
    let Some(origin) = object.take("origin") else {
        return Err(ApiError::illegal_argument(format!(
            "Aggregation [{}] must define an [origin].",
            given.agg
        )));
    };
    let origin = point(origin)?;
    let items = match object.take("ranges") {
        Some(Value::Array(items)) if !items.is_empty() => items,
        _ => {
            return Err(ApiError::illegal_argument(format!(
                "No [ranges] specified for the [{}] aggregation",
                given.agg
            )));
        }
    };
    let mut rings = items.iter().map(ring).collect::<Result<Vec<_>, _>>()?;
    rings.sort_by(|left, right| {
        let by_from = left.from.total_cmp(&right.from);
        by_from.then(left.to.total_cmp(&right.to))
    });
    object.finish()?;
    Ok(Arc::new(GeoDistance {
        missing: source.missing.as_ref().map(point).transpose()?,
        source,
        origin,
        unit,
        rings,
        keyed,
    }))
}

fn ring(item: &Value) -> Result<Ring, ApiError> {
    let mut object = Object::new("ranges", item)?;
    let key = object.text("key")?;
    let mut end = |name: &'static str| -> Result<Option<f64>, ApiError> {
        let value = object.take(name);
        value.map(|v| f64_of("ranges", name, v)).transpose()
    };
    // No point is nearer than nought.
    let from = end("from")?.unwrap_or(0.0);
    let to = end("to")?.unwrap_or(f64::INFINITY);
    object.finish()?;
    let shown = |end: f64, is_open: bool| match is_open {
        true => "*".to_owned(),
        false => java::double_text(end),
    };
    Ok(Ring {
        key: key.unwrap_or_else(|| {
            let (from, to) = (shown(from, from == 0.0), shown(to, to.is_infinite()));
            format!("{from}-{to}")
        }),
        from,
        to,
    })
}

impl Kind for GeoDistance {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.input(&self.source)?;
        if let Some(field) = &input.field
            && field.kind != FieldKind::Point
        {
            return Err(builder.unsupported(field));
        }
        let keyer = Rings {
            points: input.values.into_numbers(),
            origin: self.origin,
            missing: self.missing,
            unit: self.unit,
            rings: self.rings.iter().map(|r| (r.from, r.to)).collect(),
        };
        Ok(Box::new(builder.buckets(keyer, self.rings.len())?))
    }

    fn render(
        &self,
        agg: &Agg,
        partial: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let rings = self.rings.iter().enumerate().map(|(number, ring)| {
            let mut ends = Map::from_iter([("from".to_owned(), ring.from.into())]);
            if ring.to.is_finite() {
                ends.insert("to".to_owned(), ring.to.into());
            }
            (number, ring.key.clone(), ends)
        });
        renderer.ranges(agg, partial.buckets(), self.keyed, rings.collect(), body)
    }
}

/// The numbers of the rings that the points of a document are in.
struct Rings {
    points: Option<Numbers>,
    origin: GeoPoint,
    /// Stands for a document without a point.
    missing: Option<GeoPoint>,
    unit: f64,
    /// From inclusive, to exclusive.
    rings: Vec<(f64, f64)>,
}

impl Rings {
    fn keys_of(&self, point: &GeoPoint, keys: &mut Vec<u64>) {
        let distance = self.origin.distance(point) / self.unit;
        for (key, (from, to)) in (0..).zip(&self.rings) {
            if *from <= distance && distance < *to {
                keys.push(key);
            }
        }
    }
}

impl Keyer for Rings {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        let mut has_any = false;
        if let Some(points) = &self.points {
            points.longs(doc, |value| {
                has_any = true;
                self.keys_of(&GeoPoint::decode(value), keys);
            });
        }
        if let (false, Some(missing)) = (has_any, &self.missing) {
            self.keys_of(missing, keys);
        }
    }
}
