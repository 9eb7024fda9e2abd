//! `_search`, `_msearch`, `_count`. Source: Elasticsearch reference, "Search APIs".

use std::time::Instant;

use futures::StreamExt;
use ringwall_api::reading_on::PitSearchRequest;
use ringwall_api::search::{SearchHit, SearchRequest, SearchResponse};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions, IndicesTarget};
use serde_json::{Map, Value, json};

use super::indices::INDICES_PARAMS;
use super::pit::{Given, search_of};
use super::scroll::keep_alive_ms;
use super::shards_json;
use crate::json;
use crate::params::{Params, apply_expand_wildcards, split_list};
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

/// `GET|POST [/{index}]/_search`.
pub async fn search(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let mut body = request.body_object()?;
    merge_search_params(params, &mut body)?;
    check_search_type(params.text("search_type"))?;
    read_hints(params)?;
    let scroll_ms = params.text("scroll").map(keep_alive_ms).transpose()?;
    if scroll_ms.is_some() && params.flag("request_cache", false)? {
        return Err(ApiError::validation(&[
            "[request_cache] cannot be used in a scroll context",
        ]));
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
enum Search {
    Indices(SearchRequest),
    Pit(PitSearchRequest),
}

impl Search {
    async fn execute(self, request: &RestRequest) -> ApiResult<SearchResponse> {
        match self {
            Self::Indices(search) => request.execute(search).await,
            Self::Pit(search) => request.execute(search).await,
        }
    }
}

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
pub(super) fn count_request(
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
pub(super) fn exact_total(response: &SearchResponse) -> ApiResult<u64> {
    if response.timed_out {
        return Err(ApiError::new(ErrorCode::SearchTimeout, "Time exceeded"));
    }
    let total = response.total.map(|total| total.value);
    total.ok_or_else(|| ApiError::internal("a count has no total"))
}

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

/// How a search is spread over shards and what is kept of it: it is the same search for all that. There are no remote
/// clusters, no frozen indices and no cache of answers.
fn read_hints(params: &Params) -> ApiResult<()> {
    params.hint_flags(&["ccs_minimize_roundtrips", "ignore_throttled"])?;
    params.hint_numbers(
        &["max_concurrent_shard_requests", "pre_filter_shard_size"],
        1,
    )
}

/// Scores with the term statistics of all shards need a phase that is not there.
pub(super) fn check_search_type(given: Option<&str>) -> ApiResult<()> {
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
pub(super) fn merge_query(params: &Params, body: &mut Map<String, Value>) -> ApiResult<()> {
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
pub(super) fn sort_from_param(text: &str) -> Value {
    split_list(text)
        .into_iter()
        .map(|part| match part.rsplit_once(':') {
            Some((field, order)) => json!({ field: order }),
            None => Value::String(part),
        })
        .collect()
}

/// A bare integer as total has to be exact. Source: Elasticsearch reference, "Search API" (`rest_total_hits_as_int`).
fn ask_for_exact_total(body: &mut Map<String, Value>) -> ApiResult<()> {
    match body.get("track_total_hits") {
        None => {
            body.insert("track_total_hits".to_owned(), Value::Bool(true));
            Ok(())
        }
        Some(Value::Bool(_)) => Ok(()),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got {other}"
        ))),
    }
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

/// Writes a search answer; `status` is added inside `_msearch`.
pub(super) fn write_search(
    out: &mut Vec<u8>,
    response: &SearchResponse,
    total_as_int: bool,
    status: Option<u16>,
) {
    out.push(b'{');
    for (name, id) in [
        ("_scroll_id", &response.scroll_id),
        ("pit_id", &response.pit_id),
    ] {
        if let Some(id) = id {
            json::push_string(out, name);
            out.push(b':');
            json::push_string(out, id);
            out.push(b',');
        }
    }
    let head = format!(
        "\"took\":{},\"timed_out\":{}",
        response.took_ms, response.timed_out
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(early) = response.terminated_early {
        out.extend_from_slice(format!(",\"terminated_early\":{early}").as_bytes());
    }
    let shards = shards_json(response.shards, &response.failures, true);
    out.extend_from_slice(format!(",\"_shards\":{shards},\"hits\":{{").as_bytes());
    if let Some(total) = response.total {
        let total = if total_as_int {
            format!("\"total\":{},", total.value)
        } else {
            let relation = if total.exact { "eq" } else { "gte" };
            format!(
                "\"total\":{{\"value\":{},\"relation\":\"{relation}\"}},",
                total.value
            )
        };
        out.extend_from_slice(total.as_bytes());
    } else if total_as_int {
        out.extend_from_slice(b"\"total\":-1,");
    }
    out.extend_from_slice(b"\"max_score\":");
    write_score(out, response.max_score);
    out.extend_from_slice(b",\"hits\":[");
    for (position, hit) in response.hits.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_hit(out, hit);
    }
    out.extend_from_slice(b"]}");
    if let Some(aggregations) = &response.aggregations {
        out.extend_from_slice(format!(",\"aggregations\":{aggregations}").as_bytes());
    }
    if let Some(status) = status {
        out.extend_from_slice(format!(",\"status\":{status}").as_bytes());
    }
    out.push(b'}');
}

fn write_hit(out: &mut Vec<u8>, hit: &SearchHit) {
    out.extend_from_slice(b"{\"_index\":");
    json::push_string(out, &hit.index);
    out.extend_from_slice(b",\"_id\":");
    json::push_string(out, &hit.id);
    if let Some(version) = hit.version {
        out.extend_from_slice(format!(",\"_version\":{version}").as_bytes());
    }
    if let (Some(seq_no), Some(term)) = (hit.seq_no, hit.primary_term) {
        out.extend_from_slice(format!(",\"_seq_no\":{seq_no},\"_primary_term\":{term}").as_bytes());
    }
    out.extend_from_slice(b",\"_score\":");
    write_score(out, hit.score);
    if let Some(routing) = &hit.routing {
        out.extend_from_slice(b",\"_routing\":");
        json::push_string(out, routing);
    }
    if !hit.ignored.is_empty() {
        let ignored = Value::from(hit.ignored.clone());
        out.extend_from_slice(format!(",\"_ignored\":{ignored}").as_bytes());
    }
    if let Some(source) = &hit.source {
        out.extend_from_slice(b",\"_source\":");
        out.extend_from_slice(source);
    }
    if let Some(fields) = &hit.fields {
        out.extend_from_slice(format!(",\"fields\":{fields}").as_bytes());
    }
    if let Some(values) = &hit.ignored_values {
        out.extend_from_slice(format!(",\"ignored_field_values\":{values}").as_bytes());
    }
    if let Some(sort) = &hit.sort {
        out.extend_from_slice(format!(",\"sort\":{}", Value::Array(sort.clone())).as_bytes());
    }
    out.push(b'}');
}

fn write_score(out: &mut Vec<u8>, score: Option<f32>) {
    match score.filter(|score| score.is_finite()) {
        // `{:?}` writes the shortest text that reads back as the same 32-bit number, with a point.
        Some(score) => out.extend_from_slice(format!("{score:?}").as_bytes()),
        None => out.extend_from_slice(b"null"),
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
