//! `_delete_by_query`, `_update_by_query`, `_reindex`. Source: Elasticsearch reference, "Delete by query", "Update by
//! query", "Reindex".

use http::StatusCode;
use ringwall_api::cluster::TaskFilter;
use ringwall_api::search::{
    ByQueryFailure, ByQueryKind, ByQueryOptions, ByQueryResponse, ByQueryResult, ByQueryStatus,
    DeleteByQueryRequest, ReadPart, RethrottleRequest, Slices, UpdateByQueryRequest,
};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::WRITE_TIMEOUT_MS;
use crate::handlers::cluster::tasks::{Grouping, grouped};
use crate::handlers::document::refuse_pipeline;
use crate::handlers::search::scroll::keep_alive_ms;
use crate::handlers::search::{check_search_type, merge_query, sort_from_param};
use crate::json;
use crate::params::Params;
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_delete_by_query`.
pub const DELETE_PARAMS: &[&str] = &[
    "allow_no_indices",
    "analyze_wildcard",
    "analyzer",
    "conflicts",
    "default_operator",
    "df",
    "expand_wildcards",
    "ignore_unavailable",
    "lenient",
    "max_docs",
    "preference",
    "q",
    "refresh",
    "request_cache",
    "requests_per_second",
    "routing",
    "scroll",
    "scroll_size",
    "search_timeout",
    "search_type",
    "slices",
    "sort",
    "terminate_after",
    "timeout",
    "wait_for_active_shards",
    "wait_for_completion",
];

/// Query parameters of `_update_by_query` beside these.
pub const UPDATE_PARAMS: &[&str] = &["pipeline"];

/// Query parameters of `_reindex`.
pub const REINDEX_PARAMS: &[&str] = &[
    "max_docs",
    "refresh",
    "require_alias",
    "requests_per_second",
    "scroll",
    "slices",
    "timeout",
    "wait_for_active_shards",
    "wait_for_completion",
];

/// Query parameters of `_rethrottle`.
pub const RETHROTTLE_PARAMS: &[&str] = &["group_by", "requests_per_second"];

/// `POST /{index}/_delete_by_query`.
pub async fn delete(request: RestRequest) -> ApiResult<RestResponse> {
    let body = request.body_object()?;
    let (read, options) = parts(&request, body)?;
    if read.body.get("query").is_none() {
        return Err(ApiError::validation(&["query is missing"]));
    }
    let delete = DeleteByQueryRequest {
        indices: request.indices(IndicesOptions::default())?,
        read,
        options,
    };
    Ok(answer(&request.execute(delete).await?))
}

/// `POST /{index}/_update_by_query`.
pub async fn update(request: RestRequest) -> ApiResult<RestResponse> {
    refuse_pipeline(&request.params)?;
    let body = request.body_object()?;
    refuse_script(&body)?;
    let (read, options) = parts(&request, body)?;
    let update = UpdateByQueryRequest {
        indices: request.indices(IndicesOptions::default())?,
        read,
        options,
    };
    Ok(answer(&request.execute(update).await?))
}

/// `POST /{api}/{task_id}/_rethrottle`.
pub async fn rethrottle(request: RestRequest) -> ApiResult<RestResponse> {
    let params = &request.params;
    let grouping = Grouping::of(params)?;
    let Some(rate) = rate(params)? else {
        return Err(ApiError::illegal_argument(
            "requests_per_second is a required parameter",
        ));
    };
    let rethrottle = RethrottleRequest {
        filter: TaskFilter {
            task: Some(request.required("task_id")?.parse()?),
            ..TaskFilter::default()
        },
        requests_per_second: rate.per_second(),
    };
    let response = request.execute(rethrottle).await?;
    Ok(RestResponse::json(grouped(&response, grouping)))
}

/// There is nothing to run one.
pub(crate) fn refuse_script(body: &Map<String, Value>) -> ApiResult<()> {
    match body.get("script") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(ApiError::illegal_argument(
            "[script] is not supported: scripts cannot be run",
        )),
    }
}

/// Takes apart what both by-query requests are given.
fn parts(
    request: &RestRequest,
    mut body: Map<String, Value>,
) -> ApiResult<(ReadPart, ByQueryOptions)> {
    let params = &request.params;
    let conflicts = body.remove("conflicts");
    let most = body.remove("max_docs");
    for (key, value) in &body {
        if !BODY_KEYS.contains(&key.as_str()) {
            let kind = json::kind(value);
            let reason = format!("Unknown key for a {kind} in [{key}].");
            return Err(ApiError::new(ErrorCode::Parsing, reason));
        }
    }
    merge_query(params, &mut body)?;
    if let Some(sort) = params.text("sort") {
        body.insert("sort".to_owned(), sort_from_param(sort));
    }
    if let Some(most) = params.number::<u32>("terminate_after")? {
        body.insert("terminate_after".to_owned(), most.into());
    }
    if let Some(timeout) = params.text("search_timeout") {
        body.insert("timeout".to_owned(), timeout.into());
    }
    if let Some(size) = params.number::<i64>("scroll_size")? {
        body.insert("size".to_owned(), size.into());
    }
    params.hint_flags(&["request_cache"])?;
    check_search_type(params.text("search_type"))?;
    let conflicts = match params.text("conflicts") {
        Some(given) => Some(Value::from(given)),
        None => conflicts,
    };
    let options = options(params, conflicts.as_ref(), most.as_ref(), &body)?;
    let read = read_part(params, body)?;
    Ok((read, options))
}

/// Returns what is read: a batch is a thousand documents unless the body says otherwise.
pub(crate) fn read_part(params: &Params, mut body: Map<String, Value>) -> ApiResult<ReadPart> {
    body.entry("size").or_insert(BATCH.into());
    Ok(ReadPart {
        body: body.into(),
        routing: params.owned("routing"),
        preference: params.owned("preference"),
        scroll_ms: match params.text("scroll") {
            Some(text) => keep_alive_ms(text)?,
            None => SCROLL_MS,
        },
    })
}

/// Reads how the work is done.
pub(crate) fn options(
    params: &Params,
    conflicts: Option<&Value>,
    max_docs: Option<&Value>,
    search: &Map<String, Value>,
) -> ApiResult<ByQueryOptions> {
    let slices = slices(params)?;
    if slices != Slices::Count(1) && search.contains_key("slice") {
        return Err(ApiError::validation(&[
            "can't specify both manual and automatic slicing at the same time",
        ]));
    }
    Ok(ByQueryOptions {
        proceed_on_conflict: proceeds(conflicts)?,
        max_docs: most(params, max_docs, slices)?,
        requests_per_second: rate(params)?.and_then(Rate::per_second),
        slices,
        refresh: params.flag("refresh", false)?,
        wait_for_completion: params.flag("wait_for_completion", true)?,
        timeout_ms: params.time_ms("timeout", WRITE_TIMEOUT_MS)?,
        wait_for_active_shards: params.active_shards()?,
    })
}

fn proceeds(conflicts: Option<&Value>) -> ApiResult<bool> {
    match conflicts {
        None => Ok(false),
        Some(Value::String(text)) if text == "abort" => Ok(false),
        Some(Value::String(text)) if text == "proceed" => Ok(true),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "conflicts may only be \"proceed\" or \"abort\" but was [{}]",
            json::plain(other)
        ))),
    }
}

fn most(params: &Params, in_body: Option<&Value>, slices: Slices) -> ApiResult<Option<u64>> {
    let given = match params.number::<i64>("max_docs")? {
        Some(number) => Some(number),
        None => in_body
            .map(|value| {
                let text = json::plain(value);
                text.parse().map_err(|_| {
                    ApiError::illegal_argument(format!("[max_docs] must be a number, not [{text}]"))
                })
            })
            .transpose()?,
    };
    let most = match given {
        None | Some(-1) => return Ok(None),
        Some(number) => u64::try_from(number).map_err(|_| {
            ApiError::illegal_argument(format!(
                "[max_docs] parameter cannot be negative, found [{number}]"
            ))
        })?,
    };
    let parts = match slices {
        Slices::Auto => 1,
        Slices::Count(slices) => u64::from(slices),
    };
    match most < parts {
        true => Err(ApiError::illegal_argument(
            "[max_docs] should be >= [slices]",
        )),
        false => Ok(Some(most)),
    }
}

fn slices(params: &Params) -> ApiResult<Slices> {
    match params.text("slices") {
        None => Ok(Slices::Count(1)),
        Some("auto") => Ok(Slices::Auto),
        Some(text) => match text.parse::<u32>() {
            Ok(count @ 1..=MAX_SLICES) => Ok(Slices::Count(count)),
            Ok(count) if count > MAX_SLICES => Err(ApiError::illegal_argument(format!(
                "The number of slices [{count}] is too large. It must be less than [{MAX_SLICES}]."
            ))),
            _ => Err(ApiError::illegal_argument(format!(
                "[slices] must be a positive integer or the string \"auto\", but was [{text}]"
            ))),
        },
    }
}

/// A speed that was asked for.
#[derive(Clone, Copy)]
enum Rate {
    Unlimited,
    PerSecond(f64),
}

impl Rate {
    fn per_second(self) -> Option<f64> {
        match self {
            Self::Unlimited => None,
            Self::PerSecond(rate) => Some(rate),
        }
    }
}

fn rate(params: &Params) -> ApiResult<Option<Rate>> {
    let Some(text) = params.text("requests_per_second") else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(-1.0) => Ok(Some(Rate::Unlimited)),
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(Some(Rate::PerSecond(rate))),
        _ => Err(ApiError::illegal_argument(
            "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling.",
        )),
    }
}

/// Writes the answer: what was done, with the status of the worst failure, or the task.
pub(crate) fn answer(response: &ByQueryResponse) -> RestResponse {
    match response {
        ByQueryResponse::Started(task) => RestResponse::json(json!({"task": task.to_string()})),
        ByQueryResponse::Done(result) => {
            let status = StatusCode::from_u16(result.http_status());
            let response = RestResponse::json(result_json(result));
            response.with_status(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

/// Returns a result as answers and kept tasks have it.
pub(crate) fn result_json(result: &ByQueryResult) -> Value {
    let mut body = Map::new();
    body.insert("took".to_owned(), result.took_ms.into());
    body.insert("timed_out".to_owned(), result.timed_out.into());
    add_status(&mut body, &result.status);
    let failures = result.failures.iter().map(failure_json).collect();
    body.insert("failures".to_owned(), Value::Array(failures));
    Value::Object(body)
}

/// Returns how far a task is.
pub(crate) fn status_json(status: &ByQueryStatus) -> Value {
    let mut body = Map::new();
    add_status(&mut body, status);
    Value::Object(body)
}

fn add_status(body: &mut Map<String, Value>, status: &ByQueryStatus) {
    let counts = &status.counts;
    let mut add = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    if let Some(slice) = status.slice {
        add("slice_id", slice.into());
    }
    add("total", counts.total.into());
    if status.kind != ByQueryKind::Delete {
        add("updated", counts.updated.into());
    }
    if status.kind == ByQueryKind::Reindex {
        add("created", counts.created.into());
    }
    add("deleted", counts.deleted.into());
    add("batches", counts.batches.into());
    add("version_conflicts", counts.version_conflicts.into());
    add("noops", counts.noops.into());
    add(
        "retries",
        json!({"bulk": counts.bulk_retries, "search": counts.search_retries}),
    );
    add("throttled_millis", status.throttled_ms.into());
    let rate = status.requests_per_second.unwrap_or(-1.0);
    add("requests_per_second", rate.into());
    if let Some(reason) = &status.cancelled {
        add("canceled", reason.as_str().into());
    }
    add("throttled_until_millis", status.throttled_until_ms.into());
    if !status.slices.is_empty() {
        add("slices", status.slices.iter().map(status_json).collect());
    }
}

fn failure_json(failure: &ByQueryFailure) -> Value {
    match failure {
        ByQueryFailure::Write { index, id, cause } => {
            let mut body = json!({"index": index});
            if let Some(id) = id {
                body["id"] = id.as_str().into();
            }
            body["cause"] = cause.object_with_cause().into();
            body["status"] = cause.status.into();
            body
        }
        ByQueryFailure::Read(failure) => json!({
            "shard": failure.shard,
            "index": failure.index,
            "node": failure.node,
            "status": failure.reason.status,
            "reason": failure.reason.object_with_cause(),
        }),
    }
}

const BODY_KEYS: &[&str] = &["query", "slice", "sort", "size"];
const BATCH: u32 = 1_000;
const SCROLL_MS: u64 = 5 * 60 * 1_000;
const MAX_SLICES: u32 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: Value) -> Result<ByQueryOptions, String> {
        let params = Params::parse(query).unwrap();
        let Value::Object(body) = body else {
            panic!("{body}")
        };
        let (conflicts, most) = (body.get("conflicts"), body.get("max_docs"));
        options(&params, conflicts, most, &body).map_err(|error| error.reason)
    }

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let given = read(
            "slices=auto&requests_per_second=0.5&max_docs=7&wait_for_completion=false",
            json!({"conflicts": "proceed", "max_docs": 9}),
        )
        .unwrap();
        assert_eq!(given.slices, Slices::Auto);
        assert_eq!(
            (given.requests_per_second, given.max_docs),
            (Some(0.5), Some(7))
        );
        assert!(given.proceed_on_conflict && !given.wait_for_completion && !given.refresh);
        let default = read("requests_per_second=-1&max_docs=-1", json!({})).unwrap();
        assert_eq!(
            (default.requests_per_second, default.max_docs),
            (None, None)
        );
        assert_eq!(default.slices, Slices::Count(1));
        for (query, body, reason) in [
            ("slices=0", json!({}), "[slices] must be a positive integer"),
            ("slices=x", json!({}), "[slices] must be a positive integer"),
            ("slices=2000", json!({}), "The number of slices [2000]"),
            (
                "slices=2",
                json!({"slice": {}}),
                "Validation Failed: 1: can't specify both",
            ),
            (
                "slices=5&max_docs=4",
                json!({}),
                "[max_docs] should be >= [slices]",
            ),
            (
                "max_docs=-2",
                json!({}),
                "[max_docs] parameter cannot be negative",
            ),
            (
                "",
                json!({"max_docs": 0}),
                "[max_docs] should be >= [slices]",
            ),
            ("", json!({"conflicts": "x"}), "conflicts may only be"),
            (
                "requests_per_second=0",
                json!({}),
                "[requests_per_second] must be",
            ),
            (
                "requests_per_second=NaN",
                json!({}),
                "[requests_per_second] must be",
            ),
        ] {
            let error = read(query, body).unwrap_err();
            assert!(error.starts_with(reason), "{query}: {error}");
        }
    }
}
