//! `cumulative_sum`. Source: Elasticsearch reference, "Cumulative sum aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;

use super::{BucketList, BucketsPath, GapPolicy, Own, Pipeline, Place, simple_value};
use crate::agg::decimal::Decimal;
use crate::agg::kind::{Definition, Parsed};

#[derive(Debug)]
struct CumulativeSum {
    path: BucketsPath,
    format: Option<Decimal>,
}

pub(in crate::agg) fn parse(given: &Definition<'_>) -> Parsed {
    let mut object = given.object()?;
    let sum = CumulativeSum {
        path: super::take_path(given, &mut object)?,
        format: super::take_format(&mut object)?,
    };
    object.finish()?;
    Ok(Arc::new(sum))
}

impl Pipeline for CumulativeSum {
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
        let values = list.values(&self.path, GapPolicy::InsertZeros)?;
        let mut sum = 0.0;
        for (bucket, value) in list.buckets.iter_mut().zip(values) {
            sum += value.unwrap_or(0.0);
            let body = simple_value(Some(sum), self.format.as_ref());
            own.put(bucket, body);
        }
        Ok(())
    }
}
