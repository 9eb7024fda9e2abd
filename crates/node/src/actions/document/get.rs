//! A document read by its id, also what is not refreshed.

use std::sync::Arc;
use std::time::Duration;

use ringwall_api::auth::Authentication;
use ringwall_api::document::{GetRequest, GetResult};
use ringwall_api::{ActionRequest, ApiError, ApiResult, ErrorCode, RequestContext, Through};
use ringwall_base::breaker::{Account, Purpose};
use ringwall_base::{ShardId, encoding};
use ringwall_cluster::ClusterState;
use ringwall_cluster::blocks::Level;
use ringwall_index::engine::GetDocument;
use ringwall_search::source_filter;
use ringwall_security::Resolved;
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};

use crate::actions::Handler;
use crate::actions::document::mget::no_answer;
use crate::cluster_service::now_ms;
use crate::node_actions::{Needs, for_users};
use crate::preference::Preference;
use crate::routing::{is_stale_routing, one_index, shard_of};
use crate::services::Services;
use crate::{read, views};

/// To a node with a copy: read documents of one shard.
const GET_SHARD: NodeAction<GetShardRequest, GetResults> =
    NodeAction::new("indices:data/read/get[s]");

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GetShardRequest {
    shard: ShardId,
    /// Of the cluster state by which the node holds a copy in service.
    state_version: u64,
    through: Through,
    requests: Vec<GetRequest>,
}

/// One per request, in order.
type GetResults = Vec<ApiResult<GetResult>>;

/// Registers the data nodes' side with the transport.
pub fn register_transport(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        GET_SHARD,
        needs,
        async |services, caller, request| read(&services, request, &caller.user).await,
    )
}

/// The documents are named in the request of the shard: one right covers them all.
fn needs(request: &GetShardRequest) -> Vec<Needs> {
    let names = request.through.names(&request.shard.index.name);
    vec![Needs::Names(GetRequest::NAME, names)]
}

impl Handler<GetRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<GetRequest>,
    ) -> ApiResult<GetResult> {
        let state = services.cluster.state();
        let place = place_of(&state, &request)?;
        let preference = Preference::parse(request.preference.as_deref())?;
        let requests = vec![request.into_request()];
        let mut results = get_of_shard(
            &services,
            &context.authentication,
            place,
            &preference,
            requests,
        )
        .await?;
        context
            .account
            .charge(encoding::size(&results), DOCUMENTS)?;
        results.pop().unwrap_or_else(|| Err(no_answer()))
    }
}

/// Returns the shard of a document, and by which name it was reached.
pub(crate) fn place_of(
    state: &ClusterState,
    request: &Resolved<GetRequest>,
) -> ApiResult<(ShardId, Through)> {
    let (index, through) = one_index(state, request.indices())?;
    state.check_blocks(&index.id.name, Level::Read)?;
    let mut routing = request.routing.clone();
    if let Through::Aliases(aliases) = &through {
        for alias in aliases {
            routing = views::document_routing(index, alias, routing)?;
        }
    }
    Ok((shard_of(index, &request.id, routing.as_deref()), through))
}

/// Reads documents from a copy that serves, waiting for one that is just starting.
///
/// # Errors
/// 503 when no copy answers: never 404, which says that a document is not there.
pub(crate) async fn get_of_shard(
    services: &Arc<Services>,
    authentication: &Authentication,
    (shard, through): (ShardId, Through),
    preference: &Preference,
    requests: Vec<GetRequest>,
) -> ApiResult<GetResults> {
    let call = |node, state_version| {
        let message = GetShardRequest {
            shard: shard.clone(),
            through: through.clone(),
            state_version,
            requests: requests.clone(),
        };
        services.call_as(authentication, node, GET_SHARD, message, TIMEOUT)
    };
    let is_final = |error: &ApiError| error.status < 500 && error.code != ErrorCode::ShardNotFound;
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    match read::from_copy(services, &shard, preference, deadline, is_final, call).await {
        Ok((_, results)) => Ok(results),
        Err(unread) if is_unavailable(&unread.error) => Ok(requests
            .iter()
            .map(|request| Err(unavailable(&shard, request)))
            .collect()),
        Err(unread) => Err(unread.error),
    }
}

fn is_unavailable(error: &ApiError) -> bool {
    error.code == ErrorCode::NoShardAvailable || is_stale_routing(error)
}

fn unavailable(shard: &ShardId, request: &GetRequest) -> ApiError {
    let reason = format!(
        "No shard available for [get [{}][{}]: routing [{}]]",
        shard.index.name,
        request.id,
        request.routing.as_deref().unwrap_or("null")
    );
    ApiError::new(ErrorCode::NoShardAvailable, reason)
}

async fn read(
    services: &Services,
    message: GetShardRequest,
    caller: &Authentication,
) -> ApiResult<GetResults> {
    let shard = read::serving_copy(services, &message.shard, message.state_version).await?;
    let account = Account::open(&services.breakers, Purpose::Request);
    let charged = account.clone();
    let state = services.cluster.state();
    let now_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    let reading = services.reading(caller, GetRequest::NAME);
    let view = views::for_documents(&state, &message.shard, &message.through, reading, now_ms)?;
    let work = move || -> ApiResult<GetResults> {
        let requests = message.requests.iter();
        // Whether a document passes is asked of an index, so that the copy's own had better have all of them.
        let is_hidden = |request: &GetRequest| {
            request.realtime
                && !view.has_all_documents()
                && shard.engine.is_unrefreshed(&request.id)
        };
        if requests.clone().any(|request| request.refresh) || requests.clone().any(is_hidden) {
            shard.refresh()?;
        }
        let mut by_id = shard.engine.by_id(&view);
        let mut results = Vec::with_capacity(message.requests.len());
        for request in message.requests {
            let document = match request.realtime {
                true => by_id.get(&request.id)?,
                false => by_id.get_searchable(&request.id)?,
            };
            let result = result(&message.shard.index.name, request, document);
            charged.charge(encoding::size(&result), DOCUMENTS)?;
            results.push(result);
        }
        Ok(results)
    };
    let results = services.pools.get.run(work).await?;
    drop(account);
    results
}

/// What refusals say that documents read by id are.
pub(crate) const DOCUMENTS: &str = "<documents>";

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

pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
