//! The order of buckets. Source: Elasticsearch reference, "Terms aggregation" (order).

use std::cmp::Ordering;

use super::partial::{Bucket, Partial};
use super::spec::{Agg, AggKind, MetricKind, Order, OrderBy};

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
pub(super) fn is_sortable(agg: &Agg, value: Option<&str>) -> bool {
    match &agg.kind {
        AggKind::Metric { kind, .. } => match (kind, value) {
            (MetricKind::Stats, Some(value)) => BASIC.contains(&value),
            (MetricKind::ExtendedStats { .. }, Some(value)) => {
                BASIC.contains(&value) || EXTENDED.contains(&value)
            }
            (MetricKind::Stats | MetricKind::ExtendedStats { .. }, None) => false,
            (_, None | Some("value")) => true,
            _ => false,
        },
        AggKind::Cardinality { .. } => matches!(value, None | Some("value")),
        AggKind::Percentiles { ranks, .. } => {
            !ranks && value.is_some_and(|v| v.parse::<f64>().is_ok())
        }
        _ => agg.is_single_bucket() && matches!(value, None | Some("_count" | "doc_count")),
    }
}

const BASIC: [&str; 5] = ["count", "min", "max", "avg", "sum"];
const EXTENDED: [&str; 5] = [
    "sum_of_squares",
    "variance",
    "variance_population",
    "variance_sampling",
    "std_deviation",
];

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
    match (partial, &agg.kind) {
        (Partial::Stats { stats, .. }, AggKind::Metric { kind, .. }) => {
            let name = match kind {
                MetricKind::Avg => "avg",
                MetricKind::Min => "min",
                MetricKind::Max => "max",
                MetricKind::Sum => "sum",
                MetricKind::ValueCount => "count",
                MetricKind::Stats | MetricKind::ExtendedStats { .. } => value.unwrap_or_default(),
            };
            match name {
                "count" => stats.count as f64,
                "sum" => stats.sum(),
                _ if stats.count == 0 => f64::NAN,
                "avg" => stats.avg(),
                "min" => stats.min,
                "max" => stats.max,
                "sum_of_squares" => stats.sum_of_squares(),
                "variance" | "variance_population" => stats.variance(false),
                "variance_sampling" => stats.variance(true),
                "std_deviation" => stats.variance(false).sqrt(),
                _ => f64::NAN,
            }
        }
        (Partial::Distinct(sketch), _) => sketch.estimate() as f64,
        (Partial::Quantiles { sketch, .. }, _) => value
            .and_then(|value| value.parse::<f64>().ok())
            .and_then(|percent| sketch.clone().quantile(percent / 100.0))
            .unwrap_or(f64::NAN),
        (Partial::Buckets(inner), _) => inner
            .buckets
            .first()
            .map_or(0.0, |bucket| bucket.doc_count as f64),
        _ if agg.is_single_bucket() => 0.0,
        _ => match &agg.kind {
            AggKind::Metric {
                kind: MetricKind::Sum | MetricKind::ValueCount,
                ..
            }
            | AggKind::Cardinality { .. } => 0.0,
            _ => f64::NAN,
        },
    }
}
