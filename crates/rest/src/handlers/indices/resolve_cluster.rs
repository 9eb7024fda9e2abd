//! `_resolve/cluster`. There are no remote clusters. Source: Elasticsearch reference, "Resolve cluster API".

use ringwall_api::indices::ResolveClusterRequest;
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions, IndicesTarget};
use serde_json::{Value, json};

use crate::request::{RestRequest, RestResponse};

/// Query parameters, besides those of indices.
pub const PARAMS: &[&str] = &["ignore_throttled", "timeout"];

/// `GET /_resolve/cluster[/{index}]`: which clusters have what an index expression names.
pub async fn resolve(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let params = &request.params;
    let given: Vec<&str> = OPTIONS
        .iter()
        .copied()
        .filter(|name| params.peek(name).is_some())
        .collect();
    params.hint_flags(&["ignore_throttled"])?;
    let options = params.indices_options(IndicesOptions::of_metadata())?;
    let names = request.path_list("index");
    if names.is_empty() {
        if !given.is_empty() {
            return Err(ApiError::illegal_argument(format!(
                "No index options are allowed on _resolve/cluster when no index expression is specified, but received: \
                 [{}]",
                given.join(", ")
            )));
        }
        // Without names it is remote clusters that are asked for.
        let indices = IndicesTarget::default().with_options(options);
        request.execute(ResolveClusterRequest { indices }).await?;
        return Ok(RestResponse::json(json!({})));
    }
    let mut local = Vec::new();
    for name in names {
        match name.split_once(':') {
            None => local.push(name),
            Some((cluster, _)) if cluster.contains('*') => {}
            Some((cluster, _)) => {
                let reason = format!("no such remote cluster: [{cluster}]");
                return Err(ApiError::new(ErrorCode::NoSuchRemoteCluster, reason));
            }
        }
    }
    if local.is_empty() {
        return Ok(RestResponse::json(json!({})));
    }
    let indices = IndicesTarget::new(local, options);
    let told = match request.execute(ResolveClusterRequest { indices }).await {
        Ok(answer) => found(answer.matching),
        Err(error) if error.code == ErrorCode::IndexNotFound => {
            json!({"connected": true, "skip_unavailable": false, "error": error.reason})
        }
        Err(error) => return Err(error),
    };
    Ok(RestResponse::json(json!({"(local)": told})))
}

fn found(matching: bool) -> Value {
    json!({
        "connected": true,
        "skip_unavailable": false,
        "matching_indices": matching,
        "version": {
            "number": ringwall_base::COMPATIBLE_VERSION,
            "build_flavor": "default",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
    })
}

const OPTIONS: &[&str] = &[
    "allow_no_indices",
    "expand_wildcards",
    "ignore_throttled",
    "ignore_unavailable",
];
