//! `exists`. Source: Elasticsearch reference, "Exists query".

use ringwall_api::ApiError;
use tantivy::Score;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;

use super::Query;
use super::compile::{Compiled, all, at_least, constant};
use super::kind::{Definition, Kind};
use crate::parse::{Object, text_of};
use crate::shard::Shard;

/// `exists`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExistsQuery {
    pub field: String,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let mut object = Object::new(given.name, given.body)?;
    let field = text_of(given.name, "field", object.require("field")?)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Exists(ExistsQuery { field, boost }))
}

impl Kind for ExistsQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        let name = &self.field;
        if shard.is_metadata_of_every_document(name) {
            return Ok(all(self.boost));
        }
        let names = shard.names_for_exists(name);
        if names.is_empty() {
            shard.unmapped(name)?;
        }
        let queries: Vec<Compiled> = names
            .iter()
            .flat_map(|name| shard.exists_terms(name))
            .map(|term| -> Compiled { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) })
            .collect();
        Ok(constant(at_least(queries, 1), self.boost))
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}
