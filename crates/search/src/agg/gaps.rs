//! Histogram arithmetic: which bucket a value is in, and the empty buckets between others.

use super::partial::{Bucket, Buckets, Key};
use super::spec::{AggKind, DateHistogramSpec, DateInterval, HistogramSpec};

/// There would be more buckets than allowed.
pub(super) struct TooMany;

/// Returns the number of the bucket of a value.
pub(super) fn histogram_index(spec: &HistogramSpec, value: f64) -> i64 {
    ((value - spec.offset) / spec.interval).floor() as i64
}

/// Returns the key of a bucket, its lower end.
pub(super) fn histogram_value(spec: &HistogramSpec, index: i64) -> f64 {
    index as f64 * spec.interval + spec.offset
}

/// Returns the key of the bucket of an instant, in milliseconds.
pub(super) fn date_key(spec: &DateHistogramSpec, millis: i64) -> i64 {
    let shifted = millis.saturating_sub(spec.offset);
    let start = match spec.interval {
        DateInterval::Calendar(unit) => unit.floor(shifted, &spec.zone),
        DateInterval::Fixed(interval) => {
            let zone_offset = spec.zone.offset_at(shifted);
            let local = shifted.saturating_add(zone_offset);
            local
                .div_euclid(interval)
                .saturating_mul(interval)
                .saturating_sub(zone_offset)
        }
    };
    start.saturating_add(spec.offset)
}

/// Returns the key of the bucket after the one with this key.
pub(super) fn next_date_key(spec: &DateHistogramSpec, key: i64) -> i64 {
    let start = key.saturating_sub(spec.offset);
    let next = match spec.interval {
        DateInterval::Calendar(unit) => unit.next(start, &spec.zone).saturating_add(spec.offset),
        DateInterval::Fixed(interval) => {
            let candidate = date_key(spec, key.saturating_add(interval));
            if candidate > key {
                candidate
            } else {
                key.saturating_add(interval)
            }
        }
    };
    next.max(key.saturating_add(1))
}

/// Adds empty buckets between the first and the last, and out to the extended bounds. `buckets`
/// are in the order of their keys; at most `limit` may result.
pub(super) fn fill(
    kind: &AggKind,
    merged: &Buckets,
    buckets: &mut Vec<Bucket>,
    limit: usize,
) -> Result<(), TooMany> {
    let long = |bucket: &Bucket| match bucket.key {
        Key::Long(key) => key,
        Key::Double(key) => key as i64,
        Key::Text(_) | Key::Unsigned(_) => 0,
    };
    let (low, high) = extended(kind, merged);
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
    let next = |key: i64| match kind {
        AggKind::DateHistogram(spec) => next_date_key(spec, key),
        _ => key.saturating_add(1),
    };
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

/// The first and last bucket that the extended bounds ask for.
fn extended(kind: &AggKind, merged: &Buckets) -> (Option<i64>, Option<i64>) {
    match kind {
        AggKind::Histogram(spec) => match spec.extended_bounds {
            Some((low, high)) => {
                let index = |v: f64| v.is_finite().then(|| histogram_index(spec, v));
                (index(low), index(high))
            }
            None => (None, None),
        },
        AggKind::DateHistogram(spec) => match merged.bounds.first() {
            Some((low, high)) => {
                let key = |v: Option<f64>| v.map(|v| date_key(spec, v as i64));
                (key(*low), key(*high))
            }
            None => (None, None),
        },
        _ => (None, None),
    }
}
