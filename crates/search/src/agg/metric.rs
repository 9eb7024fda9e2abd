//! `avg`, `min`, `max` and `sum`: one value each. Source: Elasticsearch reference, "Metrics aggregations".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::Map;

use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::{Partial, Stats};
use super::render::{Formatter, Renderer, named_value};
use super::spec::{Agg, ValueSource};

/// Which value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Avg,
    Min,
    Max,
    Sum,
}

#[derive(Debug)]
struct Metric {
    value: Value,
    source: ValueSource,
}

pub(super) fn parse(given: &Definition<'_>, value: Value) -> Parsed {
    let (object, source) = given.object_with_format()?;
    object.finish()?;
    Ok(Arc::new(Metric { value, source }))
}

impl Metric {
    fn of(&self, stats: &Stats) -> Option<f64> {
        match self.value {
            Value::Sum => Some(stats.sum()),
            _ if stats.count == 0 => None,
            Value::Avg => Some(stats.avg()),
            Value::Min => Some(stats.min),
            Value::Max => Some(stats.max),
        }
    }
}

impl Kind for Metric {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        builder.numbers(&self.source, Stats::default())
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, serde_json::Value>,
    ) -> Result<(), ApiError> {
        let (stats, format) = merged.stats();
        let text = Formatter::new(format)?;
        named_value(body, "value", self.of(&stats), &text);
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        matches!(value, None | Some("value"))
    }

    fn sort_value(&self, partial: &Partial, _: Option<&str>) -> f64 {
        self.of(&partial.stats().0).unwrap_or(f64::NAN)
    }
}
