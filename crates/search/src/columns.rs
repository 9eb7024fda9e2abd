//! Values of a field by document: the column of one segment.

use std::sync::Arc;

use ringwall_api::ApiError;
use ringwall_index::schema::{decode_double, decode_unsigned};
use tantivy::DocId;
use tantivy::columnar::{Column, ColumnValues, StrColumn};

use crate::engine_error;

/// The column of a field in one segment.
#[derive(Clone)]
pub(crate) enum Values {
    /// No document of the segment has a value.
    None,
    /// Every document has the one value of `_index`.
    Same,
    Text(StrColumn),
    Number(Numbers),
}

/// A column of numbers, dates (milliseconds) or booleans (0 and 1).
#[derive(Clone)]
pub(crate) struct Numbers {
    column: Column<i64>,
    coding: Coding,
}

/// What the integers of a column stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Unsigned,
    Double,
}

impl Values {
    /// Tells whether a document has a value.
    pub(crate) fn has(&self, doc: DocId) -> bool {
        match self {
            Self::None => false,
            Self::Same => true,
            Self::Text(column) => column.ords().first(doc).is_some(),
            Self::Number(numbers) => numbers.column.first(doc).is_some(),
        }
    }

    /// Returns the number of values of a document.
    pub(crate) fn count(&self, doc: DocId) -> u64 {
        let count = match self {
            Self::None => 0,
            Self::Same => 1,
            Self::Text(column) => {
                let mut ords: Vec<u64> = column.ords().values_for_doc(doc).collect();
                if ords.len() > 1 {
                    ords.sort_unstable();
                    ords.dedup();
                }
                ords.len()
            }
            Self::Number(numbers) => numbers.column.values_for_doc(doc).count(),
        };
        count as u64
    }

    /// Returns the numbers, if it is a column of numbers.
    pub(crate) fn into_numbers(self) -> Option<Numbers> {
        match self {
            Self::Number(numbers) => Some(numbers),
            Self::None | Self::Same | Self::Text(_) => None,
        }
    }
}

impl Numbers {
    pub(crate) fn new(column: Column<i64>, coding: Coding) -> Self {
        Self { column, coding }
    }

    /// Returns the numbers of a metadata column.
    pub(crate) fn metadata(column: Column<u64>) -> Self {
        let values: Arc<dyn ColumnValues<i64>> = Arc::new(AsLongs(column.values));
        let index = column.index;
        Self::new(Column { index, values }, Coding::Plain)
    }

    /// Tells whether the values are integers.
    pub(crate) fn is_integer(&self) -> bool {
        self.coding != Coding::Double
    }

    /// Calls `each` with every value of a document as a double.
    pub(crate) fn doubles(&self, doc: DocId, mut each: impl FnMut(f64)) {
        let values = self.column.values_for_doc(doc);
        match self.coding {
            Coding::Plain => values.for_each(|value| each(value as f64)),
            Coding::Double => values.for_each(|value| each(decode_double(value))),
            Coding::Unsigned => values.for_each(|value| each(decode_unsigned(value) as f64)),
        }
    }

    /// Calls `each` with every value of a document as an unsigned long; what is none is left out.
    pub(crate) fn unsigned(&self, doc: DocId, mut each: impl FnMut(u64)) {
        match self.coding {
            Coding::Unsigned => {
                let values = self.column.values_for_doc(doc);
                values.for_each(|value| each(decode_unsigned(value)));
            }
            Coding::Plain | Coding::Double => self.longs(doc, |value| {
                if let Ok(value) = u64::try_from(value) {
                    each(value);
                }
            }),
        }
    }

    /// Tells whether the values are unsigned longs: [`Numbers::longs`] does not show them all.
    pub(crate) fn is_unsigned(&self) -> bool {
        self.coding == Coding::Unsigned
    }

    /// Calls `each` with every value of a document as a long; fractions are cut, and unsigned
    /// values beyond the range of a long become the greatest.
    pub(crate) fn longs(&self, doc: DocId, mut each: impl FnMut(i64)) {
        let values = self.column.values_for_doc(doc);
        match self.coding {
            Coding::Plain => values.for_each(each),
            Coding::Double => values.for_each(|value| each(decode_double(value) as i64)),
            Coding::Unsigned => values.for_each(|value| {
                each(i64::try_from(decode_unsigned(value)).unwrap_or(i64::MAX));
            }),
        }
    }
}

/// A column of numbers that are never negative and that a long can hold, as one of longs.
struct AsLongs(Arc<dyn ColumnValues<u64>>);

impl ColumnValues<i64> for AsLongs {
    fn get_val(&self, place: u32) -> i64 {
        self.0.get_val(place).cast_signed()
    }

    fn min_value(&self) -> i64 {
        self.0.min_value().cast_signed()
    }

    fn max_value(&self) -> i64 {
        self.0.max_value().cast_signed()
    }

    fn num_vals(&self) -> u32 {
        self.0.num_vals()
    }
}

/// Returns the text of an ordinal.
pub(crate) fn text_of(column: &StrColumn, ord: u64) -> Result<String, ApiError> {
    let mut text = String::new();
    column
        .ord_to_str(ord, &mut text)
        .map_err(|e| engine_error(&e))?;
    Ok(text)
}
