//! `terms`. Source: Elasticsearch reference, "Terms query".

use std::collections::HashSet;

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, index_name, with_field};
use super::kind::{Definition, Kind};
use super::parse::scalar;
use super::values;
use crate::fields::INDEX;
use crate::highlight::{Sought, Test, What};
use crate::parse::{Object, parsing, scalar_text, token_name};
use crate::shard::Shard;

/// `terms`.
#[derive(Debug, Clone, PartialEq)]
pub struct TermsQuery {
    pub field: String,
    pub values: Vec<Value>,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let mut object = Object::new(name, given.body)?;
    let boost = object.boost()?;
    let rest = object.take_rest();
    let [(field, values)] = rest.as_slice() else {
        return Err(parsing(
            "[terms] query requires exactly one field, with an array of values",
        ));
    };
    let Value::Array(items) = values else {
        return Err(parsing(if values.is_object() {
            "[terms] lookup of terms in another document is not supported".to_owned()
        } else {
            format!(
                "[terms] query does not support [{}], expected an array",
                token_name(values)
            )
        }));
    };
    let values = items
        .iter()
        .map(|item| scalar(name, item))
        .collect::<Result<_, _>>()?;
    Ok(Query::Terms(TermsQuery {
        field: (*field).to_owned(),
        values,
        boost,
    }))
}

impl Kind for TermsQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        if self.field == INDEX {
            return Ok(index_name(shard, &self.values, self.boost));
        }
        with_field(shard, &self.field, |field| {
            values::terms(shard, field, &self.values, self.boost)
        })
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        let mut terms: HashSet<String> = HashSet::new();
        for text in self.values.iter().filter_map(scalar_text) {
            terms.insert(field.normalized(&text)?.into_owned());
        }
        let test = Test::passes(move |term| terms.contains(term));
        sought.boosted(self.boost, |sought| {
            sought.add(shard, &field.name, What::Word(test))
        })
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}
