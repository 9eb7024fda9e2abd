//! `global`: every document, whatever the query. Source: Elasticsearch reference, "Global aggregation".

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
use super::spec::Agg;

#[derive(Debug)]
struct Global;

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    given.object()?.finish()?;
    Ok(Arc::new(Global))
}

impl Kind for Global {
    fn shape(&self) -> Shape {
        Shape::Bucket
    }

    fn is_global(&self) -> bool {
        true
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        Ok(Box::new(builder.buckets(All, 1)?))
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

/// One bucket for every document.
struct All;

impl Keyer for All {
    fn keys(&mut self, _: DocId, keys: &mut Vec<u64>) {
        keys.push(0);
    }
}
