//! `range`. Source: Elasticsearch reference, "Range query".

use ringwall_api::ApiError;
use serde_json::Value;
use tantivy::Score;

use super::Query;
use super::compile::{Compiled, with_field};
use super::kind::{Definition, Kind};
use super::parse::{scalar, single_field};
use super::values;
use crate::highlight::{Sought, Test, What};
use crate::parse::{Object, parsing, scalar_text};
use crate::shard::Shard;

/// `range`.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeQuery {
    pub field: String,
    pub lower: Option<RangeBound>,
    pub upper: Option<RangeBound>,
    pub format: Option<String>,
    pub time_zone: Option<String>,
    pub relation: Relation,
    pub boost: f32,
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeBound {
    pub value: Value,
    pub inclusive: bool,
}

/// Which ranges of a document match. A single value is the range of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Relation {
    #[default]
    Intersects,
    /// They lie in that of the query.
    Within,
    /// That of the query lies in them.
    Contains,
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let (field, value) = single_field(name, given.body)?;
    let mut object = Object::new(name, value)?;
    let include_lower = object.bool("include_lower")?.unwrap_or(true);
    let include_upper = object.bool("include_upper")?.unwrap_or(true);
    let lower = bound(
        name,
        &mut object,
        &[("gte", true), ("gt", false), ("from", include_lower)],
    )?;
    let upper = bound(
        name,
        &mut object,
        &[("lte", true), ("lt", false), ("to", include_upper)],
    )?;
    let query = RangeQuery {
        field: field.to_owned(),
        lower,
        upper,
        format: object.text("format")?,
        time_zone: object.text("time_zone")?,
        relation: relation(&mut object)?,
        boost: object.boost()?,
    };
    object.finish()?;
    Ok(Query::Range(query))
}

fn relation(object: &mut Object<'_>) -> Result<Relation, ApiError> {
    match object.text("relation")?.as_deref() {
        None => Ok(Relation::default()),
        Some(name) => match name.to_lowercase().as_str() {
            "intersects" => Ok(Relation::Intersects),
            "within" => Ok(Relation::Within),
            "contains" => Ok(Relation::Contains),
            _ => Err(ApiError::illegal_argument(format!(
                "[range] query does not support relation [{name}]"
            ))),
        },
    }
}

fn bound(
    name: &str,
    object: &mut Object<'_>,
    keys: &[(&'static str, bool)],
) -> Result<Option<RangeBound>, ApiError> {
    let mut found: Option<(&str, RangeBound)> = None;
    for (key, inclusive) in keys {
        let Some(value) = object.take(key) else {
            continue;
        };
        if let Some((first, _)) = &found {
            return Err(parsing(format!(
                "[range] query does not support both [{first}] and [{key}]"
            )));
        }
        let bound = RangeBound {
            value: scalar(name, value)?,
            inclusive: *inclusive,
        };
        found = Some((key, bound));
    }
    Ok(found.map(|(_, bound)| bound))
}

impl Kind for RangeQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        with_field(shard, &self.field, |field| {
            values::range(shard, field, self)
        })
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        let end = |bound: &Option<RangeBound>| {
            let text = |bound: &RangeBound| Some((scalar_text(&bound.value)?, bound.inclusive));
            bound.as_ref().and_then(text)
        };
        let (lower, upper) = (end(&self.lower), end(&self.upper));
        let test = Test::passes(move |term| {
            let above = lower
                .as_ref()
                .is_none_or(|(low, inclusive)| match inclusive {
                    true => term >= low.as_str(),
                    false => term > low.as_str(),
                });
            above
                && upper
                    .as_ref()
                    .is_none_or(|(high, inclusive)| match inclusive {
                        true => term <= high.as_str(),
                        false => term < high.as_str(),
                    })
        });
        sought.boosted(self.boost, |sought| {
            sought.add(shard, &field.name, What::Word(test))
        })
    }

    fn constant_score(&self) -> Option<Score> {
        Some(self.boost)
    }
}
