//! A mapped field as queries, sorts and aggregations use it: the only place that knows how the
//! `index` crate lays out values.

use std::borrow::Cow;
use std::sync::LazyLock;

use ringwall_api::ApiError;
use ringwall_index::dates::DateFormat;
use ringwall_index::field::RangeOf;
use ringwall_index::mapping::{Family, IndexOptions};
use ringwall_index::schema::{self, Layout, TextField};
use ringwall_index::{Analyzer, FieldMapping, Leaf, Searcher, Similarity};
use tantivy::Term;
use tantivy::schema::Field;

use crate::agg::partial::ValueFormat;
use crate::columns::{Coding, Numbers, Values};
use crate::engine_error;
use crate::top::NumberKind;

/// A field of the mapping, or a metadata field that can be searched.
pub(crate) struct FieldRef<'a> {
    pub(crate) name: String,
    pub(crate) kind: FieldKind,
    mapping: Option<&'a FieldMapping>,
    layout: &'a Layout,
}

/// The metadata field that holds the name of the index.
pub(crate) const INDEX: &str = "_index";

/// Metadata that is searched as keywords.
static ROUTING: LazyLock<FieldMapping> =
    LazyLock::new(|| FieldMapping::metadata(schema::ROUTING, false));
static IGNORED: LazyLock<FieldMapping> =
    LazyLock::new(|| FieldMapping::metadata(schema::IGNORED, true));

/// What a field means to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// `_id`.
    Id,
    /// `_index`: every document of a shard has the same value.
    Index,
    /// `_seq_no` or `_version`: a `u64` column of numbers that a long can hold.
    Meta,
    Text,
    Keyword,
    Ip,
    Long,
    /// `unsigned_long`.
    Unsigned,
    /// Floating point.
    Double,
    Boolean,
    Date,
    /// Places on the earth, which have no order.
    Point,
    /// All between two ends.
    Range(RangeOf),
    /// Nothing is known but whether there is a value.
    Binary,
}

impl<'a> FieldRef<'a> {
    /// Returns the mapped field; `None` if its type has no values to look at.
    pub(crate) fn mapped(mapping: &'a FieldMapping, layout: &'a Layout) -> Option<Self> {
        let kind = match mapping.field_type.family()? {
            Family::Text => FieldKind::Text,
            Family::Keyword => FieldKind::Keyword,
            Family::Ip => FieldKind::Ip,
            Family::Long => FieldKind::Long,
            Family::Unsigned => FieldKind::Unsigned,
            Family::Double => FieldKind::Double,
            Family::Boolean => FieldKind::Boolean,
            Family::Date => FieldKind::Date,
            Family::Point => FieldKind::Point,
            Family::Range(of) => FieldKind::Range(of),
            Family::Binary => FieldKind::Binary,
        };
        Some(Self {
            name: mapping.path.to_string(),
            kind,
            mapping: Some(mapping),
            layout,
        })
    }

    /// Returns the metadata field of this name, if it can be searched.
    pub(crate) fn meta(name: &str, layout: &'a Layout) -> Option<Self> {
        let kind = match name {
            schema::ID => FieldKind::Id,
            INDEX => FieldKind::Index,
            schema::ROUTING => return Self::mapped(&ROUTING, layout),
            schema::IGNORED => return Self::mapped(&IGNORED, layout),
            schema::SEQ_NO | schema::VERSION => FieldKind::Meta,
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            kind,
            mapping: None,
            layout,
        })
    }

    /// Returns the analyzer of texts that are searched for, if the field is a text.
    pub(crate) fn search_analyzer(&self) -> Option<&'a Analyzer> {
        let mapping = self.mapping.filter(|_| self.kind == FieldKind::Text)?;
        Some(&mapping.search_analyzer)
    }

    /// Returns the analyzer of phrases, if the field is a text.
    pub(crate) fn quote_analyzer(&self) -> Option<&'a Analyzer> {
        let mapping = self.mapping.filter(|_| self.kind == FieldKind::Text)?;
        Some(&mapping.search_quote_analyzer)
    }

    /// Returns the name of the type, as mappings have it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.mapping {
            None if self.name == schema::SEQ_NO => schema::SEQ_NO,
            None if self.name == schema::VERSION => schema::VERSION,
            Some(mapping) if std::ptr::eq(mapping, &*ROUTING) => schema::ROUTING,
            Some(mapping) if std::ptr::eq(mapping, &*IGNORED) => schema::IGNORED,
            Some(mapping) => mapping.field_type.name(),
            None => "metadata",
        }
    }

    /// Returns the 400 of a format for a field that has none.
    pub(crate) fn no_formats(&self) -> ApiError {
        ApiError::illegal_argument(format!(
            "Field [{}] of type [{}] does not support custom formats",
            self.name,
            self.type_name()
        ))
    }

    /// Tells whether the field has a dictionary of texts to look through.
    pub(crate) fn has_terms(&self) -> bool {
        matches!(
            self.kind,
            FieldKind::Text | FieldKind::Keyword | FieldKind::Id
        )
    }

    /// Tells whether queries can match the field.
    pub(crate) fn is_searchable(&self) -> bool {
        self.mapping.is_none_or(FieldMapping::is_searchable)
    }

    /// Returns the format of a date field.
    pub(crate) fn dates(&self) -> Option<&'a DateFormat> {
        self.mapping
            .filter(|_| matches!(self.kind, FieldKind::Date | FieldKind::Range(RangeOf::Date)))
            .map(|mapping| &mapping.format)
    }

    /// Returns the number that the field keeps for this one.
    pub(crate) fn nearest(&self, number: f64) -> f64 {
        self.mapping
            .map_or(number, |mapping| mapping.nearest(number))
    }

    /// Returns whether all matches score alike.
    pub(crate) fn scores_alike(&self) -> bool {
        self.mapping.is_some_and(|mapping| {
            mapping.field_type.scores_alike() || mapping.similarity == Similarity::Boolean
        })
    }

    /// Returns whether the places of words are known.
    pub(crate) fn has_positions(&self) -> bool {
        self.mapping
            .is_none_or(|mapping| mapping.index_options >= IndexOptions::Positions)
    }

    /// Returns the definition of a field that is mapped.
    pub(crate) fn mapping(&self) -> Option<&'a FieldMapping> {
        self.mapping
    }

    /// Returns whether the ends of a range are rounded as values are.
    pub(crate) fn rounds_bounds(&self) -> bool {
        self.mapping
            .is_some_and(|mapping| mapping.field_type.rounds_bounds())
    }

    /// Returns the term of a token or of a whole text.
    pub(crate) fn term(&self, text: &str) -> Term {
        match (self.kind, self.mapping) {
            (FieldKind::Text, Some(mapping)) => self.layout.text_term(mapping, text),
            (FieldKind::Id, _) => self.layout.id_term(text),
            _ => self.layout.keyword_term(&self.name, text),
        }
    }

    /// Returns an exact text as the field keeps it.
    ///
    /// # Errors
    /// The normalizer makes more of it than it may.
    pub(crate) fn normalized<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, ApiError> {
        match self.mapping {
            Some(mapping) => Ok(mapping.normalized(text)?),
            None => Ok(text.into()),
        }
    }

    /// Returns the term of an integer or boolean.
    pub(crate) fn long_term(&self, value: i64) -> Term {
        self.layout.long_term(&self.name, value)
    }

    /// Returns the field whose dictionary holds the terms, and the bytes they begin with.
    pub(crate) fn dictionary(&self) -> (Field, Vec<u8>) {
        let empty = self.term("");
        (empty.field(), empty.serialized_value_bytes().to_vec())
    }

    /// Tells whether the engine keeps lengths of this field.
    pub(crate) fn has_norms(&self) -> bool {
        match (self.kind, self.mapping) {
            (FieldKind::Text, Some(mapping)) => {
                matches!(self.layout.text(mapping), TextField::Slot(_))
            }
            _ => false,
        }
    }

    /// Returns the column of the field in a segment.
    pub(crate) fn values(&self, reader: &Leaf<'_>) -> Result<Values, ApiError> {
        let columns = reader.fast_fields();
        if self.kind == FieldKind::Index {
            return Ok(Values::Same);
        }
        if self.kind == FieldKind::Meta {
            let column = columns.u64(&self.name).map_err(|e| engine_error(&e))?;
            return Ok(Values::Number(Numbers::metadata(column)));
        }
        let Some(name) = self.column_name() else {
            return Ok(Values::None);
        };
        if matches!(self.kind, FieldKind::Keyword | FieldKind::Ip) {
            let column = columns.str(&name).map_err(|e| engine_error(&e))?;
            return Ok(column.map_or(Values::None, Values::Text));
        }
        let coding = match self.kind {
            FieldKind::Double => Coding::Double,
            FieldKind::Unsigned => Coding::Unsigned,
            _ => Coding::Plain,
        };
        let column = columns
            .column_opt::<i64>(&name)
            .map_err(|e| engine_error(&e))?;
        Ok(column.map_or(Values::None, |column| {
            Values::Number(Numbers::new(column, coding))
        }))
    }

    /// Returns the number of values of a keyword field, over all documents.
    pub(crate) fn value_count(&self, searcher: &Searcher) -> Result<u64, ApiError> {
        let Some(name) = self.column_name() else {
            return Ok(0);
        };
        if self.kind != FieldKind::Keyword {
            return Ok(0);
        }
        let mut count = 0;
        for reader in searcher.leaves() {
            let column = reader.fast_fields().str(&name);
            if let Some(column) = column.map_err(|e| engine_error(&e))? {
                count += u64::from(column.ords().values.num_vals());
            }
        }
        Ok(count)
    }

    /// Returns the name of the column.
    pub(crate) fn column_name(&self) -> Option<String> {
        self.mapping.and_then(schema::column_name)
    }

    /// Refuses fields whose values cannot be sorted or aggregated on.
    pub(crate) fn check_doc_values(&self) -> Result<(), ApiError> {
        let name = &self.name;
        if let FieldKind::Text = self.kind {
            return Err(ApiError::illegal_argument(format!(
                "Fielddata is disabled on [{name}] in [{name}]. Text fields are not optimised for \
                 operations that require per-document field data like aggregations and sorting, so \
                 these operations are disabled by default. Please use a keyword field instead."
            )));
        }
        match self.mapping {
            Some(mapping) if mapping.doc_values && !mapping.is_aggregatable() => {
                Err(ApiError::illegal_argument(format!(
                    "Field [{name}] of type [{}] is not supported for sorting, aggregations and docvalue_fields",
                    self.type_name()
                )))
            }
            _ if matches!(self.kind, FieldKind::Index | FieldKind::Meta) => Ok(()),
            _ if self.kind == FieldKind::Id => Err(ApiError::illegal_argument(
                "Fielddata access on the _id field is disallowed, you can re-enable it by updating the \
                 dynamic cluster setting: indices.id_field_data.enabled",
            )),
            Some(mapping) if mapping.doc_values => Ok(()),
            Some(mapping) if std::ptr::eq(mapping, &*ROUTING) => Err(ApiError::illegal_argument(
                format!("Fielddata is not supported on field [{name}] of type [{name}]"),
            )),
            Some(_) => Err(ApiError::illegal_argument(format!(
                "Can't load fielddata on [{name}] because fielddata is unsupported on fields of \
                 type [{}]. Use doc values instead.",
                self.type_name()
            ))),
            None => Err(ApiError::illegal_argument(format!(
                "Fielddata is not supported on field [{name}] of type [metadata]"
            ))),
        }
    }

    /// Returns whether numbers of the field sort and aggregate as longs, unsigned longs or doubles; `None` for
    /// texts.
    pub(crate) fn number_kind(&self) -> Option<NumberKind> {
        match self.kind {
            FieldKind::Unsigned => Some(NumberKind::Unsigned),
            FieldKind::Long | FieldKind::Boolean | FieldKind::Date | FieldKind::Meta => {
                Some(NumberKind::Long)
            }
            FieldKind::Double => Some(NumberKind::Double),
            _ => None,
        }
    }

    /// Returns how values of the field read as text.
    pub(crate) fn value_format(&self) -> ValueFormat {
        match self.kind {
            FieldKind::Boolean => ValueFormat::Bool,
            FieldKind::Ip => ValueFormat::Ip,
            FieldKind::Date => ValueFormat::Date {
                format: self
                    .dates()
                    .map_or_else(String::new, |format| format.spec().to_owned()),
                zone: "UTC".to_owned(),
            },
            _ => ValueFormat::Plain,
        }
    }
}
