//! `constant_score`. Source: Elasticsearch reference, "Constant score query".

use ringwall_api::ApiError;
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, compile, constant};
use super::kind::{Definition, Kind};
use super::parse::parse_at;
use crate::highlight::Sought;
use crate::parse::Object;
use crate::shard::Shard;

/// `constant_score`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantScoreQuery {
    pub filter: Box<Query>,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let mut object = Object::new(given.name, given.body)?;
    let filter = Box::new(parse_at(object.require("filter")?, given.depth + 1)?);
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::ConstantScore(ConstantScoreQuery { filter, boost }))
}

impl Kind for ConstantScoreQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        Ok(constant(compile(shard, &self.filter)?, self.boost))
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        sought.boosted(self.boost, |sought| self.filter.seek(shard, sought))
    }

    fn parts(&self) -> Vec<&Query> {
        vec![&self.filter]
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}
