//! Merging segments of copies when somebody asks. Source: Elasticsearch reference, "Force merge API".

use std::sync::Arc;

use ringwall_api::cluster::TaskResult;
use ringwall_api::indices::{ForceMergeRequest, ForceMergeResponse};
use ringwall_api::{ApiError, ApiResult, RequestContext};
use ringwall_index::IndexError;
use ringwall_index::engine::{MergeGoal, Shard};
use ringwall_security::Resolved;
use serde::{Deserialize, Serialize};

use crate::actions::Handler;
use crate::actions::indices::broadcast::{Work, maintain};
use crate::services::Services;
use crate::tasks;

/// What is asked of each copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merge {
    max_segments: Option<u32>,
    only_expunge_deletes: bool,
    flush: bool,
}

impl Merge {
    pub(crate) fn run(self, shard: &Shard) -> Result<(), IndexError> {
        let goal = match self.max_segments {
            Some(most) => Some(MergeGoal::Segments(most as usize)),
            None => self.only_expunge_deletes.then_some(MergeGoal::FewDeletes),
        };
        goal.map_or(Ok(()), |goal| shard.force_merge(goal))?;
        match self.flush {
            true => shard.flush(),
            false => Ok(()),
        }
    }
}

/// Once begun, it goes on whether or not its client waits.
impl Handler<ForceMergeRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<ForceMergeRequest>,
    ) -> ApiResult<ForceMergeResponse> {
        let merge = Merge {
            max_segments: request.max_segments,
            only_expunge_deletes: request.only_expunge_deletes,
            flush: request.flush,
        };
        let indices = request.indices().clone();
        let described = description(&indices.asked(), merge);
        tasks::describe(move || described.clone());
        let task = tasks::current()
            .ok_or_else(|| ApiError::internal("a force merge outside of a task"))?;
        let id = task.task_id();
        let waits = request.wait_for_completion;
        let work = {
            let task = task.clone();
            async move {
                let result = maintain(&services, &context, &indices, Work::Merge(merge)).await;
                if !waits {
                    let kept = result.clone().map(TaskResult::Broadcast);
                    services.keep_result(&task, kept);
                }
                result
            }
        };
        let running = tokio::spawn(task.within(work));
        if !waits {
            return Ok(ForceMergeResponse::Started(id));
        }
        let ended = running.await;
        let done = ended.map_err(|error| ApiError::internal(error.to_string()))??;
        Ok(ForceMergeResponse::Done(done))
    }
}

fn description(indices: &str, merge: Merge) -> String {
    let most = merge.max_segments.map_or(-1, i64::from);
    format!(
        "Force-merge indices [{indices}], maxSegments[{most}], onlyExpungeDeletes[{}], flush[{}]",
        merge.only_expunge_deletes, merge.flush
    )
}
