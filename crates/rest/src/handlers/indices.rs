//! Index management. Source: Elasticsearch reference, "Index APIs".

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use ringwall_api::indices::{
    BroadcastResponse, CreateIndexRequest, DeleteIndexRequest, FlushRequest,
    GetFieldMappingsRequest, GetIndexRequest, IndexDescription, IndicesStatsRequest,
    PutMappingRequest, RefreshRequest, ShardStats, UpdateSettingsRequest,
};
use ringwall_api::search::SearchCounts;
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use ringwall_base::glob::{self, Syntax};
use serde_json::{Map, Value, json};

use super::{MASTER_TIMEOUT_MS, search_counts_json, shards_json, stats_metrics};
use crate::json::check_keys;
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// Query parameters that say how index expressions resolve.
pub const INDICES_PARAMS: &[&str] = &["allow_no_indices", "expand_wildcards", "ignore_unavailable"];

/// Query parameters of changes that the master makes.
pub const MASTER_PARAMS: &[&str] = &["master_timeout", "timeout"];

/// Query parameters of changes of settings.
pub const PUT_SETTINGS_PARAMS: &[&str] = &["preserve_existing", "reopen"];

/// Query parameters of descriptions. They are read from the state of the node that answers.
pub const LOCAL_PARAMS: &[&str] = &["local", "master_timeout"];

/// Query parameters of descriptions with settings.
pub const SETTINGS_PARAMS: &[&str] = &["flat_settings", "include_defaults"];

/// `PUT /{index}`.
pub async fn create(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    check_keys("create_index", &body, &["settings", "mappings", "aliases"])?;
    let mut part = |name: &str| body.remove(name).unwrap_or_else(|| json!({}));
    let created = request
        .execute(CreateIndexRequest {
            settings: part("settings"),
            mappings: part("mappings"),
            aliases: part("aliases"),
            index: request.one_index()?,
            wait_for_active_shards: request.params.active_shards()?,
            timeout_ms: ack_timeout(&request)?,
            auto: false,
        })
        .await?;
    Ok(RestResponse::json(json!({
        "acknowledged": created.acknowledged,
        "shards_acknowledged": created.shards_acknowledged,
        "index": created.index,
    })))
}

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

/// `GET|HEAD /{index}`.
pub async fn get(request: RestRequest) -> ApiResult<RestResponse> {
    let head = request.method == Method::HEAD;
    let shown = Shown::of(&request)?;
    let features = features(&request)?;
    let indices = match describe(&request, shown.with_defaults).await {
        Err(error) if head && error.code == ErrorCode::IndexNotFound => {
            return Ok(RestResponse::exists(false));
        }
        described => described?,
    };
    if head {
        return Ok(RestResponse::exists(true));
    }
    let by_name = indices.into_iter().map(|index| {
        let mut body = Map::new();
        let mut put = |feature: &str, part: Value| {
            if features.is_empty() || features.iter().any(|wanted| wanted == feature) {
                body.insert(feature.to_owned(), part);
            }
        };
        put("aliases", index.aliases);
        put("mappings", index.mappings);
        put("settings", shown.set(index.settings));
        if let Some(defaults) = index.defaults {
            put("defaults", shown.set(defaults));
        }
        (index.name, Value::Object(body))
    });
    Ok(RestResponse::json(Value::Object(by_name.collect())))
}

/// `GET [/{index}]/_mapping`.
pub async fn mapping(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = describe(&request, false).await?;
    let by_name = indices
        .into_iter()
        .map(|index| (index.name, json!({"mappings": index.mappings})));
    Ok(RestResponse::json(Value::Object(by_name.collect())))
}

/// `GET [/{index}]/_mapping/field/{fields}`. A field is shown by its path, with its definition under its own name.
pub async fn field_mapping(request: RestRequest) -> ApiResult<RestResponse> {
    let asked = GetFieldMappingsRequest {
        indices: request.indices(IndicesOptions::of_metadata())?,
        fields: request.path_list("fields"),
        with_defaults: request.params.flag("include_defaults", false)?,
    };
    let answer = request.execute(asked).await?;
    let status = match answer.indices.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    let by_index = answer.indices.into_iter().map(|(index, fields)| {
        let fields = fields.into_iter().map(|(path, definition)| {
            let name = path.rsplit('.').next().unwrap_or(&path).to_owned();
            let mapping = match definition.is_empty() {
                true => Map::new(),
                false => Map::from_iter([(name, Value::Object(definition))]),
            };
            let shown = json!({"full_name": path.clone(), "mapping": mapping});
            (path, shown)
        });
        let fields: Map<String, Value> = fields.collect();
        (index, json!({"mappings": fields}))
    });
    Ok(RestResponse::json(Value::Object(by_index.collect())).with_status(status))
}

/// `GET [/{index}]/_settings[/{name}]`.
pub async fn settings(request: RestRequest) -> ApiResult<RestResponse> {
    let shown = Shown {
        wanted: request.path_list("name"),
        ..Shown::of(&request)?
    };
    let indices = describe(&request, shown.with_defaults).await?;
    let by_name = indices.into_iter().map(|index| {
        let mut body = json!({"settings": shown.set(index.settings)});
        if let Some(defaults) = index.defaults {
            body["defaults"] = shown.set(defaults);
        }
        (index.name, body)
    });
    Ok(RestResponse::json(Value::Object(by_name.collect())))
}

/// `PUT|POST /{index}/_mapping`.
pub async fn put_mapping(request: RestRequest) -> ApiResult<RestResponse> {
    let body = request.body_object()?;
    if request.body().is_empty() {
        return Err(ApiError::validation(&["mapping source is missing"]));
    }
    let answer = request
        .execute(PutMappingRequest {
            indices: request.indices(IndicesOptions::open_and_closed())?,
            mappings: Value::Object(body),
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `PUT [/{index}]/_settings`: with or without the outer `settings` key.
pub async fn put_settings(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    if body.is_empty() {
        return Err(ApiError::validation(&["no settings to update"]));
    }
    let settings = match body.remove("settings") {
        Some(inner) if body.is_empty() => inner,
        Some(inner) => {
            body.insert("settings".to_owned(), inner);
            Value::Object(body)
        }
        None => Value::Object(body),
    };
    let strict = IndicesOptions {
        allow_no_indices: false,
        ..IndicesOptions::open_and_closed()
    };
    let answer = request
        .execute(UpdateSettingsRequest {
            indices: request.indices(strict)?,
            settings,
            preserve_existing: request.params.flag("preserve_existing", false)?,
            reopen: request.params.flag("reopen", false)?,
            timeout_ms: ack_timeout(&request)?,
        })
        .await?;
    Ok(acknowledged(answer.acknowledged))
}

/// `GET|POST [/{index}]/_refresh`.
pub async fn refresh(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = request.indices(IndicesOptions::default())?;
    let answer = request.execute(RefreshRequest { indices }).await?;
    Ok(broadcast(&answer))
}

/// `GET|POST [/{index}]/_flush`.
pub async fn flush(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = request.indices(IndicesOptions::default())?;
    // A flush waits for one that is under way, and leaves nothing out that a forced one would do.
    let force = request.params.flag("force", false)?;
    if !request.params.flag("wait_if_ongoing", true)? && force {
        return Err(ApiError::validation(&[
            "wait_if_ongoing must be true for a force flush",
        ]));
    }
    let answer = request.execute(FlushRequest { indices }).await?;
    Ok(broadcast(&answer))
}

/// `GET [/{index}]/_stats[/{metric}]`.
pub async fn stats(request: RestRequest) -> ApiResult<RestResponse> {
    let metrics = request.path_list("metric");
    let shown = stats_metrics::INDEX.check(&request.uri_path, &metrics)?;
    let sums = |shards: &[&ShardStats]| {
        let mut sums = sums(shards);
        for group in ["primaries", "total"] {
            stats_metrics::keep(&mut sums[group], &stats_metrics::INDEX, &shown, |metric| {
                metric
            });
        }
        sums
    };
    let closed_too = !request.params.flag("forbid_closed_indices", true)?;
    let indices = request.indices(IndicesOptions {
        allow_closed: closed_too,
        ..IndicesOptions::default()
    })?;
    let level = Level::of(request.params.text("level"))?;
    let human = request.params.flag("human", false)?;
    let answer = request.execute(IndicesStatsRequest { indices }).await?;
    let mut by_index: BTreeMap<&str, Vec<&ShardStats>> = BTreeMap::new();
    for shard in &answer.shards {
        by_index.entry(&shard.index).or_default().push(shard);
    }
    let all: Vec<&ShardStats> = answer.shards.iter().collect();
    let mut body = json!({
        "_shards": shards_json(answer.counts, &answer.failures, false),
        "_all": sums(&all),
    });
    if level != Level::Cluster {
        let indices = by_index.iter().map(|(name, shards)| {
            let mut index = sums(shards);
            if level == Level::Shards {
                index["shards"] = by_shard(shards, &shown);
            }
            ((*name).to_owned(), index)
        });
        body["indices"] = Value::Object(indices.collect());
    }
    if human {
        humanize(&mut body);
    }
    Ok(RestResponse::json(body))
}

/// How far statistics are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Cluster,
    Indices,
    Shards,
}

impl Level {
    fn of(text: Option<&str>) -> ApiResult<Self> {
        match text {
            Some("cluster") => Ok(Self::Cluster),
            None | Some("indices") => Ok(Self::Indices),
            Some("shards") => Ok(Self::Shards),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "level parameter must be one of [cluster] or [indices] or [shards] but was [{other}]"
            ))),
        }
    }
}

/// Returns the copies of each shard, under its number.
fn by_shard(copies: &[&ShardStats], shown: &[&str]) -> Value {
    let mut shards = Map::new();
    for copy in copies {
        let mut row = sum(&[copy]);
        stats_metrics::keep(&mut row, &stats_metrics::INDEX, shown, |metric| metric);
        row["routing"] = json!({
            "state": "STARTED",
            "primary": copy.primary,
            "node": copy.node,
            "relocating_node": null,
        });
        row["seq_no"] = json!({
            "max_seq_no": copy.max_seq_no,
            "local_checkpoint": copy.local_checkpoint,
            "global_checkpoint": copy.global_checkpoint,
        });
        let copies = shards
            .entry(copy.shard.to_string())
            .or_insert_with(|| json!([]));
        if let Value::Array(copies) = copies {
            copies.push(row);
        }
    }
    Value::Object(shards)
}

/// How settings are written.
struct Shown {
    flat: bool,
    with_defaults: bool,
    /// Names and patterns; empty for all.
    wanted: Vec<String>,
}

impl Shown {
    fn of(request: &RestRequest) -> ApiResult<Self> {
        Ok(Self {
            flat: request.params.flag("flat_settings", false)?,
            with_defaults: request.params.flag("include_defaults", false)?,
            wanted: Vec::new(),
        })
    }

    fn set(&self, settings: Value) -> Value {
        settings_json(settings, self.flat, &self.wanted)
    }
}

fn features(request: &RestRequest) -> ApiResult<Vec<String>> {
    let features = request.params.list("features");
    let is_known = |name: &&String| ["aliases", "mappings", "settings"].contains(&name.as_str());
    let unknown: Vec<&str> = features
        .iter()
        .filter(|name| !is_known(name))
        .map(String::as_str)
        .collect();
    match unknown.is_empty() {
        true => Ok(features),
        false => Err(ApiError::illegal_argument(format!(
            "Invalid features specified [{}]",
            unknown.join(",")
        ))),
    }
}

async fn describe(request: &RestRequest, with_defaults: bool) -> ApiResult<Vec<IndexDescription>> {
    let indices = request.indices(IndicesOptions::of_metadata())?;
    request.params.hint_flags(&["local"])?;
    request.params.hint_times(&["master_timeout"])?;
    let answer = request
        .execute(GetIndexRequest {
            indices,
            with_defaults,
        })
        .await?;
    Ok(answer.indices)
}

/// How long a change may take: to be made, and to be applied by all.
pub(super) fn ack_timeout(request: &RestRequest) -> ApiResult<u64> {
    let master = request
        .params
        .time_ms("master_timeout", MASTER_TIMEOUT_MS)?;
    request.params.time_ms("timeout", master)
}

pub(super) fn acknowledged(acknowledged: bool) -> RestResponse {
    RestResponse::json(json!({"acknowledged": acknowledged}))
}

fn broadcast(answer: &BroadcastResponse) -> RestResponse {
    let status = answer
        .failures
        .first()
        .filter(|_| answer.shards.successful == 0)
        .and_then(|failure| StatusCode::from_u16(failure.reason.status).ok())
        .unwrap_or(StatusCode::OK);
    RestResponse::json(json!({"_shards": shards_json(answer.shards, &answer.failures, false)}))
        .with_status(status)
}

fn sums(shards: &[&ShardStats]) -> Value {
    let primaries: Vec<&ShardStats> = shards
        .iter()
        .copied()
        .filter(|shard| shard.primary)
        .collect();
    json!({"primaries": sum(&primaries), "total": sum(shards)})
}

fn sum(shards: &[&ShardStats]) -> Value {
    let total = |of: fn(&ShardStats) -> u64| shards.iter().map(|shard| of(shard)).sum::<u64>();
    let counts = shards.iter().map(|shard| shard.search);
    let search = counts.fold(SearchCounts::default(), |all, one| all + one);
    json!({
        "docs": {"count": total(|s| s.docs), "deleted": total(|s| s.deleted_docs)},
        "store": {"size_in_bytes": total(|s| s.store_bytes)},
        "search": search_counts_json(search),
        "segments": {"count": total(|s| s.segments)},
        "translog": {"operations": total(|s| s.translog_ops)},
    })
}

/// Returns settings nested or as flat keys, reduced to the names wanted.
pub(super) fn settings_json(settings: Value, flat: bool, wanted: &[String]) -> Value {
    let mut leaves = flattened(&settings);
    if !wanted.is_empty() {
        leaves.retain(|key, _| wanted.iter().any(|pattern| name_matches(pattern, key)));
    } else if !flat {
        return settings;
    }
    if flat {
        return leaves.into_iter().collect::<Map<String, Value>>().into();
    }
    nested(leaves)
}

/// Returns settings by their whole keys.
pub(super) fn flattened(settings: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    flatten("", settings, &mut leaves);
    leaves
}

/// Returns settings as objects within objects.
pub(super) fn nested(leaves: BTreeMap<String, Value>) -> Value {
    let mut nested = json!({});
    for (key, leaf) in leaves {
        put_nested(&mut nested, &key, leaf);
    }
    nested
}

fn flatten(prefix: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                let path = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(&path, child, leaves);
            }
        }
        leaf => {
            leaves.insert(prefix.to_owned(), leaf.clone());
        }
    }
}

fn put_nested(target: &mut Value, key: &str, leaf: Value) {
    let Value::Object(object) = target else {
        return;
    };
    match key.split_once('.') {
        None => {
            object.insert(key.to_owned(), leaf);
        }
        Some((first, rest)) => {
            let child = object.entry(first).or_insert_with(|| json!({}));
            match child.is_object() {
                true => put_nested(child, rest, leaf),
                // A setting whose key begins with another's, as `a` and `a.b`.
                false => drop(object.insert(key.to_owned(), leaf)),
            }
        }
    }
}

fn name_matches(pattern: &str, key: &str) -> bool {
    pattern == "_all" || glob::matches(pattern, key, Syntax::Star)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_nested_or_flat_and_filtered() {
        let settings = json!({"index": {"number_of_shards": "1", "routing": {"x": "2"}}});
        assert_eq!(settings_json(settings.clone(), false, &[]), settings);
        assert_eq!(
            settings_json(settings.clone(), true, &[]),
            json!({"index.number_of_shards": "1", "index.routing.x": "2"})
        );
        assert_eq!(
            settings_json(settings, false, &["index.routing.*".to_owned()]),
            json!({"index": {"routing": {"x": "2"}}})
        );
    }
}
