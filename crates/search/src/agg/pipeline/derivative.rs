//! `derivative`. Source: Elasticsearch reference, "Derivative aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_base::TimeValue;
use serde_json::Value;

use super::{BucketList, BucketsPath, GapPolicy, Own, Pipeline, Place, insert_value, simple_value};
use crate::agg::decimal::Decimal;
use crate::agg::kind::{Definition, Parsed};

#[derive(Debug)]
struct Derivative {
    path: BucketsPath,
    /// Milliseconds that it is also told for.
    unit: Option<f64>,
    gaps: GapPolicy,
    format: Option<Decimal>,
}

pub(in crate::agg) fn parse(given: &Definition<'_>) -> Parsed {
    let mut object = given.object()?;
    let path = super::take_path(given, &mut object)?;
    let unit = object.text("unit")?;
    let diff = Derivative {
        path,
        unit: unit.as_deref().map(unit_ms).transpose()?,
        gaps: GapPolicy::take(&mut object)?,
        format: super::take_format(&mut object)?,
    };
    object.finish()?;
    Ok(Arc::new(diff))
}

impl Pipeline for Derivative {
    fn typed(&self) -> Option<&'static str> {
        Some("derivative")
    }

    fn place(&self) -> Place {
        Place::InHistogram
    }

    fn paths(&self) -> Vec<&BucketsPath> {
        vec![&self.path]
    }

    fn of_buckets(&self, own: &Own, list: &mut BucketList) -> Result<(), ApiError> {
        let values = list.values(&self.path, self.gaps)?;
        let keys: Vec<Option<f64>> = list
            .buckets
            .iter()
            .map(|bucket| bucket.body.get("key").and_then(Value::as_f64))
            .collect();
        // Of a gap it is told that there is no difference; before the first bucket there is nothing to tell.
        for (place, bucket) in list.buckets.iter_mut().enumerate().skip(1) {
            let both = values[place].zip(values[place - 1]);
            let difference = both.map(|(now, before)| now - before);
            let mut body = simple_value(difference, self.format.as_ref());
            if let (Some(unit), Some((now, before))) = (self.unit, keys[place].zip(keys[place - 1]))
            {
                let units = (now - before) / unit;
                let normalized = difference.map(|difference| difference / units);
                insert_value(
                    &mut body,
                    "normalized_value",
                    normalized,
                    self.format.as_ref(),
                );
            }
            own.put(bucket, body);
        }
        Ok(())
    }
}

/// Reads a unit of time of one length, milliseconds.
fn unit_ms(text: &str) -> Result<f64, ApiError> {
    let fixed = match text {
        "second" => "1s",
        "minute" => "1m",
        "hour" => "1h",
        "day" => "1d",
        "week" => "7d",
        other => other,
    };
    let time: Option<TimeValue> = fixed.parse().ok();
    let length = time
        .and_then(TimeValue::duration)
        .filter(|length| !length.is_zero());
    let refused = || {
        ApiError::illegal_argument(format!(
            "[unit] of a derivative takes units of one length, such as [second], [day], [week] or [90m], got [{text}]"
        ))
    };
    Ok(length.ok_or_else(refused)?.as_millis() as f64)
}
