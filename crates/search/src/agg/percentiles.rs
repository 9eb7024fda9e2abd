//! `percentiles` and `percentile_ranks`. Source: Elasticsearch reference, "Percentiles aggregation" and "Percentile ranks
//! aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::build::Builder;
use super::collector::Collector;
use super::hdr::Hdr;
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
    method: Method,
}

/// How values are summed up.
#[derive(Debug, Clone, Copy)]
enum Method {
    /// A t-digest of this compression.
    Digest(f64),
    /// A histogram that keeps so many digits.
    Hdr(u8),
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
    if points.is_empty() {
        let (key, what) = match ranks {
            true => ("values", "an empty array"),
            false => ("percents", "empty"),
        };
        return Err(ApiError::illegal_argument(format!(
            "[{key}] must not be {what}: [{}]",
            given.agg
        )));
    }
    let outside = |percent: &&f64| !(0.0..=100.0).contains(*percent);
    if let Some(percent) = points.iter().find(outside).filter(|_| !ranks) {
        return Err(ApiError::illegal_argument(format!(
            "percent must be in [0,100], got [{percent:?}]: [{}]",
            given.agg
        )));
    }
    let keyed = object.bool("keyed")?.unwrap_or(true);
    let method = method(&mut object)?;
    object.finish()?;
    Ok(Arc::new(Percentiles {
        source,
        points,
        ranks,
        keyed,
        method,
    }))
}

/// Takes `tdigest` or `hdr`.
fn method(object: &mut Object<'_>) -> Result<Method, ApiError> {
    let (digest, hdr) = (object.take("tdigest"), object.take("hdr"));
    if digest.is_some() && hdr.is_some() {
        return Err(ApiError::illegal_argument(
            "Only one percentiles method should be declared.",
        ));
    }
    if let Some(value) = hdr {
        let mut hdr = Object::new("hdr", value)?;
        let digits = hdr.i64("number_of_significant_value_digits")?.unwrap_or(3);
        hdr.finish()?;
        return match u8::try_from(digits) {
            Ok(digits @ 0..=5) => Ok(Method::Hdr(digits)),
            _ => Err(ApiError::illegal_argument(
                "[numberOfSignificantValueDigits] must be between 0 and 5",
            )),
        };
    }
    let mut compression = 100.0;
    if let Some(value) = digest {
        let mut digest = Object::new("tdigest", value)?;
        compression = digest.f64("compression")?.unwrap_or(compression);
        digest.only("execution_hint", "default")?;
        digest.finish()?;
    }
    if compression < 0.0 {
        return Err(ApiError::illegal_argument(format!(
            "[compression] must be greater than or equal to 0. Found [{compression:?}]"
        )));
    }
    Ok(Method::Digest(compression))
}

fn numbers(name: &str, key: &str, value: &Value) -> Result<Vec<f64>, ApiError> {
    let Value::Array(items) = value else {
        return Ok(vec![f64_of(name, key, value)?]);
    };
    items.iter().map(|item| f64_of(name, key, item)).collect()
}

impl Kind for Percentiles {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn typed(&self, _: &Partial) -> Option<&'static str> {
        Some(match (self.method, self.ranks) {
            (Method::Digest(_), false) => "tdigest_percentiles",
            (Method::Digest(_), true) => "tdigest_percentile_ranks",
            (Method::Hdr(_), false) => "hdr_percentiles",
            (Method::Hdr(_), true) => "hdr_percentile_ranks",
        })
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        match self.method {
            Method::Digest(compression) => {
                builder.numbers(&self.source, Quantiles::new(compression))
            }
            Method::Hdr(digits) => builder.numbers(&self.source, Hdr::new(digits)),
        }
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let text = match merged {
            Partial::Quantiles { format, .. } | Partial::Hdr { format, .. } => {
                self.texts(format)?
            }
            _ => Formatter::Plain,
        };
        let values = self.shown(&answers(merged, &self.points, self.ranks), &text);
        body.insert("values".to_owned(), values);
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        !self.ranks && value.is_some_and(|v| v.parse::<f64>().is_ok())
    }

    fn sort_value(&self, partial: &Partial, value: Option<&str>) -> f64 {
        let percent = value.and_then(|value| value.parse::<f64>().ok());
        let answers = answers(partial, percent.as_slice(), false);
        answers.first().copied().flatten().unwrap_or(f64::NAN)
    }
}

/// Returns the values at percentages, or the percentages at values (`ranks`).
fn answers(merged: &Partial, points: &[f64], ranks: bool) -> Vec<Option<f64>> {
    let points = points.iter();
    match merged {
        Partial::Quantiles { sketch, .. } => {
            let mut sketch = sketch.clone();
            let answer = |point: &f64| match ranks {
                true => sketch.rank(*point).map(|fraction| fraction * 100.0),
                false => sketch.quantile(point / 100.0),
            };
            points.map(answer).collect()
        }
        Partial::Hdr { sketch, .. } => {
            let answer = |point: &f64| match ranks {
                true => sketch.rank(*point),
                false => sketch.percentile(*point),
            };
            points.map(answer).collect()
        }
        _ => points.map(|_| None).collect(),
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

    /// The points with their answers.
    fn shown(&self, answers: &[Option<f64>], text: &Formatter) -> Value {
        let mut keyed_values = Map::new();
        let mut list = Vec::with_capacity(self.points.len());
        for (point, value) in self.points.iter().zip(answers) {
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
