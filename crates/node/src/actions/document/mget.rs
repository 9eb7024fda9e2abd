//! Documents read by their ids, shard by shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use ringwall_api::document::{GetRequest, MultiGetItem, MultiGetRequest, MultiGetResponse};
use ringwall_api::{ApiError, ApiResult, RequestContext, Through};
use ringwall_base::{ShardId, encoding};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::document::get::{DOCUMENTS, get_of_shard, place_of};
use crate::preference::Preference;
use crate::services::Services;

/// One call for all documents of a shard.
impl Handler<MultiGetRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<MultiGetRequest>,
    ) -> ApiResult<MultiGetResponse> {
        let state = services.cluster.state();
        let authentication = &context.authentication;
        let preference = Preference::parse(request.preference.as_deref())?;
        let mut items: Vec<MultiGetItem> = Vec::with_capacity(request.items.len());
        let mut groups: BTreeMap<(ShardId, Through), (Vec<usize>, Vec<GetRequest>)> =
            BTreeMap::new();
        for (position, item) in request.into_request().items.into_iter().enumerate() {
            let id = item.id.clone();
            let authorizer = &services.authorizer;
            let item = match authorizer.authorize_part(authentication, item) {
                Ok(item) => item,
                Err(refused) => {
                    items.push(MultiGetItem {
                        index: refused.asked,
                        id,
                        outcome: Err(refused.error),
                    });
                    continue;
                }
            };
            let place = place_of(&state, &item);
            items.push(MultiGetItem {
                index: item.indices().asked(),
                id,
                outcome: Err(place.as_ref().err().cloned().unwrap_or_else(no_answer)),
            });
            if let Ok(place) = place {
                let (positions, requests) = groups.entry(place).or_default();
                positions.push(position);
                requests.push(item.into_request());
            }
        }
        let reads = groups.into_iter().map(|(place, (positions, requests))| {
            let (services, preference) = (&services, &preference);
            async move {
                let results =
                    get_of_shard(services, authentication, place, preference, requests).await;
                (positions, results)
            }
        });
        for (positions, results) in join_all(reads).await {
            match results {
                Ok(results) => {
                    context
                        .account
                        .charge(encoding::size(&results), DOCUMENTS)?;
                    for (position, result) in positions.into_iter().zip(results) {
                        items[position].outcome = result;
                    }
                }
                Err(error) => {
                    for position in positions {
                        items[position].outcome = Err(error.clone());
                    }
                }
            }
        }
        Ok(MultiGetResponse { items })
    }
}

pub(crate) fn no_answer() -> ApiError {
    ApiError::internal("the shard gave no answer to the item")
}
