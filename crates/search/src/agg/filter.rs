//! `filter` and `filters`: buckets of the documents that queries match. Source: Elasticsearch reference, "Filter aggregation"
//! and "Filters aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};
use tantivy::{BitSet, DocId};

use super::buckets::Keyer;
use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape, VisitQuery};
use super::partial::{Key, Partial};
use super::render::{Renderer, keyed_or_list};
use super::spec::Agg;
use crate::parse::{bool_of, malformed};
use crate::query::{Query, parse_query};

#[derive(Debug)]
struct Filter(Query);

/// Reads the body of `filter`: a query.
pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    Ok(Arc::new(Filter(parse_query(given.body)?)))
}

impl Kind for Filter {
    fn shape(&self) -> Shape {
        Shape::Bucket
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let keyer = Matching {
            filters: vec![builder.matching(&self.0)?],
            other: false,
        };
        Ok(Box::new(builder.buckets(keyer, 1)?))
    }

    fn each_query(&self, visit: &mut VisitQuery<'_>) -> Result<(), ApiError> {
        visit(&self.0)
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

#[derive(Debug)]
struct Filters {
    /// Names (when keyed) and queries, in the order of the answer.
    filters: Vec<(Option<String>, Query)>,
    /// The key of the bucket of what no filter matches, if wanted.
    other: Option<String>,
    keyed: bool,
}

/// Reads the body of `filters`.
pub(super) fn parse_filters(given: &Definition<'_>) -> Parsed {
    let mut object = given.object()?;
    let mut keyed = true;
    let filters: Vec<(Option<String>, Query)> = match object.require("filters")? {
        Value::Object(members) => members
            .iter()
            .map(|(name, query)| Ok((Some(name.clone()), parse_query(query)?)))
            .collect::<Result<_, ApiError>>()?,
        Value::Array(items) => {
            keyed = false;
            items
                .iter()
                .map(|query| Ok((None, parse_query(query)?)))
                .collect::<Result<_, ApiError>>()?
        }
        other => return Err(malformed("filters", "START_OBJECT", other)),
    };
    if filters.is_empty() {
        return Err(ApiError::illegal_argument("[filters] cannot be empty"));
    }
    let other_key = object.text("other_bucket_key")?;
    let other_bucket = match object.take("other_bucket") {
        Some(value) => bool_of("filters", "other_bucket", value)?,
        None => other_key.is_some(),
    };
    object.only("keyed", if keyed { "true" } else { "false" })?;
    object.finish()?;
    Ok(Arc::new(Filters {
        filters,
        other: other_bucket.then(|| other_key.unwrap_or_else(|| "_other_".to_owned())),
        keyed,
    }))
}

impl Kind for Filters {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let filters = self
            .filters
            .iter()
            .map(|(_, query)| builder.matching(query))
            .collect::<Result<Vec<_>, _>>()?;
        let slots = filters.len() + 1;
        let keyer = Matching {
            filters,
            other: self.other.is_some(),
        };
        Ok(Box::new(builder.buckets(keyer, slots)?))
    }

    fn each_query(&self, visit: &mut VisitQuery<'_>) -> Result<(), ApiError> {
        self.filters.iter().try_for_each(|(_, query)| visit(query))
    }

    fn render(
        &self,
        agg: &Agg,
        merged: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let names = self
            .filters
            .iter()
            .map(|(name, _)| name.clone().unwrap_or_default())
            .chain(self.other.clone());
        let mut named = Vec::new();
        for (index, name) in names.enumerate() {
            renderer.count_bucket()?;
            let slot = Key::Long(i64::try_from(index).unwrap_or(i64::MAX));
            let buckets = &merged.buckets().buckets;
            let bucket = buckets.iter().find(|bucket| bucket.key == slot);
            let mut object = Map::new();
            renderer.bucket_body(agg, bucket, &mut object)?;
            named.push((name, Value::Object(object)));
        }
        body.insert("buckets".to_owned(), keyed_or_list(self.keyed, named));
        Ok(())
    }
}

/// The numbers of the queries that a document matches.
struct Matching {
    filters: Vec<BitSet>,
    /// What none matches has a bucket after theirs.
    other: bool,
}

impl Keyer for Matching {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        for (index, filter) in self.filters.iter().enumerate() {
            if filter.contains(doc) {
                keys.push(index as u64);
            }
        }
        if keys.is_empty() && self.other {
            keys.push(self.filters.len() as u64);
        }
    }
}
