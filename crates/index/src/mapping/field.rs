//! One mapped field: its type and parameters.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::analysis::{Analyzer, Chain, Exceeded, Spent};
use crate::dates::DateFormat;
use crate::field::{Family, FieldType};
use crate::similarity::Similarity;

/// Source: Elasticsearch reference, `position_increment_gap`.
const DEFAULT_POSITION_GAP: u32 = 100;

/// What is kept of each word of a text. Source: Elasticsearch reference, `index_options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IndexOptions {
    /// That it is there.
    Docs,
    /// How often it is.
    Freqs,
    /// Where it is.
    Positions,
    /// Where it is in the text, too. Texts tell that themselves.
    Offsets,
}

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
    /// Text: what is kept of each word.
    pub index_options: IndexOptions,
    pub similarity: Similarity,
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
    /// Keywords: what is made of values.
    pub normalizer: Option<Arc<Chain>>,
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
        let mut field = Self {
            path: path.into(),
            field_type,
            index: true,
            doc_values: true,
            store: false,
            norms: false,
            index_options: IndexOptions::Positions,
            similarity: Similarity::default(),
            null_value: None,
            ignore_above: None,
            ignore_malformed: false,
            coerce: true,
            analyzer: Analyzer::Standard,
            search_analyzer: Analyzer::Standard,
            search_quote_analyzer: Analyzer::Standard,
            normalizer: None,
            position_increment_gap: DEFAULT_POSITION_GAP,
            format: DateFormat::default(),
            scaling_factor: 1.0,
            copy_to: Vec::new(),
            fields: IndexMap::new(),
            text_slot: None,
            definition: Map::new(),
        };
        field_type.mapper().defaults(&mut field);
        field
    }

    /// Applies `index.mapping.ignore_malformed`, to its multi-fields too.
    pub(super) fn ignore_malformed_by_default(&mut self) {
        if self.field_type.parameter("ignore_malformed").is_some()
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
            ..Self::new(name, FieldType::KEYWORD)
        }
    }

    /// Returns whether a query can match values of the field. Since 8.1 a field with doc values
    /// is queryable even when `index` is false.
    pub fn is_searchable(&self) -> bool {
        (self.index || self.doc_values) && self.field_type.family() != Some(Family::Binary)
    }

    /// Returns a text as the normalizer of the field writes it.
    ///
    /// # Errors
    /// The normalizer makes more of it than it may.
    pub fn normalized<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Exceeded> {
        self.normalized_after(&mut Spent::default(), text)
    }

    /// As [`Self::normalized`], for a text of a document after others.
    pub(crate) fn normalized_after<'t>(
        &self,
        spent: &mut Spent,
        text: &'t str,
    ) -> Result<Cow<'t, str>, Exceeded> {
        match &self.normalizer {
            None => Ok(text.into()),
            Some(normalizer) => normalizer.normalized(text, spent).map(Cow::Owned),
        }
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
            let listed = self.field_type.mapper().parameters().iter();
            for parameter in listed.filter(|parameter| parameter.is_listed) {
                let value = || (parameter.value)(self);
                shown.entry(parameter.name).or_insert_with(value);
            }
        }
        shown
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
