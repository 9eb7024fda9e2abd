//! JSON to [`Agg`]. Everything that is not understood is an error. Source: Elasticsearch reference, "Aggregations".

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use super::KINDS;
use super::kind::{Definition, Parse, Shape};
use super::order;
use super::pipeline;
use super::spec::Agg;
use crate::parse::{did_you_mean, malformed, parsing};

/// Parses an `aggs` object.
pub fn parse_aggs(value: &Value) -> Result<Vec<Agg>, ApiError> {
    parse_at(value, 0)
}

/// Aggregations nest at most so deep.
const MAX_DEPTH: usize = 20;

fn parse_at(value: &Value, depth: usize) -> Result<Vec<Agg>, ApiError> {
    if depth > MAX_DEPTH {
        return Err(ApiError::illegal_argument(format!(
            "aggregations are nested deeper than [{MAX_DEPTH}] levels"
        )));
    }
    let Value::Object(members) = value else {
        return Err(malformed("aggregations", "START_OBJECT", value));
    };
    let aggs: Vec<Agg> = members
        .iter()
        .map(|(name, body)| parse_one(name, body, depth))
        .collect::<Result<_, _>>()?;
    if depth == 0 {
        pipeline::check_level(&aggs, None)?;
        pipeline::in_order(&aggs)?;
    }
    Ok(aggs)
}

fn parse_one(name: &str, body: &Value, depth: usize) -> Result<Agg, ApiError> {
    if name.is_empty() || name.contains(['[', ']', '>']) {
        return Err(parsing(format!(
            "Invalid aggregation name [{name}]. Aggregation names cannot contain '[', ']' or '>'"
        )));
    }
    let Value::Object(members) = body else {
        return Err(parsing(format!(
            "Aggregation definition for [{name}] starts with a [{}], expected a [START_OBJECT].",
            crate::parse::token_name(body)
        )));
    };
    let mut subs = None;
    let mut meta = None;
    let mut kind: Option<(&str, &Value)> = None;
    for (key, value) in members {
        match key.as_str() {
            "aggs" | "aggregations" if subs.is_none() => {
                subs = Some(parse_at(value, depth + 1)?);
            }
            "aggs" | "aggregations" => {
                return Err(parsing(format!(
                    "Found two sub aggregation definitions under [{name}]"
                )));
            }
            "meta" => match value {
                Value::Object(members) => meta = Some(members.clone()),
                other => return Err(malformed("meta", "START_OBJECT", other)),
            },
            other => {
                if let Some((first, _)) = kind {
                    return Err(parsing(format!(
                        "Found two aggregation type definitions in [{name}]: [{first}] and [{other}]"
                    )));
                }
                kind = Some((other, value));
            }
        }
    }
    let Some((type_name, body)) = kind else {
        return Err(parsing(format!(
            "Missing definition for aggregation [{name}]"
        )));
    };
    let (type_name, parse) = known(type_name)?;
    let kind = parse(&Definition {
        agg: name,
        kind: type_name,
        body,
    })?;
    let subs = subs.unwrap_or_default();
    let agg = Agg {
        name: name.to_owned(),
        type_name,
        kind,
        pipelines: pipeline::in_order(&subs)?,
        subs,
        meta,
    };
    check(&agg, depth)?;
    Ok(agg)
}

/// Checks what concerns the place of an aggregation and its sub-aggregations.
fn check(agg: &Agg, depth: usize) -> Result<(), ApiError> {
    if agg.kind.shape() == Shape::Pipeline && !agg.subs.is_empty() {
        return Err(ApiError::illegal_argument(format!(
            "Aggregation [{}] cannot define sub-aggregations",
            agg.name
        )));
    }
    if agg.kind.shape() == Shape::Values && !agg.subs.is_empty() {
        return Err(ApiError::new(
            ErrorCode::AggregationExecution,
            format!(
                "Aggregator [{}] of type [{}] cannot accept sub-aggregations",
                agg.name, agg.type_name
            ),
        )
        .with_status(400));
    }
    if agg.kind.is_global() && depth > 0 {
        return Err(ApiError::new(
            ErrorCode::AggregationExecution,
            format!(
                "Aggregation [{}] cannot have a global sub-aggregation. Global aggregations can \
                 only be defined as top level aggregations",
                agg.name
            ),
        )
        .with_status(400));
    }
    pipeline::check_level(&agg.subs, Some(agg))?;
    let orders = agg.kind.order();
    orders.iter().try_for_each(|order| order::check(agg, order))
}

/// Returns the row of a kind in the table of names.
fn known(name: &str) -> Result<(&'static str, Parse), ApiError> {
    let row = KINDS.iter().find(|(known, _)| *known == name);
    row.copied().ok_or_else(|| {
        parsing(format!(
            "Unknown aggregation type [{name}]{}",
            did_you_mean(name, super::names())
        ))
        .caused_by(ApiError::new(
            ErrorCode::NamedObjectNotFound,
            format!("unknown field [{name}]"),
        ))
    })
}
