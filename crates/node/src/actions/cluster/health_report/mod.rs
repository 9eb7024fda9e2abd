//! `GET /_health_report`: what is wrong, what it means, what to do. Source: Elasticsearch reference, "Health API".

mod audit;
mod indicator;
mod shards;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use indicator::Indicator;
use ringwall_api::action::BoxFuture;
use ringwall_api::cluster::{HealthReportRequest, HealthReportResponse, HealthStatus};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::services::Services;

type Look = for<'a> fn(&'a Arc<Services>) -> BoxFuture<'a, Indicator>;

const INDICATORS: &[(&str, Look)] = &[
    ("master_is_stable", |services| {
        Box::pin(shards::master(services))
    }),
    ("shards_availability", |services| {
        Box::pin(shards::availability(services))
    }),
    ("disk", |services| Box::pin(shards::disk(services))),
    ("tls_certificates", |services| {
        Box::pin(tls::certificates(services))
    }),
    ("transport_tls", |services| {
        Box::pin(tls::transport(services))
    }),
    ("audit_log", |services| Box::pin(audit::log(services))),
];

impl Handler<HealthReportRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<HealthReportRequest>,
    ) -> ApiResult<HealthReportResponse> {
        let request = request.into_request();
        let wanted = |name: &str| request.indicator.as_deref().is_none_or(|one| one == name);
        let chosen: Vec<_> = INDICATORS.iter().filter(|(name, _)| wanted(name)).collect();
        if chosen.is_empty() {
            let names: Vec<&str> = INDICATORS.iter().map(|(name, _)| *name).collect();
            return Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                format!(
                    "Did not find indicator [{}], expected one of [{}]",
                    request.indicator.unwrap_or_default(),
                    names.join(", ")
                ),
            ));
        }
        let looks = chosen
            .iter()
            .map(|(name, look)| async { (*name, look(&services).await) });
        let found: BTreeMap<&str, Indicator> = join_all(looks).await.into_iter().collect();
        let worst = found.values().map(|indicator| indicator.status).max();
        Ok(HealthReportResponse {
            cluster_name: services.cluster_name.clone(),
            status: match request.indicator {
                None => worst.map(|status| status.as_str().to_owned()),
                Some(_) => None,
            },
            indicators: found
                .into_iter()
                .map(|(name, indicator)| {
                    let body = indicator.to_json(name, request.verbose, request.size);
                    (name.to_owned(), body)
                })
                .collect(),
        })
    }
}
