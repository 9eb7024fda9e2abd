//! `value_count`: how many values there are. Source: Elasticsearch reference, "Value count aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::block::Entry;
use super::build::Builder;
use super::collector::{Collector, grow};
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::{Partial, Stats, ValueFormat};
use super::render::Renderer;
use super::spec::{Agg, ValueSource};
use crate::columns::Values;

#[derive(Debug)]
struct ValueCount {
    source: ValueSource,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (object, source) = given.object_with_source()?;
    object.finish()?;
    Ok(Arc::new(ValueCount { source }))
}

impl Kind for ValueCount {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        Ok(Box::new(Counter {
            values: builder.input(&self.source)?.values,
            missing: self.source.missing.is_some(),
            counts: Vec::new(),
        }))
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        body.insert("value".to_owned(), merged.stats().0.count.into());
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        matches!(value, None | Some("value"))
    }

    fn sort_value(&self, partial: &Partial, _: Option<&str>) -> f64 {
        partial.stats().0.count as f64
    }
}

/// Counts the values of documents.
struct Counter {
    values: Values,
    /// Documents without value count as having one.
    missing: bool,
    counts: Vec<u64>,
}

impl Collector for Counter {
    fn bytes_each(&self) -> u64 {
        size_of::<u64>() as u64
    }

    fn collect(&mut self, block: &[Entry]) {
        for entry in block {
            let found = self.values.count(entry.doc);
            let count = grow(&mut self.counts, entry.bucket, || 0);
            *count += if found == 0 && self.missing { 1 } else { found };
        }
    }

    fn finish(self: Box<Self>, _: &Agg, _: usize, _: bool) -> Result<Vec<Partial>, ApiError> {
        let partial = |count: u64| Partial::Stats {
            stats: Stats::of_count(count),
            format: ValueFormat::Plain,
        };
        Ok(self.counts.into_iter().map(partial).collect())
    }
}
