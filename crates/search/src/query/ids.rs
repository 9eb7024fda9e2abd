//! `ids`. Source: Elasticsearch reference, "IDs query".

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, with_field};
use super::kind::{Definition, Kind};
use super::values;
use crate::parse::{Object, texts_of};
use crate::shard::Shard;

/// `ids`.
#[derive(Debug, Clone, PartialEq)]
pub struct IdsQuery {
    pub values: Vec<String>,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let mut object = Object::new(given.name, given.body)?;
    let values = texts_of(given.name, "values", object.require("values")?)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Ids(IdsQuery { values, boost }))
}

impl Kind for IdsQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        with_field(shard, "_id", |field| {
            let values: Vec<Value> = self.values.iter().map(|id| id.clone().into()).collect();
            values::terms(shard, field, &values, self.boost)
        })
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}
