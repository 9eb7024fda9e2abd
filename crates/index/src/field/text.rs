//! `text`: analyzed.

use ringwall_api::ApiError;
use serde_json::Value;

use super::parameter::{self as p, Kept, Parameter};
use super::scalar::{Rejection, Scalar};
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::{FieldMapping, IndexOptions, mapping_error};

#[derive(Debug)]
pub(super) struct Text;

const PARAMETERS: &[Parameter] = &[
    p::META,
    p::STORE,
    p::COPY_TO,
    p::INDEX,
    p::ANALYZER,
    p::SEARCH_ANALYZER,
    p::SEARCH_QUOTE_ANALYZER,
    p::POSITION_INCREMENT_GAP,
    p::NORMS,
    p::TEXT_INDEX_OPTIONS,
    p::TERM_VECTOR,
    p::EAGER_GLOBAL_ORDINALS,
    p::SIMILARITY,
    p::FIELDDATA,
    ABSENT_FREQUENCY_FILTER,
    ABSENT_PHRASES,
    ABSENT_PREFIXES,
];

const ABSENT_FREQUENCY_FILTER: Parameter = absent("fielddata_frequency_filter");
const ABSENT_PHRASES: Parameter = absent("index_phrases");
const ABSENT_PREFIXES: Parameter = absent("index_prefixes");

/// A parameter that Elasticsearch has; what it does by default may be said.
const fn absent(name: &'static str) -> Parameter {
    Parameter {
        name,
        read: |field, key, value| match value {
            Value::Null | Value::Bool(false) => Ok(()),
            other => Err(p::unsupported(field, key, other)),
        },
        kept: Kept::Unless(|_| true),
        ..p::PARAMETER
    }
}

impl Mapper for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Text)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn defaults(&self, field: &mut FieldMapping) {
        field.doc_values = false;
        field.norms = true;
    }

    fn finish(&self, field: &mut FieldMapping) -> Result<(), ApiError> {
        p::settle_analyzers(field);
        let given = |key| field.definition.contains_key(key);
        if given("position_increment_gap") && field.index_options < IndexOptions::Positions {
            return Err(mapping_error(format!(
                "Cannot set position_increment_gap on field [{}] without positions enabled",
                field.name()
            )));
        }
        Ok(())
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        match field.index {
            true => values.text(field, scalar.text().into_owned()),
            false => Ok(()),
        }
    }
}
