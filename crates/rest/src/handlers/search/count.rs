//! `_count`.

use ringwall_api::search::{SearchRequest, SearchResponse};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions, IndicesTarget};
use serde_json::{Map, Value};

use crate::handlers::search::merge_query;
use crate::handlers::shards_json;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_count`.
pub const COUNT_PARAMS: &[&str] = &[
    "allow_no_indices",
    "analyze_wildcard",
    "analyzer",
    "default_operator",
    "df",
    "expand_wildcards",
    "ignore_throttled",
    "ignore_unavailable",
    "lenient",
    "min_score",
    "preference",
    "q",
    "routing",
    "source",
    "source_content_type",
    "terminate_after",
];

/// `GET|POST [/{index}]/_count`: a search of which only the total is wanted.
pub async fn count(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let mut body = request.body_object()?;
    if let Some(key) = body.keys().find(|key| *key != "query") {
        return Err(ApiError::new(
            ErrorCode::Parsing,
            format!("request does not support [{key}]"),
        ));
    }
    merge_query(params, &mut body)?;
    params.hint_flags(&["ignore_throttled"])?;
    if let Some(min_score) = params.number::<f64>("min_score")? {
        body.insert("min_score".to_owned(), min_score.into());
    }
    if let Some(most) = params.number::<u32>("terminate_after")? {
        body.insert("terminate_after".to_owned(), most.into());
    }
    let response = request
        .execute(count_request(
            request.indices(IndicesOptions::default())?,
            body,
            params.owned("routing"),
            params.owned("preference"),
        ))
        .await?;
    let mut answer = Map::new();
    if let Some(early) = response.terminated_early {
        answer.insert("terminated_early".to_owned(), early.into());
    }
    answer.insert("count".to_owned(), exact_total(&response)?.into());
    let shards = shards_json(response.shards, &response.failures, true);
    answer.insert("_shards".to_owned(), shards);
    Ok(RestResponse::json(answer.into()))
}

/// Returns the search of which [`exact_total`] is the count.
pub(crate) fn count_request(
    indices: IndicesTarget,
    mut body: Map<String, Value>,
    routing: Option<String>,
    preference: Option<String>,
) -> SearchRequest {
    body.insert("size".to_owned(), 0.into());
    body.insert("track_total_hits".to_owned(), true.into());
    SearchRequest {
        indices,
        body: body.into(),
        routing,
        preference,
        typed_keys: false,
        allow_partial_results: None,
        scroll_ms: None,
    }
}

/// Returns the total of a search that has tracked it.
///
/// # Errors
/// The search ran out of time: there would be more.
pub(crate) fn exact_total(response: &SearchResponse) -> ApiResult<u64> {
    if response.timed_out {
        return Err(ApiError::new(ErrorCode::SearchTimeout, "Time exceeded"));
    }
    let total = response.total.map(|total| total.value);
    total.ok_or_else(|| ApiError::internal("a count has no total"))
}
