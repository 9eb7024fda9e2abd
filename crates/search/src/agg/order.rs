//! The order of buckets. Source: Elasticsearch reference, "Terms aggregation" (order).

use std::cmp::Ordering;

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use super::partial::{Bucket, Partial};
use super::spec::Agg;
use crate::parse::{malformed, parsing, scalar_text};

/// One key of the order of buckets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(super) by: OrderBy,
    pub(super) ascending: bool,
}

/// What buckets are ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrderBy {
    Count,
    Key,
    /// Single-bucket aggregations on the way, then the metric: `a>b.avg`.
    Metric {
        path: Vec<String>,
        value: Option<String>,
    },
}

impl OrderBy {
    /// Reads `_count`, `_key`, or a path such as `a>b.avg`.
    fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "_count" => return Ok(Self::Count),
            "_key" | "_term" | "_time" => return Ok(Self::Key),
            "" => return Err(ApiError::illegal_argument("[order] names nothing")),
            _ => {}
        }
        let mut path: Vec<String> = text.split('>').map(|part| part.trim().to_owned()).collect();
        let last = path.pop().unwrap_or_default();
        let (name, value) = match last.split_once('.') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (last, None),
        };
        path.push(name);
        Ok(Self::Metric { path, value })
    }
}

/// Reads `order`: an object or an array of objects. Ties go to the key, ascending.
pub(super) fn parse(
    value: Option<&Value>,
    default: &[(OrderBy, bool)],
) -> Result<Vec<Order>, ApiError> {
    let mut orders = Vec::new();
    match value {
        None => {
            for (by, ascending) in default {
                orders.push(Order {
                    by: by.clone(),
                    ascending: *ascending,
                });
            }
        }
        Some(Value::Array(items)) => {
            for item in items {
                one_order(item, &mut orders)?;
            }
        }
        Some(one) => one_order(one, &mut orders)?,
    }
    if orders.iter().all(|order| order.by != OrderBy::Key) {
        orders.push(Order {
            by: OrderBy::Key,
            ascending: true,
        });
    }
    Ok(orders)
}

fn one_order(value: &Value, orders: &mut Vec<Order>) -> Result<(), ApiError> {
    let Value::Object(members) = value else {
        return Err(malformed("order", "START_OBJECT", value));
    };
    for (path, direction) in members {
        let text = scalar_text(direction).unwrap_or_default();
        let ascending = match text.to_ascii_lowercase().as_str() {
            "asc" => true,
            "desc" => false,
            _ => {
                return Err(parsing(format!(
                    "Unknown order direction [{text}] for [{path}], expected [asc] or [desc]"
                )));
            }
        };
        orders.push(Order {
            by: OrderBy::parse(path)?,
            ascending,
        });
    }
    Ok(())
}

/// Refuses an order by what is not there.
pub(super) fn check(agg: &Agg, order: &Order) -> Result<(), ApiError> {
    let OrderBy::Metric { path, value } = &order.by else {
        return Ok(());
    };
    let invalid = |why: &str| {
        ApiError::new(
            ErrorCode::AggregationExecution,
            format!(
                "Invalid aggregation order path [{}{}]. {why}",
                path.join(">"),
                value.as_ref().map(|v| format!(".{v}")).unwrap_or_default()
            ),
        )
        .with_status(400)
    };
    let mut subs = &agg.subs;
    for (index, name) in path.iter().enumerate() {
        let found = subs.iter().find(|sub| sub.name == *name).ok_or_else(|| {
            invalid(&format!(
                "The provided aggregation [{name}] either does not exist, or is a pipeline \
                 aggregation and cannot be used to sort the buckets."
            ))
        })?;
        let last = index + 1 == path.len();
        if !last && !found.is_single_bucket() {
            return Err(invalid(
                "Buckets can only be sorted on a sub-aggregator path that is built out of zero or \
                 more single-bucket aggregations within the path and a final single-bucket or a \
                 metrics aggregation at the path end.",
            ));
        }
        if last && !is_sortable(found, value.as_deref()) {
            return Err(invalid(
                "The final aggregation must be single-bucket or a metric with the named value.",
            ));
        }
        subs = &found.subs;
    }
    Ok(())
}

/// Sorts buckets by the keys of the order, in turn.
pub(super) fn sort(subs: &[Agg], orders: &[Order], buckets: &mut [Bucket]) {
    buckets.sort_by(|left, right| {
        orders
            .iter()
            .map(|order| compare(subs, order, left, right))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    });
}

/// Returns whether the order is by key, ascending: the natural order of histograms.
pub(super) fn is_key_ascending(orders: &[Order]) -> bool {
    orders
        .first()
        .is_none_or(|order| order.by == OrderBy::Key && order.ascending)
}

/// Returns whether buckets can be ordered by this value of an aggregation.
fn is_sortable(agg: &Agg, value: Option<&str>) -> bool {
    if agg.is_single_bucket() {
        return matches!(value, None | Some("_count" | "doc_count"));
    }
    agg.kind.is_sortable(value)
}

fn compare(subs: &[Agg], order: &Order, left: &Bucket, right: &Bucket) -> Ordering {
    let ordering = match &order.by {
        OrderBy::Count => left.doc_count.cmp(&right.doc_count),
        OrderBy::Key => left.key.cmp(&right.key),
        OrderBy::Metric { path, value } => {
            let left = resolve(subs, &left.subs, path, value.as_deref());
            let right = resolve(subs, &right.subs, path, value.as_deref());
            // Buckets without a value come last, whatever the direction.
            match (left.is_nan(), right.is_nan()) {
                (true, true) => return Ordering::Equal,
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (false, false) => left.total_cmp(&right),
            }
        }
    };
    if order.ascending {
        ordering
    } else {
        ordering.reverse()
    }
}

fn resolve(aggs: &[Agg], partials: &[Partial], path: &[String], value: Option<&str>) -> f64 {
    let Some((name, rest)) = path.split_first() else {
        return f64::NAN;
    };
    let Some(index) = aggs.iter().position(|agg| agg.name == *name) else {
        return f64::NAN;
    };
    let partial = partials.get(index).unwrap_or(&Partial::Empty);
    if rest.is_empty() {
        return number(&aggs[index], partial, value);
    }
    match partial {
        Partial::Buckets(inner) => match inner.buckets.first() {
            Some(bucket) => resolve(&aggs[index].subs, &bucket.subs, rest, value),
            None => f64::NAN,
        },
        _ => f64::NAN,
    }
}

fn number(agg: &Agg, partial: &Partial, value: Option<&str>) -> f64 {
    if agg.is_single_bucket() {
        let bucket = partial.buckets().buckets.first();
        return bucket.map_or(0.0, |bucket| bucket.doc_count as f64);
    }
    agg.kind.sort_value(partial, value)
}
