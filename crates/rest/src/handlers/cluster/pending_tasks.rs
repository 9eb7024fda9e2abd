//! `_cluster/pending_tasks`.

use ringwall_api::ApiResult;
use ringwall_api::cluster::{PendingTasksRequest, PendingTasksResponse};
use serde_json::{Value, json};

use crate::render::duration_in_words;
use crate::request::{RestRequest, RestResponse};

/// `GET /_cluster/pending_tasks`.
pub async fn pending_tasks(request: RestRequest) -> ApiResult<RestResponse> {
    request.params.hint_flags(&["local"])?;
    request.params.hint_times(&["master_timeout"])?;
    let tasks = pending(&request).await?.tasks.into_iter().map(|task| {
        json!({
            "insert_order": task.insert_order,
            // All wait in one line, in the order in which they come.
            "priority": "NORMAL",
            "source": task.source,
            "executing": true,
            "time_in_queue_millis": task.in_queue_ms,
            "time_in_queue": duration_in_words(u128::from(task.in_queue_ms) * 1_000_000),
        })
    });
    let tasks: Vec<Value> = tasks.collect();
    Ok(RestResponse::json(json!({"tasks": tasks})))
}

/// Returns the changes of the cluster state that are not made yet.
pub(crate) async fn pending(request: &RestRequest) -> ApiResult<PendingTasksResponse> {
    request.execute(PendingTasksRequest).await
}
