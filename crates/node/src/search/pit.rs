//! Points in time on the node that holds the copies: searchers that stay open.

use std::sync::Arc;

use ringwall_api::search::OpenPitRequest;
use ringwall_api::search::SearchRequest;
use ringwall_api::{ActionRequest, ApiResult, Authentication, Through};
use ringwall_base::ShardId;
use ringwall_base::breaker::{Account, Purpose};
use ringwall_transport::{DuplicateAction, NodeAction};
use serde::{Deserialize, Serialize};

use super::readers::{NewReader, ReaderId, ReaderKind, keep_alive};
use super::scroll::READER_BYTES;
use super::shard::{described, ready};
use crate::cluster_service::now_ms;
use crate::node_actions::{Needs, for_users};
use crate::services::Services;
use crate::views;

/// Opens a point in time on one shard.
pub const OPEN: NodeAction<OpenRequest, ReaderId> =
    NodeAction::new("indices:data/read/open_reader_context");

/// See [`OPEN`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenRequest {
    pub shard: ShardId,
    /// Of the cluster state by which the node holds a copy in service.
    pub state_version: u64,
    /// By which names the shard was reached, which decides what is seen of it.
    pub through: Through,
    pub keep_alive_ms: u64,
}

/// Registers what other nodes ask of this one.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_users(
        services,
        OPEN,
        |request: &OpenRequest| {
            let names = request.through.names(&request.shard.index.name);
            vec![Needs::Names(OpenPitRequest::ACTION.name, names)]
        },
        async |services, caller, request| open(&services, request, caller.user).await,
    )
}

async fn open(
    services: &Arc<Services>,
    request: OpenRequest,
    caller: Authentication,
) -> ApiResult<ReaderId> {
    let keep_alive = keep_alive(services, request.keep_alive_ms)?;
    let place = services.readers.place(services, ReaderKind::Pit)?;
    let shard = ready(services, &request.shard, request.state_version).await?;
    let account = Account::open(&services.breakers, Purpose::Request);
    account.charge(READER_BYTES, "<point_in_time>")?;
    let task = described(&request.shard);
    let now_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    let state = services.cluster.state();
    let reading = services.reading(&caller, SearchRequest::NAME);
    let shown = views::shown(&state, &request.shard, &request.through, reading)?;
    let view = views::for_search(&state, &request.shard, &request.through, reading, now_ms)?;
    let acquire = move || {
        let _task = task;
        shard.engine.acquire_searcher(&view)
    };
    let searcher = services.pools.search.run(acquire).await??;
    Ok(services.readers.keep(NewReader {
        shard: request.shard,
        through: request.through,
        searcher,
        now_ms,
        scroll: None,
        shown,
        owner: caller,
        keep_alive,
        account,
        place,
    }))
}
