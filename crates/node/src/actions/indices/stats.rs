//! How copies fare.

use std::sync::Arc;

use ringwall_api::auth::Authentication;
use ringwall_api::indices::{IndicesStatsRequest, IndicesStatsResponse, ShardStats};
use ringwall_api::{ApiError, ApiResult, ErrorCode, RequestContext};
use ringwall_cluster::{ClusterState, IndexMetadata};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::broadcast::{Work, broadcast, copies, counts};
use crate::actions::indices::concrete;
use crate::services::Services;

/// What is in the primaries of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Primaries {
    pub docs: u64,
    /// Of segments: an empty index has none.
    pub bytes: u64,
    /// Of the one that has most.
    pub most_docs: u64,
    pub most_bytes: u64,
}

/// Measures the primaries of an index, for a user who may roll over.
///
/// # Errors
/// A primary did not answer, or is on no node: less would be told than there is.
pub(crate) async fn measure_primaries(
    services: &Arc<Services>,
    user: &Authentication,
    state: &ClusterState,
    index: &IndexMetadata,
) -> ApiResult<Primaries> {
    let answers = broadcast(services, user, state, &[index], Work::Rollover).await;
    let mut sum = Primaries::default();
    let mut found = 0;
    for answer in answers.into_iter().filter(|answer| answer.primary) {
        let numbers = answer.result?.numbers;
        found += 1;
        sum.docs += numbers.docs;
        sum.bytes += numbers.segment_bytes;
        sum.most_docs = sum.most_docs.max(numbers.docs);
        sum.most_bytes = sum.most_bytes.max(numbers.segment_bytes);
    }
    match found == index.settings.number_of_shards() {
        true => Ok(sum),
        false => Err(ApiError::new(
            ErrorCode::NoShardAvailable,
            format!("not every primary of [{}] is active", index.id.name),
        )),
    }
}

impl Handler<IndicesStatsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<IndicesStatsRequest>,
    ) -> ApiResult<IndicesStatsResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let total = copies(&state, &indices).count();
        let answers = broadcast(
            &services,
            &context.authentication,
            &state,
            &indices,
            Work::Stats,
        )
        .await;
        let (counts, failures) = counts(total, &answers);
        let is_closed = |index: &str| state.indices.get(index).is_some_and(|i| i.is_closed);
        let shards = answers
            .into_iter()
            .filter_map(|answer| {
                let mut numbers = answer.result.ok()?.numbers;
                let index = answer.shard.index.name;
                if is_closed(&index) && !request.unloaded_segments {
                    numbers.segments = 0;
                }
                Some(ShardStats {
                    index,
                    shard: answer.shard.shard,
                    primary: answer.primary,
                    node: answer.node.to_string(),
                    numbers,
                })
            })
            .collect();
        Ok(IndicesStatsResponse {
            counts,
            shards,
            failures,
        })
    }
}
