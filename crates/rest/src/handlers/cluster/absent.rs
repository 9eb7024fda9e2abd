//! What there is none of: no feature keeps state in indices, and nothing that a version has is gone in a later one.
//! Source of the shapes: Elasticsearch reference, "Features APIs", "Migration APIs".

use ringwall_api::ApiResult;
use ringwall_api::cluster::{
    GetDeprecationsRequest, GetFeatureUpgradesRequest, GetFeaturesRequest,
};
use serde_json::json;

use crate::request::{RestRequest, RestResponse};

/// `GET /_features`.
pub async fn features(request: RestRequest) -> ApiResult<RestResponse> {
    request.params.hint_times(&["master_timeout"])?;
    request.execute(GetFeaturesRequest).await?;
    Ok(RestResponse::json(json!({"features": []})))
}

/// `GET /_migration/deprecations`.
pub async fn deprecations(request: RestRequest) -> ApiResult<RestResponse> {
    request.execute(GetDeprecationsRequest).await?;
    Ok(RestResponse::json(json!({
        "cluster_settings": [],
        "node_settings": [],
        "ml_settings": [],
        "index_settings": {},
        "data_streams": {},
        "templates": {},
        "ilm_policies": {},
    })))
}

/// `GET /_migration/system_features`.
pub async fn feature_upgrades(request: RestRequest) -> ApiResult<RestResponse> {
    request.execute(GetFeatureUpgradesRequest).await?;
    Ok(RestResponse::json(
        json!({"features": [], "migration_status": "NO_MIGRATION_NEEDED"}),
    ))
}
