//! Reading documents by id, from any copy in sync.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::auth::Authentication;
use ringwall_api::document::{
    GetRequest, GetResult, MultiGetItem, MultiGetRequest, MultiGetResponse,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_base::ShardId;
use ringwall_index::engine::GetDocument;
use ringwall_search::source_filter;
use ringwall_transport::{DuplicateAction, InboundContext, TypedHandler};
use serde::{Deserialize, Serialize};

use super::ActionRegistry;
use crate::routing::{no_copy, one_index, read_copies, shard_of};
use crate::services::Services;

pub(super) fn register(registry: &mut ActionRegistry) {
    registry.add(get);
    registry.add(multi_get);
}

/// To a node with a copy: read one document.
const GET_SHARD: &str = "indices:data/read/get[s]";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GetShardRequest {
    shard: ShardId,
    request: GetRequest,
}

/// Registers the data nodes' side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    let shared = services.clone();
    services.transport.register(
        GET_SHARD,
        TypedHandler::new(move |context: InboundContext, request: GetShardRequest| {
            let services = shared.clone();
            async move {
                let authentication = context
                    .authentication
                    .as_ref()
                    .ok_or_else(|| ApiError::internal("a read came without its user"))?;
                services.authorizer.recheck(
                    authentication,
                    GetRequest::ACTION.name,
                    std::slice::from_ref(&request.shard.index.name),
                )?;
                read(&services, request).await
            }
        }),
    )
}

async fn get(
    services: Arc<Services>,
    context: RequestContext,
    request: GetRequest,
) -> ApiResult<GetResult> {
    get_one(&services, &context.authentication, request).await
}

async fn multi_get(
    services: Arc<Services>,
    context: RequestContext,
    request: MultiGetRequest,
) -> ApiResult<MultiGetResponse> {
    let reads = request.items.into_iter().map(|item| {
        let services = &services;
        let authentication = &context.authentication;
        async move {
            let index = item.index.expressions.join(",");
            let id = item.id.clone();
            let allowed =
                services
                    .authorizer
                    .authorize_item(authentication, GetRequest::ACTION.name, &index);
            let outcome = match allowed {
                Ok(()) => get_one(services, authentication, item).await,
                Err(error) => Err(error),
            };
            MultiGetItem { index, id, outcome }
        }
    });
    Ok(MultiGetResponse {
        items: join_all(reads).await,
    })
}

async fn get_one(
    services: &Arc<Services>,
    authentication: &Authentication,
    request: GetRequest,
) -> ApiResult<GetResult> {
    let state = services.cluster.state();
    let index = one_index(&state, &request.index)?;
    let shard = shard_of(index, &request.id, request.routing.as_deref());
    let local = services.local_node();
    let mut last = no_copy(&shard);
    let message = GetShardRequest { shard, request };
    for node in read_copies(&state, &message.shard, local) {
        let result = if node == local {
            read(services, message.clone()).await
        } else {
            services
                .call_as(authentication, node, GET_SHARD, &message, TIMEOUT)
                .await
        };
        match result {
            // Another copy may be able to.
            Err(error) if error.status >= 500 || error.code == ErrorCode::ShardNotFound => {
                last = error;
            }
            result => return result,
        }
    }
    Err(last)
}

async fn read(services: &Services, message: GetShardRequest) -> ApiResult<GetResult> {
    let shard = services.shards.require(&message.shard)?;
    let work = move || -> ApiResult<GetResult> {
        let request = message.request;
        if request.refresh {
            shard.refresh()?;
        }
        let document = if request.realtime {
            shard.engine.get(&request.id)?
        } else {
            shard.engine.get_searchable(&request.id)?
        };
        result(&message.shard.index.name, request, document)
    };
    services.pools.get.run(work).await?
}

fn result(index: &str, request: GetRequest, document: Option<GetDocument>) -> ApiResult<GetResult> {
    let Some(document) = document else {
        return Ok(GetResult {
            index: index.to_owned(),
            id: request.id,
            found: false,
            version: 0,
            seq_no: ringwall_base::UNASSIGNED_SEQ_NO,
            primary_term: 0,
            routing: None,
            source: None,
        });
    };
    if let Some(wanted) = request.version
        && wanted != document.version
    {
        let reason = format!(
            "[{}]: version conflict, current version [{}] is different than the one provided \
             [{wanted}]",
            request.id, document.version
        );
        return Err(ApiError::new(ErrorCode::VersionConflict, reason));
    }
    Ok(GetResult {
        index: index.to_owned(),
        id: request.id,
        found: true,
        version: document.version,
        seq_no: document.seq_no,
        primary_term: document.primary_term,
        source: source_filter::apply(&document.source, &request.source)?,
        routing: document.routing,
    })
}

const TIMEOUT: Duration = Duration::from_secs(30);
