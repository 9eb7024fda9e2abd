//! `range` and `date_range`. Source: Elasticsearch reference, "Range aggregation" and "Date range aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};
use tantivy::DocId;

use super::buckets::Keyer;
use super::build::Builder;
use super::collector::{Collector, each_number};
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::{Partial, ValueFormat};
use super::render::{Formatter, Renderer};
use super::spec::{Agg, ValueSource};
use crate::columns::Numbers;
use crate::parse::{Object, f64_of};
use crate::time::Zone;

#[derive(Debug)]
struct Range {
    source: ValueSource,
    date: bool,
    ranges: Vec<RangeItem>,
    keyed: bool,
    zone: Option<String>,
}

/// One bucket of a range aggregation: from inclusive, to exclusive.
#[derive(Debug)]
struct RangeItem {
    key: Option<String>,
    from: Option<Value>,
    to: Option<Value>,
}

pub(super) fn parse(given: &Definition<'_>, date: bool) -> Parsed {
    let name = given.kind;
    let (mut object, source) = given.object_with_format()?;
    let keyed = object.bool("keyed")?.unwrap_or(false);
    let mut zone = None;
    if date {
        zone = object.text("time_zone")?;
        Zone::parse_or_utc(zone.as_deref())?;
    }
    let items = match object.require("ranges")? {
        Value::Array(items) if !items.is_empty() => items,
        _ => {
            return Err(ApiError::illegal_argument(format!(
                "No [ranges] specified for the [{name}] aggregation"
            )));
        }
    };
    let ranges = items
        .iter()
        .map(|item| range_item(item, date))
        .collect::<Result<_, _>>()?;
    object.finish()?;
    Ok(Arc::new(Range {
        source,
        date,
        ranges,
        keyed,
        zone,
    }))
}

fn range_item(item: &Value, date: bool) -> Result<RangeItem, ApiError> {
    let mut object = Object::new("ranges", item)?;
    let key = object.text("key")?;
    let mut end = |end: &'static str| -> Result<Option<Value>, ApiError> {
        match object.take(end) {
            Some(value) if !date => Ok(Some(f64_of("ranges", end, value)?.into())),
            other => Ok(other.cloned()),
        }
    };
    let item = RangeItem {
        key,
        from: end("from")?,
        to: end("to")?,
    };
    object.finish()?;
    Ok(item)
}

impl Kind for Range {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.numeric_input(&self.source)?;
        let zone = Zone::parse_or_utc(self.zone.as_deref())?;
        let format = if self.date {
            builder.date_format(self.source.format.as_deref(), &input, &zone)
        } else if let Some(format) = &self.source.format {
            builder.format(Some(format), &input)?
        } else {
            ValueFormat::Plain
        };
        let mut bounds = Vec::with_capacity(self.ranges.len());
        for item in &self.ranges {
            let end = |value: &Option<Value>| -> Result<Option<f64>, ApiError> {
                match value {
                    Some(value) if self.date => builder
                        .date(self.source.format.as_deref(), &input, &zone, value)
                        .map(|millis| Some(millis as f64)),
                    Some(value) => Ok(value.as_f64()),
                    None => Ok(None),
                }
            };
            bounds.push((end(&item.from)?, end(&item.to)?));
        }
        let keyer = Ranges {
            ranges: bounds
                .iter()
                .map(|(from, to)| {
                    (
                        from.unwrap_or(f64::NEG_INFINITY),
                        to.unwrap_or(f64::INFINITY),
                    )
                })
                .collect(),
            missing: builder.missing_number(&self.source, &input)?,
            numbers: input.values.into_numbers(),
        };
        let mut collector = builder.buckets(keyer, bounds.len())?;
        collector.format = format;
        collector.bounds = bounds;
        Ok(Box::new(collector))
    }

    fn render(
        &self,
        agg: &Agg,
        partial: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let merged = partial.buckets();
        let text = Formatter::new(&merged.format)?;
        let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
        let mut order: Vec<(usize, Option<f64>, Option<f64>)> = self
            .ranges
            .iter()
            .enumerate()
            .map(|(index, item)| match merged.bounds.get(index) {
                Some((from, to)) => (index, *from, *to),
                None => (index, number(&item.from), number(&item.to)),
            })
            .collect();
        order.sort_by(|left, right| {
            let from = |end: Option<f64>| end.unwrap_or(f64::NEG_INFINITY);
            let to = |end: Option<f64>| end.unwrap_or(f64::INFINITY);
            from(left.1)
                .total_cmp(&from(right.1))
                .then(to(left.2).total_cmp(&to(right.2)))
        });
        let ranges = order.into_iter().map(|(index, from, to)| {
            let end = |end: Option<f64>| end.map_or_else(|| "*".to_owned(), |v| text.number(v));
            let name = match &self.ranges[index].key {
                Some(key) => key.clone(),
                None => format!("{}-{}", end(from), end(to)),
            };
            let mut ends = Map::new();
            for (field, value) in [("from", from), ("to", to)] {
                let Some(value) = value else { continue };
                ends.insert(field.to_owned(), value.into());
                if let Some(text) = text.text(value) {
                    ends.insert(format!("{field}_as_string"), text.into());
                }
            }
            (index, name, ends)
        });
        renderer.ranges(agg, merged, self.keyed, ranges.collect(), body)
    }
}

/// The numbers of the ranges that the values of a document are in.
struct Ranges {
    numbers: Option<Numbers>,
    /// From inclusive, to exclusive.
    ranges: Vec<(f64, f64)>,
    missing: Option<f64>,
}

impl Keyer for Ranges {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        each_number(self.numbers.as_ref(), self.missing, doc, |value| {
            for (index, (from, to)) in self.ranges.iter().enumerate() {
                if *from <= value && value < *to {
                    keys.push(index as u64);
                }
            }
        });
    }
}
