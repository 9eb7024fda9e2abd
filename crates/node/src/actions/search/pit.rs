//! Points in time over the shards of indices: opening, searching, ending.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ringwall_api::search::{
    ClearedContexts, ClosePitRequest, OpenPitRequest, OpenPitResponse, PitSearchRequest,
    SearchResponse, ShardFailure,
};
use ringwall_api::{ActionRequest, ApiError, ApiResult, RequestContext, Through};
use ringwall_security::Resolved;
use serde_json::Value;

use crate::actions::Handler;
use crate::actions::search::opened::Opened;
use crate::actions::search::query::{
    Caller, Run, Target, check_failures, json_text, parse, run_search, shard_counts, shards,
};
use crate::actions::search::scroll::free;
use crate::preference::Preference;
use crate::search::context_ids::{self, OpenShard};
use crate::search::pit::{OPEN, OpenRequest};
use crate::search::readers::ReaderKind;
use crate::services::Services;

impl Handler<OpenPitRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<OpenPitRequest>,
    ) -> ApiResult<OpenPitResponse> {
        let caller = Caller::of(&services, &context);
        let state = services.cluster.state();
        let preference = Preference::parse(request.preference.as_deref())?;
        let routing = request.routing.as_deref();
        let shards = shards(&state, request.indices(), routing, &preference)?;
        context_ids::check_count(shards.len())?;
        let unspoken = Opened::new(&services, &context.authentication);
        let (asking, preference, noted) = (&caller, &preference, &unspoken);
        let keep_alive_ms = request.keep_alive_ms;
        let asked = shards.iter().map(|(shard, through)| async move {
            let open = |state_version| OpenRequest {
                shard: shard.clone(),
                state_version,
                through: through.clone(),
                keep_alive_ms,
            };
            let answer = asking.ask(shard, preference, OPEN, open).await;
            answer.inspect(|(node, reader)| {
                noted.note(OpenShard {
                    shard: shard.clone(),
                    node: *node,
                    reader: *reader,
                });
            })
        });
        let mut opened: Vec<OpenShard> = Vec::with_capacity(shards.len());
        let mut failures: Vec<ShardFailure> = Vec::new();
        for ((shard, _), answer) in shards.iter().zip(join_all(asked).await) {
            match answer {
                Ok((node, reader)) => opened.push(OpenShard {
                    shard: shard.clone(),
                    node,
                    reader,
                }),
                Err(failure) => failures.push(failure),
            }
        }
        let phase = OpenPitRequest::ACTION.name;
        if let Err(error) = check_failures(shards.len(), &failures, request.allow_partial, phase) {
            unspoken.end().await;
            return Err(error);
        }
        unspoken.given();
        Ok(OpenPitResponse {
            id: context_ids::encode(ReaderKind::Pit, &opened),
            shards: shard_counts(shards.len(), &failures),
            failures,
        })
    }
}

impl Handler<PitSearchRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<PitSearchRequest>,
    ) -> ApiResult<SearchResponse> {
        let source = parse(&services, &request.body, request.typed_keys)?;
        let Some(pit) = &source.pit else {
            return Err(ApiError::internal("a search in a point in time names none"));
        };
        let open = context_ids::decode(ReaderKind::Pit, &pit.id)?;
        let targets = open.into_iter().map(|open| Target {
            shard: open.shard.clone(),
            // Where it is open its names are known, and looked at.
            through: Through::Aliases(Vec::new()),
            open: Some(open),
        });
        let run = Run {
            body: json_text(&request.body)?,
            targets: targets.collect(),
            source,
            sort: Value::Null,
            preference: Preference::default(),
            allow_partial: request.allow_partial_results,
            scroll_ms: None,
        };
        run_search(&services, &context, run).await
    }
}

impl Handler<ClosePitRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ClosePitRequest>,
    ) -> ApiResult<ClearedContexts> {
        let open = context_ids::decode(ReaderKind::Pit, &request.id)?;
        let limit = context.time_left(TIMEOUT);
        Ok(free(&services, &context.authentication, &open, limit).await)
    }
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
