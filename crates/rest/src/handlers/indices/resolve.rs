//! `_resolve/index`.

use ringwall_api::indices::{FoundAlias, FoundIndex, ResolveIndexRequest};
use ringwall_api::{ApiResult, IndicesOptions};
use serde_json::{Value, json};

use crate::request::{RestRequest, RestResponse};

/// `GET /_resolve/index/{index}`.
pub async fn resolve(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = request.indices(IndicesOptions::of_metadata())?;
    let found = request.execute(ResolveIndexRequest { indices }).await?;
    Ok(RestResponse::json(json!({
        "indices": found.indices.iter().map(index_json).collect::<Vec<_>>(),
        "aliases": found.aliases.iter().map(alias_json).collect::<Vec<_>>(),
        "data_streams": [],
    })))
}

fn index_json(index: &FoundIndex) -> Value {
    let mut json = json!({"name": index.name});
    if !index.aliases.is_empty() {
        json["aliases"] = json!(index.aliases);
    }
    let state = match index.closed {
        true => "closed",
        false => "open",
    };
    json["attributes"] = match index.hidden {
        true => json!(["hidden", state]),
        false => json!([state]),
    };
    json
}

fn alias_json(alias: &FoundAlias) -> Value {
    json!({"name": alias.name, "indices": alias.indices})
}
