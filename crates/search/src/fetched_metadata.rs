//! Metadata fields in `fields`: each by its own name, none by a pattern. Source: Elasticsearch 8.19, asked.

use ringwall_api::ApiError;
use ringwall_index::Leaf;
use ringwall_index::schema::{ID, IGNORED, ROUTING, SEQ_NO, VERSION};
use serde_json::Value;

use crate::fetch::number;
use crate::fields::INDEX;
use crate::request::FieldAndFormat;
use crate::result::FetchedHit;
use crate::shard::Shard;

/// Refuses what is never shown, and formats for what has none.
pub(crate) fn check(shard: &Shard<'_>, wanted: &FieldAndFormat) -> Result<(), ApiError> {
    let name = wanted.field.as_str();
    let refused = match name {
        SEQ_NO | "_source" | "_field_names" => {
            ApiError::illegal_argument(format!("Cannot fetch values for internal field [{name}]."))
        }
        ID | INDEX | IGNORED | ROUTING | VERSION if wanted.format.is_some() => {
            match shard.field(name) {
                Some(field) => field.no_formats(),
                None => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    Err(ApiError {
        reason: format!("error fetching [{name}]: {}", refused.reason),
        ..refused
    })
}

/// Returns the values of a metadata field, `None` where there are none or the name is of none.
pub(crate) fn values(
    shard: &Shard<'_>,
    reader: &Leaf<'_>,
    doc: u32,
    hit: &FetchedHit,
    wanted: &FieldAndFormat,
) -> Result<Option<Value>, ApiError> {
    let values: Vec<Value> = match wanted.field.as_str() {
        ID => vec![hit.id.clone().into()],
        INDEX => vec![shard.context.index.into()],
        ROUTING => hit.routing.iter().cloned().map(Value::from).collect(),
        IGNORED => hit.ignored.iter().cloned().map(Value::from).collect(),
        VERSION => vec![number(reader, VERSION, doc)?.into()],
        _ => Vec::new(),
    };
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}
