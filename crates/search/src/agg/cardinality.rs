//! `cardinality`: how many distinct values there are. Source: Elasticsearch reference, "Cardinality aggregation".

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::block::Entry;
use super::build::{Builder, Input, long_of};
use super::collector::{Collector, grow};
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::Partial;
use super::render::Renderer;
use super::sketch::{Distinct, HashedSet, hash_bytes, hash_u64};
use super::spec::{Agg, ValueSource};
use crate::columns::Values;
use crate::engine_error;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::scalar_text;
use crate::top::{NumberKind, stored_text};

#[derive(Debug)]
struct Cardinality {
    source: ValueSource,
    precision_threshold: u32,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_source()?;
    let threshold = object.i64("precision_threshold")?.unwrap_or(3_000);
    object.finish()?;
    if threshold < 0 {
        return Err(ApiError::illegal_argument(format!(
            "[precisionThreshold] must be greater than or equal to 0. Found [{threshold}] in [{}]",
            given.agg
        )));
    }
    Ok(Arc::new(Cardinality {
        source,
        precision_threshold: threshold.min(40_000) as u32,
    }))
}

impl Cardinality {
    fn estimate(partial: &Partial) -> u64 {
        match partial {
            Partial::Distinct(sketch) => sketch.estimate(),
            _ => 0,
        }
    }

    /// The hash of what stands for documents without value.
    fn missing_hash(
        &self,
        builder: &Builder<'_>,
        input: &Input<'_>,
    ) -> Result<Option<u64>, ApiError> {
        if matches!(&input.field, Some(field) if field.kind == FieldKind::Index) {
            // Stands for the one value that every document has.
            return Ok(Some(hash_bytes(builder.shard.context.index.as_bytes())));
        }
        let Some(value) = &self.source.missing else {
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
        Ok(builder.given(&self.source, input)?.map(|given| match kind {
            Some(NumberKind::Long) => hash_long(long_of(given.whole)),
            Some(NumberKind::Unsigned) => {
                hash_u64(u64::try_from(given.whole.max(0)).unwrap_or(u64::MAX))
            }
            Some(NumberKind::Double) | None => hash_double(given.double),
        }))
    }
}

impl Kind for Cardinality {
    fn shape(&self) -> Shape {
        Shape::Values
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.input(&self.source)?;
        Ok(Box::new(Counter {
            missing: self.missing_hash(builder, &input)?,
            values: input.values,
            ords: Vec::new(),
            sketches: Vec::new(),
            threshold: self.precision_threshold,
        }))
    }

    fn render(
        &self,
        _: &Agg,
        merged: &Partial,
        _: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        body.insert("value".to_owned(), Self::estimate(merged).into());
        Ok(())
    }

    fn is_sortable(&self, value: Option<&str>) -> bool {
        matches!(value, None | Some("value"))
    }

    fn sort_value(&self, partial: &Partial, _: Option<&str>) -> f64 {
        Self::estimate(partial) as f64
    }
}

/// Counts the distinct values of documents.
struct Counter {
    values: Values,
    /// A hash.
    missing: Option<u64>,
    /// Ordinals of texts, hashed only at the end.
    ords: Vec<HashedSet>,
    sketches: Vec<Distinct>,
    threshold: u32,
}

impl Collector for Counter {
    fn bytes_each(&self) -> u64 {
        (size_of::<Distinct>() + size_of::<HashedSet>()) as u64
    }

    fn collect(&mut self, block: &[Entry]) {
        for entry in block {
            let new = || Distinct::new(self.threshold);
            let sketch = grow(&mut self.sketches, entry.bucket, new);
            collect_one(&self.values, self.missing, *entry, sketch, &mut self.ords);
        }
    }

    fn finish(mut self: Box<Self>, _: &Agg, _: usize, _: bool) -> Result<Vec<Partial>, ApiError> {
        self.ords
            .resize_with(self.sketches.len(), HashedSet::default);
        self.sketches
            .into_iter()
            .zip(self.ords)
            .map(|(sketch, ords)| finish_one(&self.values, sketch, ords))
            .collect()
    }
}

fn collect_one(
    values: &Values,
    missing: Option<u64>,
    Entry { doc, bucket, .. }: Entry,
    sketch: &mut Distinct,
    ords: &mut Vec<HashedSet>,
) {
    let mut any = false;
    match values {
        // The only value of `_index` is given as `missing`.
        Values::None | Values::Same => {}
        Values::Text(column) => {
            let ords = grow(ords, bucket, HashedSet::default);
            for ord in column.ords().values_for_doc(doc) {
                any = true;
                ords.insert(ord);
            }
        }
        Values::Number(numbers) if numbers.is_unsigned() => numbers.unsigned(doc, |value| {
            any = true;
            sketch.insert(hash_u64(value));
        }),
        Values::Number(numbers) if numbers.is_integer() => numbers.longs(doc, |value| {
            any = true;
            sketch.insert(hash_long(value));
        }),
        Values::Number(numbers) => numbers.doubles(doc, |value| {
            any = true;
            sketch.insert(hash_double(value));
        }),
    }
    if !any && let Some(hash) = missing {
        sketch.insert(hash);
    }
}

/// The hash of an integer; equal doubles hash alike.
fn hash_long(value: i64) -> u64 {
    hash_u64(value as u64)
}

/// The hash of a double; whole numbers hash as integers.
fn hash_double(value: f64) -> u64 {
    let whole = value as i64;
    if whole as f64 == value {
        hash_long(whole)
    } else {
        hash_u64(value.to_bits())
    }
}

fn finish_one(values: &Values, mut sketch: Distinct, ords: HashedSet) -> Result<Partial, ApiError> {
    if let Values::Text(column) = values {
        let mut ords: Vec<u64> = ords.into_iter().collect();
        ords.sort_unstable();
        column
            .dictionary()
            .sorted_ords_to_term_cb(&ords, |term| sketch.insert(hash_bytes(term)))
            .map_err(|e| engine_error(&e))?;
    }
    Ok(Partial::Distinct(sketch))
}
