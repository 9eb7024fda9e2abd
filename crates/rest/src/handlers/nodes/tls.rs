//! `_ssl/nodes`.

use ringwall_api::ApiResult;
use ringwall_api::nodes::{
    NodeTls, NodesTlsRequest, TlsCertificate, TlsLink, TlsRefusal, TlsRevocationList,
};
use serde_json::{Map, Value, json};

use crate::request::{RestRequest, RestResponse};

/// `GET /_ssl/nodes[/{node_id}]`: what every node has loaded, and the links between them.
pub async fn tls(mut request: RestRequest) -> ApiResult<RestResponse> {
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
    let context = |context: &ringwall_api::nodes::TlsContextInfo| {
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

pub(crate) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |at| format!("{at:.3}"))
}

pub(crate) fn days_left(not_after: i64) -> i64 {
    (not_after - jiff::Timestamp::now().as_second()).div_euclid(86_400)
}
