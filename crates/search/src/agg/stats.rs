//! `stats` and `extended_stats`. Source: Elasticsearch reference, "Stats aggregation" and "Extended stats aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::{Partial, Stats};
use super::render::{Formatter, Renderer, double_json};
use super::spec::{Agg, ValueSource};

#[derive(Debug)]
struct StatsKind {
    source: ValueSource,
    /// How many deviations the bounds of `extended_stats` are off the mean.
    sigma: Option<f64>,
}

pub(super) fn parse(given: &Definition<'_>, extended: bool) -> Parsed {
    let (mut object, source) = given.object_with_format()?;
    let sigma = match extended {
        true => Some(object.f64("sigma")?.unwrap_or(2.0)),
        false => None,
    };
    if let Some(sigma) = sigma
        && sigma < 0.0
    {
        return Err(ApiError::illegal_argument(format!(
            "[sigma] must be greater than or equal to 0. Found [{sigma:?}] in [{}]",
            given.agg
        )));
    }
    object.finish()?;
    Ok(Arc::new(StatsKind { source, sigma }))
}

impl Kind for StatsKind {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        builder.numbers(&self.source, Stats::default())
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let (stats, format) = merged.stats();
        let text = Formatter::new(format)?;
        basic_stats(&stats, &text, body);
        if let Some(sigma) = self.sigma {
            extended_stats(&stats, sigma, &text, body);
        }
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        value.is_some_and(|value| {
            BASIC.contains(&value) || self.sigma.is_some() && EXTENDED.contains(&value)
        })
    }

    fn sort_value(&self, partial: &Partial, value: Option<&str>) -> f64 {
        let (stats, _) = partial.stats();
        match value.unwrap_or_default() {
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
}

const BASIC: [&str; 5] = ["count", "min", "max", "avg", "sum"];
const EXTENDED: [&str; 5] = [
    "sum_of_squares",
    "variance",
    "variance_population",
    "variance_sampling",
    "std_deviation",
];

pub(super) fn basic_stats(stats: &Stats, text: &Formatter, body: &mut Map<String, Value>) {
    let some = stats.count > 0;
    let values = [
        ("min", stats.min),
        ("max", stats.max),
        ("avg", stats.avg()),
        ("sum", stats.sum()),
    ];
    body.insert("count".to_owned(), stats.count.into());
    for (name, value) in values {
        let value = match some || name == "sum" {
            true => double_json(value),
            false => Value::Null,
        };
        body.insert(name.to_owned(), value);
    }
    for (name, value) in values {
        if let Some(text) = text.text(value).filter(|_| some) {
            body.insert(format!("{name}_as_string"), text.into());
        }
    }
}

pub(super) fn extended_stats(
    stats: &Stats,
    sigma: f64,
    text: &Formatter,
    body: &mut Map<String, Value>,
) {
    let some = stats.count > 0;
    let number = |value: f64| {
        if some {
            double_json(value)
        } else {
            Value::Null
        }
    };
    let written = |value: f64| text.text(value).filter(|_| some);
    let (population, sampling) = (stats.variance(false), stats.variance(true));
    let members = [
        ("sum_of_squares", stats.sum_of_squares()),
        ("variance", population),
        ("variance_population", population),
        ("variance_sampling", sampling),
        ("std_deviation", population.sqrt()),
        ("std_deviation_population", population.sqrt()),
        ("std_deviation_sampling", sampling.sqrt()),
    ];
    let bound = |variance: f64, sign: f64| stats.avg() + sign * sigma * variance.sqrt();
    let bounds = [
        ("upper", bound(population, 1.0)),
        ("lower", bound(population, -1.0)),
        ("upper_population", bound(population, 1.0)),
        ("lower_population", bound(population, -1.0)),
        ("upper_sampling", bound(sampling, 1.0)),
        ("lower_sampling", bound(sampling, -1.0)),
    ];
    let named = |name: &str, value: Value| (name.to_owned(), value);
    body.extend(members.map(|(name, value)| named(name, number(value))));
    let numbers = bounds.map(|(name, value)| named(name, number(value)));
    body.insert(
        "std_deviation_bounds".to_owned(),
        Value::Object(numbers.into_iter().collect()),
    );
    for (name, value) in members {
        let as_string = written(value).map(|text| named(&format!("{name}_as_string"), text.into()));
        body.extend(as_string);
    }
    let texts: Option<Map<String, Value>> = bounds
        .into_iter()
        .map(|(name, value)| Some(named(name, written(value)?.into())))
        .collect();
    body.extend(texts.map(|texts| named("std_deviation_bounds_as_string", Value::Object(texts))));
}
