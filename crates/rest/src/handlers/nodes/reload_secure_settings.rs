//! `_nodes/reload_secure_settings`.

use ringwall_api::nodes::ReloadSecureSettingsRequest;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::SecretString;
use serde_json::{Map, Value, json};

use crate::handlers::nodes::time;
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// `POST /_nodes[/{node_id}]/reload_secure_settings`.
pub async fn reload_secure_settings(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let mut body = request.body_object()?;
    check_keys(
        "reload_secure_settings",
        &body,
        &["secure_settings_password"],
    )?;
    let password = match body.remove("secure_settings_password") {
        None | Some(Value::Null) => SecretString::default(),
        Some(Value::String(text)) => SecretString::from(text),
        Some(_) => {
            return Err(ApiError::illegal_argument(
                "[secure_settings_password] must be a text",
            ));
        }
    };
    let nodes = request.path_list("node_id");
    let answer = request
        .execute(ReloadSecureSettingsRequest { nodes, password })
        .await?;
    let total = answer.nodes.len();
    let nodes: Map<String, Value> = answer
        .nodes
        .into_iter()
        .map(|(id, node)| {
            let mut row = json!({
                "name": node.name,
                "secure_setting_names": node.setting_names,
                "keystore_path": node.keystore_path,
                "keystore_digest": node.keystore_digest,
                "keystore_last_modified_time": node.keystore_modified_ms.map(|ms| time(ms as i64 / 1000)),
            });
            if let Some(error) = node.error {
                row["reload_exception"] =
                    json!({"type": error.code.type_name(), "reason": error.reason});
            }
            (id, row)
        })
        .collect();
    Ok(RestResponse::json(json!({
        "_nodes": {"total": total, "successful": total, "failed": 0},
        "cluster_name": answer.cluster_name,
        "nodes": nodes,
    })))
}
