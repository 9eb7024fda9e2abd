//! Parameters of a definition: how each is read, shown and changed. Those that one type has alone stand in its file.

use ringwall_api::ApiError;
use serde_json::Value;

use super::ShownAs;
use crate::mapping::{
    FieldMapping, IndexOptions, analyzer, boolean, check_meta, java_text, mapping_error, one_of,
    string, string_list, whole,
};

/// A parameter that a type takes.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// Reads the value of the parameter of this name into the field.
    pub read: fn(&mut FieldMapping, &str, &Value) -> Result<(), ApiError>,
    /// Returns what is in force.
    pub value: fn(&FieldMapping) -> Value,
    /// Whether it is shown where nobody set it, if defaults are asked for.
    pub is_listed: bool,
    pub kept: Kept,
    pub change: Change,
}

/// Whether a definition shows the parameter as it was given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kept {
    Always,
    /// Not if it is the default of the type.
    UnlessDefault,
    /// Not if this holds.
    Unless(fn(&FieldMapping) -> bool),
}

/// Whether an update of the mapping may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Allowed,
    Refused,
    /// From true to false only.
    OffOnly,
}

/// What most parameters are like. It is no parameter itself.
pub(crate) const PARAMETER: Parameter = Parameter {
    name: "",
    read: |_, _, _| Ok(()),
    value: |_| Value::Null,
    is_listed: false,
    kept: Kept::Always,
    change: Change::Allowed,
};

pub(super) const META: Parameter = Parameter {
    name: "meta",
    read: |_, _, value| check_meta(value),
    ..PARAMETER
};

pub(super) const STORE: Parameter = Parameter {
    name: "store",
    read: |field, key, value| {
        field.store = boolean(key, value)?;
        Ok(())
    },
    value: |field| field.store.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

pub(super) const COPY_TO: Parameter = Parameter {
    name: "copy_to",
    read: |field, key, value| {
        field.copy_to = string_list(key, value, &field.path)?;
        Ok(())
    },
    ..PARAMETER
};

/// Of types that read lists and objects whole.
pub(super) const UNSUPPORTED_COPY_TO: Parameter = Parameter {
    name: "copy_to",
    read: |field, key, _| {
        Err(mapping_error(format!(
            "[{key}] of the {} field [{}] is not supported",
            field.field_type.name(),
            field.path
        )))
    },
    ..PARAMETER
};

pub(super) const INDEX: Parameter = Parameter {
    name: "index",
    read: |field, key, value| {
        field.index = boolean(key, value)?;
        Ok(())
    },
    value: |field| field.index.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

/// Of types that have no choice: shown, and refused.
pub(super) const FIXED_INDEX: Parameter = Parameter {
    read: |field, key, _| Err(unknown(field, key)),
    ..INDEX
};

pub(super) const DOC_VALUES: Parameter = Parameter {
    name: "doc_values",
    read: |field, key, value| {
        field.doc_values = boolean(key, value)?;
        Ok(())
    },
    value: |field| field.doc_values.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

/// Of types that have no choice: shown, and refused.
pub(super) const FIXED_DOC_VALUES: Parameter = Parameter {
    read: |field, key, _| Err(unknown(field, key)),
    ..DOC_VALUES
};

pub(super) const NULL_VALUE: Parameter = Parameter {
    name: "null_value",
    read: |field, _, value| {
        field.null_value = (!value.is_null()).then(|| value.clone());
        check_null_value(field)
    },
    value: |field| field.null_value.clone().unwrap_or_default(),
    is_listed: true,
    kept: Kept::Unless(|field| field.null_value.is_none()),
    change: Change::Refused,
};

pub(super) const IGNORE_MALFORMED: Parameter = Parameter {
    name: "ignore_malformed",
    read: |field, key, value| {
        field.ignore_malformed = boolean(key, value)?;
        Ok(())
    },
    value: |field| field.ignore_malformed.into(),
    is_listed: true,
    ..PARAMETER
};

pub(super) const COERCE: Parameter = Parameter {
    name: "coerce",
    read: |field, key, value| {
        field.coerce = boolean(key, value)?;
        Ok(())
    },
    value: |field| field.coerce.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    ..PARAMETER
};

pub(super) const IGNORE_ABOVE: Parameter = Parameter {
    name: "ignore_above",
    read: |field, key, value| {
        field.ignore_above = Some(whole(key, value, &field.path)?);
        Ok(())
    },
    value: |field| field.ignore_above.unwrap_or(i32::MAX as usize).into(),
    ..PARAMETER
};

pub(super) const LISTED_IGNORE_ABOVE: Parameter = Parameter {
    is_listed: true,
    ..IGNORE_ABOVE
};

pub(super) const NORMS: Parameter = Parameter {
    name: "norms",
    read: |field, key, value| {
        field.norms = boolean(key, value)?;
        Ok(())
    },
    value: |field| field.norms.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::OffOnly,
};

pub(super) const TEXT_INDEX_OPTIONS: Parameter = Parameter {
    name: "index_options",
    read: |field, key, value| {
        let known = ["positions", "docs", "freqs", "offsets"];
        one_of(key, value, &known, &field.path)?;
        field.index_options = match value.as_str() {
            Some("docs") => IndexOptions::Docs,
            Some("freqs") => IndexOptions::Freqs,
            Some("offsets") => IndexOptions::Offsets,
            _ => IndexOptions::Positions,
        };
        Ok(())
    },
    value: |field| {
        let name = match field.index_options {
            IndexOptions::Docs => "docs",
            IndexOptions::Freqs => "freqs",
            IndexOptions::Positions => "positions",
            IndexOptions::Offsets => "offsets",
        };
        name.into()
    },
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

/// Keywords keep no frequencies.
pub(super) const KEYWORD_INDEX_OPTIONS: Parameter = Parameter {
    name: "index_options",
    read: |field, key, value| {
        one_of(key, value, &["docs", "freqs"], &field.path)?;
        match value.as_str() {
            Some("docs") => Ok(()),
            _ => Err(unsupported(field, key, value)),
        }
    },
    value: |_| "docs".into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

pub(super) const EAGER_GLOBAL_ORDINALS: Parameter = Parameter {
    name: "eager_global_ordinals",
    read: |_, key, value| boolean(key, value).map(drop),
    ..PARAMETER
};

pub(super) const SPLIT_QUERIES_ON_WHITESPACE: Parameter = Parameter {
    name: "split_queries_on_whitespace",
    read: |field, key, value| match value {
        Value::Bool(false) => Ok(()),
        _ => Err(unknown(field, key)),
    },
    ..PARAMETER
};

/// Whether there is one of the name is known when the similarities of the index are.
pub(super) const SIMILARITY: Parameter = Parameter {
    name: "similarity",
    read: |field, key, value| string(key, value, &field.path).map(drop),
    value: |field| {
        field
            .definition
            .get("similarity")
            .cloned()
            .unwrap_or_default()
    },
    is_listed: true,
    change: Change::Refused,
    ..PARAMETER
};

/// Words of a text are kept as terms only, not as values of documents.
pub(super) const FIELDDATA: Parameter = Parameter {
    name: "fielddata",
    read: |field, key, value| match boolean(key, value)? {
        false => Ok(()),
        true => Err(unsupported(field, key, value)),
    },
    value: |_| false.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    ..PARAMETER
};

/// Of what is asked for nothing is kept: terms and their places are found again in `_source`.
pub(super) const TERM_VECTOR: Parameter = Parameter {
    name: "term_vector",
    read: |field, key, value| one_of(key, value, &TERM_VECTORS, &field.path),
    value: |field| {
        let given = field.definition.get("term_vector").cloned();
        given.unwrap_or_else(|| "no".into())
    },
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

const TERM_VECTORS: [&str; 7] = [
    "no",
    "yes",
    "with_positions",
    "with_offsets",
    "with_positions_offsets",
    "with_positions_payloads",
    "with_positions_offsets_payloads",
];

/// Refuses a value that Elasticsearch takes.
pub(super) fn unsupported(field: &FieldMapping, key: &str, value: &Value) -> ApiError {
    mapping_error(format!(
        "[{key}={}] of the {} field [{}] is not supported by Ringwall",
        java_text(value),
        field.field_type.name(),
        field.name()
    ))
}

pub(super) const ANALYZER: Parameter = Parameter {
    name: "analyzer",
    read: |field, _, value| {
        field.analyzer = analyzer(value, &field.path)?;
        Ok(())
    },
    value: own_analyzer,
    is_listed: true,
    change: Change::Refused,
    ..PARAMETER
};

pub(super) const SEARCH_ANALYZER: Parameter = Parameter {
    name: "search_analyzer",
    read: |field, _, value| {
        field.search_analyzer = analyzer(value, &field.path)?;
        Ok(())
    },
    value: search_analyzer,
    is_listed: true,
    kept: Kept::Unless(|field| field.search_analyzer == field.analyzer),
    ..PARAMETER
};

pub(super) const SEARCH_QUOTE_ANALYZER: Parameter = Parameter {
    name: "search_quote_analyzer",
    read: |field, _, value| {
        field.search_quote_analyzer = analyzer(value, &field.path)?;
        Ok(())
    },
    value: |field| {
        let given = field.definition.get("search_quote_analyzer").cloned();
        given.unwrap_or_else(|| search_analyzer(field))
    },
    is_listed: true,
    kept: Kept::Unless(|field| field.search_quote_analyzer == field.search_analyzer),
    ..PARAMETER
};

pub(super) const POSITION_INCREMENT_GAP: Parameter = Parameter {
    name: "position_increment_gap",
    read: |field, key, value| {
        let gap = u32::try_from(whole(key, value, &field.path)?).ok();
        let gap = gap.filter(|gap| *gap <= MAX_POSITION_GAP);
        field.position_increment_gap = gap.ok_or_else(|| {
            mapping_error(format!(
                "[position_increment_gap] of field [{}] must be at most [{MAX_POSITION_GAP}]",
                field.path
            ))
        })?;
        Ok(())
    },
    value: |field| field.position_increment_gap.into(),
    is_listed: true,
    kept: Kept::UnlessDefault,
    change: Change::Refused,
};

/// Gives the analyzers that nobody set.
pub(super) fn settle_analyzers(field: &mut FieldMapping) {
    if !field.definition.contains_key("search_analyzer") {
        field.search_analyzer = field.analyzer.clone();
    }
    if !field.definition.contains_key("search_quote_analyzer") {
        field.search_quote_analyzer = field.search_analyzer.clone();
    }
}

/// Refuses a parameter that the type does not take.
pub(crate) fn unknown(field: &FieldMapping, key: &str) -> ApiError {
    mapping_error(format!(
        "unknown parameter [{key}] on mapper [{}] of type [{}]",
        field.name(),
        field.field_type.name()
    ))
}

/// Refuses a `format` of a type that has none.
pub(super) fn no_format(format: Option<&str>) -> Result<ShownAs, ApiError> {
    match format {
        None => Ok(ShownAs::Plain),
        Some(_) => Err(ApiError::illegal_argument(
            "a [format] is supported on date fields only",
        )),
    }
}

fn own_analyzer(field: &FieldMapping) -> Value {
    let given = field.definition.get("analyzer").cloned();
    given.unwrap_or_else(|| "default".into())
}

fn search_analyzer(field: &FieldMapping) -> Value {
    let given = field.definition.get("search_analyzer").cloned();
    given.unwrap_or_else(|| own_analyzer(field))
}

fn check_null_value(field: &FieldMapping) -> Result<(), ApiError> {
    let Some(value) = &field.null_value else {
        return Ok(());
    };
    let mapper = field.field_type.mapper();
    mapper.check_null_value(field, value).map_err(|reason| {
        mapping_error(format!(
            "Error parsing [null_value] on field [{}]: {reason}",
            field.path
        ))
    })
}

/// So that the places of a long array of values stay numbers of 32 bits.
const MAX_POSITION_GAP: u32 = 10_000;
