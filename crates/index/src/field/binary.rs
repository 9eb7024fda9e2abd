//! `binary`: base64, kept in `_source` only. Whether there is a value is known of one with `doc_values` or `store`.

use super::parameter::{self as p, Parameter};
use super::scalar::{Rejection, Scalar, malformed};
use super::{Family, Mapper};
use crate::document::Values;
use crate::mapping::FieldMapping;

#[derive(Debug)]
pub(super) struct Binary;

const PARAMETERS: &[Parameter] = &[p::META, p::STORE, p::COPY_TO, p::DOC_VALUES];

impl Mapper for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn family(&self) -> Option<Family> {
        Some(Family::Binary)
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn defaults(&self, field: &mut FieldMapping) {
        field.index = false;
        field.doc_values = false;
    }

    fn add(
        &self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        values: &mut Values,
    ) -> Result<(), Rejection> {
        match scalar {
            Scalar::Text(text) if is_base64(text) => {
                if field.doc_values || field.store {
                    values.name(&field.path);
                }
                Ok(())
            }
            other => Err(malformed(format!("[{}] is not base64 text", other.text()))),
        }
    }
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
    text.len() - body.len() <= 2 && body.bytes().all(is_digit)
}
