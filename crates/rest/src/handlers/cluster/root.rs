//! `GET /`, and the licence endpoints that clients probe at start.

use ringwall_api::cluster::MainRequest;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::COMPATIBLE_VERSION;
use serde_json::{Value, json};

use crate::request::{RestRequest, RestResponse};

/// `GET|HEAD /`. Source: Elasticsearch reference, "Root API".
pub async fn main(request: RestRequest) -> ApiResult<RestResponse> {
    let main = request.execute(MainRequest).await?;
    Ok(RestResponse::json(json!({
        "name": main.node_name,
        "cluster_name": main.cluster_name,
        "cluster_uuid": main.cluster_uuid,
        "version": {
            "number": COMPATIBLE_VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": format!("ringwall-{}", ringwall_base::VERSION),
            "build_date": BUILD_DATE,
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    })))
}

/// `GET /_license`. Everything Ringwall has is free, which clients know as an active basic licence.
pub async fn license(request: RestRequest) -> ApiResult<RestResponse> {
    request.params.hint_flags(&["local", "accept_enterprise"])?;
    let main = request.execute(MainRequest).await?;
    Ok(RestResponse::json(json!({
        "license": {
            "status": "active",
            "uid": main.cluster_uuid,
            "type": "basic",
            "issue_date": BUILD_DATE,
            "issue_date_in_millis": BUILD_DATE_MS,
            "max_nodes": 1000,
            "max_resource_units": null,
            "issued_to": main.cluster_name,
            "issuer": "elasticsearch",
            "start_date_in_millis": -1,
        },
    })))
}

/// `GET /_xpack`.
pub async fn xpack(request: RestRequest) -> ApiResult<RestResponse> {
    // Without security nobody's credentials are looked at.
    let secured = request.context.authenticated_as_of.is_some();
    request.params.hint_flags(&["accept_enterprise"])?;
    let categories = request.params.list("categories");
    let is_unknown = |name: &&String| !["build", "license", "features"].contains(&name.as_str());
    if let Some(unknown) = categories.iter().find(is_unknown) {
        return Err(ApiError::illegal_argument(format!(
            "[categories] has [{unknown}], but knows [build], [license] and [features] only"
        )));
    }
    let main = request.execute(MainRequest).await?;
    let mut body = json!({
        "build": {"hash": format!("ringwall-{}", ringwall_base::VERSION), "date": BUILD_DATE},
        "license": {"uid": main.cluster_uuid, "type": "basic", "mode": "basic", "status": "active"},
        "features": {
            "security": {"available": true, "enabled": secured},
            "ml": {"available": false, "enabled": false},
            "watcher": {"available": false, "enabled": false},
            "graph": {"available": false, "enabled": false},
        },
    });
    if let (false, Value::Object(sections)) = (categories.is_empty(), &mut body) {
        sections.retain(|name, _| categories.contains(name));
    }
    body["tagline"] = "You know, for X".into();
    Ok(RestResponse::json(body))
}

/// The day of the release; clients only want a date that parses.
const BUILD_DATE: &str = "2026-11-24T00:00:00.000Z";
const BUILD_DATE_MS: u64 = 1_795_478_400_000;
