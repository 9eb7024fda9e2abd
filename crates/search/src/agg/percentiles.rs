//! `percentiles` and `percentile_ranks`. Source: Elasticsearch reference, "Percentiles aggregation" and "Percentile ranks
//! aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::{Partial, ValueFormat};
use super::render::{Formatter, Renderer, double_json, java_double};
use super::sketch::Quantiles;
use super::spec::{Agg, ValueSource};
use crate::parse::{Object, f64_of};

#[derive(Debug)]
struct Percentiles {
    source: ValueSource,
    /// Percentages (`percentiles`) or values (`percentile_ranks`).
    points: Vec<f64>,
    ranks: bool,
    keyed: bool,
    compression: f64,
}

pub(super) fn parse(given: &Definition<'_>, ranks: bool) -> Parsed {
    let name = given.kind;
    let (mut object, source) = given.object_with_format()?;
    let points = if ranks {
        numbers(name, "values", object.require("values")?)?
    } else {
        match object.take("percents") {
            Some(value) => numbers(name, "percents", value)?,
            None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
        }
    };
    if !ranks && points.iter().any(|p| !(0.0..=100.0).contains(p)) {
        return Err(ApiError::illegal_argument(
            "percent must be in [0,100] for [percentiles]",
        ));
    }
    let keyed = object.bool("keyed")?.unwrap_or(true);
    let mut compression = 100.0;
    if let Some(value) = object.take("tdigest") {
        let mut tdigest = Object::new("tdigest", value)?;
        compression = tdigest.f64("compression")?.unwrap_or(compression);
        tdigest.finish()?;
    }
    object.finish()?;
    Ok(Arc::new(Percentiles {
        source,
        points,
        ranks,
        keyed,
        compression,
    }))
}

fn numbers(name: &str, key: &str, value: &Value) -> Result<Vec<f64>, ApiError> {
    let Value::Array(items) = value else {
        return Ok(vec![f64_of(name, key, value)?]);
    };
    if items.is_empty() {
        return Err(ApiError::illegal_argument(format!(
            "[{key}] must not be empty in [{name}]"
        )));
    }
    items.iter().map(|item| f64_of(name, key, item)).collect()
}

impl Kind for Percentiles {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn typed(&self, _: &Partial) -> Option<&'static str> {
        Some(match self.ranks {
            false => "tdigest_percentiles",
            true => "tdigest_percentile_ranks",
        })
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        builder.numbers(&self.source, Quantiles::new(self.compression))
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let values = match merged.quantiles() {
            Some((sketch, format)) => self.values(sketch.clone(), &self.texts(format)?),
            None => self.values(Quantiles::new(self.compression), &Formatter::Plain),
        };
        body.insert("values".to_owned(), values);
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        !self.ranks && value.is_some_and(|v| v.parse::<f64>().is_ok())
    }

    fn sort_value(&self, partial: &Partial, value: Option<&str>) -> f64 {
        let percent = value.and_then(|value| value.parse::<f64>().ok());
        let (Some(percent), Some((sketch, _))) = (percent, partial.quantiles()) else {
            return f64::NAN;
        };
        let value = sketch.clone().quantile(percent / 100.0);
        value.unwrap_or(f64::NAN)
    }
}

impl Percentiles {
    /// How values read. Ranks are percentages, which no format of the field is for.
    fn texts(&self, format: &ValueFormat) -> Result<Formatter, ApiError> {
        match format {
            ValueFormat::Bool | ValueFormat::Date { .. } if self.ranks => Ok(Formatter::Plain),
            format => Formatter::new(format),
        }
    }

    /// The points with their values.
    fn values(&self, mut sketch: Quantiles, text: &Formatter) -> Value {
        let mut keyed_values = Map::new();
        let mut list = Vec::with_capacity(self.points.len());
        for point in &self.points {
            let value = if self.ranks {
                sketch.rank(*point).map(|fraction| fraction * 100.0)
            } else {
                sketch.quantile(point / 100.0)
            };
            let json = value.map_or(Value::Null, double_json);
            let text = value.and_then(|value| text.text(value));
            if self.keyed {
                let name = java_double(*point);
                keyed_values.insert(name.clone(), json);
                if let Some(text) = text {
                    keyed_values.insert(format!("{name}_as_string"), text.into());
                }
            } else {
                let mut object = Map::new();
                object.insert("key".to_owned(), (*point).into());
                object.insert("value".to_owned(), json);
                if let Some(text) = text {
                    object.insert("value_as_string".to_owned(), text.into());
                }
                list.push(Value::Object(object));
            }
        }
        if self.keyed {
            Value::Object(keyed_values)
        } else {
            Value::Array(list)
        }
    }
}
