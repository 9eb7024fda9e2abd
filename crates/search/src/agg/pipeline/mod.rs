//! Aggregations of what other aggregations have answered. Source: Elasticsearch reference, "Pipeline aggregations".
//!
//! They collect nothing: they read the answer, once the buckets beside or around them are whole.

mod path;

// The rooms.
pub(super) mod bucket_metric;
pub(super) mod bucket_sort;
pub(super) mod cumulative_sum;
pub(super) mod derivative;
pub(super) mod serial_diff;

use std::collections::HashMap;
use std::fmt::Debug;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

pub(super) use self::path::{Answers, BucketsPath};
use super::build::Builder;
use super::collector::{Collector, Nothing};
use super::decimal::Decimal;
use super::kind::{Definition, Kind, Shape};
use super::partial::Partial;
use super::render::{Renderer, double_json, keyed_or_list};
use super::spec::Agg;
use crate::parse::{Object, parsing, token_name};

/// What a kind reads of answers.
pub(crate) trait Pipeline: Debug + Send + Sync {
    /// Returns the type in `type#name`, where it is not the name in the request.
    fn typed(&self) -> Option<&'static str> {
        None
    }

    /// Where it stands.
    fn place(&self) -> Place;

    /// What it reads.
    fn paths(&self) -> Vec<&BucketsPath>;

    /// Makes the answer of one beside the buckets that it reads.
    fn of_siblings(&self, answers: &Answers<'_>) -> Result<Map<String, Value>, ApiError> {
        let _ = answers;
        Ok(Map::new())
    }

    /// Adds to the buckets that it stands in, or picks of them.
    fn of_buckets(&self, own: &Own, buckets: &mut BucketList) -> Result<(), ApiError> {
        let _ = (own, buckets);
        Ok(())
    }
}

/// To all that collects and shows aggregations they are alike: nothing comes of them there.
impl<P: Pipeline> Kind for P {
    fn shape(&self) -> Shape {
        Shape::Pipeline
    }

    fn typed(&self, _: &Partial) -> Option<&'static str> {
        Pipeline::typed(self)
    }

    fn collector(&self, _: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        Ok(Box::new(Nothing))
    }

    fn render(
        &self,
        _: &Agg,
        _: &Partial,
        _: &mut Renderer,
        _: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        Ok(())
    }

    fn pipeline(&self) -> Option<&dyn Pipeline> {
        Some(self)
    }
}

/// How an aggregation stands in the answer.
pub(crate) struct Own {
    /// Its name there.
    pub(super) key: String,
    /// What its body begins with.
    pub(super) body: Map<String, Value>,
}

impl Own {
    /// Adds its answer to a bucket.
    fn put(&self, bucket: &mut NamedBucket, answer: Map<String, Value>) {
        let mut body = self.body.clone();
        body.extend(answer);
        bucket.body.insert(self.key.clone(), Value::Object(body));
    }
}

/// Where a pipeline aggregation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside buckets.
    Sibling,
    /// In each bucket of any kind.
    InBuckets,
    /// In each bucket of a histogram: they have an order.
    InHistogram,
}

/// The buckets of an answer, in order.
pub(crate) struct BucketList {
    /// With their names, where the answer has them by name.
    pub(super) buckets: Vec<NamedBucket>,
    typed: bool,
}

/// A bucket of an answer.
pub(super) struct NamedBucket {
    name: String,
    pub(super) body: Map<String, Value>,
}

impl BucketList {
    pub(super) fn new(names: Option<Vec<String>>, bodies: Vec<Value>, typed: bool) -> Self {
        let names = names
            .unwrap_or_default()
            .into_iter()
            .chain(std::iter::repeat(String::new()));
        let buckets = names.zip(bodies).filter_map(|(name, body)| match body {
            Value::Object(body) => Some(NamedBucket { name, body }),
            _ => None,
        });
        Self {
            buckets: buckets.collect(),
            typed,
        }
    }

    pub(super) fn into_answer(self, keyed: bool) -> Value {
        let named = self.buckets.into_iter();
        let named = named.map(|bucket| (bucket.name, Value::Object(bucket.body)));
        keyed_or_list(keyed, named.collect())
    }

    /// Returns what stands in each bucket, `None` for a gap.
    pub(super) fn values(
        &self,
        path: &BucketsPath,
        gaps: GapPolicy,
    ) -> Result<Vec<Option<f64>>, ApiError> {
        let each = self.buckets.iter().map(|bucket| {
            let answers = Answers {
                body: &bucket.body,
                typed: self.typed,
            };
            Ok(gaps.fill(answers.value(path)?, &bucket.body, path.is_count()))
        });
        each.collect()
    }
}

/// What stands for a bucket without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GapPolicy {
    Skip,
    InsertZeros,
    KeepValues,
}

impl GapPolicy {
    pub(super) fn take(object: &mut Object<'_>) -> Result<Self, ApiError> {
        match object.text("gap_policy")?.as_deref() {
            None | Some("skip") => Ok(Self::Skip),
            Some("insert_zeros") => Ok(Self::InsertZeros),
            Some("keep_values") => Ok(Self::KeepValues),
            Some(other) => Err(parsing(format!(
                "Invalid gap policy: [{other}], accepted values: [insert_zeros, skip, keep_values]"
            ))),
        }
    }

    /// A bucket without documents is a gap, whatever its aggregations say of nothing.
    pub(super) fn fill(
        self,
        value: Option<f64>,
        bucket: &Map<String, Value>,
        is_count: bool,
    ) -> Option<f64> {
        let is_empty = bucket.get("doc_count").and_then(Value::as_u64) == Some(0);
        let value = value.filter(|value| value.is_finite());
        match self {
            Self::KeepValues => value,
            _ if value.is_some() && (is_count || !is_empty) => value,
            Self::InsertZeros => Some(0.0),
            Self::Skip => None,
        }
    }
}

/// Takes `buckets_path`, a text or a list of which the first counts, as in Elasticsearch.
pub(super) fn take_path(
    given: &Definition<'_>,
    object: &mut Object<'_>,
) -> Result<BucketsPath, ApiError> {
    let agg = given.agg;
    let unexpected = |value: &Value| {
        let token = token_name(value);
        parsing(format!(
            "Unexpected token {token} [buckets_path] in [{agg}]"
        ))
    };
    let path = object.take("buckets_path").ok_or_else(|| {
        parsing(format!(
            "Missing required field [buckets_path] for aggregation [{agg}]"
        ))
    })?;
    match path {
        Value::String(text) => BucketsPath::parse(text),
        Value::Array(list) => match list.as_slice() {
            [Value::String(text)] => BucketsPath::parse(text),
            [_, _, ..] => Err(ApiError::illegal_argument(format!(
                "[{}] [{agg}] takes one [buckets_path], not a list of [{}]",
                given.kind,
                list.len()
            ))),
            _ => Err(unexpected(path)),
        },
        other => Err(unexpected(other)),
    }
}

/// The `format` of values.
pub(super) fn take_format(object: &mut Object<'_>) -> Result<Option<Decimal>, ApiError> {
    let format = object.text("format")?;
    format.as_deref().map(Decimal::parse).transpose()
}

/// Returns the answer of one value.
pub(super) fn simple_value(value: Option<f64>, format: Option<&Decimal>) -> Map<String, Value> {
    let mut body = Map::new();
    insert_value(&mut body, "value", value, format);
    body
}

/// Adds a value, and its text where a format is given.
pub(super) fn insert_value(
    body: &mut Map<String, Value>,
    name: &str,
    value: Option<f64>,
    format: Option<&Decimal>,
) {
    body.insert(name.to_owned(), value.map_or(Value::Null, double_json));
    if let (Some(value), Some(format)) = (value, format) {
        body.insert(format!("{name}_as_string"), format.text(value).into());
    }
}

/// Checks where the pipeline aggregations of a level stand and what they read.
///
/// # Errors
/// 400 when there is no such aggregation, or two wait for one another.
pub(super) fn check_level(level: &[Agg], around: Option<&Agg>) -> Result<(), ApiError> {
    let named: HashMap<&str, &Agg> = level.iter().map(|agg| (agg.name.as_str(), agg)).collect();
    for agg in level {
        let Some(pipeline) = agg.kind.pipeline() else {
            continue;
        };
        let name = &agg.name;
        let kind = agg.type_name;
        let is_histogram = |around: &Agg| around.type_name.ends_with("histogram");
        for path in pipeline.paths() {
            path.check(&named, name, pipeline.place())?;
        }
        match (pipeline.place(), around) {
            (Place::Sibling, _) | (Place::InBuckets, Some(_)) => {}
            (Place::InHistogram, Some(around)) if is_histogram(around) => {}
            (Place::InHistogram, Some(_)) => {
                return Err(ApiError::validation(&[format!(
                    "{kind} aggregation [{name}] must have a histogram, date_histogram or \
                     auto_date_histogram as parent"
                )]));
            }
            (Place::InBuckets | Place::InHistogram, None) => {
                return Err(ApiError::validation(&[format!(
                    "{kind} aggregation [{name}] must be declared inside of another aggregation"
                )]));
            }
        }
    }
    Ok(())
}

/// Returns the places of the pipeline aggregations of a level, each after those that it reads.
///
/// # Errors
/// 400 for a circle.
pub(super) fn in_order(level: &[Agg]) -> Result<Vec<usize>, ApiError> {
    let pipelines = || {
        let each = level.iter().enumerate();
        each.filter_map(|(place, agg)| Some((place, agg.kind.pipeline()?)))
    };
    let named: HashMap<&str, usize> = pipelines()
        .map(|(place, _)| (level[place].name.as_str(), place))
        .collect();
    let mut waits: Vec<usize> = vec![0; level.len()];
    let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, pipeline) in pipelines() {
        for read in pipeline.paths() {
            if let Some(read) = read.first().and_then(|name| named.get(name)) {
                waits[place] += 1;
                readers.entry(*read).or_default().push(place);
            }
        }
    }
    let begin = pipelines().map(|(place, _)| place);
    let mut ordered: Vec<usize> = begin.filter(|place| waits[*place] == 0).collect();
    let mut next = 0;
    while let Some(place) = ordered.get(next) {
        for reader in readers.remove(place).unwrap_or_default() {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ordered.push(reader);
            }
        }
        next += 1;
    }
    match pipelines().find(|(place, _)| waits[*place] > 0) {
        None => Ok(ordered),
        Some((place, _)) => Err(ApiError::validation(&[format!(
            "Cyclical dependency found with pipeline aggregator [{}]",
            level[place].name
        )])),
    }
}
