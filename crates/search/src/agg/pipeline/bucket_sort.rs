//! `bucket_sort`. Source: Elasticsearch reference, "Bucket sort aggregation".

use std::cmp::Ordering;
use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::Value;

use super::{BucketList, BucketsPath, GapPolicy, NamedBucket, Own, Pipeline, Place};
use crate::agg::kind::{Definition, Parsed};
use crate::parse::{malformed, parsing, scalar_text};

#[derive(Debug)]
struct BucketSort {
    sort: Vec<Key>,
    from: usize,
    size: Option<usize>,
    gaps: GapPolicy,
}

/// One key of the order.
#[derive(Debug)]
struct Key {
    path: BucketsPath,
    descending: bool,
}

pub(in crate::agg) fn parse(given: &Definition<'_>) -> Parsed {
    let mut object = given.object()?;
    let sort = match object.take("sort") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(key).collect::<Result<_, _>>()?,
        Some(one) => vec![key(one)?],
    };
    let sort = BucketSort {
        sort,
        from: object.usize("from")?.unwrap_or(0),
        size: object.usize("size")?,
        gaps: GapPolicy::take(&mut object)?,
    };
    object.finish()?;
    if sort.size == Some(0) {
        return Err(ApiError::illegal_argument(format!(
            "[size] must be a positive integer: [{}]",
            given.agg
        )));
    }
    if sort.sort.is_empty() && sort.from == 0 && sort.size.is_none() {
        return Err(ApiError::validation(&[format!(
            "[{}] is configured to perform nothing. Please set either of [sort, size, from] to use bucket_sort",
            given.agg
        )]));
    }
    Ok(Arc::new(sort))
}

/// Reads `path`, `{path: order}` or `{path: {order: order}}`.
fn key(value: &Value) -> Result<Key, ApiError> {
    if let Value::String(path) = value {
        let path = BucketsPath::parse(path)?;
        return Ok(Key {
            path,
            descending: false,
        });
    }
    let one = value.as_object().filter(|members| members.len() == 1);
    let Some((path, order)) = one.and_then(|members| members.iter().next()) else {
        return Err(malformed("sort", "START_OBJECT", value));
    };
    let order = match order {
        Value::Object(members) if members.len() == 1 => members.get("order").unwrap_or(order),
        order => order,
    };
    let descending = match scalar_text(order).unwrap_or_default().as_str() {
        "asc" => false,
        "desc" => true,
        other => {
            return Err(parsing(format!(
                "Unknown order [{other}] for [{path}] of bucket_sort, expected [asc] or [desc]"
            )));
        }
    };
    let path = BucketsPath::parse(path)?;
    Ok(Key { path, descending })
}

impl Pipeline for BucketSort {
    fn place(&self) -> Place {
        Place::InBuckets
    }

    fn paths(&self) -> Vec<&BucketsPath> {
        self.sort.iter().map(|key| &key.path).collect()
    }

    /// Buckets without any of the values to order by are left out.
    fn of_buckets(&self, _: &Own, list: &mut BucketList) -> Result<(), ApiError> {
        let values = self
            .sort
            .iter()
            .map(|key| list.values(&key.path, self.gaps));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let buckets = std::mem::take(&mut list.buckets).into_iter().enumerate();
        let mut kept: Vec<(usize, NamedBucket)> = buckets
            .filter(|(place, _)| {
                values.is_empty() || values.iter().any(|of_key| of_key[*place].is_some())
            })
            .collect();
        kept.sort_by(|(left, _), (right, _)| {
            let each = self.sort.iter().zip(&values).map(|(key, of_key)| {
                match (of_key[*left], of_key[*right]) {
                    (Some(left), Some(right)) if key.descending => right.total_cmp(&left),
                    (Some(left), Some(right)) => left.total_cmp(&right),
                    // What has none comes last.
                    (left, right) => right.is_some().cmp(&left.is_some()),
                }
            });
            each.into_iter()
                .find(|one| one.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        let kept = kept.into_iter().map(|(_, bucket)| bucket).skip(self.from);
        list.buckets = kept.take(self.size.unwrap_or(usize::MAX)).collect();
        Ok(())
    }
}
