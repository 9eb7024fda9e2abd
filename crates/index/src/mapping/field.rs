//! One mapped field: its type and parameters.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::Analyzer;
use crate::dates::DateFormat;

/// The type of a leaf field. Source: Elasticsearch reference, "Field data types".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    Text,
    Keyword,
    /// Stored and queried as a keyword.
    Wildcard,
    Long,
    Integer,
    Short,
    Byte,
    UnsignedLong,
    Double,
    Float,
    HalfFloat,
    /// A double, rounded to a multiple of 1 / `scaling_factor`.
    ScaledFloat,
    Boolean,
    Date,
    Ip,
    /// Base64 kept in `_source` only.
    Binary,
    GeoPoint,
}

/// Where the values of a field are in the search index; see [`crate::schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// A text slot, or the overflow field.
    Text,
    /// Raw terms with ordinals: `keyword`, `wildcard`, `ip`.
    Keyword,
    /// Integers and booleans, as `i64`.
    Long,
    /// Floating point, as order-preserving `i64`.
    Double,
    /// Milliseconds since 1970, as `i64`.
    Date,
    /// [`crate::geo::GeoPoint::encode`], `i64` beside the doubles.
    Point,
}

impl FieldType {
    /// Returns the type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        TYPES
            .iter()
            .find(|(_, type_name)| *type_name == name)
            .map(|(field_type, _)| *field_type)
    }

    /// Returns the name used in mappings.
    pub fn name(self) -> &'static str {
        TYPES
            .iter()
            .find(|(field_type, _)| *field_type == self)
            .map_or("object", |(_, name)| name)
    }

    /// Returns where values are kept, or `None` for `binary`.
    pub fn family(self) -> Option<Family> {
        Some(match self {
            Self::Text => Family::Text,
            Self::Keyword | Self::Wildcard | Self::Ip => Family::Keyword,
            Self::Long
            | Self::Integer
            | Self::Short
            | Self::Byte
            | Self::UnsignedLong
            | Self::Boolean => Family::Long,
            Self::Double | Self::Float | Self::HalfFloat | Self::ScaledFloat => Family::Double,
            Self::Date => Family::Date,
            Self::GeoPoint => Family::Point,
            Self::Binary => return None,
        })
    }

    /// Returns whether values are numbers (not dates, not booleans).
    pub fn is_numeric(self) -> bool {
        self.is_integer() || self.family() == Some(Family::Double)
    }

    /// Returns whether a field of the type can leave out what it cannot read.
    pub(super) fn may_ignore_malformed(self) -> bool {
        self.is_numeric() || matches!(self, Self::Date | Self::Ip | Self::Boolean | Self::GeoPoint)
    }

    /// Returns whether values are whole numbers.
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Long | Self::Integer | Self::Short | Self::Byte | Self::UnsignedLong
        )
    }

    /// Returns the least and greatest whole number of the type.
    pub(crate) fn integer_range(self) -> (i128, i128) {
        match self {
            Self::Integer => (i32::MIN.into(), i32::MAX.into()),
            Self::Short => (i16::MIN.into(), i16::MAX.into()),
            Self::Byte => (i8::MIN.into(), i8::MAX.into()),
            Self::UnsignedLong => (0, u64::MAX.into()),
            _ => (i64::MIN.into(), i64::MAX.into()),
        }
    }
}

/// Source: Elasticsearch reference, `position_increment_gap`.
const DEFAULT_POSITION_GAP: u32 = 100;

/// A leaf field with its parameters.
#[derive(Debug, Clone)]
pub struct FieldMapping {
    /// The full dotted path; a multi-field's includes its own name (`title.keyword`).
    pub path: Arc<str>,
    pub field_type: FieldType,
    /// Whether values can be searched.
    pub index: bool,
    /// Whether values can be sorted and aggregated on.
    pub doc_values: bool,
    pub store: bool,
    /// Text: whether the length of a value counts in its score.
    pub norms: bool,
    /// Replaces an explicit `null`.
    pub null_value: Option<Value>,
    /// Longer keywords, in characters, are left out of the index.
    pub ignore_above: Option<usize>,
    /// A value that cannot be read is left out instead of failing the document.
    pub ignore_malformed: bool,
    /// Numbers: text is parsed and fractions are cut.
    pub coerce: bool,
    pub analyzer: Analyzer,
    pub search_analyzer: Analyzer,
    /// Of phrases.
    pub search_quote_analyzer: Analyzer,
    /// Text: places between two values of a document, so that no phrase reaches from one into the next.
    pub position_increment_gap: u32,
    /// Dates only.
    pub format: DateFormat,
    /// `scaled_float` only.
    pub scaling_factor: f64,
    /// Fields that also get the value.
    pub copy_to: Vec<String>,
    /// Multi-fields, by their own name.
    pub fields: IndexMap<String, Arc<FieldMapping>>,
    /// Text: the slot of the schema that holds the field.
    pub text_slot: Option<u16>,
    /// The parameters as given, for showing the mapping: without `type` and `fields`.
    pub(crate) definition: Map<String, Value>,
}

impl FieldMapping {
    pub(crate) fn new(path: &str, field_type: FieldType) -> Self {
        Self {
            path: path.into(),
            field_type,
            index: field_type != FieldType::Binary,
            doc_values: !matches!(field_type, FieldType::Text | FieldType::Binary),
            store: false,
            norms: field_type == FieldType::Text,
            null_value: None,
            ignore_above: None,
            ignore_malformed: false,
            coerce: true,
            analyzer: Analyzer::Standard,
            search_analyzer: Analyzer::Standard,
            search_quote_analyzer: Analyzer::Standard,
            position_increment_gap: DEFAULT_POSITION_GAP,
            format: DateFormat::default(),
            scaling_factor: 1.0,
            copy_to: Vec::new(),
            fields: IndexMap::new(),
            text_slot: None,
            definition: Map::new(),
        }
    }

    /// Applies `index.mapping.ignore_malformed`, to its multi-fields too.
    pub(super) fn ignore_malformed_by_default(&mut self) {
        if self.field_type.may_ignore_malformed()
            && !self.definition.contains_key("ignore_malformed")
        {
            self.ignore_malformed = true;
        }
        for sub in self.fields.values_mut() {
            Arc::make_mut(sub).ignore_malformed_by_default();
        }
    }

    /// Returns the mapping of a metadata field that is searched as a keyword.
    pub fn metadata(name: &str, doc_values: bool) -> Self {
        Self {
            doc_values,
            ..Self::new(name, FieldType::Keyword)
        }
    }

    /// Returns whether a query can match values of the field. Since 8.1 a field with doc values
    /// is queryable even when `index` is false.
    pub fn is_searchable(&self) -> bool {
        self.index || self.doc_values
    }

    /// Returns the last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// Returns the definition as clients see it, with the parameters that nobody set if asked for.
    pub fn definition(&self, with_defaults: bool) -> Map<String, Value> {
        let Value::Object(mut shown) = self.to_json(false) else {
            return Map::new();
        };
        if with_defaults {
            for (name, value) in self.defaults() {
                shown.entry(name).or_insert(value);
            }
        }
        shown
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        let mut defaults = vec![
            ("index", Value::from(self.index)),
            ("store", self.store.into()),
        ];
        let is_text = self.field_type == FieldType::Text;
        if is_text {
            let analyzer = |key: &str| {
                let given = self.definition.get(key).cloned();
                given.unwrap_or_else(|| "default".into())
            };
            let own = analyzer("analyzer");
            let or_own = |key: &str| {
                self.definition
                    .get(key)
                    .cloned()
                    .unwrap_or_else(|| own.clone())
            };
            let search = or_own("search_analyzer");
            let quote = self.definition.get("search_quote_analyzer").cloned();
            defaults.extend([
                ("analyzer", own.clone()),
                (
                    "search_quote_analyzer",
                    quote.unwrap_or_else(|| search.clone()),
                ),
                ("search_analyzer", search),
                ("position_increment_gap", self.position_increment_gap.into()),
                ("index_options", "positions".into()),
                ("norms", self.norms.into()),
            ]);
        } else if self.field_type != FieldType::Binary {
            defaults.push(("doc_values", self.doc_values.into()));
            defaults.push(("null_value", self.null_value.clone().unwrap_or_default()));
        }
        if self.field_type.may_ignore_malformed() {
            defaults.push(("ignore_malformed", self.ignore_malformed.into()));
        }
        if self.field_type.is_numeric() {
            defaults.push(("coerce", self.coerce.into()));
        }
        match self.field_type {
            FieldType::Keyword => defaults.extend([
                (
                    "ignore_above",
                    self.ignore_above.unwrap_or(i32::MAX as usize).into(),
                ),
                ("norms", self.norms.into()),
                ("index_options", "docs".into()),
            ]),
            FieldType::Date => defaults.push(("format", self.format.spec().into())),
            _ => {}
        }
        defaults
    }

    /// Returns the definition, `{"type":...}`, with slots when `stored`.
    pub(crate) fn to_json(&self, stored: bool) -> Value {
        let mut json = Map::new();
        json.insert("type".to_owned(), self.field_type.name().into());
        for (key, value) in &self.definition {
            json.insert(key.clone(), value.clone());
        }
        if !self.fields.is_empty() {
            let fields = self
                .fields
                .iter()
                .map(|(name, field)| (name.clone(), field.to_json(stored)))
                .collect();
            json.insert("fields".to_owned(), Value::Object(fields));
        }
        if let (true, Some(slot)) = (stored, self.text_slot) {
            json.insert(SLOT_KEY.to_owned(), slot.into());
        }
        Value::Object(json)
    }
}

/// The private key of a text field's slot in the stored form of a mapping.
pub(crate) const SLOT_KEY: &str = "_text_slot";

const TYPES: [(FieldType, &str); 17] = [
    (FieldType::Text, "text"),
    (FieldType::Keyword, "keyword"),
    (FieldType::Wildcard, "wildcard"),
    (FieldType::Long, "long"),
    (FieldType::Integer, "integer"),
    (FieldType::Short, "short"),
    (FieldType::Byte, "byte"),
    (FieldType::UnsignedLong, "unsigned_long"),
    (FieldType::Double, "double"),
    (FieldType::Float, "float"),
    (FieldType::HalfFloat, "half_float"),
    (FieldType::ScaledFloat, "scaled_float"),
    (FieldType::Boolean, "boolean"),
    (FieldType::Date, "date"),
    (FieldType::Ip, "ip"),
    (FieldType::Binary, "binary"),
    (FieldType::GeoPoint, "geo_point"),
];
