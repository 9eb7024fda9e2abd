//! What many endpoints of indices take and answer.

use ringwall_api::ApiResult;
use serde_json::json;

use crate::handlers::MASTER_TIMEOUT_MS;
use crate::request::{RestRequest, RestResponse};

/// Query parameters that say how index expressions resolve.
pub const INDICES_PARAMS: &[&str] = &["allow_no_indices", "expand_wildcards", "ignore_unavailable"];

/// Query parameters of changes that the master makes.
pub const MASTER_PARAMS: &[&str] = &["master_timeout", "timeout"];

/// Query parameters of descriptions. They are read from the state of the node that answers.
pub const LOCAL_PARAMS: &[&str] = &["local", "master_timeout"];

/// How long a change may take: to be made, and to be applied by all.
pub(crate) fn ack_timeout(request: &RestRequest) -> ApiResult<u64> {
    let master = request
        .params
        .time_ms("master_timeout", MASTER_TIMEOUT_MS)?;
    request.params.time_ms("timeout", master)
}

pub(crate) fn acknowledged(acknowledged: bool) -> RestResponse {
    RestResponse::json(json!({"acknowledged": acknowledged}))
}
