//! `bool`. Source: Elasticsearch reference, "Boolean query".

use ringwall_api::ApiError;
use tantivy::Score;
use tantivy::query::{BooleanQuery, Occur};

use super::Query;
use super::compile::{Compiled, all, boosted, compile, constant, none};
use super::kind::{Definition, Kind};
use super::min_match::MinimumShouldMatch;
use super::parse::clauses;
use crate::highlight::Sought;
use crate::parse::Object;
use crate::shard::Shard;

/// `bool`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BoolQuery {
    pub must: Vec<Query>,
    pub should: Vec<Query>,
    pub filter: Vec<Query>,
    pub must_not: Vec<Query>,
    pub minimum_should_match: Option<MinimumShouldMatch>,
    /// `None` is 1.
    pub boost: Option<f32>,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let depth = given.depth;
    let mut object = Object::new(given.name, given.body)?;
    let query = BoolQuery {
        must: clauses(object.take("must"), depth)?,
        should: clauses(object.take("should"), depth)?,
        filter: clauses(object.take("filter"), depth)?,
        must_not: clauses(object.take("must_not"), depth)?,
        minimum_should_match: object
            .take("minimum_should_match")
            .map(MinimumShouldMatch::parse)
            .transpose()?,
        boost: Some(object.boost()?),
    };
    object.finish()?;
    Ok(Query::Bool(query))
}

impl Kind for BoolQuery {
    fn parts(&self) -> Vec<&Query> {
        [&self.must, &self.should, &self.filter, &self.must_not]
            .into_iter()
            .flatten()
            .collect()
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }

    fn constant_score(&self) -> Option<Score> {
        let only_filters = self.must.is_empty()
            && self.should.is_empty()
            && !(self.filter.is_empty() && self.must_not.is_empty());
        only_filters.then_some(0.0)
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        sought.boosted(self.boost.unwrap_or(1.0), |sought| {
            for required in self.must.iter().chain(&self.filter) {
                required.seek(shard, sought)?;
            }
            let mut optional = self.should.iter();
            optional.try_for_each(|part| sought.part(shard, part))
        })
    }

    fn needs_several(&self) -> bool {
        let required = self.must.len() + self.filter.len();
        let alone = required + self.should.len() == 1 && self.must_not.is_empty();
        !alone || self.parts().into_iter().any(Query::needs_several)
    }

    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        let groups = [&self.must, &self.filter, &self.should, &self.must_not];
        shard.check_clauses(groups.iter().map(|clauses| clauses.len()).sum())?;
        let mut clauses: Vec<(Occur, Compiled)> = Vec::new();
        for must in &self.must {
            clauses.push((Occur::Must, compile(shard, must)?));
        }
        for filter in &self.filter {
            clauses.push((Occur::Must, constant(compile(shard, filter)?, 0.0)));
        }
        let should = self.should.len();
        for clause in &self.should {
            clauses.push((Occur::Should, compile(shard, clause)?));
        }
        for clause in &self.must_not {
            clauses.push((Occur::MustNot, compile(shard, clause)?));
        }
        let boost = self.boost.unwrap_or(1.0);
        if clauses.is_empty() {
            return Ok(all(boost));
        }
        let required_clauses = !self.must.is_empty() || !self.filter.is_empty();
        // Of optional clauses alone at least one matches, even with a minimum of zero.
        let least = usize::from(should > 0 && !required_clauses);
        let required = match &self.minimum_should_match {
            Some(minimum) if should > 0 => minimum.required(should).max(least),
            _ => least,
        };
        if required > should {
            return Ok(none());
        }
        if !required_clauses && required == 0 {
            // Only exclusions, or nothing that must match: everything else does.
            clauses.push((Occur::Must, all(0.0)));
        }
        let compiled = BooleanQuery::with_minimum_required_clauses(clauses, required);
        Ok(boosted(Box::new(compiled), boost))
    }
}
