//! The best documents of one segment. Sort keys become integers whose order is the order asked
//! for, so that comparing two documents is comparing integers.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Bound;

use ringwall_api::ApiError;
use ringwall_index::dates::DateFormat;
use ringwall_index::schema::encode_ip;
use serde_json::Value;
use tantivy::columnar::StrColumn;
use tantivy::{DocId, Score, f64_to_u64, i64_to_u64, u64_to_f64, u64_to_i64};

use crate::columns::{Numbers, Values, text_of};
use crate::engine_error;
use crate::parse::{scalar_text, whole_of};
use crate::sort::{FieldSort, Missing, SortMode, SortValue};

/// How one sort key reads the documents of a segment.
pub(crate) struct SegmentKey {
    reader: KeyReader,
    ascending: bool,
}

enum KeyReader {
    Score,
    /// The number of the document, after so many others.
    Doc(u64),
    /// The same text for every document.
    Same(String),
    Number {
        numbers: Option<Numbers>,
        mode: SortMode,
        missing: u64,
        kind: NumberKind,
        format: Option<DateFormat>,
    },
    Text {
        column: Option<StrColumn>,
        last_value: bool,
        missing: TextMissing,
        ip: bool,
    },
}

/// How numbers are compared and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberKind {
    Long,
    /// Up to 2^64 - 1.
    Unsigned,
    Double,
}

/// What stands for a missing text.
enum TextMissing {
    First,
    Last,
    Value(String),
}

/// What is known of a sorted field on this shard.
#[derive(Debug, Clone)]
pub(crate) enum SortField {
    Number {
        kind: NumberKind,
        /// The format of dates, to read and, if asked for, to show values.
        dates: Option<DateFormat>,
    },
    Text,
    Ip,
    /// Every document of the shard has this text.
    Same(String),
}

impl SegmentKey {
    /// Returns the key `_score`.
    pub(crate) fn score(ascending: bool) -> Self {
        Self {
            reader: KeyReader::Score,
            ascending,
        }
    }

    /// Returns the key `_doc`, or with the shard's number in the upper half of `base` `_shard_doc`. `base` is that
    /// of the segment.
    pub(crate) fn doc(base: u64, ascending: bool) -> Self {
        Self {
            reader: KeyReader::Doc(base),
            ascending,
        }
    }

    /// Returns the key of a field.
    pub(crate) fn field(
        sort: &FieldSort,
        ascending: bool,
        field: &SortField,
        values: Values,
    ) -> Result<Self, ApiError> {
        let reader = match field {
            SortField::Same(text) => KeyReader::Same(text.clone()),
            SortField::Text => Self::text_reader(sort, ascending, values, false)?,
            SortField::Ip => Self::text_reader(sort, ascending, values, true)?,
            SortField::Number { kind, dates } => {
                let missing = match &sort.missing {
                    Missing::Value(value) => {
                        encode_value(value, *kind, dates.as_ref(), &sort.field)?
                    }
                    // The extreme of the type, as clients see it in hits.
                    place => {
                        let highest = (*place == Missing::Last) == ascending;
                        match kind {
                            NumberKind::Long if highest => i64_to_u64(i64::MAX),
                            NumberKind::Long => i64_to_u64(i64::MIN),
                            NumberKind::Unsigned if highest => u64::MAX,
                            NumberKind::Unsigned => 0,
                            NumberKind::Double if highest => f64_to_u64(f64::INFINITY),
                            NumberKind::Double => f64_to_u64(f64::NEG_INFINITY),
                        }
                    }
                };
                let format = sort
                    .format
                    .as_deref()
                    .filter(|_| dates.is_some())
                    .map(DateFormat::compile)
                    .transpose()?;
                let natural = if ascending {
                    SortMode::Min
                } else {
                    SortMode::Max
                };
                KeyReader::Number {
                    numbers: match values {
                        Values::Number(numbers) => Some(numbers),
                        Values::None | Values::Same | Values::Text(_) => None,
                    },
                    mode: sort.mode.unwrap_or(natural),
                    missing,
                    kind: *kind,
                    format,
                }
            }
        };
        Ok(Self { reader, ascending })
    }

    fn text_reader(
        sort: &FieldSort,
        ascending: bool,
        values: Values,
        ip: bool,
    ) -> Result<KeyReader, ApiError> {
        let last_value = match sort.mode {
            None => !ascending,
            Some(SortMode::Min) => false,
            Some(SortMode::Max) => true,
            Some(_) => {
                return Err(ApiError::illegal_argument(format!(
                    "we only support MIN and MAX sort modes on string field [{}]",
                    sort.field
                )));
            }
        };
        Ok(KeyReader::Text {
            column: match values {
                Values::Text(column) => Some(column),
                Values::None | Values::Same | Values::Number(_) => None,
            },
            last_value,
            missing: match &sort.missing {
                Missing::Last => TextMissing::Last,
                Missing::First => TextMissing::First,
                Missing::Value(value) => {
                    TextMissing::Value(stored_text(&scalar_text(value).unwrap_or_default(), ip))
                }
            },
            ip,
        })
    }

    /// Returns the integer that orders the document; the least comes first.
    fn encode(&self, doc: DocId, score: Score) -> Result<u64, ApiError> {
        let key = match &self.reader {
            KeyReader::Score => f64_to_u64(f64::from(score)),
            KeyReader::Doc(base) => base + u64::from(doc),
            KeyReader::Same(_) => SAME,
            KeyReader::Number {
                numbers,
                mode,
                missing,
                kind,
                ..
            } => numbers
                .as_ref()
                .and_then(|numbers| encode_number(numbers, doc, *mode, *kind))
                .unwrap_or(*missing),
            KeyReader::Text {
                column, last_value, ..
            } => {
                let mut found = None;
                if let Some(column) = column {
                    for ord in column.ords().values_for_doc(doc) {
                        found = Some(match found {
                            Some(best) if *last_value => ord.max(best),
                            Some(best) => ord.min(best),
                            None => ord,
                        });
                    }
                }
                match found {
                    Some(ord) => place_of(ord),
                    None => return self.encode_missing_text(),
                }
            }
        };
        Ok(self.directed(key))
    }

    /// Missing texts keep their end in both directions.
    fn encode_missing_text(&self) -> Result<u64, ApiError> {
        match &self.reader {
            KeyReader::Text {
                missing: TextMissing::First,
                ..
            } => Ok(0),
            KeyReader::Text {
                missing: TextMissing::Value(text),
                column: Some(column),
                ..
            } => Ok(self.directed(place_of_text(column, text)?)),
            KeyReader::Text {
                missing: TextMissing::Value(_),
                column: None,
                ..
            } => Ok(self.directed(ONLY)),
            _ => Ok(u64::MAX),
        }
    }

    fn directed(&self, key: u64) -> u64 {
        if self.ascending { key } else { !key }
    }

    /// Returns the value behind an integer from [`SegmentKey::encode`].
    fn decode(&self, encoded: u64) -> Result<SortValue, ApiError> {
        let key = self.directed(encoded);
        match &self.reader {
            KeyReader::Score => Ok(SortValue::Double(u64_to_f64(key))),
            KeyReader::Doc(_) => Ok(SortValue::Long(key as i64)),
            KeyReader::Same(text) => Ok(SortValue::Text(text.clone())),
            KeyReader::Number { kind, format, .. } => Ok(match (kind, format) {
                (NumberKind::Double, _) => SortValue::Double(u64_to_f64(key)),
                (NumberKind::Unsigned, _) => SortValue::unsigned(key),
                (NumberKind::Long, None) => SortValue::Long(u64_to_i64(key)),
                (NumberKind::Long, Some(format)) => {
                    let millis = u64_to_i64(key);
                    SortValue::Formatted {
                        millis,
                        text: format.format(millis),
                    }
                }
            }),
            KeyReader::Text {
                column,
                missing,
                ip,
                ..
            } => {
                let value = |text: String| {
                    if *ip {
                        SortValue::Ip(text)
                    } else {
                        SortValue::Text(text)
                    }
                };
                let is_end = encoded == 0 || encoded == u64::MAX;
                match (column, missing) {
                    (None, TextMissing::Value(text)) => Ok(value(text.clone())),
                    (_, TextMissing::Value(text)) if is_end || key % 2 == 1 => {
                        Ok(value(text.clone()))
                    }
                    (Some(column), _) if !is_end => {
                        Ok(value(text_of(column, (key / 2).saturating_sub(1))?))
                    }
                    _ => Ok(SortValue::Missing {
                        first: encoded == 0,
                    }),
                }
            }
        }
    }

    /// Returns the integer of a `search_after` value.
    fn encode_after(&self, value: &Value) -> Result<u64, ApiError> {
        let key = match &self.reader {
            KeyReader::Score => {
                let score = crate::parse::f64_of("search_after", "_score", value)?;
                f64_to_u64(f64::from(score as f32))
            }
            KeyReader::Doc(_) => {
                let doc = crate::parse::i64_of("search_after", "_doc", value)?;
                doc.max(0) as u64
            }
            KeyReader::Same(text) => match scalar_text(value) {
                None => return Ok(u64::MAX),
                Some(after) => match after.as_str().cmp(text) {
                    Ordering::Less => SAME - 1,
                    Ordering::Equal => SAME,
                    Ordering::Greater => SAME + 1,
                },
            },
            KeyReader::Number { kind, format, .. } => {
                encode_value(value, *kind, format.as_ref(), "search_after")?
            }
            KeyReader::Text { ip, .. } => {
                let Some(text) = scalar_text(value) else {
                    return self.encode_missing_text();
                };
                return self.encode_text(&stored_text(&text, *ip));
            }
        };
        Ok(self.directed(key))
    }

    /// Returns the integer of a text that another document may have.
    fn encode_text(&self, text: &str) -> Result<u64, ApiError> {
        let KeyReader::Text {
            column, missing, ..
        } = &self.reader
        else {
            return Ok(u64::MAX);
        };
        Ok(match (column, missing) {
            (Some(column), _) => self.directed(place_of_text(column, text)?),
            (None, TextMissing::Value(only)) => self.directed(match text.cmp(only) {
                Ordering::Less => ONLY - 1,
                Ordering::Equal => ONLY,
                Ordering::Greater => ONLY + 1,
            }),
            // Without values every document is missing one: between the two ends.
            (None, _) => 1,
        })
    }

    /// Returns the integer of a value that [`SegmentKey::decode`] gave, in whichever segment of the shard.
    fn encode_sorted(&self, value: &SortValue) -> Result<u64, ApiError> {
        let key = match (&self.reader, value) {
            (_, SortValue::Missing { first: true }) => return Ok(0),
            (_, SortValue::Missing { first: false }) => return Ok(u64::MAX),
            (KeyReader::Same(_), _) => SAME,
            (_, SortValue::Text(text) | SortValue::Ip(text)) => return self.encode_text(text),
            (KeyReader::Doc(_), SortValue::Long(number)) => number.cast_unsigned(),
            (
                KeyReader::Number {
                    kind: NumberKind::Unsigned,
                    ..
                },
                SortValue::Long(number),
            ) => number.cast_unsigned(),
            (_, SortValue::Long(number) | SortValue::Formatted { millis: number, .. }) => {
                i64_to_u64(*number)
            }
            (_, SortValue::Unsigned(number)) => *number,
            (_, SortValue::Double(number)) => f64_to_u64(*number),
        };
        Ok(self.directed(key))
    }
}

/// The place of a text that stands for every missing one of a segment, with room on both sides.
const ONLY: u64 = 2;

/// The place of [`KeyReader::Same`], with room on both sides.
const SAME: u64 = 1;

/// The form in which a column holds a text.
pub(crate) fn stored_text(text: &str, ip: bool) -> String {
    match text.parse() {
        Ok(address) if ip => encode_ip(address),
        _ => text.to_owned(),
    }
}

/// The place of the term with this ordinal among even numbers, leaving odd ones for texts between
/// terms and zero for none.
fn place_of(ord: u64) -> u64 {
    2 * (ord + 1)
}

fn place_of_text(column: &StrColumn, text: &str) -> Result<u64, ApiError> {
    let dictionary = column.dictionary();
    if let Some(ord) = dictionary.term_ord(text).map_err(|e| engine_error(&e))? {
        return Ok(place_of(ord));
    }
    let (lower, _) = dictionary
        .term_bounds_to_ord(Bound::Included(text), Bound::Unbounded)
        .map_err(|e| engine_error(&e))?;
    let next = match lower {
        Bound::Included(ord) => ord.min(dictionary.num_terms() as u64),
        Bound::Excluded(ord) => (ord + 1).min(dictionary.num_terms() as u64),
        Bound::Unbounded => 0,
    };
    Ok(place_of(next) - 1)
}

fn encode_number(numbers: &Numbers, doc: DocId, mode: SortMode, kind: NumberKind) -> Option<u64> {
    match (mode, kind) {
        (SortMode::Min | SortMode::Max, NumberKind::Long) => {
            let mut found: Option<i64> = None;
            numbers.longs(doc, |value| {
                found = Some(match found {
                    Some(best) if mode == SortMode::Max => best.max(value),
                    Some(best) => best.min(value),
                    None => value,
                });
            });
            found.map(i64_to_u64)
        }
        (_, NumberKind::Unsigned) => {
            let mut values = Vec::new();
            numbers.unsigned(doc, |value| values.push(value));
            combine_unsigned(&mut values, mode)
        }
        (_, NumberKind::Long) => {
            let mut values = Vec::new();
            numbers.longs(doc, |value| values.push(value));
            combine_longs(&mut values, mode).map(i64_to_u64)
        }
        (_, NumberKind::Double) => {
            let mut values = Vec::new();
            numbers.doubles(doc, |value| values.push(value));
            combine(&mut values, mode).map(f64_to_u64)
        }
    }
}

/// Sums wrap and means are rounded half up, as the field does with integers.
fn combine_longs(values: &mut [i64], mode: SortMode) -> Option<i64> {
    let count = values.len();
    let sum = || {
        values
            .iter()
            .fold(0i64, |sum, value| sum.wrapping_add(*value))
    };
    match (mode, count) {
        (_, 0) => None,
        (SortMode::Min, _) => values.iter().copied().min(),
        (SortMode::Max, _) => values.iter().copied().max(),
        (SortMode::Sum, _) => Some(sum()),
        (SortMode::Avg, 1) => Some(sum()),
        (SortMode::Avg, _) => Some(round_half_up(sum() as f64 / count as f64)),
        (SortMode::Median, _) => {
            values.sort_unstable();
            let middle = values[count / 2];
            if count % 2 == 1 {
                Some(middle)
            } else {
                let below = values[count / 2 - 1];
                Some(round_half_up((below as f64 + middle as f64) / 2.0))
            }
        }
    }
}

/// As [`combine_longs`], for unsigned longs.
fn combine_unsigned(values: &mut [u64], mode: SortMode) -> Option<u64> {
    let count = values.len() as u128;
    let sum = |values: &[u64]| values.iter().map(|value| u128::from(*value)).sum::<u128>();
    let mean = |sum: u128, count: u128| u64::try_from((sum + count / 2) / count).ok();
    match mode {
        _ if count == 0 => None,
        SortMode::Min => values.iter().copied().min(),
        SortMode::Max => values.iter().copied().max(),
        // Cut as sums of longs are.
        SortMode::Sum => Some(sum(values) as u64),
        SortMode::Avg => mean(sum(values), count),
        SortMode::Median => {
            values.sort_unstable();
            let middle = values.len() / 2;
            let odd = values.len() % 2 == 1;
            let middles = &values[if odd { middle } else { middle - 1 }..=middle];
            mean(sum(middles), middles.len() as u128)
        }
    }
}

fn round_half_up(value: f64) -> i64 {
    (value + 0.5).floor() as i64
}

fn combine(values: &mut [f64], mode: SortMode) -> Option<f64> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    Some(match mode {
        SortMode::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        SortMode::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        SortMode::Sum => values.iter().sum(),
        SortMode::Avg => values.iter().sum::<f64>() / count as f64,
        SortMode::Median => {
            values.sort_by(f64::total_cmp);
            let middle = values[count / 2];
            if count % 2 == 1 {
                middle
            } else {
                (values[count / 2 - 1] + middle) / 2.0
            }
        }
    })
}

fn encode_value(
    value: &Value,
    kind: NumberKind,
    dates: Option<&DateFormat>,
    name: &str,
) -> Result<u64, ApiError> {
    if kind == NumberKind::Double {
        let number = match value.as_str() {
            Some("Infinity") => f64::INFINITY,
            Some("-Infinity") => f64::NEG_INFINITY,
            _ => crate::parse::f64_of("sort", name, value)?,
        };
        return Ok(f64_to_u64(number));
    }
    if kind == NumberKind::Unsigned {
        let whole = whole_of("sort", name, value)?;
        // Beyond the type is beyond every value.
        return Ok(u64::try_from(whole.max(0)).unwrap_or(u64::MAX));
    }
    let long = match (value, dates) {
        (Value::Bool(flag), _) => i64::from(*flag),
        (Value::String(text), _) if text == "true" => 1,
        (Value::String(text), _) if text == "false" => 0,
        (Value::String(text), Some(format)) => match text.parse() {
            Ok(millis) => millis,
            // What a document without the field shows as its sort value.
            Err(_) if *text == format.format(i64::MIN) => i64::MIN,
            Err(_) if *text == format.format(i64::MAX) => i64::MAX,
            Err(_) => format.parse(text).ok_or_else(|| {
                ApiError::illegal_argument(format!(
                    "failed to parse date [{text}] of [{name}] with format [{}]",
                    format.spec()
                ))
            })?,
        },
        (Value::Number(number), _) if number.is_f64() => number.as_f64().unwrap_or_default() as i64,
        (Value::Number(number), _) if number.is_u64() => {
            i64::try_from(number.as_u64().unwrap_or_default()).unwrap_or(i64::MAX)
        }
        _ => crate::parse::i64_of("sort", name, value)?,
    };
    Ok(i64_to_u64(long))
}

/// A document that is among the best so far.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    keys: Vec<u64>,
    doc: DocId,
    /// Bits of the score, so that the order is total; never decides, documents differ.
    score: u32,
}

/// Collects the best documents of a segment by their sort keys.
pub(crate) struct TopCollector {
    keys: Vec<SegmentKey>,
    limit: usize,
    after: Option<(Vec<u64>, DocId)>,
    /// The worst on top.
    heap: BinaryHeap<Entry>,
    scratch: Vec<u64>,
    with_scores: bool,
    failure: Option<ApiError>,
}

/// Where the documents to collect begin.
pub(crate) enum After<'a> {
    Nothing,
    /// After all that have these values.
    Values(&'a [Value]),
    /// After a document, of which these are the sort values. Of the documents of this segment that have them too
    /// those from a number on come after it.
    Document {
        sort: &'a [SortValue],
        ties_from: DocId,
    },
}

/// A document with its sort values.
pub(crate) struct TopDoc {
    pub(crate) doc: DocId,
    pub(crate) sort: Vec<SortValue>,
    pub(crate) score: Option<Score>,
}

impl TopCollector {
    /// Starts to collect the best `limit` documents, those after `after`.
    pub(crate) fn new(
        keys: Vec<SegmentKey>,
        limit: usize,
        after: &After<'_>,
        with_scores: bool,
    ) -> Result<Self, ApiError> {
        let after = match after {
            After::Nothing => None,
            After::Values(values) => {
                let pairs = keys.iter().zip(*values);
                let encoded = pairs.map(|(key, value)| key.encode_after(value));
                Some((encoded.collect::<Result<_, ApiError>>()?, DocId::MAX))
            }
            After::Document { sort, ties_from } => {
                let pairs = keys.iter().zip(*sort);
                let encoded = pairs.map(|(key, value)| key.encode_sorted(value));
                Some((encoded.collect::<Result<_, ApiError>>()?, *ties_from))
            }
        };
        Ok(Self {
            keys,
            limit,
            after,
            heap: BinaryHeap::new(),
            scratch: Vec::new(),
            with_scores,
            failure: None,
        })
    }

    /// Considers a document. Documents come in increasing order.
    pub(crate) fn collect(&mut self, doc: DocId, score: Score) {
        if self.limit == 0 || self.failure.is_some() {
            return;
        }
        self.scratch.clear();
        for key in &self.keys {
            match key.encode(doc, score) {
                Ok(encoded) => self.scratch.push(encoded),
                Err(error) => {
                    self.failure = Some(error);
                    return;
                }
            }
        }
        if let Some((after, ties_from)) = &self.after
            && (self.scratch < *after || self.scratch == *after && doc < *ties_from)
        {
            return;
        }
        if self.heap.len() >= self.limit {
            // On a tie the earlier document stays.
            if self
                .heap
                .peek()
                .is_some_and(|worst| self.scratch >= worst.keys)
            {
                return;
            }
            self.heap.pop();
        }
        self.heap.push(Entry {
            keys: self.scratch.clone(),
            doc,
            score: score.to_bits(),
        });
    }

    /// Returns the documents, best first.
    pub(crate) fn finish(self) -> Result<Vec<TopDoc>, ApiError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let (keys, with_scores) = (self.keys, self.with_scores);
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|entry| {
                let sort = keys
                    .iter()
                    .zip(&entry.keys)
                    .map(|(key, encoded)| key.decode(*encoded))
                    .collect::<Result<_, _>>()?;
                Ok(TopDoc {
                    doc: entry.doc,
                    sort,
                    score: with_scores.then(|| Score::from_bits(entry.score)),
                })
            })
            .collect()
    }
}
