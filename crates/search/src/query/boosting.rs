//! `boosting`. Source: Elasticsearch reference, "Boosting query".

use ringwall_api::ApiError;

use super::compile::{Compiled, boosted, compile};
use super::kind::{Definition, Kind};
use super::parse::parse_at;
use super::{Query, custom};
use crate::highlight::Sought;
use crate::parse::{Object, f64_of};
use crate::shard::Shard;

/// `boosting`.
#[derive(Debug, Clone, PartialEq)]
pub struct BoostingQuery {
    pub positive: Box<Query>,
    pub negative: Box<Query>,
    pub negative_boost: f32,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let depth = given.depth;
    let mut object = Object::new(given.name, given.body)?;
    let positive = Box::new(parse_at(object.require("positive")?, depth + 1)?);
    let negative = Box::new(parse_at(object.require("negative")?, depth + 1)?);
    let negative_boost = f64_of(
        given.name,
        "negative_boost",
        object.require("negative_boost")?,
    )? as f32;
    if negative_boost < 0.0 {
        return Err(ApiError::illegal_argument(
            "[boosting] query requires [negative_boost] to be set to be a positive value",
        ));
    }
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Boosting(BoostingQuery {
        positive,
        negative,
        negative_boost,
        boost,
    }))
}

impl Kind for BoostingQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        let query = custom::BoostingQuery {
            positive: compile(shard, &self.positive)?,
            negative: compile(shard, &self.negative)?,
            factor: self.negative_boost,
        };
        Ok(boosted(Box::new(query), self.boost))
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        sought.boosted(self.boost, |sought| self.positive.seek(shard, sought))
    }

    fn parts(&self) -> Vec<&Query> {
        vec![&self.positive, &self.negative]
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }
}
