//! The body of a search. Source: Elasticsearch reference, "Search API".

use std::time::Duration;

use ringwall_api::ApiError;
use ringwall_api::document::SourceFilter;
use ringwall_base::TimeValue;
use serde_json::Value;

use crate::agg::{Agg, parse_aggs};
use crate::highlight::{self, Highlight};
use crate::parse::{Object, did_you_mean, i64_of, malformed, parsing, text_of, token_name};
use crate::query::{Query, check_query_depth, parse_query};
use crate::slice::{Slice, parse_slice};
use crate::sort::{self, Sort, SortBy, parse_sort};
use crate::source_filter;

/// A parsed search request, ready for every shard.
#[derive(Debug, Clone)]
pub struct SearchSource {
    pub query: Query,
    pub from: usize,
    pub size: usize,
    /// Empty: by score.
    pub sort: Vec<Sort>,
    /// `None`: the whole `_source`.
    pub source_filter: Option<SourceFilter>,
    pub track_total_hits: TrackTotalHits,
    /// Scores are computed even when hits are not ordered by them.
    pub track_scores: bool,
    pub min_score: Option<f32>,
    pub search_after: Option<Vec<Value>>,
    pub aggs: Vec<Agg>,
    pub post_filter: Option<Query>,
    pub version: bool,
    pub seq_no_primary_term: bool,
    pub docvalue_fields: Vec<FieldAndFormat>,
    pub fields: Vec<FieldAndFormat>,
    /// `None`: not given. Values come from `_source`, of fields mapped with `store`.
    pub stored_fields: Option<Vec<String>>,
    pub highlight: Option<Highlight>,
    /// Stop after so long and answer with what was found.
    pub timeout: Option<Duration>,
    /// Stop each shard after so many matching documents.
    pub terminate_after: Option<u64>,
    /// Only this part of the documents.
    pub slice: Option<Slice>,
    pub pit: Option<PointInTime>,
    /// Aggregation names are returned as `type#name`. Not part of the body: set by the caller.
    pub typed_keys: bool,
}

impl Default for SearchSource {
    fn default() -> Self {
        Self {
            query: Query::all(1.0),
            from: 0,
            size: DEFAULT_SIZE,
            sort: Vec::new(),
            source_filter: None,
            track_total_hits: TrackTotalHits::default(),
            track_scores: false,
            min_score: None,
            search_after: None,
            aggs: Vec::new(),
            post_filter: None,
            version: false,
            seq_no_primary_term: false,
            docvalue_fields: Vec::new(),
            fields: Vec::new(),
            stored_fields: None,
            highlight: None,
            timeout: None,
            terminate_after: None,
            slice: None,
            pit: None,
            typed_keys: false,
        }
    }
}

/// How far matches are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackTotalHits {
    Disabled,
    /// Exactly up to this number, "at least" beyond.
    UpTo(u64),
    Exact,
}

impl Default for TrackTotalHits {
    fn default() -> Self {
        Self::UpTo(10_000)
    }
}

/// The point in time that a search looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointInTime {
    pub id: String,
    /// For how long it is kept open from now on, milliseconds; `None`: as before.
    pub keep_alive_ms: Option<u64>,
}

/// An entry of `docvalue_fields` or `fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldAndFormat {
    /// A field name or pattern.
    pub field: String,
    /// A date format.
    pub format: Option<String>,
    /// `fields` only: also values that the mapping does not know.
    pub include_unmapped: bool,
}

/// Parses the body of a search.
///
/// # Errors
/// `parsing_exception`, `x_content_parse_exception` or `illegal_argument_exception`, all 400. A
/// member that is not supported is an error, never ignored.
pub fn parse_search(body: &Value) -> Result<SearchSource, ApiError> {
    let Value::Object(members) = body else {
        return Err(parsing(format!(
            "Expected [START_OBJECT] but found [{}]",
            token_name(body)
        )));
    };
    let mut source = SearchSource::default();
    for (key, value) in members {
        if value.is_null() && SUPPORTED.contains(&key.as_str()) {
            continue;
        }
        read_member(&mut source, key, value)?;
    }
    finish(&mut source);
    break_ties(&mut source);
    validate(&source)?;
    Ok(source)
}

/// With a list of stored fields `_source` is read only when something asks for it.
fn finish(source: &mut SearchSource) {
    let Some(stored) = &source.stored_fields else {
        return;
    };
    if source.source_filter.is_none() && !stored.iter().any(|field| field == "_source") {
        source.source_filter = Some(SourceFilter {
            enabled: false,
            ..SourceFilter::default()
        });
    }
}

/// In a point in time hits that are equal by the sort come in the order of their shards, so that `search_after` can
/// tell them apart. Who goes on after fewer values does without.
fn break_ties(source: &mut SearchSource) {
    let is_sorted = source.pit.is_some() && !source.sort.is_empty();
    let breaks = |sort: &Sort| sort.by == SortBy::ShardDoc;
    let after = source.search_after.as_ref().map(Vec::len);
    if is_sorted && !source.sort.iter().any(breaks) && after != Some(source.sort.len()) {
        source.sort.push(Sort {
            by: SortBy::ShardDoc,
            ascending: true,
        });
    }
}

/// Refuses what cannot be read on. `body` is that of the search.
///
/// # Errors
/// 400 that lists all there is.
pub fn check_scroll(source: &SearchSource, body: &Value) -> Result<(), ApiError> {
    let mut problems = Vec::new();
    let given = body.get("track_total_hits");
    if given.is_some_and(|given| !given.is_null())
        && source.track_total_hits != TrackTotalHits::Exact
    {
        problems.push("disabling [track_total_hits] is not allowed in a scroll context");
    }
    if source.from > 0 {
        problems.push("using [from] is not allowed in a scroll context");
    }
    if source.size == 0 {
        problems.push("[size] cannot be [0] in a scroll context");
    }
    if source.search_after.is_some() {
        problems.push("[search_after] cannot be used in a scroll context");
    }
    if source.pit.is_some() {
        problems.push("using [point in time] is not allowed in a scroll context");
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ApiError::validation(&problems)),
    }
}

/// Refuses pages of a scroll beyond `index.max_result_window`.
pub(crate) fn check_batch(source: &SearchSource, most: usize) -> Result<(), ApiError> {
    if source.size <= most {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "Batch size is too large, size must be less than or equal to: [{most}] but was [{}]. Scroll batch sizes \
         cost as much memory as result windows so they are controlled by the [index.max_result_window] index level \
         setting.",
        source.size
    )))
}

/// Parses the body of the `top_hits` aggregation.
pub(crate) fn parse_top_hits(body: &Value) -> Result<SearchSource, ApiError> {
    let Value::Object(members) = body else {
        return Err(malformed("top_hits", "START_OBJECT", body));
    };
    let mut source = SearchSource {
        size: 3,
        ..SearchSource::default()
    };
    for (key, value) in members {
        if !TOP_HITS_MEMBERS.contains(&key.as_str()) {
            return Err(parsing(format!(
                "Unknown key for a {} in [top_hits]: [{key}].",
                token_name(value)
            )));
        }
        read_member(&mut source, key, value)?;
    }
    finish(&mut source);
    if source.from.saturating_add(source.size) > MAX_TOP_HITS {
        return Err(ApiError::illegal_argument(format!(
            "Top hits result window is too large, the top hits aggregator's from + size must be \
             less than or equal to: [{MAX_TOP_HITS}] but was [{}]. This limit can be set by \
             changing the [index.max_inner_result_window] index level setting.",
            source.from.saturating_add(source.size)
        )));
    }
    Ok(source)
}

/// Refuses windows beyond `index.max_result_window`.
pub fn check_window(source: &SearchSource, max_result_window: usize) -> Result<(), ApiError> {
    let window = source.from.saturating_add(source.size);
    if window <= max_result_window {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "Result window is too large, from + size must be less than or equal to: \
         [{max_result_window}] but was [{window}]. See the scroll api for a more efficient way to \
         request large data sets. This limit can be set by changing the \
         [index.max_result_window] index level setting."
    )))
}

/// Refuses queries that nest deeper than `indices.query.bool.max_nested_depth`, wherever they stand in
/// the request.
pub fn check_depth(source: &SearchSource, most: usize) -> Result<(), ApiError> {
    let queries = [Some(&source.query), source.post_filter.as_ref()];
    let highlighted = source.highlight.iter().flat_map(Highlight::queries);
    for query in queries.into_iter().flatten().chain(highlighted) {
        check_query_depth(query, most)?;
    }
    for agg in &source.aggs {
        agg.each_query(&mut |query| check_query_depth(query, most))?;
    }
    Ok(())
}

const DEFAULT_SIZE: usize = 10;
const MAX_TOP_HITS: usize = 100;

const TOP_HITS_MEMBERS: [&str; 12] = [
    "from",
    "size",
    "sort",
    "_source",
    "version",
    "seq_no_primary_term",
    "docvalue_fields",
    "fields",
    "stored_fields",
    "track_scores",
    "explain",
    "highlight",
];

/// Members of a search body that exist but that this implementation refuses.
const UNSUPPORTED: [&str; 12] = [
    "collapse",
    "ext",
    "indices_boost",
    "knn",
    "profile",
    "rank",
    "rescore",
    "retriever",
    "runtime_mappings",
    "script_fields",
    "stats",
    "suggest",
];

const SUPPORTED: [&str; 24] = [
    "query",
    "from",
    "size",
    "sort",
    "_source",
    "track_total_hits",
    "track_scores",
    "min_score",
    "search_after",
    "aggs",
    "aggregations",
    "post_filter",
    "version",
    "seq_no_primary_term",
    "docvalue_fields",
    "fields",
    "stored_fields",
    "highlight",
    "timeout",
    "terminate_after",
    "slice",
    "pit",
    "explain",
    "profile",
];

fn read_member(source: &mut SearchSource, key: &str, value: &Value) -> Result<(), ApiError> {
    let flag = || crate::parse::bool_of("search", key, value);
    match key {
        "query" => source.query = parse_query(value)?,
        "post_filter" => source.post_filter = Some(parse_query(value)?),
        "from" => source.from = window_part("from", value)?,
        "size" => source.size = window_part("size", value)?,
        "sort" => source.sort = parse_sort(value)?,
        "_source" => source.source_filter = Some(source_filter::parse(value)?),
        "track_total_hits" => source.track_total_hits = track_total_hits(value)?,
        "track_scores" => source.track_scores = flag()?,
        "min_score" => {
            source.min_score = Some(crate::parse::f64_of("search", key, value)? as f32);
        }
        "search_after" => source.search_after = Some(search_after(value)?),
        "aggs" | "aggregations" => source.aggs = parse_aggs(value)?,
        "version" => source.version = flag()?,
        "seq_no_primary_term" => source.seq_no_primary_term = flag()?,
        "docvalue_fields" => source.docvalue_fields = field_list("docvalue_fields", value)?,
        "fields" => source.fields = field_list("fields", value)?,
        "stored_fields" => source.stored_fields = Some(stored_fields(value)?),
        "highlight" => source.highlight = Some(highlight::parse(value)?),
        "timeout" => source.timeout = timeout(value)?,
        "terminate_after" => {
            let count = window_part("terminate_after", value)? as u64;
            source.terminate_after = (count > 0).then_some(count);
        }
        "slice" => source.slice = Some(parse_slice(value)?),
        "pit" => source.pit = Some(point_in_time(value)?),
        // Asking not to get what there is not is fine.
        "explain" | "profile" if !flag()? => {}
        "explain" => return Err(unsupported(key)),
        // Dashboards send these empty: nothing is asked for.
        "ext" | "runtime_mappings" | "script_fields" | "stats" | "indices_boost"
            if is_empty(value) => {}
        key if UNSUPPORTED.contains(&key) => return Err(unsupported(key)),
        unknown => {
            return Err(parsing(format!(
                "Unknown key for a {} in [{unknown}].{}",
                token_name(value),
                did_you_mean(unknown, SUPPORTED)
            )));
        }
    }
    Ok(())
}

fn point_in_time(value: &Value) -> Result<PointInTime, ApiError> {
    if !value.is_object() {
        let kind = token_name(value);
        return Err(parsing(format!("Unknown key for a {kind} in [pit].")));
    }
    let mut object = Object::new("pit", value)?;
    let id = object.text("id")?;
    let keep_alive = object.text("keep_alive")?;
    object.finish()?;
    let id = id.ok_or_else(|| ApiError::illegal_argument("point in time id is not provided"))?;
    let millis = |text: &String| {
        let time: TimeValue = text.parse().map_err(|_| {
            let parse = ringwall_api::ErrorCode::XContentParse;
            ApiError::new(parse, "[pit] failed to parse field [keep_alive]").caused_by(
                ApiError::illegal_argument(format!("failed to parse [{text}]")),
            )
        })?;
        let millis = time.duration().map_or(0, |time| time.as_millis());
        Ok::<u64, ApiError>(u64::try_from(millis).unwrap_or(u64::MAX))
    };
    Ok(PointInTime {
        keep_alive_ms: keep_alive.as_ref().map(millis).transpose()?,
        id,
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn stored_fields(value: &Value) -> Result<Vec<String>, ApiError> {
    let fields = crate::parse::texts_of("search", "stored_fields", value)?;
    if fields.iter().any(|field| field == "_none_") {
        return Err(ApiError::illegal_argument(
            "[stored_fields] does not support [_none_]: hits always have an [_id]",
        ));
    }
    Ok(fields)
}

fn unsupported(key: &str) -> ApiError {
    ApiError::illegal_argument(format!("[{key}] is not supported in a search body"))
}

fn window_part(key: &str, value: &Value) -> Result<usize, ApiError> {
    let number = i64_of("search", key, value)?;
    if key == "from" && number == -1 {
        return Ok(0);
    }
    usize::try_from(number).map_err(|_| {
        ApiError::illegal_argument(format!(
            "[{key}] parameter cannot be negative but was [{number}]"
        ))
    })
}

fn track_total_hits(value: &Value) -> Result<TrackTotalHits, ApiError> {
    match value {
        Value::Bool(true) => Ok(TrackTotalHits::Exact),
        Value::Bool(false) => Ok(TrackTotalHits::Disabled),
        Value::String(text) if text == "true" => Ok(TrackTotalHits::Exact),
        Value::String(text) if text == "false" => Ok(TrackTotalHits::Disabled),
        other => match i64_of("search", "track_total_hits", other)? {
            -1 => Ok(TrackTotalHits::Disabled),
            number => u64::try_from(number)
                .map(TrackTotalHits::UpTo)
                .map_err(|_| {
                    ApiError::illegal_argument(format!(
                        "[track_total_hits] parameter must be positive or equals to -1, got \
                         {number}"
                    ))
                }),
        },
    }
}

fn search_after(value: &Value) -> Result<Vec<Value>, ApiError> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            if items.iter().any(|v| v.is_array() || v.is_object()) {
                return Err(ApiError::illegal_argument(
                    "[search_after] values must be numbers, texts, booleans or null",
                ));
            }
            Ok(items.clone())
        }
        Value::Array(_) => Err(ApiError::illegal_argument(
            "Values must contains at least one value.",
        )),
        other => Err(malformed("search_after", "START_ARRAY", other)),
    }
}

fn field_list(key: &str, value: &Value) -> Result<Vec<FieldAndFormat>, ApiError> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    items.iter().map(|item| field_item(key, item)).collect()
}

fn field_item(key: &str, item: &Value) -> Result<FieldAndFormat, ApiError> {
    if !item.is_object() {
        return Ok(FieldAndFormat {
            field: text_of(key, "field", item)?,
            format: None,
            include_unmapped: false,
        });
    }
    let mut object = Object::new(key, item)?;
    let entry = FieldAndFormat {
        field: text_of(key, "field", object.require("field")?)?,
        // `use_field_mapping` is the default, written out by old clients.
        format: object.text("format")?.filter(|f| f != "use_field_mapping"),
        include_unmapped: key == "fields" && object.bool("include_unmapped")?.unwrap_or(false),
    };
    object.finish()?;
    Ok(entry)
}

fn timeout(value: &Value) -> Result<Option<Duration>, ApiError> {
    let text = text_of("search", "timeout", value)?;
    let time: TimeValue = text
        .parse()
        .map_err(|error| ApiError::illegal_argument(format!("[timeout]: {error}")))?;
    Ok(time.duration())
}

fn validate(source: &SearchSource) -> Result<(), ApiError> {
    if let Some(after) = &source.search_after {
        if source.from > 0 {
            return Err(ApiError::validation(&[
                "`from` parameter must be set to 0 when `search_after` is used",
            ]));
        }
        if sort::is_score_only(&source.sort) {
            return Err(ApiError::illegal_argument(
                "Sort must contain at least one field.",
            ));
        }
        if after.len() != source.sort.len() {
            return Err(ApiError::illegal_argument(format!(
                "search_after has {} value(s) but sort has {}.",
                after.len(),
                source.sort.len()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_member_is_read_or_refused() {
        let source = parse_search(&json!({
            "query": {"match": {"a": "x"}}, "from": 5, "size": "20", "sort": "b",
            "_source": ["a*"], "track_total_hits": 50, "min_score": 0.5, "version": true,
            "aggs": {"m": {"max": {"field": "n"}}}, "timeout": "2s", "terminate_after": 9,
            "docvalue_fields": ["a", {"field": "d", "format": "epoch_millis"}], "explain": false,
        }))
        .unwrap();
        assert_eq!((source.from, source.size), (5, 20));
        assert_eq!(source.track_total_hits, TrackTotalHits::UpTo(50));
        assert_eq!(source.timeout, Some(Duration::from_secs(2)));
        assert_eq!(source.aggs.len(), 1);
        for key in UNSUPPORTED {
            let error = parse_search(&json!({key: {"x": 1}})).unwrap_err();
            assert_eq!(error.status, 400, "{key}");
        }
        let error = parse_search(&json!({"quer": {}})).unwrap_err();
        assert_eq!(
            error.reason,
            "Unknown key for a START_OBJECT in [quer]. did you mean [query]?"
        );
    }

    #[test]
    fn windows_are_bounded() {
        let source = parse_search(&json!({"from": 9_999, "size": 2})).unwrap();
        let error = check_window(&source, 10_000).unwrap_err();
        assert!(error.reason.starts_with(
            "Result window is too large, from + size must be less than or equal to: [10000] but \
             was [10001]."
        ));
        for bad in [
            json!({"from": -2}),
            json!({"size": -1}),
            json!({"size": 1.5}),
            json!({"search_after": [1]}),
            json!({"search_after": [1, 2], "sort": "a"}),
            json!({"search_after": [1], "sort": "a", "from": 1}),
            json!({"track_total_hits": -2}),
            json!([]),
        ] {
            assert!(parse_search(&bad).is_err(), "{bad}");
        }
    }
}
