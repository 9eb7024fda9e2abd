//! `_msearch`.

use std::time::Instant;

use futures::StreamExt;
use ringwall_api::search::{SearchRequest, SearchResponse};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions, IndicesTarget};
use serde_json::{Map, Value};

use crate::handlers::indices::INDICES_PARAMS;
use crate::handlers::search::pit::{Given, search_of};
use crate::handlers::search::{
    Search, ask_for_exact_total, check_search_type, read_hints, write_search,
};
use crate::json;
use crate::params::{apply_expand_wildcards, split_list};
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_msearch`.
pub const MSEARCH_PARAMS: &[&str] = &[
    "allow_no_indices",
    "ccs_minimize_roundtrips",
    "expand_wildcards",
    "ignore_throttled",
    "ignore_unavailable",
    "max_concurrent_searches",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "rest_total_hits_as_int",
    "routing",
    "search_type",
    "typed_keys",
];

/// `GET|POST [/{index}]/_msearch`: every search stands alone; a failed one is an item with an error.
pub async fn msearch(request: RestRequest) -> ApiResult<RestResponse> {
    let started = Instant::now();
    check_search_type(request.params.text("search_type"))?;
    read_hints(&request.params)?;
    let total_as_int = request.params.flag("rest_total_hits_as_int", false)?;
    let at_once: usize = request
        .params
        .number("max_concurrent_searches")?
        .unwrap_or(DEFAULT_CONCURRENT_SEARCHES);
    let searches = msearch_items(&request, total_as_int)?;
    let results: Vec<ApiResult<SearchResponse>> = futures::stream::iter(searches)
        .map(|search| search.execute(&request))
        .buffered(at_once.clamp(1, MAX_CONCURRENT_SEARCHES))
        .collect()
        .await;
    // Nothing but refusals for lack of rights: the status says so too.
    let refused = |result: &ApiResult<SearchResponse>| matches!(result, Err(e) if e.status == 403);
    if let Some(Err(error)) = results.first()
        && results.iter().all(refused)
    {
        return Err(error.clone());
    }
    let took = started.elapsed().as_millis();
    let mut out = format!("{{\"took\":{took},\"responses\":[").into_bytes();
    for (position, result) in results.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        match result {
            Ok(response) => write_search(&mut out, response, total_as_int, Some(200)),
            // A search the caller may not make at all fails alone, like any other.
            Err(error) => out.extend_from_slice(&json::compact(&error.to_json())),
        }
    }
    out.extend_from_slice(b"]}");
    Ok(RestResponse::raw(out))
}

fn msearch_items(request: &RestRequest, total_as_int: bool) -> ApiResult<Vec<Search>> {
    let body = request.body();
    if body.is_empty() {
        return Err(ApiError::new(ErrorCode::Parse, "request body is required"));
    }
    let unterminated =
        || ApiError::illegal_argument("The msearch request must be terminated by a newline [\\n]");
    let text = body.strip_suffix(b"\n").ok_or_else(unterminated)?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut searches = Vec::new();
    while let Some(header) = lines.next() {
        let search = lines.next().ok_or_else(unterminated)?;
        if searches.len() == MAX_SEARCHES {
            return Err(ApiError::illegal_argument(format!(
                "more than [{MAX_SEARCHES}] searches in one request"
            )));
        }
        searches.push(msearch_item(request, header, search, total_as_int)?);
    }
    Ok(searches)
}

fn msearch_item(
    request: &RestRequest,
    header: &[u8],
    body: &[u8],
    total_as_int: bool,
) -> ApiResult<Search> {
    let params = &request.params;
    let header = request.object_of(header)?;
    json::check_keys("msearch", &header, MSEARCH_KEYS)?;
    let mut body = request.object_of(body)?;
    if total_as_int {
        ask_for_exact_total(&mut body)?;
    }
    let header = Header(&header);
    let mut options = params.indices_options(IndicesOptions::default())?;
    if let Some(ignore) = header.flag("ignore_unavailable")? {
        options.ignore_unavailable = ignore;
    }
    if let Some(allow) = header.flag("allow_no_indices")? {
        options.allow_no_indices = allow;
    }
    if let Some(words) = header.list("expand_wildcards")? {
        apply_expand_wildcards(&words.join(","), &mut options)?;
    }
    check_search_type(header.text("search_type")?.as_deref())?;
    // As in the query string.
    for name in [
        "ignore_throttled",
        "request_cache",
        "ccs_minimize_roundtrips",
    ] {
        header.flag(name)?;
    }
    let expressions = match header.list("index")? {
        Some(names) => names,
        None => header
            .list("indices")?
            .unwrap_or_else(|| request.path_list("index")),
    };
    let expressions = expressions.into_iter();
    let expressions = expressions.map(|name| request.names.resolve(name));
    let expressions = expressions.collect::<ApiResult<Vec<_>>>()?;
    let allow_partial_results = header.flag("allow_partial_search_results")?;
    let given = Given {
        scroll: false,
        indices: !expressions.is_empty(),
        options: INDICES_PARAMS
            .iter()
            .any(|name| header.given(name).is_some()),
        routing: header.given("routing").is_some() || params.text("routing").is_some(),
        preference: header.given("preference").is_some(),
    };
    if let Some(search) = search_of(params, &mut body, given, allow_partial_results)? {
        return Ok(Search::Pit(search));
    }
    Ok(Search::Indices(SearchRequest {
        indices: IndicesTarget::new(expressions, options),
        body: Value::Object(body),
        routing: header.text("routing")?.or_else(|| params.owned("routing")),
        preference: header.text("preference")?,
        typed_keys: params.flag("typed_keys", false)?,
        allow_partial_results,
        scroll_ms: None,
    }))
}

/// The line before a search of `_msearch`.
struct Header<'a>(&'a Map<String, Value>);

impl Header<'_> {
    fn given(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &str) -> ApiResult<Option<bool>> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "Failed to parse value [{}] of [{name}] as only [true] or [false] are allowed.",
                json::plain(other)
            ))),
        }
    }

    fn text(&self, name: &str) -> ApiResult<Option<String>> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "[{name}] must be a string, not [{}]",
                json::kind(other)
            ))),
        }
    }

    fn list(&self, name: &str) -> ApiResult<Option<Vec<String>>> {
        match self.given(name) {
            Some(Value::Array(items)) => {
                let texts = items.iter().map(|item| match item {
                    Value::String(text) => Ok(text.clone()),
                    other => Err(ApiError::illegal_argument(format!(
                        "[{name}] must hold strings, not [{}]",
                        json::kind(other)
                    ))),
                });
                texts.collect::<ApiResult<_>>().map(Some)
            }
            _ => Ok(self.text(name)?.map(|text| split_list(&text))),
        }
    }
}

const MSEARCH_KEYS: &[&str] = &[
    "index",
    "indices",
    "search_type",
    "preference",
    "routing",
    "allow_no_indices",
    "ignore_unavailable",
    "ignore_throttled",
    "expand_wildcards",
    "request_cache",
    "allow_partial_search_results",
    "ccs_minimize_roundtrips",
];

const DEFAULT_CONCURRENT_SEARCHES: usize = 4;

const MAX_CONCURRENT_SEARCHES: usize = 32;

const MAX_SEARCHES: usize = 10_000;
