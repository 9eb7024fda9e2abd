//! `dis_max`. Source: Elasticsearch reference, "Disjunction max query".

use ringwall_api::ApiError;

use super::Query;
use super::compile::{Compiled, boosted, compile, dis_max};
use super::kind::{Definition, Kind};
use super::parse::clauses;
use crate::highlight::Sought;
use crate::parse::{Object, parsing};
use crate::shard::Shard;

/// `dis_max`.
#[derive(Debug, Clone, PartialEq)]
pub struct DisMaxQuery {
    pub queries: Vec<Query>,
    pub tie_breaker: f32,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let mut object = Object::new(given.name, given.body)?;
    let queries = clauses(Some(object.require("queries")?), given.depth)?;
    if queries.is_empty() {
        return Err(parsing(
            "[dis_max] requires 'queries' field with at least one clause",
        ));
    }
    let tie_breaker = object.f64("tie_breaker")?.unwrap_or(0.0) as f32;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::DisMax(DisMaxQuery {
        queries,
        tie_breaker,
        boost,
    }))
}

impl Kind for DisMaxQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        let disjuncts = self
            .queries
            .iter()
            .map(|query| compile(shard, query))
            .collect::<Result<_, _>>()?;
        Ok(boosted(dis_max(disjuncts, self.tie_breaker), self.boost))
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        sought.boosted(self.boost, |sought| {
            let mut parts = self.queries.iter();
            parts.try_for_each(|part| sought.part(shard, part))
        })
    }

    fn parts(&self) -> Vec<&Query> {
        self.queries.iter().collect()
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }
}
