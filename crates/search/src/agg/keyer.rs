//! Which buckets a document is in, as numbers that are meaningful within one segment.

use std::collections::HashSet;

use ringwall_api::ApiError;
use tantivy::columnar::StrColumn;
use tantivy::{BitSet, DocId};

use super::collect::Names;
use super::gaps;
use super::spec::{DateHistogramSpec, HistogramSpec};
use crate::columns::{Numbers, Values};
use crate::engine_error;
use crate::top::NumberKind;

/// Gives the bucket keys of documents.
pub(super) enum Keyer {
    /// One bucket for every document.
    All,
    Texts {
        column: Option<StrColumn>,
        /// Which ordinals make buckets; all when absent.
        accepted: Option<HashSet<u64>>,
        missing: Option<MissingText>,
    },
    Numbers {
        numbers: Option<Numbers>,
        kind: NumberKind,
        include: Option<HashSet<u64>>,
        exclude: HashSet<u64>,
        /// A key.
        missing: Option<u64>,
    },
    Histogram {
        numbers: Option<Numbers>,
        spec: Box<HistogramSpec>,
        missing: Option<f64>,
    },
    DateHistogram {
        numbers: Option<Numbers>,
        spec: Box<DateHistogramSpec>,
        missing: Option<i64>,
        /// Keys from the first and before the second make buckets.
        hard_bounds: (i64, i64),
        /// The bucket of the last value: start, end.
        last: (i64, i64),
    },
    Ranges {
        numbers: Option<Numbers>,
        /// From inclusive, to exclusive.
        ranges: Vec<(f64, f64)>,
        missing: Option<f64>,
    },
    Filters {
        filters: Vec<BitSet>,
        other: bool,
    },
    Without(Values),
}

/// What stands for a missing text.
pub(super) struct MissingText {
    key: u64,
    text: String,
}

impl MissingText {
    /// Documents without value join those that have the text itself.
    pub(super) fn new(text: String, column: Option<&StrColumn>) -> Result<Self, ApiError> {
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

impl Keyer {
    /// Adds the distinct keys of a document.
    pub(super) fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>) {
        match self {
            Self::All => keys.push(0),
            Self::Texts {
                column,
                accepted,
                missing,
            } => {
                let mut any = false;
                if let Some(column) = column {
                    for ord in column.ords().values_for_doc(doc) {
                        any = true;
                        if accepted.as_ref().is_none_or(|set| set.contains(&ord)) {
                            keys.push(ord);
                        }
                    }
                }
                if !any && let Some(missing) = missing {
                    keys.push(missing.key);
                }
            }
            Self::Numbers {
                numbers,
                kind,
                include,
                exclude,
                missing,
            } => {
                let mut any = false;
                let mut add = |key: u64| {
                    any = true;
                    let wanted = include.as_ref().is_none_or(|set| set.contains(&key));
                    if wanted && !exclude.contains(&key) {
                        keys.push(key);
                    }
                };
                match (numbers, kind) {
                    (Some(numbers), NumberKind::Double) => {
                        numbers.doubles(doc, |value| add(double_key(value)));
                    }
                    (Some(numbers), NumberKind::Unsigned) => numbers.unsigned(doc, add),
                    (Some(numbers), NumberKind::Long) => {
                        numbers.longs(doc, |value| add(value as u64));
                    }
                    (None, _) => {}
                }
                if !any && let Some(key) = missing {
                    keys.push(*key);
                }
            }
            Self::Histogram {
                numbers,
                spec,
                missing,
            } => {
                let (low, high) = spec
                    .hard_bounds
                    .unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
                each(numbers.as_ref(), *missing, doc, |value| {
                    let index = gaps::histogram_index(spec, value);
                    // The reference tests the key before the offset is added.
                    let key = index as f64 * spec.interval;
                    if value.is_finite() && low <= key && key <= high {
                        keys.push(index as u64);
                    }
                });
            }
            Self::DateHistogram {
                numbers,
                spec,
                missing,
                hard_bounds,
                last,
            } => {
                let mut add = |value: i64| {
                    if value < last.0 || value >= last.1 {
                        let start = gaps::date_key(spec, value);
                        *last = (start, gaps::next_date_key(spec, start));
                    }
                    if hard_bounds.0 <= last.0 && last.0 < hard_bounds.1 {
                        keys.push(last.0 as u64);
                    }
                };
                let mut any = false;
                if let Some(numbers) = numbers {
                    numbers.longs(doc, |value| {
                        any = true;
                        add(value);
                    });
                }
                if !any && let Some(value) = missing {
                    add(*value);
                }
            }
            Self::Ranges {
                numbers,
                ranges,
                missing,
            } => each(numbers.as_ref(), *missing, doc, |value| {
                for (index, (from, to)) in ranges.iter().enumerate() {
                    if *from <= value && value < *to {
                        keys.push(index as u64);
                    }
                }
            }),
            Self::Filters { filters, other } => {
                for (index, filter) in filters.iter().enumerate() {
                    if filter.contains(doc) {
                        keys.push(index as u64);
                    }
                }
                if keys.is_empty() && *other {
                    keys.push(filters.len() as u64);
                }
            }
            Self::Without(values) => {
                if !values.has(doc) {
                    keys.push(0);
                }
            }
        }
        if keys.len() > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
    }

    /// Returns whether the order of the numbers of keys is that of the keys, as for the ordinals of texts.
    pub(super) fn keys_are_in_order(&self) -> bool {
        matches!(self, Self::Texts { missing: None, .. })
    }

    /// Returns the keys that exist whether or not a document has them.
    pub(super) fn all_keys(&self) -> Vec<u64> {
        match self {
            Self::Texts {
                column: Some(column),
                accepted,
                ..
            } => match accepted {
                Some(set) => set.iter().copied().collect(),
                None => (0..column.num_terms() as u64).collect(),
            },
            _ => Vec::new(),
        }
    }

    /// Prepares the texts of keys.
    pub(super) fn names(&self, mut wanted: Vec<u64>) -> Result<Names, ApiError> {
        match self {
            Self::Texts {
                column, missing, ..
            } => {
                wanted.retain(|ord| *ord != MISSING_ORD);
                wanted.sort_unstable();
                wanted.dedup();
                let mut texts = Vec::with_capacity(wanted.len());
                if let Some(column) = column {
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
                    missing: missing
                        .as_ref()
                        .map(|missing| missing.text.clone())
                        .unwrap_or_default(),
                })
            }
            Self::Numbers {
                kind: NumberKind::Double,
                ..
            } => Ok(Names::Doubles),
            Self::Numbers {
                kind: NumberKind::Unsigned,
                ..
            } => Ok(Names::Unsigned),
            _ => Ok(Names::Longs),
        }
    }
}

/// The key of a double; both zeros are one key.
pub(super) fn double_key(value: f64) -> u64 {
    if value == 0.0 {
        0.0f64.to_bits()
    } else {
        value.to_bits()
    }
}

fn each(numbers: Option<&Numbers>, missing: Option<f64>, doc: DocId, mut each: impl FnMut(f64)) {
    let mut any = false;
    if let Some(numbers) = numbers {
        numbers.doubles(doc, |value| {
            any = true;
            each(value);
        });
    }
    if !any && let Some(value) = missing {
        each(value);
    }
}
