//! Ranges that documents have: which of them match a value or a range. Source: Elasticsearch reference, "Range field types".

use ringwall_api::ApiError;
use ringwall_index::address;
use ringwall_index::field::RangeOf;
use serde_json::Value;

use super::compile::{Compiled, at_least, none};
use super::custom::SetQuery;
use super::range::{RangeBound, RangeQuery, Relation};
use super::values::{date_ends, number_of, text_value};
use crate::fields::FieldRef;
use crate::parse::query_shard;
use crate::shard::Shard;

/// Ranges that hold one of the values.
pub(super) fn terms(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    of: RangeOf,
    values: &[Value],
) -> Result<Compiled, ApiError> {
    let holding = |value: &Value| {
        // A day given as a term means the whole day.
        let bound = || {
            Some(RangeBound {
                value: value.clone(),
                inclusive: true,
            })
        };
        let query = RangeQuery {
            field: field.name.clone(),
            lower: bound(),
            upper: bound(),
            format: None,
            time_zone: None,
            relation: Relation::Intersects,
            boost: 1.0,
        };
        range(shard, field, of, &query)
    };
    let queries = values.iter().map(holding).collect::<Result<Vec<_>, _>>()?;
    Ok(at_least(queries, 1))
}

/// Ranges that stand in the relation of the query to its own.
pub(super) fn range(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    of: RangeOf,
    query: &RangeQuery,
) -> Result<Compiled, ApiError> {
    let Some((low, high)) = ends(shard, field, of, query)? else {
        return Ok(none());
    };
    let relation = query.relation;
    let matches = move |first: u128, last: u128| match relation {
        Relation::Intersects => first <= high && low <= last,
        Relation::Within => low <= first && last <= high,
        Relation::Contains => first <= low && high <= last,
    };
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let query = SetQuery::terms(&shard.pulse, tantivy_field, path, path_len, move |term| {
        of.ends(term)
            .is_some_and(|(first, last)| matches(first, last))
    });
    Ok(Box::new(query))
}

/// The codes of the first and last value of a query, `None` if there is none between its bounds.
fn ends(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    of: RangeOf,
    query: &RangeQuery,
) -> Result<Option<(u128, u128)>, ApiError> {
    if of == RangeOf::Date {
        let (low, high) = date_ends(shard, field, query)?;
        let codes = of.whole(low.into()).zip(of.whole(high.into()));
        return Ok(codes.filter(|(low, high)| low <= high));
    }
    let (least, greatest) = of.limits();
    let low = match &query.lower {
        None => Some(least),
        Some(bound) if bound.inclusive => Some(code(field, of, &bound.value)?),
        Some(bound) => code(field, of, &bound.value)?.checked_add(1),
    };
    let high = match &query.upper {
        None => Some(greatest),
        Some(bound) if bound.inclusive => Some(code(field, of, &bound.value)?),
        Some(bound) => code(field, of, &bound.value)?.checked_sub(1),
    };
    Ok(low.zip(high).filter(|(low, high)| low <= high))
}

fn code(field: &FieldRef<'_>, of: RangeOf, value: &Value) -> Result<u128, ApiError> {
    let failed = |reason: String| {
        query_shard(format!("failed to create query: {reason}"))
            .caused_by(ApiError::illegal_argument(reason))
    };
    match of {
        RangeOf::Ip => address::parse(&text_value(value)?).map_err(failed),
        RangeOf::Float | RangeOf::Double => Ok(of.floating(number_of(value)?.double)),
        RangeOf::Integer | RangeOf::Long | RangeOf::Date => {
            let shown = text_value(value)?;
            let whole = number_of(value)?.whole();
            let whole =
                whole.ok_or_else(|| failed(format!("Value [{shown}] has a decimal part")))?;
            of.whole(whole).ok_or_else(|| {
                failed(format!(
                    "Value [{shown}] is out of range for a field of type [{}]",
                    field.type_name()
                ))
            })
        }
    }
}
