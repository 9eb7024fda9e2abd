//! `prefix`, `wildcard` and `regexp`. Source: Elasticsearch reference, "Prefix query", "Wildcard query" and "Regexp query".

use std::borrow::Cow;

use ringwall_api::ApiError;
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, all, constant, none, with_field};
use super::custom::SetQuery;
use super::kind::{Definition, Kind};
use super::parse::{constant_rewrite, scalar, single_field};
use super::regexp::{self, TermPattern};
use crate::fields::{FieldRef, INDEX};
use crate::highlight::{Sought, Test, What};
use crate::parse::{Object, query_shard, text_of};
use crate::shard::Shard;

/// `prefix`, `wildcard` and `regexp`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternQuery {
    pub kind: PatternKind,
    pub field: String,
    pub value: String,
    pub case_insensitive: bool,
    pub boost: f32,
}

/// What the terms of a field are tested against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternKind {
    Prefix,
    Wildcard,
    Regexp,
}

pub(super) fn parse(given: &Definition<'_>, kind: PatternKind) -> Result<Query, ApiError> {
    let name = given.name;
    let (field, value) = single_field(name, given.body)?;
    let mut query = PatternQuery {
        kind,
        field: field.to_owned(),
        value: String::new(),
        case_insensitive: false,
        boost: 1.0,
    };
    if value.is_object() {
        let mut object = Object::new(name, value)?;
        let alternative = match kind {
            PatternKind::Wildcard => object.text("wildcard")?,
            PatternKind::Prefix | PatternKind::Regexp => None,
        };
        query.value = match alternative {
            Some(text) => text,
            None => text_of(name, "value", object.require("value")?)?,
        };
        query.case_insensitive = object.bool("case_insensitive")?.unwrap_or(false);
        query.boost = object.boost()?;
        constant_rewrite(&mut object)?;
        if kind == PatternKind::Regexp {
            object.only("flags", "ALL")?;
            object.usize("max_determinized_states")?;
        }
        object.finish()?;
    } else {
        query.value = text_of(name, "value", &scalar(name, value)?)?;
    }
    Ok(Query::Pattern(query))
}

impl Kind for PatternQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        regexp::check_length(self, shard.context.limits.max_regex_length)?;
        let compiled = |value: &str| TermPattern::compile(self.kind, value, self.case_insensitive);
        let pattern = compiled(&self.value)?;
        if self.field == INDEX {
            let matches = pattern.is_match(shard.context.index);
            return Ok(if matches { all(self.boost) } else { none() });
        }
        with_field(shard, &self.field, |field| {
            if !field.has_terms() {
                let name = match self.kind {
                    PatternKind::Prefix => "prefix",
                    PatternKind::Wildcard => "wildcard",
                    PatternKind::Regexp => "regexp",
                };
                return Err(query_shard(format!(
                    "Can only use {name} queries on keyword, text and wildcard fields - not on [{}] \
                     which is of type [{}]",
                    field.name,
                    field.type_name()
                )));
            }
            let pattern = match field.normalized(&self.value)? {
                Cow::Owned(value) => compiled(&value)?,
                Cow::Borrowed(_) => pattern,
            };
            Ok(constant(terms_matching(shard, field, pattern), self.boost))
        })
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        regexp::check_length(self, shard.context.limits.max_regex_length)?;
        let value = field.normalized(&self.value)?;
        let pattern = TermPattern::compile(self.kind, &value, self.case_insensitive)?;
        let test = Test::passes(move |term| pattern.is_match(term));
        sought.boosted(self.boost, |sought| {
            sought.add(shard, &field.name, What::Word(test))
        })
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}

/// Returns a query for the documents that have a term of the pattern.
pub(super) fn terms_matching(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    pattern: TermPattern,
) -> Compiled {
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let mut start = path;
    start.extend_from_slice(pattern.prefix.as_bytes());
    Box::new(SetQuery::terms(
        &shard.pulse,
        tantivy_field,
        start,
        path_len,
        move |term| pattern.is_match(term),
    ))
}
