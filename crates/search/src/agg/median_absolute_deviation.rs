//! `median_absolute_deviation`: the median of the distances of values to their median. Source: Elasticsearch reference,
//! "Median absolute deviation aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::{Partial, ValueFormat};
use super::render::{Formatter, Renderer, named_value};
use super::sketch::Quantiles;
use super::spec::{Agg, ValueSource};
use crate::fields::FieldKind;

#[derive(Debug)]
struct MedianAbsoluteDeviation {
    source: ValueSource,
    compression: f64,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_format()?;
    let compression = object.f64("compression")?.unwrap_or(1_000.0);
    if compression <= 0.0 {
        return Err(ApiError::illegal_argument(format!(
            "[compression] must be greater than 0. Found [{compression:?}] in [{}]",
            given.agg
        )));
    }
    object.only("execution_hint", "default")?;
    object.finish()?;
    Ok(Arc::new(MedianAbsoluteDeviation {
        source,
        compression,
    }))
}

fn deviation(partial: &Partial) -> Option<f64> {
    let (sketch, _) = partial.quantiles()?;
    sketch.clone().deviation()
}

impl Kind for MedianAbsoluteDeviation {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        // A distance of dates is no date.
        if let Some(field) = builder.shard.field(&self.source.field)
            && matches!(field.kind, FieldKind::Date | FieldKind::Boolean)
        {
            return Err(builder.unsupported(&field));
        }
        builder.numbers(&self.source, Quantiles::new(self.compression))
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let format = merged.quantiles().map(|(_, format)| format);
        let text = Formatter::new(format.unwrap_or(&ValueFormat::Plain))?;
        named_value(body, "value", deviation(merged), &text);
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        matches!(value, None | Some("value"))
    }

    fn sort_value(&self, partial: &Partial, _: Option<&str>) -> f64 {
        deviation(partial).unwrap_or(f64::NAN)
    }
}
