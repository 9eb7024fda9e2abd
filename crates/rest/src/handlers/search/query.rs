//! `_search`.

use ringwall_api::search::{PitSearchRequest, SearchRequest, SearchResponse};
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::indices::INDICES_PARAMS;
use crate::handlers::search::pit::{Given, search_of};
use crate::handlers::search::scroll::keep_alive_ms;
use crate::handlers::search::write_search;
use crate::params::{Params, split_list};
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_search`.
pub const SEARCH_PARAMS: &[&str] = &[
    "_source",
    "_source_excludes",
    "_source_includes",
    "allow_no_indices",
    "allow_partial_search_results",
    "analyze_wildcard",
    "analyzer",
    "batched_reduce_size",
    "ccs_minimize_roundtrips",
    "default_operator",
    "df",
    "docvalue_fields",
    "expand_wildcards",
    "explain",
    "from",
    "ignore_throttled",
    "ignore_unavailable",
    "lenient",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "preference",
    "q",
    "request_cache",
    "rest_total_hits_as_int",
    "routing",
    "scroll",
    "search_type",
    "seq_no_primary_term",
    "size",
    "sort",
    "source",
    "source_content_type",
    "stored_fields",
    "terminate_after",
    "timeout",
    "track_scores",
    "track_total_hits",
    "typed_keys",
    "version",
];

/// `GET|POST [/{index}]/_search`.
pub async fn search(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let mut body = request.body_object()?;
    merge_search_params(params, &mut body)?;
    check_search_type(params.text("search_type"))?;
    read_hints(params)?;
    let scroll_ms = params.text("scroll").map(keep_alive_ms).transpose()?;
    if scroll_ms.is_some() && params.flag("request_cache", false)? {
        return Err(ApiError::validation(&problems_of_cached_scroll(&body)));
    }
    params.hint_flags(&["request_cache"])?;
    params.hint_numbers(&["batched_reduce_size"], 2)?;
    let total_as_int = params.flag("rest_total_hits_as_int", false)?;
    if total_as_int {
        ask_for_exact_total(&mut body)?;
    }
    let allow_partial_results = match params.text("allow_partial_search_results") {
        Some(_) => Some(params.flag("allow_partial_search_results", true)?),
        None => None,
    };
    let given = Given {
        scroll: scroll_ms.is_some(),
        indices: request.path("index").is_some(),
        options: INDICES_PARAMS
            .iter()
            .any(|name| params.text(name).is_some()),
        routing: params.text("routing").is_some(),
        preference: params.text("preference").is_some(),
    };
    let pit = search_of(params, &mut body, given, allow_partial_results)?;
    if let Some(search) = pit {
        let response = request.execute(search).await?;
        return Ok(answer(&response, total_as_int));
    }
    let search = SearchRequest {
        indices: request.indices(IndicesOptions::default())?,
        body: Value::Object(body),
        routing: params.owned("routing"),
        preference: params.owned("preference"),
        typed_keys: params.flag("typed_keys", false)?,
        allow_partial_results,
        scroll_ms,
    };
    let response = request.execute(search).await?;
    Ok(answer(&response, total_as_int))
}

fn answer(response: &SearchResponse, total_as_int: bool) -> RestResponse {
    let mut out = Vec::with_capacity(256);
    write_search(&mut out, response, total_as_int, None);
    RestResponse::raw(out)
}

/// A search of `_msearch`.
pub(crate) enum Search {
    Indices(SearchRequest),
    Pit(PitSearchRequest),
}

impl Search {
    pub(crate) async fn execute(self, request: &RestRequest) -> ApiResult<SearchResponse> {
        match self {
            Self::Indices(search) => request.execute(search).await,
            Self::Pit(search) => request.execute(search).await,
        }
    }
}

/// How a search is spread over shards and what is kept of it: it is the same search for all that. There are no remote
/// clusters, no frozen indices and no cache of answers.
pub(crate) fn read_hints(params: &Params) -> ApiResult<()> {
    params.hint_flags(&["ccs_minimize_roundtrips", "ignore_throttled"])?;
    params.hint_numbers(
        &["max_concurrent_shard_requests", "pre_filter_shard_size"],
        1,
    )
}

/// Scores with the term statistics of all shards need a phase that is not there.
pub(crate) fn check_search_type(given: Option<&str>) -> ApiResult<()> {
    match given {
        None | Some("query_then_fetch") => Ok(()),
        Some("dfs_query_then_fetch") => Err(ApiError::illegal_argument(
            "search_type [dfs_query_then_fetch] is not supported: every shard scores with its own term statistics; \
             use [query_then_fetch], or an index with one shard",
        )),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "No search type for [{other}]"
        ))),
    }
}

/// Moves what the query string says about the search into the body, where it means the same.
fn merge_search_params(params: &Params, body: &mut Map<String, Value>) -> ApiResult<()> {
    merge_query(params, body)?;
    for name in ["from", "size", "terminate_after"] {
        if let Some(number) = params.number::<i64>(name)? {
            body.insert(name.to_owned(), number.into());
        }
    }
    for name in ["explain", "version", "seq_no_primary_term", "track_scores"] {
        if params.text(name).is_some() {
            body.insert(name.to_owned(), params.flag(name, true)?.into());
        }
    }
    if let Some(timeout) = params.text("timeout") {
        body.insert("timeout".to_owned(), timeout.into());
    }
    if let Some(sort) = params.text("sort") {
        body.insert("sort".to_owned(), sort_from_param(sort));
    }
    for name in ["stored_fields", "docvalue_fields"] {
        if let Some(fields) = params.text(name) {
            body.insert(name.to_owned(), split_list(fields).into());
        }
    }
    if let Some(track) = params.text("track_total_hits") {
        let value = match track {
            "" | "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => number.parse::<i64>().map(Value::from).map_err(|_| {
                ApiError::illegal_argument(format!(
                    "Failed to parse value [{number}] of [track_total_hits] as a boolean or an integer"
                ))
            })?,
        };
        body.insert("track_total_hits".to_owned(), value);
    }
    if let Some(filter) = params.source_filter() {
        let value = if filter.enabled {
            json!({"includes": filter.includes, "excludes": filter.excludes})
        } else {
            Value::Bool(false)
        };
        body.insert("_source".to_owned(), value);
    }
    Ok(())
}

/// Turns `q` and its companions into a `query_string` query.
pub(crate) fn merge_query(params: &Params, body: &mut Map<String, Value>) -> ApiResult<()> {
    let Some(text) = params.text("q") else {
        let lone = params
            .names()
            .filter(|name| QUERY_STRING_PARAMS.contains(name));
        let lone: Vec<&str> = lone.collect();
        if lone.is_empty() {
            return Ok(());
        }
        return Err(ApiError::illegal_argument(format!(
            "parameters [{}] need the query string parameter [q], which is missing",
            lone.join(", ")
        )));
    };
    let mut query = Map::new();
    query.insert("query".to_owned(), text.into());
    for (param, key) in [
        ("df", "default_field"),
        ("analyzer", "analyzer"),
        ("default_operator", "default_operator"),
    ] {
        if let Some(value) = params.text(param) {
            query.insert(key.to_owned(), value.into());
        }
    }
    for name in ["lenient", "analyze_wildcard"] {
        if params.text(name).is_some() {
            query.insert(name.to_owned(), params.flag(name, true)?.into());
        }
    }
    body.insert("query".to_owned(), json!({"query_string": query}));
    Ok(())
}

/// `f1:desc,f2` becomes `[{"f1":"desc"},"f2"]`.
pub(crate) fn sort_from_param(text: &str) -> Value {
    split_list(text)
        .into_iter()
        .map(|part| match part.rsplit_once(':') {
            Some((field, order)) => json!({ field: order }),
            None => Value::String(part),
        })
        .collect()
}

/// A scroll that is to be cached is refused before it is looked at, with what else is wrong with it.
fn problems_of_cached_scroll(body: &Map<String, Value>) -> Vec<&'static str> {
    let number = |key: &str| body.get(key).and_then(Value::as_u64);
    let mut problems = Vec::new();
    if number("from").is_some_and(|from| from > 0) {
        problems.push("using [from] is not allowed in a scroll context");
    }
    if number("size") == Some(0) {
        problems.push("[size] cannot be [0] in a scroll context");
    }
    problems.push("[request_cache] cannot be used in a scroll context");
    problems
}

/// A bare integer as total has to be exact. Source: Elasticsearch reference, "Search API" (`rest_total_hits_as_int`).
pub(crate) fn ask_for_exact_total(body: &mut Map<String, Value>) -> ApiResult<()> {
    match body.get("track_total_hits") {
        None => {
            body.insert("track_total_hits".to_owned(), Value::Bool(true));
            Ok(())
        }
        Some(Value::Bool(_)) => Ok(()),
        // Refused as it is in every search.
        Some(Value::Number(number)) if number.as_i64().is_some_and(|number| number < -1) => Ok(()),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got {other}"
        ))),
    }
}

/// What says how `q` is read.
const QUERY_STRING_PARAMS: &[&str] = &[
    "df",
    "analyzer",
    "default_operator",
    "lenient",
    "analyze_wildcard",
];
