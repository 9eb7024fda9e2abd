//! What a kind of aggregation is to all that asks, collects, adds up and shows aggregations.

use std::fmt::Debug;
use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::build::Builder;
use super::collector::Collector;
use super::order::Order;
use super::partial::Partial;
use super::pipeline::Pipeline;
use super::render::Renderer;
use super::spec::{Agg, ValueSource};
use super::table::ShardCut;
use crate::SearchSource;
use crate::parse::Object;
use crate::query::Query;

/// An aggregation as it was asked for, without its name and what is inside it.
///
/// A trait rather than an enum: a new kind touches no list but that of the names. It is asked once for a segment, a merge or
/// an answer, never for a document; see [`Collector`].
pub(crate) trait Kind: Debug + Send + Sync {
    /// What it makes of documents.
    fn shape(&self) -> Shape;

    /// Returns the type in `type#name`, where it is not the name in the request.
    fn typed(&self, merged: &Partial) -> Option<&'static str> {
        let _ = merged;
        None
    }

    /// Prepares it for the documents of a segment.
    ///
    /// # Errors
    /// 400 when it does not fit the mapping.
    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError>;

    /// Adds the members of the answer to `body`, but for `meta`.
    ///
    /// # Errors
    /// What cannot be shown, such as too many buckets.
    fn render(
        &self,
        agg: &Agg,
        merged: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError>;

    /// Returns whether buckets can be ordered by this value of it. What has one bucket is ordered by its documents.
    fn is_sortable(&self, value: Option<&str>) -> bool {
        let _ = value;
        false
    }

    /// Returns the value that buckets are ordered by, NaN where there is none.
    fn sort_value(&self, partial: &Partial, value: Option<&str>) -> f64 {
        let _ = (partial, value);
        f64::NAN
    }

    /// The order of its buckets, where the request gives one.
    fn order(&self) -> &[Order] {
        &[]
    }

    /// What a shard sends of its buckets, where that is not all.
    fn cut(&self) -> Option<&ShardCut> {
        None
    }

    /// Whether it looks at every document, whatever the query. Such a kind stands at the top only.
    fn is_global(&self) -> bool {
        false
    }

    /// Visits its queries.
    fn each_query(&self, visit: &mut VisitQuery<'_>) -> Result<(), ApiError> {
        let _ = visit;
        Ok(())
    }

    /// What it makes of the answers of others, once those are whole; it collects nothing then.
    fn pipeline(&self) -> Option<&dyn Pipeline> {
        None
    }

    /// The search for the documents that it shows.
    fn hits(&self) -> Option<&SearchSource> {
        None
    }
}

/// Looks at a query of a request.
pub(crate) type VisitQuery<'a> = dyn FnMut(&Query) -> Result<(), ApiError> + 'a;

/// What an aggregation makes of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Values, with no aggregations inside.
    Values,
    /// One bucket: the order of other buckets may go through it.
    Bucket,
    Buckets,
    /// Nothing: it reads what others have made of them.
    Pipeline,
}

/// Reads the body of an aggregation.
pub(super) type Parse = fn(&Definition<'_>) -> Parsed;

pub(super) type Parsed = Result<Arc<dyn Kind>, ApiError>;

/// An aggregation in a request: `agg: {kind: body}`.
pub(super) struct Definition<'a> {
    pub(super) agg: &'a str,
    pub(super) kind: &'a str,
    pub(super) body: &'a Value,
}

impl<'a> Definition<'a> {
    /// Starts to read the body, which must be an object.
    pub(super) fn object(&self) -> Result<Object<'a>, ApiError> {
        Object::new(self.kind, self.body)
    }

    /// Starts to read the body of an aggregation of the values of a field.
    pub(super) fn object_with_source(&self) -> Result<(Object<'a>, ValueSource), ApiError> {
        let mut object = self.object()?;
        let source = ValueSource::take(self.kind, &mut object)?;
        Ok((object, source))
    }

    /// [`Definition::object_with_source`] where values may have a format.
    pub(super) fn object_with_format(&self) -> Result<(Object<'a>, ValueSource), ApiError> {
        let (mut object, mut source) = self.object_with_source()?;
        source.format = object.text("format")?;
        Ok((object, source))
    }
}
