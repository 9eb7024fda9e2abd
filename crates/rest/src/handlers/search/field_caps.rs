//! `_field_caps`. Source: Elasticsearch reference, "Field capabilities API".

use ringwall_api::search::{FieldCaps, FieldCapsRequest, FieldKind};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters.
pub const PARAMS: &[&str] = &["fields", "filters", "include_unmapped", "types"];

/// `GET|POST [/{index}]/_field_caps`.
pub async fn field_caps(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let mut body = request.body_object()?;
    for refused in ["index_filter", "runtime_mappings"] {
        if body.contains_key(refused) {
            let reason = format!("[{refused}] is not supported in the body of [_field_caps]");
            return Err(ApiError::illegal_argument(reason));
        }
    }
    check_keys("field_caps_request", &body, &["fields"])?;
    let in_query = params.list("fields");
    let fields = match body.remove("fields") {
        Some(_) if !in_query.is_empty() => {
            return Err(ApiError::illegal_argument(
                "can't specify a request body and [fields] request parameter, either specify a request body or the \
                 [fields] request parameter",
            ));
        }
        Some(fields) => names(&fields)?,
        None => in_query,
    };
    if fields.is_empty() {
        return Err(ApiError::validation(&["no fields specified"]));
    }
    let (mut without, mut only) = (Vec::new(), Vec::new());
    for filter in params.list("filters") {
        match filter.as_str() {
            "-metadata" => without.push(FieldKind::Metadata),
            "+metadata" => only.push(FieldKind::Metadata),
            "-parent" => without.push(FieldKind::Parent),
            "-multifield" => without.push(FieldKind::Multifield),
            // There are no nested fields.
            "-nested" => {}
            other => {
                return Err(ApiError::illegal_argument(format!(
                    "Unknown field caps filter [{other}]"
                )));
            }
        }
    }
    let found = request
        .execute(FieldCapsRequest {
            indices: request.indices(IndicesOptions::default())?,
            fields,
            without,
            only,
            types: params.list("types"),
            include_unmapped: params.flag("include_unmapped", false)?,
        })
        .await?;
    let fields = found.fields.iter().map(|(path, types)| {
        let types = types
            .iter()
            .map(|(name, caps)| (name.clone(), caps_json(name, caps)));
        (path.clone(), Value::Object(types.collect()))
    });
    let fields: Map<String, Value> = fields.collect();
    Ok(RestResponse::json(
        json!({"indices": found.indices, "fields": fields}),
    ))
}

/// Reads one name or a list of them.
fn names(value: &Value) -> ApiResult<Vec<String>> {
    let names = match value {
        Value::Array(names) => names.as_slice(),
        one => std::slice::from_ref(one),
    };
    let text = |name: &Value| name.as_str().map(str::to_owned);
    let names: Option<Vec<String>> = names.iter().map(text).collect();
    names.ok_or_else(|| {
        let reason = "[field_caps_request] fields doesn't support values of this type";
        ApiError::new(ErrorCode::XContentParse, reason)
    })
}

fn caps_json(type_name: &str, caps: &FieldCaps) -> Value {
    let mut json = json!({
        "type": type_name,
        "metadata_field": caps.metadata_field,
        "searchable": caps.searchable,
        "aggregatable": caps.aggregatable,
    });
    for (key, indices) in [
        ("indices", &caps.indices),
        ("non_searchable_indices", &caps.non_searchable_indices),
        ("non_aggregatable_indices", &caps.non_aggregatable_indices),
    ] {
        if let Some(indices) = indices {
            json[key] = json!(indices);
        }
    }
    if !caps.meta.is_empty() {
        json["meta"] = json!(caps.meta);
    }
    json
}
