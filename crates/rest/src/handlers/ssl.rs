//! TLS of the nodes. Source: Elasticsearch reference, "SSL certificate API"; `_ssl/nodes` and `_cat/certificates` are
//! ours.

use ringwall_api::cluster::SslCertificatesRequest;
use ringwall_api::tls::{
    MetricsRequest, NodeTls, NodesTlsRequest, ReloadSecureSettingsRequest, TlsCertificate, TlsLink,
    TlsRefusal, TlsRevocationList,
};
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::SecretString;
use serde_json::{Map, Value, json};

use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// `GET /_ssl/certificates`: the TLS certificates of the node that answers.
pub async fn certificates(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(SslCertificatesRequest).await?;
    Ok(RestResponse::json(answer.certificates))
}

/// `GET /_ssl/nodes[/{node_id}]`: what every node has loaded, and the links between them.
pub async fn nodes(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let nodes = request.path_list("node_id");
    let answer = request.execute(NodesTlsRequest { nodes }).await?;
    let (successful, failed) = (answer.nodes.len(), answer.failures.len());
    let nodes: Map<String, Value> = answer
        .nodes
        .iter()
        .map(|(id, node)| (id.clone(), node_json(node)))
        .collect();
    let failures = answer
        .failures
        .iter()
        .map(|(node, reason)| json!({"node_id": node, "reason": reason}));
    let mut header = json!({
        "total": successful + failed, "successful": successful, "failed": failed,
    });
    if failed > 0 {
        header["failures"] = failures.collect();
    }
    Ok(RestResponse::json(json!({
        "_nodes": header, "cluster_name": answer.cluster_name, "nodes": nodes,
    })))
}

fn node_json(node: &NodeTls) -> Value {
    let context = |context: &ringwall_api::tls::TlsContextInfo| {
        json!({
            "name": context.name,
            "reloads": context.reloads,
            "reload_error": context.reload_error,
            "certificates": context.certificates.iter().map(certificate_json).collect::<Value>(),
            "trusted_fingerprints_sha256": context.trusted,
            "revocation_lists": context.revocation_lists.iter().map(list_json).collect::<Value>(),
        })
    };
    json!({
        "name": node.name,
        "transport": node.transport,
        "contexts": node.contexts.iter().map(context).collect::<Value>(),
        "links": node.links.iter().map(link_json).collect::<Value>(),
        "recent_refusals": node.refusals.iter().map(refusal_json).collect::<Value>(),
    })
}

fn certificate_json(certificate: &TlsCertificate) -> Value {
    json!({
        "path": certificate.path,
        "format": certificate.format,
        "alias": certificate.alias,
        "subject_dn": certificate.subject,
        "issuer": certificate.issuer,
        "serial_number": certificate.serial,
        "fingerprint_sha256": certificate.sha256,
        "issuer_fingerprint_sha256": certificate.issuer_sha256,
        "has_private_key": certificate.has_private_key,
        "is_ca": certificate.is_ca,
        "not_before": time(certificate.not_before),
        "expiry": time(certificate.not_after),
        "days_left": days_left(certificate.not_after),
    })
}

fn list_json(list: &TlsRevocationList) -> Value {
    json!({
        "path": list.path,
        "issuer": list.issuer,
        "number": list.number,
        "this_update": time(list.this_update),
        "next_update": time(list.next_update),
        "overdue": list.next_update <= jiff::Timestamp::now().as_second(),
        "superseded": list.is_superseded,
    })
}

fn refusal_json(refusal: &TlsRefusal) -> Value {
    json!({
        "at": time(refusal.at_ms / 1000),
        "layer": refusal.layer,
        "peer": refusal.peer,
        "reason": refusal.reason,
        "message": refusal.message,
    })
}

fn link_json(link: &TlsLink) -> Value {
    json!({
        "node_id": link.node_id,
        "node_name": link.node_name,
        "direction": if link.dialled { "dialled" } else { "accepted" },
        "encrypted": link.encrypted,
        "subject_dn": link.subject,
        "issuer": link.issuer,
        "serial_number": link.serial,
        "expiry": link.not_after.map(time),
    })
}

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

/// `GET /_prometheus/metrics`.
pub async fn metrics(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(MetricsRequest).await?;
    Ok(RestResponse::text(answer.text))
}

pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |at| format!("{at:.3}"))
}

pub(super) fn days_left(not_after: i64) -> i64 {
    (not_after - jiff::Timestamp::now().as_second()).div_euclid(86_400)
}
