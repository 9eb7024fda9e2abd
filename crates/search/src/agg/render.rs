//! The final step on the coordinating node: order, gaps, cuts, and the JSON that clients parse.
//! Source: Elasticsearch reference, "Metrics aggregations" and "Bucket aggregations".

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::dates::DateFormat;
use ringwall_index::schema::decode_ip;
use serde_json::{Map, Value, json};

use super::gaps;
use super::order;
use super::partial::{Bucket, Buckets, Key, KeyKind, Partial, Stats, ValueFormat, doc_count};
use super::sketch::Quantiles;
use super::spec::*;
use crate::time::Zone;

/// Returns the `aggregations` object for merged partials, one for each aggregation.
///
/// # Errors
/// `too_many_buckets_exception` when there are more than `max_buckets` in all.
pub fn render(
    aggs: &[Agg],
    partials: &[Partial],
    typed_keys: bool,
    max_buckets: usize,
) -> Result<Value, ApiError> {
    let mut renderer = Renderer {
        typed_keys,
        max_buckets,
        buckets: 0,
    };
    renderer.aggs(aggs, partials).map(Value::Object)
}

/// Returns the 400 of an answer with too many buckets.
pub(super) fn too_many_buckets(max_buckets: usize) -> ApiError {
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

struct Renderer {
    typed_keys: bool,
    max_buckets: usize,
    buckets: usize,
}

impl Renderer {
    fn aggs(&mut self, aggs: &[Agg], partials: &[Partial]) -> Result<Map<String, Value>, ApiError> {
        let mut rendered = Map::new();
        for (index, agg) in aggs.iter().enumerate() {
            let partial = partials.get(index).unwrap_or(&Partial::Empty);
            let typed = self.typed_keys.then(|| type_name(agg, partial));
            let mut body = Map::new();
            if let Some(meta) = &agg.meta {
                body.insert("meta".to_owned(), Value::Object(meta.clone()));
            }
            self.agg(agg, partial, &mut body)?;
            rendered.insert(agg.key(typed), Value::Object(body));
        }
        Ok(rendered)
    }

    fn agg(
        &mut self,
        agg: &Agg,
        partial: &Partial,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        match &agg.kind {
            AggKind::Metric { kind, .. } => {
                let (stats, format) = match partial {
                    Partial::Stats { stats, format } => (*stats, format.clone()),
                    _ => (Stats::default(), ValueFormat::Plain),
                };
                metric(*kind, &stats, &format, body);
            }
            AggKind::Cardinality { .. } => {
                let count = match partial {
                    Partial::Distinct(sketch) => sketch.estimate(),
                    _ => 0,
                };
                body.insert("value".to_owned(), count.into());
            }
            AggKind::Percentiles {
                points,
                ranks,
                keyed,
                ..
            } => {
                let (mut sketch, format) = match partial {
                    Partial::Quantiles { sketch, format } => (sketch.clone(), format.clone()),
                    _ => (Quantiles::new(100.0), ValueFormat::Plain),
                };
                let values = percentiles(&mut sketch, &format, points, *ranks, *keyed);
                body.insert("values".to_owned(), values);
            }
            AggKind::TopHits(_) => {
                let hits = match partial {
                    Partial::TopHits(hits) => hits.to_json()?,
                    _ => json!({"total": {"value": 0, "relation": "eq"}, "max_score": null,
                        "hits": []}),
                };
                body.insert("hits".to_owned(), hits);
            }
            AggKind::Filter(_) | AggKind::Missing { .. } | AggKind::Global => {
                let bucket = buckets_of(partial).and_then(|buckets| buckets.buckets.first());
                self.bucket_body(agg, bucket, body)?;
            }
            AggKind::Terms(spec) => self.terms(agg, spec, partial, body)?,
            AggKind::Histogram(_) | AggKind::DateHistogram(_) => {
                self.histogram(agg, partial, body)?;
            }
            AggKind::Range(spec) => self.ranges(agg, spec, partial, body)?,
            AggKind::Filters(spec) => self.filters(agg, spec, partial, body)?,
        }
        Ok(())
    }

    fn count_bucket(&mut self) -> Result<(), ApiError> {
        self.buckets += 1;
        if self.buckets > self.max_buckets {
            return Err(too_many_buckets(self.max_buckets));
        }
        Ok(())
    }

    /// Adds `doc_count` and the sub-aggregations.
    fn bucket_body(
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
        body.extend(self.aggs(&agg.subs, subs)?);
        Ok(())
    }

    fn terms(
        &mut self,
        agg: &Agg,
        spec: &TermsSpec,
        partial: &Partial,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let empty = Buckets::default();
        let merged = buckets_of(partial).unwrap_or(&empty);
        if merged.mixed {
            return Err(ApiError::illegal_argument(format!(
                "Merging/Reducing the aggregations failed when computing the aggregation [{}] because the \
                 field you gave in the aggregation query existed as two different types in two different \
                 indices",
                agg.name
            )));
        }
        let mut buckets: Vec<Bucket> = merged
            .buckets
            .iter()
            .filter(|bucket| bucket.doc_count >= spec.min_doc_count)
            .cloned()
            .collect();
        order::sort(&agg.subs, &spec.order, &mut buckets);
        let rest = buckets.split_off(spec.size.min(buckets.len()));
        let other = doc_count(&rest);
        let error = if merged.sources <= 1 {
            0
        } else {
            merged.error_bound
        };
        body.insert("doc_count_error_upper_bound".to_owned(), error.into());
        body.insert(
            "sum_other_doc_count".to_owned(),
            merged.other_doc_count.saturating_add(other).into(),
        );
        let text = Formatter::new(&merged.format)?;
        let mut rendered = Vec::with_capacity(buckets.len());
        for bucket in &buckets {
            self.count_bucket()?;
            let mut object = Map::new();
            object.insert("key".to_owned(), key_json(&bucket.key, &merged.format));
            if let Some(text) = text.key(&bucket.key) {
                object.insert("key_as_string".to_owned(), text.into());
            }
            self.bucket_body(agg, Some(bucket), &mut object)?;
            rendered.push(Value::Object(object));
        }
        body.insert("buckets".to_owned(), Value::Array(rendered));
        Ok(())
    }

    fn histogram(
        &mut self,
        agg: &Agg,
        partial: &Partial,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let empty = Buckets::default();
        let merged = buckets_of(partial).unwrap_or(&empty);
        let (orders, keyed, min_doc_count) = match &agg.kind {
            AggKind::Histogram(spec) => (&spec.order, spec.keyed, spec.min_doc_count),
            AggKind::DateHistogram(spec) => (&spec.order, spec.keyed, spec.min_doc_count),
            _ => return Ok(()),
        };
        let mut buckets = merged.buckets.clone();
        buckets.sort_by(|left, right| left.key.cmp(&right.key));
        if min_doc_count == 0 {
            let left = self.max_buckets.saturating_sub(self.buckets);
            gaps::fill(&agg.kind, merged, &mut buckets, left)
                .map_err(|_| too_many_buckets(self.max_buckets))?;
        } else {
            buckets.retain(|bucket| bucket.doc_count >= min_doc_count);
        }
        if !order::is_key_ascending(orders) {
            order::sort(&agg.subs, orders, &mut buckets);
        }
        let text = Formatter::new(&merged.format)?;
        let mut named = Vec::with_capacity(buckets.len());
        for bucket in &buckets {
            self.count_bucket()?;
            let (name, mut object) = histogram_key(&agg.kind, &bucket.key, &text);
            self.bucket_body(agg, Some(bucket), &mut object)?;
            named.push((name, Value::Object(object)));
        }
        body.insert("buckets".to_owned(), keyed_or_list(keyed, named));
        Ok(())
    }

    fn ranges(
        &mut self,
        agg: &Agg,
        spec: &RangeSpec,
        partial: &Partial,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let empty = Buckets::default();
        let merged = buckets_of(partial).unwrap_or(&empty);
        let text = Formatter::new(&merged.format)?;
        let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
        let mut order: Vec<(usize, Option<f64>, Option<f64>)> = spec
            .ranges
            .iter()
            .enumerate()
            .map(|(index, item)| match merged.bounds.get(index) {
                Some((from, to)) => (index, *from, *to),
                None => (index, number(&item.from), number(&item.to)),
            })
            .collect();
        order.sort_by(|left, right| {
            let from = |end: Option<f64>| end.unwrap_or(f64::NEG_INFINITY);
            let to = |end: Option<f64>| end.unwrap_or(f64::INFINITY);
            from(left.1)
                .total_cmp(&from(right.1))
                .then(to(left.2).total_cmp(&to(right.2)))
        });
        let mut named = Vec::with_capacity(order.len());
        for (index, from, to) in order {
            self.count_bucket()?;
            let end = |end: Option<f64>| end.map_or_else(|| "*".to_owned(), |v| text.number(v));
            let name = match &spec.ranges[index].key {
                Some(key) => key.clone(),
                None => format!("{}-{}", end(from), end(to)),
            };
            let mut object = Map::new();
            if !spec.keyed {
                object.insert("key".to_owned(), name.clone().into());
            }
            for (field, value) in [("from", from), ("to", to)] {
                let Some(value) = value else { continue };
                object.insert(field.to_owned(), value.into());
                if spec.date {
                    object.insert(format!("{field}_as_string"), text.number(value).into());
                }
            }
            let slot = Key::Long(i64::try_from(index).unwrap_or(i64::MAX));
            let bucket = merged.buckets.iter().find(|bucket| bucket.key == slot);
            self.bucket_body(agg, bucket, &mut object)?;
            named.push((name, Value::Object(object)));
        }
        body.insert("buckets".to_owned(), keyed_or_list(spec.keyed, named));
        Ok(())
    }

    fn filters(
        &mut self,
        agg: &Agg,
        spec: &FiltersSpec,
        partial: &Partial,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let names = spec
            .filters
            .iter()
            .map(|(name, _)| name.clone().unwrap_or_default())
            .chain(spec.other.clone());
        let mut named = Vec::new();
        for (index, name) in names.enumerate() {
            self.count_bucket()?;
            let slot = Key::Long(i64::try_from(index).unwrap_or(i64::MAX));
            let bucket = buckets_of(partial)
                .and_then(|merged| merged.buckets.iter().find(|bucket| bucket.key == slot));
            let mut object = Map::new();
            self.bucket_body(agg, bucket, &mut object)?;
            named.push((name, Value::Object(object)));
        }
        body.insert("buckets".to_owned(), keyed_or_list(spec.keyed, named));
        Ok(())
    }
}

fn buckets_of(partial: &Partial) -> Option<&Buckets> {
    match partial {
        Partial::Buckets(buckets) => Some(buckets),
        _ => None,
    }
}

fn keyed_or_list(keyed: bool, named: Vec<(String, Value)>) -> Value {
    if keyed {
        Value::Object(named.into_iter().collect())
    } else {
        Value::Array(named.into_iter().map(|(_, bucket)| bucket).collect())
    }
}

fn key_json(key: &Key, format: &ValueFormat) -> Value {
    match key {
        Key::Text(text) if *format == ValueFormat::Ip => decode_ip(text)
            .map_or_else(|| text.clone(), |ip| ip.to_string())
            .into(),
        Key::Text(text) => text.clone().into(),
        Key::Long(value) => (*value).into(),
        Key::Unsigned(value) => (*value).into(),
        Key::Double(value) => (*value).into(),
    }
}

/// The name of a histogram bucket when keyed, and its key members.
fn histogram_key(kind: &AggKind, key: &Key, text: &Formatter) -> (String, Map<String, Value>) {
    let mut object = Map::new();
    let Key::Long(key) = key else {
        return (String::new(), object);
    };
    if let AggKind::Histogram(spec) = kind {
        let value = gaps::histogram_value(spec, *key);
        object.insert("key".to_owned(), value.into());
        return (java_double(value), object);
    }
    let name = text.number(*key as f64);
    object.insert("key_as_string".to_owned(), name.clone().into());
    object.insert("key".to_owned(), (*key).into());
    (name, object)
}

fn metric(kind: MetricKind, stats: &Stats, format: &ValueFormat, body: &mut Map<String, Value>) {
    let empty = stats.count == 0;
    let value = match kind {
        MetricKind::ValueCount => {
            body.insert("value".to_owned(), stats.count.into());
            return;
        }
        MetricKind::Sum => Some(stats.sum()),
        MetricKind::Avg => (!empty).then(|| stats.avg()),
        MetricKind::Min => (!empty).then_some(stats.min),
        MetricKind::Max => (!empty).then_some(stats.max),
        MetricKind::Stats => {
            basic_stats(stats, format, body);
            return;
        }
        MetricKind::ExtendedStats { sigma } => {
            basic_stats(stats, format, body);
            extended_stats(stats, sigma, body);
            return;
        }
    };
    named_value(body, "value", value, format);
}

fn named_value(
    body: &mut Map<String, Value>,
    name: &str,
    value: Option<f64>,
    format: &ValueFormat,
) {
    body.insert(name.to_owned(), value.map_or(Value::Null, double_json));
    if let (Some(value), ValueFormat::Date { .. }) = (value, format)
        && let Ok(text) = Formatter::new(format)
    {
        body.insert(format!("{name}_as_string"), text.number(value).into());
    }
}

fn basic_stats(stats: &Stats, format: &ValueFormat, body: &mut Map<String, Value>) {
    let some = |value: f64| (stats.count > 0).then_some(value);
    body.insert("count".to_owned(), stats.count.into());
    named_value(body, "min", some(stats.min), format);
    named_value(body, "max", some(stats.max), format);
    named_value(body, "avg", some(stats.avg()), format);
    named_value(body, "sum", Some(stats.sum()), format);
}

fn extended_stats(stats: &Stats, sigma: f64, body: &mut Map<String, Value>) {
    let some = |value: f64| {
        if stats.count == 0 {
            Value::Null
        } else {
            double_json(value)
        }
    };
    let (population, sampling) = (stats.variance(false), stats.variance(true));
    let bound = |deviation: f64, sign: f64| some(stats.avg() + sign * sigma * deviation);
    let members = [
        ("sum_of_squares", some(stats.sum_of_squares())),
        ("variance", some(population)),
        ("variance_population", some(population)),
        ("variance_sampling", some(sampling)),
        ("std_deviation", some(population.sqrt())),
        ("std_deviation_population", some(population.sqrt())),
        ("std_deviation_sampling", some(sampling.sqrt())),
    ];
    for (name, value) in members {
        body.insert(name.to_owned(), value);
    }
    body.insert(
        "std_deviation_bounds".to_owned(),
        json!({
            "upper": bound(population.sqrt(), 1.0),
            "lower": bound(population.sqrt(), -1.0),
            "upper_population": bound(population.sqrt(), 1.0),
            "lower_population": bound(population.sqrt(), -1.0),
            "upper_sampling": bound(sampling.sqrt(), 1.0),
            "lower_sampling": bound(sampling.sqrt(), -1.0),
        }),
    );
}

fn percentiles(
    sketch: &mut Quantiles,
    format: &ValueFormat,
    points: &[f64],
    ranks: bool,
    keyed: bool,
) -> Value {
    let date = match format {
        ValueFormat::Date { .. } if !ranks => Formatter::new(format).ok(),
        _ => None,
    };
    let mut keyed_values = Map::new();
    let mut list = Vec::with_capacity(points.len());
    for point in points {
        let value = if ranks {
            sketch.rank(*point).map(|fraction| fraction * 100.0)
        } else {
            sketch.quantile(point / 100.0)
        };
        let json = value.map_or(Value::Null, double_json);
        let text = match (&date, value) {
            (Some(formatter), Some(value)) => Some(formatter.number(value)),
            _ => None,
        };
        if keyed {
            let name = java_double(*point);
            keyed_values.insert(name.clone(), json);
            if let Some(text) = text {
                keyed_values.insert(format!("{name}_as_string"), text.into());
            }
        } else {
            let mut object = Map::new();
            object.insert("key".to_owned(), (*point).into());
            object.insert("value".to_owned(), json);
            if let Some(text) = text {
                object.insert("value_as_string".to_owned(), text.into());
            }
            list.push(Value::Object(object));
        }
    }
    if keyed {
        Value::Object(keyed_values)
    } else {
        Value::Array(list)
    }
}

/// A double as JSON; what JSON cannot say is a text, as clients expect.
fn double_json(value: f64) -> Value {
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
fn java_double(value: f64) -> String {
    format!("{value:?}")
}

/// Writes keys and values of a field as text.
struct Formatter {
    dates: Option<(DateFormat, Zone)>,
    boolean: bool,
}

impl Formatter {
    fn new(format: &ValueFormat) -> Result<Self, ApiError> {
        let dates = match format {
            ValueFormat::Date { format, zone } => {
                Some((DateFormat::compile(format)?, Zone::parse(zone)?))
            }
            ValueFormat::Plain | ValueFormat::Bool | ValueFormat::Ip => None,
        };
        Ok(Self {
            dates,
            boolean: *format == ValueFormat::Bool,
        })
    }

    /// The text of a bucket key, if keys of this field have one.
    fn key(&self, key: &Key) -> Option<String> {
        let Key::Long(value) = key else {
            return None;
        };
        if self.boolean {
            return Some((*value != 0).to_string());
        }
        let (format, zone) = self.dates.as_ref()?;
        Some(format.format_in(*value, zone.inner()))
    }

    fn number(&self, value: f64) -> String {
        match &self.dates {
            Some((format, zone)) => format.format_in(value as i64, zone.inner()),
            None => java_double(value),
        }
    }
}

/// The type in `type#name`.
fn type_name(agg: &Agg, partial: &Partial) -> &'static str {
    match &agg.kind {
        AggKind::Metric { kind, .. } => match kind {
            MetricKind::Avg => "avg",
            MetricKind::Min => "min",
            MetricKind::Max => "max",
            MetricKind::Sum => "sum",
            MetricKind::ValueCount => "value_count",
            MetricKind::Stats => "stats",
            MetricKind::ExtendedStats { .. } => "extended_stats",
        },
        AggKind::Cardinality { .. } => "cardinality",
        AggKind::Percentiles { ranks: false, .. } => "tdigest_percentiles",
        AggKind::Percentiles { ranks: true, .. } => "tdigest_percentile_ranks",
        AggKind::Terms(_) => match buckets_of(partial).map(|buckets| buckets.keys) {
            None => "umterms",
            Some(KeyKind::Text) => "sterms",
            Some(KeyKind::Long) => "lterms",
            Some(KeyKind::Double) => "dterms",
        },
        AggKind::Histogram(_) => "histogram",
        AggKind::DateHistogram(_) => "date_histogram",
        AggKind::Range(spec) if spec.date => "date_range",
        AggKind::Range(_) => "range",
        AggKind::Filter(_) => "filter",
        AggKind::Filters(_) => "filters",
        AggKind::Missing { .. } => "missing",
        AggKind::Global => "global",
        AggKind::TopHits(_) => "top_hits",
    }
}
