//! `alias`: another name of a field, for searches.

use ringwall_api::ApiError;
use serde_json::Value;

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar};
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::{FieldMapping, mapping_error, string};

#[derive(Debug)]
pub(super) struct Alias;

const PARAMETERS: &[Parameter] = &[Parameter {
    name: "path",
    read: |field, key, value| string(key, value, &field.path).map(drop),
    value: |field| field.definition.get("path").cloned().unwrap_or_default(),
    ..p::PARAMETER
}];

impl Mapper for Alias {
    fn name(&self) -> &'static str {
        "alias"
    }

    fn family(&self) -> Option<Family> {
        None
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn defaults(&self, field: &mut FieldMapping) {
        field.index = false;
        field.doc_values = false;
    }

    fn finish(&self, field: &mut FieldMapping) -> Result<(), ApiError> {
        match self.target(field) {
            Some(_) => Ok(()),
            None => Err(mapping_error(format!(
                "The [path] property must be specified for field [{}].",
                field.name()
            ))),
        }
    }

    fn has_multi_fields(&self) -> bool {
        false
    }

    /// Refuses an object too.
    fn reads_whole(&self) -> bool {
        true
    }

    fn target<'f>(&self, field: &'f FieldMapping) -> Option<&'f str> {
        field.definition.get("path").and_then(Value::as_str)
    }

    fn add(
        &self,
        field: &FieldMapping,
        _scalar: &Scalar<'_>,
        _values: &mut Values,
    ) -> Result<(), Rejection> {
        Err(Rejection::Refused(format!(
            "Cannot write to a field alias [{}].",
            field.path
        )))
    }

    fn add_whole(
        &self,
        field: &FieldMapping,
        _value: &Value,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        self.add(field, &Scalar::Bool(true), values)
    }
}
