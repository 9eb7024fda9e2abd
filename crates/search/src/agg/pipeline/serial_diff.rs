//! `serial_diff`. Source: Elasticsearch reference, "Serial differencing aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;

use super::{BucketList, BucketsPath, GapPolicy, Own, Pipeline, Place, simple_value};
use crate::agg::decimal::Decimal;
use crate::agg::kind::{Definition, Parsed};
use crate::parse::parsing;

#[derive(Debug)]
struct SerialDiff {
    path: BucketsPath,
    /// How many buckets back.
    lag: usize,
    gaps: GapPolicy,
    format: Option<Decimal>,
}

pub(in crate::agg) fn parse(given: &Definition<'_>) -> Parsed {
    let mut object = given.object()?;
    let path = super::take_path(given, &mut object)?;
    let lag = object.i64("lag")?.unwrap_or(1);
    let Some(lag) = usize::try_from(lag).ok().filter(|lag| *lag > 0) else {
        return Err(parsing(format!(
            "Lag must be a positive, non-zero integer.  Value supplied was{lag} in [{}]: [lag].",
            given.agg
        )));
    };
    let diff = SerialDiff {
        path,
        lag,
        gaps: GapPolicy::take(&mut object)?,
        format: super::take_format(&mut object)?,
    };
    object.finish()?;
    Ok(Arc::new(diff))
}

impl Pipeline for SerialDiff {
    fn typed(&self) -> Option<&'static str> {
        Some("simple_value")
    }

    fn place(&self) -> Place {
        Place::InHistogram
    }

    fn paths(&self) -> Vec<&BucketsPath> {
        vec![&self.path]
    }

    fn of_buckets(&self, own: &Own, list: &mut BucketList) -> Result<(), ApiError> {
        let values = list.values(&self.path, self.gaps)?;
        for (place, bucket) in list.buckets.iter_mut().enumerate().skip(self.lag) {
            if let (Some(now), Some(before)) = (values[place], values[place - self.lag]) {
                let body = simple_value(Some(now - before), self.format.as_ref());
                own.put(bucket, body);
            }
        }
        Ok(())
    }
}
