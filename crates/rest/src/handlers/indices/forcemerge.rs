//! `_forcemerge`.

use ringwall_api::indices::{ForceMergeRequest, ForceMergeResponse};
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::json;

use crate::handlers::indices::broadcast;
use crate::request::{RestRequest, RestResponse};

/// Query parameters, besides those of indices.
pub const MERGE_PARAMS: &[&str] = &[
    "max_num_segments",
    "only_expunge_deletes",
    "flush",
    "wait_for_completion",
];

/// `POST [/{index}]/_forcemerge`.
pub async fn force_merge(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let asked: Option<i32> = params.number("max_num_segments")?;
    let only_expunge_deletes = params.flag("only_expunge_deletes", false)?;
    let flush = params.flag("flush", true)?;
    if only_expunge_deletes && asked.is_some_and(|most| most != -1) {
        return Err(ApiError::validation(&[
            "cannot set only_expunge_deletes and max_num_segments at the same time, those two parameters are mutually \
             exclusive",
        ]));
    }
    let wait_for_completion = params.flag("wait_for_completion", true)?;
    let answer = request
        .execute(ForceMergeRequest {
            indices: request.indices(IndicesOptions::default())?,
            // Nothing, and what is no number of segments, leaves it to what nodes do by themselves.
            max_segments: asked
                .and_then(|most| u32::try_from(most).ok())
                .filter(|most| *most > 0),
            only_expunge_deletes,
            flush,
            wait_for_completion,
        })
        .await?;
    Ok(match answer {
        ForceMergeResponse::Done(done) => broadcast(&done),
        ForceMergeResponse::Started(task) => RestResponse::json(json!({"task": task.to_string()})),
    })
}
