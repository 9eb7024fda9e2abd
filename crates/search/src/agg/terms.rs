//! `terms`: a bucket for each value. Source: Elasticsearch reference, "Terms aggregation".

use std::collections::HashSet;
use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_index::schema::decode_ip;
use serde_json::{Map, Value};
use tantivy::DocId;
use tantivy::columnar::StrColumn;

use super::buckets::{Keyer, Names};
use super::build::{Builder, Given, Input, long_of};
use super::collector::{Collector, Nothing};
use super::kind::{Definition, Kind, Parsed, Shape};
use super::order::{self, Order, OrderBy};
use super::partial::{Bucket, Key, KeyKind, Partial, ValueFormat, doc_count};
use super::render::{Formatter, Renderer};
use super::spec::{Agg, ValueSource};
use super::table::ShardCut;
use crate::columns::{Numbers, Values};
use crate::control::Beat;
use crate::engine_error;
use crate::fields::FieldKind;
use crate::parse::{Object, scalar_text};
use crate::query::{PatternKind, TermPattern};
use crate::top::{NumberKind, stored_text};

#[derive(Debug)]
struct Terms {
    source: ValueSource,
    size: usize,
    cut: ShardCut,
    include: Option<TermFilter>,
    exclude: Option<TermFilter>,
}

/// Which terms make buckets.
#[derive(Debug)]
enum TermFilter {
    /// Exactly these values.
    Values(Vec<Value>),
    /// A Lucene regular expression over the whole term.
    Regexp(String),
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_format()?;
    let size = object.usize("size")?.unwrap_or(10);
    if size == 0 {
        return Err(ApiError::illegal_argument(
            "[size] must be greater than 0. Found [0] in [terms]",
        ));
    }
    let default_shard_size = size.saturating_mul(3) / 2 + 10;
    let shard_size = object.usize("shard_size")?.unwrap_or(default_shard_size);
    let min_doc_count = object.usize("min_doc_count")?.unwrap_or(1) as u64;
    let include = term_filter(&mut object, "include")?;
    let exclude = term_filter(&mut object, "exclude")?;
    let order = order::parse(
        object.take("order"),
        &[(OrderBy::Count, false), (OrderBy::Key, true)],
    )?;
    object.only("show_term_doc_count_error", "false")?;
    object.only("shard_min_doc_count", "0")?;
    // Both only choose a way of computing the same answer.
    object.text("execution_hint")?;
    object.text("collect_mode")?;
    object.finish()?;
    Ok(Arc::new(Terms {
        source,
        size,
        cut: ShardCut {
            shard_size: shard_size.max(size),
            min_doc_count,
            order,
        },
        include,
        exclude,
    }))
}

fn term_filter(object: &mut Object<'_>, key: &'static str) -> Result<Option<TermFilter>, ApiError> {
    match object.take(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(TermFilter::Values(items.clone()))),
        Some(Value::String(text)) => Ok(Some(TermFilter::Regexp(text.clone()))),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "[terms] supports an array of values or a regular expression for [{key}], got [{}]",
            crate::parse::token_name(other)
        ))),
    }
}

impl Kind for Terms {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn typed(&self, merged: &Partial) -> Option<&'static str> {
        Some(match merged {
            Partial::Buckets(buckets) => match buckets.keys {
                KeyKind::Text => "sterms",
                KeyKind::Long => "lterms",
                KeyKind::Double => "dterms",
            },
            _ => "umterms",
        })
    }

    fn order(&self) -> &[Order] {
        &self.cut.order
    }

    fn cut(&self) -> Option<&ShardCut> {
        Some(&self.cut)
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.input(&self.source)?;
        if let Some(field) = &input.field
            && field.kind == FieldKind::Point
        {
            return Err(builder.unsupported(field));
        }
        let is_text = match (&input.field, &self.source.missing) {
            (Some(field), _) => field.number_kind().is_none(),
            (None, Some(value)) => value.is_string(),
            (None, None) => return Ok(Box::new(Nothing)),
        };
        let format = builder.format(self.source.format.as_deref(), &input)?;
        if is_text {
            self.texts(builder, input, format)
        } else {
            let mut collector = builder.buckets(self.numbers(builder, input)?, 0)?;
            collector.format = format;
            Ok(Box::new(collector))
        }
    }

    fn render(
        &self,
        agg: &Agg,
        partial: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let merged = partial.buckets();
        if merged.mixed {
            return Err(ApiError::illegal_argument(format!(
                "Merging/Reducing the aggregations failed when computing the aggregation [{}] because the \
                 field you gave in the aggregation query existed as two different types in two different \
                 indices",
                agg.name
            )));
        }
        let mut buckets: Vec<Bucket> = merged
            .buckets
            .iter()
            .filter(|bucket| bucket.doc_count >= self.cut.min_doc_count)
            .cloned()
            .collect();
        order::sort(&agg.subs, &self.cut.order, &mut buckets);
        let rest = buckets.split_off(self.size.min(buckets.len()));
        let other = doc_count(&rest);
        let error = if merged.sources <= 1 {
            0
        } else {
            merged.error_bound
        };
        body.insert("doc_count_error_upper_bound".to_owned(), error.into());
        body.insert(
            "sum_other_doc_count".to_owned(),
            merged.other_doc_count.saturating_add(other).into(),
        );
        let text = Formatter::new(&merged.format)?;
        let mut rendered = Vec::with_capacity(buckets.len());
        for bucket in &buckets {
            renderer.count_bucket()?;
            let mut object = Map::new();
            object.insert("key".to_owned(), key_json(&bucket.key, &merged.format));
            if let Some(text) = text.key(&bucket.key) {
                object.insert("key_as_string".to_owned(), text.into());
            }
            renderer.bucket_body(agg, Some(bucket), &mut object)?;
            rendered.push(Value::Object(object));
        }
        body.insert("buckets".to_owned(), Value::Array(rendered));
        Ok(())
    }
}

fn key_json(key: &Key, format: &ValueFormat) -> Value {
    match key {
        Key::Text(text) if *format == ValueFormat::Ip => decode_ip(text)
            .map_or_else(|| text.clone(), |ip| ip.to_string())
            .into(),
        Key::Text(text) => text.clone().into(),
        Key::Long(value) => (*value).into(),
        Key::Unsigned(value) => (*value).into(),
        Key::Double(value) => (*value).into(),
    }
}

impl Terms {
    /// Terms of `_index`: all documents are in the bucket of its name, if that is wanted.
    fn index_name(&self, builder: &Builder<'_>) -> Result<Texts, ApiError> {
        let index = builder.shard.context.index;
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
        let included = self.include.as_ref().map_or(Ok(true), named)?;
        let excluded = self.exclude.as_ref().map_or(Ok(false), named)?;
        let missing = (included && !excluded)
            .then(|| MissingText::new(index.to_owned(), None))
            .transpose()?;
        Ok(Texts {
            column: None,
            accepted: None,
            missing,
            with_zero: false,
        })
    }

    fn texts(
        &self,
        builder: &Builder<'_>,
        input: Input<'_>,
        format: ValueFormat,
    ) -> Result<Box<dyn Collector>, ApiError> {
        let is_index = matches!(&input.field, Some(field) if field.kind == FieldKind::Index);
        let texts = match is_index {
            true => self.index_name(builder)?,
            false => self.column_texts(builder, input)?,
        };
        let expected = match &texts.column {
            Some(column) => column.num_terms(),
            None => usize::from(is_index),
        };
        let mut collector = builder.buckets(texts, expected)?;
        collector.format = format;
        Ok(Box::new(collector))
    }

    fn column_texts(&self, builder: &Builder<'_>, input: Input<'_>) -> Result<Texts, ApiError> {
        let column = match input.values {
            Values::Text(column) => Some(column),
            Values::None | Values::Same | Values::Number(_) => None,
        };
        let is_ip = input.field.is_some_and(|field| field.kind == FieldKind::Ip);
        let stored = |value: &Value| stored_text(&scalar_text(value).unwrap_or_default(), is_ip);
        let mut accepted = None;
        if let Some(column) = &column
            && (self.include.is_some() || self.exclude.is_some())
        {
            let mut set = match &self.include {
                Some(filter) => accepted_ords(column, filter, &stored, builder.shard.pulse.beat())?,
                None => (0..column.num_terms() as u64).collect(),
            };
            if let Some(filter) = &self.exclude {
                for ord in accepted_ords(column, filter, &stored, builder.shard.pulse.beat())? {
                    set.remove(&ord);
                }
            }
            accepted = Some(set);
        }
        // Buckets of zero documents are made of the dictionary, which also has what is hidden.
        if self.cut.min_doc_count == 0
            && let (Some(column), Some(reader)) = (&column, builder.reader)
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
        let missing = match &self.source.missing {
            Some(value) => Some(MissingText::new(stored(value), column.as_ref())?),
            None => None,
        };
        Ok(Texts {
            column,
            accepted,
            missing,
            with_zero: self.cut.min_doc_count == 0,
        })
    }

    fn numbers(&self, builder: &Builder<'_>, input: Input<'_>) -> Result<NumberTerms, ApiError> {
        let kind = match &input.field {
            Some(field) => field.number_kind().unwrap_or(NumberKind::Long),
            None if self.source.missing.as_ref().is_some_and(Value::is_f64) => NumberKind::Double,
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
                            format: None,
                        };
                        set.extend(builder.given(&source, &input)?.map(key));
                    }
                    Ok(Some(set))
                }
                Some(TermFilter::Regexp(_)) => Err(ApiError::illegal_argument(format!(
                    "Aggregation [{}] cannot support regular expression style include/exclude \
                     settings as they can only be applied to string fields. Use an array of values \
                     for include/exclude clauses",
                    builder.agg.name
                ))),
            }
        };
        Ok(NumberTerms {
            kind,
            include: keys(&self.include)?,
            exclude: keys(&self.exclude)?.unwrap_or_default(),
            missing: builder.given(&self.source, &input)?.map(key),
            numbers: input.values.into_numbers(),
        })
    }
}

/// The ordinals of the terms that a filter names.
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

/// The ordinals of the texts of a document.
struct Texts {
    column: Option<StrColumn>,
    /// Which ordinals make buckets; all when absent.
    accepted: Option<HashSet<u64>>,
    missing: Option<MissingText>,
    /// Terms without documents make buckets too (`min_doc_count` 0).
    with_zero: bool,
}

/// What stands for a missing text.
struct MissingText {
    key: u64,
    text: String,
}

impl MissingText {
    /// Documents without value join those that have the text itself.
    fn new(text: String, column: Option<&StrColumn>) -> Result<Self, ApiError> {
        let ord = match column {
            Some(column) => column.dictionary().term_ord(&text),
            None => Ok(None),
        };
        let key = ord.map_err(|e| engine_error(&e))?.unwrap_or(MISSING_ORD);
        Ok(Self { key, text })
    }
}

/// The key of documents without value when no document of the segment has the text.
const MISSING_ORD: u64 = u64::MAX;

impl Keyer for Texts {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        let mut any = false;
        if let Some(column) = &self.column {
            for ord in column.ords().values_for_doc(doc) {
                any = true;
                if self.accepted.as_ref().is_none_or(|set| set.contains(&ord)) {
                    keys.push(ord);
                }
            }
        }
        if !any && let Some(missing) = &self.missing {
            keys.push(missing.key);
        }
    }

    fn keys_are_in_order(&self) -> bool {
        self.missing.is_none()
    }

    fn keys_of_nothing(&self) -> Vec<u64> {
        let Some(column) = self.column.as_ref().filter(|_| self.with_zero) else {
            return Vec::new();
        };
        match &self.accepted {
            Some(set) => set.iter().copied().collect(),
            None => (0..column.num_terms() as u64).collect(),
        }
    }

    fn names(&self, mut wanted: Vec<u64>) -> Result<Names, ApiError> {
        wanted.retain(|ord| *ord != MISSING_ORD);
        wanted.sort_unstable();
        wanted.dedup();
        let mut texts = Vec::with_capacity(wanted.len());
        if let Some(column) = &self.column {
            column
                .dictionary()
                .sorted_ords_to_term_cb(&wanted, |term| {
                    texts.push(String::from_utf8_lossy(term).into_owned());
                })
                .map_err(|e| engine_error(&e))?;
        }
        Ok(Names::Texts {
            ords: wanted,
            texts,
            missing: self
                .missing
                .as_ref()
                .map(|missing| missing.text.clone())
                .unwrap_or_default(),
        })
    }
}

/// The values of a document.
struct NumberTerms {
    numbers: Option<Numbers>,
    kind: NumberKind,
    include: Option<HashSet<u64>>,
    exclude: HashSet<u64>,
    /// A key.
    missing: Option<u64>,
}

impl Keyer for NumberTerms {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        let mut any = false;
        let mut add = |key: u64| {
            any = true;
            let wanted = self.include.as_ref().is_none_or(|set| set.contains(&key));
            if wanted && !self.exclude.contains(&key) {
                keys.push(key);
            }
        };
        match (&self.numbers, self.kind) {
            (Some(numbers), NumberKind::Double) => {
                numbers.doubles(doc, |value| add(double_key(value)));
            }
            (Some(numbers), NumberKind::Unsigned) => numbers.unsigned(doc, add),
            (Some(numbers), NumberKind::Long) => {
                numbers.longs(doc, |value| add(value as u64));
            }
            (None, _) => {}
        }
        if !any && let Some(key) = &self.missing {
            keys.push(*key);
        }
    }

    fn names(&self, _: Vec<u64>) -> Result<Names, ApiError> {
        Ok(match self.kind {
            NumberKind::Double => Names::Doubles,
            NumberKind::Unsigned => Names::Unsigned,
            NumberKind::Long => Names::Longs,
        })
    }
}

/// The key of a double; both zeros are one key.
fn double_key(value: f64) -> u64 {
    if value == 0.0 {
        0.0f64.to_bits()
    } else {
        value.to_bits()
    }
}
