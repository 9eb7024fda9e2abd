//! Aggregations on a segment: fields resolved, columns opened, filters run.

use std::collections::HashSet;

use ringwall_api::ApiError;
use ringwall_index::Leaf;
use ringwall_index::dates::DateFormat;
use serde_json::Value;
use tantivy::BitSet;

use super::block::Block;
use super::collect::{BucketState, Node, State, hash_double, hash_long};
use super::keyer::{Keyer, MissingText, double_key};
use super::partial::ValueFormat;
use super::sketch::{hash_bytes, hash_u64};
use super::spec::*;
use super::table::BucketTable;
use super::top_hits::{TopHitsCollector, tracks_scores};
use crate::columns::Values;
use crate::control::Beat;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::{f64_of, scalar_text, whole_of};
use crate::query::ast::PatternKind;
use crate::query::{Query, TermPattern, compile_root, date_value};
use crate::shard::Shard;
use crate::sort::SortBy;
use crate::time::Zone;
use crate::top::{NumberKind, stored_text};
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
) -> Result<Vec<Node>, ApiError> {
    aggs.iter()
        .map(|agg| {
            shard.pulse.proceed()?;
            let builder = Builder {
                shard,
                reader,
                segment,
                agg,
            };
            builder.state().map(|state| Node { state })
        })
        .collect()
}

/// Tells whether an aggregation needs the scores of documents.
pub(crate) fn uses_scores(aggs: &[Agg]) -> bool {
    aggs.iter().any(|agg| {
        let own = match &agg.kind {
            AggKind::TopHits(spec) => {
                tracks_scores(&spec.source)
                    || spec.source.sort.iter().any(|sort| sort.by == SortBy::Score)
            }
            _ => false,
        };
        own || uses_scores(&agg.subs)
    })
}

struct Builder<'a> {
    shard: &'a Shard<'a>,
    reader: Option<&'a Leaf<'a>>,
    segment: u32,
    agg: &'a Agg,
}

/// A field as an aggregation reads it.
struct Input<'a> {
    field: Option<FieldRef<'a>>,
    values: Values,
    format: ValueFormat,
}

impl<'a> Builder<'a> {
    fn state(&self) -> Result<State, ApiError> {
        match &self.agg.kind {
            AggKind::Metric { kind, source } => self.metric(*kind, source),
            AggKind::Cardinality {
                source,
                precision_threshold,
            } => {
                let input = self.input(source)?;
                Ok(State::Distinct {
                    missing: self.missing_hash(source, &input)?,
                    values: input.values,
                    ords: Vec::new(),
                    sketches: Vec::new(),
                    threshold: *precision_threshold,
                })
            }
            AggKind::Percentiles {
                source,
                compression,
                ..
            } => {
                let input = self.numeric_input(source)?;
                Ok(State::Quantiles {
                    missing: self.missing_number(source, &input)?,
                    numbers: input.values.into_numbers(),
                    sketches: Vec::new(),
                    compression: *compression,
                    format: input.format,
                })
            }
            AggKind::Terms(spec) => self.terms(spec),
            AggKind::Histogram(spec) => {
                let input = self.numeric_input(&spec.source)?;
                let keyer = Keyer::Histogram {
                    missing: self.missing_number(&spec.source, &input)?,
                    numbers: input.values.into_numbers(),
                    spec: spec.clone(),
                };
                self.buckets(keyer, 0, ValueFormat::Plain)
            }
            AggKind::DateHistogram(spec) => self.date_histogram(spec),
            AggKind::Range(spec) => self.ranges(spec),
            AggKind::Filter(query) => {
                let keyer = Keyer::Filters {
                    filters: vec![self.matching(query)?],
                    other: false,
                };
                self.buckets(keyer, 1, ValueFormat::Plain)
            }
            AggKind::Filters(spec) => {
                let filters = spec
                    .filters
                    .iter()
                    .map(|(_, query)| self.matching(query))
                    .collect::<Result<Vec<_>, _>>()?;
                let slots = filters.len() + 1;
                let keyer = Keyer::Filters {
                    filters,
                    other: spec.other.is_some(),
                };
                self.buckets(keyer, slots, ValueFormat::Plain)
            }
            AggKind::Missing { field } => {
                let input = self.input(&ValueSource {
                    field: field.clone(),
                    missing: None,
                })?;
                self.buckets(Keyer::Without(input.values), 1, ValueFormat::Plain)
            }
            AggKind::Global => self.buckets(Keyer::All, 1, ValueFormat::Plain),
            AggKind::TopHits(spec) => self.top_hits(spec),
        }
    }

    fn buckets(
        &self,
        keyer: Keyer,
        expected: usize,
        format: ValueFormat,
    ) -> Result<State, ApiError> {
        let table = BucketTable::new(expected);
        self.shard.pulse.charge(table.dense_bytes())?;
        Ok(State::Buckets(Box::new(BucketState {
            keyer,
            charged: 0,
            table,
            beat: self.shard.pulse.beat(),
            waiting: Block::default(),
            subs: build(self.shard, &self.agg.subs, self.reader, self.segment)?,
            keys: Vec::new(),
            overflow: false,
            format,
            bounds: Vec::new(),
            zero_buckets: false,
        })))
    }

    fn input(&self, source: &ValueSource) -> Result<Input<'a>, ApiError> {
        let Some(field) = self.shard.field(&source.field) else {
            return Ok(Input {
                field: None,
                values: Values::None,
                format: ValueFormat::Plain,
            });
        };
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

    fn numeric_input(&self, source: &ValueSource) -> Result<Input<'a>, ApiError> {
        let input = self.input(source)?;
        if let Some(field) = &input.field
            && field.number_kind().is_none()
        {
            return Err(self.unsupported(field));
        }
        Ok(input)
    }

    fn unsupported(&self, field: &FieldRef<'_>) -> ApiError {
        ApiError::illegal_argument(format!(
            "Field [{}] of type [{}] is not supported for aggregation [{}]",
            field.name,
            field.type_name(),
            self.agg.name
        ))
    }

    /// `missing` as a double.
    fn missing_number(
        &self,
        source: &ValueSource,
        input: &Input<'_>,
    ) -> Result<Option<f64>, ApiError> {
        Ok(self.given(source, input)?.map(|given| given.double))
    }

    /// `missing` as a number; dates by the format of the field.
    fn given(&self, source: &ValueSource, input: &Input<'_>) -> Result<Option<Given>, ApiError> {
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

    fn missing_hash(
        &self,
        source: &ValueSource,
        input: &Input<'_>,
    ) -> Result<Option<u64>, ApiError> {
        if matches!(&input.field, Some(field) if field.kind == FieldKind::Index) {
            // Stands for the one value that every document has.
            return Ok(Some(hash_bytes(self.shard.context.index.as_bytes())));
        }
        let Some(value) = &source.missing else {
            return Ok(None);
        };
        let is_text = match &input.field {
            Some(field) => field.number_kind().is_none(),
            None => value.is_string(),
        };
        if is_text {
            let is_ip = input
                .field
                .as_ref()
                .is_some_and(|field| field.kind == FieldKind::Ip);
            let text = stored_text(&scalar_text(value).unwrap_or_default(), is_ip);
            return Ok(Some(hash_bytes(text.as_bytes())));
        }
        let kind = input.field.as_ref().and_then(FieldRef::number_kind);
        Ok(self.given(source, input)?.map(|given| match kind {
            Some(NumberKind::Long) => hash_long(long_of(given.whole)),
            Some(NumberKind::Unsigned) => {
                hash_u64(u64::try_from(given.whole.max(0)).unwrap_or(u64::MAX))
            }
            Some(NumberKind::Double) | None => hash_double(given.double),
        }))
    }

    fn metric(&self, kind: MetricKind, source: &ValueSource) -> Result<State, ApiError> {
        if kind == MetricKind::ValueCount {
            let input = self.input(source)?;
            return Ok(State::Count {
                values: input.values,
                missing: source.missing.is_some(),
                counts: Vec::new(),
            });
        }
        let input = self.numeric_input(source)?;
        if input.field.is_none() && source.missing.is_none() {
            return Ok(State::Nothing);
        }
        Ok(State::Stats {
            missing: self.missing_number(source, &input)?,
            numbers: input.values.into_numbers(),
            stats: Vec::new(),
            format: input.format,
        })
    }

    fn terms(&self, spec: &TermsSpec) -> Result<State, ApiError> {
        let input = self.input(&spec.source)?;
        if let Some(field) = &input.field
            && field.kind == FieldKind::Point
        {
            return Err(self.unsupported(field));
        }
        let is_text = match (&input.field, &spec.source.missing) {
            (Some(field), _) => field.number_kind().is_none(),
            (None, Some(value)) => value.is_string(),
            (None, None) => return Ok(State::Nothing),
        };
        let format = match (&spec.format, input.format.clone()) {
            (None, format) => format,
            (Some(format), ValueFormat::Date { zone, .. }) => {
                DateFormat::compile(format)?;
                ValueFormat::Date {
                    format: format.clone(),
                    zone,
                }
            }
            (Some(_), _) => {
                return Err(ApiError::illegal_argument(format!(
                    "[format] of aggregation [{}] is supported on date fields only",
                    self.agg.name
                )));
            }
        };
        let (keyer, expected) = if is_text {
            self.text_terms(spec, input)?
        } else {
            (self.number_terms(spec, input)?, 0)
        };
        let mut state = self.buckets(keyer, expected, format)?;
        if let State::Buckets(state) = &mut state {
            state.zero_buckets = spec.min_doc_count == 0;
        }
        Ok(state)
    }

    /// Terms of `_index`: all documents are in the bucket of its name, if that is wanted.
    fn index_terms(&self, spec: &TermsSpec) -> Result<Keyer, ApiError> {
        let index = self.shard.context.index;
        let named = |filter: &TermFilter| -> Result<bool, ApiError> {
            Ok(match filter {
                TermFilter::Values(values) => values
                    .iter()
                    .filter_map(scalar_text)
                    .any(|name| name == index),
                TermFilter::Regexp(pattern) => {
                    TermPattern::compile(PatternKind::Regexp, pattern, false)?.is_match(index)
                }
            })
        };
        let included = spec.include.as_ref().map_or(Ok(true), named)?;
        let excluded = spec.exclude.as_ref().map_or(Ok(false), named)?;
        let missing = (included && !excluded)
            .then(|| MissingText::new(index.to_owned(), None))
            .transpose()?;
        Ok(Keyer::Texts {
            column: None,
            accepted: None,
            missing,
        })
    }

    fn text_terms(&self, spec: &TermsSpec, input: Input<'_>) -> Result<(Keyer, usize), ApiError> {
        if matches!(&input.field, Some(field) if field.kind == FieldKind::Index) {
            return self.index_terms(spec).map(|keyer| (keyer, 1));
        }
        let column = match input.values {
            Values::Text(column) => Some(column),
            Values::None | Values::Same | Values::Number(_) => None,
        };
        let is_ip = input.field.is_some_and(|field| field.kind == FieldKind::Ip);
        let stored = |value: &Value| stored_text(&scalar_text(value).unwrap_or_default(), is_ip);
        let mut accepted = None;
        if let Some(column) = &column
            && (spec.include.is_some() || spec.exclude.is_some())
        {
            let mut set = match &spec.include {
                Some(filter) => accepted_ords(column, filter, &stored, self.shard.pulse.beat())?,
                None => (0..column.num_terms() as u64).collect(),
            };
            if let Some(filter) = &spec.exclude {
                for ord in accepted_ords(column, filter, &stored, self.shard.pulse.beat())? {
                    set.remove(&ord);
                }
            }
            accepted = Some(set);
        }
        // Buckets of zero documents are made of the dictionary, which also has what is hidden.
        if spec.min_doc_count == 0
            && let (Some(column), Some(reader)) = (&column, self.reader)
            && reader.is_filtered()
        {
            let shown: HashSet<u64> = reader
                .docs()
                .flat_map(|doc| column.ords().values_for_doc(doc))
                .collect();
            accepted = Some(match accepted {
                Some(accepted) => accepted.intersection(&shown).copied().collect(),
                None => shown,
            });
        }
        let expected = column.as_ref().map_or(0, |column| column.num_terms());
        let missing = match &spec.source.missing {
            Some(value) => Some(MissingText::new(stored(value), column.as_ref())?),
            None => None,
        };
        let keyer = Keyer::Texts {
            column,
            accepted,
            missing,
        };
        Ok((keyer, expected))
    }

    fn number_terms(&self, spec: &TermsSpec, input: Input<'_>) -> Result<Keyer, ApiError> {
        let kind = match &input.field {
            Some(field) => field.number_kind().unwrap_or(NumberKind::Long),
            None if spec.source.missing.as_ref().is_some_and(Value::is_f64) => NumberKind::Double,
            None => NumberKind::Long,
        };
        let key = |number: Given| match kind {
            NumberKind::Double => double_key(number.double),
            NumberKind::Unsigned => u64::try_from(number.whole.max(0)).unwrap_or(u64::MAX),
            NumberKind::Long => long_of(number.whole).cast_unsigned(),
        };
        let keys = |filter: &Option<TermFilter>| -> Result<Option<HashSet<u64>>, ApiError> {
            match filter {
                None => Ok(None),
                Some(TermFilter::Values(values)) => {
                    let mut set = HashSet::new();
                    for value in values {
                        let source = ValueSource {
                            field: String::new(),
                            missing: Some(value.clone()),
                        };
                        set.extend(self.given(&source, &input)?.map(key));
                    }
                    Ok(Some(set))
                }
                Some(TermFilter::Regexp(_)) => Err(ApiError::illegal_argument(format!(
                    "Aggregation [{}] cannot support regular expression style include/exclude \
                     settings as they can only be applied to string fields. Use an array of values \
                     for include/exclude clauses",
                    self.agg.name
                ))),
            }
        };
        Ok(Keyer::Numbers {
            kind,
            include: keys(&spec.include)?,
            exclude: keys(&spec.exclude)?.unwrap_or_default(),
            missing: self.given(&spec.source, &input)?.map(key),
            numbers: input.values.into_numbers(),
        })
    }

    /// Resolves a date of the request by the format of the aggregation or field.
    fn date(
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

    fn date_format(&self, format: Option<&str>, input: &Input<'_>, zone: &Zone) -> ValueFormat {
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

    fn date_histogram(&self, spec: &DateHistogramSpec) -> Result<State, ApiError> {
        let input = self.numeric_input(&spec.source)?;
        let format = self.date_format(spec.format.as_deref(), &input, &spec.zone);
        if let Some(format) = &spec.format {
            DateFormat::compile(format)?;
        }
        let end = |value: &Value| -> Result<Option<i64>, ApiError> {
            if value.is_null() {
                return Ok(None);
            }
            // Bounds given as numbers are milliseconds, whatever the format.
            if let Some(millis) = value.as_i64() {
                return Ok(Some(millis));
            }
            self.date(spec.format.as_deref(), &input, &spec.zone, value)
                .map(Some)
        };
        let bounds = match &spec.extended_bounds {
            Some((min, max)) => {
                let (min, max) = (end(min)?, end(max)?);
                if matches!((min, max), (Some(min), Some(max)) if min > max) {
                    return Err(ApiError::illegal_argument(format!(
                        "[extended_bounds.min] cannot be greater than [extended_bounds.max] for \
                         histogram aggregation [{}]",
                        self.agg.name
                    )));
                }
                vec![(min.map(|v| v as f64), max.map(|v| v as f64))]
            }
            None => Vec::new(),
        };
        let hard_bounds = match &spec.hard_bounds {
            Some((min, max)) => (end(min)?.unwrap_or(i64::MIN), end(max)?.unwrap_or(i64::MAX)),
            None => (i64::MIN, i64::MAX),
        };
        let missing = self.missing_number(&spec.source, &input)?;
        let keyer = Keyer::DateHistogram {
            numbers: input.values.into_numbers(),
            spec: Box::new(spec.clone()),
            missing: missing.map(|millis| millis as i64),
            hard_bounds,
            last: (0, 0),
        };
        let mut state = self.buckets(keyer, 0, format)?;
        if let State::Buckets(state) = &mut state {
            state.bounds = bounds;
        }
        Ok(state)
    }

    fn ranges(&self, spec: &RangeSpec) -> Result<State, ApiError> {
        let input = self.numeric_input(&spec.source)?;
        let zone = Zone::parse_or_utc(spec.zone.as_deref())?;
        let format = if spec.date {
            self.date_format(spec.format.as_deref(), &input, &zone)
        } else {
            ValueFormat::Plain
        };
        let mut bounds = Vec::with_capacity(spec.ranges.len());
        for item in &spec.ranges {
            let end = |value: &Option<Value>| -> Result<Option<f64>, ApiError> {
                match value {
                    Some(value) if spec.date => self
                        .date(spec.format.as_deref(), &input, &zone, value)
                        .map(|millis| Some(millis as f64)),
                    Some(value) => Ok(value.as_f64()),
                    None => Ok(None),
                }
            };
            bounds.push((end(&item.from)?, end(&item.to)?));
        }
        let keyer = Keyer::Ranges {
            ranges: bounds
                .iter()
                .map(|(from, to)| {
                    (
                        from.unwrap_or(f64::NEG_INFINITY),
                        to.unwrap_or(f64::INFINITY),
                    )
                })
                .collect(),
            missing: self.missing_number(&spec.source, &input)?,
            numbers: input.values.into_numbers(),
        };
        let mut state = self.buckets(keyer, bounds.len(), format)?;
        if let State::Buckets(state) = &mut state {
            state.bounds = bounds;
        }
        Ok(state)
    }

    /// The documents of the segment that match a query.
    fn matching(&self, query: &Query) -> Result<BitSet, ApiError> {
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

    fn top_hits(&self, spec: &TopHitsSpec) -> Result<State, ApiError> {
        let keys =
            crate::phase::segment_keys(self.shard, &spec.source.sort, self.reader, self.segment)?;
        Ok(State::TopHits(Box::new(TopHitsCollector {
            source: spec.source.clone(),
            segment: self.segment,
            keys,
            collectors: Vec::new(),
            failure: None,
        })))
    }
}

fn accepted_ords(
    column: &tantivy::columnar::StrColumn,
    filter: &TermFilter,
    stored: &dyn Fn(&Value) -> String,
    mut beat: Beat,
) -> Result<HashSet<u64>, ApiError> {
    let mut ords = HashSet::new();
    match filter {
        TermFilter::Values(values) => {
            for value in values {
                let ord = column.dictionary().term_ord(stored(value));
                ords.extend(ord.map_err(|e| engine_error(&e))?);
            }
        }
        TermFilter::Regexp(pattern) => {
            let pattern = TermPattern::compile(PatternKind::Regexp, pattern, false)?;
            let mut stream = column.dictionary().stream().map_err(|e| engine_error(&e))?;
            while stream.advance() {
                if !beat.step() {
                    break;
                }
                if std::str::from_utf8(stream.key()).is_ok_and(|term| pattern.is_match(term)) {
                    ords.insert(stream.term_ord());
                }
            }
        }
    }
    Ok(ords)
}

/// A number of a request, exactly as far as it is whole.
struct Given {
    double: f64,
    whole: i128,
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
fn long_of(whole: i128) -> i64 {
    i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
}
