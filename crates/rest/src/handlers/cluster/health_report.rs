//! `_health_report`.

use ringwall_api::cluster::HealthReportRequest;
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Map, json};

use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_health_report`.
pub const REPORT_PARAMS: &[&str] = &["size", "timeout", "verbose"];

/// `GET /_health_report[/{indicator}]`.
pub async fn report(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let size = request.params.owned("size");
    let size = size.map(|text| {
        text.parse().map_err(|_| {
            ApiError::illegal_argument(format!(
                "[size] must be a number of resources, not [{text}]"
            ))
        })
    });
    let answer = request
        .execute(HealthReportRequest {
            indicator: request.path("indicator").map(str::to_owned),
            verbose: request.params.flag("verbose", true)?,
            size: size.transpose()?.unwrap_or(1000),
        })
        .await?;
    let mut body = json!({"cluster_name": answer.cluster_name});
    if let Some(status) = answer.status {
        body["status"] = status.into();
    }
    body["indicators"] = answer.indicators.into_iter().collect::<Map<_, _>>().into();
    Ok(RestResponse::json(body))
}
