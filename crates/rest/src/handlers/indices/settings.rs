//! `_settings` of indices, flat and nested.

use std::collections::BTreeMap;

use ringwall_api::indices::UpdateSettingsRequest;
use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use ringwall_base::glob::{self, Syntax};
use serde_json::{Map, Value, json};

use crate::handlers::indices::{ack_timeout, acknowledged, describe};
use crate::request::{RestRequest, RestResponse};

/// Query parameters of changes of settings.
pub const PUT_SETTINGS_PARAMS: &[&str] = &["preserve_existing", "reopen"];

/// Query parameters of descriptions with settings.
pub const SETTINGS_PARAMS: &[&str] = &["flat_settings", "include_defaults"];

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

/// How settings are written.
pub(crate) struct Shown {
    flat: bool,
    pub(crate) with_defaults: bool,
    /// Names and patterns; empty for all.
    wanted: Vec<String>,
}

impl Shown {
    pub(crate) fn of(request: &RestRequest) -> ApiResult<Self> {
        Ok(Self {
            flat: request.params.flag("flat_settings", false)?,
            with_defaults: request.params.flag("include_defaults", false)?,
            wanted: Vec::new(),
        })
    }

    pub(crate) fn set(&self, settings: Value) -> Value {
        settings_json(settings, self.flat, &self.wanted)
    }
}

/// Returns settings nested or as flat keys, reduced to the names wanted.
pub(crate) fn settings_json(settings: Value, flat: bool, wanted: &[String]) -> Value {
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
pub(crate) fn flattened(settings: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    flatten("", settings, &mut leaves);
    leaves
}

/// Returns settings as objects within objects.
pub(crate) fn nested(leaves: BTreeMap<String, Value>) -> Value {
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
