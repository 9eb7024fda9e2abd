//! Mappings: which fields an index has and how values of each are read.
//!
//! Source: Elasticsearch reference, "Mapping". A [`Mapping`] is immutable; [`Mapping::merge`] gives a new one. Its
//! stored form ([`Mapping::to_stored_json`]) also carries which text slot of the search index each
//! text field has, so that every copy of every shard agrees; clients never see slots.

mod analyzed;
mod compose;
mod field;
mod merge;
mod parse;
mod shown;
pub use shown::shown_of;
mod templates;
mod value;

use std::sync::Arc;

use indexmap::IndexMap;
use ringwall_api::{ApiError, ErrorCode};
use serde_json::{Map, Value, json};

use crate::analysis::Analysis;
use crate::dates::DateFormat;
pub use crate::field::{Family, FieldType};
pub use compose::lay_over;
pub use field::{FieldMapping, IndexOptions};
pub(crate) use templates::{DynamicTemplates, Kind};
pub(crate) use value::{
    analyzer, boolean, check_meta, java_text, one_of, string, string_list, whole,
};

/// The mapping of one index.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(crate) root: ObjectMapping,
    pub(crate) options: RootOptions,
    /// Every leaf and multi-field by path.
    index: IndexMap<Arc<str>, Arc<FieldMapping>>,
    object_count: usize,
    /// The analyzers of the index.
    analysis: Arc<Analysis>,
}

/// What happens to a field that the mapping does not know. Source: Elasticsearch reference, "dynamic".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dynamic {
    /// It is added.
    #[default]
    True,
    /// It stays in `_source` only.
    False,
    /// The document is refused.
    Strict,
}

/// An object: named fields and objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObjectMapping {
    pub dynamic: Option<Dynamic>,
    /// `false`: the content is not looked at.
    pub disabled: bool,
    pub properties: IndexMap<String, Property>,
}

#[derive(Debug, Clone)]
pub(crate) enum Property {
    Object(Box<ObjectMapping>),
    Field(Arc<FieldMapping>),
}

fn ignore_malformed(object: &mut ObjectMapping) {
    for property in object.properties.values_mut() {
        match property {
            Property::Object(inner) => ignore_malformed(inner),
            Property::Field(field) => Arc::make_mut(field).ignore_malformed_by_default(),
        }
    }
}

/// Root parameters beside `dynamic` and `properties`.
#[derive(Debug, Clone)]
pub(crate) struct RootOptions {
    pub date_detection: bool,
    pub numeric_detection: bool,
    pub dynamic_date_formats: Vec<DateFormat>,
    pub dynamic_templates: Arc<DynamicTemplates>,
    pub routing_required: bool,
    pub source_enabled: bool,
    /// The parameters as given, in order: what `to_json` shows.
    pub given: Map<String, Value>,
}

impl Default for RootOptions {
    fn default() -> Self {
        Self {
            date_detection: true,
            numeric_detection: false,
            dynamic_date_formats: Vec::new(),
            dynamic_templates: Arc::default(),
            routing_required: false,
            source_enabled: true,
            given: Map::new(),
        }
    }
}

/// Parts of the path of a field, more than any depth limit allows that is of use: what reads a mapping goes into them
/// one in the other.
pub(crate) const MAX_NAME_PARTS: usize = 200;
/// Of the path of a field, which is a term of the search index.
pub(crate) const MAX_NAME_BYTES: usize = 32_766;

/// Bounds on a mapping. Source: Elasticsearch reference, "Mapping limit settings".
#[derive(Debug, Clone, Copy)]
pub struct MappingLimits {
    /// Fields, objects and multi-fields.
    pub total_fields: usize,
    /// Levels of objects.
    pub depth: usize,
}

impl Default for MappingLimits {
    fn default() -> Self {
        Self {
            total_fields: 1000,
            depth: 20,
        }
    }
}

impl Default for Mapping {
    fn default() -> Self {
        Self::from_parts(ObjectMapping::default(), RootOptions::default())
    }
}

impl Mapping {
    /// Reads a mapping as a client gives it, `{"properties":{...},...}`. `null` is an empty one.
    ///
    /// Fails with `mapper_parsing_exception` naming the field and parameter at fault.
    pub fn parse(json: &Value) -> Result<Self, ApiError> {
        Self::default().merge(json)
    }

    /// Reads a mapping written by [`Mapping::to_stored_json`].
    pub fn parse_stored(json: &Value) -> Result<Self, ApiError> {
        let (root, options) = parse::parse_root(json, parse::Form::Stored)?;
        Ok(Self::from_parts(root, options))
    }

    /// Returns an empty mapping of an index with these analyzers.
    pub fn with_analysis(analysis: Arc<Analysis>) -> Self {
        Self {
            analysis,
            ..Self::default()
        }
    }

    /// Returns the mapping with the analyzers that its fields name.
    ///
    /// # Errors
    /// One is not there.
    pub fn analyzed(mut self, analysis: Arc<Analysis>) -> Result<Self, ApiError> {
        analyzed::resolve(&mut self.root, &analysis)?;
        Ok(Self {
            analysis,
            ..Self::from_parts(self.root, self.options)
        })
    }

    /// Returns the analyzers of the index.
    pub fn analysis(&self) -> &Arc<Analysis> {
        &self.analysis
    }

    /// Returns the mapping as clients see it.
    pub fn to_json(&self) -> Value {
        self.render(false)
    }

    /// Returns the mapping with its private keys, for the cluster state.
    pub fn to_stored_json(&self) -> Value {
        self.render(true)
    }

    /// Returns this mapping with an update (same form as for [`Mapping::parse`]) applied, under the
    /// default limits.
    ///
    /// Fails with `illegal_argument_exception` when the update contradicts what is there.
    pub fn merge(&self, update: &Value) -> Result<Self, ApiError> {
        self.merge_limited(update, &MappingLimits::default())
    }

    /// Returns this mapping with an update applied, under the limits of the index.
    pub fn merge_limited(&self, update: &Value, limits: &MappingLimits) -> Result<Self, ApiError> {
        let (mut root, options) = parse::parse_root(update, parse::Form::Client)?;
        analyzed::resolve(&mut root, &self.analysis)?;
        merge::merge(self, root, options, limits)
    }

    /// Returns the field of a full dotted path, multi-fields included.
    pub fn field(&self, path: &str) -> Option<&Arc<FieldMapping>> {
        self.index.get(path)
    }

    /// Returns the field that a path or an alias of it names.
    pub fn resolved(&self, path: &str) -> Option<&Arc<FieldMapping>> {
        let field = self.field(path)?;
        match field.alias_of() {
            None => Some(field),
            Some(target) => self.field(target),
        }
    }

    /// Returns every field and multi-field, parents before multi-fields.
    pub fn fields(&self) -> impl Iterator<Item = &Arc<FieldMapping>> {
        self.index.values()
    }

    /// Returns the mapping as one knows it who sees these fields only. What it renders is not changed.
    pub(crate) fn with_fields(&self, shows: impl Fn(&str) -> bool) -> Self {
        let mut mapping = self.clone();
        mapping.index.retain(|path, _| shows(path));
        mapping
    }

    /// Returns the mapping of an index with `index.mapping.ignore_malformed`: fields that do not say otherwise leave out
    /// what they cannot read. What it renders is not changed.
    pub fn ignoring_malformed(mut self) -> Self {
        ignore_malformed(&mut self.root);
        Self {
            analysis: self.analysis,
            ..Self::from_parts(self.root, self.options)
        }
    }

    /// Returns whether the path is an object of the mapping.
    pub fn is_object(&self, path: &str) -> bool {
        self.object(path).is_some()
    }

    /// Returns the fields below an object path, for `exists` on an object; empty for a leaf.
    pub fn fields_under<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = &'a Arc<FieldMapping>> {
        self.index.values().filter(move |field| {
            field
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// Returns the number of fields, multi-fields and objects, as the limit counts them.
    pub fn total_fields(&self) -> usize {
        self.index.len() + self.object_count
    }

    /// Returns the number of text slots in use: one more than the highest slot.
    pub fn text_slots(&self) -> u16 {
        self.index
            .values()
            .filter_map(|field| field.text_slot)
            .max()
            .map_or(0, |highest| highest.saturating_add(1))
    }

    /// Returns whether a write without routing must be refused.
    pub fn routing_required(&self) -> bool {
        self.options.routing_required
    }

    /// Returns whether `_source` is kept.
    pub fn source_enabled(&self) -> bool {
        self.options.source_enabled
    }

    pub(crate) fn from_parts(root: ObjectMapping, options: RootOptions) -> Self {
        let mut index = IndexMap::new();
        let object_count = index_object(&root, &mut index);
        Self {
            root,
            options,
            index,
            object_count,
            analysis: Analysis::none().clone(),
        }
    }

    fn object(&self, path: &str) -> Option<&ObjectMapping> {
        path.split('.').try_fold(&self.root, |object, name| {
            match object.properties.get(name)? {
                Property::Object(inner) => Some(&**inner),
                Property::Field(_) => None,
            }
        })
    }

    fn render(&self, stored: bool) -> Value {
        let mut json = self.options.given.clone();
        let object = render_object(&self.root, stored);
        if let Value::Object(members) = object {
            json.extend(members);
        }
        Value::Object(json)
    }
}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        self.to_stored_json() == other.to_stored_json()
    }
}

fn index_object(
    object: &ObjectMapping,
    index: &mut IndexMap<Arc<str>, Arc<FieldMapping>>,
) -> usize {
    let mut objects = 0;
    for property in object.properties.values() {
        match property {
            Property::Object(inner) => objects += 1 + index_object(inner, index),
            Property::Field(field) => {
                index.insert(field.path.clone(), field.clone());
                for sub in field.fields.values() {
                    index.insert(sub.path.clone(), sub.clone());
                }
            }
        }
    }
    objects
}

fn render_object(object: &ObjectMapping, stored: bool) -> Value {
    let mut json = Map::new();
    if let Some(dynamic) = object.dynamic {
        let text = match dynamic {
            Dynamic::True => "true",
            Dynamic::False => "false",
            Dynamic::Strict => "strict",
        };
        json.insert("dynamic".to_owned(), text.into());
    }
    if object.disabled {
        json.insert("enabled".to_owned(), false.into());
    }
    if !object.properties.is_empty() {
        // Elasticsearch lists properties by name.
        let mut names: Vec<&String> = object.properties.keys().collect();
        names.sort();
        let properties = names
            .into_iter()
            .map(|name| {
                (
                    name.clone(),
                    render_property(&object.properties[name], stored),
                )
            })
            .collect();
        json.insert("properties".to_owned(), Value::Object(properties));
    }
    Value::Object(json)
}

fn render_property(property: &Property, stored: bool) -> Value {
    match property {
        Property::Field(field) => field.to_json(stored),
        Property::Object(object) => {
            let mut json = render_object(object, stored);
            // As Elasticsearch shows one that has no fields.
            if object.properties.is_empty() {
                json["type"] = json!("object");
            }
            json
        }
    }
}

/// Returns the `mapper_parsing_exception` of a bad mapping.
pub(crate) fn mapping_error(reason: impl Into<String>) -> ApiError {
    let reason = reason.into();
    ApiError::new(
        ErrorCode::MapperParsing,
        format!("Failed to parse mapping: {reason}"),
    )
    .caused_by(ApiError::new(ErrorCode::MapperParsing, reason))
}

#[cfg(test)]
mod tests;
