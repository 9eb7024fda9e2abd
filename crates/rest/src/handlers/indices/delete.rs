//! `DELETE /{index}`.

use ringwall_api::indices::DeleteIndexRequest;
use ringwall_api::{ApiResult, IndicesOptions};

use crate::handlers::indices::{ack_timeout, acknowledged};
use crate::request::{RestRequest, RestResponse};

/// `DELETE /{index}`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    let answer = request
        .execute(DeleteIndexRequest {
            indices: request.indices(IndicesOptions::open_and_closed())?,
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    Ok(acknowledged(answer.acknowledged))
}
