//! `_cache/clear`.

use ringwall_api::indices::ClearCacheRequest;
use ringwall_api::{ApiResult, IndicesOptions};

use crate::handlers::indices::broadcast;
use crate::request::{RestRequest, RestResponse};

/// Query parameters, besides those of indices.
pub const CACHE_PARAMS: &[&str] = &["query", "fielddata", "fields", "request"];

/// `POST [/{index}]/_cache/clear`. Of the caches that can be named there is one, of filters: columns and answers are not
/// kept in memory.
pub async fn clear_cache(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let [query, fielddata, answers] =
        ["query", "fielddata", "request"].map(|name| params.flag(name, false));
    let (query, named) = (query?, fielddata? | answers?);
    let fields = params.list("fields");
    let all = !query && !named && fields.is_empty();
    let answer = request
        .execute(ClearCacheRequest {
            indices: request.indices(IndicesOptions::default())?,
            filters: query || all,
        })
        .await?;
    Ok(broadcast(&answer))
}
