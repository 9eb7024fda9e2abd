//! What index expressions stand for. Source: Elasticsearch reference, "Resolve index API".

use std::sync::Arc;

use ringwall_api::indices::{FoundAlias, FoundIndex, ResolveIndexRequest, ResolveIndexResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::services::Services;

impl Handler<ResolveIndexRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<ResolveIndexRequest>,
    ) -> ApiResult<ResolveIndexResponse> {
        let state = services.cluster.state();
        let mut found = ResolveIndexResponse::default();
        for name in request.indices().listed() {
            if let Some(index) = state.indices.get(name) {
                found.indices.push(FoundIndex {
                    name: name.to_owned(),
                    aliases: index.aliases.keys().cloned().collect(),
                    hidden: index.settings.hidden(),
                    closed: index.is_closed,
                });
                continue;
            }
            let behind = state.indices.iter();
            let behind = behind.filter(|(_, index)| index.aliases.contains_key(name));
            let indices: Vec<String> = behind.map(|(index, _)| index.clone()).collect();
            // None any more: it was there when the names were resolved.
            if !indices.is_empty() {
                found.aliases.push(FoundAlias {
                    name: name.to_owned(),
                    indices,
                });
            }
        }
        Ok(found)
    }
}
