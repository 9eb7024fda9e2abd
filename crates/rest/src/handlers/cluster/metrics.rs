//! `_prometheus/metrics`.

use ringwall_api::ApiResult;
use ringwall_api::cluster::MetricsRequest;

use crate::request::{RestRequest, RestResponse};

/// `GET /_prometheus/metrics`.
pub async fn metrics(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request.execute(MetricsRequest).await?;
    Ok(RestResponse::text(answer.text))
}
