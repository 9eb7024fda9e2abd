//! `term`. Source: Elasticsearch reference, "Term query".

use ringwall_api::ApiError;
use serde_json::Value;

use super::Query;
use super::compile::{Compiled, constant, index_name, with_field};
use super::custom::SetQuery;
use super::kind::{Definition, Kind};
use super::parse::{scalar, single_field};
use super::values;
use crate::fields::{FieldRef, INDEX};
use crate::highlight::{Sought, Test, What};
use crate::parse::{Object, query_shard, scalar_text};
use crate::shard::Shard;

/// `term`.
#[derive(Debug, Clone, PartialEq)]
pub struct TermQuery {
    pub field: String,
    pub value: Value,
    pub case_insensitive: bool,
    pub boost: f32,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let (field, value) = single_field(name, given.body)?;
    let field = field.to_owned();
    if !value.is_object() {
        return Ok(Query::Term(TermQuery {
            field,
            value: scalar(name, value)?,
            case_insensitive: false,
            boost: 1.0,
        }));
    }
    let mut object = Object::new(name, value)?;
    let value = scalar(name, object.require("value")?)?;
    let case_insensitive = object.bool("case_insensitive")?.unwrap_or(false);
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Term(TermQuery {
        field,
        value,
        case_insensitive,
        boost,
    }))
}

impl Kind for TermQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        if self.field == INDEX {
            let values = std::slice::from_ref(&self.value);
            return Ok(index_name(shard, values, self.boost));
        }
        with_field(shard, &self.field, |field| {
            if self.case_insensitive {
                term_ignoring_case(shard, field, &self.value, self.boost)
            } else {
                values::term(shard, field, &self.value, self.boost)
            }
        })
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        let text = scalar_text(&self.value).unwrap_or_default();
        let test = match self.case_insensitive {
            true => {
                let wanted = text.to_lowercase();
                Test::passes(move |term| term.to_lowercase() == wanted)
            }
            false => Test::Is(field.normalized(&text)?.into_owned()),
        };
        sought.boosted(self.boost, |sought| {
            sought.add(shard, &field.name, What::Word(test))
        })
    }
}

fn term_ignoring_case(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    value: &Value,
    boost: f32,
) -> Result<Compiled, ApiError> {
    let text = scalar_text(value).unwrap_or_default();
    if !field.has_terms() {
        return Err(query_shard(format!(
            "[{}] field which is of type [{}], does not support case insensitive term queries",
            field.name,
            field.type_name()
        )));
    }
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let wanted = field.normalized(&text)?.to_lowercase();
    let query = SetQuery::terms(&shard.pulse, tantivy_field, path, path_len, move |term| {
        term.to_lowercase() == wanted
    });
    Ok(constant(Box::new(query), boost))
}
