//! `date_histogram`. Source: Elasticsearch reference, "Date histogram aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_base::TimeValue;
use ringwall_index::dates::DateFormat;
use serde_json::{Map, Value};
use tantivy::DocId;

use super::axis::{self, Axis, AxisOptions};
use super::buckets::Keyer;
use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::order::Order;
use super::partial::{Buckets, Partial};
use super::render::{Formatter, Renderer};
use super::spec::{Agg, ValueSource};
use crate::columns::Numbers;
use crate::parse::Object;
use crate::time::{Unit, Zone};

#[derive(Debug)]
struct DateHistogram {
    source: ValueSource,
    steps: Steps,
    /// Dates, date math or numbers, resolved by the shard.
    extended_bounds: Option<(Value, Value)>,
    hard_bounds: Option<(Value, Value)>,
    axis: AxisOptions,
}

/// Where buckets begin.
#[derive(Debug, Clone)]
struct Steps {
    interval: Interval,
    zone: Zone,
    /// Milliseconds.
    offset: i64,
}

/// The width of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interval {
    Calendar(Unit),
    /// Milliseconds.
    Fixed(i64),
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_format()?;
    let interval = interval(&mut object)?;
    let offset = match object.text("offset")? {
        Some(text) => millis_of("offset", &text)?,
        None => 0,
    };
    let zone = Zone::parse_or_utc(object.text("time_zone")?.as_deref())?;
    let histogram = DateHistogram {
        source,
        steps: Steps {
            interval,
            zone,
            offset,
        },
        extended_bounds: bounds(&mut object, "extended_bounds")?,
        hard_bounds: bounds(&mut object, "hard_bounds")?,
        axis: AxisOptions::take(&mut object)?,
    };
    object.finish()?;
    Ok(Arc::new(histogram))
}

/// Takes exactly one of the interval members; `interval`, long deprecated, is still sent by old
/// dashboards and means whichever of the two its value fits.
fn interval(object: &mut Object<'_>) -> Result<Interval, ApiError> {
    let calendar = object.text("calendar_interval")?;
    let fixed = object.text("fixed_interval")?;
    let legacy = object.text("interval")?;
    match (calendar, fixed, legacy) {
        (Some(text), None, None) => calendar_unit(&text).map(Interval::Calendar).ok_or_else(|| {
            ApiError::illegal_argument(format!(
                "The supplied interval [{text}] could not be parsed as a calendar interval."
            ))
        }),
        (None, Some(text), None) => fixed_interval(&text),
        (None, None, Some(text)) => match calendar_unit(&text) {
            Some(unit) => Ok(Interval::Calendar(unit)),
            None => fixed_interval(&text),
        },
        (None, None, None) => Err(ApiError::illegal_argument(
            "Invalid interval specified, must be non-null and non-empty",
        )),
        _ => Err(ApiError::illegal_argument(
            "Cannot use [fixed_interval] with [calendar_interval] or [interval] configuration \
             option.",
        )),
    }
}

fn fixed_interval(text: &str) -> Result<Interval, ApiError> {
    match millis_of("fixed_interval", text) {
        Ok(millis) if millis > 0 => Ok(Interval::Fixed(millis)),
        Ok(_) => Err(ApiError::illegal_argument(format!(
            "Zero or negative time interval not supported: [{text}]"
        ))),
        Err(error) => Err(error),
    }
}

fn bounds(object: &mut Object<'_>, key: &'static str) -> Result<Option<(Value, Value)>, ApiError> {
    let Some(value) = object.take(key) else {
        return Ok(None);
    };
    let mut bounds = Object::new(key, value)?;
    let min = bounds.take("min").cloned().unwrap_or(Value::Null);
    let max = bounds.take("max").cloned().unwrap_or(Value::Null);
    bounds.finish()?;
    Ok(Some((min, max)))
}

/// Reads a length of time as milliseconds: `90m`, `-6h`, `1.5h` is refused.
fn millis_of(key: &str, text: &str) -> Result<i64, ApiError> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let value: TimeValue = digits
        .parse()
        .map_err(|error| ApiError::illegal_argument(format!("[{key}]: {error}")))?;
    value
        .duration()
        .and_then(|duration| i64::try_from(duration.as_millis()).ok())
        .map(|millis| sign * millis)
        .ok_or_else(|| ApiError::illegal_argument(format!("[{key}] is out of range: [{text}]")))
}

/// Returns the calendar unit of a name such as `month` or `1M`.
fn calendar_unit(text: &str) -> Option<Unit> {
    Some(match text {
        "second" | "1s" => Unit::Second,
        "minute" | "1m" => Unit::Minute,
        "hour" | "1h" => Unit::Hour,
        "day" | "1d" => Unit::Day,
        "week" | "1w" => Unit::Week,
        "month" | "1M" => Unit::Month,
        "quarter" | "1q" => Unit::Quarter,
        "year" | "1y" => Unit::Year,
        _ => return None,
    })
}

impl Steps {
    /// Returns the key of the bucket of an instant, in milliseconds.
    fn key(&self, millis: i64) -> i64 {
        let shifted = millis.saturating_sub(self.offset);
        let start = match self.interval {
            Interval::Calendar(unit) => unit.floor(shifted, &self.zone),
            Interval::Fixed(interval) => {
                let zone_offset = self.zone.offset_at(shifted);
                let local = shifted.saturating_add(zone_offset);
                local
                    .div_euclid(interval)
                    .saturating_mul(interval)
                    .saturating_sub(zone_offset)
            }
        };
        start.saturating_add(self.offset)
    }

    /// Returns the key of the bucket after the one with this key.
    fn next(&self, key: i64) -> i64 {
        let start = key.saturating_sub(self.offset);
        let next = match self.interval {
            Interval::Calendar(unit) => unit.next(start, &self.zone).saturating_add(self.offset),
            Interval::Fixed(interval) => {
                let candidate = self.key(key.saturating_add(interval));
                if candidate > key {
                    candidate
                } else {
                    key.saturating_add(interval)
                }
            }
        };
        next.max(key.saturating_add(1))
    }
}

impl Kind for DateHistogram {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn order(&self) -> &[Order] {
        &self.axis.order
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.numeric_input(&self.source)?;
        let format = builder.date_format(self.source.format.as_deref(), &input, &self.steps.zone);
        if let Some(format) = &self.source.format {
            DateFormat::compile(format)?;
        }
        let end = |value: &Value| -> Result<Option<i64>, ApiError> {
            if value.is_null() {
                return Ok(None);
            }
            // Bounds given as numbers are milliseconds, whatever the format.
            if let Some(millis) = value.as_i64() {
                return Ok(Some(millis));
            }
            builder
                .date(
                    self.source.format.as_deref(),
                    &input,
                    &self.steps.zone,
                    value,
                )
                .map(Some)
        };
        let bounds = match &self.extended_bounds {
            Some((min, max)) => {
                let (min, max) = (end(min)?, end(max)?);
                if matches!((min, max), (Some(min), Some(max)) if min > max) {
                    return Err(ApiError::illegal_argument(format!(
                        "[extended_bounds.min] cannot be greater than [extended_bounds.max] for \
                         histogram aggregation [{}]",
                        builder.agg.name
                    )));
                }
                vec![(min.map(|v| v as f64), max.map(|v| v as f64))]
            }
            None => Vec::new(),
        };
        let hard_bounds = match &self.hard_bounds {
            Some((min, max)) => (end(min)?.unwrap_or(i64::MIN), end(max)?.unwrap_or(i64::MAX)),
            None => (i64::MIN, i64::MAX),
        };
        let missing = builder.missing_number(&self.source, &input)?;
        let keyer = Intervals {
            numbers: input.values.into_numbers(),
            steps: self.steps.clone(),
            missing: missing.map(|millis| millis as i64),
            hard_bounds,
            last: (0, 0),
        };
        let mut collector = builder.buckets(keyer, 0)?;
        collector.format = format;
        collector.bounds = bounds;
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

impl Axis for DateHistogram {
    fn options(&self) -> &AxisOptions {
        &self.axis
    }

    fn next(&self, number: i64) -> i64 {
        self.steps.next(number)
    }

    fn extended(&self, merged: &Buckets) -> (Option<i64>, Option<i64>) {
        let Some((low, high)) = merged.bounds.first() else {
            return (None, None);
        };
        let key = |v: Option<f64>| v.map(|v| self.steps.key(v as i64));
        (key(*low), key(*high))
    }

    fn key(&self, number: i64, text: &Formatter, object: &mut Map<String, Value>) -> String {
        let name = text.number(number as f64);
        object.insert("key_as_string".to_owned(), name.clone().into());
        object.insert("key".to_owned(), number.into());
        name
    }
}

/// The keys of the intervals that the values of a document are in.
struct Intervals {
    numbers: Option<Numbers>,
    steps: Steps,
    missing: Option<i64>,
    /// Keys from the first and before the second make buckets.
    hard_bounds: (i64, i64),
    /// The bucket of the last value: start, end.
    last: (i64, i64),
}

impl Keyer for Intervals {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        let Self {
            numbers,
            steps,
            missing,
            hard_bounds,
            last,
        } = self;
        let mut add = |value: i64| {
            if value < last.0 || value >= last.1 {
                let start = steps.key(value);
                *last = (start, steps.next(start));
            }
            if hard_bounds.0 <= last.0 && last.0 < hard_bounds.1 {
                keys.push(last.0 as u64);
            }
        };
        let mut any = false;
        if let Some(numbers) = numbers {
            numbers.longs(doc, |value| {
                any = true;
                add(value);
            });
        }
        if !any && let Some(value) = missing {
            add(*value);
        }
    }
}
