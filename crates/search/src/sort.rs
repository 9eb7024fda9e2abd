//! Sort keys: what is asked for, the values that cross nodes, and their order. Source: Elasticsearch reference, "Sort
//! search results".

use std::cmp::Ordering;

use ringwall_api::ApiError;
use ringwall_index::schema::decode_ip;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::parse::{Object, malformed, parsing, scalar_text};

/// One sort key of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    pub by: SortBy,
    pub ascending: bool,
}

/// What a key sorts by.
#[derive(Debug, Clone, PartialEq)]
pub enum SortBy {
    Score,
    /// The order of documents in the shard.
    Doc,
    /// The order of shards, and of documents in each: no two documents of a search are equal.
    ShardDoc,
    Field(Box<FieldSort>),
}

/// A sort by the values of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSort {
    pub field: String,
    /// Which of several values counts; by default the least when ascending, else the greatest.
    pub mode: Option<SortMode>,
    pub missing: Missing,
    /// The type assumed where the field is not mapped; without it that is an error.
    pub unmapped_type: Option<String>,
    /// A date format for the values in hits.
    pub format: Option<String>,
}

/// Which of several values of a document counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortMode {
    Min,
    Max,
    Sum,
    Avg,
    Median,
}

/// Where documents without a value go.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Missing {
    #[default]
    Last,
    First,
    Value(Value),
}

/// The value of one sort key of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SortValue {
    /// A text field without value; the flag says whether it sorts first.
    Missing {
        first: bool,
    },
    Long(i64),
    /// Beyond the range of a long.
    Unsigned(u64),
    Double(f64),
    Text(String),
    /// An encoded address, which sorts as addresses do.
    Ip(String),
    /// A date with its text in the format asked for.
    Formatted {
        millis: i64,
        text: String,
    },
}

impl SortValue {
    /// Returns the value of an unsigned long.
    pub(crate) fn unsigned(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Unsigned(value), Self::Long)
    }

    /// Returns the value as hits show it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Missing { .. } => Value::Null,
            Self::Long(value) => (*value).into(),
            Self::Unsigned(value) => (*value).into(),
            Self::Double(value) if value.is_infinite() => {
                let sign = if *value < 0.0 { "-" } else { "" };
                format!("{sign}Infinity").into()
            }
            Self::Double(value) => (*value).into(),
            Self::Ip(encoded) => decode_ip(encoded)
                .map_or_else(|| encoded.clone(), |ip| ip.to_string())
                .into(),
            Self::Text(text) | Self::Formatted { text, .. } => text.clone().into(),
        }
    }

    /// Compares two values of one key. Numbers come before texts when shards disagree on the type.
    pub fn compare(&self, other: &Self, ascending: bool) -> Ordering {
        let directed = |ordering: Ordering| {
            if ascending {
                ordering
            } else {
                ordering.reverse()
            }
        };
        match (self.missing_first(), other.missing_first()) {
            (Some(_), Some(_)) => return Ordering::Equal,
            (Some(first), None) if first => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (None, Some(first)) if first => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (None, None) => {}
        }
        match (self, other) {
            (Self::Text(left) | Self::Ip(left), Self::Text(right) | Self::Ip(right)) => {
                directed(left.cmp(right))
            }
            (Self::Text(_) | Self::Ip(_), _) => Ordering::Greater,
            (_, Self::Text(_) | Self::Ip(_)) => Ordering::Less,
            _ => match (self.whole(), other.whole()) {
                (Some(left), Some(right)) => directed(left.cmp(&right)),
                _ => directed(self.double().total_cmp(&other.double())),
            },
        }
    }

    fn missing_first(&self) -> Option<bool> {
        match self {
            Self::Missing { first } => Some(*first),
            _ => None,
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Long(value) | Self::Formatted { millis: value, .. } => Some((*value).into()),
            Self::Unsigned(value) => Some((*value).into()),
            _ => None,
        }
    }

    fn double(&self) -> f64 {
        match self {
            Self::Double(value) => *value,
            other => other.whole().map_or(0.0, |value| value as f64),
        }
    }
}

/// Compares the values of two documents key by key.
pub fn compare(sorts: &[Sort], left: &[SortValue], right: &[SortValue]) -> Ordering {
    sorts
        .iter()
        .zip(left.iter().zip(right))
        .map(|(sort, (left, right))| left.compare(right, sort.ascending))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Returns the values of a document as hits show them.
pub(crate) fn values_json(sorts: &[Sort], values: &[SortValue]) -> Vec<Value> {
    sorts
        .iter()
        .zip(values)
        .map(|(sort, value)| match (&sort.by, value) {
            (SortBy::Score, SortValue::Double(score)) => crate::score_json(*score as f32),
            (_, value) => value.to_json(),
        })
        .collect()
}

/// Returns whether hits are ordered by score alone, which needs no sort values.
pub fn is_score_only(sorts: &[Sort]) -> bool {
    match sorts {
        [] => true,
        [only] => only.by == SortBy::Score && !only.ascending,
        _ => false,
    }
}

/// Reads `sort`: a name, an object, or a list of them.
pub fn parse_sort(value: &Value) -> Result<Vec<Sort>, ApiError> {
    match value {
        Value::Array(items) => items.iter().try_fold(Vec::new(), |mut sorts, item| {
            sorts.extend(parse_item(item)?);
            Ok(sorts)
        }),
        one => parse_item(one),
    }
}

fn parse_item(value: &Value) -> Result<Vec<Sort>, ApiError> {
    match value {
        Value::String(text) => {
            // URL parameters use `field:direction`.
            let (field, order) = match text.rsplit_once(':') {
                Some((field, order @ ("asc" | "desc"))) => (field, Some(order)),
                _ => (text.as_str(), None),
            };
            Ok(vec![named(field, order)?])
        }
        Value::Object(members) => members
            .iter()
            .map(|(field, options)| match options {
                Value::Object(_) => with_options(field, options),
                other => {
                    let order = scalar_text(other)
                        .ok_or_else(|| malformed("sort", "START_OBJECT or VALUE_STRING", other))?;
                    named(field, Some(&order))
                }
            })
            .collect(),
        other => Err(parsing(format!(
            "malformed sort format, within the sort array, an object, or an actual string are \
             allowed, but found [{}]",
            crate::parse::token_name(other)
        ))),
    }
}

fn named(field: &str, order: Option<&str>) -> Result<Sort, ApiError> {
    let by = match field {
        "_score" => SortBy::Score,
        "_doc" => SortBy::Doc,
        "_shard_doc" => SortBy::ShardDoc,
        field => {
            if matches!(field, "_geo_distance" | "_script") {
                return Err(ApiError::illegal_argument(format!(
                    "sort by [{field}] is not supported"
                )));
            }
            SortBy::Field(Box::new(FieldSort {
                field: field.to_owned(),
                mode: None,
                missing: Missing::Last,
                unmapped_type: None,
                format: None,
            }))
        }
    };
    let ascending = match order.map(str::to_ascii_lowercase).as_deref() {
        Some("asc") => true,
        Some("desc") => false,
        Some(other) => {
            return Err(ApiError::illegal_argument(format!(
                "Unknown SortOrder [{other}], expected [asc] or [desc]"
            )));
        }
        None => by != SortBy::Score,
    };
    Ok(Sort { by, ascending })
}

fn with_options(field: &str, options: &Value) -> Result<Sort, ApiError> {
    let mut object = Object::new("sort", options)?;
    let order = object.text("order")?;
    let mut sort = named(field, order.as_deref())?;
    if let SortBy::Field(by) = &mut sort.by {
        by.mode = match object.text("mode")?.as_deref() {
            None => None,
            Some("min") => Some(SortMode::Min),
            Some("max") => Some(SortMode::Max),
            Some("sum") => Some(SortMode::Sum),
            Some("avg") => Some(SortMode::Avg),
            Some("median") => Some(SortMode::Median),
            Some(other) => {
                return Err(ApiError::illegal_argument(format!(
                    "Unknown SortMode [{other}], expected one of [min, max, sum, avg, median]"
                )));
            }
        };
        by.missing = match object.take("missing") {
            None => Missing::Last,
            Some(Value::String(text)) if text == "_last" => Missing::Last,
            Some(Value::String(text)) if text == "_first" => Missing::First,
            Some(value) => Missing::Value(value.clone()),
        };
        by.unmapped_type = object.text("unmapped_type")?;
        by.format = object.text("format")?;
    } else if sort.by != SortBy::Score {
        // Dashboards send the same options with every key; `_doc` is never missing or unmapped.
        object.text("unmapped_type")?;
        object.take("missing");
    }
    object.finish()?;
    Ok(sort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_of_sort() {
        let sorts = parse_sort(&json!(["_score", "a", "b:desc", {"c": "desc"},
            {"d": {"order": "asc", "mode": "max", "missing": "_first"}}, "_doc"]))
        .unwrap();
        let ascending: Vec<bool> = sorts.iter().map(|sort| sort.ascending).collect();
        assert_eq!(ascending, [false, true, false, false, true, true]);
        assert!(is_score_only(&parse_sort(&json!("_score")).unwrap()));
        for bad in [
            json!({"a": "up"}),
            json!({"a": {"oder": "asc"}}),
            json!([1]),
            json!("_script"),
        ] {
            assert!(parse_sort(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn missing_texts_go_where_asked_in_both_directions() {
        let text = SortValue::Text("a".into());
        let last = SortValue::Missing { first: false };
        let first = SortValue::Missing { first: true };
        for ascending in [true, false] {
            assert_eq!(text.compare(&last, ascending), Ordering::Less);
            assert_eq!(text.compare(&first, ascending), Ordering::Greater);
        }
        let (one, half) = (SortValue::Long(1), SortValue::Double(0.5));
        assert_eq!(one.compare(&half, true), Ordering::Greater);
        assert_eq!(one.compare(&half, false), Ordering::Less);
    }
}
