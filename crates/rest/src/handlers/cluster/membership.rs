//! `_membership`: which nodes are known by their keys. Ours.

use ringwall_api::cluster::{
    ApproveNodeRequest, ForgetNodeRequest, MemberInfo, MembershipRequest, WaitingNode,
};
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Value, json};

use crate::handlers::MASTER_TIMEOUT_MS;
use crate::request::{RestRequest, RestResponse};

/// `GET /_membership`.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(MembershipRequest {}).await?;
    Ok(RestResponse::json(json!({
        "approval": answer.approval,
        "nodes": answer.nodes.iter().map(member_json).collect::<Value>(),
        "waiting": answer.waiting.iter().map(waiting_json).collect::<Value>(),
    })))
}

/// `POST /_membership/{node_id}/_approve?key=`.
pub async fn approve(request: RestRequest) -> ApiResult<RestResponse> {
    let key = request.params.owned("key").ok_or_else(|| {
        ApiError::illegal_argument(
            "[key] is missing: the key of the node to let in, which `GET /_membership` tells and the log of the node \
             itself confirms",
        )
    })?;
    let asked = ApproveNodeRequest {
        id: request.required("node_id")?,
        key,
        timeout_ms: timeout(&request)?,
    };
    let answer = request.execute(asked).await?;
    Ok(RestResponse::json(
        json!({"acknowledged": answer.acknowledged}),
    ))
}

/// `DELETE /_membership/{node_id}`.
pub async fn forget(request: RestRequest) -> ApiResult<RestResponse> {
    let asked = ForgetNodeRequest {
        id: request.required("node_id")?,
        timeout_ms: timeout(&request)?,
    };
    let answer = request.execute(asked).await?;
    Ok(RestResponse::json(
        json!({"acknowledged": answer.acknowledged}),
    ))
}

fn timeout(request: &RestRequest) -> ApiResult<u64> {
    request.params.time_ms("timeout", MASTER_TIMEOUT_MS)
}

fn member_json(node: &MemberInfo) -> Value {
    json!({
        "id": node.id,
        "name": node.name,
        "key": node.key,
        "known_since_millis": node.since_ms,
        "in_cluster": node.away_since_ms.is_none(),
        "away_since_millis": node.away_since_ms,
    })
}

fn waiting_json(node: &WaitingNode) -> Value {
    json!({
        "id": node.id,
        "name": node.name,
        "key": node.key,
        "transport_address": node.transport_address,
        "asked_millis": node.asked_ms,
    })
}
