//! `ip_range`. Source: Elasticsearch reference, "IP range aggregation".

use std::sync::Arc;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::address;
use ringwall_index::schema::encode_ip;
use serde_json::{Map, Value};
use tantivy::DocId;
use tantivy::columnar::StrColumn;

use super::buckets::Keyer;
use super::build::Builder;
use super::collector::Collector;
use super::kind::{Definition, Kind, Parsed, Shape};
use super::partial::Partial;
use super::render::Renderer;
use super::spec::{Agg, ValueSource};
use crate::columns::{Values, text_of};
use crate::fields::FieldKind;
use crate::parse::scalar_text;

#[derive(Debug)]
struct IpRange {
    source: ValueSource,
    /// In the order of their ends, which is that of the answer.
    ranges: Vec<Addresses>,
    keyed: bool,
}

/// One bucket.
#[derive(Debug)]
struct Addresses {
    key: String,
    /// Inclusive.
    from: Option<u128>,
    /// Exclusive.
    to: Option<u128>,
}

pub(super) fn parse(given: &Definition<'_>) -> Parsed {
    let (mut object, source) = given.object_with_source()?;
    let keyed = object.bool("keyed")?.unwrap_or(false);
    let items = match object.take("ranges") {
        Some(Value::Array(items)) if !items.is_empty() => items,
        _ => {
            return Err(ApiError::illegal_argument(format!(
                "No [ranges] specified for the [{}] aggregation",
                given.agg
            )));
        }
    };
    let read = |item: &Value| {
        addresses(item).map_err(|reason| {
            let outer = "[ip_range] failed to parse field [ranges]";
            ApiError::new(ErrorCode::XContentParse, outer)
                .caused_by(ApiError::illegal_argument(reason))
        })
    };
    let mut ranges = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    ranges.sort_by_key(|range| (range.from, range.to.is_none(), range.to));
    object.finish()?;
    Ok(Arc::new(IpRange {
        source,
        ranges,
        keyed,
    }))
}

fn addresses(item: &Value) -> Result<Addresses, String> {
    let Value::Object(members) = item else {
        return Err("[ranges] must contain objects".to_owned());
    };
    let (mut key, mut from, mut to, mut mask) = (None, None, None, None);
    for (name, value) in members {
        let place = match name.as_str() {
            "key" => &mut key,
            "from" => &mut from,
            "to" => &mut to,
            "mask" => &mut mask,
            unknown => return Err(format!("Unexpected ip range parameter: [{unknown}]")),
        };
        *place = match value {
            Value::Null => None,
            value => {
                let text = scalar_text(value);
                Some(text.ok_or_else(|| format!("[{name}] of an ip range must be a string"))?)
            }
        };
    }
    if let Some(mask) = mask {
        let (first, last) = address::parse_network(&mask)?;
        return Ok(Addresses {
            key: key.unwrap_or(mask),
            from: Some(first).filter(|first| *first > 0),
            to: last.checked_add(1),
        });
    }
    let read = |end: Option<String>| end.map(|text| address::parse(&text)).transpose();
    let (from, to) = (read(from)?, read(to)?);
    Ok(Addresses {
        key: key.unwrap_or_else(|| {
            let end = |end: Option<u128>| end.map_or_else(|| "*".to_owned(), shown);
            format!("{}-{}", end(from), end(to))
        }),
        from,
        to,
    })
}

fn shown(number: u128) -> String {
    address::address(number).to_string()
}

impl Kind for IpRange {
    fn shape(&self) -> Shape {
        Shape::Buckets
    }

    fn collector(&self, builder: &Builder<'_>) -> Result<Box<dyn Collector>, ApiError> {
        let input = builder.input(&self.source)?;
        if let Some(field) = &input.field
            && field.kind != FieldKind::Ip
        {
            return Err(builder.unsupported(field));
        }
        let missing = match &self.source.missing {
            None => Vec::new(),
            Some(value) => {
                let text = scalar_text(value).unwrap_or_default();
                let number = address::parse(&text).map_err(ApiError::illegal_argument)?;
                let holds = |range: &Addresses| {
                    range.from.is_none_or(|from| from <= number)
                        && range.to.is_none_or(|to| number < to)
                };
                let ranges = (0..).zip(&self.ranges);
                let held = ranges.filter(|(_, range)| holds(range));
                held.map(|(key, _)| key).collect()
            }
        };
        let column = match input.values {
            Values::Text(column) => Some(column),
            Values::None | Values::Same | Values::Number(_) => None,
        };
        let ranges = match &column {
            None => Vec::new(),
            Some(column) => {
                let ords = |range: &Addresses| {
                    let end = |number: Option<u128>, open: u64| match number {
                        Some(number) => first_not_below(column, number),
                        None => Ok(open),
                    };
                    Ok((end(range.from, 0)?, end(range.to, u64::MAX)?))
                };
                let ranges = self.ranges.iter().map(ords);
                ranges.collect::<Result<_, ApiError>>()?
            }
        };
        let keyer = Ords {
            column,
            ranges,
            missing,
        };
        Ok(Box::new(builder.buckets(keyer, self.ranges.len())?))
    }

    fn render(
        &self,
        agg: &Agg,
        partial: &Partial,
        renderer: &mut Renderer,
        body: &mut Map<String, Value>,
    ) -> Result<(), ApiError> {
        let ranges = self.ranges.iter().enumerate().map(|(number, range)| {
            let ends = [("from", range.from), ("to", range.to)].into_iter();
            let ends = ends.filter_map(|(name, end)| Some((name.to_owned(), shown(end?).into())));
            (number, range.key.clone(), ends.collect())
        });
        renderer.ranges(agg, partial.buckets(), self.keyed, ranges.collect(), body)
    }
}

/// The ordinal of the first address that is not below the number: ordinals are in the order of addresses.
fn first_not_below(column: &StrColumn, number: u128) -> Result<u64, ApiError> {
    let wanted = encode_ip(address::address(number));
    let (mut low, mut high) = (0, column.num_terms() as u64);
    while low < high {
        let middle = u64::midpoint(low, high);
        match text_of(column, middle)? < wanted {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

/// The numbers of the ranges that the addresses of a document are in.
struct Ords {
    column: Option<StrColumn>,
    /// From inclusive, to exclusive.
    ranges: Vec<(u64, u64)>,
    /// Those that a document without address is in.
    missing: Vec<u64>,
}

impl Keyer for Ords {
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        let mut has_any = false;
        if let Some(column) = &self.column {
            for ord in column.ords().values_for_doc(doc) {
                has_any = true;
                for (key, (from, to)) in (0..).zip(&self.ranges) {
                    if *from <= ord && ord < *to {
                        keys.push(key);
                    }
                }
            }
        }
        if !has_any {
            keys.extend(&self.missing);
        }
    }
}
