//! Checking queries against the mappings of indices. Source: Elasticsearch reference, "Validate API".

use std::sync::Arc;

use ringwall_api::search::{QueryCheck, ValidateQueryRequest, ValidateQueryResponse};
use ringwall_api::{ActionRequest, ApiResult, RequestContext};
use ringwall_index::Mapping;
use ringwall_search::filter::check_query;
use ringwall_search::parse_query;
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::concrete;
use crate::services::Services;
use crate::views;

impl Handler<ValidateQueryRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ValidateQueryRequest>,
    ) -> ApiResult<ValidateQueryResponse> {
        let state = services.cluster.state();
        let reading = services.reading(&context.authentication, ValidateQueryRequest::NAME);
        let query = request.query.clone();
        if let Err(error) = services
            .pools
            .search
            .run(move || parse_query(&query))
            .await?
        {
            return Ok(ValidateQueryResponse::Malformed(error));
        }
        let mut checks = Vec::new();
        for index in concrete(&state, request.indices())? {
            let name = index.id.name.clone();
            let through = request.indices().through(&name);
            let mask = views::fields_shown(&name, &through, reading)?;
            let (_, mapping) = services.shards.mapping_in(&state, &index.id)?;
            let is_narrowed = views::is_narrowed(&name, &through, reading)?;
            // What a field is that is hidden must not be learned from what does not fit it.
            let shown = is_narrowed.then(|| mapping.to_json_of(|path| mask.shows(path)));
            let (query, of) = (request.query.clone(), name.clone());
            let check = move || {
                let mapping = match shown {
                    Some(shown) => {
                        let empty = Mapping::with_analysis(Arc::clone(mapping.analysis()));
                        Arc::new(empty.merge(&shown)?)
                    }
                    None => mapping,
                };
                check_query(&query, &mapping, &of)
            };
            let error = services.pools.search.run(check).await?.err();
            let check = |shard| QueryCheck {
                index: name.clone(),
                uuid: index.id.uuid.clone(),
                shard,
                error: error.clone(),
            };
            match request.all_shards {
                true => checks.extend((0..index.settings.number_of_shards()).map(Some).map(check)),
                false => checks.push(check(None)),
            }
        }
        Ok(ValidateQueryResponse::Checked(checks))
    }
}
