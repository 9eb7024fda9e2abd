//! `_cluster/state`.

use ringwall_api::cluster::ClusterStateRequest;
use ringwall_api::{ApiResult, IndicesOptions, IndicesTarget};
use serde_json::{Map, Value};

use crate::handlers::indices::flattened;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_cluster/state`.
pub const STATE_PARAMS: &[&str] = &[
    "allow_no_indices",
    "expand_wildcards",
    "flat_settings",
    "ignore_unavailable",
    "local",
    "master_timeout",
];

/// `GET /_cluster/state[/{metrics}[/{index}]]`.
pub async fn state(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    // It is the state of the node that answers.
    params.hint_flags(&["local"])?;
    params.hint_times(&["master_timeout"])?;
    let flat = params.flag("flat_settings", false)?;
    let lenient = IndicesOptions {
        ignore_unavailable: true,
        ..IndicesOptions::of_metadata()
    };
    let mut state = request
        .execute(ClusterStateRequest {
            metrics: request.path_list("metrics"),
            indices: IndicesTarget::new(
                request.path_list("index"),
                params.indices_options(lenient)?,
            ),
        })
        .await?
        .state;
    if flat && let Some(Value::Object(indices)) = state.pointer_mut("/metadata/indices") {
        for index in indices.values_mut() {
            let settings = flattened(&index["settings"]);
            index["settings"] = settings.into_iter().collect::<Map<_, _>>().into();
        }
    }
    Ok(RestResponse::json(state))
}
