//! `_cluster/settings`.

use std::collections::BTreeMap;

use ringwall_api::cluster::{GetClusterSettingsRequest, PutClusterSettingsRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use crate::handlers::indices::{flattened, nested};
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_cluster/settings`.
pub const SETTINGS_PARAMS: &[&str] = &[
    "flat_settings",
    "include_defaults",
    "local",
    "master_timeout",
];

/// Query parameters of changes to the settings.
pub const PUT_SETTINGS_PARAMS: &[&str] = &["flat_settings", "master_timeout", "timeout"];

/// `GET /_cluster/settings`.
pub async fn settings(request: RestRequest) -> ApiResult<RestResponse> {
    let include_defaults = request.params.flag("include_defaults", false)?;
    let flat = request.params.flag("flat_settings", false)?;
    request.params.hint_flags(&["local"])?;
    request.params.hint_times(&["master_timeout"])?;
    let answer = request
        .execute(GetClusterSettingsRequest { include_defaults })
        .await?;
    let mut body = json!({
        "persistent": shown(answer.persistent, flat),
        "transient": shown(answer.transient, flat),
    });
    if let Some(defaults) = answer.defaults {
        body["defaults"] = shown(defaults, flat);
    }
    Ok(RestResponse::json(body))
}

/// `PUT /_cluster/settings`.
pub async fn put_settings(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    check_keys(
        "cluster_update_settings",
        &body,
        &["persistent", "transient"],
    )?;
    let flat = request.params.flag("flat_settings", false)?;
    let mut part = |name: &str| match body.remove(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(settings @ Value::Object(_)) => Ok(flattened(&settings)),
        Some(other) => Err(ApiError::new(
            ErrorCode::Parsing,
            format!("[{name}] must be an object, not [{other}]"),
        )),
    };
    let answer = request
        .execute(PutClusterSettingsRequest {
            persistent: part("persistent")?,
            transient: part("transient")?,
            timeout_ms: crate::handlers::indices::ack_timeout(&request)?,
        })
        .await?;
    Ok(RestResponse::json(json!({
        "acknowledged": answer.acknowledged,
        "persistent": shown(answer.persistent, flat),
        "transient": shown(answer.transient, flat),
    })))
}

fn shown(settings: BTreeMap<String, Value>, flat: bool) -> Value {
    match flat {
        true => settings.into_iter().collect::<Map<_, _>>().into(),
        false => nested(settings),
    }
}
