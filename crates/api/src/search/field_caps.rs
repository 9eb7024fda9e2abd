//! What can be done with the fields of indices. Source: Elasticsearch reference, "Field capabilities API".

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// `_field_caps`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldCapsRequest {
    pub indices: IndicesTarget,
    /// Paths and patterns.
    pub fields: Vec<String>,
    /// Kinds of fields that are left out.
    pub without: Vec<FieldKind>,
    /// If not empty, kinds of fields that are shown alone.
    pub only: Vec<FieldKind>,
    /// If not empty, types of fields that are shown alone. Objects are shown all the same.
    pub types: Vec<String>,
    /// Tells of indices that do not have a field that others have.
    pub include_unmapped: bool,
}

/// What a field is in its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Of every document: `_id`.
    Metadata,
    /// An object, which has fields.
    Parent,
    Multifield,
}

/// By path and type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldCapsResponse {
    /// Those that were looked at, by name.
    pub indices: Vec<String>,
    pub fields: BTreeMap<String, BTreeMap<String, FieldCaps>>,
}

/// What can be done with a field, in the indices where it has one type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldCaps {
    pub metadata_field: bool,
    /// In every one of the indices, as the next.
    pub searchable: bool,
    pub aggregatable: bool,
    /// Present where other indices have another type.
    pub indices: Option<Vec<String>>,
    /// Present where others are searchable, as the next.
    pub non_searchable_indices: Option<Vec<String>>,
    pub non_aggregatable_indices: Option<Vec<String>>,
    /// The `meta` of mappings: values by key.
    pub meta: BTreeMap<String, BTreeSet<String>>,
}
