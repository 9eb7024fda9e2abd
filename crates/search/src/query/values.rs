//! Exact values and ranges on fields of every type. Source: Elasticsearch reference, "Term-level queries".

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::decimal;
use ringwall_index::dates::{DateFormat, Rounding};
use ringwall_index::field::RangeOf;
use ringwall_index::schema::{encode_double, encode_ip, encode_unsigned};
use serde_json::Value;
use tantivy::Term;
use tantivy::columnar::Column;
use tantivy::query::TermSetQuery;

use super::compile::{Compiled, at_least, constant, none};
use super::custom::SetQuery;
use super::range::{RangeBound, RangeQuery, Relation};
use super::ranges;
use super::text;
use crate::fields::{FieldKind, FieldRef};
use crate::parse::{failed_to_create, query_shard, scalar_text, token_name};
use crate::shard::Shard;
use crate::time::{DateMath, Zone};

/// Compiles `term`.
pub(super) fn term(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    value: &Value,
    boost: f32,
) -> Result<Compiled, ApiError> {
    let compiled = match field.kind {
        FieldKind::Text | FieldKind::Keyword => {
            text::scored_term(shard, field, &field.normalized(&text_value(value)?)?)?
        }
        _ => return terms(shard, field, std::slice::from_ref(value), boost),
    };
    Ok(super::compile::boosted(compiled, boost))
}

/// Compiles `terms`: every match scores alike.
pub(super) fn terms(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    values: &[Value],
    boost: f32,
) -> Result<Compiled, ApiError> {
    let most = shard.context.limits.max_terms_count;
    if values.len() > most {
        return Err(failed_to_create(format!(
            "The number of terms [{}] used in the Terms Query request has exceeded the allowed \
             maximum of [{most}]. This maximum can be set by changing the [index.max_terms_count] \
             index level setting.",
            values.len()
        )));
    }
    let compiled = match field.kind {
        FieldKind::Text | FieldKind::Keyword | FieldKind::Id => {
            let terms = values
                .iter()
                .map(|value| Ok(field.term(&field.normalized(&text_value(value)?)?)))
                .collect::<Result<Vec<Term>, ApiError>>()?;
            term_set(terms)
        }
        // Answered where queries are compiled, or refused where fields are looked up.
        FieldKind::Index | FieldKind::Binary => none(),
        FieldKind::Ip => ip_terms(shard, field, values)?,
        FieldKind::Long | FieldKind::Unsigned | FieldKind::Boolean => {
            let mut terms = Vec::with_capacity(values.len());
            for value in values {
                if let Some(long) = exact_long(field, value)? {
                    terms.push(field.long_term(long));
                }
            }
            term_set(terms)
        }
        FieldKind::Double | FieldKind::Meta => {
            let mut wanted = HashSet::new();
            for value in values {
                wanted.extend(exact_encoded(field, value)?);
            }
            column_values(shard, field, wanted)
        }
        FieldKind::Range(of) => ranges::terms(shard, field, of, values)?,
        FieldKind::Point => {
            return Err(failed_to_create(format!(
                "Geometry fields do not support exact searching, use dedicated geometry queries instead: [{}]",
                field.name
            )));
        }
        FieldKind::Date => {
            let ranges = values
                .iter()
                .map(|value| {
                    // A day given as a term means the whole day.
                    let bound = |inclusive| {
                        Some(RangeBound {
                            value: value.clone(),
                            inclusive,
                        })
                    };
                    let query = RangeQuery {
                        field: field.name.clone(),
                        lower: bound(true),
                        upper: bound(true),
                        format: None,
                        time_zone: None,
                        relation: Relation::default(),
                        boost: 1.0,
                    };
                    date_ends(shard, field, &query)
                })
                .collect::<Result<Vec<_>, _>>()?;
            column_ranges(shard, field, merged(ranges))
        }
    };
    Ok(constant(compiled, boost))
}

/// Compiles `range`.
pub(super) fn range(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    query: &RangeQuery,
) -> Result<Compiled, ApiError> {
    let is_date = matches!(
        field.kind,
        FieldKind::Date | FieldKind::Range(RangeOf::Date)
    );
    if !is_date && (query.format.is_some() || query.time_zone.is_some()) {
        return Err(query_shard(format!(
            "Field [{}] of type [{}] does not support [format] or [time_zone] in a range",
            field.name,
            field.type_name()
        )));
    }
    let compiled = match field.kind {
        FieldKind::Point => {
            return Err(failed_to_create(format!(
                "Field [{}] of type [geo_point] does not support range queries",
                field.name
            )));
        }
        FieldKind::Range(of) => ranges::range(shard, field, of, query)?,
        FieldKind::Binary => none(),
        FieldKind::Id | FieldKind::Index => {
            return Err(query_shard(format!(
                "Field [{0}] of type [{0}] does not support range queries",
                field.name
            )));
        }
        FieldKind::Text | FieldKind::Keyword => text_range(shard, field, query, |text| {
            Ok(field.normalized(&text)?.into_owned())
        })?,
        FieldKind::Ip => text_range(shard, field, query, |text| parse_ip(field, &text))?,
        FieldKind::Date => {
            let (low, high) = date_ends(shard, field, query)?;
            column_range(shard, field, low, high)
        }
        _ => {
            let (low, high) = number_ends(field, query)?;
            column_range(shard, field, low, high)
        }
    };
    Ok(constant(compiled, query.boost))
}

/// Reads a date of a query on this field, with date math.
pub(crate) fn date_value(
    shard: &Shard<'_>,
    format: &DateFormat,
    zone: &Zone,
    value: &Value,
    round_up: bool,
) -> Result<i64, ApiError> {
    let math = DateMath {
        now: shard.context.now_millis,
        zone,
        round_up,
    };
    let parse = |text: &str, rounding: Rounding| {
        format
            .parse_in(text, zone.inner(), rounding)
            .ok_or_else(|| {
                let reason = format!(
                    "failed to parse date field [{text}] with format [{}]",
                    format.spec()
                );
                ApiError::new(ErrorCode::Parse, reason.clone())
                    .caused_by(ApiError::illegal_argument(reason))
            })
    };
    let rounding = if round_up {
        Rounding::Up
    } else {
        Rounding::Down
    };
    match value {
        Value::Number(number) => match number.as_i64() {
            // A small number is a year, whose end may be meant.
            Some(long) if (-9999..=9999).contains(&long) => parse(&long.to_string(), rounding),
            Some(long) => match format.parse_number(long) {
                Some(millis) => Ok(millis),
                None => parse(&long.to_string(), rounding),
            },
            None => parse(&number.to_string(), rounding),
        },
        other => math.eval(&text_value(other)?, &parse),
    }
}

pub(super) fn text_value(value: &Value) -> Result<String, ApiError> {
    scalar_text(value).ok_or_else(|| {
        query_shard(format!(
            "failed to create query: a term must be one value, found [{}]",
            token_name(value)
        ))
    })
}

fn term_set(terms: Vec<Term>) -> Compiled {
    if terms.is_empty() {
        none()
    } else {
        Box::new(TermSetQuery::new(terms))
    }
}

fn bad_number(text: &str) -> ApiError {
    let reason = format!("For input string: \"{text}\"");
    query_shard(format!("failed to create query: {reason}"))
        .caused_by(ApiError::new(ErrorCode::NumberFormat, reason))
}

/// A number of a query.
pub(super) struct Amount {
    pub(super) double: f64,
    /// The greatest whole number that is not greater, as far as integers go.
    floor: i128,
    /// Whether `floor` is the number itself.
    exact: bool,
}

impl Amount {
    pub(super) fn whole(&self) -> Option<i128> {
        self.exact.then_some(self.floor)
    }

    fn ceil(&self) -> i128 {
        self.floor.saturating_add(i128::from(!self.exact))
    }
}

pub(super) fn number_of(value: &Value) -> Result<Amount, ApiError> {
    // The text as it is written: a double in between would lose digits.
    let text = match value {
        Value::Number(number) => number.to_string(),
        other => text_value(other)?,
    };
    let text = text.trim();
    let bad = || bad_number(text);
    let whole = decimal::whole(text).ok_or_else(bad)?;
    let double: f64 = text.parse().map_err(|_| bad())?;
    let negative = text.starts_with('-');
    Ok(match whole.value {
        Some(cut) => Amount {
            double,
            floor: cut - i128::from(negative && !whole.exact),
            exact: whole.exact,
        },
        None => Amount {
            double,
            floor: if negative { i128::MIN } else { i128::MAX },
            exact: false,
        },
    })
}

/// The stored form of a whole number or boolean, `None` when no document can have it.
fn exact_long(field: &FieldRef<'_>, value: &Value) -> Result<Option<i64>, ApiError> {
    if field.kind == FieldKind::Boolean {
        return boolean(value).map(|flag| Some(i64::from(flag)));
    }
    let whole = number_of(value)?.whole();
    Ok(whole.and_then(|whole| encode_whole(field, whole)))
}

fn encode_whole(field: &FieldRef<'_>, whole: i128) -> Option<i64> {
    match field.kind {
        FieldKind::Unsigned => u64::try_from(whole).ok().map(encode_unsigned),
        _ => i64::try_from(whole).ok(),
    }
}

fn boolean(value: &Value) -> Result<bool, ApiError> {
    match text_value(value)?.as_str() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(query_shard(format!(
            "failed to create query: Can't parse boolean value [{other}], expected [true] or \
             [false]"
        ))),
    }
}

/// The stored form of a value of a column without terms.
fn exact_encoded(field: &FieldRef<'_>, value: &Value) -> Result<Option<i64>, ApiError> {
    let number = number_of(value)?;
    Ok(match field.kind {
        FieldKind::Double => Some(encode_double(field.nearest(number.double))),
        _ => number.whole().and_then(|whole| i64::try_from(whole).ok()),
    })
}

/// Documents whose column has one of the values.
fn column_values(shard: &Shard<'_>, field: &FieldRef<'_>, wanted: HashSet<i64>) -> Compiled {
    let Some(column) = ColumnName::of(field) else {
        return none();
    };
    let mut ranges: Vec<i64> = wanted.iter().copied().collect();
    if ranges.len() <= FEW_VALUES {
        ranges.sort_unstable();
        let ranges = ranges.into_iter().map(|value| (value, value)).collect();
        return column.ranges(shard, ranges);
    }
    column.where_any(shard, move |value| wanted.contains(&value))
}

/// Documents of a column looked at between two questions.
const PIECE: u32 = 1 << 16;

/// Below this, looking for each value is cheaper than looking at each document.
const FEW_VALUES: usize = 4;

fn column_range(shard: &Shard<'_>, field: &FieldRef<'_>, low: i64, high: i64) -> Compiled {
    // A metadata column has no negative values.
    if low > high || (field.kind == FieldKind::Meta && high < 0) {
        return none();
    }
    column_ranges(shard, field, vec![(low, high)])
}

fn column_ranges(shard: &Shard<'_>, field: &FieldRef<'_>, ranges: Vec<(i64, i64)>) -> Compiled {
    if ranges.is_empty() {
        return none();
    }
    let Some(column) = ColumnName::of(field) else {
        return none();
    };
    if ranges.len() <= FEW_VALUES {
        return column.ranges(shard, ranges);
    }
    column.where_any(shard, move |value| {
        let after = ranges.partition_point(|(low, _)| *low <= value);
        after > 0 && value <= ranges[after - 1].1
    })
}

/// Matches documents that have a value that passes the test.
pub(super) fn where_value(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    test: impl Fn(i64) -> bool + Send + Sync + 'static,
) -> Compiled {
    match ColumnName::of(field) {
        Some(column) => column.where_any(shard, test),
        None => none(),
    }
}

/// Sorts ranges, both ends included, and joins those that overlap.
fn merged<T: Ord>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort();
    let mut result: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        let joins = result.last().is_some_and(|(_, last)| low <= *last);
        match result.last_mut() {
            Some((_, last)) if joins && high > *last => *last = high,
            _ if joins || low > high => {}
            _ => result.push((low, high)),
        }
    }
    result
}

/// The engine finds the least value of a column for a range that ends below it: such a range is not
/// asked for.
fn docs_between<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
    column: &Column<T>,
    low: T,
    high: T,
    docs: std::ops::Range<u32>,
    found: &mut Vec<u32>,
) {
    if low <= high && high >= column.min_value() && low <= column.max_value() {
        column.get_docids_for_value_range(low..=high, docs, found);
    }
}

/// The column of a field by its name, to be opened segment by segment.
#[derive(Clone)]
struct ColumnName {
    name: String,
    /// A metadata column holds `u64`.
    unsigned: bool,
}

impl ColumnName {
    fn of(field: &FieldRef<'_>) -> Option<Self> {
        let unsigned = field.kind == FieldKind::Meta;
        let name = if unsigned {
            field.name.clone()
        } else {
            field.column_name()?
        };
        Some(Self { name, unsigned })
    }

    /// Documents with a value in one of the ranges, both ends included.
    fn ranges(&self, shard: &Shard<'_>, ranges: Vec<(i64, i64)>) -> Compiled {
        let column = self.clone();
        Box::new(SetQuery::new(
            &shard.pulse,
            "range",
            move |reader, docs, beat| {
                let columns = reader.fast_fields();
                let (signed, unsigned) = match column.unsigned {
                    true => (None, columns.column_opt::<u64>(&column.name)?),
                    false => (columns.column_opt::<i64>(&column.name)?, None),
                };
                let mut found = Vec::new();
                for (low, high) in ranges.iter().copied() {
                    // Piece by piece: each asks whether the search goes on.
                    for start in (0..reader.max_doc()).step_by(PIECE as usize) {
                        let piece = start..(start + PIECE).min(reader.max_doc());
                        beat.engine_steps(PIECE / 16)?;
                        if let Some(values) = &unsigned {
                            let (low, high) =
                                (low.max(0).cast_unsigned(), high.max(0).cast_unsigned());
                            docs_between(values, low, high, piece, &mut found);
                        } else if let Some(values) = &signed {
                            docs_between(values, low, high, piece, &mut found);
                        }
                        for doc in found.drain(..) {
                            docs.insert(doc);
                        }
                    }
                }
                Ok(())
            },
        ))
    }

    /// Documents with a value that passes the test.
    fn where_any(
        &self,
        shard: &Shard<'_>,
        wanted: impl Fn(i64) -> bool + Send + Sync + 'static,
    ) -> Compiled {
        let column = self.clone();
        Box::new(SetQuery::new(
            &shard.pulse,
            "values",
            move |reader, docs, beat| {
                let columns = reader.fast_fields();
                let name = &column.name;
                let signed = columns.column_opt::<i64>(name)?;
                let unsigned = columns.column_opt::<u64>(name)?;
                for doc in 0..reader.max_doc() {
                    beat.engine_steps(1)?;
                    let in_signed = signed
                        .as_ref()
                        .is_some_and(|c| c.values_for_doc(doc).any(&wanted));
                    let in_unsigned = unsigned
                        .as_ref()
                        .is_some_and(|c| c.values_for_doc(doc).any(|v| wanted(v.cast_signed())));
                    if in_signed || in_unsigned {
                        docs.insert(doc);
                    }
                }
                Ok(())
            },
        ))
    }
}

fn text_range(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    query: &RangeQuery,
    convert: impl Fn(String) -> Result<String, ApiError>,
) -> Result<Compiled, ApiError> {
    let end = |bound: &Option<RangeBound>| -> Result<Option<(String, bool)>, ApiError> {
        bound
            .as_ref()
            .map(|bound| Ok((convert(text_value(&bound.value)?)?, bound.inclusive)))
            .transpose()
    };
    let (lower, upper) = (end(&query.lower)?, end(&query.upper)?);
    let (tantivy_field, path) = field.dictionary();
    let path_len = path.len();
    let above = move |term: &str| match &lower {
        None => true,
        Some((low, true)) => term >= low.as_str(),
        Some((low, false)) => term > low.as_str(),
    };
    let below = move |term: &str| match &upper {
        None => true,
        Some((high, true)) => term <= high.as_str(),
        Some((high, false)) => term < high.as_str(),
    };
    let query = SetQuery::terms(&shard.pulse, tantivy_field, path, path_len, move |term| {
        above(term) && below(term)
    });
    Ok(Box::new(query))
}

/// The least and greatest stored value of a range, both inclusive; empty when low > high.
fn number_ends(field: &FieldRef<'_>, query: &RangeQuery) -> Result<(i64, i64), ApiError> {
    if field.kind == FieldKind::Double {
        return double_ends(field, query);
    }
    let boolean_or_number = |value: &Value| -> Result<Amount, ApiError> {
        if field.kind == FieldKind::Boolean {
            let flag = boolean(value)?;
            return Ok(Amount {
                double: f64::from(u8::from(flag)),
                floor: i128::from(flag),
                exact: true,
            });
        }
        number_of(value)
    };
    let unsigned = field.kind == FieldKind::Unsigned;
    let (least, most) = if unsigned {
        (0, i128::from(u64::MAX))
    } else {
        (i128::from(i64::MIN), i128::from(i64::MAX))
    };
    let low = match &query.lower {
        None => least,
        Some(bound) => {
            let number = boolean_or_number(&bound.value)?;
            let beyond = number.exact && !bound.inclusive;
            number.ceil().saturating_add(i128::from(beyond))
        }
    };
    let high = match &query.upper {
        None => most,
        Some(bound) => {
            let number = boolean_or_number(&bound.value)?;
            let beyond = number.exact && !bound.inclusive;
            number.floor.saturating_sub(i128::from(beyond))
        }
    };
    let (low, high) = (low.max(least), high.min(most));
    if low > high {
        return Ok((1, 0));
    }
    let encode = |whole: i128| encode_whole(field, whole).unwrap_or_default();
    Ok((encode(low), encode(high)))
}

fn double_ends(field: &FieldRef<'_>, query: &RangeQuery) -> Result<(i64, i64), ApiError> {
    let encode = |bound: &RangeBound| -> Result<i64, ApiError> {
        Ok(encode_double(number_of(&bound.value)?.double))
    };
    // Between the infinities; NaN is never stored.
    let low = match &query.lower {
        None => encode_double(f64::NEG_INFINITY),
        Some(bound) => encode(bound)?.saturating_add(i64::from(!bound.inclusive)),
    };
    let high = match &query.upper {
        None => encode_double(f64::INFINITY),
        Some(bound) => encode(bound)?.saturating_sub(i64::from(!bound.inclusive)),
    };
    if !field.rounds_bounds() {
        return Ok((low, high));
    }
    // A bound such as 0.1 means the float nearest to it.
    let snap = |bound: &Option<RangeBound>, end: i64| -> Result<i64, ApiError> {
        let Some(bound) = bound else { return Ok(end) };
        let number = number_of(&bound.value)?.double;
        let shift = end - encode_double(number);
        Ok(encode_double(field.nearest(number)) + shift)
    };
    Ok((snap(&query.lower, low)?, snap(&query.upper, high)?))
}

/// The ends of a range of dates: rounding goes away from the documents that must not match.
pub(super) fn date_ends(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    query: &RangeQuery,
) -> Result<(i64, i64), ApiError> {
    let zone = Zone::parse_or_utc(query.time_zone.as_deref())?;
    let own;
    let format = match (&query.format, field.dates()) {
        (Some(spec), _) => {
            own = DateFormat::compile(spec)?;
            &own
        }
        (None, Some(format)) => format,
        (None, None) => {
            own = DateFormat::default();
            &own
        }
    };
    let low = match &query.lower {
        None => i64::MIN,
        Some(bound) => {
            let millis = date_value(shard, format, &zone, &bound.value, !bound.inclusive)?;
            millis.saturating_add(i64::from(!bound.inclusive))
        }
    };
    let high = match &query.upper {
        None => i64::MAX,
        Some(bound) => {
            let millis = date_value(shard, format, &zone, &bound.value, bound.inclusive)?;
            millis.saturating_sub(i64::from(!bound.inclusive))
        }
    };
    Ok((low, high))
}

fn parse_ip(field: &FieldRef<'_>, text: &str) -> Result<String, ApiError> {
    text.parse::<IpAddr>().map(encode_ip).map_err(|_| {
        query_shard(format!(
            "failed to create query: '{text}' is not an IP string literal, for field [{}]",
            field.name
        ))
    })
}

/// Addresses and networks such as `10.0.0.0/8`.
fn ip_terms(
    shard: &Shard<'_>,
    field: &FieldRef<'_>,
    values: &[Value],
) -> Result<Compiled, ApiError> {
    let mut addresses = Vec::new();
    let mut networks = Vec::new();
    for value in values {
        let text = text_value(value)?;
        match text.split_once('/') {
            None => addresses.push(field.term(&parse_ip(field, &text)?)),
            Some((address, bits)) => {
                networks.push(network(address, bits).ok_or_else(|| {
                    query_shard(format!(
                        "failed to create query: [{text}] is not an IP network"
                    ))
                })?);
            }
        }
    }
    let mut queries = Vec::new();
    if !addresses.is_empty() {
        queries.push(term_set(addresses));
    }
    if !networks.is_empty() {
        let networks = merged(networks);
        let (tantivy_field, path) = field.dictionary();
        let path_len = path.len();
        let within = move |term: &str| {
            let after = networks.partition_point(|(low, _)| low.as_str() <= term);
            after > 0 && term <= networks[after - 1].1.as_str()
        };
        let query = SetQuery::terms(&shard.pulse, tantivy_field, path, path_len, within);
        queries.push(Box::new(query) as Compiled);
    }
    Ok(at_least(queries, 1))
}

fn network(address: &str, bits: &str) -> Option<(String, String)> {
    let address: IpAddr = address.parse().ok()?;
    let bits: u32 = bits.parse().ok()?;
    let (value, bits) = match address {
        IpAddr::V4(v4) if bits <= 32 => (u128::from(v4.to_ipv6_mapped()), bits + 96),
        IpAddr::V6(v6) if bits <= 128 => (u128::from(v6), bits),
        _ => return None,
    };
    let host = if bits == 0 {
        u128::MAX
    } else {
        (1u128 << (128 - bits)) - 1
    };
    let end = |value: u128| encode_ip(IpAddr::V6(Ipv6Addr::from(value)));
    Some((end(value & !host), end(value | host)))
}
