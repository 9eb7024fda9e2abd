//! What `histogram` and `date_histogram` share: buckets at intervals, with the empty ones between others.

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::order::{self, Order, OrderBy};
use super::partial::{Bucket, Buckets, Key, Partial};
use super::render::{Formatter, Renderer, keyed_or_list};
use super::spec::Agg;
use crate::parse::Object;

/// Buckets at intervals, numbered by longs.
pub(super) trait Axis {
    fn options(&self) -> &AxisOptions;

    /// Returns the number of the bucket after this one.
    fn next(&self, number: i64) -> i64;

    /// The first and last bucket that the extended bounds ask for.
    fn extended(&self, merged: &Buckets) -> (Option<i64>, Option<i64>);

    /// Adds the members of a key, and returns the name of the bucket when keyed.
    fn key(&self, number: i64, text: &Formatter, object: &mut Map<String, Value>) -> String;
}

/// The options of both.
#[derive(Debug)]
pub(super) struct AxisOptions {
    pub(super) min_doc_count: u64,
    pub(super) order: Vec<Order>,
    pub(super) keyed: bool,
}

impl AxisOptions {
    /// Takes `min_doc_count`, `order` and `keyed`.
    pub(super) fn take(object: &mut Object<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            min_doc_count: object.usize("min_doc_count")?.unwrap_or(0) as u64,
            order: order::parse(object.take("order"), &[(OrderBy::Key, true)])?,
            keyed: object.bool("keyed")?.unwrap_or(false),
        })
    }
}

/// There would be more buckets than allowed.
struct TooMany;

/// Adds the buckets of the answer.
pub(super) fn render(
    axis: &dyn Axis,
    agg: &Agg,
    partial: &Partial,
    renderer: &mut Renderer,
    body: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let merged = partial.buckets();
    let AxisOptions {
        min_doc_count,
        order,
        keyed,
    } = axis.options();
    let mut buckets = merged.buckets.clone();
    buckets.sort_by(|left, right| left.key.cmp(&right.key));
    if *min_doc_count == 0 {
        fill(axis, merged, &mut buckets, renderer.buckets_left())
            .map_err(|_| renderer.too_many_buckets())?;
    } else {
        buckets.retain(|bucket| bucket.doc_count >= *min_doc_count);
    }
    if !order::is_key_ascending(order) {
        order::sort(&agg.subs, order, &mut buckets);
    }
    let text = Formatter::new(&merged.format)?;
    let mut named = Vec::with_capacity(buckets.len());
    for bucket in &buckets {
        renderer.count_bucket()?;
        let mut object = Map::new();
        let name = match bucket.key {
            Key::Long(number) => axis.key(number, &text, &mut object),
            _ => String::new(),
        };
        renderer.bucket_body(agg, Some(bucket), &mut object)?;
        named.push((name, Value::Object(object)));
    }
    body.insert("buckets".to_owned(), keyed_or_list(*keyed, named));
    Ok(())
}

/// Adds empty buckets between the first and the last, and out to the extended bounds. `buckets`
/// are in the order of their keys; at most `limit` may result.
fn fill(
    axis: &dyn Axis,
    merged: &Buckets,
    buckets: &mut Vec<Bucket>,
    limit: usize,
) -> Result<(), TooMany> {
    let long = |bucket: &Bucket| match bucket.key {
        Key::Long(key) => key,
        Key::Double(key) => key as i64,
        Key::Text(_) | Key::Unsigned(_) => 0,
    };
    let (low, high) = axis.extended(merged);
    let first = buckets.first().map(long);
    let last = buckets.last().map(long);
    let start = match (first, low) {
        (Some(first), Some(low)) => first.min(low),
        (Some(first), None) => first,
        (None, Some(low)) => low,
        (None, None) => return Ok(()),
    };
    let end = match (last, high) {
        (Some(last), Some(high)) => last.max(high),
        (Some(last), None) => last,
        (None, Some(high)) => high,
        (None, None) => return Ok(()),
    };
    let next = |key: i64| axis.next(key);
    let mut filled: Vec<Bucket> = Vec::with_capacity(buckets.len());
    let mut key = start;
    for bucket in std::mem::take(buckets) {
        let own = long(&bucket);
        while key < own {
            push_empty(&mut filled, key, limit)?;
            key = next(key);
        }
        key = next(own);
        filled.push(bucket);
        if filled.len() > limit {
            return Err(TooMany);
        }
        if key == own {
            // The greatest key there is.
            *buckets = filled;
            return Ok(());
        }
    }
    while key <= end {
        push_empty(&mut filled, key, limit)?;
        let following = next(key);
        if following == key {
            break;
        }
        key = following;
    }
    *buckets = filled;
    Ok(())
}

fn push_empty(filled: &mut Vec<Bucket>, key: i64, limit: usize) -> Result<(), TooMany> {
    if filled.len() >= limit {
        return Err(TooMany);
    }
    filled.push(Bucket {
        key: Key::Long(key),
        doc_count: 0,
        subs: Vec::new(),
    });
    Ok(())
}
