//! `POST /{alias}/_rollover`. Source: Elasticsearch reference, "Rollover API".

use ringwall_api::indices::{RolloverCondition, RolloverMeasure, RolloverRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{ByteSizeValue, TimeValue};
use serde_json::{Map, Value, json};

use crate::handlers::indices::ack_timeout;
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse, single_index};

/// Query parameters, beside those of all changes.
pub const PARAMS: &[&str] = &["dry_run", "wait_for_active_shards"];

/// `POST /{alias}/_rollover[/{new_index}]`.
pub async fn rollover(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    check_keys(
        "rollover",
        &body,
        &["aliases", "conditions", "mappings", "settings"],
    )?;
    let alias = request.required("alias")?;
    let dry_run = request.params.flag("dry_run", false)?;
    let conditions = conditions(body.remove("conditions"))?;
    let mut part = |name: &str| body.remove(name).unwrap_or_else(|| json!({}));
    let asked = RolloverRequest {
        settings: part("settings"),
        mappings: part("mappings"),
        aliases: part("aliases"),
        target: single_index(alias.clone()),
        new_index: request.path("new_index").map(str::to_owned),
        conditions,
        dry_run,
        wait_for_active_shards: request.params.active_shards()?,
        timeout_ms: ack_timeout(&request)?,
    };
    let answer = request.execute(asked).await.map_err(|error| {
        // A name that is neither an alias nor an index is no index that is missing.
        match error.code == ErrorCode::IndexNotFound {
            true => ApiError::new(
                ErrorCode::ResourceNotFound,
                format!("rollover target [{alias}] does not exist"),
            ),
            false => error,
        }
    })?;
    Ok(RestResponse::json(json!({
        "acknowledged": answer.acknowledged,
        "shards_acknowledged": answer.shards_acknowledged,
        "old_index": answer.old_index,
        "new_index": answer.new_index,
        "rolled_over": answer.rolled_over,
        "dry_run": dry_run,
        "lazy": false,
        "conditions": answer.conditions,
    })))
}

fn conditions(body: Option<Value>) -> ApiResult<Vec<RolloverCondition>> {
    let given = match body {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(given)) => given,
        Some(_) => {
            let reason = "[rollover] conditions doesn't support values of this type";
            return Err(ApiError::new(ErrorCode::XContentParse, reason));
        }
    };
    let conditions = given
        .iter()
        .map(|(name, value)| {
            condition(name, value).map_err(|error| {
                let reason = "[rollover] failed to parse field [conditions]";
                ApiError::new(ErrorCode::XContentParse, reason).caused_by(error)
            })
        })
        .collect::<ApiResult<Vec<_>>>()?;
    let (least, most): (Vec<_>, Vec<_>) = conditions.iter().partition(|c| c.is_min);
    if !least.is_empty() && most.is_empty() {
        return Err(ApiError::validation(&[
            "at least one max_* rollover condition must be set when using min_* conditions",
        ]));
    }
    Ok(conditions)
}

fn condition(name: &str, value: &Value) -> ApiResult<RolloverCondition> {
    let unknown = || {
        let reason = format!("[rollover_conditions] unknown field [{name}]");
        ApiError::new(ErrorCode::XContentParse, reason)
    };
    let (is_min, rest) = match (name.strip_prefix("max_"), name.strip_prefix("min_")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(unknown()),
    };
    let measure = match rest {
        "age" => RolloverMeasure::Age,
        "docs" => RolloverMeasure::Docs,
        "size" => RolloverMeasure::Size,
        "primary_shard_docs" => RolloverMeasure::PrimaryShardDocs,
        "primary_shard_size" => RolloverMeasure::PrimaryShardSize,
        _ => return Err(unknown()),
    };
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let bad = |reason: String| {
        let field = format!("[rollover_conditions] failed to parse field [{name}]");
        ApiError::new(ErrorCode::XContentParse, field).caused_by(ApiError::illegal_argument(reason))
    };
    let parsed = match measure {
        RolloverMeasure::Age => {
            let duration = text.parse::<TimeValue>().ok().and_then(TimeValue::duration);
            let millis = duration.and_then(|age| u64::try_from(age.as_millis()).ok());
            millis.ok_or_else(|| {
                bad(format!(
                    "failed to parse setting [{name}] with value [{text}] as a time value: unit is missing or \
                     unrecognized"
                ))
            })?
        }
        RolloverMeasure::Docs | RolloverMeasure::PrimaryShardDocs => text
            .parse()
            .map_err(|_| bad(format!("For input string: \"{text}\"")))?,
        RolloverMeasure::Size | RolloverMeasure::PrimaryShardSize => {
            let bytes = text.parse::<ByteSizeValue>().map(|size| size.bytes());
            bytes.map_err(|_| {
                bad(format!(
                    "failed to parse setting [{name}] with value [{text}] as a size in bytes: unit is missing or \
                     unrecognized"
                ))
            })?
        }
    };
    Ok(RolloverCondition {
        measure,
        is_min,
        value: parsed,
        shown: format!("[{name}: {text}]"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_units_and_are_shown_as_written() {
        let given = json!({"max_age": "7d", "max_docs": 5, "min_size": "1kb", "max_primary_shard_size": "2gb"});
        let parsed = conditions(Some(given)).unwrap();
        let told: Vec<(&str, u64, bool)> = parsed
            .iter()
            .map(|c| (c.shown.as_str(), c.value, c.is_min))
            .collect();
        for expected in [
            ("[max_age: 7d]", 604_800_000, false),
            ("[max_docs: 5]", 5, false),
            ("[min_size: 1kb]", 1024, true),
            ("[max_primary_shard_size: 2gb]", 2 << 30, false),
        ] {
            assert!(told.contains(&expected), "{told:?}");
        }
        assert_eq!(conditions(None).unwrap(), []);
        for bad in [
            json!({"foo": 1}),
            json!({"max_docs": "x"}),
            json!({"max_age": "7"}),
            json!({"max_size": 7}),
            json!({"min_docs": 1}),
            json!([]),
        ] {
            assert!(conditions(Some(bad.clone())).is_err(), "{bad}");
        }
    }
}
