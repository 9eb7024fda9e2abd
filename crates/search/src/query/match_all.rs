//! `match_all` and `match_none`. Source: Elasticsearch reference, "Match all query".

use ringwall_api::ApiError;
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, all, none};
use super::kind::{Definition, Kind};
use crate::parse::Object;
use crate::shard::Shard;

/// `match_all`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchAllQuery {
    pub boost: f32,
}

/// `match_none`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchNoneQuery;

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let mut object = Object::new(given.name, given.body)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::all(boost))
}

pub(super) fn parse_none(given: &Definition<'_>) -> Result<Query, ApiError> {
    let mut object = Object::new(given.name, given.body)?;
    object.boost()?;
    object.finish()?;
    Ok(Query::MatchNone(MatchNoneQuery))
}

impl Kind for MatchAllQuery {
    fn compile(&self, _: &Shard<'_>) -> Result<Compiled, ApiError> {
        Ok(all(self.boost))
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}

impl Kind for MatchNoneQuery {
    fn compile(&self, _: &Shard<'_>) -> Result<Compiled, ApiError> {
        Ok(none())
    }
}
