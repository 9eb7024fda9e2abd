//! Aggregations as they are asked for. Source: Elasticsearch reference, "Aggregations".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::kind::{Kind, Shape, VisitQuery};
use crate::parse::{Object, text_of};

/// One named aggregation with the aggregations inside its buckets.
#[derive(Debug, Clone)]
pub struct Agg {
    pub name: String,
    /// The name of its kind.
    pub(super) type_name: &'static str,
    /// What it computes.
    pub(crate) kind: Arc<dyn Kind>,
    pub subs: Vec<Agg>,
    /// Places of those of `subs` that read answers, each after what it reads.
    pub(super) pipelines: Vec<usize>,
    /// Echoed in the answer.
    pub meta: Option<Map<String, Value>>,
}

impl Agg {
    /// Visits the queries of this aggregation and those inside it.
    pub(crate) fn each_query(&self, visit: &mut VisitQuery<'_>) -> Result<(), ApiError> {
        self.kind.each_query(visit)?;
        let hits = self.kind.hits();
        let highlight = hits.and_then(|hits| hits.highlight.as_ref());
        for query in highlight
            .into_iter()
            .flat_map(|highlight| highlight.queries())
        {
            visit(query)?;
        }
        self.subs.iter().try_for_each(|sub| sub.each_query(visit))
    }

    /// Returns the name in the answer: `name`, or `type#name` with `typed_keys`.
    pub fn key(&self, typed: Option<&str>) -> String {
        match typed {
            Some(kind) => format!("{kind}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns whether a bucket order may go through this aggregation.
    pub(super) fn is_single_bucket(&self) -> bool {
        self.kind.shape() == Shape::Bucket
    }
}

/// Where values come from: a field, and what stands for documents without it.
#[derive(Debug, Clone)]
pub(super) struct ValueSource {
    pub(super) field: String,
    pub(super) missing: Option<Value>,
    /// How values read in the answer.
    pub(super) format: Option<String>,
}

impl ValueSource {
    /// Takes `field` and `missing`.
    pub(super) fn take(name: &str, object: &mut Object<'_>) -> Result<Self, ApiError> {
        let field = object.take("field").ok_or_else(|| {
            ApiError::illegal_argument(format!(
                "Required one of fields [field, script], but none were specified for [{name}] \
                 (scripts are not supported)"
            ))
        })?;
        Ok(Self {
            field: text_of(name, "field", field)?,
            missing: object.take("missing").cloned(),
            format: None,
        })
    }
}
