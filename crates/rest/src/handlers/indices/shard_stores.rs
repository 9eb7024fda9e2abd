//! `_shard_stores`. Source: Elasticsearch reference, "Index shard stores API".

use std::collections::BTreeMap;

use ringwall_api::cluster::HealthStatus;
use ringwall_api::indices::{ShardStore, ShardStoresRequest};
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::request::{RestRequest, RestResponse};

/// Query parameters, besides those of indices.
pub const PARAMS: &[&str] = &["status"];

/// `GET [/{index}]/_shard_stores`.
pub async fn stores(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request
        .execute(ShardStoresRequest {
            indices: request.indices(IndicesOptions::open_and_closed())?,
            statuses: statuses(&request.params.list("status"))?,
        })
        .await?;
    let mut by_index: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for shard in answer.shards {
        let stores: Vec<Value> = shard.stores.iter().map(store_json).collect();
        let shards = by_index.entry(shard.index).or_default();
        shards.insert(shard.shard.to_string(), json!({"stores": stores}));
    }
    let indices = by_index
        .into_iter()
        .map(|(index, shards)| (index, json!({"shards": shards})));
    let mut body = json!({"indices": indices.collect::<Map<String, Value>>()});
    if !answer.failures.is_empty() {
        let failures = answer
            .failures
            .iter()
            .map(|(node, error)| json!({"node": node, "reason": error.object_with_cause()}));
        body["failures"] = failures.collect();
    }
    Ok(RestResponse::json(body))
}

/// Without any, shards that lack a copy.
fn statuses(given: &[String]) -> ApiResult<Vec<HealthStatus>> {
    use HealthStatus::{Green, Red, Yellow};
    if given.is_empty() {
        return Ok(vec![Yellow, Red]);
    }
    let mut statuses = Vec::new();
    for name in given {
        match name.as_str() {
            "green" => statuses.push(Green),
            "yellow" => statuses.push(Yellow),
            "red" => statuses.push(Red),
            "all" => statuses.extend([Green, Yellow, Red]),
            other => {
                return Err(ApiError::illegal_argument(format!(
                    "unknown cluster health status [{other}]"
                )));
            }
        }
    }
    Ok(statuses)
}

fn store_json(store: &ShardStore) -> Value {
    let node = &store.node;
    json!({
        node.id.clone(): {
            "name": node.name,
            "ephemeral_id": node.ephemeral_id,
            "transport_address": node.transport_address,
            "external_id": node.name,
            "attributes": node.attributes,
            "roles": node.roles,
            "version": node.version,
        },
        "allocation_id": store.allocation_id,
        "allocation": store.use_of.as_str(),
    })
}
