//! The final step on the coordinating node: order, gaps, cuts, and the JSON that clients parse.
//! Source: Elasticsearch reference, "Metrics aggregations" and "Bucket aggregations".

use std::collections::HashMap;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::dates::DateFormat;
use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::partial::{Bucket, Buckets, Key, Partial, ValueFormat};
use super::pipeline::{self, Answers, BucketList, Own, Pipeline, Place};
use super::spec::Agg;
use crate::control::{Interrupt, SearchControl, cancelled};
use crate::time::Zone;

/// Returns the `aggregations` object for merged partials, one for each aggregation.
///
/// # Errors
/// `too_many_buckets_exception` when there are more than `max_buckets` in all; `task_cancelled_exception` when `control` says so.
pub fn render(
    aggs: &[Agg],
    partials: &[Partial],
    typed_keys: bool,
    max_buckets: usize,
    control: &dyn SearchControl,
) -> Result<Value, ApiError> {
    let pipelines = pipeline::in_order(aggs)?;
    let mut renderer = Renderer {
        control,
        typed_keys,
        max_buckets,
        buckets: 0,
    };
    renderer.aggs(aggs, &pipelines, partials).map(Value::Object)
}

/// Returns the 400 of an answer with too many buckets.
fn too_many_buckets(max_buckets: usize) -> ApiError {
    ApiError::new(
        ErrorCode::TooManyBuckets,
        format!(
            "Trying to create too many buckets. Must be less than or equal to: [{max_buckets}] \
             but this number of buckets was exceeded. This limit can be set by changing the \
             [search.max_buckets] cluster level setting."
        ),
    )
    .with("max_buckets", max_buckets)
}

/// Makes the answer; counts buckets.
pub(crate) struct Renderer<'a> {
    control: &'a dyn SearchControl,
    typed_keys: bool,
    max_buckets: usize,
    buckets: usize,
}

impl Renderer<'_> {
    /// `pipelines`: see [`Agg::pipelines`].
    fn aggs(
        &mut self,
        aggs: &[Agg],
        pipelines: &[usize],
        partials: &[Partial],
    ) -> Result<Map<String, Value>, ApiError> {
        let mut rendered = Map::new();
        for (index, agg) in aggs.iter().enumerate() {
            if agg.kind.pipeline().is_some() {
                continue;
            }
            let partial = partials.get(index).unwrap_or(&Partial::Empty);
            let mut body = meta_of(agg);
            agg.kind.render(agg, partial, self, &mut body)?;
            self.pipelines_within(agg, &mut body)?;
            rendered.insert(self.key(agg, partial), Value::Object(body));
        }
        for (agg, pipeline) in pipelines_of(aggs, pipelines) {
            if pipeline.place() == Place::Sibling {
                self.go_on()?;
                let mut body = meta_of(agg);
                body.extend(pipeline.of_siblings(&Answers::new(&rendered, self.typed_keys))?);
                rendered.insert(self.key(agg, &Partial::Empty), Value::Object(body));
            }
        }
        Ok(rendered)
    }

    fn key(&self, agg: &Agg, partial: &Partial) -> String {
        let typed = self
            .typed_keys
            .then(|| agg.kind.typed(partial).unwrap_or(agg.type_name));
        agg.key(typed)
    }

    /// Has the pipeline aggregations in the buckets of an answer add to them.
    fn pipelines_within(&self, agg: &Agg, body: &mut Map<String, Value>) -> Result<(), ApiError> {
        let within = pipelines_of(&agg.subs, &agg.pipelines)
            .filter(|(_, one)| one.place() != Place::Sibling);
        let within: Vec<_> = within.collect();
        let Some(buckets) = body.get_mut("buckets").filter(|_| !within.is_empty()) else {
            return Ok(());
        };
        let (names, bodies): (Option<Vec<String>>, Vec<Value>) = match buckets.take() {
            Value::Object(keyed) => {
                let (names, bodies) = keyed.into_iter().unzip();
                (Some(names), bodies)
            }
            Value::Array(list) => (None, list),
            _ => (None, Vec::new()),
        };
        let keyed = names.is_some();
        let mut list = BucketList::new(names, bodies, self.typed_keys);
        for (sub, pipeline) in within {
            self.go_on()?;
            let own = Own {
                key: self.key(sub, &Partial::Empty),
                body: meta_of(sub),
            };
            pipeline.of_buckets(&own, &mut list)?;
        }
        *buckets = list.into_answer(keyed);
        Ok(())
    }

    fn go_on(&self) -> Result<(), ApiError> {
        match self.control.state() {
            Interrupt::Cancelled => Err(cancelled()),
            Interrupt::Continue | Interrupt::TimedOut => Ok(()),
        }
    }

    /// Counts a bucket of the answer.
    pub(super) fn count_bucket(&mut self) -> Result<(), ApiError> {
        self.go_on()?;
        self.buckets += 1;
        if self.buckets > self.max_buckets {
            return Err(too_many_buckets(self.max_buckets));
        }
        Ok(())
    }

    /// Adds `doc_count` and the sub-aggregations.
    pub(super) fn bucket_body(
        &mut self,
        agg: &Agg,
        bucket: Option<&Bucket>,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let (count, subs) = match bucket {
            Some(bucket) => (bucket.doc_count, bucket.subs.as_slice()),
            None => (0, [].as_slice()),
        };
        body.insert("doc_count".to_owned(), count.into());
        body.extend(self.aggs(&agg.subs, &agg.pipelines, subs)?);
        Ok(())
    }

    /// Adds `buckets` for ranges: the number of each in the request, its name, and the members that say its ends.
    pub(super) fn ranges(
        &mut self,
        agg: &Agg,
        merged: &Buckets,
        keyed: bool,
        ranges: Vec<(usize, String, Map<String, Value>)>,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let by_key: HashMap<&Key, &Bucket> = merged
            .buckets
            .iter()
            .map(|bucket| (&bucket.key, bucket))
            .collect();
        let mut named = Vec::with_capacity(ranges.len());
        for (number, name, ends) in ranges {
            self.count_bucket()?;
            let mut object = Map::new();
            if !keyed {
                object.insert("key".to_owned(), name.clone().into());
            }
            object.extend(ends);
            let slot = Key::Long(i64::try_from(number).unwrap_or(i64::MAX));
            self.bucket_body(agg, by_key.get(&slot).copied(), &mut object)?;
            named.push((name, Value::Object(object)));
        }
        body.insert("buckets".to_owned(), keyed_or_list(keyed, named));
        Ok(())
    }

    /// Returns how many buckets the answer may have beside those that it has.
    pub(super) fn buckets_left(&self) -> usize {
        self.max_buckets.saturating_sub(self.buckets)
    }

    /// Returns the 400 of an answer with too many buckets.
    pub(super) fn too_many_buckets(&self) -> ApiError {
        too_many_buckets(self.max_buckets)
    }
}

fn pipelines_of<'a>(
    level: &'a [Agg],
    places: &'a [usize],
) -> impl Iterator<Item = (&'a Agg, &'a dyn Pipeline)> {
    let agg = |place: &usize| {
        let agg = level.get(*place)?;
        Some((agg, agg.kind.pipeline()?))
    };
    places.iter().filter_map(agg)
}

fn meta_of(agg: &Agg) -> Map<String, Value> {
    let meta = agg.meta.clone().map(Value::Object);
    meta.map(|meta| ("meta".to_owned(), meta))
        .into_iter()
        .collect()
}

/// Returns buckets by their names, or in a list.
pub(super) fn keyed_or_list(keyed: bool, named: Vec<(String, Value)>) -> Value {
    if keyed {
        Value::Object(named.into_iter().collect())
    } else {
        Value::Array(named.into_iter().map(|(_, bucket)| bucket).collect())
    }
}

/// Adds a value, and its text where it is no plain number.
pub(super) fn named_value(
    body: &mut Map<String, Value>,
    name: &str,
    value: Option<f64>,
    text: &Formatter,
) {
    body.insert(name.to_owned(), value.map_or(Value::Null, double_json));
    if let Some(text) = value.and_then(|value| text.text(value)) {
        body.insert(format!("{name}_as_string"), text.into());
    }
}

/// A double as JSON; what JSON cannot say is a text, as clients expect.
pub(super) fn double_json(value: f64) -> Value {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        }
    } else {
        value.into()
    }
}

/// Writes a double with at least one decimal: `50.0`.
pub(super) fn java_double(value: f64) -> String {
    format!("{value:?}")
}

/// Writes keys and values of a field as text.
pub(super) enum Formatter {
    Plain,
    Bool,
    Date(DateFormat, Zone),
    Decimal(Decimal),
}

impl Formatter {
    pub(super) fn new(format: &ValueFormat) -> Result<Self, ApiError> {
        Ok(match format {
            ValueFormat::Plain | ValueFormat::Ip => Self::Plain,
            ValueFormat::Bool => Self::Bool,
            ValueFormat::Date { format, zone } => {
                Self::Date(DateFormat::compile(format)?, Zone::parse(zone)?)
            }
            ValueFormat::Decimal(pattern) => Self::Decimal(Decimal::parse(pattern)?),
        })
    }

    /// The text of a bucket key, if keys of this field have one.
    pub(super) fn key(&self, key: &Key) -> Option<String> {
        match (self, key) {
            // Milliseconds, all of them.
            (Self::Date(format, zone), Key::Long(millis)) => {
                Some(format.format_in(*millis, zone.inner()))
            }
            (_, key) => self.text(key.as_double()?),
        }
    }

    /// The text of a value, if it is more than the number.
    pub(super) fn text(&self, value: f64) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::Bool => Some((value != 0.0).to_string()),
            Self::Date(format, zone) => Some(format.format_in(value as i64, zone.inner())),
            Self::Decimal(decimal) => Some(decimal.text(value)),
        }
    }

    /// The text of a value, that of the number if there is no other.
    pub(super) fn number(&self, value: f64) -> String {
        self.text(value).unwrap_or_else(|| java_double(value))
    }
}
