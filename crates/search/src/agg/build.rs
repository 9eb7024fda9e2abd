//! Aggregations on a segment: fields resolved, columns opened, filters run.

use ringwall_api::ApiError;
use ringwall_index::Leaf;
use ringwall_index::dates::DateFormat;
use serde_json::Value;
use tantivy::BitSet;

use super::buckets::{BucketCollector, Keyer};
use super::collector::{Collector, Nothing, NumberCollector, Tally};
use super::decimal::Decimal;
use super::partial::ValueFormat;
use super::spec::{Agg, ValueSource};
use crate::columns::Values;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::{f64_of, whole_of};
use crate::query::{Query, compile_root, date_value};
use crate::shard::Shard;
use crate::time::Zone;
use crate::visit::visit;

/// Prepares aggregations for the documents of a segment; without one they are only checked against
/// the mapping, and find nothing.
///
/// # Errors
/// 400 when an aggregation does not fit the mapping.
pub(crate) fn build(
    shard: &Shard<'_>,
    aggs: &[Agg],
    reader: Option<&Leaf<'_>>,
    segment: u32,
) -> Result<Vec<Box<dyn Collector>>, ApiError> {
    aggs.iter()
        .map(|agg| {
            shard.pulse.proceed()?;
            let builder = Builder {
                shard,
                reader,
                segment,
                agg,
            };
            agg.kind.collector(&builder)
        })
        .collect()
}

/// What kinds open on a segment.
pub(crate) struct Builder<'a> {
    pub(super) shard: &'a Shard<'a>,
    pub(super) reader: Option<&'a Leaf<'a>>,
    pub(super) segment: u32,
    pub(super) agg: &'a Agg,
}

/// A field as an aggregation reads it.
pub(super) struct Input<'a> {
    pub(super) field: Option<FieldRef<'a>>,
    pub(super) values: Values,
    pub(super) format: ValueFormat,
}

impl<'a> Builder<'a> {
    /// Returns the collector of buckets whose keys are numbers below `expected`, for the most.
    pub(super) fn buckets<K: Keyer + 'static>(
        &self,
        keyer: K,
        expected: usize,
    ) -> Result<BucketCollector<K>, ApiError> {
        let subs = build(self.shard, &self.agg.subs, self.reader, self.segment)?;
        BucketCollector::new(keyer, expected, subs, &self.shard.pulse)
    }

    /// Returns the collector of the numbers of a field.
    pub(super) fn numbers<T: Tally + 'static>(
        &self,
        source: &ValueSource,
        empty: T,
    ) -> Result<Box<dyn Collector>, ApiError> {
        let input = self.numeric_input(source)?;
        if input.field.is_none() && source.missing.is_none() {
            // The format is looked at all the same.
            self.format(source.format.as_deref(), &input)?;
            return Ok(Box::new(Nothing));
        }
        let format = self.format(source.format.as_deref(), &input)?;
        let missing = self.missing_number(source, &input)?;
        let numbers = input.values.into_numbers();
        let pulse = &self.shard.pulse;
        Ok(Box::new(NumberCollector::new(
            numbers, missing, format, empty, pulse,
        )))
    }

    /// Returns the values of a field.
    ///
    /// # Errors
    /// 400 when it keeps none that can be aggregated.
    pub(super) fn input(&self, source: &ValueSource) -> Result<Input<'a>, ApiError> {
        let Some(field) = self.shard.field(&source.field) else {
            return Ok(Input {
                field: None,
                values: Values::None,
                format: ValueFormat::Plain,
            });
        };
        if let FieldKind::Range(_) = field.kind {
            return Err(self.unsupported(&field));
        }
        field.check_doc_values()?;
        Ok(Input {
            values: match self.reader {
                Some(reader) => field.values(reader)?,
                None => Values::None,
            },
            format: field.value_format(),
            field: Some(field),
        })
    }

    /// [`Builder::input`] of numbers, dates and booleans only.
    pub(super) fn numeric_input(&self, source: &ValueSource) -> Result<Input<'a>, ApiError> {
        let input = self.input(source)?;
        if let Some(field) = &input.field
            && field.number_kind().is_none()
        {
            return Err(self.unsupported(field));
        }
        Ok(input)
    }

    /// Returns the 400 of a field whose values the aggregation does not take.
    pub(super) fn unsupported(&self, field: &FieldRef<'_>) -> ApiError {
        ApiError::illegal_argument(format!(
            "Field [{}] of type [{}] is not supported for aggregation [{}]",
            field.name,
            field.type_name(),
            self.agg.type_name
        ))
    }

    /// `missing` as a double.
    pub(super) fn missing_number(
        &self,
        source: &ValueSource,
        input: &Input<'_>,
    ) -> Result<Option<f64>, ApiError> {
        Ok(self.given(source, input)?.map(|given| given.double))
    }

    /// `missing` as a number; dates by the format of the field.
    pub(super) fn given(
        &self,
        source: &ValueSource,
        input: &Input<'_>,
    ) -> Result<Option<Given>, ApiError> {
        let Some(value) = &source.missing else {
            return Ok(None);
        };
        if let Some(format) = input.field.as_ref().and_then(FieldRef::dates) {
            let millis = date_value(self.shard, format, &Zone::default(), value, false)?;
            return Ok(Some(Given::of_long(millis)));
        }
        match value {
            Value::Bool(flag) => Ok(Some(Given::of_long(i64::from(*flag)))),
            Value::String(text) if text == "true" => Ok(Some(Given::of_long(1))),
            Value::String(text) if text == "false" => Ok(Some(Given::of_long(0))),
            other => Ok(Some(Given {
                double: f64_of(&self.agg.name, "missing", other)?,
                whole: whole_of(&self.agg.name, "missing", other)?,
            })),
        }
    }

    /// Returns how values of an answer read: as the request says, or the field.
    ///
    /// # Errors
    /// 400 for a format that is none, or that the field does not have.
    pub(super) fn format(
        &self,
        format: Option<&str>,
        input: &Input<'_>,
    ) -> Result<ValueFormat, ApiError> {
        let Some(format) = format else {
            return Ok(input.format.clone());
        };
        match (&input.format, &input.field) {
            (ValueFormat::Date { zone, .. }, _) => {
                DateFormat::compile(format)?;
                Ok(ValueFormat::Date {
                    format: format.to_owned(),
                    zone: zone.clone(),
                })
            }
            (own, Some(field)) if *own != ValueFormat::Plain || field.number_kind().is_none() => {
                Err(field.no_formats())
            }
            _ => {
                Decimal::parse(format)?;
                Ok(ValueFormat::Decimal(format.to_owned()))
            }
        }
    }

    /// Resolves a date of the request by the format of the aggregation or field.
    pub(super) fn date(
        &self,
        format: Option<&str>,
        input: &Input<'_>,
        zone: &Zone,
        value: &Value,
    ) -> Result<i64, ApiError> {
        let own = match (format, input.field.as_ref().and_then(FieldRef::dates)) {
            (Some(format), _) => DateFormat::compile(format)?,
            (None, Some(format)) => format.clone(),
            (None, None) => DateFormat::default(),
        };
        date_value(self.shard, &own, zone, value, false)
    }

    /// Returns how the dates of an answer read: by the format of the aggregation or field.
    pub(super) fn date_format(
        &self,
        format: Option<&str>,
        input: &Input<'_>,
        zone: &Zone,
    ) -> ValueFormat {
        let own = match (format, &input.format) {
            (Some(format), _) => format.to_owned(),
            (None, ValueFormat::Date { format, .. }) => format.clone(),
            (None, _) => DateFormat::default().spec().to_owned(),
        };
        ValueFormat::Date {
            format: own,
            zone: zone.text().to_owned(),
        }
    }

    /// The documents of the segment that match a query.
    pub(super) fn matching(&self, query: &Query) -> Result<BitSet, ApiError> {
        let compiled = compile_root(self.shard, query)?;
        let weight = self.shard.searcher().weight(compiled.as_ref(), false);
        let weight = weight.map_err(|e| engine_error(&e))?;
        let Some(reader) = self.reader else {
            return Ok(BitSet::with_max_value(0));
        };
        let mut docs = BitSet::with_max_value(reader.max_doc());
        let pulse = &self.shard.pulse;
        visit(
            weight.as_ref(),
            reader,
            false,
            &mut pulse.beat(),
            |doc, _| {
                docs.insert(doc);
                true
            },
        )?;
        // Half of a filter is none.
        pulse.proceed()?;
        Ok(docs)
    }
}

/// A number of a request, exactly as far as it is whole.
pub(super) struct Given {
    pub(super) double: f64,
    pub(super) whole: i128,
}

impl Given {
    fn of_long(value: i64) -> Self {
        Self {
            double: value as f64,
            whole: value.into(),
        }
    }
}

/// The nearest long.
pub(super) fn long_of(whole: i128) -> i64 {
    i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
}
