//! Fields of indices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::indices::{
    Acknowledged, GetFieldMappingsRequest, GetFieldMappingsResponse, PutMappingRequest,
};
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_base::glob::{self, Syntax};
use ringwall_index::mapping::shown_of;
use ringwall_security::Resolved;
use serde_json::Map;

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::actions::indices::delete::acknowledged;
use crate::services::Services;
use crate::views;

impl Handler<GetFieldMappingsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetFieldMappingsRequest>,
    ) -> ApiResult<GetFieldMappingsResponse> {
        let state = services.cluster.state();
        let wanted = |path: &str| {
            let mut patterns = request.fields.iter();
            patterns.any(|pattern| glob::matches(pattern, path, Syntax::Star))
        };
        let mut indices = BTreeMap::new();
        let reading = services.reading(&context.authentication, GetFieldMappingsRequest::NAME);
        for index in concrete(&state, request.indices())? {
            let (_, mapping) = services.shards.mapping_in(&state, &index.id)?;
            let through = request.indices().through(&index.id.name);
            let mask = views::fields_shown(&index.id.name, &through, reading)?;
            let own = mapping
                .fields()
                .filter(|field| wanted(&field.path) && mask.shows(&field.path))
                .filter(|field| field.alias_of().is_none_or(|target| mask.shows(target)))
                .map(|field| {
                    let definition = field.definition(request.with_defaults);
                    let shown = shown_of(definition, &field.path, |path| mask.shows(path));
                    (field.path.to_string(), shown)
                });
            let metadata = ringwall_index::METADATA_FIELDS
                .into_iter()
                // Names that are kept free, of no field that is there.
                .filter(|name| !["_type", "_primary_term"].contains(name))
                .filter(|name| wanted(name))
                .map(|name| (name.to_owned(), Map::new()));
            indices.insert(index.id.name.clone(), own.chain(metadata).collect());
        }
        Ok(GetFieldMappingsResponse { indices })
    }
}

impl Handler<PutMappingRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        _context: RequestContext,
        request: Resolved<PutMappingRequest>,
    ) -> ApiResult<Acknowledged> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let state = services.cluster.state();
        for index in concrete(&state, request.indices())? {
            services
                .shards
                .put_mapping(&index.id, &request.mappings, timeout)
                .await?;
        }
        acknowledged(&services, timeout).await
    }
}
