//! `histogram`. Source: Elasticsearch reference, "Histogram aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};
use tantivy::DocId;

use super::axis::{self, Axis, AxisOptions};
use super::buckets::Keyer;
use super::build::Builder;
use super::collector::{Collector, each_number};
use super::kind::{Definition, Kind, Parsed, Shape};
use super::order::Order;
use super::partial::{Buckets, Partial, ValueFormat};
use super::render::{Formatter, Renderer};
use super::spec::{Agg, ValueSource};
use crate::columns::Numbers;
use crate::parse::{Object, f64_of};

#[derive(Debug)]
struct Histogram {
    source: ValueSource,
    steps: Steps,
    extended_bounds: Option<(f64, f64)>,
    hard_bounds: Option<(f64, f64)>,
    axis: AxisOptions,
}

/// Where buckets begin.
#[derive(Debug, Clone, Copy)]
struct Steps {
    interval: f64,
    offset: f64,
}

impl Steps {
    /// Returns the number of the bucket of a value.
    fn index(self, value: f64) -> i64 {
        ((value - self.offset) / self.interval).floor() as i64
    }

    /// Returns the key of a bucket, its lower end.
    fn value(self, index: i64) -> f64 {
        index as f64 * self.interval + self.offset
    }
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_format()?;
    let interval = f64_of(given.kind, "interval", object.require("interval")?)?;
    if interval <= 0.0 {
        return Err(ApiError::illegal_argument(format!(
            "[interval] must be >0 for histogram aggregation [{interval}]"
        )));
    }
    let offset = object.f64("offset")?.unwrap_or(0.0);
    let histogram = Histogram {
        source,
        steps: Steps { interval, offset },
        extended_bounds: number_bounds(&mut object, "extended_bounds")?,
        hard_bounds: number_bounds(&mut object, "hard_bounds")?,
        axis: AxisOptions::take(&mut object)?,
    };
    object.finish()?;
    Ok(Arc::new(histogram))
}

fn number_bounds(
    object: &mut Object<'_>,
    key: &'static str,
) -> Result<Option<(f64, f64)>, ApiError> {
    let Some(value) = object.take(key) else {
        return Ok(None);
    };
    let mut bounds = Object::new(key, value)?;
    let min = bounds.f64("min")?.unwrap_or(f64::INFINITY);
    let max = bounds.f64("max")?.unwrap_or(f64::NEG_INFINITY);
    bounds.finish()?;
    let open = (key == "hard_bounds").then_some((f64::NEG_INFINITY, f64::INFINITY));
    let bounds = match open {
        Some((low, high)) => (
            if min.is_finite() { min } else { low },
            if max.is_finite() { max } else { high },
        ),
        None => (min, max),
    };
    if bounds.0.is_finite() && bounds.1.is_finite() && bounds.0 > bounds.1 {
        return Err(ApiError::illegal_argument(format!(
            "[{key}.min][{min}] cannot be greater than [{key}.max][{max}] for histogram aggregation"
        )));
    }
    Ok(Some(bounds))
}

impl Kind for Histogram {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn order(&self) -> &[Order] {
        &self.axis.order
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.numeric_input(&self.source)?;
        let format = match &self.source.format {
            Some(format) => builder.format(Some(format), &input)?,
            None => ValueFormat::Plain,
        };
        let open = (f64::NEG_INFINITY, f64::INFINITY);
        let keyer = Intervals {
            missing: builder.missing_number(&self.source, &input)?,
            numbers: input.values.into_numbers(),
            steps: self.steps,
            hard_bounds: self.hard_bounds.unwrap_or(open),
        };
        let mut collector = builder.buckets(keyer, 0)?;
        collector.format = format;
        Ok(Box::new(collector))
    }

    fn render(
        &self,
        agg: &Agg,
        merged: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        axis::render(self, agg, merged, renderer, body)
    }
}

impl Axis for Histogram {
    fn options(&self) -> &AxisOptions {
        &self.axis
    }

    fn next(&self, number: i64) -> i64 {
        number.saturating_add(1)
    }

    fn extended(&self, _: &Buckets) -> (Option<i64>, Option<i64>) {
        let Some((low, high)) = self.extended_bounds else {
            return (None, None);
        };
        let index = |v: f64| v.is_finite().then(|| self.steps.index(v));
        (index(low), index(high))
    }

    fn key(&self, number: i64, text: &Formatter, object: &mut Map<String, Value>) -> String {
        let value = self.steps.value(number);
        if let Some(text) = text.text(value) {
            object.insert("key_as_string".to_owned(), text.into());
        }
        object.insert("key".to_owned(), value.into());
        text.number(value)
    }
}

/// The numbers of the intervals that the values of a document are in.
struct Intervals {
    numbers: Option<Numbers>,
    steps: Steps,
    missing: Option<f64>,
    /// The first and last key that makes a bucket.
    hard_bounds: (f64, f64),
}

impl Keyer for Intervals {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        let (low, high) = self.hard_bounds;
        each_number(self.numbers.as_ref(), self.missing, doc, |value| {
            let index = self.steps.index(value);
            // The reference tests the key before the offset is added.
            let key = index as f64 * self.steps.interval;
            if value.is_finite() && low <= key && key <= high {
                keys.push(index as u64);
            }
        });
    }
}
