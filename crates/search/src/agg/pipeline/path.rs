//! `buckets_path`. Source: Elasticsearch reference, "Pipeline aggregations" (buckets_path syntax).

use std::collections::HashMap;

use ringwall_api::{ApiError, ErrorCode};
use serde_json::{Map, Value};

use super::Place;
use crate::agg::kind::Shape;
use crate::agg::spec::Agg;

/// The way to a value: `histogram>filter>stats.avg`, `terms['key']>_count`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BucketsPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
struct Step {
    name: String,
    /// The one bucket that is meant.
    key: Option<String>,
}

impl BucketsPath {
    /// # Errors
    /// 400 for an empty path.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let invalid = || ApiError::validation(&[format!("Invalid path [{text}]")]);
        let mut steps = Vec::new();
        let parts: Vec<&str> = text.split('>').map(str::trim).collect();
        for (place, part) in parts.iter().enumerate() {
            let (name, key) = match part.split_once('[') {
                Some((name, key)) => {
                    let key = key.strip_suffix(']').ok_or_else(invalid)?;
                    (name, Some(key.trim_matches(['\'', '"']).to_owned()))
                }
                None => (*part, None),
            };
            // The last may name a value: `stats.avg`, `percentiles.99.9`.
            let (name, value) = match name.split_once('.') {
                Some((name, value)) if place + 1 == parts.len() => (name, Some(value)),
                _ => (name, None),
            };
            if name.is_empty() || value == Some("") {
                return Err(invalid());
            }
            let name = name.to_owned();
            steps.push(Step { name, key });
            steps.extend(value.map(|value| Step {
                name: value.to_owned(),
                key: None,
            }));
        }
        let text = text.to_owned();
        Ok(Self { text, steps })
    }

    /// Whether it ends at how many documents there are, which is no gap where there are none.
    pub(super) fn is_count(&self) -> bool {
        self.steps.last().is_some_and(|step| step.name == "_count")
    }

    /// Returns the aggregation that it begins at.
    pub(super) fn first(&self) -> Option<&str> {
        self.steps.first().map(|step| step.name.as_str())
    }

    /// Refuses a way to what is not there.
    pub(super) fn check(
        &self,
        level: &HashMap<&str, &Agg>,
        agg: &str,
        place: Place,
    ) -> Result<(), ApiError> {
        let text = &self.text;
        let mut has_buckets = false;
        let mut last: Option<&Agg> = None;
        for (number, step) in self.steps.iter().enumerate() {
            if step.name.starts_with('_') {
                break;
            }
            let found = match last {
                None => level.get(step.name.as_str()).copied(),
                Some(last) => last.subs.iter().find(|one| one.name == step.name),
            };
            let Some(found) = found else {
                // A value of the last aggregation.
                let is_value = last.is_some_and(|last| last.kind.shape() == Shape::Values)
                    && number + 1 == self.steps.len();
                let is_named = self.text.contains(&format!(".{}", step.name));
                if is_value && is_named {
                    break;
                }
                let problem = match number {
                    0 => format!("No aggregation found for path [{text}]"),
                    _ => format!("No aggregation [{}] found for path [{text}]", step.name),
                };
                return Err(ApiError::validation(&[problem]));
            };
            has_buckets |= found.kind.shape() == Shape::Buckets && step.key.is_none();
            last = Some(found);
        }
        if place == Place::Sibling && !has_buckets {
            let found = last.map_or("nothing", |last| last.type_name);
            return Err(ApiError::validation(&[format!(
                "Unable to find unqualified multi-bucket aggregation in buckets_path. Path must include a \
                 multi-bucket aggregation for aggregation [{agg}] found :{found} for buckets path: {text}"
            )]));
        }
        Ok(())
    }
}

/// The answers of the aggregations of one level.
#[derive(Clone, Copy)]
pub(crate) struct Answers<'a> {
    pub(super) body: &'a Map<String, Value>,
    /// Names are `type#name`.
    pub(super) typed: bool,
}

impl<'a> Answers<'a> {
    pub(in crate::agg) fn new(body: &'a Map<String, Value>, typed: bool) -> Self {
        Self { body, typed }
    }

    /// Visits the buckets that a path leads to from beside them: the name of each, itself, and the value in it.
    ///
    /// # Errors
    /// 400 when the path does not end at a number.
    pub(super) fn each_bucket(
        &self,
        path: &BucketsPath,
        mut visit: impl FnMut(String, &Map<String, Value>, Option<f64>),
    ) -> Result<(), ApiError> {
        let (mut level, mut steps) = (*self, path.steps.as_slice());
        while let Some((step, rest)) = steps.split_first() {
            let Some(found) = level.find(&step.name) else {
                return Ok(());
            };
            let Some(buckets) = found.get("buckets") else {
                // One bucket.
                (level.body, steps) = (found, rest);
                continue;
            };
            if let Some(key) = &step.key {
                let Some(bucket) = bucket_named(buckets, key) else {
                    return Ok(());
                };
                (level.body, steps) = (bucket, rest);
                continue;
            }
            let typed = self.typed;
            for (name, body) in named_buckets(buckets) {
                let inside = Answers { body, typed };
                let value = inside.value_at(rest, path)?;
                visit(name, body, value);
            }
            return Ok(());
        }
        Ok(())
    }

    /// Returns the number that a path leads to.
    ///
    /// # Errors
    /// 400 when it ends elsewhere.
    pub(super) fn value(&self, path: &BucketsPath) -> Result<Option<f64>, ApiError> {
        self.value_at(&path.steps, path)
    }

    fn value_at(&self, steps: &[Step], path: &BucketsPath) -> Result<Option<f64>, ApiError> {
        let no_number = |found: &str| {
            ApiError::new(
                ErrorCode::AggregationExecution,
                format!(
                    "buckets_path must reference either a number value or a single value numeric metric \
                     aggregation, got: [{found}] at aggregation [{}]",
                    path.text
                ),
            )
            .with_status(400)
        };
        let Some((step, rest)) = steps.split_first() else {
            return Err(no_number("bucket"));
        };
        if step.name == "_count" && rest.is_empty() {
            return Ok(self.body.get("doc_count").and_then(Value::as_f64));
        }
        if step.name == "_key" && rest.is_empty() {
            let key = self.body.get("key").and_then(Value::as_f64);
            return key.map(Some).ok_or_else(|| no_number("key"));
        }
        let Some(found) = self.find(&step.name) else {
            // It may have nothing to say of this bucket.
            return Ok(None);
        };
        let inside = Answers {
            body: found,
            typed: self.typed,
        };
        if let Some(buckets) = found.get("buckets") {
            return match (&step.key, rest) {
                (None, [last]) if last.name == "_bucket_count" => {
                    Ok(Some(named_buckets(buckets).len() as f64))
                }
                (Some(key), rest) => match bucket_named(buckets, key) {
                    Some(body) => Answers { body, ..inside }.value_at(rest, path),
                    None => Ok(None),
                },
                (None, _) => Err(no_number("buckets")),
            };
        }
        if found.contains_key("doc_count") && !rest.is_empty() {
            return inside.value_at(rest, path);
        }
        let value = match rest {
            [] => found.get("value"),
            [last] => found
                .get(&last.name)
                .or_else(|| percentile(found, &last.name)),
            _ => None,
        };
        match value {
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(Value::Null) => Ok(None),
            // What JSON cannot say.
            Some(Value::String(text))
                if ["NaN", "Infinity", "-Infinity"].contains(&text.as_str()) =>
            {
                Ok(None)
            }
            _ => Err(no_number("several values")),
        }
    }

    fn find(&self, name: &str) -> Option<&'a Map<String, Value>> {
        if !self.typed {
            return self.body.get(name)?.as_object();
        }
        let is_it = |key: &str| key.split_once('#').is_some_and(|(_, plain)| plain == name);
        let found = self.body.iter().find(|(key, _)| is_it(key))?;
        found.1.as_object()
    }
}

fn percentile<'a>(body: &'a Map<String, Value>, percent: &str) -> Option<&'a Value> {
    let wanted: f64 = percent.parse().ok()?;
    match body.get("values")? {
        Value::Object(keyed) => {
            let is_it = |key: &&String| key.parse::<f64>().is_ok_and(|key| key == wanted);
            keyed.get(keyed.keys().find(is_it)?)
        }
        Value::Array(list) => {
            let is_it = |one: &&Value| one["key"].as_f64() == Some(wanted);
            list.iter().find(is_it)?.get("value")
        }
        _ => None,
    }
}

/// Returns the buckets of an answer with their names.
fn named_buckets(buckets: &Value) -> Vec<(String, &Map<String, Value>)> {
    match buckets {
        Value::Object(keyed) => {
            let named = keyed.iter();
            named
                .filter_map(|(name, bucket)| Some((name.clone(), bucket.as_object()?)))
                .collect()
        }
        Value::Array(list) => {
            let bodies = list.iter().filter_map(Value::as_object);
            bodies.map(|body| (key_text(body), body)).collect()
        }
        _ => Vec::new(),
    }
}

fn bucket_named<'a>(buckets: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    let named = named_buckets(buckets).into_iter();
    named
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, body)| body)
}

fn key_text(bucket: &Map<String, Value>) -> String {
    let key = bucket.get("key_as_string").or_else(|| bucket.get("key"));
    match key {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
