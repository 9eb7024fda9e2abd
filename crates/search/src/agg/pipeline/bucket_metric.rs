//! `avg_bucket`, `max_bucket`, `min_bucket`, `sum_bucket`, `stats_bucket`, `extended_stats_bucket` and `percentiles_bucket`: of the
//! values of buckets beside them. Source: Elasticsearch reference, the pages of these names.

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value, json};

use super::{Answers, BucketsPath, GapPolicy, Pipeline, Place, insert_value, simple_value};
use crate::agg::decimal::Decimal;
use crate::agg::kind::{Definition, Parsed};
use crate::agg::partial::Stats;
use crate::agg::render::{Formatter, double_json, java_double};
use crate::agg::stats::{basic_stats, extended_stats};
use crate::parse::f64_of;

/// Which figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agg) enum Figure {
    Avg,
    Max,
    Min,
    Sum,
    Stats,
    ExtendedStats,
    Percentiles,
}

#[derive(Debug)]
struct BucketMetric {
    figure: Figure,
    path: BucketsPath,
    gaps: GapPolicy,
    format: Option<Decimal>,
    sigma: f64,
    percents: Vec<f64>,
    keyed: bool,
}

pub(in crate::agg) fn parse(given: &Definition<'_>, figure: Figure) -> Parsed {
    let mut object = given.object()?;
    let path = super::take_path(given, &mut object)?;
    let gaps = GapPolicy::take(&mut object)?;
    let format = super::take_format(&mut object)?;
    let (mut sigma, mut percents) = (2.0, vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0]);
    let mut keyed = true;
    if figure == Figure::ExtendedStats {
        sigma = object.f64("sigma")?.unwrap_or(sigma);
        if sigma < 0.0 {
            return Err(ApiError::illegal_argument(
                "sigma must be a non-negative double",
            ));
        }
    }
    if figure == Figure::Percentiles {
        if let Some(given) = object.take("percents") {
            let list = given
                .as_array()
                .map_or_else(|| vec![given], |list| list.iter().collect());
            let numbers = list
                .into_iter()
                .map(|one| f64_of("percents", "percents", one));
            percents = numbers.collect::<Result<_, _>>()?;
        }
        if percents.is_empty() || percents.iter().any(|one| !(0.0..=100.0).contains(one)) {
            return Err(ApiError::illegal_argument(
                "percents must only contain non-null doubles from 0.0-100.0 inclusive",
            ));
        }
        keyed = object.bool("keyed")?.unwrap_or(true);
    }
    object.finish()?;
    Ok(Arc::new(BucketMetric {
        figure,
        path,
        gaps,
        format,
        sigma,
        percents,
        keyed,
    }))
}

impl Pipeline for BucketMetric {
    fn typed(&self) -> Option<&'static str> {
        match self.figure {
            Figure::Avg | Figure::Sum => Some("simple_value"),
            Figure::Max | Figure::Min => Some("bucket_metric_value"),
            Figure::Stats | Figure::ExtendedStats | Figure::Percentiles => None,
        }
    }

    fn place(&self) -> Place {
        Place::Sibling
    }

    fn paths(&self) -> Vec<&BucketsPath> {
        vec![&self.path]
    }

    fn of_siblings(&self, answers: &Answers<'_>) -> Result<Map<String, Value>, ApiError> {
        let mut found: Vec<(String, f64)> = Vec::new();
        answers.each_bucket(&self.path, |name, bucket, value| {
            let value = self.gaps.fill(value, bucket, self.path.is_count());
            found.extend(value.map(|value| (name, value)));
        })?;
        let mut stats = Stats::default();
        for (_, value) in &found {
            stats.add(*value);
        }
        let some = |value: f64| (stats.count > 0).then_some(value);
        let format = self.format.as_ref();
        Ok(match self.figure {
            Figure::Avg => simple_value(some(stats.avg()), format),
            Figure::Sum => simple_value(Some(stats.sum()), format),
            Figure::Max => extreme(&found, some(stats.max), format),
            Figure::Min => extreme(&found, some(stats.min), format),
            Figure::Stats | Figure::ExtendedStats => {
                let mut body = Map::new();
                let text = format.map_or(Formatter::Plain, |format| {
                    Formatter::Decimal(format.clone())
                });
                basic_stats(&stats, &text, &mut body);
                if self.figure == Figure::ExtendedStats {
                    extended_stats(&stats, self.sigma, &text, &mut body);
                }
                body
            }
            Figure::Percentiles => self.percentiles(found),
        })
    }
}

/// A value with the names of the buckets that have it.
fn extreme(
    found: &[(String, f64)],
    value: Option<f64>,
    format: Option<&Decimal>,
) -> Map<String, Value> {
    let mut body = Map::new();
    insert_value(&mut body, "value", value, format);
    let having = found.iter().filter(|(_, one)| Some(*one) == value);
    let keys: Vec<&str> = having.map(|(name, _)| name.as_str()).collect();
    body.insert("keys".to_owned(), json!(keys));
    body
}

impl BucketMetric {
    /// The nearest values, none between two.
    fn percentiles(&self, found: Vec<(String, f64)>) -> Map<String, Value> {
        let mut sorted: Vec<f64> = found.into_iter().map(|(_, value)| value).collect();
        sorted.sort_by(f64::total_cmp);
        let nearest = |percent: f64| {
            let most = sorted.len().checked_sub(1)?;
            let place = (percent / 100.0 * most as f64).round() as usize;
            sorted.get(place).copied()
        };
        let mut keyed = Map::new();
        let mut list = Vec::new();
        for percent in &self.percents {
            let value = nearest(*percent);
            let key = java_double(*percent);
            if self.keyed {
                insert_value(&mut keyed, &key, value, self.format.as_ref());
            } else {
                let mut one = Map::new();
                one.insert("key".to_owned(), double_json(*percent));
                insert_value(&mut one, "value", value, self.format.as_ref());
                list.push(Value::Object(one));
            }
        }
        let values = match self.keyed {
            true => Value::Object(keyed),
            false => Value::Array(list),
        };
        Map::from_iter([("values".to_owned(), values)])
    }
}
