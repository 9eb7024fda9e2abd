//! `missing`: documents without value. Source: Elasticsearch reference, "Missing aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};
use tantivy::DocId;

use super::buckets::Keyer;
use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::Partial;
use super::render::Renderer;
use super::spec::{Agg, ValueSource};
use crate::columns::Values;
use crate::parse::text_of;

#[derive(Debug)]
struct Missing {
    source: ValueSource,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let mut object = given.object()?;
    let field = text_of(given.kind, "field", object.require("field")?)?;
    object.finish()?;
    let source = ValueSource {
        field,
        missing: None,
        format: None,
    };
    Ok(Arc::new(Missing { source }))
}

impl Kind for Missing {
    fn shape(&self) -> Shape {
        Shape::Bucket
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let values = builder.input(&self.source)?.values;
        Ok(Box::new(builder.buckets(Without(values), 1)?))
    }

    fn render(
        &self,
        agg: &Agg,
        merged: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        renderer.bucket_body(agg, merged.buckets().buckets.first(), body)
    }
}

/// One bucket for the documents without value.
struct Without(Values);

impl Keyer for Without {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        if !self.0.has(doc) {
            keys.push(0);
        }
    }
}
