//! One mapped field: its type and parameters.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::Analyzer;
use crate::dates::DateFormat;
use crate::field::FieldType;

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
