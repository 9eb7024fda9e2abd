//! What one segment or shard contributes to an aggregation, and how contributions add up. Source:
//! Elasticsearch reference, "Terms aggregation" (shard size).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::hdr::Hdr;
use super::order::{self, OrderBy};
use super::sketch::{Distinct, Quantiles};
use super::spec::Agg;
use super::top_hits::TopHitsPartial;

/// The mergeable result of one aggregation. Serializes for the way to the coordinating node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Partial {
    /// Nothing to add: no documents, or the field is not mapped here.
    #[default]
    Empty,
    Stats {
        stats: Stats,
        format: ValueFormat,
    },
    Distinct(Distinct),
    Quantiles {
        sketch: Quantiles,
        format: ValueFormat,
    },
    Hdr {
        sketch: Hdr,
        format: ValueFormat,
    },
    Buckets(Buckets),
    TopHits(TopHitsPartial),
}

impl Partial {
    /// Returns the buckets of a bucket aggregation, none if nothing came.
    pub(super) fn buckets(&self) -> &Buckets {
        match self {
            Self::Buckets(buckets) => buckets,
            _ => &NO_BUCKETS,
        }
    }

    /// Returns the statistics of a metric with the format of the field, those of nothing if nothing came.
    pub(super) fn stats(&self) -> (Stats, &ValueFormat) {
        match self {
            Self::Stats { stats, format } => (*stats, format),
            _ => (Stats::default(), &ValueFormat::Plain),
        }
    }

    /// Returns the sketch of quantiles with the format of the field, if there is any.
    pub(super) fn quantiles(&self) -> Option<(&Quantiles, &ValueFormat)> {
        match self {
            Self::Quantiles { sketch, format } => Some((sketch, format)),
            _ => None,
        }
    }
}

static NO_BUCKETS: LazyLock<Buckets> = LazyLock::new(Buckets::default);

/// How numbers of a field read as text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ValueFormat {
    #[default]
    Plain,
    Bool,
    /// Texts are encoded addresses.
    Ip,
    Date {
        format: String,
        zone: String,
    },
    /// A pattern of the request.
    Decimal(String),
}

/// The buckets of a bucket aggregation; single-bucket aggregations have one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Buckets {
    pub buckets: Vec<Bucket>,
    pub format: ValueFormat,
    /// Documents of the buckets that were cut off.
    pub other_doc_count: u64,
    /// How many documents a bucket may be short of; -1 when unknown.
    pub error_bound: i64,
    /// How many shards contributed.
    pub sources: u32,
    /// What the keys are, even when there is none.
    pub keys: KeyKind,
    /// Ends that the shard resolved: the ranges of `range`, or the extended bounds of
    /// `date_histogram`.
    pub bounds: Vec<(Option<f64>, Option<f64>)>,
    /// Texts of one shard met numbers of another: there is no list of both.
    #[serde(default)]
    pub mixed: bool,
}

/// The type of the keys of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyKind {
    #[default]
    Text,
    Long,
    Double,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    pub key: Key,
    pub doc_count: u64,
    /// One for each sub-aggregation, in their order; may be shorter, the rest is empty.
    pub subs: Vec<Partial>,
}

/// What makes a bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Key {
    Text(String),
    Long(i64),
    Double(f64),
    /// Beyond the range of a long.
    Unsigned(u64),
}

impl Key {
    /// Returns the key of an unsigned long.
    pub(super) fn unsigned(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Unsigned(value), Self::Long)
    }

    /// Returns a number as a double.
    pub(super) fn as_double(&self) -> Option<f64> {
        match self {
            Self::Text(_) => None,
            Self::Long(value) => Some(*value as f64),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    /// Numbers before texts; a long is not equal to a double of the same value.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Long(left), Self::Long(right)) => left.cmp(right),
            (Self::Unsigned(left), Self::Unsigned(right)) => left.cmp(right),
            (Self::Long(_), Self::Unsigned(_)) => Ordering::Less,
            (Self::Unsigned(_), Self::Long(_)) => Ordering::Greater,
            (left, right) => match (left.as_double(), right.as_double()) {
                (Some(a), Some(b)) => {
                    let whole_first =
                        matches!(left, Self::Double(_)).cmp(&matches!(right, Self::Double(_)));
                    a.total_cmp(&b).then(whole_first)
                }
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            },
        }
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Text(text) => text.hash(state),
            Self::Long(value) => value.hash(state),
            Self::Unsigned(value) => value.hash(state),
            Self::Double(value) => value.to_bits().hash(state),
        }
    }
}

/// Count, sums and extremes; sums are compensated (Kahan) so that order hardly matters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub count: u64,
    pub min: f64,
    pub max: f64,
    sum: Compensated,
    squares: Compensated,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: Compensated::default(),
            squares: Compensated::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Compensated {
    sum: f64,
    error: f64,
}

impl Compensated {
    fn add(&mut self, value: f64) {
        let corrected = value - self.error;
        let sum = self.sum + corrected;
        // With infinities the correction would be NaN for ever.
        self.error = if sum.is_finite() {
            (sum - self.sum) - corrected
        } else {
            0.0
        };
        self.sum = sum;
    }

    fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.add(-other.error);
    }
}

impl Stats {
    /// Returns the statistics of so many values that are not numbers.
    pub fn of_count(count: u64) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum.add(value);
        self.squares.add(value * value);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// Returns the sum.
    pub fn sum(&self) -> f64 {
        self.sum.sum
    }

    /// Returns the sum of squares.
    pub fn sum_of_squares(&self) -> f64 {
        self.squares.sum
    }

    /// Returns the mean, NaN without values.
    pub fn avg(&self) -> f64 {
        self.sum() / self.count as f64
    }

    /// Returns the variance over the population or the sample, NaN when undefined.
    pub fn variance(&self, sampling: bool) -> f64 {
        let count = self.count as f64;
        let divisor = if sampling { count - 1.0 } else { count };
        if divisor <= 0.0 {
            return f64::NAN;
        }
        let spread = self.sum_of_squares() - self.sum() * self.sum() / count;
        spread.max(0.0) / divisor
    }
}

/// Merges the partials of parallel lists of aggregations.
pub fn merge_all(aggs: &[Agg], left: &mut Vec<Partial>, right: Vec<Partial>) {
    if left.len() < right.len() {
        left.resize(right.len(), Partial::Empty);
    }
    for ((agg, left), right) in aggs.iter().zip(left.iter_mut()).zip(right) {
        merge(agg, left, right);
    }
}

/// Merges one partial into another of the same aggregation.
pub fn merge(agg: &Agg, left: &mut Partial, right: Partial) {
    match (&mut *left, right) {
        (_, Partial::Empty) => {}
        (Partial::Stats { stats, .. }, Partial::Stats { stats: other, .. }) => stats.merge(&other),
        (Partial::Distinct(sketch), Partial::Distinct(other)) => sketch.merge(&other),
        (Partial::Quantiles { sketch, .. }, Partial::Quantiles { sketch: other, .. }) => {
            sketch.merge(&other);
        }
        (Partial::Hdr { sketch, .. }, Partial::Hdr { sketch: other, .. }) => {
            sketch.merge(&other);
        }
        (Partial::Buckets(buckets), Partial::Buckets(other)) => {
            merge_buckets(agg, buckets, other);
        }
        (Partial::TopHits(hits), Partial::TopHits(other)) => {
            if let Some(source) = agg.kind.hits() {
                hits.merge(source, other);
            }
        }
        // Empty, or shards that disagree on the kind: the later one stands.
        (_, right) => *left = right,
    }
}

fn merge_buckets(agg: &Agg, left: &mut Buckets, right: Buckets) {
    let right = alike(left, right);
    left.other_doc_count = left.other_doc_count.saturating_add(right.other_doc_count);
    left.error_bound = if left.error_bound < 0 || right.error_bound < 0 {
        -1
    } else {
        left.error_bound.saturating_add(right.error_bound)
    };
    left.sources = left.sources.saturating_add(right.sources);
    if left.bounds.is_empty() {
        left.bounds = right.bounds;
    }
    if left.format == ValueFormat::Plain {
        left.format = right.format;
    }
    let mut places: HashMap<Key, usize> = left
        .buckets
        .iter()
        .enumerate()
        .map(|(index, bucket)| (bucket.key.clone(), index))
        .collect();
    for bucket in right.buckets {
        match places.get(&bucket.key) {
            Some(index) => {
                let ours = &mut left.buckets[*index];
                ours.doc_count = ours.doc_count.saturating_add(bucket.doc_count);
                merge_all(&agg.subs, &mut ours.subs, bucket.subs);
            }
            None => {
                places.insert(bucket.key.clone(), left.buckets.len());
                left.buckets.push(bucket);
            }
        }
    }
}

/// Where one side has longs and the other doubles, all keys become doubles.
fn alike(left: &mut Buckets, mut right: Buckets) -> Buckets {
    let as_doubles = |side: &mut Buckets| {
        side.keys = KeyKind::Double;
        for bucket in &mut side.buckets {
            if let Some(double) = bucket.key.as_double() {
                bucket.key = Key::Double(double);
            }
        }
    };
    match (left.keys, right.keys) {
        (KeyKind::Long, KeyKind::Double) => as_doubles(left),
        (KeyKind::Double, KeyKind::Long) => as_doubles(&mut right),
        _ => {}
    }
    let differ = (left.keys == KeyKind::Text) != (right.keys == KeyKind::Text);
    let filled = !(left.buckets.is_empty() || right.buckets.is_empty());
    left.mixed |= right.mixed || (differ && filled);
    right
}

/// Returns the documents of buckets, counted once per bucket.
pub(super) fn doc_count(buckets: &[Bucket]) -> u64 {
    let add = |sum: u64, bucket: &Bucket| sum.saturating_add(bucket.doc_count);
    buckets.iter().fold(0, add)
}

/// Cuts the buckets of a shard to what it sends: the first `shard_size` in the order asked
/// for, with the count of what is left out. Source: Elasticsearch reference, "Terms aggregation" (shard size).
pub fn cut_for_shard(agg: &Agg, partial: &mut Partial) {
    let Partial::Buckets(buckets) = partial else {
        return;
    };
    buckets.sources = 1;
    if let Some(spec) = agg.kind.cut() {
        order::sort(&agg.subs, &spec.order, &mut buckets.buckets);
        if buckets.buckets.len() >= spec.shard_size {
            let rest = buckets.buckets.split_off(spec.shard_size);
            buckets.other_doc_count = buckets.other_doc_count.saturating_add(doc_count(&rest));
            buckets.error_bound = match spec.order.first() {
                Some(order) if order.by == OrderBy::Key => 0,
                Some(order) if order.by == OrderBy::Count && !order.ascending => buckets
                    .buckets
                    .last()
                    .map_or(0, |last| i64::try_from(last.doc_count).unwrap_or(i64::MAX)),
                _ => -1,
            };
        }
    }
    for bucket in &mut buckets.buckets {
        for (sub, partial) in agg.subs.iter().zip(&mut bucket.subs) {
            cut_for_shard(sub, partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_merge_like_one_stream() {
        let values = [1.5, -2.0, 1e16, 3.25, -1e16, 7.0];
        let mut whole = Stats::default();
        values.iter().for_each(|v| whole.add(*v));
        let (mut left, mut right) = (Stats::default(), Stats::default());
        values[..2].iter().for_each(|v| left.add(*v));
        values[2..].iter().for_each(|v| right.add(*v));
        left.merge(&right);
        assert_eq!((left.count, left.min, left.max), (6, -1e16, 1e16));
        assert!((left.sum() - whole.sum()).abs() <= 2.0);
        assert!(Stats::default().avg().is_nan());
        assert!(Stats::default().variance(false).is_nan());
    }

    #[test]
    fn keys_order_by_value() {
        let mut keys = [
            Key::Text("b".into()),
            Key::Double(1.5),
            Key::Long(2),
            Key::Text("a".into()),
            Key::Long(-1),
        ];
        keys.sort();
        let expected = [
            Key::Long(-1),
            Key::Double(1.5),
            Key::Long(2),
            Key::Text("a".into()),
            Key::Text("b".into()),
        ];
        assert_eq!(keys, expected);
    }
}
